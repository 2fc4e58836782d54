//! Thousands of peers on one thread: each a socket that announces, and answers what it is offered.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// Offers an announce brings.
const OFFERS: usize = 5;

/// An announce that has not been answered fully by then is given up, and not counted.
const GIVEN_UP: Duration = Duration::from_secs(2);

/// Connections that are being made at once.
const CONNECTING: usize = 200;

/// About what Chrome writes for one data channel.
pub(crate) const SDP: &str = r"v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\nm=application 50000 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 192.0.2.1\r\na=candidate:1 1 udp 2113937151 8f1d2f0e-5a3c-4a10-9b6e-0a0b0c0d0e0f.local 50000 typ host generation 0 network-cost 999\r\na=candidate:2 1 udp 1677729535 192.0.2.1 50000 typ srflx raddr 0.0.0.0 rport 0 generation 0 network-cost 999\r\na=ice-ufrag:aBcD\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=ice-options:trickle\r\na=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\na=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";

struct Peer {
    stream: TcpStream,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    is_open: bool,
    /// Answers its announce still waits for; when that was said.
    awaited: usize,
    announced: Instant,
    is_under_way: bool,
    is_dirty: bool,
}

/// What came of a load.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Announces whose offers have all been answered.
    pub(crate) answered: usize,
    /// Their offers.
    pub(crate) offers: usize,
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
    open: usize,
    responses: usize,
    under_way: VecDeque<usize>,
    next: usize,
    round: usize,
    dirty: Vec<usize>,
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
            open: 0,
            responses: 0,
            under_way: VecDeque::new(),
            next: 0,
            round: 0,
            dirty: Vec::new(),
            buffer: vec![0; 1 << 16],
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
            crowd.announce(peer, 0);
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
            is_under_way: false,
            is_dirty: false,
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
        let mut begun_announces = 0;
        while begun.elapsed() < during {
            let due = rate.map_or(usize::MAX, |rate| {
                (begun.elapsed().as_secs_f64() * rate) as usize
            });
            while self.under_way.len() < at_once && begun_announces < due {
                self.begin();
                begun_announces += 1;
            }
            self.turn(Duration::from_micros(200))?;
            while let Some(oldest) = self.under_way.front().copied() {
                let peer = &mut self.peers[oldest];
                if peer.is_under_way && peer.announced.elapsed() < GIVEN_UP {
                    break;
                }
                peer.is_under_way = false;
                self.under_way.pop_front();
            }
        }
        self.outcome.took = begun.elapsed();
        // What is still under way ends without being counted.
        let outcome = std::mem::take(&mut self.outcome);
        while begun.elapsed() < during + GIVEN_UP && self.peers.iter().any(|peer| peer.is_under_way)
        {
            self.turn(Duration::from_millis(10))?;
        }
        self.under_way.clear();
        self.peers
            .iter_mut()
            .for_each(|peer| peer.is_under_way = false);
        Ok(outcome)
    }

    /// The next peer announces.
    fn begin(&mut self) {
        loop {
            let peer = self.next;
            self.next += 1;
            if self.next == self.peers.len() {
                (self.next, self.round) = (0, self.round + 1);
            }
            if !self.peers[peer].is_under_way {
                self.under_way.push_back(peer);
                let one = &mut self.peers[peer];
                (one.is_under_way, one.awaited, one.announced) = (true, OFFERS, Instant::now());
                return self.announce(peer, OFFERS);
            }
        }
    }

    fn announce(&mut self, peer: usize, offers: usize) {
        let round = self.round % 1_000_000;
        let offers: Vec<String> = (0..offers)
            .map(|n| {
                format!(
                    r#"{{"offer":{{"type":"offer","sdp":"{SDP}"}},"offer_id":"{peer:07}{round:07}{n:06}"}}"#
                )
            })
            .collect();
        let text = format!(
            r#"{{"numwant":{},"uploaded":0,"downloaded":0,"left":100,{}"action":"announce","info_hash":"{:020}","peer_id":"{peer:020}","offers":[{}]}}"#,
            offers.len(),
            if offers.is_empty() {
                r#""event":"started","#
            } else {
                ""
            },
            peer % self.swarms,
            offers.join(",")
        );
        self.say(peer, &text);
    }

    fn say(&mut self, peer: usize, text: &str) {
        let one = &mut self.peers[peer];
        one.outbox.push(0x81);
        match text.len() {
            short @ 0..=125 => one.outbox.push(0x80 | short as u8),
            length => {
                one.outbox.push(0xfe);
                one.outbox.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        // A mask of zeros is a mask.
        one.outbox.extend_from_slice(&[0; 4]);
        one.outbox.extend_from_slice(text.as_bytes());
        if !one.is_dirty {
            one.is_dirty = true;
            self.dirty.push(peer);
        }
    }

    fn turn(&mut self, patience: Duration) -> io::Result<()> {
        self.flush()?;
        let mut events = Events::with_capacity(1024);
        self.poll.poll(&mut events, Some(patience))?;
        for event in &events {
            let Token(peer) = event.token();
            if event.is_writable() {
                self.write(peer)?;
            }
            if event.is_readable() {
                self.read(peer)?;
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        for peer in std::mem::take(&mut self.dirty) {
            self.peers[peer].is_dirty = false;
            self.write(peer)?;
        }
        Ok(())
    }

    fn write(&mut self, peer: usize) -> io::Result<()> {
        let one = &mut self.peers[peer];
        while !one.outbox.is_empty() {
            match one.stream.write(&one.outbox) {
                Ok(sent) => drop(one.outbox.drain(..sent)),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn read(&mut self, peer: usize) -> io::Result<()> {
        loop {
            let length = match self.peers[peer].stream.read(&mut self.buffer) {
                Ok(0) => return Err(io::Error::other("the tracker hung up")),
                Ok(length) => length,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            };
            let one = &mut self.peers[peer];
            one.inbox.extend_from_slice(&self.buffer[..length]);
            let inbox = std::mem::take(&mut one.inbox);
            let used = self.hear(peer, &inbox)?;
            self.peers[peer].inbox = inbox[used..].to_vec();
            if length < self.buffer.len() {
                return Ok(());
            }
        }
    }

    /// How much of what `peer` got is done with.
    fn hear(&mut self, peer: usize, bytes: &[u8]) -> io::Result<usize> {
        let mut at = 0;
        if !self.peers[peer].is_open {
            let end = bytes.windows(4).position(|end| end == b"\r\n\r\n");
            let Some(end) = end else { return Ok(0) };
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
                1 => self.hear_text(peer, std::str::from_utf8(payload).unwrap_or_default()),
                9 => self.peers[peer]
                    .outbox
                    .extend_from_slice(&[0x8a, 0x80, 0, 0, 0, 0]),
                8 => return Err(io::Error::other("the tracker says farewell")),
                _ => {}
            }
        }
    }

    fn hear_text(&mut self, peer: usize, text: &str) {
        let value = |name: &str| text.split_once(name).and_then(|(_, rest)| rest.get(..20));
        let Some(offer_id) = value(r#""offer_id":""#) else {
            self.responses += 1;
            return;
        };
        let offerer: usize = offer_id[..7].parse().unwrap_or(0);
        if text.contains(r#""answer":"#) {
            let one = &mut self.peers[peer];
            self.outcome.offers += 1;
            one.awaited = one.awaited.saturating_sub(1);
            if one.awaited == 0 && one.is_under_way {
                one.is_under_way = false;
                self.outcome.answered += 1;
            }
        } else {
            self.outcome
                .relays
                .push(self.peers[offerer].announced.elapsed());
            let answer = format!(
                r#"{{"action":"announce","info_hash":"{:020}","peer_id":"{peer:020}","to_peer_id":"{offerer:020}","answer":{{"type":"answer","sdp":"{SDP}"}},"offer_id":"{offer_id}"}}"#,
                peer % self.swarms
            );
            self.say(peer, &answer);
        }
    }
}
