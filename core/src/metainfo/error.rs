//! Why bytes are no torrent that we take.

use alloc::string::String;
use core::fmt;

use crate::bencode;
use crate::layout::LayoutError;

/// What is wrong with a torrent, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// It is not bencoding.
    Bencode(bencode::Error),
    /// A file cannot be taken.
    File {
        /// Its path, as far as it could be read.
        path: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The v1 and v2 parts of a hybrid describe different files.
    Hybrid {
        /// Where they differ.
        why: &'static str,
    },
    /// A key's value cannot be taken.
    Invalid {
        /// The key.
        key: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// Files and pieces do not fit.
    Layout(LayoutError),
    /// A key that must be there is not.
    Missing(&'static str),
    /// It is of a version that came after 2.
    NewerVersion(i64),
    /// It is no dictionary.
    NotATorrent,
    /// There is not one hash for each piece.
    PieceHashes {
        /// Pieces of the torrent.
        expected: u64,
        /// Hashes found.
        found: u64,
    },
    /// A file's piece layer cannot be taken.
    PieceLayer {
        /// The file.
        file: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The piece length is not one we take.
    PieceLength {
        /// The length.
        length: i64,
        /// What is wrong.
        why: &'static str,
    },
    /// More bytes than the limit.
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// More of something than the limit.
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The info dictionary is not the one that was asked for.
    WrongInfoHash,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bencode(error) => write!(f, "not a torrent: {error}"),
            Self::File { path, why } => write!(f, "the torrent's file \"{path}\": {why}"),
            Self::Hybrid { why } => {
                write!(f, "the torrent's v1 and v2 parts do not agree: {why}")
            }
            Self::Invalid { key, why } => write!(f, "the torrent's \"{key}\": {why}"),
            Self::Layout(error) => write!(f, "the torrent's files: {error}"),
            Self::Missing(key) => write!(f, "the torrent has no \"{key}\""),
            Self::NewerVersion(version) => write!(
                f,
                "the torrent is of version {version}; versions 1 and 2 are supported"
            ),
            Self::NotATorrent => f.write_str("not a torrent: it is no dictionary"),
            Self::PieceHashes { expected, found } => write!(
                f,
                "the torrent has {expected} pieces but hashes for {found}"
            ),
            Self::PieceLayer { file, why } => {
                write!(f, "the torrent's piece layer of \"{file}\": {why}")
            }
            Self::PieceLength { length, why } => {
                write!(f, "the torrent's piece length {length}: {why}")
            }
            Self::TooLong { limit } => {
                write!(f, "the torrent is longer than {limit} bytes")
            }
            Self::TooMany { what, limit } => {
                write!(f, "the torrent has more than {limit} {what}")
            }
            Self::WrongInfoHash => {
                f.write_str("the info dictionary does not have the info hash asked for")
            }
        }
    }
}

impl core::error::Error for Error {}

impl From<bencode::Error> for Error {
    fn from(error: bencode::Error) -> Self {
        Self::Bencode(error)
    }
}

impl From<LayoutError> for Error {
    fn from(error: LayoutError) -> Self {
        Self::Layout(error)
    }
}
