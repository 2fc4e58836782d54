//! How much of a stranger's torrent to believe.

use crate::bencode;

/// What a torrent may ask of its reader. The number of pieces is bounded by
/// [`layout::MAX_PIECES`](crate::layout::MAX_PIECES).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Longest `.torrent` file or info dictionary, in bytes.
    pub torrent_bytes: usize,
    /// Depth and number of bencoded values.
    pub bencode: bencode::Limits,
    /// Largest piece, in bytes: a v1 piece is held in memory whole before it is checked.
    pub piece_length: u32,
    /// Most files, padding counted.
    pub files: usize,
    /// Most components of a path.
    pub path_depth: usize,
    /// Most bytes of all paths together, each component counted with [`Limits::COMPONENT`] more.
    pub path_bytes: usize,
    /// Trackers that are kept; more are passed over.
    pub trackers: usize,
    /// Web seeds that are kept; more are passed over.
    pub web_seeds: usize,
}

impl Limits {
    /// What a path's component costs in memory besides its bytes, about.
    pub const COMPONENT: usize = 32;

    /// What a web page can afford.
    pub const BROWSER: Self = Self {
        torrent_bytes: 8 << 20,
        piece_length: 16 << 20,
        path_bytes: 16 << 20,
        ..Self::NATIVE
    };

    /// What a native process can afford.
    pub const NATIVE: Self = Self {
        torrent_bytes: 10_000_000,
        bencode: bencode::Limits {
            depth: bencode::MAX_DEPTH,
            tokens: 3_000_000,
        },
        piece_length: 128 << 20,
        files: 100_000,
        path_depth: 100,
        path_bytes: 64 << 20,
        trackers: 32,
        web_seeds: 16,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::NATIVE
    }
}
