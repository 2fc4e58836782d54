//! Thousands of peers on one thread: each a socket that announces, and answers what it is offered.
//!
//! Made to cost less than any tracker it loads: what is said is written before ([`Words`]), what is
//! heard is not parsed but for the name of the offer, and what one read brings is answered in one
//! write.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::words::{OFFERS, OfferId, Words};

/// An announce that has not been answered fully by then is given up, and not counted.
const GIVEN_UP: Duration = Duration::from_secs(2);

/// Connections that are being made at once.
const CONNECTING: usize = 200;

/// Sockets served in one round, and bytes read from one at once.
const ROUND: usize = 1024;
const READ_BUFFER: usize = 1 << 16;

const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

struct Peer {
    stream: TcpStream,
    /// The beginning of a message, and what the socket did not take yet.
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    is_open: bool,
    /// Answers its announce still waits for; when that was said.
    awaited: usize,
    announced: Instant,
}

/// What came of a load.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Announces whose offers have all been answered.
    pub(crate) answered: usize,
    /// Their offers.
    pub(crate) offers: usize,
    /// Announces some of whose offers never were.
    pub(crate) given_up: usize,
    /// From an announce to an offer of it at another peer.
    pub(crate) relays: Vec<Duration>,
    took: Duration,
}

impl Outcome {
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }
}

pub(crate) struct Crowd {
    poll: Poll,
    peers: Vec<Peer>,
    swarms: usize,
    words: Words,
    open: usize,
    responses: usize,
    /// Announces that wait for answers, and the last of those who made them, oldest first.
    under_way: usize,
    begun: VecDeque<(usize, Instant)>,
    next: usize,
    round: u64,
    buffer: Vec<u8>,
    outcome: Outcome,
}

impl Crowd {
    /// Connect so many, let each announce itself without an offer, and wait until all is quiet.
    pub(crate) fn connect(address: SocketAddr, count: usize, swarms: usize) -> io::Result<Self> {
        let mut crowd = Self {
            poll: Poll::new()?,
            peers: Vec::with_capacity(count),
            swarms,
            words: Words::new(),
            open: 0,
            responses: 0,
            under_way: 0,
            begun: VecDeque::new(),
            next: 0,
            round: 0,
            buffer: vec![0; READ_BUFFER],
            outcome: Outcome::default(),
        };
        let begun = Instant::now();
        while crowd.open < count {
            while crowd.peers.len() < count && crowd.peers.len() - crowd.open < CONNECTING {
                crowd.dial(address)?;
            }
            crowd.turn(Duration::from_millis(100))?;
            if begun.elapsed() > Duration::from_secs(60) {
                return Err(io::Error::other("the tracker takes nobody in"));
            }
        }
        for peer in 0..count {
            let hello = crowd.words.hello(peer % swarms, peer);
            crowd.peers[peer].say(hello)?;
            if peer % 100 == 99 {
                crowd.turn(Duration::from_millis(1))?;
            }
        }
        let begun = Instant::now();
        while crowd.responses < count {
            crowd.turn(Duration::from_millis(100))?;
            if begun.elapsed() > Duration::from_secs(30) {
                return Err(io::Error::other("the tracker does not respond to all"));
            }
        }
        Ok(crowd)
    }

