//! One socket: the head of a request first, then pages or a WebSocket's messages.
//!
//! It reads and writes bytes and says what was said; when that happens is for [`super::worker`],
//! what to answer for [`super::web`] and the core.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown};
use std::time::{Duration, Instant};

use headwater_core::tracker::message::MAX_MESSAGE;
use headwater_core::tracker::server::ConnKey;
use mio::net::TcpStream;

use super::config::TrackerConfig;
use super::frame::{self, Fault, Kind};
use super::web::{Fields, Request};

/// Twice as long as a message may be can be read, so that what is too long is refused with a reason.
const MAX_READ: usize = 2 * MAX_MESSAGE;

/// Most bytes of a request's head, and fields in it.
const MAX_HEAD: usize = 16 << 10;
const MAX_FIELDS: usize = 64;

/// What the shortest message counts for.
const LEAST_COST: usize = 1 << 10;

/// How long a socket that was answered for the last time may take to hang up.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the bytes go through.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<(TcpStream, rustls::ServerConnection)>),
}

impl Stream {
    pub(super) const fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(both) => &mut both.0,
        }
    }

    /// Whether a read that filled less than its buffer took all there was.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buffer),
            Self::Tls(both) => rustls::Stream::new(&mut both.1, &mut both.0).read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(bytes),
            Self::Tls(both) => rustls::Stream::new(&mut both.1, &mut both.0).write(bytes),
        }
    }

    /// What TLS still holds leaves.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(both) => {
                while both.1.wants_write() {
                    both.1.write_tls(&mut both.0)?;
                }
                Ok(())
            }
        }
    }

    fn shut(&mut self) {
        if let Self::Tls(both) = self {
            both.1.send_close_notify();
            let _ = self.flush();
        }
        let _ = self.tcp().shutdown(Shutdown::Write);
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// What was asked is being found out; what is said meanwhile waits.
    Asked,
    /// The head of a request is awaited.
    Head,
    /// A WebSocket.
    Open,
    /// What waits is sent; nothing is listened to.
    Closing,
    /// All is sent, and the other end hangs up.
    Shut,
}

