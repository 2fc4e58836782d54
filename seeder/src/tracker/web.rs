//! What the tracker answers over HTTP: announces and scrapes of peers over TCP (BEP 3, 7, 23, 48),
//! its health and its counters, and the way to a WebSocket.
//!
//! Words in, words out; who reads requests off a socket is [`super::socket`], or hyper.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use headwater_core::ids::{PeerId, SwarmHash};
use headwater_core::tracker::message::{AnnounceEvent, Counts, MAX_SCRAPED};
use headwater_core::tracker::server::{PlainAnnounce, PlainResponse};
use sha1::{Digest as _, Sha1};

use super::{Shared, metrics};
use crate::http::is_local_host;

/// Addresses a client gets that does not say how many it wants.
const WANTED: usize = 50;

/// RFC 6455, 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const WORDS: &str =
    "This is a Headwater tracker. Put its address, ending in /announce, into a torrent.\n";

/// The fields of a request's head.
pub(super) trait Fields {
    /// The last field of this name, in small letters.
    fn field(&self, name: &str) -> Option<&str>;
}

/// A request without its body.
pub(super) struct Request<'a> {
    pub(super) is_get: bool,
    /// Whether no other is to come on its connection.
    pub(super) is_last: bool,
    /// Path and query.
    pub(super) target: &'a str,
    pub(super) fields: &'a dyn Fields,
}

/// What to do about it.
#[derive(Debug)]
pub(super) enum Answer {
    /// Send this, and close or wait for more.
    Page(Page),
    /// Become a WebSocket, with this `Sec-WebSocket-Accept`.
    Upgrade(String),
}

/// What is sent.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) body: Vec<u8>,
}

impl Page {
    const fn text(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            kind: "text/plain; charset=utf-8",
            body,
        }
    }

    fn words(status: u16, words: &str) -> Self {
        Self::text(status, words.as_bytes().to_vec())
    }

    /// For a socket more than there may be.
    pub(super) fn too_many() -> Self {
        Self::words(503, "too many connections\n")
    }

    /// With the head HTTP/1.1 puts before it.
    pub(super) fn write(&self, out: &mut Vec<u8>, is_last: bool) {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            421 => "Misdirected Request",
            426 => "Upgrade Required",
            431 => "Request Header Fields Too Large",
            _ => "Service Unavailable",
        };
        let connection = if is_last { "close" } else { "keep-alive" };
        let upgrade = match self.status {
            426 => "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n",
            _ => "",
        };
        let head = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\
             X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n{upgrade}Connection: {connection}\r\n\r\n",
            self.status,
            self.kind,
            self.body.len()
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(&self.body);
    }
}

/// The head that makes a connection a WebSocket.
pub(super) fn write_upgrade(out: &mut Vec<u8>, accept: &str) {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    out.extend_from_slice(head.as_bytes());
}

/// Whom a request is for: behind a proxy of ours, the last address it did not add itself.
pub(super) fn client_of(shared: &Shared, seen: IpAddr, fields: &dyn Fields) -> IpAddr {
    let seen = seen.to_canonical();
    if !shared.config.proxies.contains(&seen) {
        return seen;
    }
    let forwarded = fields.field("x-forwarded-for");
    let last = forwarded.and_then(|value| value.rsplit(',').next()?.trim().parse().ok());
    last.map_or(seen, |last: IpAddr| last.to_canonical())
}

/// Answer a request from `client`.
pub(super) fn answer(shared: &Shared, request: &Request<'_>, client: IpAddr) -> Answer {
    Answer::Page(match respond(shared, request, client) {
        Ok(answer) => return answer,
        Err(page) => page,
    })
}

