//! Messages after the handshake, one frame each: four bytes of length, one of id, a body.

use super::Error;
use super::handshake::array;
use alloc::vec::Vec;

/// Bytes of a piece message before its data, id included.
pub(super) const PIECE_HEADER_LEN: usize = 9;

/// Bytes of a hash span on the wire.
const HASH_SPAN_LEN: usize = 48;

const CHOKE: u8 = 0;
const UNCHOKE: u8 = 1;
const INTERESTED: u8 = 2;
const NOT_INTERESTED: u8 = 3;
const HAVE: u8 = 4;
const BITFIELD: u8 = 5;
const REQUEST: u8 = 6;
pub(super) const PIECE: u8 = 7;
const CANCEL: u8 = 8;
const PORT: u8 = 9;
const SUGGEST: u8 = 13;
const HAVE_ALL: u8 = 14;
const HAVE_NONE: u8 = 15;
const REJECT: u8 = 16;
const ALLOWED_FAST: u8 = 17;
const EXTENDED: u8 = 20;
const HASH_REQUEST: u8 = 21;
const HASHES: u8 = 22;
const HASH_REJECT: u8 = 23;

/// One message. What is long is borrowed from the stream it came in.
///
/// Numbers are as the peer sent them: no piece index here is known to exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// BEP 6: this piece may be requested while choked.
    AllowedFast(u32),
    /// The pieces it has, most significant bit first.
    Bitfield(&'a [u8]),
    /// Takes a request back.
    Cancel {
        /// Which piece.
        piece: u32,
        /// Byte within the piece.
        begin: u32,
        /// Bytes.
        length: u32,
    },
    /// It will answer no more requests.
    Choke,
    /// BEP 10: a message of an extension.
    Extended {
        /// 0 for the extended handshake, else an id the receiver chose in its own.
        id: u8,
        /// The extension's own bytes.
        payload: &'a [u8],
    },
    /// BEP 52: no hashes for this request.
    HashReject(HashSpan),
    /// BEP 52: asks for hashes of a file's tree.
    HashRequest(HashSpan),
    /// BEP 52: hashes of a file's tree.
    Hashes {
        /// The request this answers.
        span: HashSpan,
        /// 32 bytes each: the base layer's, then uncles upward.
        hashes: &'a [u8],
    },
    /// It has this piece now.
    Have(u32),
    /// BEP 6: it has every piece.
    HaveAll,
    /// BEP 6: it has no piece.
    HaveNone,
    /// It wants something we have.
    Interested,
    /// Four zero bytes.
    KeepAlive,
    /// It wants nothing we have.
    NotInterested,
    /// A block of a piece.
    Piece {
        /// Which piece.
        piece: u32,
        /// Byte within the piece.
        begin: u32,
        /// The block.
        data: &'a [u8],
    },
    /// BEP 5: its DHT port.
    Port(u16),
    /// BEP 6: this request will not be answered.
    RejectRequest {
        /// Which piece.
        piece: u32,
        /// Byte within the piece.
        begin: u32,
        /// Bytes.
        length: u32,
    },
    /// Asks for a block.
    Request {
        /// Which piece.
        piece: u32,
        /// Byte within the piece.
        begin: u32,
        /// Bytes.
        length: u32,
    },
    /// BEP 6: this piece would be a good one to fetch.
    Suggest(u32),
    /// It answers requests.
    Unchoke,
    /// An id this crate does not know; to be ignored.
    Unknown(u8),
}

/// BEP 52: which hashes of which tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HashSpan {
    /// The file's `pieces root`.
    pub root: [u8; 32],
    /// The layer, counted up from the leaves.
    pub base_layer: u32,
    /// The first hash within that layer.
    pub index: u32,
    /// How many hashes of that layer.
    pub length: u32,
    /// How many layers upward to prove.
    pub proof_layers: u32,
}

