//! The window: which pieces the readers will need next, soonest first.
//!
//! Geometry only. It never requests anything; the swarm does, from what this yields.

use alloc::vec::Vec;
use core::ops::Range;

use crate::ids::ReaderId;
use crate::ordered::Map;

/// Pieces at each reader's head that are fetched by deadline instead of by rarity.
const URGENT_PIECES: u64 = 2;

/// The pieces that may be fetched, for all readers of one torrent.
#[derive(Debug)]
pub struct Window {
    ahead_bytes: u64,
    piece_length: u64,
    readers: Map<ReaderId, Range<u64>>,
    ranges: Vec<Range<u32>>,
}

/// What a move of the window changed, as piece ranges.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Pieces that may be fetched now and could not before.
    pub entered: Vec<Range<u32>>,
    /// Pieces that may no longer be fetched.
    pub left: Vec<Range<u32>>,
}

impl Window {
    /// A window of at most `ahead_bytes` ahead of all readers together, over pieces of `piece_length` bytes.
    pub const fn new(ahead_bytes: u64, piece_length: u32) -> Self {
        Self {
            ahead_bytes,
            piece_length: piece_length as u64,
            readers: Map::new(),
            ranges: Vec::new(),
        }
    }

    /// A reader wants these bytes of the torrent's byte space, in order.
    pub fn open(&mut self, reader: ReaderId, bytes: Range<u64>) -> Moved {
        self.readers.insert(reader, bytes);
        self.follow()
    }

    /// A reader has had everything before `head`. Cheap while the head stays in its piece.
    pub fn advance(&mut self, reader: ReaderId, head: u64) -> Option<Moved> {
        let bytes = self.readers.get_mut(&reader)?;
        let same = bytes.start / self.piece_length == head / self.piece_length && head < bytes.end;
        bytes.start = head.clamp(bytes.start, bytes.end);
        (!same).then(|| self.follow())
    }

    /// So many bytes may be fetched ahead.
    pub const fn ahead_bytes(&self) -> u64 {
        self.ahead_bytes
    }

    /// So many bytes may be fetched ahead from now on.
    pub fn look_ahead(&mut self, bytes: u64) -> Moved {
        self.ahead_bytes = bytes;
        self.follow()
    }

    /// A reader is gone.
    pub fn close(&mut self, reader: ReaderId) -> Moved {
        self.readers.remove(&reader);
        self.follow()
    }

    /// The pieces that may be fetched, ascending, apart.
    pub fn ranges(&self) -> &[Range<u32>] {
        &self.ranges
    }

    /// The same, one by one.
    pub fn pieces(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(Clone::clone)
    }

    /// Whether a piece may be fetched.
    pub fn contains(&self, piece: u32) -> bool {
        let at = self.ranges.partition_point(|range| range.end <= piece);
        self.ranges
            .get(at)
            .is_some_and(|range| range.contains(&piece))
    }

    /// Whether nobody reads.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether it holds all that the readers still want.
    pub fn is_at_end(&self) -> bool {
        let last =
            |bytes: &Range<u64>| (bytes.end.div_ceil(self.piece_length) as u32).checked_sub(1);
        let ended = |bytes: &&Range<u64>| !bytes.is_empty();
        let mut lasts = self.readers.values().filter(ended).filter_map(last);
        lasts.all(|piece| self.contains(piece))
    }

