//! Verified pieces in memory, and the ledger of every byte that the window may hold.
//!
//! It stores and counts. What to keep and what to let go is decided by the swarm, which knows
//! where the readers are.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::hash::Sha256Digest;
use crate::ordered::Map;

/// A verified piece as it lies in memory.
#[derive(Debug)]
pub struct Cached {
    /// The piece without padding.
    pub data: Bytes,
    /// SHA-256 of each block, where they are known (BEP 52), to answer others' hash requests.
    pub leaves: Vec<Sha256Digest>,
}

/// Verified pieces, and the ledger.
///
/// Bytes are reserved before anything is asked of a peer, stay reserved while the piece is
/// assembled and kept, and are released when it is let go. `used() <= cap()` always.
#[derive(Debug)]
pub struct Cache {
    pieces: Map<u32, Cached>,
    cap: u64,
    used: u64,
    peak: u64,
}

impl Cache {
    /// An empty cache of at most `cap` bytes.
    pub const fn new(cap: u64) -> Self {
        Self {
            pieces: Map::new(),
            cap,
            used: 0,
            peak: 0,
        }
    }

    /// The most bytes that may be reserved: W.
    pub const fn cap(&self) -> u64 {
        self.cap
    }

    /// Bytes reserved now: kept pieces and pieces being assembled.
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// The most bytes that ever were reserved.
    pub const fn peak(&self) -> u64 {
        self.peak
    }

    /// Sets `bytes` aside, if they fit.
    #[must_use]
    pub fn reserve(&mut self, bytes: u64) -> bool {
        let fits = self.used.saturating_add(bytes) <= self.cap;
        if fits {
            self.used += bytes;
            self.peak = self.peak.max(self.used);
        }
        fits
    }

    /// Gives back what was reserved for a piece that will not be kept.
    pub fn release(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.used, "more released than reserved");
        self.used = self.used.saturating_sub(bytes);
    }

    /// Keeps a verified piece, whose bytes must have been reserved.
    pub fn insert(&mut self, index: u32, piece: Cached) {
        let before = self.pieces.insert(index, piece);
        debug_assert!(before.is_none(), "piece {index} kept twice");
    }

    /// Lets a piece go; its bytes are released. The bytes released, if it was there.
    pub fn evict(&mut self, index: u32) -> Option<u64> {
        let bytes = self.pieces.remove(&index)?.data.len() as u64;
        self.release(bytes);
        Some(bytes)
    }

    /// A piece, if it is kept.
    pub fn piece(&self, index: u32) -> Option<&Cached> {
        self.pieces.get(&index)
    }

    /// Whether a piece is kept.
    pub fn has(&self, index: u32) -> bool {
        self.pieces.contains_key(&index)
    }

    /// The kept pieces, ascending.
    pub fn indices(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.pieces.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_not_reserved() {
        let mut cache = Cache::new(100);
        assert!(cache.reserve(60));
        assert!(!cache.reserve(41));
        assert!(cache.reserve(40));
        cache.insert(
            3,
            Cached {
                data: alloc::vec![0; 40].into(),
                leaves: Vec::new(),
            },
        );
        assert_eq!(cache.evict(3), Some(40));
        assert_eq!(cache.evict(3), None);
        cache.release(60);
        assert_eq!((cache.used(), cache.peak()), (0, 100));
    }
}
