//! What happens, and what follows from it: nodes are told, do what they say, and bytes travel.
//!
//! Nobody outside sees this; who is there and how long time passes is the parent's.

use bytes::Bytes;
use headwater_core::ids::{PeerKey, ReaderId};
use headwater_core::layout::PieceIndex;
use headwater_core::merkle;
use headwater_core::peer::Transport;
use headwater_core::pex::News;
use headwater_core::swarm::{Event, Input, Output};
use headwater_core::time::{Duration, Instant};

use super::Sim;
use super::origins::Errand;
use crate::evil::TICK;
use crate::link::Wire;
use crate::node::Thirst;
use crate::{Halt, NodeId, OFFERS};

/// Bytes of a packet: what is lost is lost in these.
const PACKET: usize = 1200;

/// What may happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// The other end has had bytes of a wire.
    Acknowledged(PeerKey, usize),
    Arrives(NodeId, PeerKey, Bytes),
    Closes(NodeId, PeerKey),
    Errand(Errand),
    /// The bucket of a node that may send only so much.
    Fills(NodeId),
    /// A wire's turn on a node's uplink is over.
    Leaves(NodeId),
    Opens(NodeId, PeerKey, bool),
    /// A player has room again.
    Plays(NodeId, ReaderId),
    /// It stands before the receiver's own link, which carries one thing after the other.
    Reaches(NodeId, PeerKey, Bytes),
    Wakes(NodeId),
}

/// When it does; of the same moment, what was scheduled first comes first.
#[derive(Debug)]
pub(super) struct Scheduled {
    pub at: Instant,
    pub order: u64,
    pub what: Happening,
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

impl Sim {
    pub(super) fn happen(&mut self, what: Happening) {
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
            Happening::Errand(errand) => self.run_errand(errand),
            Happening::Fills(id) => self.fill(id),
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
                self.grant(id, peer);
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

    pub(super) fn input(&mut self, id: NodeId, input: Input<'_>) {
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
    pub(super) fn turn(&mut self, id: NodeId) {
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
            Output::CancelFetch(ticket) => self.cancel_fetch(id, ticket),
            Output::Close(key, _) => self.cut(key),
            Output::Data {
                reader,
                offset,
                bytes,
            } => {
                if let Some(watch) = self.nodes[id.0].watches.get_mut(&reader) {
                    assert_eq!(offset, watch.next, "bytes out of order");
                    let ahead = watch.came(now, &bytes, self.steady, self.keeps);
                    if let Some(ahead) = ahead {
                        self.input(id, Input::Ahead(ahead));
                    }
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
            // Who meets whom is the model's affair here; the village has the real thing.
            Output::Fetch {
                ticket,
                origin,
                url,
                range,
                ..
            } => self.fetch(id, origin, ticket, url, range),
            Output::Introduction(news) => {
                if news == News::Starving {
                    self.nodes[id.0].starved.push(now);
                    // As a page does, if it has a tracker.
                    if self.tracker.knows(id) {
                        self.join(id, OFFERS);
                    }
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

    pub(super) fn write(&mut self, id: NodeId, piece: PieceIndex, bytes: Bytes) {
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
    pub(super) fn cut(&mut self, key: PeerKey) {
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
        self.count(id, length);
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
        if let Some(wire) = self.wire(key) {
            let message = wire.leave(bytes);
            if wire.is_waiting() {
                self.hosts[id.0].line_up_again(key);
            }
            if let Some(message) = message {
                self.travel(key, message);
                self.serve(id);
                self.grant(id, key);
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
