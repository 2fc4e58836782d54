//! The network: nodes, links, and the one loop that drives them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;

use bytes::Bytes;
use headwater_core::ids::{PeerId, PeerKey, ReaderId};
use headwater_core::layout::{Block, FileIndex};
use headwater_core::merkle;
use headwater_core::metainfo::Magnet;
use headwater_core::peer::Transport;
use headwater_core::swarm::{Config, Event, Input, Output, Source, Swarm};
use headwater_core::time::{Duration, Instant};

use crate::Film;

/// Bytes a link's sender takes before it is full.
const SEND_BUFFER: usize = 256 * 1024;

/// One node of the simulation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NodeId(pub usize);

/// What a node's connection to the network can do.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Bytes per second out.
    pub up: u64,
    /// Bytes per second in.
    pub down: u64,
    /// Time from this node to the middle of the network: half of what it adds to a round trip.
    pub delay: Duration,
}

impl Link {
    /// 100 Mbit/s both ways, 5 ms away from everybody.
    pub const FAST: Self = Self {
        up: 12_500_000,
        down: 12_500_000,
        delay: Duration::from_micros(2500),
    };
    /// 10 Mbit/s out, 50 in, 20 ms away.
    pub const HOME: Self = Self {
        up: 1_250_000,
        down: 6_250_000,
        delay: Duration::from_millis(10),
    };
}

/// Somebody who reads a file from start to end.
#[derive(Debug)]
pub struct Watch {
    /// The bytes as they came, in order.
    pub bytes: Vec<u8>,
    /// When the first came.
    pub first_byte: Option<Instant>,
    /// When the last came.
    pub ended: Option<Instant>,
    next: u64,
    paused: bool,
    pending: bool,
    chunk: usize,
}

/// One peer of the simulation.
#[derive(Debug)]
pub struct Node {
    /// Its swarm.
    pub swarm: Swarm,
    /// What happened in it.
    pub events: Vec<Event>,
    /// Who reads on it.
    pub watches: BTreeMap<ReaderId, Watch>,
    /// Whether its storage tells lies.
    pub lies: bool,
    storage: Option<Film>,
    link: Link,
    up_free: Instant,
    down_free: Instant,
    timer: Option<Instant>,
    gone: bool,
}

#[derive(Debug)]
enum Happening {
    Arrives(NodeId, PeerKey, Bytes),
    Departed(NodeId, PeerKey, usize),
    /// It stands before the receiver's own link, which carries one thing after the other.
    Reaches(NodeId, PeerKey, Bytes),
    Opens(NodeId, PeerKey, bool),
    Closes(NodeId, PeerKey),
    Wakes(NodeId),
}

#[derive(Debug)]
struct Scheduled {
    at: Instant,
    order: u64,
    what: Happening,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// The far end of a connection, and the bytes in its sender.
#[derive(Debug)]
struct Wire {
    to: (NodeId, PeerKey),
    buffered: usize,
}

/// A network of swarms in virtual time.
#[derive(Debug)]
pub struct Sim {
    nodes: Vec<Node>,
    wires: BTreeMap<(NodeId, PeerKey), Wire>,
    queue: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    now: Instant,
    seed: u64,
    next_key: u64,
}

impl Sim {
    /// An empty network; `seed` is where all luck comes from.
    pub fn seeded(seed: u64) -> Self {
        Self {
            nodes: Vec::new(),
            wires: BTreeMap::new(),
            queue: BinaryHeap::new(),
            order: 0,
            now: Instant::START,
            seed,
            next_key: 1,
        }
    }

    /// The time it is.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Adds a seeder of `film`.
    pub fn seeder(&mut self, film: &Film, link: Link) -> NodeId {
        self.seeder_with(film, link, |_| {})
    }

    /// The same, with other numbers.
    pub fn seeder_with(&mut self, film: &Film, link: Link, set: impl Fn(&mut Config)) -> NodeId {
        let source = Source::Complete(Box::new(film.metainfo.clone()));
        self.add(source, Some(film.clone()), link, set)
    }

    /// Adds a viewer that has the torrent file.
    pub fn viewer(&mut self, film: &Film, link: Link) -> NodeId {
        self.viewer_with(film, link, |_| {})
    }