fn respond(shared: &Shared, request: &Request<'_>, client: IpAddr) -> Result<Answer, Page> {
    // DNS rebinding: a page elsewhere must not read this machine's counters under its own name.
    let host = request.fields.field("host");
    if shared.config.is_local && !host.is_none_or(is_local_host) {
        return Err(Page::words(
            421,
            "this tracker is on this machine alone; use its address\n",
        ));
    }
    if !request.is_get {
        return Err(Page::words(405, "only GET\n"));
    }
    let (path, query) = match request.target.split_once('?') {
        Some((path, query)) => (path, query),
        None => (request.target, ""),
    };
    let page = match path {
        "/healthz" if shared.is_draining() => Page::words(503, "leaving\n"),
        "/healthz" => Page::words(200, "ok\n"),
        "/stats" => Page {
            kind: "application/json",
            ..Page::text(200, serde_json::to_vec(&shared.stats()).unwrap_or_default())
        },
        "/metrics" => Page {
            kind: "text/plain; version=0.0.4; charset=utf-8",
            ..Page::text(
                200,
                metrics::exposition(&shared.stats(), shared.sockets()).into_bytes(),
            )
        },
        // Some clients put the WebSocket at the root.
        "/" if !is_upgrade(request.fields) => Page::words(200, WORDS),
        "/scrape" => Page::text(200, scrape(shared, query)),
        "/announce" if query.contains("info_hash=") => {
            Page::text(200, announce(shared, query, client))
        }
        "/announce" | "/" => return upgrade(shared, request.fields),
        _ => Page::words(404, "nothing here; the tracker is at /announce\n"),
    };
    Ok(Answer::Page(page))
}

/// Whether the client wants the connection closed after this.
pub(super) fn is_closing(fields: &dyn Fields) -> bool {
    let is_close = |words: &str| words.eq_ignore_ascii_case("close");
    fields.field("connection").is_some_and(is_close)
}

fn is_upgrade(fields: &dyn Fields) -> bool {
    fields
        .field("upgrade")
        .is_some_and(|to| to.eq_ignore_ascii_case("websocket"))
}

fn upgrade(shared: &Shared, fields: &dyn Fields) -> Result<Answer, Page> {
    let origins = &shared.config.origins;
    let origin = fields.field("origin");
    let is_welcome = |origin| origins.is_empty() || origins.iter().any(|one| one == origin);
    if !origin.is_none_or(is_welcome) {
        return Err(Page::words(403, "this page may not use this tracker\n"));
    }
    if shared.is_draining() {
        return Err(Page::words(503, "leaving\n"));
    }
    let is_connection = fields.field("connection").is_some_and(|words| {
        let mut words = words.split(',').map(str::trim);
        words.any(|word| word.eq_ignore_ascii_case("upgrade"))
    });
    let key = fields
        .field("sec-websocket-key")
        .filter(|key| key.len() == 24);
    match (fields.field("sec-websocket-version"), key) {
        (Some("13"), Some(key)) if is_connection && is_upgrade(fields) => {
            Ok(Answer::Upgrade(accept(key)))
        }
        _ => Err(Page::words(
            426,
            "a WebSocket (version 13), or an announce with its info_hash\n",
        )),
    }
}

fn accept(key: &str) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    base64(&digest)
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for letter in 0..4 {
            match letter <= chunk.len() {
                true => text.push(LETTERS[(bits >> (18 - 6 * letter)) as usize & 63].into()),
                false => text.push('='),
            }
        }
    }
    text
}

fn announce(shared: &Shared, query: &str, client: IpAddr) -> Vec<u8> {
    let outcome = Asked::read(query, client).and_then(|asked| {
        let response = shared.announce_plain(&asked.announce)?;
        Ok(encode(&asked, &response))
    });
    outcome.unwrap_or_else(failure)
}

fn failure(reason: &str) -> Vec<u8> {
    format!("d14:failure reason{}:{reason}e", reason.len()).into_bytes()
}

/// An announce, and how its answer shall look.
struct Asked {
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

fn scrape(shared: &Shared, query: &str) -> Vec<u8> {
    let named = fields_of(query).filter(|(name, _)| *name == "info_hash");
    let hashes: Option<Vec<SwarmHash>> = named
        .map(|(_, value)| <[u8; 20]>::try_from(&*value).ok().map(SwarmHash))
        .collect();
    let Some(mut hashes) = hashes.filter(|hashes| !hashes.is_empty()) else {
        return failure("name the info hashes, 20 bytes each");
    };
    hashes.truncate(MAX_SCRAPED);
    hashes.sort_unstable();
    hashes.dedup();
    let mut out = b"d5:filesd".to_vec();
    for (hash, counts) in hashes.iter().zip(shared.scrape(&hashes)) {
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

fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
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
    fn the_handshake_of_the_rfc_is_answered_as_it_says() {
        assert_eq!(
            accept("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn base64_pads_what_is_short() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

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
