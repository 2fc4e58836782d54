//! Which piece a peer should be asked for next: by deadline at the readers' heads, then what is
//! begun, then the rarest of the window.
//!
//! It knows pieces by their number, copies and state, nothing of blocks, peers or time.

use crate::ordered::{Map, Set};

/// Copies of a piece whose copies do not matter.
const ALIKE: u32 = u32::MAX;

/// What [`Picker::next`] chose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pick {
    /// A piece of which some blocks are asked for or there, and some are not.
    Begun(u32),
    /// A piece of which no block was asked for yet.
    Fresh(u32),
}

/// The pieces that are wanted, in the order they should be asked for.
///
/// A change costs O(log window), whatever the number of pieces of the torrent.
#[derive(Debug, Default)]
pub struct Picker {
    fresh: Set<(u32, u32, u32)>,
    keys: Map<u32, (u32, u32)>,
    begun: Set<u32>,
}

impl Picker {
    /// Piece `piece` is wanted; `copies` peers have it, `salt` decides between the equally rare.
    pub fn want(&mut self, piece: u32, copies: u32, salt: u32) {
        self.forget(piece);
        self.keys.insert(piece, (copies, salt));
        self.fresh.insert((copies, salt, piece));
    }

    /// Piece `piece` is wanted after those before it, however rare it is.
    pub fn want_next(&mut self, piece: u32) {
        self.want(piece, ALIKE, piece);
    }

    /// The number of peers that have it changed.
    pub fn recount(&mut self, piece: u32, copies: u32) {
        let key = self.keys.get_mut(&piece);
        if let Some(key) = key.filter(|key| key.0 != ALIKE) {
            self.fresh.remove(&(key.0, key.1, piece));
            key.0 = copies;
            self.fresh.insert((copies, key.1, piece));
        }
    }

    /// It has blocks asked for or there, and others that may be asked for.
    pub fn begin(&mut self, piece: u32) {
        self.forget(piece);
        self.begun.insert(piece);
    }

    /// It is not to be asked for: all is under way, or it is there, or it is not wanted any more.
    pub fn forget(&mut self, piece: u32) {
        if let Some((copies, salt)) = self.keys.remove(&piece) {
            self.fresh.remove(&(copies, salt, piece));
        }
        self.begun.remove(&piece);
    }

    /// The pieces of which nothing was asked for yet.
    pub fn fresh(&self) -> impl Iterator<Item = u32> + '_ {
        self.keys.keys().copied()
    }

    /// Whether nothing is left to ask for.
    pub fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.begun.is_empty()
    }

    /// The best piece for a peer: `urgent` ones first, in that order, then begun ones, then the
    /// rarest. `has` says whether the peer has a piece and may be asked for it.
    pub fn next(
        &self,
        urgent: impl Iterator<Item = u32>,
        has: impl Fn(u32) -> bool,
    ) -> Option<Pick> {
        let mut urgent = urgent.filter(|piece| has(*piece));
        let due = urgent.find_map(|piece| {
            if self.begun.contains(&piece) {
                Some(Pick::Begun(piece))
            } else {
                self.keys.contains_key(&piece).then_some(Pick::Fresh(piece))
            }
        });
        due.or_else(|| {
            self.begun
                .iter()
                .copied()
                .find(|piece| has(*piece))
                .map(Pick::Begun)
        })
        .or_else(|| {
            self.fresh
                .iter()
                .map(|key| key.2)
                .find(|piece| has(*piece))
                .map(Pick::Fresh)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::iter;

    #[test]
    fn due_comes_before_begun_and_begun_before_rare() {
        let mut picker = Picker::default();
        for (piece, copies) in [(0, 9), (1, 9), (2, 1), (3, 5)] {
            picker.want(piece, copies, 0);
        }
        picker.begin(3);
        assert_eq!(
            picker.next([7, 1].into_iter(), |_| true),
            Some(Pick::Fresh(1))
        );
        assert_eq!(
            picker.next([1].into_iter(), |piece| piece != 1),
            Some(Pick::Begun(3))
        );
        picker.forget(3);
        assert_eq!(picker.next(iter::empty(), |_| true), Some(Pick::Fresh(2)));
        picker.recount(2, 20);
        assert_eq!(picker.next(iter::empty(), |_| true), Some(Pick::Fresh(0)));
        assert_eq!(picker.next(iter::empty(), |_| false), None);
    }
}
