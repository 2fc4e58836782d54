//! Which blocks of pieces under way a peer gives, and which it refused just now.

use crate::bitfield::Bitfield;
use crate::ordered::Map;
use crate::time::Instant;

/// Pieces under way of which one peer may offer blocks.
const MAX_OFFERED: usize = 128;
/// A peer that refused so many blocks of a piece is not asked for the others either, for a moment.
const ENOUGH: usize = 4;

/// The number under which a piece was refused as a whole.
const WHOLE: u32 = u32::MAX;

/// What one peer said of single blocks.
#[derive(Debug, Default)]
pub struct Parts {
    /// Of pieces that it has not: the blocks that it gives already.
    offered: Map<u32, Bitfield>,
    /// Blocks, by piece and number, that it refused, and until when it is not asked for them.
    refused: Map<(u32, u32), Instant>,
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
        } else if self.offered.len() < MAX_OFFERED || self.offered.contains_key(&piece) {
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

    /// It refused a block, and is not asked for it again before `until`.
    pub fn refuse(&mut self, piece: u32, block: u32, until: Instant) {
        self.refused.insert((piece, block), until);
    }

    /// It refused a block of a piece that it deals whole: it is asked for none of it before `until`.
    pub fn refuse_piece(&mut self, piece: u32, until: Instant) {
        self.refused.insert((piece, WHOLE), until);
    }

    /// What it refused long enough ago it may be asked for again.
    pub fn forgive(&mut self, now: Instant) {
        self.refused.retain(|_, until| *until > now);
    }

    /// Whether it refused anything just now.
    pub fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Whether a piece of which nothing was asked yet may be asked of it.
    pub fn may_begin(&self, piece: u32) -> bool {
        let offered = self
            .of(piece)
            .map_or(usize::MAX, |blocks| blocks.count() as usize);
        self.is_patient(piece, offered.min(ENOUGH))
    }

    /// A block of `piece` to ask it for: free, not refused, and offered, if it has not the whole
    /// piece; from `start` on and around.
    pub fn choose(&self, piece: u32, free: &Bitfield, start: u32) -> Option<u32> {
        let offered = self.of(piece);
        if self.refused_of(piece).next().is_none() {
            return free.first_from(start, offered);
        }
        if !self.is_patient(piece, ENOUGH) {
            return None;
        }
        let mut free = free.clone();
        self.refused_of(piece).for_each(|block| {
            free.clear(block);
        });
        free.first_from(start, offered)
    }

    /// Whether it has not refused the piece, nor so many blocks of it.
    fn is_patient(&self, piece: u32, enough: usize) -> bool {
        !self.refused.contains_key(&(piece, WHOLE)) && self.refused_of(piece).count() < enough
    }

    fn refused_of(&self, piece: u32) -> impl Iterator<Item = u32> + '_ {
        let of_piece = self.refused.range((piece, 0)..=(piece, u32::MAX));
        of_piece.map(|((_, block), _)| *block)
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
        parts.refuse(7, 9, Instant::from_micros(500));
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
            parts.refuse(7, block, Instant::from_micros(500));
        }
        assert!(!parts.may_begin(7) && parts.may_begin(8));
        assert_eq!(parts.choose(7, &blocks(&[9]), 0), None);
        parts.forgive(Instant::from_micros(501));
        assert_eq!(parts.choose(7, &blocks(&[9]), 0), Some(9));
    }

    #[test]
    fn offers_are_bounded() {
        let mut parts = Parts::default();
        for piece in 0..10_000 {
            parts.offer(piece, blocks(&[1]));
        }
        assert_eq!(parts.offered.len(), MAX_OFFERED);
    }
}