impl HashSpan {
    fn parse(bytes: &[u8]) -> Self {
        Self {
            root: array(&bytes[..32]),
            base_layer: number(bytes, 32),
            index: number(bytes, 36),
            length: number(bytes, 40),
            proof_layers: number(bytes, 44),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.root);
        for number in [self.base_layer, self.index, self.length, self.proof_layers] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

impl<'a> Message<'a> {
    /// The message in `frame`, whose length prefix is gone.
    pub(super) fn parse(frame: &'a [u8]) -> Result<Self, Error> {
        let Some((&id, body)) = frame.split_first() else {
            return Ok(Self::KeepAlive);
        };
        if !is_length_right(id, body.len()) {
            return Err(Error::BadLength {
                id,
                length: frame.len(),
            });
        }
        let block = || (number(body, 0), number(body, 4), number(body, 8));
        Ok(match id {
            CHOKE => Self::Choke,
            UNCHOKE => Self::Unchoke,
            INTERESTED => Self::Interested,
            NOT_INTERESTED => Self::NotInterested,
            HAVE => Self::Have(number(body, 0)),
            BITFIELD => Self::Bitfield(body),
            REQUEST => {
                let (piece, begin, length) = block();
                Self::Request {
                    piece,
                    begin,
                    length,
                }
            }
            PIECE => Self::Piece {
                piece: number(body, 0),
                begin: number(body, 4),
                data: &body[8..],
            },
            CANCEL => {
                let (piece, begin, length) = block();
                Self::Cancel {
                    piece,
                    begin,
                    length,
                }
            }
            PORT => Self::Port(u16::from_be_bytes([body[0], body[1]])),
            SUGGEST => Self::Suggest(number(body, 0)),
            HAVE_ALL => Self::HaveAll,
            HAVE_NONE => Self::HaveNone,
            REJECT => {
                let (piece, begin, length) = block();
                Self::RejectRequest {
                    piece,
                    begin,
                    length,
                }
            }
            ALLOWED_FAST => Self::AllowedFast(number(body, 0)),
            EXTENDED => Self::Extended {
                id: body[0],
                payload: &body[1..],
            },
            HASH_REQUEST => Self::HashRequest(HashSpan::parse(body)),
            HASHES => Self::Hashes {
                span: HashSpan::parse(body),
                hashes: &body[HASH_SPAN_LEN..],
            },
            HASH_REJECT => Self::HashReject(HashSpan::parse(body)),
            _ => Self::Unknown(id),
        })
    }

    /// Append it to `out`, length prefix and all. An unknown message is its id without a body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::AllowedFast(piece) => encode_numbers(out, ALLOWED_FAST, &[piece]),
            Self::Bitfield(bits) => encode_parts(out, BITFIELD, &[bits]),
            Self::Cancel {
                piece,
                begin,
                length,
            } => {
                encode_numbers(out, CANCEL, &[piece, begin, length]);
            }
            Self::Choke => encode_parts(out, CHOKE, &[]),
            Self::Extended { id, payload } => encode_parts(out, EXTENDED, &[&[id], payload]),
            Self::HashReject(span) => encode_hashes(out, HASH_REJECT, &span, &[]),
            Self::HashRequest(span) => encode_hashes(out, HASH_REQUEST, &span, &[]),
            Self::Hashes { span, hashes } => encode_hashes(out, HASHES, &span, hashes),
            Self::Have(piece) => encode_numbers(out, HAVE, &[piece]),
            Self::HaveAll => encode_parts(out, HAVE_ALL, &[]),
            Self::HaveNone => encode_parts(out, HAVE_NONE, &[]),
            Self::Interested => encode_parts(out, INTERESTED, &[]),
            Self::KeepAlive => out.extend_from_slice(&[0; 4]),
            Self::NotInterested => encode_parts(out, NOT_INTERESTED, &[]),
            Self::Piece { piece, begin, data } => {
                encode_piece_header(out, piece, begin, data.len());
                out.extend_from_slice(data);
            }
            Self::Port(port) => encode_parts(out, PORT, &[&port.to_be_bytes()]),
            Self::RejectRequest {
                piece,
                begin,
                length,
            } => {
                encode_numbers(out, REJECT, &[piece, begin, length]);
            }
            Self::Request {
                piece,
                begin,
                length,
            } => {
                encode_numbers(out, REQUEST, &[piece, begin, length]);
            }
            Self::Suggest(piece) => encode_numbers(out, SUGGEST, &[piece]),
            Self::Unchoke => encode_parts(out, UNCHOKE, &[]),
            Self::Unknown(id) => encode_parts(out, id, &[]),
        }
    }
}

