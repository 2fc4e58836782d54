//! The peers over TCP of one swarm, and which of them another is told of.

use super::{Drawn, MAX_ADDRESSES, PlainAnnounce, PlainPeer};
use crate::ids::PeerId;
use crate::rng::Rng;
use crate::time::Instant;
use crate::tracker::server::Abroad;
use crate::tracker::server::ring::{COMPARED, Ring};
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Drawn peers that are looked at: twice as many as an answer names, and the asker.
const MAX_DRAWN: usize = 2 * MAX_ADDRESSES + 1;

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

    /// How many have everything, and how many do not.
    pub(in crate::tracker::server) fn counts(&self) -> (u64, u64) {
        (self.seeds.len() as u64, self.leechers.len() as u64)
    }

    /// When the peer at `position` would go, and whether it has everything.
    pub(in crate::tracker::server) fn at(&self, position: u64) -> Option<(Instant, bool)> {
        let seed = self.seeds.get(position).map(|member| (member.until, true));
        seed.or_else(|| Some((self.leechers.get(position)?.until, false)))
    }

    /// Take a peer in, or note that it is still there; whoever was there before is said.
    pub(in crate::tracker::server) fn join(
        &mut self,
        announce: &PlainAnnounce,
        position: u64,
        until: Instant,
    ) -> Option<PeerId> {
        let before = self.take(position);
        let id = before.as_ref().map(|member| member.id);
        let member = PlainMember {
            id: announce.peer_id,
            address: announce.address,
            until,
            introduced: before.map_or(0, |member| member.introduced),
        };
        match announce.is_seed() {
            true => self.seeds.insert(position, member),
            false => self.leechers.insert(position, member),
        }
        id
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

    /// Others for the peer at `position`: leechers for a seed, half and half for a leecher; of the
    /// cluster's as many as their part of all, of ours those whose turn it is.
    pub(in crate::tracker::server) fn introduce(
        &mut self,
        now: Instant,
        announce: &PlainAnnounce,
        position: u64,
        abroad: &Abroad,
        drawn: &Drawn,
        rng: &mut Rng,
    ) -> Vec<PlainPeer> {
        let wanted = announce.wanted.min(MAX_ADDRESSES);
        let (own_seeds, own_leechers) = (self.seeds.len(), self.leechers.len());
        let all_seeds = own_seeds.max(abroad.plain_seeds as usize);
        let all_leechers = own_leechers.max(abroad.plain_leechers as usize);
        let from_seeds = match announce.is_seed() {
            true => 0,
            false => wanted - (wanted / 2).min(all_leechers.saturating_sub(1)),
        };
        let mut choice = Choice {
            now,
            announce,
            position,
            peers: Vec::new(),
        };
        let part = |count: usize, own: usize, all: usize| (count * own).div_ceil(all.max(1));
        let count = part(from_seeds, own_seeds, all_seeds);
        choice.take_own(&mut self.seeds, count, rng);
        choice.take_drawn(&drawn.seeds, from_seeds);
        let left = wanted - choice.peers.len();
        let count = part(left, own_leechers, all_leechers);
        choice.take_own(&mut self.leechers, count, rng);
        choice.take_drawn(&drawn.leechers, wanted);
        choice.peers
    }
}

/// Whom a peer is told of, as far as it is decided.
struct Choice<'a> {
    now: Instant,
    announce: &'a PlainAnnounce,
    position: u64,
    peers: Vec<PlainPeer>,
}

impl Choice<'_> {
    /// Add `count` of our own.
    fn take_own(&mut self, ring: &mut Ring<PlainMember>, count: usize, rng: &mut Rng) {
        let mut places: Vec<u64> = Vec::new();
        // Who listens on IPv4 can mostly reach IPv4, and the other way round.
        for is_same_kind in [true, false] {
            let found = ring.choose(count - places.len(), COMPARED, rng, |place, member| {
                let is_kind = self.is_of_its_kind(member.address) == is_same_kind;
                let is_it = is_kind && place != self.position && member.until > self.now;
                is_it.then_some(member.introduced)
            });
            places.extend(found);
        }
        for place in places {
            if let Some(member) = ring.get_mut(place) {
                member.introduced += 1;
                self.peers.push((member.address, member.id));
            }
        }
    }

    /// Add those of the cluster that are not in yet, until there are `most`.
    fn take_drawn(&mut self, drawn: &[PlainPeer], most: usize) {
        for is_same_kind in [true, false] {
            for (address, id) in drawn.iter().take(MAX_DRAWN) {
                let is_known = *address == self.announce.address
                    || self.peers.iter().any(|(known, _)| known == address);
                if self.peers.len() < most
                    && !is_known
                    && self.is_of_its_kind(*address) == is_same_kind
                {
                    self.peers.push((*address, *id));
                }
            }
        }
    }

    const fn is_of_its_kind(&self, address: SocketAddr) -> bool {
        address.is_ipv4() == self.announce.address.is_ipv4()
    }
}
