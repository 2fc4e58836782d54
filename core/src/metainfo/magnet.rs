//! Magnet links: a torrent's names, and where to ask for the rest.
//!
//! `xt=urn:btih:` (BEP 9) and `xt=urn:btmh:` (BEP 52), both in a hybrid; `dn`, `tr`, `ws`, `xl`
//! and `x.pe`. Parameters we do not know are passed over.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::ids::{InfoHashV1, InfoHashV2, InfoHashes};

/// Longest link we read, in bytes.
pub const MAX_LENGTH: usize = 64 * 1024;

/// Trackers, web seeds and peers that are kept, of each; more are passed over.
pub const MAX_ADDRESSES: usize = 32;

/// What a magnet link says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Magnet {
    /// The torrent's names.
    pub hashes: InfoHashes,
    /// What to call it until its metadata is there (`dn`).
    pub name: Option<String>,
    /// Trackers, first choice first (`tr`).
    pub trackers: Vec<String>,
    /// Where else its bytes are served over HTTP (`ws`).
    pub web_seeds: Vec<String>,
    /// Bytes of all files, by the word of whoever made the link (`xl`).
    pub length: Option<u64>,
    /// Peers to dial, as `host:port` (`x.pe`).
    pub peers: Vec<String>,
}

/// Why a text is no magnet link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// It does not start with `magnet:?`.
    NotAMagnet,
    /// It is longer than [`MAX_LENGTH`].
    TooLong,
    /// A percent sign without two hex digits behind it, or bytes that are no UTF-8, in this parameter.
    Escape(String),
    /// A btih that is neither 40 hex digits nor 32 of base32.
    V1Hash(String),
    /// A btmh that is not a SHA-256 multihash: `1220` and 64 hex digits.
    V2Hash(String),
    /// Two different hashes of one version.
    TwoHashes,
    /// No btih and no btmh: it names no torrent.
    NoHash,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAMagnet => f.write_str("not a magnet link: it does not start with magnet:?"),
            Self::TooLong => write!(f, "the magnet link is longer than {MAX_LENGTH} bytes"),
            Self::Escape(key) => write!(f, "the magnet link's {key} is escaped wrongly"),
            Self::V1Hash(hash) => write!(
                f,
                "the magnet link's btih \"{hash}\" is not 40 hex digits or 32 base32 characters"
            ),
            Self::V2Hash(hash) => write!(
                f,
                "the magnet link's btmh \"{hash}\" is not 1220 and 64 hex digits"
            ),
            Self::TwoHashes => f.write_str("the magnet link names two torrents"),
            Self::NoHash => f.write_str(
                "the magnet link names no torrent: it has no xt=urn:btih: and no xt=urn:btmh:",
            ),
        }
    }
}

impl core::error::Error for Error {}

/// Reads a magnet link.
pub fn parse(link: &str) -> Result<Magnet, Error> {
    Magnet::parse(link)
}

impl Magnet {
    /// A link that names a torrent and nothing else.
    pub fn new(hashes: InfoHashes) -> Self {
        Self {
            hashes,
            name: None,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            length: None,
            peers: Vec::new(),
        }
    }

    /// Reads a magnet link.
    pub fn parse(link: &str) -> Result<Self, Error> {
        if link.len() > MAX_LENGTH {
            return Err(Error::TooLong);
        }
        let (mut v1, mut v2) = (None, None);
        // The hash is known last; any will do until then.
        let mut magnet = Self::new(InfoHashes::V1(InfoHashV1([0; 20])));
        for parameter in query(link.trim_ascii())?.split('&') {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            // `tr.1`, `xt.2`: numbered parameters are the same parameter.
            let kind = match key.rsplit_once('.') {
                Some((kind, number)) if number.bytes().all(|b| b.is_ascii_digit()) => kind,
                _ => key,
            };
            if !matches!(kind, "xt" | "dn" | "tr" | "ws" | "xl" | "x.pe") {
                continue;
            }
            let value = unescape(value).ok_or_else(|| Error::Escape(kind.into()))?;
            match kind {
                "xt" => read_topic(&value, &mut v1, &mut v2)?,
                "dn" => magnet.name = Some(value).filter(|name| !name.is_empty()),
                "tr" => push(&mut magnet.trackers, value),
                "ws" => push(&mut magnet.web_seeds, value),
                "xl" => magnet.length = value.parse().ok(),
                _ => push(&mut magnet.peers, value),
            }
        }
        magnet.hashes = match (v1, v2) {
            (Some(v1), Some(v2)) => InfoHashes::Hybrid(v1, v2),
            (Some(v1), None) => InfoHashes::V1(v1),
            (None, Some(v2)) => InfoHashes::V2(v2),
            (None, None) => return Err(Error::NoHash),
        };
        Ok(magnet)
    }

