//! Clients and trackers against each other, in a world where time jumps and one seed replays all.
//!
//! WebRTC here is a lookup: an SDP names the node and key that made it, and a connection opens at
//! both ends, a little apart, when an answer is applied.

use super::Progress;
use super::client::{Client, ClientConfig, Input, Output, TrackerKey};
use super::server::{self, ConnKey, ServerConfig, Tracker};
use crate::ids::{PeerId, PeerKey, SwarmHash};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// One node's end of a connection.
type End = (usize, PeerKey);

const LATENCY: Duration = Duration::from_millis(20);
const MAKING: Duration = Duration::from_millis(60);
const CONNECTING: Duration = Duration::from_millis(120);

enum Event {
    /// A client's own doing, or a word from its WebRTC stack.
    Answered(usize, PeerKey, String),
    Closed(usize, PeerKey),
    Offered(usize, PeerKey, String),
    Opened(End, End),
    /// Words from the other end of a socket.
    FromTracker(usize, usize, ConnKey, String),
    ToTracker(usize, ConnKey, String),
    Dialled(usize, TrackerKey, usize),
    HungUp(usize, ConnKey),
    Joined(usize),
}

struct Node {
    client: Option<Client>,
    config: ClientConfig,
    is_seed: bool,
    /// The sockets it has, by tracker.
    sockets: BTreeMap<TrackerKey, (usize, ConnKey)>,
    open: BTreeMap<PeerKey, End>,
    first_opened: Option<Instant>,
}

struct World {
    now: Instant,
    rng: Rng,
    events: BTreeMap<(Instant, u64), Event>,
    seq: u64,
    next_conn: u64,
    trackers: Vec<(Tracker, bool)>,
    nodes: Vec<Node>,
    /// Who holds a tracker's socket.
    holders: BTreeMap<ConnKey, (usize, TrackerKey)>,
}

