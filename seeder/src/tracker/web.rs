//! What the tracker answers over HTTP: the announces of peers over TCP ([`super::plain`]), its
//! health and its counters, and the way to a WebSocket.
//!
//! Words in, words out; who reads requests off a socket is [`super::socket`], or hyper.

use std::net::IpAddr;

use sha1::{Digest as _, Sha1};

use super::plain::{self, Question};
use super::{Shared, metrics};
use crate::http::is_local_host;

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
pub(super) enum Answer {
    /// Send this, and close or wait for more.
    Page(Page),
    /// Send what this comes to.
    Question(Question),
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

    /// To a question.
    pub(super) const fn answer(body: Vec<u8>) -> Self {
        Self::text(200, body)
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
        "/scrape" => return Ok(questioned(Question::read_scrape(query))),
        "/announce" if query.contains("info_hash=") => {
            return Ok(questioned(Question::read_announce(query, client)));
        }
        "/announce" | "/" => return upgrade(shared, request.fields),
        _ => Page::words(404, "nothing here; the tracker is at /announce\n"),
    };
    Ok(Answer::Page(page))
}

fn questioned(question: Result<Question, &'static str>) -> Answer {
    match question {
        Ok(question) => Answer::Question(question),
        Err(reason) => Answer::Page(Page::answer(plain::failure(reason))),
    }
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
}
