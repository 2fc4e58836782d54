//! What extension messages carry (BEP 10): the extended handshake, `ut_metadata` (BEP 9) and
//! `lt_donthave` (BEP 54).

use super::Error;
use super::handshake::array;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

/// The id of the extended handshake itself.
pub const HANDSHAKE_ID: u8 = 0;

/// BEP 9's name in an extended handshake.
pub const UT_METADATA: &str = "ut_metadata";

/// BEP 54's name in an extended handshake.
pub const LT_DONTHAVE: &str = "lt_donthave";

/// Bytes of metadata in one message (BEP 9); the last has what remains.
pub const METADATA_BLOCK: usize = 1 << 14;

/// Extensions of one peer that we remember.
const MAX_EXTENSIONS: usize = 32;

/// Bytes of a name (of an extension, of a client) that we remember.
const MAX_NAME: usize = 64;

/// Values in one dictionary that we look at.
const MAX_VALUES: usize = 256;

/// What a peer says of its extensions. A later one adds to it (BEP 10).
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct ExtendedHandshake {
    /// The ids it wants to be called by, by extension; 0 turns one off.
    pub m: BTreeMap<String, u8>,
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
        let mut hello = Self::default();
        for (key, value) in Dict::read(payload)?.values {
            match (key, value) {
                (b"m", Value::Dict(m)) => hello.m = extensions(&m),
                (b"metadata_size", Value::Int(size)) => hello.metadata_size = size.try_into().ok(),
                (b"reqq", Value::Int(reqq)) => hello.reqq = reqq.try_into().ok(),
                (b"upload_only", Value::Int(flag)) => hello.upload_only = flag != 0,
                (b"v", Value::Bytes(v)) => hello.v = Some(name(v)),
                _ => {}
            }
        }
        Ok(hello)
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
        let dict = Dict::read(payload)?;
        let data = &payload[dict.length..];
        let block = || {
            dict.number(b"piece")?
                .try_into()
                .map_err(|_| Error::MalformedExtension)
        };
        Ok(match dict.number(b"msg_type")? {
            0 => Self::Request { block: block()? },
            1 => Self::Data {
                block: block()?,
                total_size: dict.number(b"total_size")?,
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

fn extensions(m: &Dict<'_>) -> BTreeMap<String, u8> {
    let id = |(key, value): &(&[u8], Value<'_>)| match value {
        Value::Int(id) => Some((
            core::str::from_utf8(key).ok()?.into(),
            u8::try_from(*id).ok()?,
        )),
        _ => None,
    };
    let is_short = |(key, _): &&(&[u8], Value<'_>)| key.len() <= MAX_NAME;
    m.values
        .iter()
        .filter(is_short)
        .filter_map(id)
        .take(MAX_EXTENSIONS)
        .collect()
}

fn name(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(MAX_NAME)];
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}

/// A dictionary at the start of some bytes. Keys in any order: not every client sorts them.
struct Dict<'a> {
    values: Vec<(&'a [u8], Value<'a>)>,
    /// Bytes of it.
    length: usize,
}

/// What extension messages are made of.
enum Value<'a> {
    Bytes(&'a [u8]),
    /// One level of it: no extension here nests deeper.
    Dict(Dict<'a>),
    Int(i64),
    /// A list, or what lies deeper.
    Other,
}

impl<'a> Dict<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader {
            bytes,
            at: 0,
            values: 0,
        };
        reader.dict(0).ok_or(Error::MalformedExtension)
    }

    fn number(&self, key: &[u8]) -> Result<u64, Error> {
        let found = self.values.iter().find_map(|(name, value)| match value {
            Value::Int(number) if *name == key => u64::try_from(*number).ok(),
            _ => None,
        });
        found.ok_or(Error::MalformedExtension)
    }
}

/// Reads bencode, and keeps what extension messages need of it.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    values: usize,
}

/// Levels of nesting at which a value is refused.
const MAX_DEPTH: usize = 8;

impl<'a> Reader<'a> {
    fn dict(&mut self, depth: usize) -> Option<Dict<'a>> {
        let start = self.at;
        self.expect(b'd')?;
        let mut values = Vec::new();
        while self.peek()? != b'e' {
            let key = self.string()?;
            values.push((key, self.value(depth + 1)?));
        }
        self.at += 1;
        Some(Dict {
            values,
            length: self.at - start,
        })
    }

    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        self.values += 1;
        if self.values > MAX_VALUES || depth > MAX_DEPTH {
            return None;
        }
        match self.peek()? {
            b'i' => {
                self.at += 1;
                self.int(b'e').map(Value::Int)
            }
            b'd' => self.dict(depth).map(Value::Dict),
            b'l' => {
                self.at += 1;
                while self.peek()? != b'e' {
                    self.value(depth + 1)?;
                }
                self.at += 1;
                Some(Value::Other)
            }
            _ => self.string().map(Value::Bytes),
        }
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.int(b':')?).ok()?;
        let bytes = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(bytes)
    }

    /// Digits, a sign allowed, up to `end`.
    fn int(&mut self, end: u8) -> Option<i64> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take(21).position(|byte| *byte == end)?;
        self.at += length + 1;
        core::str::from_utf8(&rest[..length]).ok()?.parse().ok()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

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
            m: BTreeMap::from([(UT_METADATA.into(), 1), (LT_DONTHAVE.into(), 2)]),
            metadata_size: Some(1 << 20),
            reqq: Some(256),
            upload_only: true,
            v: Some("Headwater 0.1.0".into()),
        };
        assert_eq!(ExtendedHandshake::parse(&ours.to_payload()), Ok(ours));
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
            assert_eq!(end, Dict::read(&payload).unwrap().length);
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
