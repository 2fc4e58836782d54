//! Announces and scrapes over HTTP (BEP 3, 7, 23, 48): a query in, a bencoded dictionary out.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use headwater_core::ids::{PeerId, SwarmHash};
use headwater_core::tracker::message::{AnnounceEvent, Counts, MAX_SCRAPED};
use headwater_core::tracker::server::{Drawn, PlainAnnounce, PlainResponse, Shares};

use super::Shared;

/// Addresses a client gets that does not say how many it wants.
const WANTED: usize = 50;

/// What is asked.
pub(super) enum Question {
    Announce(Asked),
    Scrape(Vec<SwarmHash>),
}

impl Question {
    /// An announce of `client`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read_announce(query: &str, client: IpAddr) -> Result<Self, &'static str> {
        Asked::read(query, client).map(Self::Announce)
    }

    /// # Errors
    /// What is wrong with it.
    pub(super) fn read_scrape(query: &str) -> Result<Self, &'static str> {
        let named = fields_of(query).filter(|(name, _)| *name == "info_hash");
        let hashes: Option<Vec<SwarmHash>> = named
            .map(|(_, value)| <[u8; 20]>::try_from(&*value).ok().map(SwarmHash))
            .collect();
        let hashes = hashes.filter(|hashes| !hashes.is_empty());
        let mut hashes = hashes.ok_or("name the info hashes, 20 bytes each")?;
        hashes.truncate(MAX_SCRAPED);
        hashes.sort_unstable();
        hashes.dedup();
        Ok(Self::Scrape(hashes))
    }

    pub(super) const fn announce(&self) -> Option<&PlainAnnounce> {
        match self {
            Self::Announce(asked) => Some(&asked.announce),
            Self::Scrape(_) => None,
        }
    }

    /// What it is about.
    pub(super) const fn swarms(&self) -> &[SwarmHash] {
        match self {
            Self::Announce(asked) => std::slice::from_ref(&asked.announce.info_hash),
            Self::Scrape(hashes) => hashes.as_slice(),
        }
    }

    /// The answer, nobody else being asked.
    pub(super) fn answer_alone(&self, shared: &Shared) -> Vec<u8> {
        self.answer(shared, &Shares::new(), &Drawn::default())
    }

    /// The answer, a cluster having so much of its swarms, and these peers among others.
    pub(super) fn answer(&self, shared: &Shared, shares: &Shares, drawn: &Drawn) -> Vec<u8> {
        match self {
            Self::Announce(asked) => {
                let response = shared.announce_plain(&asked.announce, shares, drawn);
                let encoded = response.map(|response| encode(asked, &response));
                encoded.unwrap_or_else(failure)
            }
            Self::Scrape(hashes) => encode_scrape(hashes, &shared.scrape(hashes, shares)),
        }
    }
}

pub(super) fn failure(reason: &str) -> Vec<u8> {
    format!("d14:failure reason{}:{reason}e", reason.len()).into_bytes()
}

/// An announce, and how its answer shall look.
pub(super) struct Asked {
    announce: PlainAnnounce,
    is_compact: bool,
    is_with_ids: bool,
}

impl Asked {
    fn read(query: &str, client: IpAddr) -> Result<Self, &'static str> {
        let (mut info_hash, mut peer_id, mut port) = (None, None, None);
        let (mut event, mut left, mut wanted) = (None, None, None);
        let (mut is_compact, mut is_with_ids) = (true, true);
        for (name, value) in fields_of(query) {
            let number = || std::str::from_utf8(&value).ok()?.parse::<u64>().ok();
            match name {
                "info_hash" => info_hash = <[u8; 20]>::try_from(&*value).ok(),
                "peer_id" => peer_id = <[u8; 20]>::try_from(&*value).ok(),
                "port" => port = number().and_then(|port| u16::try_from(port).ok()),
                "left" => left = number(),
                "numwant" => wanted = number(),
                "compact" => is_compact = *value != *b"0",
                "no_peer_id" => is_with_ids = *value != *b"1",
                "event" => {
                    event = match &*value {
                        b"completed" => Some(AnnounceEvent::Completed),
                        b"started" => Some(AnnounceEvent::Started),
                        b"stopped" => Some(AnnounceEvent::Stopped),
                        _ => None,
                    }
                }
                // `ip`, `ipv4`, `ipv6`: anyone's to write, so they are not believed.
                _ => {}
            }
        }
        let port = port
            .filter(|port| *port > 0)
            .ok_or("port must be 1 to 65535")?;
        Ok(Self {
            announce: PlainAnnounce {
                info_hash: SwarmHash(info_hash.ok_or("info_hash must be 20 bytes")?),
                peer_id: PeerId(peer_id.ok_or("peer_id must be 20 bytes")?),
                address: SocketAddr::new(client, port),
                event,
                left,
                wanted: wanted.map_or(WANTED, |wanted| wanted as usize),
            },
            is_compact,
            is_with_ids,
        })
    }
}