    /// Trackers, first choice first; without one, peers must come from elsewhere.
    pub fn trackers(&self) -> &[String] {
        &self.trackers
    }
}

impl FromStr for Magnet {
    type Err = Error;

    fn from_str(link: &str) -> Result<Self, Error> {
        Self::parse(link)
    }
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parameters: Vec<(&str, String)> = Vec::new();
        if let Some(v1) = self.hashes.v1() {
            parameters.push(("xt", alloc::format!("urn:btih:{}", v1.to_hex())));
        }
        if let Some(v2) = self.hashes.v2() {
            parameters.push(("xt", alloc::format!("urn:btmh:1220{}", v2.to_hex())));
        }
        parameters.extend(self.name.iter().map(|name| ("dn", escape(name))));
        parameters.extend(self.length.iter().map(|length| ("xl", length.to_string())));
        parameters.extend(self.trackers.iter().map(|url| ("tr", escape(url))));
        parameters.extend(self.web_seeds.iter().map(|url| ("ws", escape(url))));
        parameters.extend(self.peers.iter().map(|peer| ("x.pe", escape(peer))));
        f.write_str("magnet:")?;
        for (number, (key, value)) in parameters.iter().enumerate() {
            let joint = if number == 0 { '?' } else { '&' };
            write!(f, "{joint}{key}={value}")?;
        }
        Ok(())
    }
}

fn query(link: &str) -> Result<&str, Error> {
    let (scheme, query) = link.split_once(":?").ok_or(Error::NotAMagnet)?;
    if scheme.eq_ignore_ascii_case("magnet") {
        Ok(query)
    } else {
        Err(Error::NotAMagnet)
    }
}

fn read_topic(
    topic: &str,
    v1: &mut Option<InfoHashV1>,
    v2: &mut Option<InfoHashV2>,
) -> Result<(), Error> {
    if let Some(hash) = after_prefix(topic, "urn:btih:") {
        let found = InfoHashV1::from_hex(hash)
            .or_else(|| from_base32(hash).map(InfoHashV1))
            .ok_or_else(|| Error::V1Hash(excerpt(hash)))?;
        if v1.replace(found).is_some_and(|other| other != found) {
            return Err(Error::TwoHashes);
        }
    } else if let Some(hash) = after_prefix(topic, "urn:btmh:") {
        // BEP 52: a multihash; 0x12 is SHA-256, 0x20 its 32 bytes.
        let found = hash
            .strip_prefix("1220")
            .and_then(InfoHashV2::from_hex)
            .ok_or_else(|| Error::V2Hash(excerpt(hash)))?;
        if v2.replace(found).is_some_and(|other| other != found) {
            return Err(Error::TwoHashes);
        }
    }
    Ok(())
}

fn after_prefix<'a>(topic: &'a str, prefix: &str) -> Option<&'a str> {
    let head = topic.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| &topic[prefix.len()..])
}

fn excerpt(hash: &str) -> String {
    hash.chars().take(80).collect()
}

fn push(addresses: &mut Vec<String>, address: String) {
    if !address.is_empty() && addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) {
        addresses.push(address);
    }
}

/// Base32 of RFC 4648, as old links have it.
fn from_base32(text: &str) -> Option<[u8; 20]> {
    if text.len() != 32 {
        return None;
    }
    let mut out = [0; 20];
    let (mut bits, mut held, mut at) = (0u32, 0, 0);
    for byte in text.bytes() {
        let digit = match byte.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5 | u32::from(digit)) & 0xfff;
        held += 5;
        if held >= 8 {
            held -= 8;
            *out.get_mut(at)? = (bits >> held) as u8;
            at += 1;
        }
    }
    Some(out)
}

fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                (high << 4 | low) as u8
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

fn escape(text: &str) -> String {
    use fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
