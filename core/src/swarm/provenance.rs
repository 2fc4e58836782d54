//! Where each piece came from, for those who watch.
//!
//! It remembers, and outlives the pieces themselves; nothing is decided by it.

use alloc::vec;
use alloc::vec::Vec;

/// Bit: some of the piece came from peers.
pub const FROM_PEERS: u8 = 1;
/// Bit: some of the piece came from an origin.
pub const FROM_ORIGINS: u8 = 2;
/// Bit: the piece was here already, in storage.
pub const FROM_STORAGE: u8 = 4;

/// The sources of every piece, as bits; 0 for a piece that never was here.
#[derive(Debug)]
pub(super) struct Provenance(Vec<u8>);

impl Provenance {
    pub fn new(pieces: u32) -> Self {
        Self(vec![0; pieces as usize])
    }

    /// A piece became whole, by these.
    pub fn record(&mut self, piece: u32, sources: u8) {
        if let Some(of) = self.0.get_mut(piece as usize) {
            *of = sources;
        }
    }

    /// Where it came from; what we have and nobody sent was here.
    pub fn of(&self, piece: u32, is_here: bool) -> u8 {
        match self.0.get(piece as usize) {
            None | Some(0) if is_here => FROM_STORAGE,
            None => 0,
            Some(sources) => *sources,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sent_was_in_storage_and_what_left_is_remembered() {
        let mut provenance = Provenance::new(3);
        provenance.record(1, FROM_PEERS);
        assert_eq!(provenance.of(0, false), 0);
        assert_eq!(provenance.of(0, true), FROM_STORAGE);
        assert_eq!(provenance.of(1, true), FROM_PEERS);
        assert_eq!(provenance.of(1, false), FROM_PEERS);
        assert_eq!(provenance.of(9, false), 0);
    }
}
