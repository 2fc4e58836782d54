//! Making torrents: what to hash, and the file that the hashes make.

/// Smallest piece we make, in bytes: a block.
pub const MIN_PIECE_LENGTH: u32 = crate::layout::BLOCK_LENGTH;

/// Largest piece we make, in bytes: what a browser takes.
pub const MAX_PIECE_LENGTH: u32 = 16 << 20;

/// Largest piece of which a 48 MiB look-ahead holds 32: enough to be shared out rarest first.
const MAX_WINDOWED_PIECE_LENGTH: u32 = 1 << 20;

/// Pieces up to which a torrent's description, have-messages and maps stay small.
const WANTED_PIECES: u64 = 4_000;

/// Fewest pieces of a small torrent, so that even a short film is shared out in parts.
const FEWEST_PIECES: u64 = 16;

/// Most pieces whose v1 and v2 hashes fit a browser's 8 MiB with room to spare.
const MOST_PIECES: u64 = 1 << 16;

/// A piece length for this many bytes: a power of two from 16 KiB to 16 MiB.
///
/// - Up to 1 MiB in all: 16 KiB, one block.
/// - From there 64 KiB (16 pieces and more), doubled while there are over 4,000 pieces, up to
///   1 MiB, of which a 48 MiB look-ahead holds 48.
/// - Over 3.9 GiB few pieces and a well-filled window exclude each other. The window wins, for
///   playing hangs on it, and a longer description costs 20 to 52 bytes a piece once.
/// - Past 64 GiB that description would outgrow what a browser takes, and pieces grow after all.
pub fn choose_piece_length(total: u64) -> u32 {
    let small = 4 * MIN_PIECE_LENGTH;
    if total < FEWEST_PIECES * u64::from(small) {
        return MIN_PIECE_LENGTH;
    }
    let mut length = small;
    while length < MAX_WINDOWED_PIECE_LENGTH && total.div_ceil(length.into()) > WANTED_PIECES {
        length *= 2;
    }
    while length < MAX_PIECE_LENGTH && total.div_ceil(length.into()) > MOST_PIECES {
        length *= 2;
    }
    length
}
