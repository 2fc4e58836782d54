//! Which blocks of pieces under way a peer gives, and which it refused just now.

use crate::bitfield::Bitfield;
use crate::ordered::Map;
use crate::time::Instant;

/// Pieces under way of which one peer may offer or refuse blocks.
const MAX_PIECES: usize = 128;
/// A peer that refused so many blocks of a piece is not asked for the others either, for a moment.
const ENOUGH: u32 = 4;

/// What one peer said of single blocks.
#[derive(Debug, Default)]
pub struct Parts {
    /// Of pieces that it has not: the blocks that it gives already.
    offered: Map<u32, Bitfield>,
    /// By piece, what it refused.
    refused: Map<u32, Refused>,
}

/// Blocks of a piece that a peer is not asked for.
#[derive(Debug)]
struct Refused {
    blocks: Bitfield,
    /// Until when.
    until: Instant,
    /// Whether it named them, so that it may be asked for all others.
    named: bool,
}

impl Parts {
    /// The blocks it gives of a piece that it has not.
    pub fn of(&self, piece: u32) -> Option<&Bitfield> {
        self.offered.get(&piece)
    }

    /// It gives these blocks of a piece that it has not.
    pub fn offer(&mut self, piece: u32, blocks: Bitfield) {
        if blocks.count() == 0 {
            self.withdraw(piece);
        } else if self.offered.len() < MAX_PIECES || self.offered.contains_key(&piece) {
            self.offered.insert(piece, blocks);
        }
    }

    /// It has the piece, or gave it up: its offer is void.
    pub fn withdraw(&mut self, piece: u32) {
        self.offered.remove(&piece);
    }

    /// It says anew what it has: all offers are void.
    pub fn withdraw_all(&mut self) {
        self.offered.clear();
    }

    /// It refused a block of `count`, and is not asked for it again before `until`.
    pub fn refuse(&mut self, piece: u32, block: u32, count: u32, until: Instant) {
        let refused = self.refused.entry(piece).or_insert_with(|| Refused {
            blocks: Bitfield::none(count),
            until,
            named: false,
        });
        refused.blocks.set(block);
        refused.until = until;
    }

    /// It says which blocks of a piece it would refuse; it is not asked for them before `until`.
    pub fn put_off(&mut self, piece: u32, blocks: Bitfield, until: Instant) {
        if self.refused.len() >= MAX_PIECES && !self.refused.contains_key(&piece) {
            return;
        }
        let refused = Refused {
            blocks,
            until,
            named: true,
        };
        self.refused.insert(piece, refused);
    }

    /// What it refused long enough ago it may be asked for again.
    pub fn forgive(&mut self, now: Instant) {
        self.refused.retain(|_, refused| refused.until > now);
    }

    /// Whether it refused anything just now.
    pub fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Whether a piece of which nothing was asked yet may be asked of it.
    pub fn may_begin(&self, piece: u32) -> bool {
        let Some(refused) = self.refused.get(&piece) else {
            return true;
        };
        let offered = self.of(piece).map_or(refused.blocks.len(), Bitfield::count);
        refused.leaves(offered)
    }

    /// A block of `piece` to ask it for: free, not refused, and offered, if it has not the whole
    /// piece; from `start` on and around.
    pub fn choose(&self, piece: u32, free: &Bitfield, start: u32) -> Option<u32> {
        let offered = self.of(piece);
        let Some(refused) = self.refused.get(&piece) else {
            return free.first_from(start, offered);
        };
        if !refused.leaves(refused.blocks.len()) {
            return None;
        }
        let mut free = free.clone();
        free.remove(&refused.blocks);
        free.first_from(start, offered)
    }
}

impl Refused {
    /// Whether it may be asked for another of so many.
    fn leaves(&self, offered: u32) -> bool {
        let enough = if self.named { u32::MAX } else { ENOUGH };
        self.blocks.count() < offered.min(enough)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(there: &[u32]) -> Bitfield {
        let mut blocks = Bitfield::none(16);
        for block in there {
            blocks.set(*block);
        }
        blocks
    }

    #[test]
    fn only_what_is_offered_and_free_and_not_refused_is_asked_for() {
        let mut parts = Parts::default();
        let free = blocks(&[1, 2, 3, 9, 12]);
        assert_eq!(parts.choose(7, &free, 3), Some(3));
        parts.offer(7, blocks(&[2, 9]));
        assert_eq!(parts.choose(7, &free, 3), Some(9));
        parts.refuse(7, 9, 16, Instant::from_micros(500));
        assert_eq!(parts.choose(7, &free, 3), Some(2));
        parts.forgive(Instant::from_micros(500));
        assert_eq!(parts.choose(7, &free, 3), Some(9));
        parts.withdraw(7);
        assert_eq!(parts.choose(7, &free, 13), Some(1));
    }

    #[test]
    fn one_that_refuses_block_after_block_is_left_alone_for_a_moment() {
        let mut parts = Parts::default();
        for block in 0..4 {
            assert!(parts.may_begin(7));
            parts.refuse(7, block, 16, Instant::from_micros(500));
        }
        assert!(!parts.may_begin(7) && parts.may_begin(8));
        assert_eq!(parts.choose(7, &blocks(&[9]), 0), None);
        parts.forgive(Instant::from_micros(501));
        assert_eq!(parts.choose(7, &blocks(&[9]), 0), Some(9));
    }

    #[test]
    fn one_that_says_what_it_would_refuse_is_asked_for_the_rest() {
        let mut parts = Parts::default();
        parts.refuse(7, 3, 16, Instant::from_micros(500));
        parts.put_off(7, blocks(&[2, 3, 4, 5, 9]), Instant::from_micros(600));
        assert!(parts.may_begin(7));
        assert_eq!(parts.choose(7, &blocks(&[2, 3, 9, 12]), 3), Some(12));
        parts.put_off(7, Bitfield::all(16), Instant::from_micros(600));
        assert!(!parts.may_begin(7));
        parts.forgive(Instant::from_micros(600));
        assert!(parts.may_begin(7));
    }

    #[test]
    fn offers_are_bounded() {
        let mut parts = Parts::default();
        for piece in 0..10_000 {
            parts.offer(piece, blocks(&[1]));
        }
        assert_eq!(parts.offered.len(), MAX_PIECES);
    }
}
