//! What a node's connection to the network can do, and what stands in it.
//!
//! The uplink is shared as routers with fair queues share it: a turn to each connection that has
//! something to send, and what is small and new goes next. A connection's own messages stay in
//! order, as on a reliable data channel; loss shows as delay of all that comes after.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use headwater_core::ids::PeerKey;
use headwater_core::time::{Duration, Instant};

use crate::NodeId;
use crate::net::Limit;

/// What one connection sends before it is the next one's turn: a block and its header.
const QUANTUM: usize = 16 * 1024 + 64;
/// Messages this short go ahead of other connections' blocks.
const SHORT: usize = 2048;

/// What a node's connection to the network can do.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Bytes per second out.
    pub up: u64,
    /// Bytes per second in.
    pub down: u64,
    /// Time from this node to the middle of the network: half of what it adds to a round trip.
    pub delay: Duration,
    /// Up to this much more, by luck, for each message that leaves.
    pub jitter: Duration,
    /// Packets of 1,200 bytes lost on the way out, per million. Each costs its connection a round trip.
    pub loss: u32,
    /// Bytes that a connection's sender takes before it is full.
    pub buffer: usize,
    /// Bytes of one connection that may be on the way unacknowledged.
    pub window: usize,
    /// Time the processor needs for each 16 KiB that comes in, beside the network.
    pub block_cpu: Duration,
}

impl Link {
    /// 100 Mbit/s both ways, 5 ms away from everybody.
    pub const FAST: Self = Self {
        up: 12_500_000,
        down: 12_500_000,
        delay: Duration::from_micros(2500),
        jitter: Duration::ZERO,
        loss: 0,
        buffer: 256 * 1024,
        window: usize::MAX,
        block_cpu: Duration::ZERO,
    };
    /// 10 Mbit/s out, 50 in, 20 ms away.
    pub const HOME: Self = Self {
        up: 1_250_000,
        down: 6_250_000,
        delay: Duration::from_millis(10),
        ..Self::FAST
    };
}

/// What a node does after it has sent so many bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Halt {
    /// It leaves without a word, in the middle of a message if need be.
    Dies,
    /// It stays, and nothing leaves it any more.
    Stalls,
}

/// A node's place in the network.
#[derive(Debug)]
pub(crate) struct Host {
    pub link: Link,
    pub wires: BTreeSet<PeerKey>,
    /// Bytes that left.
    pub sent: u64,
    pub halt: Option<(u64, Halt)>,
    pub gone: bool,
    /// Whether it reads nothing of what it is sent.
    pub deaf: bool,
    /// What it may send, if that is less than it could.
    pub limit: Option<Limit>,
    ready: VecDeque<PeerKey>,
    serving: Option<(PeerKey, usize)>,
    down_free: Instant,
    cpu_free: Instant,
}

impl Host {
    pub fn new(link: Link) -> Self {
        Self {
            link,
            wires: BTreeSet::new(),
            sent: 0,
            halt: None,
            gone: false,
            deaf: false,
            limit: None,
            ready: VecDeque::new(),
            serving: None,
            down_free: Instant::START,
            cpu_free: Instant::START,
        }
    }

    /// A wire has something to send that is this long.
    pub fn line_up(&mut self, key: PeerKey, length: usize) {
        if length <= SHORT {
            self.ready.push_front(key);
        } else {
            self.ready.push_back(key);
        }
    }

    /// It stays in line for its next turn.
    pub fn line_up_again(&mut self, key: PeerKey) {
        self.ready.push_back(key);
    }

    /// The next wire's turn, if nobody has it: whose, and how long it takes.
    pub fn serve(&mut self, rest: impl Fn(PeerKey) -> Option<usize>) -> Option<Duration> {
        if self.serving.is_some() {
            return None;
        }
        if let Some((after, Halt::Stalls)) = self.halt
            && self.sent >= after
        {
            return None;
        }
        while let Some(key) = self.ready.pop_front() {
            if let Some(rest) = rest(key) {
                let length = rest.min(QUANTUM);
                self.serving = Some((key, length));
                return Some(span(length, self.link.up));
            }
        }
        None
    }

    /// The turn is over: whose it was, and the bytes that left.
    pub fn served(&mut self) -> Option<(PeerKey, usize)> {
        let served = self.serving.take()?;
        self.sent += served.1 as u64;
        Some(served)
    }

    /// A message stands before this node: when the node has it.
    pub fn take_in(&mut self, now: Instant, length: usize) -> Instant {
        self.down_free = self.down_free.max(now) + span(length, self.link.down);
        let cpu = self.link.block_cpu * length as u32 / (16 * 1024);
        self.cpu_free = self.cpu_free.max(self.down_free) + cpu;
        self.cpu_free
    }
}

/// One direction of a connection: the bytes in its sender, and its far end.
#[derive(Debug)]
pub(crate) struct Wire {
    pub from: NodeId,
    pub to: NodeId,
    pub far: PeerKey,
    /// Bytes in the sender.
    pub buffered: usize,
    /// Bytes on the way.
    pub in_flight: usize,
    /// When the last that left comes there.
    pub arrives: Instant,
    queue: VecDeque<Bytes>,
    /// Bytes of the first message that left.
    left: usize,
}

impl Wire {
    pub const fn new(from: NodeId, to: NodeId, far: PeerKey) -> Self {
        Self {
            from,
            to,
            far,
            buffered: 0,
            in_flight: 0,
            arrives: Instant::START,
            queue: VecDeque::new(),
            left: 0,
        }
    }

    /// Takes a message; whether it is the only one.
    pub fn push(&mut self, bytes: Bytes) -> bool {
        self.buffered += bytes.len();
        self.queue.push_back(bytes);
        self.queue.len() == 1
    }

    /// What is left of the message that is being sent, if its connection's window lets it go.
    pub fn rest(&self, window: usize) -> Option<usize> {
        let first = self.queue.front()?;
        let fits = self.in_flight == 0 || self.in_flight.saturating_add(first.len()) <= window;
        (fits || self.left > 0).then(|| first.len() - self.left)
    }

    /// Whether something waits.
    pub fn is_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Bytes left; the message if that was all of it.
    pub fn leave(&mut self, bytes: usize) -> Option<Bytes> {
        self.left += bytes;
        if self.left < self.queue.front()?.len() {
            return None;
        }
        self.left = 0;
        let message = self.queue.pop_front()?;
        self.buffered -= message.len();
        Some(message)
    }

    /// What left of a message that will never be whole.
    pub fn torn(&self) -> Option<Bytes> {
        let first = self.queue.front()?;
        (self.left > 0).then(|| first.slice(..self.left))
    }
}

fn span(bytes: usize, rate: u64) -> Duration {
    Duration::from_micros((bytes as u64 * 1_000_000).div_ceil(rate.max(1)))
}
