//! What extension messages carry (BEP 10): the extended handshake, `ut_metadata` (BEP 9) and
//! `lt_donthave` (BEP 54).

use super::Error;
use super::handshake::array;
use crate::bencode::{self, Document, Limits, Value};
use crate::ordered::Map;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

/// The id of the extended handshake itself.
pub const HANDSHAKE_ID: u8 = 0;

/// BEP 9's name in an extended handshake.
pub const UT_METADATA: &str = "ut_metadata";

/// BEP 54's name in an extended handshake.
pub const LT_DONTHAVE: &str = "lt_donthave";

/// The name in an extended handshake of our own word for the blocks of a piece under way: [`Blocks`].
pub const HW_BLOCKS: &str = "hw_blocks";

/// The name in an extended handshake of our own word for how busy a peer is: [`State`].
pub const HW_STATE: &str = "hw_state";

/// Bytes of metadata in one message (BEP 9); the last has what remains.
pub const METADATA_BLOCK: usize = 1 << 14;

/// Extensions of one peer that we remember.
const MAX_EXTENSIONS: usize = 32;

/// Bytes of a name (of an extension, of a client) that we remember.
const MAX_NAME: usize = 64;

/// What an extension's dictionary may hold, and how deep.
const MAX_TOKENS: usize = 512;
const MAX_DEPTH: usize = 8;

/// What a peer says of its extensions. A later one adds to it (BEP 10).
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct ExtendedHandshake {
    /// The ids it wants to be called by, by extension; 0 turns one off.
    pub m: Map<String, u8>,
    /// Bytes of the info dictionary, if it has it.
    pub metadata_size: Option<u64>,
    /// Requests it keeps queued; more may be dropped.
    pub reqq: Option<u32>,
    /// It will not download (BEP 21).
    pub upload_only: bool,
    /// Client name and version.
    pub v: Option<String>,
}

impl ExtendedHandshake {
    /// Read an extended message's payload.
    ///
    /// Values of the wrong type are taken as absent.
    ///
    /// # Errors
    /// [`Error::MalformedExtension`] if it is no bencoded dictionary.
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        let (document, _) = read(payload)?;
        let root = document.root();
        let int = |key: &[u8]| root.get(key).and_then(|value| value.int());
        Ok(Self {
            m: root.get(b"m").map(extensions).unwrap_or_default(),
            metadata_size: int(b"metadata_size").and_then(|size| size.try_into().ok()),
            reqq: int(b"reqq").and_then(|reqq| reqq.try_into().ok()),
            upload_only: int(b"upload_only").is_some_and(|flag| flag != 0),
            v: root.get(b"v").and_then(|v| v.bytes()).map(name),
        })
    }

    /// The payload of an extended message with id [`HANDSHAKE_ID`].
    pub fn to_payload(&self) -> Vec<u8> {
        let mut out = String::from("d1:md");
        for (name, id) in &self.m {
            let _ = write!(out, "{}:{name}i{id}e", name.len());
        }
        out.push('e');
        if let Some(size) = self.metadata_size {
            let _ = write!(out, "13:metadata_sizei{size}e");
        }
        if let Some(reqq) = self.reqq {
            let _ = write!(out, "4:reqqi{reqq}e");
        }
        if self.upload_only {
            out.push_str("11:upload_onlyi1e");
        }
        if let Some(v) = &self.v {
            let _ = write!(out, "1:v{}:{v}", v.len());
        }
        out.push('e');
        out.into_bytes()
    }

    /// Takes what a later one says: it adds to the first (BEP 10). Of extensions no more than from one.
    pub fn add(&mut self, said: Self) {
        for (name, id) in said.m {
            if self.m.len() < MAX_EXTENSIONS || self.m.contains_key(&name) {
                self.m.insert(name, id);
            }
        }
        self.metadata_size = said.metadata_size.or(self.metadata_size);
        self.reqq = said.reqq.or(self.reqq);
        self.upload_only |= said.upload_only;
        self.v = said.v.or(self.v.take());
    }

    /// The id it wants for `extension`, if it speaks it.
    pub fn id_of(&self, extension: &str) -> Option<u8> {
        self.m.get(extension).copied().filter(|id| *id != 0)
    }
}