fn secs(seconds: u64) -> Duration {
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

impl World {
    fn new(seed: u64, trackers: usize) -> Self {
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
        }
    }

    /// A peer that joins after `delay`.
    fn join(&mut self, offers_wanted: usize, is_seed: bool, delay: Duration) -> usize {
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
    fn vanish(&mut self, node: usize) {
        self.nodes[node].client = None;
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

    fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        loop {
            let timers = self
                .nodes
                .iter()
                .filter_map(|node| node.client.as_ref()?.poll_timeout());
            let timer = timers.min();
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
            let due = self.nodes[node]
                .client
                .as_ref()
                .and_then(Client::poll_timeout);
            if due.is_some_and(|due| due <= self.now) {
                self.tell(node, Input::TimedOut);
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Joined(node) => {
                let config = self.nodes[node].config.clone();
                self.nodes[node].client = Some(Client::new(config, self.now));
                let left = Some(if self.nodes[node].is_seed { 0 } else { 1 });
                self.tell(
                    node,
                    Input::Progress(Progress {
                        uploaded: 0,
                        downloaded: 0,
                        left,
                    }),
                );
            }
            Event::Answered(node, key, sdp) => self.tell(node, Input::AnswerMade(key, &sdp)),
            Event::Offered(node, key, sdp) => self.tell(node, Input::OfferMade(key, &sdp)),
            Event::Closed(node, key) => {
                self.nodes[node].open.remove(&key);
                self.tell(node, Input::Closed(key));
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
                server::Output::Send(conn, text) => {
                    if let Some((node, _)) = self.holders.get(&conn) {
                        self.after(LATENCY, Event::FromTracker(*node, tracker, conn, text));
                    }
                }
            }
        }
    }

    fn tell(&mut self, node: usize, input: Input<'_>) {
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
                let delays = [luck(&mut self.rng), luck(&mut self.rng)];
                self.after(CONNECTING + delays[0], Event::Opened(ours, theirs));
                self.after(CONNECTING + delays[1], Event::Opened(theirs, ours));
            }
            Output::Drop(key) => {
                if let Some((other, key)) = self.nodes[node].open.remove(&key) {
                    self.after(LATENCY, Event::Closed(other, key));
                }
            }
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

    fn alive(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].client.is_some())
    }

    /// Peers that can reach each other, `node` among them.
    fn reachable_from(&self, node: usize) -> usize {
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

    fn assert_settled(&self) {
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

#[test]
fn viewers_meet_the_seed_and_each_other_in_under_a_second() {
    for seed in 0..10 {
        let mut world = World::new(seed, 1);
        world.join(0, true, secs(0));
        for n in 0..20 {
            world.join(5, false, secs(1) + Duration::from_millis(300 * n));
        }
        world.run(secs(10));
        for node in 1..=20 {
            let joined = secs(1) + Duration::from_millis(300 * (node as u64 - 1));
            let opened = world.nodes[node].first_opened.expect("a connection");
            let waited = opened.since(Instant::START + joined);
            assert!(
                waited < secs(1),
                "seed {seed}: node {node} waited {waited:?}"
            );
            assert!(
                world.nodes[node]
                    .open
                    .values()
                    .any(|(other, _)| *other == 0),
                "node {node} has the seed"
            );
        }
        world.assert_settled();
    }
}

#[test]
fn peers_that_meet_at_two_trackers_keep_one_connection_and_the_same_one() {
    for seed in 0..60 {
        let mut world = World::new(seed, 2);
        for _ in 0..8 {
            world.join(4, false, secs(0));
        }
        world.run(secs(100));
        world.assert_settled();
        assert_eq!(world.reachable_from(0), 8, "seed {seed}");
    }
}

#[test]
fn a_swarm_of_three_hundred_is_one_swarm() {
    let mut world = World::new(5, 1);
    for n in 0..300 {
        world.join(5, n == 0, Duration::from_millis(60 * n));
    }
    world.run(secs(60));
    assert_eq!(world.reachable_from(0), 300);
    let late = world
        .nodes
        .iter()
        .filter(|node| node.first_opened.is_none())
        .count();
    assert_eq!(late, 0);
}

#[test]
fn a_tracker_that_was_down_is_found_again_by_all_without_a_storm() {
    let mut world = World::new(1, 1);
    for _ in 0..50 {
        world.join(5, false, secs(0));
    }
    world.run(secs(30));
    world.trackers[0] = (Tracker::new(ServerConfig::default()), false);
    for node in 0..50 {
        for (key, _) in core::mem::take(&mut world.nodes[node].sockets) {
            world.tell(node, Input::TrackerClosed(key, "gone"));
        }
    }
    let open = |world: &World| {
        world
            .nodes
            .iter()
            .map(|node| node.open.len())
            .sum::<usize>()
    };
    let before = open(&world);
    world.run(secs(120));
    assert_eq!(before, open(&world), "peers need no tracker to stay");
    world.trackers[0].1 = true;
    let mut arrived = Vec::new();
    for _ in 0..15 {
        let count = world.trackers[0].0.stats().peers;
        world.run(secs(1));
        arrived.push(world.trackers[0].0.stats().peers - count);
    }
    assert_eq!(world.trackers[0].0.stats().peers, 50);
    assert!(arrived.iter().all(|count| *count <= 15), "{arrived:?}");
}

#[test]
fn under_churn_nobody_is_left_alone() {
    let mut world = World::new(9, 1);
    for n in 0..100 {
        world.join(5, n < 5, Duration::from_millis(100 * n));
    }
    world.run(secs(60));
    // One in twenty a minute leaves, and as many come.
    for _ in 0..50 {
        let node = world.rng.below(world.nodes.len() as u32) as usize;
        world.vanish(node);
        world.join(5, false, secs(0));
        world.run(secs(12));
    }
    let stats = world.trackers[0].0.stats();
    assert_eq!(world.alive().count() as u64, stats.peers);
    for node in world.alive() {
        assert!(!world.nodes[node].open.is_empty(), "node {node} is alone");
    }
    world.assert_settled();
}
