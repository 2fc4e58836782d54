//! Clients, trackers and, where a story wants them, swarms, in a world where time jumps and one seed
//! replays all.
//!
//! WebRTC here is a lookup: an SDP names the node and key that made it, and a connection opens at
//! both ends, a little apart, when an answer is applied.

use crate::ids::InfoHashV1;
use crate::ids::{InfoHashes, PeerId, PeerKey, SwarmHash};
use crate::metainfo::Magnet;
use crate::peer::Transport;
use crate::rng::Rng;
use crate::swarm::{self, Source, Swarm};
use crate::time::{Duration, Instant};
use crate::tracker::Progress;
use crate::tracker::client::{Client, ClientConfig, Input, Output, TrackerKey};
use crate::tracker::server::{self, ConnKey, ServerConfig, Tracker};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;

/// One node's end of a connection.
type End = (usize, PeerKey);

const LATENCY: Duration = Duration::from_millis(20);
const MAKING: Duration = Duration::from_millis(60);
const CONNECTING: Duration = Duration::from_millis(120);

/// Connections that no client knows of: those over TCP.
const TCP_BIT: u64 = 1 << 31;

/// Bytes a connection takes at once.
const ROOM: usize = 1 << 20;

enum Event {
    /// A client's own doing, or a word from its WebRTC stack.
    Answered(usize, PeerKey, String),
    Closed(usize, PeerKey),
    /// Bytes from a neighbour.
    Heard(usize, PeerKey, Bytes),
    Offered(usize, PeerKey, String),
    Opened(End, End),
    /// Words from the other end of a socket.
    FromTracker(usize, usize, ConnKey, String),
    ToTracker(usize, ConnKey, String),
    Dialled(usize, TrackerKey, usize),
    HungUp(usize, ConnKey),
    Joined(usize),
}

pub(super) struct Node {
    pub(super) client: Option<Client>,
    /// What its neighbours say to it, where the story has swarms.
    swarm: Option<Swarm>,
    config: ClientConfig,
    is_seed: bool,
    /// The sockets it has, by tracker.
    pub(super) sockets: BTreeMap<TrackerKey, (usize, ConnKey)>,
    pub(super) open: BTreeMap<PeerKey, End>,
    pub(super) first_opened: Option<Instant>,
}

pub(super) struct World {
    now: Instant,
    pub(super) rng: Rng,
    events: BTreeMap<(Instant, u64), Event>,
    seq: u64,
    next_conn: u64,
    pub(super) trackers: Vec<(Tracker, bool)>,
    pub(super) nodes: Vec<Node>,
    /// Who holds a tracker's socket.
    holders: BTreeMap<ConnKey, (usize, TrackerKey)>,
    has_swarms: bool,
    next_call: u64,
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn sdp(end: End) -> String {
    format!(
        "v=0\r\nm=application 9 UDP/DTLS/SCTP x\r\na=end:{}:{}\r\n",
        end.0, end.1.0
    )
}

fn end_in(sdp: &str) -> End {
    let mut words = sdp.trim_end().rsplit(':');
    let key = PeerKey(words.next().unwrap().parse().unwrap());
    (words.next().unwrap().parse().unwrap(), key)
}

impl Node {
    fn due(&self) -> Option<Instant> {
        let swarm = self.swarm.as_ref().and_then(Swarm::poll_timeout);
        let client = self.client.as_ref().and_then(Client::poll_timeout);
        swarm.into_iter().chain(client).min()
    }
}

impl World {
    pub(super) fn new(seed: u64, trackers: usize) -> Self {
        let tracker = |n| {
            (
                Tracker::new(ServerConfig {
                    seed: seed ^ n,
                    ..ServerConfig::default()
                }),
                true,
            )
        };
        Self {
            now: Instant::START,
            rng: Rng::seeded(seed),
            events: BTreeMap::new(),
            seq: 0,
            next_conn: 0,
            trackers: (0..trackers as u64).map(tracker).collect(),
            nodes: Vec::new(),
            holders: BTreeMap::new(),
            has_swarms: false,
            next_call: TCP_BIT,
        }
    }