    fn dial(&mut self, address: SocketAddr) -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        // As browsers do: else an answer waits up to 40 ms for the tracker's kernel to acknowledge
        // what the same peer said before.
        stream.set_nodelay(true)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        let token = Token(self.peers.len());
        self.poll.registry().register(&mut stream, token, both)?;
        let head = format!(
            "GET /announce HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        self.peers.push(Peer {
            stream,
            inbox: Vec::new(),
            outbox: head.into_bytes(),
            is_open: false,
            awaited: 0,
            announced: Instant::now(),
        });
        Ok(())
    }

    /// Announce for as long, `at_once` being under way, no more than `rate` a second.
    pub(crate) fn load(
        &mut self,
        during: Duration,
        at_once: usize,
        rate: Option<f64>,
    ) -> io::Result<Outcome> {
        self.outcome = Outcome::default();
        let begun = Instant::now();
        let mut announces = 0;
        while begun.elapsed() < during {
            let due = rate.map_or(usize::MAX, |rate| {
                (begun.elapsed().as_secs_f64() * rate) as usize
            });
            while self.under_way < at_once && announces < due {
                self.begin()?;
                announces += 1;
            }
            self.turn(Duration::from_micros(200))?;
            self.give_up();
        }
        self.outcome.took = begun.elapsed();
        // What is still under way ends without being counted.
        let outcome = std::mem::take(&mut self.outcome);
        while self.under_way > 0 {
            self.turn(Duration::from_millis(10))?;
            self.give_up();
        }
        Ok(outcome)
    }

    /// The next peer announces.
    fn begin(&mut self) -> io::Result<()> {
        loop {
            let peer = self.next;
            self.next += 1;
            if self.next == self.peers.len() {
                (self.next, self.round) = (0, self.round + 1);
            }
            let one = &mut self.peers[peer];
            if one.awaited == 0 {
                (one.awaited, one.announced) = (OFFERS, Instant::now());
                self.under_way += 1;
                self.begun.push_back((peer, one.announced));
                return one.say(self.words.announce(peer % self.swarms, peer, self.round));
            }
        }
    }

    /// Forget what has been answered, and what never will be.
    fn give_up(&mut self) {
        while let Some((peer, announced)) = self.begun.front().copied() {
            let one = &mut self.peers[peer];
            if one.awaited > 0 && one.announced == announced {
                if announced.elapsed() < GIVEN_UP {
                    break;
                }
                one.awaited = 0;
                self.under_way -= 1;
                self.outcome.given_up += 1;
            }
            self.begun.pop_front();
        }
    }

    fn turn(&mut self, patience: Duration) -> io::Result<()> {
        let mut events = Events::with_capacity(ROUND);
        self.poll.poll(&mut events, Some(patience))?;
        for event in &events {
            let Token(peer) = event.token();
            if event.is_writable() {
                self.peers[peer].flush()?;
            }
            if event.is_readable() {
                self.read(peer)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, peer: usize) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            let one = &mut self.peers[peer];
            // What was left of the last message goes before what comes.
            let kept = one.inbox.len();
            buffer[..kept].copy_from_slice(&one.inbox);
            one.inbox.clear();
            let length = match one.stream.read(&mut buffer[kept..]) {
                Ok(0) => return Err(io::Error::other("the tracker hung up")),
                Ok(length) => kept + length,
                Err(e) if e.kind() == ErrorKind::WouldBlock => kept,
                Err(e) => return Err(e),
            };
            let used = self.hear(peer, &buffer[..length])?;
            let one = &mut self.peers[peer];
            one.inbox.extend_from_slice(&buffer[used..length]);
            one.flush()?;
            if length < buffer.len() {
                self.buffer = buffer;
                return Ok(());
            }
        }
    }

    /// How much of what `peer` got is done with.
    fn hear(&mut self, peer: usize, bytes: &[u8]) -> io::Result<usize> {
        let mut at = 0;
        if !self.peers[peer].is_open {
            let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
                return Ok(0);
            };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                return Err(io::Error::other("the tracker refuses"));
            }
            self.peers[peer].is_open = true;
            self.open += 1;
            at = end + 4;
        }
        loop {
            let rest = &bytes[at..];
            let (head, length) = match *rest {
                [_, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([a, b]))),
                [_, 127, ..] => return Err(io::Error::other("a huge message")),
                [_, length, ..] if length < 126 => (2, usize::from(length)),
                _ => return Ok(at),
            };
            if rest.len() < head + length {
                return Ok(at);
            }
            let payload = &rest[head..head + length];
            at += head + length;
            match rest[0] & 0x0f {
                1 => self.hear_text(peer, payload),
                9 => self.peers[peer].outbox.extend_from_slice(&PONG),
                8 => return Err(io::Error::other("the tracker says farewell")),
                _ => {}
            }
        }
    }

    fn hear_text(&mut self, peer: usize, text: &[u8]) {
        let Some(offer) = OfferId::of(text) else {
            self.responses += 1;
            return;
        };
        let offerer = &self.peers[offer.offerer()];
        // Offers go to others, answers come to who offered.
        if offer.offerer() != peer {
            self.outcome.relays.push(offerer.announced.elapsed());
            let answer = self.words.answer(peer % self.swarms, peer, offer);
            return self.peers[peer].outbox.extend_from_slice(answer);
        }
        self.outcome.offers += 1;
        let one = &mut self.peers[peer];
        if one.awaited > 0 {
            one.awaited -= 1;
            if one.awaited == 0 {
                self.under_way -= 1;
                self.outcome.answered += 1;
            }
        }
    }
}

impl Peer {
    /// Say this now, or after what waits to be said.
    fn say(&mut self, frame: &[u8]) -> io::Result<()> {
        let said = match self.outbox.is_empty() {
            true => write(&mut self.stream, frame)?,
            false => 0,
        };
        self.outbox.extend_from_slice(&frame[said..]);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let sent = write(&mut self.stream, &self.outbox)?;
        self.outbox.drain(..sent);
        Ok(())
    }
}

/// How much of it the socket takes.
fn write(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(length) => sent += length,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
            Err(e) => return Err(e),
        }
    }
    Ok(sent)
}
