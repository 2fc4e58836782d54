//! What the graph of introductions looks like in a crowd that comes and goes, and what a join costs.

use super::*;
use crate::time::Duration;
use crate::tracker::message::{HeardOffer, OfferId};
use alloc::vec;

const SWARM: SwarmHash = SwarmHash([5; 20]);
const K: usize = 5;
const INTERVAL: Duration = Duration::from_secs(120);

/// From an offer to its answer at the receiver: a peer that leaves meanwhile wasted it.
const ANSWERING: Duration = Duration::from_secs(2);

/// A tracker, and those who are introduced by it.
struct Crowd {
    tracker: Tracker,
    now: Instant,
    rng: Rng,
    peers: Vec<Peer>,
    alive: Vec<usize>,
    /// By connection: who, and when.
    offers: Vec<(usize, usize, Instant)>,
}

struct Peer {
    joined: Instant,
    left: Option<Instant>,
    next: Instant,
}

fn id(n: usize) -> PeerId {
    let mut id = [b'.'; 20];
    id[..8].copy_from_slice(&(n as u64).to_be_bytes());
    PeerId(id)
}

fn text() -> alloc::string::String {
    serde_json::to_string("v=0\r\n").unwrap()
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let config = ServerConfig {
            seed,
            interval: INTERVAL,
            ..ServerConfig::default()
        };
        Self {
            tracker: Tracker::new(config),
            now: Instant::from_micros(1),
            rng: Rng::seeded(seed),
            peers: Vec::new(),
            alive: Vec::new(),
            offers: Vec::new(),
        }
    }

    fn join(&mut self) {
        let n = self.peers.len();
        self.peers.push(Peer {
            joined: self.now,
            left: None,
            next: self.now + INTERVAL,
        });
        self.alive.push(n);
        self.tracker
            .handle_input(self.now, Input::Connected(ConnKey(n as u64)));
        self.announce(n);
    }

    fn leave(&mut self) {
        let at = self.rng.below(self.alive.len() as u32) as usize;
        let n = self.alive.swap_remove(at);
        self.peers[n].left = Some(self.now);
        self.tracker
            .handle_input(self.now, Input::Closed(ConnKey(n as u64)));
    }

    fn announce(&mut self, n: usize) {
        self.peers[n].next = self.now + INTERVAL;
        let sdp = text();
        let offers = (0..K).map(|at| HeardOffer {
            id: OfferId([at as u8; 20]),
            sdp: crate::tracker::message::RawSdp::written(&sdp),
        });
        let announce = HeardAnnounce {
            info_hash: SWARM,
            peer_id: id(n),
            event: None,
            // One in fifty has everything.
            left: Some(u64::from(!n.is_multiple_of(50))),
            offers: offers.collect(),
        };
        let heard = Input::Heard(ConnKey(n as u64), Ok(Heard::Announce(announce)));
        self.tracker.handle_input(self.now, heard);
        while let Some(output) = self.tracker.poll_output() {
            if let Output::Send(ConnKey(to), text) = output
                && text.contains("offer_id")
            {
                self.offers.push((n, to as usize, self.now));
            }
        }
    }

    /// For as long, all announce when it is time, and 5 in 100 a minute leave while as many come.
    fn churn(&mut self, during: Duration) {
        let size = self.alive.len() as u64;
        let until = self.now + during;
        let between = Duration::from_micros(60_000_000 * 20 / size);
        let mut order: Vec<usize> = self.alive.clone();
        order.sort_by_key(|n| self.peers[*n].next);
        let mut due: VecDeque<usize> = order.into();
        while self.now < until {
            self.now += between;
            while let Some(n) = due.front().copied()
                && self.peers[n].next <= self.now
            {
                due.pop_front();
                if self.peers[n].left.is_none() {
                    self.announce(n);
                    due.push_back(n);
                }
            }
            self.leave();
            self.join();
            due.push_back(self.peers.len() - 1);
        }
    }
}

/// A crowd of `size` after two intervals of churn, and what it looks like.
fn is_sound(seed: u64, size: usize) {
    let mut crowd = Crowd::new(seed);
    for _ in 0..size {
        crowd.join();
        crowd.now += INTERVAL / size as u32;
    }
    crowd.offers.clear();
    let since = crowd.now;
    crowd.churn(INTERVAL);
    let what = alloc::format!("seed {seed}, {size} peers");

    let mut received = vec![0; crowd.peers.len()];
    let mut wasted = 0;
    let mut degree = vec![0; crowd.peers.len()];
    let mut graph: Vec<usize> = (0..crowd.peers.len()).collect();
    for (by, to, at) in &crowd.offers {
        received[*to] += 1;
        let is_gone = |n: usize| {
            crowd.peers[n]
                .left
                .is_some_and(|left| left < *at + ANSWERING)
        };
        wasted += usize::from(is_gone(*to) || is_gone(*by));
        if crowd.peers[*by].left.is_none() && crowd.peers[*to].left.is_none() {
            (degree[*by], degree[*to]) = (degree[*by] + 1, degree[*to] + 1);
            let (a, b) = (root(&mut graph, *by), root(&mut graph, *to));
            graph[a] = b;
        }
    }
    assert!(wasted * 10 <= crowd.offers.len(), "{what}: {wasted} wasted");
    let is_seed = |n: usize| n.is_multiple_of(50);
    let most = (0..received.len())
        .filter(|n| !is_seed(*n))
        .map(|n| received[n]);
    assert!(most.max() <= Some(4 * K), "{what}: too many for a leecher");
    // A seed may get more, but only newcomers that no other seed had room for.
    let more = (0..received.len())
        .filter(|n| is_seed(*n))
        .map(|n| received[n].saturating_sub(4 * K));
    let newcomers = crowd
        .peers
        .iter()
        .filter(|peer| peer.joined > since)
        .count();
    assert!(
        more.sum::<usize>() <= newcomers,
        "{what}: too many for the seeds"
    );
    // Who was there for the whole interval was introduced in it.
    let stayed = crowd
        .alive
        .iter()
        .filter(|n| crowd.peers[**n].joined < since);
    for n in stayed {
        assert!(
            received[*n] > 0 || degree[*n] > 0,
            "{what}: {n} is an orphan"
        );
    }
    let first = crowd.alive[0];
    let one = root(&mut graph, first);
    for n in crowd.alive.clone() {
        assert_eq!(root(&mut graph, n), one, "{what}: {n} is apart");
    }
}

fn root(graph: &mut [usize], mut at: usize) -> usize {
    while graph[at] != at {
        graph[at] = graph[graph[at]];
        at = graph[at];
    }
    at
}

#[test]
fn a_thousand_that_come_and_go_are_one_swarm_whatever_the_luck() {
    (0..100).for_each(|seed| is_sound(seed, 1000));
}

#[test]
fn ten_thousand_that_come_and_go_are_one_swarm_whatever_the_luck() {
    (0..20).for_each(|seed| is_sound(seed, 10_000));
}