/// A message of `ut_metadata` (BEP 9): the info dictionary in blocks of [`METADATA_BLOCK`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetadataMessage<'a> {
    /// A block of it.
    Data {
        /// Which block.
        block: u32,
        /// Bytes of the whole, as the sender says.
        total_size: u64,
        /// The block.
        data: &'a [u8],
    },
    /// It does not give this block.
    Reject {
        /// Which block.
        block: u32,
    },
    /// Asks for a block.
    Request {
        /// Which block.
        block: u32,
    },
    /// A type this crate does not know; to be ignored (BEP 9).
    Unknown,
}

impl<'a> MetadataMessage<'a> {
    /// Read an extended message's payload.
    ///
    /// # Errors
    /// [`Error::MalformedExtension`] if it is no bencoded dictionary, or lacks a number it needs.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Error> {
        let (document, data) = read(payload)?;
        let root = document.root();
        let block = || {
            number(root, b"piece")?
                .try_into()
                .map_err(|_| Error::MalformedExtension)
        };
        Ok(match number(root, b"msg_type")? {
            0 => Self::Request { block: block()? },
            1 => Self::Data {
                block: block()?,
                total_size: number(root, b"total_size")?,
                data,
            },
            2 => Self::Reject { block: block()? },
            _ => Self::Unknown,
        })
    }

    /// The payload of an extended message.
    ///
    /// WebTorrent takes the first `ee` for the dictionary's end: so it ends in an integer, and
    /// holds no list or dictionary that could end before it.
    pub fn to_payload(&self) -> Vec<u8> {
        let (mut out, data) = (
            String::new(),
            if let Self::Data { data, .. } = self {
                *data
            } else {
                &[]
            },
        );
        let _ = match self {
            Self::Data {
                block, total_size, ..
            } => {
                write!(
                    out,
                    "d8:msg_typei1e5:piecei{block}e10:total_sizei{total_size}ee"
                )
            }
            Self::Reject { block } => write!(out, "d8:msg_typei2e5:piecei{block}ee"),
            Self::Request { block } => write!(out, "d8:msg_typei0e5:piecei{block}ee"),
            Self::Unknown => write!(out, "d8:msg_typei3ee"),
        };
        let mut out = out.into_bytes();
        out.extend_from_slice(data);
        out
    }
}

/// `lt_donthave` (BEP 54): a piece it had, and has no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DontHave(pub u32);

impl DontHave {
    /// Read an extended message's payload.
    ///
    /// # Errors
    /// [`Error::MalformedExtension`] if it is not four bytes.
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        match payload.len() {
            4 => Ok(Self(u32::from_be_bytes(array(payload)))),
            _ => Err(Error::MalformedExtension),
        }
    }

    /// The payload of an extended message.
    pub const fn to_payload(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

/// `hw_blocks`: the blocks of a piece under way that its sender has proven and gives, as a bitfield,
/// most significant bit first; none of them if it gave the piece up. A `have` of the piece replaces it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Blocks<'a> {
    /// The piece, or [`ANY`](Self::ANY) of them.
    pub piece: u32,
    /// One bit a block of 16 KiB.
    pub bits: &'a [u8],
}

impl<'a> Blocks<'a> {
    /// In `hw_later`: whatever piece is asked for.
    pub const ANY: u32 = u32::MAX;

    /// Read an extended message's payload.
    ///
    /// # Errors
    /// [`Error::MalformedExtension`] if it is shorter than a piece's number.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Error> {
        match payload.split_first_chunk() {
            Some((piece, bits)) => Ok(Self {
                piece: u32::from_be_bytes(*piece),
                bits,
            }),
            None => Err(Error::MalformedExtension),
        }
    }

    /// The payload of an extended message.
    pub fn to_payload(self) -> Vec<u8> {
        [&self.piece.to_be_bytes(), self.bits].concat()
    }
}

/// `hw_state`: how much its sender has to give, as it says itself, and whether it is in need. Nine
/// bytes: two big-endian numbers and a byte of flags, 1 for busy, 2 for in need, 4 for calm, 8 for
/// alone; then, if it is in need, four of the piece where that begins.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct State {
    /// KiB per second of upload that nobody uses; 0 if it does not know.
    pub idle: u32,
    /// KiB that it has promised and not sent yet.
    pub queued: u32,
    /// Whether more is wanted of it than it can send.
    pub is_busy: bool,
    /// The piece for which somebody waits there who watches and has hardly anything left to play.
    pub needs: Option<u32>,
    /// Whether who watches there has enough ahead to wait for others to pass things on.
    pub is_calm: bool,
    /// Whether it knows nobody but seeds, who could pass things on to it.
    pub is_alone: bool,
}

