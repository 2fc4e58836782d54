//! The network: nodes, connections, and the one loop that drives them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use headwater_core::bitfield::Bitfield;
use headwater_core::ids::{PeerId, PeerKey, ReaderId};
use headwater_core::layout::{FileIndex, PieceIndex};
use headwater_core::merkle;
use headwater_core::metainfo::Magnet;
use headwater_core::peer::Transport;
use headwater_core::rng::Rng;
use headwater_core::swarm::{Config, Event, Input, Output, Source, Swarm};
use headwater_core::time::{Duration, Instant};

use crate::evil::{Evil, Stranger, TICK};
use crate::link::{Host, Wire};
use crate::node::Thirst;
use crate::tracker::Tracker;
use crate::{Film, Halt, Link, Node, NodeId, Player, Watch};

/// Bytes of a packet: what is lost is lost in these.
const PACKET: usize = 1200;

#[derive(Debug)]
enum Happening {
    /// The other end has had bytes of a wire.
    Acknowledged(PeerKey, usize),
    Arrives(NodeId, PeerKey, Bytes),
    Closes(NodeId, PeerKey),
    /// A wire's turn on a node's uplink is over.
    Leaves(NodeId),
    Opens(NodeId, PeerKey, bool),
    /// A player has room again.
    Plays(NodeId, ReaderId),
    /// It stands before the receiver's own link, which carries one thing after the other.
    Reaches(NodeId, PeerKey, Bytes),
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

/// How far the film has spread: viewers that ever had each piece, the pieces that too few had, and
/// when that came to none.
#[derive(Debug, Default)]
struct Copies {
    counts: Vec<u32>,
    reached: [Option<(Instant, u64)>; 2],
    lacking: [usize; 2],
}

/// A network of swarms in virtual time.
#[derive(Debug)]
pub struct Sim {
    nodes: Vec<Node>,
    hosts: Vec<Host>,
    strangers: BTreeMap<NodeId, Stranger>,
    /// By their sender's peer key.
    wires: Vec<Option<Wire>>,
    queue: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    now: Instant,
    started: Instant,
    seed: u64,
    readers: u64,
    keeps: bool,
    steady: u64,
    copies: Copies,
    pub(crate) luck: Rng,
    pub(crate) tracker: Tracker,
}

impl Sim {
    /// An empty network; `seed` is where all luck comes from.
    pub fn seeded(seed: u64) -> Self {
        Self {
            nodes: Vec::new(),
            hosts: Vec::new(),
            strangers: BTreeMap::new(),
            wires: Vec::new(),
            queue: BinaryHeap::new(),
            order: 0,
            now: Instant::START,
            started: Instant::START,
            seed,
            readers: 0,
            keeps: true,
            steady: 0,
            copies: Copies::default(),
            luck: Rng::seeded(!seed),
            tracker: Tracker::default(),
        }
    }

    /// Keeps neither what is read nor what is told, for large crowds.
    #[must_use]
    pub const fn forgetful(mut self) -> Self {
        self.keeps = false;
        self
    }

    /// The bytes per second for which [`Watch::steady_after`] is reckoned.
    pub const fn reckon_steady(&mut self, rate: u64) {
        self.steady = rate;
    }

    /// The time it is.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// When the first reader was opened.
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// All nodes, those that left too.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// Bytes that left all nodes.
    pub fn bytes_sent(&self) -> u64 {
        self.hosts.iter().map(|host| host.sent).sum()
    }

    /// When every piece had been with one and with two viewers, and the payload that seeds had sent then.
    pub const fn copies(&self) -> [Option<(Instant, u64)>; 2] {
        self.copies.reached
    }

    /// Adds a seeder of `film`.
    pub fn seeder(&mut self, film: &Film, link: Link) -> NodeId {
        self.seeder_with(film, link, |_| {})
    }

    /// The same, with other numbers.
    pub fn seeder_with(&mut self, film: &Film, link: Link, set: impl Fn(&mut Config)) -> NodeId {
        let source = Source::Complete(Box::new(film.metainfo.clone()));
        // The bytes are shared; only the torrent is copied.
        self.add(source, Some(Arc::new(film.clone())), link, set)
    }

    /// Adds a viewer that has the torrent file.
    pub fn viewer(&mut self, film: &Film, link: Link) -> NodeId {
        self.viewer_with(film, link, |_| {})
    }

    /// The same, with other numbers.
    pub fn viewer_with(&mut self, film: &Film, link: Link, set: impl Fn(&mut Config)) -> NodeId {
        let source = Source::Metainfo(Box::new(film.metainfo.clone()));
        self.add(source, None, link, set)
    }