    /// The same, with other numbers.
    pub fn viewer_with(&mut self, film: &Film, link: Link, set: impl Fn(&mut Config)) -> NodeId {
        self.add(
            Source::Metainfo(Box::new(film.metainfo.clone())),
            None,
            link,
            set,
        )
    }

    /// Adds a viewer that has a magnet link.
    pub fn viewer_by_magnet(&mut self, film: &Film, link: Link) -> NodeId {
        let magnet = Magnet::new(film.metainfo.info_hashes());
        self.add(Source::Magnet(Box::new(magnet)), None, link, |_| {})
    }

    fn add(
        &mut self,
        source: Source,
        storage: Option<Film>,
        link: Link,
        set: impl Fn(&mut Config),
    ) -> NodeId {
        let id = NodeId(self.nodes.len());
        let mut name = *b"-HW0001-000000000000";
        name[8..16].copy_from_slice(&format!("{:08}", id.0).into_bytes());
        let mut config = Config::new(PeerId(name), self.seed.wrapping_add(id.0 as u64 * 7919));
        set(&mut config);
        self.nodes.push(Node {
            swarm: Swarm::new(config, source),
            events: Vec::new(),
            watches: BTreeMap::new(),
            lies: false,
            storage,
            link,
            up_free: Instant::START,
            down_free: Instant::START,
            timer: None,
            gone: false,
        });
        id
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// A node, to be changed.
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0]
    }

    /// Connects two nodes; the first is the one that calls.
    pub fn connect(&mut self, a: NodeId, b: NodeId) {
        let keys = [PeerKey(self.next_key), PeerKey(self.next_key + 1)];
        self.next_key += 2;
        let wire = |to| Wire { to, buffered: 0 };
        self.wires.insert((a, keys[0]), wire((b, keys[1])));
        self.wires.insert((b, keys[1]), wire((a, keys[0])));
        let delay = self.delay(a, b);
        self.schedule(self.now + delay, Happening::Opens(a, keys[0], true));
        self.schedule(self.now + delay, Happening::Opens(b, keys[1], false));
    }

    /// Connects every node with every other that is there before it.
    pub fn connect_all(&mut self) {
        for b in 1..self.nodes.len() {
            for a in 0..b {
                self.connect(NodeId(b), NodeId(a));
            }
        }
    }

    /// A node leaves without a word.
    pub fn leave(&mut self, id: NodeId) {
        self.nodes[id.0].gone = true;
        let ends: Vec<(NodeId, PeerKey)> = self
            .wires
            .iter()
            .filter(|((node, _), _)| *node == id)
            .map(|(_, wire)| wire.to)
            .collect();
        self.wires
            .retain(|(node, _), wire| *node != id && wire.to.0 != id);
        for (node, key) in ends {
            let delay = self.delay(id, node);
            self.schedule(self.now + delay, Happening::Closes(node, key));
        }
    }

    /// Somebody begins to read a file on a node, as fast as it comes.
    pub fn watch(&mut self, id: NodeId, file: u32, range: Range<u64>) -> ReaderId {
        let reader = ReaderId(self.next_key);
        self.next_key += 1;
        let index = self.file(id, file);
        let watch = Watch {
            bytes: Vec::new(),
            first_byte: None,
            ended: None,
            next: range.start,
            paused: false,
            pending: false,
            chunk: 256 * 1024,
        };
        self.nodes[id.0].watches.insert(reader, watch);
        self.input(
            id,
            Input::ReaderOpened {
                reader,
                file: index,
                range,
            },
        );
        self.turn(id);
        reader
    }

    /// Somebody reads the whole first file of a node.
    pub fn watch_all(&mut self, id: NodeId) -> ReaderId {
        let length = self.nodes[id.0]
            .swarm
            .metainfo()
            .expect("a known torrent")
            .layout()
            .files()[0]
            .length;
        self.watch(id, 0, 0..length)
    }

    /// A reader stops, or goes on.
    pub fn pause(&mut self, id: NodeId, reader: ReaderId, paused: bool) {
        if let Some(watch) = self.nodes[id.0].watches.get_mut(&reader) {
            watch.paused = paused;
        }
        self.turn(id);
    }