    /// Lets neighbours speak to each other.
    pub(super) fn with_swarms(mut self) -> Self {
        self.has_swarms = true;
        self
    }

    /// A peer that joins after `delay`.
    pub(super) fn join(&mut self, offers_wanted: usize, is_seed: bool, delay: Duration) -> usize {
        let mut id = *b"-HW0100-............";
        self.rng.fill(&mut id[8..]);
        let config = ClientConfig {
            peer_id: PeerId(id),
            swarm: SwarmHash([3; 20]),
            trackers: (0..self.trackers.len()).map(|n| n.to_string()).collect(),
            offers_wanted,
            key_space: self.nodes.len() as u32,
            seed: self.rng.next_u64(),
            max_connections: 60,
        };
        let (sockets, open) = (BTreeMap::new(), BTreeMap::new());
        self.nodes.push(Node {
            client: None,
            swarm: None,
            config,
            is_seed,
            sockets,
            open,
            first_opened: None,
        });
        let node = self.nodes.len() - 1;
        self.after(delay, Event::Joined(node));
        node
    }

    /// A peer that vanishes: sockets and connections close, nothing is said.
    pub(super) fn vanish(&mut self, node: usize) {
        self.nodes[node].client = None;
        self.nodes[node].swarm = None;
        for (_, (tracker, conn)) in core::mem::take(&mut self.nodes[node].sockets) {
            self.after(LATENCY, Event::HungUp(tracker, conn));
        }
        for (_, (other, key)) in core::mem::take(&mut self.nodes[node].open) {
            self.after(LATENCY, Event::Closed(other, key));
        }
    }

    fn after(&mut self, delay: Duration, event: Event) {
        self.seq += 1;
        self.events.insert((self.now + delay, self.seq), event);
    }

    pub(super) fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        loop {
            let timer = self.nodes.iter().filter_map(Node::due).min();
            let event = self.events.keys().next().map(|(at, _)| *at);
            let Some(next) = timer
                .into_iter()
                .chain(event)
                .min()
                .filter(|at| *at <= until)
            else {
                break;
            };
            self.now = self.now.max(next);
            match self
                .events
                .first_entry()
                .filter(|entry| entry.key().0 <= self.now)
            {
                Some(entry) => {
                    let event = entry.remove();
                    self.happen(event);
                }
                None => self.ring(),
            }
        }
        self.now = until;
    }