/// Append the 13 bytes that stand before a block of `length` bytes, for callers that have the
/// block elsewhere and would rather not copy it.
pub fn encode_piece_header(out: &mut Vec<u8>, piece: u32, begin: u32, length: usize) {
    out.extend_from_slice(&prefix(PIECE_HEADER_LEN + length));
    out.push(PIECE);
    out.extend_from_slice(&piece.to_be_bytes());
    out.extend_from_slice(&begin.to_be_bytes());
}

/// The piece message whose header is `header` and whose block is `data`.
pub(super) fn piece<'a>(header: &[u8; PIECE_HEADER_LEN], data: &'a [u8]) -> Message<'a> {
    Message::Piece {
        piece: number(header, 1),
        begin: number(header, 5),
        data,
    }
}

const fn is_length_right(id: u8, body: usize) -> bool {
    match id {
        CHOKE | UNCHOKE | INTERESTED | NOT_INTERESTED | HAVE_ALL | HAVE_NONE => body == 0,
        HAVE | SUGGEST | ALLOWED_FAST => body == 4,
        REQUEST | CANCEL | REJECT => body == 12,
        PIECE => body >= PIECE_HEADER_LEN - 1,
        PORT => body == 2,
        EXTENDED => body >= 1,
        HASH_REQUEST | HASH_REJECT => body == HASH_SPAN_LEN,
        HASHES => body >= HASH_SPAN_LEN && (body - HASH_SPAN_LEN).is_multiple_of(32),
        _ => true,
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array(&bytes[at..at + 4]))
}

fn encode_numbers(out: &mut Vec<u8>, id: u8, numbers: &[u32]) {
    out.extend_from_slice(&prefix(1 + 4 * numbers.len()));
    out.push(id);
    for number in numbers {
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn encode_parts(out: &mut Vec<u8>, id: u8, parts: &[&[u8]]) {
    out.extend_from_slice(&prefix(
        1 + parts.iter().map(|part| part.len()).sum::<usize>(),
    ));
    out.push(id);
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn encode_hashes(out: &mut Vec<u8>, id: u8, span: &HashSpan, hashes: &[u8]) {
    out.extend_from_slice(&prefix(1 + HASH_SPAN_LEN + hashes.len()));
    out.push(id);
    span.encode(out);
    out.extend_from_slice(hashes);
}

fn prefix(length: usize) -> [u8; 4] {
    debug_assert!(length <= u32::MAX as usize);
    (length as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_message_one_byte_short_or_long_is_refused() {
        for (id, body) in [
            (CHOKE, 0),
            (HAVE, 4),
            (REQUEST, 12),
            (PORT, 2),
            (HASH_REQUEST, 48),
        ] {
            for body in [body + 1, usize::max(body, 1) - 1] {
                let mut frame = alloc::vec![0; 1 + body];
                frame[0] = id;
                let refused = Message::parse(&frame).is_err();
                assert_eq!(refused, !(id == CHOKE && body == 0), "id {id}, body {body}");
            }
        }
    }

    #[test]
    fn hashes_come_in_whole_ones() {
        let mut frame = alloc::vec![0; 1 + 48 + 64];
        frame[0] = HASHES;
        assert!(
            matches!(Message::parse(&frame), Ok(Message::Hashes { hashes, .. }) if hashes.len() == 64)
        );
        frame.push(0);
        assert_eq!(
            Message::parse(&frame),
            Err(Error::BadLength {
                id: HASHES,
                length: 114
            })
        );
    }
}
