//! From a byte stream, cut anywhere, to frames.

use super::handshake::{HANDSHAKE_LEN, PROTOCOL};
use super::message::{self, PIECE_HEADER_LEN};
use super::{Error, Handshake, MAX_FRAME, Message};
use alloc::vec::Vec;

/// Bytes of a frame's length.
const PREFIX_LEN: usize = 4;

/// One thing a peer said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// The first thing, once.
    Handshake(Handshake),
    /// Everything after.
    Message(Message<'a>),
}

/// Reads one peer's byte stream: a handshake, then messages.
///
/// How the stream is cut changes nothing. A frame that lies whole in the input is read in place,
/// and so is a block whose header came before it; only what is cut elsewhere is copied. It holds
/// one unfinished frame at most.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The beginning of a frame whose end has not come yet, or (if `is_read`) a frame handed out.
    begun: Vec<u8>,
    is_read: bool,
    is_greeted: bool,
    is_broken: bool,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next frame in `input`, which moves past it; `None` when all of `input` is taken in.
    ///
    /// ```
    /// # use headwater_core::wire::{Decoder, Frame};
    /// # fn received(decoder: &mut Decoder, mut bytes: &[u8]) -> Result<(), headwater_core::wire::Error> {
    /// while let Some(frame) = decoder.next(&mut bytes)? {
    ///     // …
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the stream is not BitTorrent. It then stays so: the rest of it is never read.
    pub fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Frame<'a>>, Error> {
        if self.is_broken {
            *input = &[];
            return Ok(None);
        }
        if self.is_read {
            self.begun.clear();
            self.is_read = false;
        }
        let length = match self.frame_length(input) {
            Ok(Some(length)) => length,
            Ok(None) => {
                self.begun.extend_from_slice(input);
                *input = &[];
                return Ok(None);
            }
            Err(error) => {
                self.is_broken = true;
                return Err(error);
            }
        };
        self.cut(length, input)
    }

    /// Bytes of the frame at hand, prefix included, if `begun` and `input` together hold it whole.
    fn frame_length(&self, input: &[u8]) -> Result<Option<usize>, Error> {
        let here = self.begun.len() + input.len();
        if !self.is_greeted {
            let mut first = self.begun.iter().chain(input).zip(PROTOCOL);
            if !first.all(|(said, expected)| said == expected) {
                return Err(Error::NotBitTorrent);
            }
            return Ok((here >= HANDSHAKE_LEN).then_some(HANDSHAKE_LEN));
        }
        if here < PREFIX_LEN {
            return Ok(None);
        }
        let mut prefix = [0; PREFIX_LEN];
        for (to, from) in prefix.iter_mut().zip(self.begun.iter().chain(input)) {
            *to = *from;
        }
        let length = u32::from_be_bytes(prefix);
        if length as usize > MAX_FRAME {
            return Err(Error::FrameTooLong(length));
        }
        let whole = PREFIX_LEN + length as usize;
        Ok((here >= whole).then_some(whole))
    }

    /// Take the frame of `whole` bytes from `begun` and `input`, which hold it.
    fn cut<'a, 'i: 'a>(
        &'a mut self,
        whole: usize,
        input: &mut &'i [u8],
    ) -> Result<Option<Frame<'a>>, Error> {
        let (rest_of_it, after) = input.split_at(whole - self.begun.len());
        *input = after;
        let is_read_in_place = self.begun.is_empty();
        self.is_read = !is_read_in_place;
        if self.is_greeted && is_block_apart(&self.begun) {
            return Ok(Some(Frame::Message(message::piece(
                &header_of(&self.begun),
                rest_of_it,
            ))));
        }
        let frame: &'a [u8] = if is_read_in_place {
            rest_of_it
        } else {
            self.begun.extend_from_slice(rest_of_it);
            &self.begun
        };
        let read = if self.is_greeted {
            Message::parse(&frame[PREFIX_LEN..]).map(Frame::Message)
        } else {
            self.is_greeted = true;
            Handshake::parse(&super::handshake::array(frame)).map(Frame::Handshake)
        };
        self.is_broken = read.is_err();
        read.map(Some)
    }
}

/// Whether exactly the header of a piece message came before: WebTorrent sends it as a data
/// channel message of its own, and the block as the next.
fn is_block_apart(begun: &[u8]) -> bool {
    begun.len() == PREFIX_LEN + PIECE_HEADER_LEN && begun[PREFIX_LEN] == message::PIECE
}

