//! A client, as far as we believe it: who it is in which swarm.

use super::swarm::Place;
use crate::ids::SwarmHash;
use alloc::vec::Vec;

#[derive(Debug, Default)]
pub(super) struct Connection {
    /// At most [`super::MAX_SWARMS_A_CONNECTION`], looked through one by one.
    pub(super) places: Vec<(SwarmHash, Place)>,
    /// Messages of it that were refused.
    pub(super) refused: u32,
}

impl Connection {
    pub(super) fn place(&self, swarm: SwarmHash) -> Option<Place> {
        let found = self.places.iter().find(|(hash, _)| *hash == swarm);
        found.map(|(_, place)| *place)
    }

    pub(super) fn set_place(&mut self, swarm: SwarmHash, place: Place) {
        match self.places.iter_mut().find(|(hash, _)| *hash == swarm) {
            Some((_, present)) => *present = place,
            None => {
                // Most clients are in one swarm, and there are many clients.
                self.places.reserve_exact(1);
                self.places.push((swarm, place));
            }
        }
    }

    pub(super) fn leave(&mut self, swarm: SwarmHash) {
        self.places.retain(|(hash, _)| *hash != swarm);
    }
}