impl State {
    /// Read an extended message's payload. What a later version may add is passed over.
    ///
    /// # Errors
    /// [`Error::MalformedExtension`] if it is shorter than nine bytes.
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        let said: &[u8; 9] = payload.first_chunk().ok_or(Error::MalformedExtension)?;
        Ok(Self {
            idle: u32::from_be_bytes(array(&said[..4])),
            queued: u32::from_be_bytes(array(&said[4..8])),
            is_busy: said[8] & 1 != 0,
            needs: match payload[9..].first_chunk() {
                Some(piece) if said[8] & 2 != 0 => Some(u32::from_be_bytes(*piece)),
                _ => None,
            },
            is_calm: said[8] & 4 != 0,
            is_alone: said[8] & 8 != 0,
        })
    }

    /// The payload of an extended message.
    pub fn to_payload(self) -> Vec<u8> {
        let (busy, calm) = (u8::from(self.is_busy), u8::from(self.is_calm) << 2);
        let alone = u8::from(self.is_alone) << 3;
        let (need, piece) = self.needs.map_or((0, 0), |piece| (2, piece));
        let mut payload = [self.idle.to_be_bytes(), self.queued.to_be_bytes()].concat();
        payload.push(busy | need | calm | alone);
        if need > 0 {
            payload.extend_from_slice(&piece.to_be_bytes());
        }
        payload
    }
}

fn extensions(m: Value<'_, '_>) -> Map<String, u8> {
    let id = |(key, value): (&[u8], Value<'_, '_>)| {
        let name = core::str::from_utf8(key).ok()?;
        Some((name.into(), u8::try_from(value.int()?).ok()?))
    };
    let entries = m.dict().into_iter().flatten();
    let short = entries.filter(|(key, _)| key.len() <= MAX_NAME);
    short.filter_map(id).take(MAX_EXTENSIONS).collect()
}

fn name(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(MAX_NAME)];
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}

pub(super) fn number(dict: Value<'_, '_>, key: &[u8]) -> Result<u64, Error> {
    let number = dict.get(key).and_then(|value| value.int()?.try_into().ok());
    number.ok_or(Error::MalformedExtension)
}

