//! SCTP as data channels use it (RFC 8831, RFC 9260): one association over DTLS, without I/O.
//!
//! Packets in, packets out; messages in, messages out; and it says when to come back. Everything
//! is reliable and ordered. It knows nothing of channels, and gives nobody up: that the remote is
//! gone is noticed below.
//!
//! Both ends connect at once, as browsers do. The cookie of RFC 9260 §5.1.3 carries no signature,
//! for DTLS vouches for who sends it: a remote that changes its own hurts itself.

mod congestion;
mod incoming;
mod outgoing;
mod reset;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub(super) use incoming::Message;

use incoming::{Incoming, RECEIVE_WINDOW};
use outgoing::Outgoing;
use reset::Resets;
use wire::{
    COOKIE_ACK, COOKIE_ECHO, Chunk, Data, HEARTBEAT_ACK, Init, Parameter, RECONFIG, SHUTDOWN_ACK,
    chunks, tag, write_checksum, write_chunk, write_header, write_init,
};

/// When an INIT or a cookie that is not answered is sent again; then after twice that, and so on.
///
/// Browsers drop the first packet now and then if it comes as they complete the handshake.
const FIRST_RESEND: Duration = Duration::from_millis(100);
const MAX_DOUBLED: u32 = 5;
/// Answers that wait to be sent; what asks for more in one batch gets none.
const MAX_ANSWERS: usize = 16;
/// Longest cookie we send back, in bytes, and longest heartbeat we answer.
const MAX_ECHO: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The association is over, by the remote or for what it did.
    Closed(&'static str),
    Connected,
    Received(Message),
    /// The remote will send nothing more on these streams; if there are none, on any.
    Reset(Vec<u16>),
    /// What was sent was not answered in time.
    TimedOut,
}

pub(super) struct Association {
    state: State,
    /// Ours and the remote's.
    ports: (u16, u16),
    mtu: usize,
    ours: Init,
    theirs: Option<Init>,
    outgoing: Outgoing,
    incoming: Incoming,
    resets: Resets,
    answers: VecDeque<Answer>,
    events: VecDeque<Event>,
    /// What the remote gave us to send back.
    cookie: Bytes,
    /// When the INIT or the cookie is sent next, how often it was, and when last.
    resend_at: Option<Instant>,
    resent: u32,
    said_at: Instant,
    packet: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    CookieEchoed,
    CookieWait,
    Established,
}

struct Answer {
    tag: u32,
    chunk: Vec<u8>,
    /// RFC 9653 §5.2: what begins an association always has one.
    needs_checksum: bool,
}

impl Association {
    /// Connects; `packets` are `mtu` bytes at the most, and go between these ports.
    pub(super) fn connect(now: Instant, ports: (u16, u16), mtu: usize, luck: [u32; 2]) -> Self {
        let ours = Init {
            tag: luck[0].max(1),
            window: RECEIVE_WINDOW as u32,
            tsn: luck[1],
            takes_zero_checksum: true,
            resets_streams: true,
        };
        Self {
            state: State::CookieWait,
            ports,
            mtu,
            ours,
            theirs: None,
            outgoing: Outgoing::new(ours.tsn, mtu),
            incoming: Incoming::new(0),
            resets: Resets::new(ours.tsn),
            answers: VecDeque::new(),
            events: VecDeque::new(),
            cookie: Bytes::new(),
            resend_at: Some(now),
            resent: 0,
            said_at: now,
            packet: Vec::with_capacity(mtu),
        }
    }

    /// Sends a message, as soon as that is possible.
    pub(super) fn send(&mut self, stream: u16, ppid: u32, message: Bytes) {
        debug_assert!(!message.is_empty(), "RFC 8831 §6.6 has no empty messages");
        if self.state != State::Closed {
            self.outgoing.push(stream, ppid, message);
        }
    }

    /// Sends nothing more on a stream, and says so.
    pub(super) fn reset_stream(&mut self, stream: u16) {
        if self.theirs.is_none_or(|theirs| theirs.resets_streams) {
            self.resets.push(stream);
        }
    }

