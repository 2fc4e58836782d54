//! What a swarm is made of: its numbers, and where its torrent comes from.

use alloc::boxed::Box;

use crate::ids::PeerId;
use crate::metainfo::Metainfo;
use crate::metainfo::magnet::Magnet;

/// A swarm's numbers.
#[derive(Clone, Debug)]
pub struct Config {
    /// How we call ourselves (BEP 20).
    pub peer_id: PeerId,
    /// What luck comes from: the same seed and the same inputs give the same outputs.
    pub seed: u64,
    /// W: the most bytes of verified pieces and pieces under way. More means fewer stalls and more
    /// to share; it is taken from the page's memory. Default 64 MiB.
    pub window_bytes: u64,
    /// Peers at the most; each costs some KiB, and its share of our upload. Default 64.
    pub max_peers: usize,
    /// Peers answered at a time. More spreads the upload thinner. Default 32.
    pub upload_slots: usize,
    /// Whether we give at all. Default true.
    pub upload: bool,
    /// In which order pieces of the window are fetched. Default [`Order::Rarest`].
    pub order: Order,
    /// Bytes of metadata we fetch for a magnet at the most. Default 8 MiB.
    pub max_metadata: usize,
}

impl Config {
    /// The defaults, for a peer of this name and luck.
    pub const fn new(peer_id: PeerId, seed: u64) -> Self {
        Self {
            peer_id,
            seed,
            window_bytes: 64 << 20,
            max_peers: 64,
            upload_slots: 32,
            upload: true,
            order: Order::Rarest,
            max_metadata: 8 << 20,
        }
    }

    /// The part of W that may lie ahead of the readers: three quarters. The rest is kept behind to share.
    pub const fn ahead_bytes(&self) -> u64 {
        self.window_bytes / 4 * 3
    }
}

/// An order of fetching.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Order {
    /// The readers' next pieces by deadline, of the rest what the fewest have.
    #[default]
    Rarest,
    /// One piece after the other: what all fetch in one order nobody can give the others. To compare with.
    Strict,
}

/// Where a swarm's torrent comes from.
#[derive(Debug)]
pub enum Source {
    /// The driver's storage has all of it.
    Complete(Box<Metainfo>),
    /// Only its name is known; the rest comes from peers (BEP 9).
    Magnet(Box<Magnet>),
    /// It is known, and its bytes are fetched as they are read.
    Metainfo(Box<Metainfo>),
}
