//! The peer wire: handshakes and messages as bytes (BEP 3, 6, 9, 10, 52 and 54).
//!
//! A codec, no more. It keeps no state of a peer beyond the unfinished frame, and whether a
//! message makes sense (a piece that exists, a block that was asked for) is for others to say.

mod decoder;
pub mod extended;
mod handshake;
pub mod introduction;
mod message;

pub use decoder::{Decoder, Frame};
pub use handshake::{Features, HANDSHAKE_LEN, Handshake};
pub use message::{HashSpan, Message, encode_piece_header};

use core::fmt;

/// Most bytes of data in one frame: room for the longest block asked for by anyone, or for the
/// bitfield of a million pieces.
pub const MAX_DATA: usize = 1 << 17;

/// Longest frame we accept, without its length prefix: the most data behind a piece message's header.
pub const MAX_FRAME: usize = MAX_DATA + message::PIECE_HEADER_LEN;

/// What is wrong with a byte stream. Any of these ends the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// A message whose length cannot be that of its id.
    BadLength {
        /// The message's id.
        id: u8,
        /// Its length, id included.
        length: usize,
    },
    /// A frame announced with this length, over [`MAX_FRAME`].
    FrameTooLong(u32),
    /// An extension message that is not the bencoded dictionary it should be.
    MalformedExtension,
    /// The stream does not begin as a BitTorrent handshake does.
    NotBitTorrent,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadLength { id, length } => write!(f, "message {id} of {length} bytes"),
            Self::FrameTooLong(length) => write!(f, "frame of {length} bytes"),
            Self::MalformedExtension => f.write_str("malformed extension message"),
            Self::NotBitTorrent => f.write_str("not a BitTorrent handshake"),
        }
    }
}

impl core::error::Error for Error {}