    /// Bytes of messages that the remote has not said it has.
    pub(super) fn unacknowledged(&self) -> usize {
        self.outgoing.unacknowledged()
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes a packet. Between packets of one batch [`Self::poll_urgent`] wants to be called.
    pub(super) fn handle_packet(&mut self, now: Instant, packet: &Bytes) {
        let (ours, theirs) = self.ports;
        let Some(tag) = tag(packet, theirs, ours) else {
            return;
        };
        let mut has_data = false;
        for chunk in chunks(packet) {
            // RFC 9260 §8.5.1: only an INIT knows no tag. Of an ABORT that is wrong we believe
            // nothing either: who is gone does not answer.
            let is_right = match chunk {
                Chunk::Init(_) => tag == 0,
                _ => tag == self.ours.tag,
            };
            if !is_right || self.state == State::Closed {
                return;
            }
            has_data |= matches!(chunk, Chunk::Data(_));
            self.handle_chunk(now, chunk, packet.len());
        }
        if has_data && self.theirs.is_some() {
            self.incoming.handle_packet_end(now);
        }
    }

    fn handle_chunk(&mut self, now: Instant, chunk: Chunk, packet: usize) {
        match chunk {
            Chunk::Abort => self.close("closed by the remote"),
            Chunk::CookieAck => {
                if self.state == State::CookieEchoed {
                    self.observe_answer(now);
                    self.establish();
                }
            }
            Chunk::CookieEcho(cookie) => self.handle_cookie(&cookie),
            Chunk::Data(data) => self.handle_data(data, packet),
            Chunk::Heartbeat(info) => {
                if self.state == State::Established && info.len() <= MAX_ECHO {
                    self.answer(HEARTBEAT_ACK, &info);
                }
            }
            Chunk::Init(init) => self.handle_init(init),
            Chunk::InitAck(init, cookie) => self.handle_init_ack(now, init, cookie),
            Chunk::Reconfig(parameters) => {
                for parameter in parameters {
                    self.handle_parameter(parameter);
                }
            }
            Chunk::Sack(sack) => {
                if self.state == State::Established {
                    self.outgoing.handle_sack(now, &sack);
                }
            }
            Chunk::Shutdown => {
                self.answer(SHUTDOWN_ACK, &[]);
                self.close("closed by the remote");
            }
            Chunk::Unknown => {}
        }
    }

    /// RFC 9260 §5.2.1: who has sent an INIT answers one with the tag and the TSN it has sent.
    fn handle_init(&mut self, init: Init) {
        if self.state == State::Established && self.theirs.is_none_or(|t| t.tag != init.tag) {
            return;
        }
        let mut chunk = Vec::new();
        write_init(&mut chunk, &self.ours, Some(&self.bake(&init)));
        self.push_answer(Answer {
            tag: init.tag,
            chunk,
            needs_checksum: true,
        });
    }

    fn handle_init_ack(&mut self, now: Instant, init: Init, cookie: Bytes) {
        if self.state == State::CookieWait && cookie.len() <= MAX_ECHO {
            self.cookie = Bytes::copy_from_slice(&cookie);
            self.meet(init);
            self.observe_answer(now);
            self.state = State::CookieEchoed;
            self.resend_at = Some(now);
            self.resent = 0;
        }
    }

    fn handle_cookie(&mut self, cookie: &Bytes) {
        let Some(init) = self.open(cookie) else {
            return;
        };
        if self.state == State::CookieWait {
            self.meet(init);
        }
        // RFC 9260 §5.2.4, D; anything else is of an association there never was.
        if self.theirs.is_some_and(|theirs| theirs.tag == init.tag) {
            self.answer(COOKIE_ACK, &[]);
            self.establish();
        }
    }

    /// The state of an association that we do not have yet, for the remote to send back.
    fn bake(&self, init: &Init) -> Vec<u8> {
        let flags = u32::from(init.takes_zero_checksum) | u32::from(init.resets_streams) << 1;
        let words = [self.ours.tag, init.tag, init.window, init.tsn, flags];
        words.into_iter().flat_map(u32::to_be_bytes).collect()
    }

    fn open(&self, cookie: &[u8]) -> Option<Init> {
        let word = |n: usize| wire::u32_at(cookie, n * 4);
        (word(0)? == self.ours.tag).then_some(())?;
        Some(Init {
            tag: word(1)?,
            window: word(2)?,
            tsn: word(3)?,
            takes_zero_checksum: word(4)? & 1 != 0,
            resets_streams: word(4)? & 2 != 0,
        })
    }

    fn meet(&mut self, theirs: Init) {
        self.incoming = Incoming::new(theirs.tsn);
        self.outgoing.set_window(theirs.window);
        self.resets.expect(theirs.tsn);
        self.theirs = Some(theirs);
    }

    /// The INIT or the cookie was answered; if it was sent but once, that was a round trip.
    fn observe_answer(&mut self, now: Instant) {
        if self.resent == 1 {
            let took = now.saturating_duration_since(self.said_at);
            self.outgoing.round_trip.observe(took);
        }
    }

    fn establish(&mut self) {
        if self.state != State::Established {
            self.state = State::Established;
            self.resend_at = None;
            self.events.push_back(Event::Connected);
        }
    }

    fn handle_data(&mut self, data: Data, packet: usize) {
        if self.theirs.is_none() {
            return;
        }
        let events = &mut self.events;
        let each = &mut |message| events.push_back(Event::Received(message));
        if self.incoming.handle_data(data, packet, each).is_err() {
            self.close("sent a longer message than it may");
        }
    }

    fn handle_parameter(&mut self, parameter: Parameter) {
        if self.state != State::Established {
            return;
        }
        if let Parameter::Response { request, result } = parameter {
            self.resets.handle_response(request, result);
            return;
        }
        let incoming = &self.incoming;
        let (body, streams) = self
            .resets
            .handle_request(parameter, |tsn| incoming.has(tsn));
        self.answer(RECONFIG, &body);
        if let Some(streams) = streams {
            self.events.push_back(Event::Reset(streams));
        }
    }

    fn answer(&mut self, kind: u8, body: &[u8]) {
        let mut chunk = Vec::new();
        write_chunk(&mut chunk, kind, body);
        let tag = self.theirs.map_or(0, |theirs| theirs.tag);
        self.push_answer(Answer {
            tag,
            chunk,
            needs_checksum: false,
        });
    }

    fn push_answer(&mut self, answer: Answer) {
        if self.answers.len() < MAX_ANSWERS {
            self.answers.push_back(answer);
        }
    }

    fn close(&mut self, why: &'static str) {
        self.state = State::Closed;
        self.resend_at = None;
        self.events.push_back(Event::Closed(why));
    }

    /// A packet that should not wait until the batch is over.
    pub(super) fn poll_urgent(&mut self) -> Option<&[u8]> {
        let is_due = self.state == State::Established && self.incoming.is_overdue();
        if !is_due {
            return None;
        }
        self.begin();
        self.incoming.write_sack(&mut self.packet, self.mtu);
        Some(self.end(false))
    }

    /// The next packet for the remote.
    pub(super) fn poll_packet(&mut self, now: Instant) -> Option<&[u8]> {
        if let Some(answer) = self.answers.pop_front() {
            let (ours, theirs) = self.ports;
            write_header(&mut self.packet, ours, theirs, answer.tag);
            self.packet.extend_from_slice(&answer.chunk);
            return Some(self.end(answer.needs_checksum));
        }
        match self.state {
            State::Closed => None,
            State::CookieEchoed | State::CookieWait => self.poll_beginning(now),
            State::Established => self.poll_established(now),
        }
    }

    fn poll_beginning(&mut self, now: Instant) -> Option<&[u8]> {
        self.resend_at.filter(|at| *at <= now)?;
        self.said_at = now;
        self.resend_at = Some(now + FIRST_RESEND * (1 << self.resent.min(MAX_DOUBLED)));
        self.resent += 1;
        self.begin();
        if self.state == State::CookieWait {
            write_init(&mut self.packet, &self.ours, None);
        } else {
            write_chunk(&mut self.packet, COOKIE_ECHO, &self.cookie);
        }
        Some(self.end(true))
    }

    fn poll_established(&mut self, now: Instant) -> Option<&[u8]> {
        self.begin();
        let last_tsn = self.outgoing.last_tsn();
        self.resets.write(now, last_tsn, &mut self.packet);
        if self.packet.len() == wire::HEADER {
            // What leaves anyway takes the word along that could have waited.
            let goes_along = self.incoming.has_news() && self.outgoing.may_go_on();
            if self.incoming.is_due(now) || goes_along {
                self.incoming.write_sack(&mut self.packet, self.mtu);
            }
            self.outgoing.write(now, &mut self.packet, self.mtu);
        }
        (self.packet.len() > wire::HEADER).then_some(())?;
        Some(self.end(false))
    }

    fn begin(&mut self) {
        let (ours, theirs) = self.ports;
        let tag = self.theirs.map_or(0, |theirs| theirs.tag);
        write_header(&mut self.packet, ours, theirs, tag);
    }

    fn end(&mut self, needs_checksum: bool) -> &[u8] {
        if needs_checksum || self.theirs.is_none_or(|theirs| !theirs.takes_zero_checksum) {
            write_checksum(&mut self.packet);
        }
        &self.packet
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.state == State::Established {
            self.resets.handle_timeout(now);
            if self.outgoing.handle_timeout(now) {
                self.events.push_back(Event::TimedOut);
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.state != State::Established {
            return self.resend_at;
        }
        let timers = [
            self.outgoing.poll_timeout(),
            self.incoming.poll_timeout(),
            self.resets.poll_timeout(),
        ];
        timers.into_iter().flatten().min()
    }
}
