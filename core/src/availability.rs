//! How many peers have each piece.
//!
//! Counting only. Peers with everything are counted once for all pieces, so that a seed's arrival
//! or leaving costs the same whatever the number of pieces.

use alloc::vec;
use alloc::vec::Vec;

/// Copies of each piece among the connected peers.
#[derive(Clone, Debug, Default)]
pub struct Availability {
    counts: Vec<u32>,
    seeds: u32,
}

impl Availability {
    /// Nobody has any of `pieces` pieces yet.
    pub fn new(pieces: u32) -> Self {
        Self {
            counts: vec![0; pieces as usize],
            seeds: 0,
        }
    }

    /// How many connected peers have piece `index`.
    pub fn of(&self, index: u32) -> u32 {
        self.seeds + self.rarity(index)
    }

    /// How many connected peers that lack other pieces have this one: orders pieces by rarity, and
    /// a seed's coming or going changes it for none.
    pub fn rarity(&self, index: u32) -> u32 {
        self.counts.get(index as usize).copied().unwrap_or(0)
    }

    /// A peer that has everything came.
    pub fn add_seed(&mut self) {
        self.seeds += 1;
    }

    /// A peer that had everything left, or no longer has everything.
    pub fn remove_seed(&mut self) {
        debug_assert!(self.seeds > 0);
        self.seeds = self.seeds.saturating_sub(1);
    }

    /// A peer has piece `index` now.
    pub fn add(&mut self, index: u32) {
        if let Some(count) = self.counts.get_mut(index as usize) {
            *count += 1;
        }
    }

    /// A peer no longer has piece `index`, or left.
    pub fn remove(&mut self, index: u32) {
        if let Some(count) = self.counts.get_mut(index as usize) {
            debug_assert!(*count > 0);
            *count = count.saturating_sub(1);
        }
    }

    /// Copies of the whole torrent in the swarm: whole part, and the share of pieces that have one more.
    pub fn distributed_copies(&self) -> f64 {
        let Some(least) = self.counts.iter().min() else {
            return 0.0;
        };
        let more = self.counts.iter().filter(|count| *count > least).count();
        f64::from(self.seeds + least) + more as f64 / self.counts.len() as f64
    }
}
