//! The redundancy grid: to whom a seed sent which block last, so that in a crowd each block goes
//! out once and is passed on by those who have it.
//!
//! Sia counts copies of each piece and brings the rarest to one, then two, first; BEP 16 hides
//! pieces to the same end. Here nothing is hidden: a second peer that asks for a block on its way
//! to another is told to ask again a little later, when somebody else has it.

use crate::ids::PeerKey;
use crate::layout::PieceIndex;
use crate::ordered::Map;
use crate::time::{Duration, Instant};

/// Fewer peers than this are no crowd: each gets what it asks for.
const CROWD: usize = 4;
/// How long the first to be sent a block has for passing it on. Longer saves copies and costs time:
/// one seed and 40 viewers with a window of 16 pieces come to 0.82 of the bound with 1.9 copies; with
/// 3 s it would be 0.77 with 1.4. Where viewers only keep up with a film, the seed's share doubles
/// when it is 1 s.
const HOLD: Duration = Duration::from_millis(1500);
/// The same for a piece that can only be passed on whole (v1).
const HOLD_WHOLE: Duration = Duration::from_secs(3);
/// Entries below which nobody looks for those that are over.
const FEW: usize = 1024;

/// A block, by its piece and its number in it; or, with [`WHOLE`] for a number, the piece.
type Place = (u32, u32);
const WHOLE: u32 = u32::MAX;

/// To whom each block goes.
#[derive(Debug)]
pub struct Grid {
    sent: Map<Place, (PeerKey, Instant)>,
    /// With so many entries those that are over are thrown out.
    full: usize,
}

impl Default for Grid {
    fn default() -> Self {
        Self {
            sent: Map::new(),
            full: FEW,
        }
    }
}

impl Grid {
    /// Whether block `block` of `piece`, or with none any of it, may be sent to a peer now, `peers` of
    /// which want something; if so, it is the one that it goes to.
    pub fn admit(
        &mut self,
        now: Instant,
        piece: PieceIndex,
        block: Option<u32>,
        peer: PeerKey,
        peers: usize,
    ) -> bool {
        if peers < CROWD {
            return true;
        }
        self.clean(now);
        let place = (piece.get(), block.unwrap_or(WHOLE));
        let entry = self.sent.entry(place).or_insert((peer, now));
        let hold = if block.is_some() { HOLD } else { HOLD_WHOLE };
        let is_free = entry.0 == peer || now.since(entry.1) > hold;
        if is_free && entry.0 != peer {
            *entry = (peer, now);
        }
        is_free
    }

    /// Throws out what is over, whenever it has become twice as much.
    fn clean(&mut self, now: Instant) {
        if self.sent.len() >= self.full {
            self.sent.retain(|_, (_, at)| now.since(*at) <= HOLD_WHOLE);
            self.full = FEW.max(self.sent.len() * 2);
        }
    }

    /// A peer let a piece go: it will not pass it on any more.
    pub fn let_go(&mut self, peer: PeerKey, piece: u32) {
        let of_piece = self.sent.range((piece, 0)..=(piece, u32::MAX));
        let theirs = of_piece.filter(|(_, (owner, _))| *owner == peer);
        for place in theirs
            .map(|(place, _)| *place)
            .collect::<alloc::vec::Vec<_>>()
        {
            self.sent.remove(&place);
        }
    }

    /// A peer is gone: what it was sent may go to others at once.
    pub fn forget(&mut self, peer: PeerKey) {
        self.sent.retain(|_, (owner, _)| *owner != peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Arrangement, FileEntry, Layout};

    fn piece(index: u32) -> PieceIndex {
        let film = FileEntry {
            path: alloc::vec!["film".into()],
            length: 1 << 30,
            pad: false,
            start: 0,
        };
        let layout = Layout::new(Arrangement::Contiguous, 1 << 18, alloc::vec![film]).unwrap();
        layout.piece(index).unwrap()
    }

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    #[test]
    fn in_a_crowd_a_block_goes_to_one_at_a_time() {
        let mut grid = Grid::default();
        let (first, second) = (PeerKey(1), PeerKey(2));
        let (piece, this, that) = (piece(7), Some(3), Some(4));
        assert!(grid.admit(at(0), piece, this, first, 9));
        assert!(!grid.admit(at(10), piece, this, second, 9));
        assert!(grid.admit(at(20), piece, this, first, 9));
        assert!(grid.admit(at(30), piece, that, second, 9));
        assert!(grid.admit(at(1600), piece, this, second, 9));
        assert!(!grid.admit(at(1700), piece, this, first, 9));
        grid.forget(second);
        assert!(grid.admit(at(1800), piece, this, first, 9));
        assert!(!grid.admit(at(1900), piece, this, second, 9));
        grid.let_go(first, 7);
        assert!(grid.admit(at(1900), piece, this, second, 9));
    }

    #[test]
    fn what_is_passed_on_whole_is_dealt_whole() {
        let mut grid = Grid::default();
        assert!(grid.admit(at(0), piece(7), None, PeerKey(1), 9));
        assert!(!grid.admit(at(2000), piece(7), None, PeerKey(2), 9));
        assert!(grid.admit(at(2000), piece(8), None, PeerKey(2), 9));
        assert!(grid.admit(at(3001), piece(7), None, PeerKey(2), 9));
    }

    #[test]
    fn a_few_get_what_they_ask_for() {
        let mut grid = Grid::default();
        assert!((0..3).all(|peer| grid.admit(Instant::START, piece(7), Some(0), PeerKey(peer), 3)));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut grid = Grid::default();
        for round in 0..4000u64 {
            grid.admit(at(round * 10), piece(round as u32), Some(0), PeerKey(1), 9);
        }
        assert!(grid.sent.len() <= FEW, "{}", grid.sent.len());
    }
}