    /// A reader goes away.
    pub fn stop(&mut self, id: NodeId, reader: ReaderId) {
        self.nodes[id.0].watches.remove(&reader);
        self.input(id, Input::ReaderClosed(reader));
        self.turn(id);
    }

    /// Lets time pass until `until`, or until nothing more happens.
    pub fn run_until(&mut self, until: Instant) {
        self.run_while(until, |_| true);
    }

    /// Lets time pass until `until`, or until `go` is false. Whether `go` stopped it.
    pub fn run_while(&mut self, until: Instant, mut go: impl FnMut(&Self) -> bool) -> bool {
        while let Some(Reverse(next)) = self.queue.peek() {
            if next.at > until {
                break;
            }
            let Some(Reverse(next)) = self.queue.pop() else {
                break;
            };
            self.now = next.at;
            self.happen(next.what);
            if !go(self) {
                return true;
            }
        }
        self.now = self.now.max(until);
        false
    }

    /// Lets time pass until every reader has had all it wanted; panics if that takes longer than `limit`.
    pub fn run_to_end(&mut self, limit: Instant) {
        let all_ended = |sim: &Self| {
            sim.nodes
                .iter()
                .filter(|node| !node.gone)
                .all(|node| node.watches.values().all(|watch| watch.ended.is_some()))
        };
        let stopped = self.run_while(limit, |sim| !all_ended(sim));
        assert!(
            stopped || all_ended(self),
            "not all readers had ended by {limit:?} (seed {})",
            self.seed
        );
    }

    fn file(&self, id: NodeId, file: u32) -> FileIndex {
        let metainfo = self.nodes[id.0].swarm.metainfo().expect("a known torrent");
        metainfo.layout().file(file).expect("a file of the torrent")
    }

    fn delay(&self, a: NodeId, b: NodeId) -> Duration {
        self.nodes[a.0].link.delay + self.nodes[b.0].link.delay
    }

