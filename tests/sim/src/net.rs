//! The network: nodes, connections, and the one loop that drives them.

mod happenings;
mod limits;
mod origins;
mod shelves;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;
use std::sync::Arc;

use headwater_core::bitfield::Bitfield;
use headwater_core::ids::{PeerId, PeerKey, ReaderId};
use headwater_core::layout::FileIndex;
use headwater_core::metainfo::Magnet;
use headwater_core::rng::Rng;
use headwater_core::swarm::{Config, Input, Source, Swarm};
use headwater_core::time::{Duration, Instant};

use crate::evil::{Evil, Stranger};
use crate::link::{Host, Wire};
use crate::origin::Origin;
use crate::tracker::Tracker;
use crate::{Film, Halt, Link, Node, NodeId, Player, Watch};
use happenings::{Happening, Scheduled};
pub(crate) use limits::Limit;

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
    origins: Vec<Origin>,
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
            origins: Vec::new(),
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

    /// Bytes that left a node.
    pub fn bytes_sent_by(&self, id: NodeId) -> u64 {
        self.hosts[id.0].sent
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
        if player.is_some_and(|player| player.tells) {
            self.input(id, Input::Ahead(Duration::ZERO));
        }
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
}
