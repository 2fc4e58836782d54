//! Who meets whom: a model of the tracker's introductions.
//!
//! As the real one it gives a newcomer a few partners, seeds and others half and half as far as
//! there are, some by turn and the others to who bears least of a few, and nobody more than it can
//! bear. No messages: an introduction is a connection.

use std::collections::{BTreeMap, VecDeque};

use headwater_core::rng::Rng;
use headwater_core::time::{Duration, Instant};

use crate::{NodeId, OFFERS, Sim};

/// Introductions that one peer bears: four times what an announce brings.
const MOST: u32 = 4 * OFFERS as u32;
/// The same for a seed: whoever lacks a source is sent to it, whether it has room or not.
const MOST_BY_SEED: u32 = 2000;
/// Beyond that, so many within so long.
const TRICKLE: u32 = 16;
const TRICKLE_TIME: Duration = Duration::from_secs(4);
/// What was borne so long ago does not count.
const INTERVAL: Duration = Duration::from_secs(120);
/// Peers compared to find one that bears less.
const COMPARED: usize = 2;

#[derive(Debug, Default)]
pub(crate) struct Tracker {
    seeds: Ring,
    others: Ring,
    introduced: BTreeMap<NodeId, Borne>,
    /// Since when that counts.
    counted: Instant,
}

/// What a peer was introduced to of late.
#[derive(Clone, Debug, Default)]
struct Borne {
    count: u32,
    /// When the last few of those were.
    late: VecDeque<Instant>,
}

/// How much a peer bears.
#[derive(Clone, Copy)]
struct Bound {
    now: Instant,
    most: u32,
    trickle: u32,
}

impl Borne {
    fn bears(&self, bound: Bound) -> bool {
        let is_late = |at: &&Instant| bound.now.since(**at) < TRICKLE_TIME;
        let of_late = self.late.iter().filter(is_late).count() as u32;
        self.count < bound.most || of_late < bound.trickle
    }

    fn note(&mut self, now: Instant) {
        self.count += 1;
        self.late.push_back(now);
        if self.late.len() > TRICKLE as usize {
            self.late.pop_front();
        }
    }
}

/// Peers around a ring in an order that nobody chose, and whose turn it is.
#[derive(Debug, Default)]
struct Ring {
    peers: Vec<NodeId>,
    turn: usize,
}

impl Tracker {
    /// A node announces itself with so many offers: whom it is introduced to.
    fn announce(
        &mut self,
        now: Instant,
        id: NodeId,
        is_seed: bool,
        offers: usize,
        rng: &mut Rng,
    ) -> Vec<NodeId> {
        let wanted_seeds = match is_seed {
            true => 0,
            false => offers - (offers / 2).min(self.others.peers.len()),
        };
        let mut chosen = Vec::new();
        let borne = &mut self.introduced;
        let bound = |most, trickle| Bound { now, most, trickle };
        let (seed, other) = (bound(MOST_BY_SEED, TRICKLE), bound(MOST, 0));
        self.seeds
            .choose(id, wanted_seeds, seed, borne, rng, &mut chosen);
        let rest = offers - chosen.len();
        self.others.choose(id, rest, other, borne, rng, &mut chosen);
        let mine = if is_seed {
            &mut self.seeds
        } else {
            &mut self.others
        };
        mine.insert(id, rng);
        chosen
    }

    fn forget_what_is_borne(&mut self, now: Instant) {
        if now.since(self.counted) >= INTERVAL {
            self.counted = now;
            self.introduced.clear();
        }
    }

    /// Whether a viewer announced itself.
    pub fn knows(&self, id: NodeId) -> bool {
        self.others.peers.contains(&id)
    }

    pub fn forget(&mut self, id: NodeId) {
        self.seeds.forget(id);
        self.others.forget(id);
    }
}

impl Ring {
    fn insert(&mut self, id: NodeId, rng: &mut Rng) {
        if !self.peers.contains(&id) {
            let at = rng.below(self.peers.len() as u32 + 1) as usize;
            self.peers.insert(at, id);
        }
    }

    /// Adds up to `count` who bear it: a third by turn, for the others the less burdened of a few from
    /// a random point.
    fn choose(
        &mut self,
        id: NodeId,
        count: usize,
        bound: Bound,
        introduced: &mut BTreeMap<NodeId, Borne>,
        rng: &mut Rng,
        chosen: &mut Vec<NodeId>,
    ) {
        let peers = self.peers.len();
        for number in 0..count {
            let is_turn = number < count.div_ceil(3);
            let (from, compared) = match is_turn {
                true => (self.turn, 1),
                false => (rng.below(peers.max(1) as u32) as usize, COMPARED),
            };
            let borne = |one: &NodeId| introduced.get(one).map_or(0, |borne| borne.count);
            let bears = |one: &NodeId| introduced.get(one).is_none_or(|it| it.bears(bound));
            let around = (0..peers).map(|step| self.peers[(from + step) % peers]);
            let bears = |one: &NodeId| *one != id && !chosen.contains(one) && bears(one);
            let Some(one) = around.filter(bears).take(compared).min_by_key(borne) else {
                return;
            };
            if is_turn {
                let at = self.peers.iter().position(|peer| *peer == one);
                self.turn = at.map_or(0, |at| (at + 1) % peers);
            }
            introduced.entry(one).or_default().note(bound.now);
            chosen.push(one);
        }
    }

    fn forget(&mut self, id: NodeId) {
        if let Some(at) = self.peers.iter().position(|peer| *peer == id) {
            self.peers.remove(at);
            self.turn -= usize::from(at < self.turn);
        }
    }
}

impl Sim {
    /// A node announces itself to the tracker with so many offers, and is connected to whom it is
    /// introduced to. A page offers five at a time.
    pub fn join(&mut self, id: NodeId, offers: usize) {
        let is_seed = self.node(id).is_seeder();
        let now = self.now();
        self.tracker.forget_what_is_borne(now);
        let chosen = self
            .tracker
            .announce(now, id, is_seed, offers, &mut self.luck);
        for other in chosen {
            if other != id && !self.are_connected(id, other) {
                self.connect(id, other);
            }
        }
    }
}
