//! What a peer can do wrong.

use core::fmt;
use serde::Serialize;

/// What a peer did to be dropped.
///
/// For logs and counters; the swarm acts the same on all of them. Those for which
/// [`Fault::is_malice`] holds also bar the peer's id from coming back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// A bitfield, piece index, span or flag that contradicts the torrent or an earlier message.
    BadMessage,
    /// Bytes that do not belong to what they were said to be: a block or piece with the wrong hash.
    BadBytes,
    /// Hashes that nobody asked for, or that do not lead to the root.
    BadHashes,
    /// Metadata of the wrong size or hash.
    BadMetadata,
    /// We met ourselves.
    Ourselves,
    /// A frame longer than any message may be.
    FrameTooLong,
    /// More requests than we said we would queue, again and again.
    Flood,
    /// Nothing came for too long.
    Silent,
    /// It already is connected.
    Twice,
    /// A handshake for another torrent.
    WrongTorrent,
    /// It was dropped for bad bytes before.
    Barred,
    /// There is no place for one more peer.
    Full,
    /// The swarm is closing.
    Closing,
}

impl Fault {
    /// Whether no honest peer can do this by accident.
    pub const fn is_malice(self) -> bool {
        matches!(self, Self::BadBytes | Self::BadHashes | Self::BadMetadata)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadBytes => "it sent bytes with the wrong hash",
            Self::BadHashes => "it sent hashes that were not asked for or are wrong",
            Self::BadMessage => "it sent a message that makes no sense for this torrent",
            Self::BadMetadata => "it sent wrong metadata",
            Self::Barred => "it sent bad bytes before",
            Self::Closing => "the torrent was removed",
            Self::Flood => "it asked for more than it was told we queue",
            Self::FrameTooLong => "it sent a message that is too long",
            Self::Full => "there is no place for one more peer",
            Self::Ourselves => "it is ourselves",
            Self::Silent => "it said nothing for too long",
            Self::Twice => "it is connected already",
            Self::WrongTorrent => "it is there for another torrent",
        })
    }
}