    fn ring(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].due().is_some_and(|due| due <= self.now) {
                self.tell(node, Input::TimedOut);
                self.tell_swarm(node, swarm::Input::TimedOut);
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Joined(node) => {
                let config = self.nodes[node].config.clone();
                if self.has_swarms {
                    let numbers = swarm::Config::new(config.peer_id, config.seed);
                    let hashes = InfoHashes::V1(InfoHashV1(config.swarm.0));
                    let source = Source::Magnet(Box::new(Magnet::new(hashes)));
                    self.nodes[node].swarm = Some(Swarm::new(numbers, source));
                }
                self.nodes[node].client = Some(Client::new(config, self.now));
                let left = Some(if self.nodes[node].is_seed { 0 } else { 1 });
                self.tell(
                    node,
                    Input::Progress(Progress {
                        left,
                        ..Progress::default()
                    }),
                );
            }
            Event::Answered(node, key, sdp) => self.tell(node, Input::AnswerMade(key, &sdp)),
            Event::Offered(node, key, sdp) => self.tell(node, Input::OfferMade(key, &sdp)),
            Event::Closed(node, key) => {
                self.nodes[node].open.remove(&key);
                self.tell_swarm(node, swarm::Input::Closed(key));
                self.tell(node, Input::Closed(key));
            }
            Event::Heard(node, key, bytes) => {
                self.tell_swarm(node, swarm::Input::Received(key, &bytes));
            }
            Event::Opened(one, other) => self.open(one, other),
            Event::Dialled(node, key, tracker) => self.dialled(node, key, tracker),
            Event::ToTracker(tracker, conn, text) => {
                self.tell_tracker(tracker, server::Input::Received(conn, &text));
            }
            Event::HungUp(tracker, conn) => {
                self.holders.remove(&conn);
                self.tell_tracker(tracker, server::Input::Closed(conn));
            }
            Event::FromTracker(node, tracker, conn, text) => {
                let socket = self.nodes[node]
                    .sockets
                    .iter()
                    .find(|(_, socket)| **socket == (tracker, conn));
                if let Some(key) = socket.map(|(key, _)| *key) {
                    self.tell(node, Input::TrackerReceived(key, &text));
                }
            }
        }
    }

    fn open(&mut self, one: End, other: End) {
        if self.nodes[one.0]
            .client
            .as_ref()
            .is_none_or(|client| client.remote_id(one.1).is_none())
        {
            // The other end has or will have an open channel to nobody, and finds out.
            return self.after(LATENCY * 10, Event::Closed(other.0, other.1));
        }
        self.nodes[one.0].open.insert(one.1, other);
        let now = self.now;
        self.nodes[one.0].first_opened.get_or_insert(now);
        self.tell(one.0, Input::Opened(one.1));
        // Which of them called does not matter here, only that both agree.
        self.open_in_swarm(one, Transport::WebRtc, one < other);
    }

    /// A node calls another over TCP, which no tracker client knows of.
    pub(super) fn call(&mut self, node: usize, other: usize) {
        let mut end = |node| {
            self.next_call += 1;
            (node, PeerKey((node as u64) << 32 | self.next_call))
        };
        let (one, other) = (end(node), end(other));
        for (end, far) in [(one, other), (other, one)] {
            self.nodes[end.0].open.insert(end.1, far);
            self.open_in_swarm(end, Transport::Tcp, end == one);
        }
    }

    fn open_in_swarm(&mut self, (node, peer): End, transport: Transport, dialled: bool) {
        let name = String::new();
        let opened = swarm::Input::Opened {
            peer,
            transport,
            dialled,
            name,
        };
        self.tell_swarm(node, opened);
        self.tell_swarm(
            node,
            swarm::Input::Writable {
                peer,
                room: ROOM,
                queued: 0,
            },
        );
    }

    fn tell_swarm(&mut self, node: usize, input: swarm::Input<'_>) {
        let now = self.now;
        if let Some(swarm) = &mut self.nodes[node].swarm {
            swarm.handle_input(now, input);
        }
        while let Some(output) = self.nodes[node].swarm.as_mut().and_then(Swarm::poll_output) {
            match output {
                swarm::Output::Send(key, bytes) => {
                    if let Some((far, far_key)) = self.nodes[node].open.get(&key).copied() {
                        self.after(LATENCY, Event::Heard(far, far_key, bytes));
                    }
                    self.tell_swarm(
                        node,
                        swarm::Input::Writable {
                            peer: key,
                            room: ROOM,
                            queued: 0,
                        },
                    );
                }
                swarm::Output::Close(key, _) => {
                    self.drop_end(node, key);
                    self.tell(node, Input::Closed(key));
                }
                swarm::Output::Introduction(news) => self.tell(node, Input::Introduced(&news)),
                _ => {}
            }
        }
    }

    fn drop_end(&mut self, node: usize, key: PeerKey) {
        if let Some((other, key)) = self.nodes[node].open.remove(&key) {
            self.after(LATENCY, Event::Closed(other, key));
        }
    }

    fn dialled(&mut self, node: usize, key: TrackerKey, tracker: usize) {
        if !self.trackers[tracker].1 {
            return self.tell(node, Input::TrackerClosed(key, "refused"));
        }
        let conn = ConnKey(self.next_conn);
        self.next_conn += 1;
        self.nodes[node].sockets.insert(key, (tracker, conn));
        self.holders.insert(conn, (node, key));
        self.tell_tracker(tracker, server::Input::Connected(conn));
        self.tell(node, Input::TrackerOpened(key));
    }

    fn tell_tracker(&mut self, tracker: usize, input: server::Input<'_>) {
        if !self.trackers[tracker].1 {
            return;
        }
        self.trackers[tracker].0.handle_input(self.now, input);
        while let Some(output) = self.trackers[tracker].0.poll_output() {
            match output {
                server::Output::Close(conn, reason) => panic!("{conn:?} closed: {reason}"),
                server::Output::Relay(..) => panic!("there is nobody else"),
                server::Output::Send(conn, text) => {
                    if let Some((node, _)) = self.holders.get(&conn) {
                        self.after(LATENCY, Event::FromTracker(*node, tracker, conn, text));
                    }
                }
            }
        }
    }

    pub(super) fn tell(&mut self, node: usize, input: Input<'_>) {
        let Some(client) = &mut self.nodes[node].client else {
            return;
        };
        client.handle_input(self.now, input);
        while let Some(output) = self.nodes[node]
            .client
            .as_mut()
            .and_then(Client::poll_output)
        {
            self.obey(node, output);
        }
    }

    fn obey(&mut self, node: usize, output: Output) {
        let luck = |rng: &mut Rng| Duration::from_millis(u64::from(rng.below(100)));
        match output {
            Output::MakeOffer(key) => {
                let delay = MAKING + luck(&mut self.rng);
                self.after(delay, Event::Offered(node, key, sdp((node, key))));
            }
            Output::AcceptOffer(key, _) => {
                let delay = MAKING + luck(&mut self.rng);
                self.after(delay, Event::Answered(node, key, sdp((node, key))));
            }
            Output::ApplyAnswer(key, answer) => {
                let (ours, theirs) = ((node, key), end_in(&answer));
                let mut delays = [luck(&mut self.rng), luck(&mut self.rng)];
                if self.has_swarms {
                    // Nobody hears what is said before.
                    delays[1] = delays[0];
                }
                self.after(CONNECTING + delays[0], Event::Opened(ours, theirs));
                self.after(CONNECTING + delays[1], Event::Opened(theirs, ours));
            }
            Output::Drop(key) => {
                self.drop_end(node, key);
                self.tell_swarm(node, swarm::Input::Closed(key));
            }
            Output::Introduce(wish) => self.tell_swarm(node, swarm::Input::Wished(wish)),
            Output::OpenTracker(key, url) => {
                self.after(LATENCY * 2, Event::Dialled(node, key, url.parse().unwrap()));
            }
            Output::SendTracker(key, text) => {
                if let Some((tracker, conn)) = self.nodes[node].sockets.get(&key) {
                    self.after(LATENCY, Event::ToTracker(*tracker, *conn, text));
                }
            }
            Output::CloseTracker(key) => {
                if let Some((tracker, conn)) = self.nodes[node].sockets.remove(&key) {
                    self.after(LATENCY, Event::HungUp(tracker, conn));
                }
            }
            Output::Event(_) => {}
        }
    }

    pub(super) fn alive(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].client.is_some())
    }

    /// Peers that can reach each other, `node` among them.
    pub(super) fn reachable_from(&self, node: usize) -> usize {
        let (mut seen, mut todo) = (BTreeSet::from([node]), Vec::from([node]));
        while let Some(node) = todo.pop() {
            for (other, _) in self.nodes[node].open.values() {
                if seen.insert(*other) {
                    todo.push(*other);
                }
            }
        }
        seen.len()
    }

    /// A tracker is gone for good, or until somebody sets it up again.
    pub(super) fn lose_tracker(&mut self, tracker: usize) {
        self.trackers[tracker] = (Tracker::new(ServerConfig::default()), false);
        for node in 0..self.nodes.len() {
            let sockets = core::mem::take(&mut self.nodes[node].sockets);
            for (key, (at, conn)) in sockets {
                if at == tracker {
                    self.tell(node, Input::TrackerClosed(key, "gone"));
                } else {
                    self.nodes[node].sockets.insert(key, (at, conn));
                }
            }
        }
    }

    pub(super) fn assert_settled(&self) {
        for node in self.alive() {
            let others: Vec<_> = self.nodes[node]
                .open
                .values()
                .map(|(other, _)| *other)
                .collect();
            let distinct: BTreeSet<_> = others.iter().copied().collect();
            assert_eq!(
                others.len(),
                distinct.len(),
                "node {node} has two connections to one peer"
            );
            for (key, (other, other_key)) in &self.nodes[node].open {
                let back = self.nodes[*other].open.get(other_key);
                assert_eq!(
                    back,
                    Some(&(node, *key)),
                    "both ends kept the same connection"
                );
            }
        }
    }
}