    /// The pieces at the readers' heads, and those that begin within so many bytes after them, the
    /// most urgent first.
    pub fn urgent(&self, bytes: u64) -> impl Iterator<Item = u32> + '_ {
        (0..self.steps(bytes)).flat_map(move |step| {
            self.readers.values().filter_map(move |bytes| {
                let piece = u32::try_from(bytes.start / self.piece_length + step).ok()?;
                self.contains(piece).then_some(piece)
            })
        })
    }

    /// Whether a piece is at a reader's head, or begins within so many bytes after what is.
    pub fn is_near(&self, piece: u32, bytes: u64) -> bool {
        let steps = self.steps(bytes);
        self.readers.values().any(|read| {
            let head = read.start / self.piece_length;
            (head..head.saturating_add(steps)).contains(&u64::from(piece))
        })
    }

    /// How far a piece lies from what any reader will read: 0 inside the window, more behind a
    /// reader than ahead of it, for what was played is wanted by fewer and fewer.
    pub fn distance(&self, piece: u32) -> u64 {
        let from = |bytes: &Range<u64>| {
            let head = bytes.start / self.piece_length;
            let piece = u64::from(piece);
            if piece < head {
                head - piece
            } else {
                (piece - head) / 2
            }
        };
        if self.contains(piece) {
            0
        } else {
            1 + self.readers.values().map(from).min().unwrap_or(0)
        }
    }

    const fn steps(&self, bytes: u64) -> u64 {
        URGENT_PIECES + bytes / self.piece_length
    }

    fn follow(&mut self) -> Moved {
        let unfinished = self.readers.values().filter(|bytes| !bytes.is_empty());
        let share = self.ahead_bytes / (unfinished.clone().count() as u64).max(1);
        let pieces = (share / self.piece_length).max(1);
        let mut ranges: Vec<Range<u32>> = unfinished
            .map(|bytes| {
                let first = bytes.start / self.piece_length;
                let end = bytes.end.div_ceil(self.piece_length).min(first + pieces);
                first as u32..end as u32
            })
            .collect();
        ranges.sort_unstable_by_key(|range| range.start);
        let mut merged: Vec<Range<u32>> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        let moved = Moved {
            entered: minus(&merged, &self.ranges),
            left: minus(&self.ranges, &merged),
        };
        self.ranges = merged;
        moved
    }
}

/// The numbers in `these` that are not in `those`; both ascending and apart.
fn minus(these: &[Range<u32>], those: &[Range<u32>]) -> Vec<Range<u32>> {
    let mut rest = Vec::new();
    for range in these {
        let mut start = range.start;
        for other in those
            .iter()
            .filter(|other| other.end > range.start && other.start < range.end)
        {
            if other.start > start {
                rest.push(start..other.start);
            }
            start = start.max(other.end);
        }
        if start < range.end {
            rest.push(start..range.end);
        }
    }
    rest
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "runs of pieces are what is meant"
)]
mod tests {
    use super::*;
    use alloc::vec;

    const FIRST: ReaderId = ReaderId(1);
    const SECOND: ReaderId = ReaderId(2);

    #[test]
    fn the_window_slides_with_its_reader_and_runs_out_at_the_end() {
        let mut window = Window::new(40, 10);
        assert_eq!(window.open(FIRST, 5..75).entered, vec![0..4]);
        assert_eq!(window.advance(FIRST, 9), None);
        assert_eq!(
            window.advance(FIRST, 10),
            Some(Moved {
                entered: vec![4..5],
                left: vec![0..1]
            })
        );
        assert_eq!(window.urgent(0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(
            window.advance(FIRST, 70).map(|moved| moved.entered),
            Some(vec![7..8])
        );
        assert_eq!(
            window.advance(FIRST, 75).map(|moved| moved.left),
            Some(vec![7..8])
        );
        assert!(window.is_empty());
    }

    #[test]
    fn readers_share_one_budget_and_what_they_share_counts_once() {
        let mut window = Window::new(40, 10);
        window.open(FIRST, 0..1000);
        let moved = window.open(SECOND, 500..1000);
        assert_eq!(
            moved,
            Moved {
                entered: vec![50..52],
                left: vec![2..4]
            }
        );
        assert_eq!(window.urgent(0).collect::<Vec<_>>(), [0, 50, 1, 51]);
        assert_eq!(
            window.close(FIRST),
            Moved {
                entered: vec![52..54],
                left: vec![0..2]
            }
        );
    }

    #[test]
    fn what_was_played_is_let_go_before_what_is_to_come() {
        let mut window = Window::new(40, 10);
        window.open(FIRST, 200..1000);
        assert!(window.distance(10) > window.distance(19));
        assert!(window.distance(16) > window.distance(24));
        assert_eq!(window.distance(21), 0);
    }
}