fn header_of(begun: &[u8]) -> [u8; PIECE_HEADER_LEN] {
    super::handshake::array(&begun[PREFIX_LEN..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{PeerId, SwarmHash};
    use crate::rng::Rng;
    use crate::wire::{Features, HashSpan};
    use alloc::format;
    use alloc::string::String;

    fn stream() -> Vec<u8> {
        let mut out = Vec::new();
        let hello = Handshake {
            features: Features::ALL,
            swarm: SwarmHash([1; 20]),
            peer_id: PeerId([2; 20]),
        };
        hello.encode(&mut out);
        let span = HashSpan {
            root: [9; 32],
            base_layer: 1,
            index: 2,
            length: 4,
            proof_layers: 3,
        };
        let block = [0xab; 16384];
        let (piece, begin, length) = (3, 16384, 16384);
        for message in [
            Message::HaveNone,
            Message::HaveAll,
            Message::Bitfield(&[0xff, 0x80]),
            Message::Extended {
                id: 0,
                payload: b"d1:mdee",
            },
            Message::KeepAlive,
            Message::Interested,
            Message::Unchoke,
            Message::Request {
                piece,
                begin,
                length,
            },
            Message::Piece {
                piece,
                begin,
                data: &block,
            },
            Message::Piece {
                piece,
                begin: 0,
                data: &[],
            },
            Message::Cancel {
                piece,
                begin,
                length,
            },
            Message::RejectRequest {
                piece,
                begin,
                length,
            },
            Message::Have(5),
            Message::Suggest(6),
            Message::AllowedFast(7),
            Message::HashRequest(span),
            Message::Hashes {
                span,
                hashes: &[5; 96],
            },
            Message::HashReject(span),
            Message::Port(6881),
            Message::Unknown(200),
            Message::Choke,
            Message::NotInterested,
        ] {
            message.encode(&mut out);
        }
        out
    }

    /// What the decoder says of `stream` when it comes in pieces as long as `cut` says.
    fn told(stream: &[u8], mut cut: impl FnMut() -> usize) -> Vec<String> {
        let (mut decoder, mut said, mut rest) = (Decoder::new(), Vec::new(), stream);
        while !rest.is_empty() {
            let (mut input, after) = rest.split_at(cut().clamp(1, rest.len()));
            rest = after;
            loop {
                match decoder.next(&mut input) {
                    Ok(Some(frame)) => said.push(format!("{frame:?}")),
                    Ok(None) => break,
                    Err(error) => said.push(format!("{error}")),
                }
            }
        }
        said
    }

    #[test]
    fn a_stream_cut_anywhere_says_the_same() {
        let stream = stream();
        let whole = told(&stream, || usize::MAX);
        assert_eq!(whole.len(), 23);
        assert_eq!(whole, told(&stream, || 1), "byte by byte");
        for seed in 0..200 {
            let mut rng = Rng::seeded(seed);
            assert_eq!(
                whole,
                told(&stream, || rng.below(90) as usize),
                "seed {seed}, small cuts"
            );
            assert_eq!(
                whole,
                told(&stream, || rng.below(9000) as usize),
                "seed {seed}, large cuts"
            );
        }
    }

    #[test]
    fn garbage_cut_anywhere_is_refused_the_same() {
        let good = stream();
        for seed in 0..2000 {
            let mut rng = Rng::seeded(seed);
            let mut bad = good.clone();
            for _ in 0..=rng.below(3) {
                let at = rng.below(bad.len() as u32) as usize;
                bad[at] = rng.next_u64() as u8;
            }
            let whole = told(&bad, || usize::MAX);
            assert_eq!(
                whole,
                told(&bad, || rng.below(4000) as usize),
                "seed {seed}"
            );
        }
    }

    #[test]
    fn a_block_in_one_input_is_not_copied() {
        let bytes = stream();
        let mut decoder = Decoder::new();
        let mut input = &bytes[..];
        while let Some(frame) = decoder.next(&mut input).unwrap() {
            if let Frame::Message(Message::Piece { data, .. }) = frame {
                assert!(bytes.as_ptr_range().contains(&data.as_ptr()) || data.is_empty());
            }
        }
        assert_eq!(decoder.begun.capacity(), 0);
    }

    #[test]
    fn a_block_behind_its_own_header_is_not_copied() {
        let mut bytes = Vec::new();
        Message::Piece {
            piece: 1,
            begin: 2,
            data: &[3; 16384],
        }
        .encode(&mut bytes);
        let mut decoder = Decoder {
            is_greeted: true,
            ..Decoder::default()
        };
        let (mut header, mut block) = bytes.split_at(13);
        assert_eq!(decoder.next(&mut header), Ok(None));
        let block_at = block.as_ptr();
        let Ok(Some(Frame::Message(Message::Piece {
            piece: 1,
            begin: 2,
            data,
        }))) = decoder.next(&mut block)
        else {
            panic!("a piece message")
        };
        assert_eq!((data.as_ptr(), data.len()), (block_at, 16384));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_by_its_length_alone() {
        let mut decoder = Decoder {
            is_greeted: true,
            ..Decoder::default()
        };
        let length = MAX_FRAME as u32 + 1;
        let prefix = length.to_be_bytes();
        assert_eq!(
            decoder.next(&mut &prefix[..]),
            Err(Error::FrameTooLong(length))
        );
        assert_eq!(decoder.begun.capacity(), 0);
        assert_eq!(
            decoder.next(&mut &[0; 100][..]),
            Ok(None),
            "and nothing after it is read"
        );
        assert_eq!(decoder.begun.capacity(), 0);
    }

    #[test]
    fn a_stranger_is_refused_at_the_first_wrong_byte() {
        let mut decoder = Decoder::new();
        assert_eq!(decoder.next(&mut &b"G"[..]), Err(Error::NotBitTorrent));
    }

    #[test]
    fn no_stream_makes_it_hold_more_than_one_frame() {
        let mut decoder = Decoder {
            is_greeted: true,
            ..Decoder::default()
        };
        let mut rng = Rng::seeded(1);
        let mut chunk = [0; 1500];
        let mut bytes = Vec::new();
        for _ in 0..100 {
            Message::Piece {
                piece: 0,
                begin: 0,
                data: &[0; 1 << 17],
            }
            .encode(&mut bytes);
        }
        for input in bytes.chunks(1 + rng.below(60_000) as usize) {
            let mut input = input;
            while decoder.next(&mut input).unwrap().is_some() {}
            assert!(decoder.begun.len() <= PREFIX_LEN + MAX_FRAME);
        }
        rng.fill(&mut chunk);
        let _ = decoder.next(&mut &chunk[..]);
    }
}