/// What a socket said.
pub(super) enum Said<'a> {
    /// A request.
    Request(Request<'a>),
    /// A message.
    Text(&'a str),
}

pub(super) struct Socket {
    pub(super) stream: Stream,
    pub(super) key: ConnKey,
    /// The address at the other end of it.
    pub(super) seen: IpAddr,
    /// Whom it counts for, if it counts for anyone.
    pub(super) counted: Option<IpAddr>,
    pub(super) state: State,
    pub(super) is_dirty: bool,
    pub(super) is_paused: bool,
    /// The beginning of a frame or a head.
    inbox: Vec<u8>,
    /// The beginning of a message in several frames.
    parts: Option<Vec<u8>>,
    outbox: Vec<u8>,
    sent: usize,
    /// When it last took all there was, if it has not since.
    stuck_since: Option<Instant>,
    /// When its silence is over the limit.
    until: Instant,
    is_pinged: bool,
    has_spoken: bool,
    /// Until then, what it may send is used up.
    used_until: Instant,
}

/// A socket is over.
pub(super) struct Over;

impl Socket {
    pub(super) const fn new(stream: Stream, key: ConnKey, seen: IpAddr, now: Instant) -> Self {
        Self {
            stream,
            key,
            seen,
            counted: None,
            state: State::Head,
            is_dirty: false,
            is_paused: false,
            inbox: Vec::new(),
            parts: None,
            outbox: Vec::new(),
            sent: 0,
            stuck_since: None,
            until: now,
            is_pinged: false,
            has_spoken: false,
            used_until: now,
        }
    }

    /// The head of the next request has so long.
    pub(super) fn await_head(&mut self, now: Instant, config: &TrackerConfig) {
        self.state = State::Head;
        self.until = now + config.header_timeout;
    }

    /// From here on it is a WebSocket. Until it has said something, no pong helps it.
    pub(super) fn opened(&mut self, now: Instant, config: &TrackerConfig) {
        self.state = State::Open;
        self.until = now + config.first_message_timeout;
    }

    /// Take what was read, and give what it says to `listen`, which may write.
    pub(super) fn take(
        &mut self,
        now: Instant,
        bytes: &mut [u8],
        config: &TrackerConfig,
        mut listen: impl FnMut(&mut Self, Said<'_>),
    ) {
        if self.inbox.is_empty() {
            let used = self.parse(now, bytes, config, &mut listen);
            self.inbox = bytes[used..].to_vec();
        } else {
            let mut whole = std::mem::take(&mut self.inbox);
            whole.extend_from_slice(bytes);
            let used = self.parse(now, &mut whole, config, &mut listen);
            whole.drain(..used);
            self.inbox = whole;
        }
        match self.state {
            State::Asked | State::Head => {}
            State::Open => {
                // What is to come is known: no doubling.
                let length = frame::length(&self.inbox).unwrap_or(0);
                self.inbox
                    .reserve_exact(length.saturating_sub(self.inbox.len()));
            }
            State::Closing | State::Shut => self.inbox = Vec::new(),
        }
    }

    /// How many of `bytes` are done with.
    fn parse(
        &mut self,
        now: Instant,
        bytes: &mut [u8],
        config: &TrackerConfig,
        listen: &mut impl FnMut(&mut Self, Said<'_>),
    ) -> usize {
        let mut at = 0;
        loop {
            let rest = &mut bytes[at..];
            let used = match self.state {
                State::Asked if rest.len() <= MAX_HEAD => None,
                State::Asked => {
                    self.state = State::Closing;
                    None
                }
                State::Head => self.parse_head(rest, listen),
                State::Open => self.parse_frame(now, rest, config, listen),
                State::Closing | State::Shut => Some(rest.len()),
            };
            match used {
                Some(used) if used > 0 => at += used,
                _ => return at,
            }
        }
    }

    fn parse_head(
        &mut self,
        bytes: &[u8],
        listen: &mut impl FnMut(&mut Self, Said<'_>),
    ) -> Option<usize> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut head = httparse::Request::new(&mut fields);
        match head.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => {
                let request = Request {
                    is_get: head.method == Some("GET"),
                    is_last: head.version == Some(0),
                    target: head.path.unwrap_or_default(),
                    fields: &Headers(head.headers),
                };
                listen(self, Said::Request(request));
                Some(length)
            }
            Ok(httparse::Status::Partial) if bytes.len() <= MAX_HEAD => None,
            _ => {
                self.state = State::Closing;
                None
            }
        }
    }

    fn parse_frame(
        &mut self,
        now: Instant,
        bytes: &mut [u8],
        config: &TrackerConfig,
        listen: &mut impl FnMut(&mut Self, Said<'_>),
    ) -> Option<usize> {
        let frame = match frame::read(bytes, MAX_READ) {
            Ok(frame) => frame?,
            Err(fault) => {
                self.hang_up(fault as u16);
                return None;
            }
        };
        let payload = &bytes[frame.payload.clone()];
        self.spend(now, payload.len(), config);
        match frame.kind {
            Kind::Close => {
                let code = payload
                    .first_chunk()
                    .map_or(1000, |code| u16::from_be_bytes(*code));
                self.hang_up(code);
            }
            Kind::Ping => frame::write(&mut self.outbox, Kind::Pong, payload),
            Kind::Pong => {}
            kind if (kind == Kind::Continuation) != self.parts.is_some() => {
                self.hang_up(Fault::Protocol as u16);
            }
            _ if frame.is_last && self.parts.is_none() => self.hear(payload, listen),
            _ => {
                let mut parts = self.parts.take().unwrap_or_default();
                parts.extend_from_slice(payload);
                match frame.is_last {
                    _ if parts.len() > MAX_READ => self.hang_up(Fault::TooLong as u16),
                    true => self.hear(&parts, listen),
                    false => self.parts = Some(parts),
                }
            }
        }
        if self.has_spoken {
            (self.until, self.is_pinged) = (now + config.ping_after, false);
        }
        Some(frame.payload.end)
    }

    fn hear(&mut self, payload: &[u8], listen: &mut impl FnMut(&mut Self, Said<'_>)) {
        match std::str::from_utf8(payload) {
            Ok(text) => {
                self.has_spoken = true;
                listen(self, Said::Text(text));
            }
            Err(_) => self.hang_up(Fault::NotText as u16),
        }
    }

    fn spend(&mut self, now: Instant, bytes: usize, config: &TrackerConfig) {
        let rate = config.bytes_per_second.max(1) as f64;
        let cost = Duration::from_secs(1).mul_f64(bytes.max(LEAST_COST) as f64 / rate);
        self.used_until = self.used_until.max(now) + cost;
    }

    /// Whether it must wait before more of it is read.
    pub(super) fn is_over_allowance(&self, now: Instant, config: &TrackerConfig) -> bool {
        let at_once = config.bytes_at_once as f64 / config.bytes_per_second.max(1) as f64;
        self.used_until > now + Duration::from_secs_f64(at_once)
    }

    /// Say farewell, and close when that is sent.
    pub(super) fn hang_up(&mut self, code: u16) {
        if self.state == State::Open {
            // Codes that nobody may write, among them "no code", are not written back.
            let is_writable = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
            let code = if is_writable {
                code
            } else {
                Fault::Protocol as u16
            };
            frame::write(&mut self.outbox, Kind::Close, &code.to_be_bytes());
        }
        self.state = State::Closing;
    }

    /// What is sent next, when the worker comes to it.
    pub(super) const fn outbox(&mut self) -> &mut Vec<u8> {
        &mut self.outbox
    }

    /// Bytes that wait for it to read.
    pub(super) const fn waiting(&self) -> usize {
        self.outbox.len() - self.sent
    }

    /// Write as much as it takes.
    pub(super) fn flush(&mut self, now: Instant) -> Result<(), Over> {
        while self.waiting() > 0 {
            match self.stream.write(&self.outbox[self.sent..]) {
                Ok(0) => return Err(Over),
                Ok(sent) => self.sent += sent,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.stuck_since.get_or_insert(now);
                    return Ok(());
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Over),
            }
        }
        // Most sockets are idle most of the time: they keep no buffer.
        (self.outbox, self.sent, self.stuck_since) = (Vec::new(), 0, None);
        match self.stream.flush() {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(_) => return Err(Over),
        }
        if self.state == State::Closing {
            self.stream.shut();
            (self.state, self.until) = (State::Shut, now + FAREWELL);
        }
        Ok(())
    }

    /// Time passes; true if there is something to flush.
    pub(super) fn tick(&mut self, now: Instant, config: &TrackerConfig) -> Result<bool, Over> {
        let is_stuck = |since| now.duration_since(since) > config.ping_timeout;
        if self.stuck_since.is_some_and(is_stuck) {
            return Err(Over);
        }
        if now < self.until {
            return Ok(false);
        }
        if self.state == State::Open && self.has_spoken && !self.is_pinged {
            frame::write(&mut self.outbox, Kind::Ping, b"");
            (self.until, self.is_pinged) = (now + config.ping_timeout, true);
            return Ok(true);
        }
        match self.state {
            State::Open => {
                self.hang_up(1008);
                Ok(true)
            }
            State::Closing if self.waiting() > 0 => Ok(true),
            _ => Err(Over),
        }
    }
}

struct Headers<'a>(&'a [httparse::Header<'a>]);

impl Fields for Headers<'_> {
    fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter().rev();
        let field = fields.find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(field.value).ok().map(str::trim)
    }
}
