//! What an HTTP tracker answers (BEP 3), peers as bytes (BEP 23, BEP 7) or as a list.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::bencode::{Limits, Value, decode_prefix};
use crate::time::Duration;

/// Peers of one answer that are taken; a tracker that names more names them again.
pub(super) const MAX_PEERS: usize = 256;

/// Characters of a tracker's own words that are passed on.
const MAX_WORDS: usize = 200;

/// Bytes of a tracker id that are worth repeating.
const MAX_TRACKER_ID: usize = 256;

/// An answer with 256 peers written out has some 2,000 values.
const LIMITS: Limits = Limits {
    depth: 8,
    tokens: 20_000,
};

/// An answer.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Answer {
    /// Why it gives none, in its own words.
    pub(super) failure: Option<String>,
    /// BEP 31: when to try again after a failure.
    pub(super) retry: Option<Retry>,
    pub(super) warning: Option<String>,
    pub(super) interval: Option<Duration>,
    pub(super) min_interval: Option<Duration>,
    pub(super) complete: u64,
    pub(super) incomplete: u64,
    pub(super) tracker_id: Option<Vec<u8>>,
    pub(super) peers: Vec<SocketAddr>,
}

/// When a tracker wants to be asked again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Retry {
    After(Duration),
    Never,
}

impl Answer {
    /// Reads one; what is odd in it is left out, and what is no dictionary is none.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        // Some end their answer with a line.
        let (document, _) = decode_prefix(body, LIMITS).ok()?;
        let root = document.root();
        root.dict()?;
        let number = |key: &[u8]| root.get(key).and_then(|value| value.int());
        let count = |key: &[u8]| {
            number(key)
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(0)
                .into()
        };
        let seconds =
            |key: &[u8]| number(key).map(|n| Duration::from_secs(n.clamp(0, 1 << 31) as u64));
        let id = root.get(b"tracker id").and_then(|value| value.bytes());
        let mut peers = Vec::new();
        if let Some(value) = root.get(b"peers") {
            read_peers(value, &mut peers);
        }
        if let Some(bytes) = root.get(b"peers6").and_then(|value| value.bytes()) {
            peers.extend(bytes.chunks_exact(18).filter_map(compact_v6));
        }
        peers.truncate(MAX_PEERS);
        Some(Self {
            failure: root.get(b"failure reason").map(words),
            retry: root.get(b"retry in").and_then(retry),
            warning: root.get(b"warning message").map(words),
            interval: seconds(b"interval"),
            min_interval: seconds(b"min interval"),
            complete: count(b"complete"),
            incomplete: count(b"incomplete"),
            tracker_id: id
                .filter(|id| id.len() <= MAX_TRACKER_ID)
                .map(<[u8]>::to_vec),
            peers,
        })
    }
}

fn words(value: Value<'_, '_>) -> String {
    let text = String::from_utf8_lossy(value.bytes().unwrap_or(b"no reason given"));
    let printable = text.chars().filter(|c| !c.is_control());
    printable
        .take(MAX_WORDS)
        .collect::<String>()
        .trim()
        .to_string()
}

/// BEP 31: minutes, or the word "never".
fn retry(value: Value<'_, '_>) -> Option<Retry> {
    let minutes = value.int().or_else(|| value.text()?.parse().ok());
    match (minutes, value.text()) {
        (Some(minutes), _) => Some(Retry::After(Duration::from_secs(
            minutes.clamp(0, 1 << 20) as u64 * 60,
        ))),
        (None, Some("never")) => Some(Retry::Never),
        _ => None,
    }
}

fn read_peers(value: Value<'_, '_>, peers: &mut Vec<SocketAddr>) {
    if let Some(bytes) = value.bytes() {
        peers.extend(bytes.chunks_exact(6).filter_map(compact_v4).take(MAX_PEERS));
    } else if let Some(list) = value.list() {
        peers.extend(list.filter_map(written_out).take(MAX_PEERS));
    }
}

fn compact_v4(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_first_chunk::<4>()?;
    Some(SocketAddr::new(Ipv4Addr::from(*ip).into(), port_of(port)?))
}

fn compact_v6(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_first_chunk::<16>()?;
    Some(SocketAddr::new(Ipv6Addr::from(*ip).into(), port_of(port)?))
}

fn port_of(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|port| u16::from_be_bytes(*port))
}

/// BEP 3: a dictionary; names in place of addresses are not looked up.
fn written_out(value: Value<'_, '_>) -> Option<SocketAddr> {
    let ip: IpAddr = value.get(b"ip")?.text()?.parse().ok()?;
    let port = value.get(b"port")?.int()?;
    Some(SocketAddr::new(ip, u16::try_from(port).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn peers_come_in_three_ways() {
        let body = b"d8:completei3e10:incompletei4e8:intervali1800e12:min intervali60e5:peers12:\x7f\0\0\x01\x1a\xe1\x08\x08\x08\x08\x1a\xe26:peers618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe310:tracker id2:ide";
        let answer = Answer::parse(body).unwrap();
        let all: Vec<String> = answer.peers.iter().map(ToString::to_string).collect();
        assert_eq!(
            all,
            ["127.0.0.1:6881", "8.8.8.8:6882", "[2001:db8::1]:6883"]
        );
        assert_eq!((answer.complete, answer.incomplete), (3, 4));
        assert_eq!(answer.interval, Some(Duration::from_secs(1800)));
        assert_eq!(answer.min_interval, Some(Duration::from_secs(60)));
        assert_eq!(answer.tracker_id.as_deref(), Some(&b"id"[..]));

        let body = b"d5:peersld2:ip9:127.0.0.14:porti6881eed2:ip3:::14:porti1eed2:ip9:localhost4:porti1eed2:ip7:1.2.3.44:porti70000eeee";
        let answer = Answer::parse(body).unwrap();
        let all: Vec<String> = answer.peers.iter().map(ToString::to_string).collect();
        assert_eq!(all, ["127.0.0.1:6881", "[::1]:1"]);
    }

    #[test]
    fn a_refusal_says_why_and_when_to_come_back() {
        let answer = Answer::parse(b"d14:failure reason11:not\x1b[1mhere8:retry ini5ee").unwrap();
        assert_eq!(answer.failure.as_deref(), Some("not[1mhere"));
        assert_eq!(answer.retry, Some(Retry::After(Duration::from_secs(300))));
        let answer = Answer::parse(b"d14:failure reason1:x8:retry in5:nevere").unwrap();
        assert_eq!(answer.retry, Some(Retry::Never));
    }

    #[test]
    fn whatever_comes_is_read_or_not_and_bounded() {
        let mut many = b"d5:peers600000:".to_vec();
        many.extend(core::iter::repeat_n(9, 600_000));
        many.push(b'e');
        assert_eq!(Answer::parse(&many).unwrap().peers.len(), MAX_PEERS);
        for body in [&b""[..], b"le", b"i1e", b"<html>", b"d5:peers7:abcdefge"] {
            let peers = Answer::parse(body).map_or(0, |answer| answer.peers.len());
            assert!(peers <= 1);
        }
        let good = b"d8:intervali-5e5:peers6:abcdef6:peers60:14:failure reasonle8:retry inlee";
        for seed in 0..5_000 {
            let mut rng = Rng::seeded(seed);
            let mut bad = good.to_vec();
            for _ in 0..=rng.below(4) {
                let at = rng.below(bad.len() as u32) as usize;
                bad[at] = rng.next_u64() as u8;
            }
            let _ = Answer::parse(&bad);
        }
    }
}