/// The dictionary at the start of `payload`, and what follows it. Keys may stand in any order:
/// not every client sorts them.
pub(super) fn read(payload: &[u8]) -> Result<(Document<'_>, &[u8]), Error> {
    let limits = Limits {
        depth: MAX_DEPTH,
        tokens: MAX_TOKENS,
    };
    match bencode::decode_prefix(payload, limits) {
        Ok((document, rest)) if document.root().is_dict() => Ok((document, rest)),
        _ => Err(Error::MalformedExtension),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use alloc::format;

    #[test]
    fn webtorrents_extended_handshake_is_understood() {
        let hello = ExtendedHandshake::parse(
            b"d1:md11:lt_donthavei2e11:ut_metadatai1ee13:metadata_sizei347ee",
        )
        .unwrap();
        assert_eq!(hello.id_of(UT_METADATA), Some(1));
        assert_eq!(hello.id_of(LT_DONTHAVE), Some(2));
        assert_eq!(hello.metadata_size, Some(347));
    }

    #[test]
    fn how_busy_a_peer_is_is_read_as_written_and_what_follows_is_passed_over() {
        let state = State {
            idle: 3000,
            queued: 70_000,
            is_busy: true,
            needs: Some(70_001),
            is_calm: true,
            is_alone: true,
        };
        let mut said = state.to_payload();
        assert_eq!(State::parse(&said), Ok(state));
        assert!(State::parse(&said[..8]).is_err() && State::parse(&[]).is_err());
        for length in 9..13 {
            let of_none = State {
                needs: None,
                ..state
            };
            assert_eq!(State::parse(&said[..length]), Ok(of_none));
        }
        said.extend([7; 40]);
        assert_eq!(State::parse(&said), Ok(state));
    }

    #[test]
    fn libtorrents_extended_handshake_is_understood() {
        let hello = ExtendedHandshake::parse(
            b"d12:complete_agoi1e1:md11:lt_donthavei7e10:share_modei8e11:upload_onlyi3e12:ut_holepunchi4e11:ut_metadatai2ee13:metadata_sizei99e4:reqqi500e11:upload_onlyi1e1:v18:libtorrent/2.1.1.06:yourip4:\x7f\0\0\x01e",
        )
        .unwrap();
        assert_eq!(
            (hello.reqq, hello.upload_only, hello.id_of(UT_METADATA)),
            (Some(500), true, Some(2))
        );
        assert_eq!(hello.v.as_deref(), Some("libtorrent/2.1.1.0"));
    }

    #[test]
    fn ours_reads_back_as_it_was_written() {
        let ours = ExtendedHandshake {
            m: Map::from_iter([(UT_METADATA.into(), 1), (LT_DONTHAVE.into(), 2)]),
            metadata_size: Some(1 << 20),
            reqq: Some(256),
            upload_only: true,
            v: Some("Headwater 0.1.0".into()),
        };
        assert_eq!(ExtendedHandshake::parse(&ours.to_payload()), Ok(ours));
    }

    #[test]
    fn however_often_a_peer_says_what_it_can_no_more_of_it_is_remembered() {
        let mut known = ExtendedHandshake::default();
        for said in 0..100_u8 {
            known.add(ExtendedHandshake {
                m: Map::from_iter([(format!("x{said}"), said), (UT_METADATA.into(), said)]),
                reqq: (said == 7).then_some(7),
                ..ExtendedHandshake::default()
            });
        }
        assert_eq!(known.m.len(), MAX_EXTENSIONS);
        assert_eq!((known.id_of(UT_METADATA), known.reqq), (Some(99), Some(7)));
    }

    #[test]
    fn an_id_of_zero_turns_an_extension_off() {
        let hello = ExtendedHandshake::parse(b"d1:md11:ut_metadatai0eee").unwrap();
        assert_eq!(hello.id_of(UT_METADATA), None);
    }

    #[test]
    fn the_first_ee_ends_our_metadata_dictionaries() {
        for message in [
            MetadataMessage::Request { block: 3 },
            MetadataMessage::Reject { block: 0 },
            MetadataMessage::Data {
                block: 1,
                total_size: 34_256,
                data: b"infoee",
            },
        ] {
            let payload = message.to_payload();
            let end = payload.windows(2).position(|pair| pair == b"ee").unwrap() + 2;
            assert_eq!(end, payload.len() - read(&payload).unwrap().1.len());
            assert_eq!(MetadataMessage::parse(&payload), Ok(message));
        }
    }

    #[test]
    fn a_metadata_message_without_its_numbers_is_malformed() {
        for payload in [
            &b"d8:msg_typei0ee"[..],
            b"d5:piecei0ee",
            b"d8:msg_typei0e5:piecei-1ee",
            b"de",
            b"",
        ] {
            assert_eq!(
                MetadataMessage::parse(payload),
                Err(Error::MalformedExtension)
            );
        }
        assert_eq!(
            MetadataMessage::parse(b"d8:msg_typei9ee"),
            Ok(MetadataMessage::Unknown)
        );
    }

    #[test]
    fn hostile_dictionaries_are_refused_or_read_but_never_panic() {
        let deep = [&b"d1:a"[..], &[b'l'; 100_000]].concat();
        assert_eq!(
            ExtendedHandshake::parse(&deep),
            Err(Error::MalformedExtension)
        );
        assert_eq!(
            ExtendedHandshake::parse(b"d99999999999999999999:"),
            Err(Error::MalformedExtension)
        );
        let good =
            b"d1:md11:lt_donthavei2e11:ut_metadatai1ee13:metadata_sizei347e4:reqqi5e1:v3:abce";
        let mut rng = Rng::seeded(3);
        for _ in 0..20_000 {
            let mut bad = good.to_vec();
            for _ in 0..=rng.below(4) {
                let at = rng.below(bad.len() as u32) as usize;
                bad[at] = b"0123456789deil:-\xff"[rng.below(17) as usize];
            }
            bad.truncate(rng.below(bad.len() as u32 + 1) as usize);
            let _ = ExtendedHandshake::parse(&bad);
            let _ = MetadataMessage::parse(&bad);
        }
    }
}
