//! Who meets whom: a model of the tracker's introductions.
//!
//! As the real one it gives a newcomer a few partners, seeds and others half and half as far as
//! there are, and nobody more than it can bear. No messages: an introduction is a connection.

use std::collections::BTreeMap;

use headwater_core::rng::Rng;

use crate::{NodeId, Sim};

/// Introductions that one peer bears.
const MOST: u32 = 40;
/// The same for a seed: as many as a native seeder lets in.
const MOST_BY_SEED: u32 = 200;

#[derive(Debug, Default)]
pub(crate) struct Tracker {
    seeds: Vec<NodeId>,
    others: Vec<NodeId>,
    introduced: BTreeMap<NodeId, u32>,
}

impl Tracker {
    /// A node announces itself with so many offers: whom it is introduced to.
    fn announce(&mut self, id: NodeId, is_seed: bool, offers: usize, rng: &mut Rng) -> Vec<NodeId> {
        let wanted_seeds = match is_seed {
            true => 0,
            false => offers - (offers / 2).min(self.others.len()),
        };
        let seeds = self.choose(true, wanted_seeds, MOST_BY_SEED, rng);
        let rest = offers - seeds.len();
        let mut chosen = seeds;
        chosen.extend(self.choose(false, rest, MOST, rng));
        let mine = if is_seed {
            &mut self.seeds
        } else {
            &mut self.others
        };
        if !mine.contains(&id) {
            mine.push(id);
        }
        chosen
    }

    fn choose(&mut self, seeds: bool, count: usize, most: u32, rng: &mut Rng) -> Vec<NodeId> {
        let from = if seeds { &self.seeds } else { &self.others };
        let mut chosen = Vec::new();
        for _ in 0..count * 4 {
            if chosen.len() == count || from.is_empty() {
                break;
            }
            let one = from[rng.below(from.len() as u32) as usize];
            let borne = self.introduced.entry(one).or_default();
            if !chosen.contains(&one) && *borne < most {
                *borne += 1;
                chosen.push(one);
            }
        }
        chosen
    }

    pub fn forget(&mut self, id: NodeId) {
        self.seeds.retain(|one| *one != id);
        self.others.retain(|one| *one != id);
    }
}

impl Sim {
    /// A node announces itself to the tracker with so many offers, and is connected to whom it is
    /// introduced to. A page offers five at a time.
    pub fn join(&mut self, id: NodeId, offers: usize) {
        let is_seed = self.node(id).is_seeder();
        let chosen = self.tracker.announce(id, is_seed, offers, &mut self.luck);
        for other in chosen {
            if other != id && !self.are_connected(id, other) {
                self.connect(id, other);
            }
        }
    }
}