/// A bencoded dictionary; its keys stand in order.
fn encode(asked: &Asked, response: &PlainResponse) -> Vec<u8> {
    let Counts {
        complete,
        incomplete,
        ..
    } = response.counts;
    let seconds = response.interval.as_secs();
    let mut out = format!(
        "d8:completei{complete}e10:incompletei{incomplete}e8:intervali{seconds}e12:min intervali{}e",
        seconds / 2
    )
    .into_bytes();
    if !asked.is_compact {
        out.extend_from_slice(b"5:peersl");
        for (address, id) in &response.peers {
            let ip = address.ip().to_string();
            out.extend_from_slice(format!("d2:ip{}:{ip}", ip.len()).as_bytes());
            if asked.is_with_ids {
                out.extend_from_slice(b"7:peer id20:");
                out.extend_from_slice(&id.0);
            }
            out.extend_from_slice(format!("4:porti{}ee", address.port()).as_bytes());
        }
        out.extend_from_slice(b"ee");
        return out;
    }
    let (mut four, mut six) = (Vec::new(), Vec::new());
    for (address, _) in &response.peers {
        let (ip, list) = match address.ip() {
            IpAddr::V4(ip) => (ip.octets().to_vec(), &mut four),
            IpAddr::V6(ip) => (ip.octets().to_vec(), &mut six),
        };
        list.extend_from_slice(&ip);
        list.extend_from_slice(&address.port().to_be_bytes());
    }
    for (name, list) in [("5:peers", four), ("6:peers6", six)] {
        if name == "5:peers" || !list.is_empty() {
            out.extend_from_slice(format!("{name}{}:", list.len()).as_bytes());
            out.extend_from_slice(&list);
        }
    }
    out.push(b'e');
    out
}

/// The answer to a scrape.
fn encode_scrape(hashes: &[SwarmHash], counts: &[Counts]) -> Vec<u8> {
    let mut out = b"d5:filesd".to_vec();
    for (hash, counts) in hashes.iter().zip(counts) {
        out.extend_from_slice(b"20:");
        out.extend_from_slice(&hash.0);
        let mut text = String::new();
        let _ = write!(
            text,
            "d8:completei{}e10:downloadedi{}e10:incompletei{}ee",
            counts.complete, counts.downloaded, counts.incomplete
        );
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(b"ee");
    out
}

/// Names and values of a query, the values as bytes.
fn fields_of(query: &str) -> impl Iterator<Item = (&str, Cow<'_, [u8]>)> {
    query.split('&').map(|field| {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        (name, unescaped(value.as_bytes()))
    })
}

/// What stands in a URL as `%xx`, as bytes.
pub(crate) fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return text.into();
    }
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    let (mut bytes, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = text.get(at) {
        let escaped = (byte == b'%')
            .then(|| Some(digit(at + 1)? << 4 | digit(at + 2)?))
            .flatten();
        bytes.push(escaped.map_or(byte, |escaped| escaped as u8));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_bytes() {
        let fields: Vec<_> = fields_of("a=%00%fF+x&b&c=%2&d=1").collect();
        let expected: [(&str, &[u8]); 4] =
            [("a", b"\x00\xff+x"), ("b", b""), ("c", b"%2"), ("d", b"1")];
        assert!(
            fields
                .iter()
                .map(|(name, value)| (*name, &**value))
                .eq(expected)
        );
    }

    #[test]
    fn what_an_announce_lacks_is_named() {
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        let (hash, id) = (
            "info_hash=aaaaaaaaaaaaaaaaaaaa",
            "peer_id=bbbbbbbbbbbbbbbbbbbb",
        );
        let reason = |query: &str| Asked::read(query, ip).err();
        assert_eq!(reason(&format!("{hash}&{id}&port=1&left=5")), None);
        assert_eq!(
            reason(&format!("{hash}&{id}")),
            Some("port must be 1 to 65535")
        );
        assert_eq!(
            reason(&format!("{hash}&{id}&port=65536")),
            Some("port must be 1 to 65535")
        );
        assert_eq!(
            reason(&format!("{id}&port=1")),
            Some("info_hash must be 20 bytes")
        );
        assert_eq!(
            reason(&format!("{hash}&port=1")),
            Some("peer_id must be 20 bytes")
        );
        let asked = Asked::read(&format!("{hash}&{id}&port=1&ip=203.0.113.9"), ip).unwrap();
        assert_eq!(asked.announce.address.ip(), ip, "not the one it names");
    }
}
