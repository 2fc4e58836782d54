//! The peers over TCP of one swarm, and which of them another is told of.

use super::{MAX_ADDRESSES, PlainAnnounce};
use crate::ids::PeerId;
use crate::rng::Rng;
use crate::time::Instant;
use crate::tracker::server::ring::Ring;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// The peers over TCP of one swarm.
#[derive(Debug, Default)]
pub(in crate::tracker::server) struct Plain {
    pub(in crate::tracker::server) seeds: Ring<PlainMember>,
    pub(in crate::tracker::server) leechers: Ring<PlainMember>,
}

#[derive(Debug)]
pub(in crate::tracker::server) struct PlainMember {
    id: PeerId,
    address: SocketAddr,
    /// When it is no longer there, unless it announces.
    pub(in crate::tracker::server) until: Instant,
    introduced: u32,
}

impl Plain {
    pub(in crate::tracker::server) fn len(&self) -> u64 {
        (self.seeds.len() + self.leechers.len()) as u64
    }

    /// When the peer at `position` would go, and whether it has everything.
    pub(in crate::tracker::server) fn at(&self, position: u64) -> Option<(Instant, bool)> {
        let seed = self.seeds.get(position).map(|member| (member.until, true));
        seed.or_else(|| Some((self.leechers.get(position)?.until, false)))
    }

    /// Take a peer in, or note that it is still there.
    pub(in crate::tracker::server) fn join(
        &mut self,
        announce: &PlainAnnounce,
        position: u64,
        is_seed: bool,
        until: Instant,
    ) {
        let before = self.take(position);
        let member = PlainMember {
            id: announce.peer_id,
            address: announce.address,
            until,
            introduced: before.map_or(0, |member| member.introduced),
        };
        match is_seed {
            true => self.seeds.insert(position, member),
            false => self.leechers.insert(position, member),
        }
    }

    /// Whether it was there, and under this id.
    pub(in crate::tracker::server) fn leave(&mut self, position: u64, id: PeerId) -> bool {
        let is_it = |ring: &Ring<PlainMember>| ring.get(position).is_some_and(|one| one.id == id);
        (is_it(&self.seeds) || is_it(&self.leechers)) && self.take(position).is_some()
    }

    /// Whoever is there.
    pub(in crate::tracker::server) fn take(&mut self, position: u64) -> Option<PlainMember> {
        self.seeds
            .remove(position)
            .or_else(|| self.leechers.remove(position))
    }

    /// Others for the peer at `position`: leechers for a seed, half and half for a leecher.
    pub(in crate::tracker::server) fn introduce(
        &mut self,
        now: Instant,
        announce: &PlainAnnounce,
        position: u64,
        is_seed: bool,
        rng: &mut Rng,
    ) -> Vec<(SocketAddr, PeerId)> {
        let wanted = announce.wanted.min(MAX_ADDRESSES);
        let from_seeds = match is_seed {
            true => 0,
            false => wanted - (wanted / 2).min(self.leechers.len().saturating_sub(1)),
        };
        let mut peers = Vec::new();
        for (ring, at_most) in [(&mut self.seeds, from_seeds), (&mut self.leechers, wanted)] {
            let mut places: Vec<u64> = Vec::new();
            // Who listens on IPv4 can mostly reach IPv4, and the other way round.
            for is_same_kind in [true, false] {
                let left = at_most
                    .min(wanted - peers.len())
                    .saturating_sub(places.len());
                let found = ring.choose(left, rng, |place, member| {
                    let is_kind = member.address.is_ipv4() == announce.address.is_ipv4();
                    let is_it = is_kind == is_same_kind && place != position && member.until > now;
                    is_it.then_some(member.introduced)
                });
                places.extend(found);
            }
            for place in places {
                if let Some(member) = ring.get_mut(place) {
                    member.introduced += 1;
                    peers.push((member.address, member.id));
                }
            }
        }
        peers
    }
}