    /// Adds a viewer that has a magnet link.
    pub fn viewer_by_magnet(&mut self, film: &Film, link: Link) -> NodeId {
        let magnet = Magnet::new(film.metainfo.info_hashes());
        self.add(Source::Magnet(Box::new(magnet)), None, link, |_| {})
    }

    /// Adds a peer that says whatever it likes.
    pub fn stranger(&mut self, film: &Film, link: Link, mind: impl Evil + 'static) -> NodeId {
        // Its own swarm is never told anything.
        let id = self.viewer(film, link);
        self.strangers.insert(id, Stranger::new(Box::new(mind)));
        id
    }

    /// A node reads nothing any more of what it is sent.
    pub fn go_deaf(&mut self, id: NodeId) {
        self.hosts[id.0].deaf = true;
    }

    fn add(
        &mut self,
        source: Source,
        storage: Option<Arc<Film>>,
        link: Link,
        set: impl Fn(&mut Config),
    ) -> NodeId {
        let id = NodeId(self.nodes.len());
        let mut name = *b"-HW0001-000000000000";
        name[8..16].copy_from_slice(&format!("{:08}", id.0).into_bytes());
        let mut config = Config::new(PeerId(name), self.seed.wrapping_add(id.0 as u64 * 7919));
        set(&mut config);
        self.nodes
            .push(Node::new(Swarm::new(config, source), storage));
        self.hosts.push(Host::new(link));
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

    /// Whether a node left.
    pub fn is_gone(&self, id: NodeId) -> bool {
        self.hosts[id.0].gone
    }

    /// A node's link.
    pub fn link(&self, id: NodeId) -> Link {
        self.hosts[id.0].link
    }

    /// A node's link changes.
    pub fn relink(&mut self, id: NodeId, link: Link) {
        self.hosts[id.0].link = link;
    }

    /// A node will halt after it has sent so many bytes more.
    pub fn halt_after(&mut self, id: NodeId, bytes: u64, halt: Halt) {
        let host = &mut self.hosts[id.0];
        host.halt = Some((host.sent + bytes, halt));
    }

    /// Connects two nodes; the first is the one that calls.
    pub fn connect(&mut self, a: NodeId, b: NodeId) {
        let first = self.wires.len() as u64;
        let keys = [PeerKey(first), PeerKey(first + 1)];
        self.wires.push(Some(Wire::new(a, b, keys[1])));
        self.wires.push(Some(Wire::new(b, a, keys[0])));
        self.hosts[a.0].wires.insert(keys[0]);
        self.hosts[b.0].wires.insert(keys[1]);
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

    /// Whether two nodes are connected, as the first sees it.
    pub fn are_connected(&self, a: NodeId, b: NodeId) -> bool {
        let wires = self.hosts[a.0].wires.iter();
        let mut wires = wires.filter_map(|key| self.wires[key.0 as usize].as_ref());
        wires.any(|wire| wire.to == b)
    }

    /// One of a node's connections breaks.
    pub fn hang_up(&mut self, id: NodeId, luck: &mut Rng) {
        let wires = &self.hosts[id.0].wires;
        let key = wires.iter().nth(luck.below(wires.len() as u32) as usize);
        if let Some(key) = key.copied() {
            self.cut(key);
            self.input(id, Input::Closed(key));
            self.turn(id);
        }
    }

    /// A node leaves without a word.
    pub fn leave(&mut self, id: NodeId) {
        self.hosts[id.0].gone = true;
        self.tracker.forget(id);
        for key in self.hosts[id.0].wires.clone() {
            self.cut(key);
        }
    }

    /// Somebody begins to read a file on a node, as fast as it comes.
    pub fn watch(&mut self, id: NodeId, file: u32, range: Range<u64>) -> ReaderId {
        self.open(id, file, range, None)
    }

    /// Somebody begins to watch a file on a node.
    pub fn play(&mut self, id: NodeId, file: u32, range: Range<u64>, player: Player) -> ReaderId {
        self.open(id, file, range, Some(player))
    }

    fn open(
        &mut self,
        id: NodeId,
        file: u32,
        range: Range<u64>,
        player: Option<Player>,
    ) -> ReaderId {
        if self.readers == 0 {
            self.started = self.now;
        }
        self.readers += 1;
        let reader = ReaderId(self.readers);
        let file = self.file(id, file);
        let watch = Watch::new(self.now, range.start, range.end, player);
        self.nodes[id.0].watches.insert(reader, watch);
        self.input(
            id,
            Input::ReaderOpened {
                reader,
                file,
                range,
            },
        );
        self.turn(id);
        reader
    }

    /// A node keeps these pieces of the film from now on, and has what it wrote before.
    pub fn keep(&mut self, id: NodeId, wanted: impl Fn(u32) -> bool) {
        let node = &self.nodes[id.0];
        let pieces = node.swarm.stats(self.now).pieces;
        let (mut all, mut have) = (Bitfield::none(pieces), Bitfield::none(pieces));
        for piece in (0..pieces).filter(|piece| wanted(*piece)) {
            all.set(piece);
        }
        for piece in node.kept.keys() {
            have.set(piece.get());
        }
        self.input(id, Input::Kept { wanted: all, have });
        self.turn(id);
    }

    /// A node's disk has room again.
    pub fn free_disk(&mut self, id: NodeId) {
        self.nodes[id.0].full = false;
        for (piece, bytes) in std::mem::take(&mut self.nodes[id.0].unwritten) {
            self.write(id, piece, bytes);
        }
        self.turn(id);
    }

    /// A node finds that it lost a piece that it had written.
    pub fn lose(&mut self, id: NodeId, piece: u32) {
        let found = self.nodes[id.0]
            .kept
            .keys()
            .find(|kept| kept.get() == piece);
        let piece = *found.expect("a piece it has");
        self.nodes[id.0].kept.remove(&piece);
        self.input(id, Input::PieceLost(piece));
        self.turn(id);
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
        let now = self.now;
        if let Some(watch) = self.nodes[id.0].watches.get_mut(&reader) {
            let had = watch.had();
            match &mut watch.playing {
                Some(playing) => playing.pause(now, had, paused),
                None => watch.paused = paused,
            }
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
        let ended = self.run_until_ended(limit);
        assert!(
            ended,
            "not all readers had ended by {limit:?} (seed {})",
            self.seed
        );
    }

    /// Lets time pass until every reader has had all it wanted, or `limit`. Whether they have.
    pub fn run_until_ended(&mut self, limit: Instant) -> bool {
        let mut at = 0;
        // Nodes that were seen to have ended are not looked at again.
        let mut all_ended = |sim: &Self| {
            let has_ended = |at: usize| {
                let watches = &sim.nodes[at].watches;
                sim.hosts[at].gone || watches.values().all(|watch| watch.ended.is_some())
            };
            while at < sim.nodes.len() && has_ended(at) {
                at += 1;
            }
            at == sim.nodes.len()
        };
        self.run_while(limit, |sim| !all_ended(sim)) || all_ended(self)
    }

    fn file(&self, id: NodeId, file: u32) -> FileIndex {
        let metainfo = self.nodes[id.0].swarm.metainfo().expect("a known torrent");
        metainfo.layout().file(file).expect("a file of the torrent")
    }

    fn delay(&self, a: NodeId, b: NodeId) -> Duration {
        self.hosts[a.0].link.delay + self.hosts[b.0].link.delay
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
            Happening::Acknowledged(key, bytes) => {
                if let Some(wire) = self.wire(key) {
                    wire.in_flight -= bytes;
                    let id = wire.from;
                    if wire.is_waiting() {
                        self.hosts[id.0].line_up_again(key);
                        self.serve(id);
                    }
                }
            }
            Happening::Arrives(id, key, bytes) => {
                if self.wires[key.0 as usize].is_some() {
                    self.input(id, Input::Received(key, &bytes));
                    self.turn(id);
                }
            }
            Happening::Closes(id, key) => {
                self.drop_wire(key);
                self.input(id, Input::Closed(key));
                self.turn(id);
            }
            Happening::Leaves(id) => self.leaves(id),
            Happening::Opens(id, peer, dialled) => {
                let Some(wire) = self.wire(peer) else {
                    return;
                };
                let name = format!("node {}", wire.to.0);
                self.input(
                    id,
                    Input::Opened {
                        peer,
                        transport: Transport::WebRtc,
                        dialled,
                        name,
                    },
                );
                let room = self.hosts[id.0].link.buffer;
                self.input(id, Input::Writable(peer, room));
                self.turn(id);
            }
            Happening::Plays(id, reader) => {
                let watch = self.nodes[id.0].watches.get_mut(&reader);
                if let Some(watch) = watch.filter(|watch| watch.sated == Some(self.now)) {
                    watch.sated = None;
                    self.turn(id);
                }
            }
            Happening::Reaches(id, key, bytes) => {
                let arrives = self.hosts[id.0].take_in(self.now, bytes.len());
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
        if self.hosts[id.0].gone {
            return;
        }
        if let Some(stranger) = self.strangers.get_mut(&id) {
            stranger.handle_input(self.now, &input);
        } else {
            self.nodes[id.0].swarm.handle_input(self.now, input);
        }
    }

    /// Drains a node's outputs, and lets its readers pull.
    fn turn(&mut self, id: NodeId) {
        if self.hosts[id.0].gone {
            return;
        }
        let now = self.now;
        if let Some(stranger) = self.strangers.get_mut(&id) {
            let outputs = stranger.take_outputs();
            let acts = !stranger.is_alone() && self.nodes[id.0].timer.is_none();
            outputs.into_iter().for_each(|output| self.act(id, output));
            if acts {
                self.nodes[id.0].timer = Some(now + TICK);
                self.schedule(now + TICK, Happening::Wakes(id));
            }
            return;
        }
        loop {
            while let Some(output) = self.nodes[id.0].swarm.poll_output() {
                self.act(id, output);
            }
            let mut watches = self.nodes[id.0].watches.iter_mut();
            let next = watches.find_map(|(reader, watch)| Some((*reader, watch.thirst(now)?)));
            match next {
                None => break,
                Some((reader, Thirst::Now(chunk))) => self.input(id, Input::Pulled(reader, chunk)),
                Some((reader, Thirst::At(at))) => self.schedule(at, Happening::Plays(id, reader)),
            }
        }
        let node = &mut self.nodes[id.0];
        let due = node.swarm.poll_timeout();
        if let Some(due) = due
            && node.timer.is_none_or(|timer| due < timer)
        {
            node.timer = Some(due.max(now));
            self.schedule(due.max(now), Happening::Wakes(id));
        }
    }

    fn act(&mut self, id: NodeId, output: Output) {
        let now = self.now;
        match output {
            Output::Close(key, _) => self.cut(key),
            Output::Data {
                reader,
                offset,
                bytes,
            } => {
                if let Some(watch) = self.nodes[id.0].watches.get_mut(&reader) {
                    assert_eq!(offset, watch.next, "bytes out of order");
                    watch.came(now, &bytes, self.steady, self.keeps);
                }
            }
            Output::Ended(reader) => {
                if let Some(watch) = self.nodes[id.0].watches.get_mut(&reader) {
                    watch.ended = Some(now);
                    watch.pending = false;
                }
            }
            Output::Event(event) => {
                if let Event::PieceVerified { piece } = event {
                    self.spread(id, piece);
                }
                if self.keeps {
                    self.nodes[id.0].events.push(event);
                }
            }
            Output::Load(block) => {
                let data = self.nodes[id.0].load(block);
                self.input(id, Input::Loaded(block, data));
            }
            Output::LoadLeaves(piece) => {
                let node = &self.nodes[id.0];
                let leaves = match &node.storage {
                    Some(film) => {
                        let part = film.metainfo.layout().file_piece(piece).expect("v2");
                        merkle::leaves(&film.piece(piece)[..part.length as usize])
                    }
                    None => merkle::leaves(&node.kept[&piece]),
                };
                self.input(id, Input::LeavesLoaded(piece, leaves));
            }
            Output::Send(key, bytes) => self.send(id, key, bytes),
            Output::Store(piece, bytes) if self.nodes[id.0].full => {
                self.nodes[id.0].unwritten.push((piece, bytes));
            }
            Output::Store(piece, bytes) => self.write(id, piece, bytes),
        }
    }

    fn write(&mut self, id: NodeId, piece: PieceIndex, bytes: Bytes) {
        self.nodes[id.0].kept.insert(piece, bytes);
        self.input(id, Input::Stored(piece));
    }

    /// A node has a piece.
    fn spread(&mut self, id: NodeId, piece: u32) {
        let (node, copies) = (&mut self.nodes[id.0], &mut self.copies);
        if node.verified.is_empty() {
            let pieces = node.swarm.stats(self.now).pieces as usize;
            node.verified = vec![false; pieces];
            if copies.counts.is_empty() {
                copies.counts = vec![0; pieces];
                copies.lacking = [pieces; 2];
            }
        }
        if std::mem::replace(&mut node.verified[piece as usize], true) {
            return;
        }
        let count = &mut copies.counts[piece as usize];
        *count += 1;
        let Some(lacking) = copies.lacking.get_mut(*count as usize - 1) else {
            return;
        };
        *lacking -= 1;
        if *lacking == 0 {
            let reached = *count as usize - 1;
            let seeders = self.nodes.iter().filter(|node| node.is_seeder());
            let sent = seeders.map(|node| node.swarm.stats(self.now).sent).sum();
            self.copies.reached[reached] = Some((self.now, sent));
        }
    }

    fn wire(&mut self, key: PeerKey) -> Option<&mut Wire> {
        self.wires.get_mut(key.0 as usize)?.as_mut()
    }

    fn drop_wire(&mut self, key: PeerKey) -> Option<Wire> {
        let wire = self.wires.get_mut(key.0 as usize)?.take()?;
        self.hosts[wire.from.0].wires.remove(&key);
        Some(wire)
    }

    /// This end of a connection is gone; the other hears of it after what is on the way.
    fn cut(&mut self, key: PeerKey) {
        if let Some(wire) = self.drop_wire(key) {
            let at = (self.now + self.delay(wire.from, wire.to)).max(wire.arrives);
            self.schedule(at, Happening::Closes(wire.to, wire.far));
        }
    }

    fn send(&mut self, id: NodeId, key: PeerKey, bytes: Bytes) {
        let most = self.hosts[id.0].link.buffer;
        let Some(wire) = self.wire(key) else {
            return;
        };
        let length = bytes.len();
        let is_first = wire.push(bytes);
        assert!(wire.buffered <= most, "more sent than there was room for");
        if is_first {
            self.hosts[id.0].line_up(key, length);
            self.serve(id);
        }
    }

    /// The next turn on a node's uplink.
    fn serve(&mut self, id: NodeId) {
        let (host, wires) = (&mut self.hosts[id.0], &self.wires);
        let window = host.link.window;
        let rest = |key: PeerKey| wires[key.0 as usize].as_ref()?.rest(window);
        if let Some(takes) = host.serve(rest) {
            self.schedule(self.now + takes, Happening::Leaves(id));
        }
    }

    fn leaves(&mut self, id: NodeId) {
        let Some((key, bytes)) = self.hosts[id.0].served() else {
            return;
        };
        let host = &self.hosts[id.0];
        if let Some((after, Halt::Dies)) = host.halt
            && host.sent >= after
        {
            return self.die(id, key, bytes);
        }
        let most = host.link.buffer;
        if let Some(wire) = self.wire(key) {
            let message = wire.leave(bytes);
            let room = most - wire.buffered;
            if wire.is_waiting() {
                self.hosts[id.0].line_up_again(key);
            }
            if let Some(message) = message {
                self.travel(key, message);
                self.serve(id);
                self.input(id, Input::Writable(key, room));
                return self.turn(id);
            }
        }
        self.serve(id);
    }

    /// A message is on its way.
    fn travel(&mut self, key: PeerKey, message: Bytes) {
        let Some((from, to)) = self.wire(key).map(|wire| (wire.from, wire.to)) else {
            return;
        };
        let (link, delay) = (self.hosts[from.0].link, self.delay(from, to));
        let jitter = link.jitter.as_micros() as u32;
        let mut takes = delay + Duration::from_micros(self.luck.below(jitter).into());
        if link.loss > 0 {
            let packets = message.len().div_ceil(PACKET);
            let is_lost = (0..packets).any(|_| self.luck.chance(link.loss, 1_000_000));
            takes += if is_lost { delay * 2 } else { Duration::ZERO };
        }
        let now = self.now;
        let deaf = self.hosts[to.0].deaf;
        let Some(wire) = self.wire(key) else { return };
        if deaf {
            // It stands in the receiver's window for good.
            wire.in_flight += message.len();
            return;
        }
        wire.arrives = wire.arrives.max(now + takes);
        let (arrives, far, length) = (wire.arrives, wire.far, message.len());
        if link.window != usize::MAX {
            wire.in_flight += length;
            self.schedule(arrives + delay, Happening::Acknowledged(key, length));
        }
        self.schedule(arrives, Happening::Reaches(to, far, message));
    }

    /// A node dies in the middle of what it says.
    fn die(&mut self, id: NodeId, key: PeerKey, bytes: usize) {
        if let Some(wire) = self.wire(key) {
            let torn = wire.leave(bytes).or_else(|| wire.torn());
            if let Some(torn) = torn.filter(|torn| torn.len() > 1) {
                let cut = 1 + self.luck.below(torn.len() as u32 - 1) as usize;
                self.travel(key, torn.slice(..cut));
            }
        }
        self.leave(id);
    }
}