    fn schedule(&mut self, at: Instant, what: Happening) {
        self.order += 1;
        self.queue.push(Reverse(Scheduled {
            at,
            order: self.order,
            what,
        }));
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Arrives(id, key, bytes) => {
                if !self.wires.contains_key(&(id, key)) {
                    return;
                }
                self.input(id, Input::Received(key, &bytes));
                self.turn(id);
            }
            Happening::Closes(id, key) => {
                self.wires.remove(&(id, key));
                self.input(id, Input::Closed(key));
                self.turn(id);
            }
            Happening::Departed(id, key, bytes) => {
                let Some(wire) = self.wires.get_mut(&(id, key)) else {
                    return;
                };
                wire.buffered -= bytes;
                let room = SEND_BUFFER - wire.buffered;
                self.input(id, Input::Writable(key, room));
                self.turn(id);
            }
            Happening::Opens(id, key, dialled) => {
                let Some(wire) = self.wires.get(&(id, key)) else {
                    return;
                };
                let name = format!("node {}", wire.to.0.0);
                self.input(
                    id,
                    Input::Opened {
                        peer: key,
                        transport: Transport::WebRtc,
                        dialled,
                        name,
                    },
                );
                self.input(id, Input::Writable(key, SEND_BUFFER));
                self.turn(id);
            }
            Happening::Reaches(id, key, bytes) => {
                let node = &mut self.nodes[id.0];
                node.down_free = node.down_free.max(self.now) + span(bytes.len(), node.link.down);
                let arrives = node.down_free;
                self.schedule(arrives, Happening::Arrives(id, key, bytes));
            }
            Happening::Wakes(id) => {
                if self.nodes[id.0].timer == Some(self.now) {
                    self.nodes[id.0].timer = None;
                    self.input(id, Input::TimedOut);
                    self.turn(id);
                }
            }
        }
    }

    fn input(&mut self, id: NodeId, input: Input<'_>) {
        let node = &mut self.nodes[id.0];
        if !node.gone {
            node.swarm.handle_input(self.now, input);
        }
    }

    /// Drains a node's outputs, and lets its readers pull.
    fn turn(&mut self, id: NodeId) {
        if self.nodes[id.0].gone {
            return;
        }
        loop {
            while let Some(output) = self.nodes[id.0].swarm.poll_output() {
                self.act(id, output);
            }
            let node = &mut self.nodes[id.0];
            let next = node
                .watches
                .iter_mut()
                .find(|(_, watch)| !watch.pending && !watch.paused && watch.ended.is_none());
            let Some((reader, watch)) = next else { break };
            watch.pending = true;
            let (reader, chunk) = (*reader, watch.chunk);
            self.input(id, Input::Pulled(reader, chunk));
        }
        let node = &mut self.nodes[id.0];
        let due = node.swarm.poll_timeout();
        if let Some(due) = due
            && node.timer.is_none_or(|timer| due < timer)
        {
            node.timer = Some(due.max(self.now));
            self.schedule(due.max(self.now), Happening::Wakes(id));
        }
    }

    fn act(&mut self, id: NodeId, output: Output) {
        match output {
            Output::Close(key, _) => {
                if let Some(wire) = self.wires.remove(&(id, key)) {
                    let delay = self.delay(id, wire.to.0);
                    self.schedule(self.now + delay, Happening::Closes(wire.to.0, wire.to.1));
                }
            }
            Output::Data {
                reader,
                offset,
                bytes,
            } => {
                let now = self.now;
                let Some(watch) = self.nodes[id.0].watches.get_mut(&reader) else {
                    return;
                };
                assert_eq!(offset, watch.next, "bytes out of order");
                watch.next += bytes.len() as u64;
                watch.bytes.extend_from_slice(&bytes);
                watch.first_byte.get_or_insert(now);
                watch.pending = false;
            }
            Output::Ended(reader) => {
                let now = self.now;
                if let Some(watch) = self.nodes[id.0].watches.get_mut(&reader) {
                    watch.ended = Some(now);
                    watch.pending = false;
                }
            }
            Output::Event(event) => self.nodes[id.0].events.push(event),
            Output::Load(block) => {
                let data = self.nodes[id.0].load(block);
                self.input(id, Input::Loaded(block, data));
            }
            Output::LoadLeaves(piece) => {
                let node = &self.nodes[id.0];
                let film = node.storage.as_ref().expect("storage");
                let bytes = film.piece(piece);
                let part = film
                    .metainfo
                    .layout()
                    .file_piece(piece)
                    .expect("a v2 piece");
                let leaves = merkle::leaves(&bytes[..part.length as usize]);
                self.input(id, Input::LeavesLoaded(piece, leaves));
            }
            Output::Send(key, bytes) => self.send(id, key, bytes),
        }
    }

    fn send(&mut self, id: NodeId, key: PeerKey, bytes: Bytes) {
        let Some(wire) = self.wires.get_mut(&(id, key)) else {
            return;
        };
        wire.buffered += bytes.len();
        assert!(
            wire.buffered <= SEND_BUFFER,
            "more sent than there was room for"
        );
        let (to, to_key) = wire.to;
        let sender = &mut self.nodes[id.0];
        let departs = sender.up_free.max(self.now) + span(bytes.len(), sender.link.up);
        sender.up_free = departs;
        let delay = self.delay(id, to);
        let length = bytes.len();
        self.schedule(departs, Happening::Departed(id, key, length));
        self.schedule(departs + delay, Happening::Reaches(to, to_key, bytes));
    }
}

impl Node {
    /// The bytes a reader got.
    pub fn read(&self, reader: ReaderId) -> &[u8] {
        &self.watches[&reader].bytes
    }

    fn load(&self, block: Block) -> Bytes {
        let film = self.storage.as_ref().expect("storage");
        let piece = film.piece(block.piece);
        let mut bytes = piece[block.begin as usize..(block.begin + block.length) as usize].to_vec();
        if self.lies {
            bytes[0] ^= 1;
        }
        Bytes::from(bytes)
    }
}

fn span(bytes: usize, rate: u64) -> Duration {
    Duration::from_micros((bytes as u64 * 1_000_000).div_ceil(rate.max(1)))
}
