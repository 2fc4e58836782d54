//! Peers over TCP: they announce by HTTP, and are introduced by address (BEP 3, 7, 23).
//!
//! Nobody holds a socket here, so they go when they have not announced for long. What a request
//! looks like on the wire is the driver's.

mod members;

use super::{Abroad, Refused, Tracker, swarm};
use crate::ids::{PeerId, SwarmHash};
use crate::time::{Duration, Instant};
use crate::tracker::message::{AnnounceEvent, Counts};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
pub(super) use members::Plain;

/// A peer over TCP that has missed so many announces is gone.
const PLAIN_INTERVALS: u32 = 2;

/// Most addresses in one answer.
pub const MAX_ADDRESSES: usize = 100;

/// What a peer over TCP says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlainAnnounce {
    /// Which swarm.
    pub info_hash: SwarmHash,
    /// Who.
    pub peer_id: PeerId,
    /// Where it listens: the address it was seen at, the port it named.
    pub address: SocketAddr,
    /// Why; nothing for a sign of life.
    pub event: Option<AnnounceEvent>,
    /// Bytes it lacks; `None` if it does not know.
    pub left: Option<u64>,
    /// Addresses it wants; at most [`MAX_ADDRESSES`] count.
    pub wanted: usize,
}

/// Where somebody listens, and who that is.
pub type PlainPeer = (SocketAddr, PeerId);

/// Some peers over TCP of a whole cluster, drawn by lot.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Drawn {
    /// Those that have everything.
    pub seeds: Vec<PlainPeer>,
    /// Those that do not.
    pub leechers: Vec<PlainPeer>,
}

/// What it hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlainResponse {
    /// The swarm, peers over WebRTC included.
    pub counts: Counts,
    /// When to announce again.
    pub interval: Duration,
    /// Others, of its own kind of address first.
    pub peers: Vec<PlainPeer>,
}

impl PlainAnnounce {
    /// Whether it leaves.
    pub fn is_stopped(&self) -> bool {
        self.event == Some(AnnounceEvent::Stopped)
    }

    /// Whether it has everything.
    pub fn is_seed(&self) -> bool {
        self.event == Some(AnnounceEvent::Completed) || self.left == Some(0)
    }
}

impl Tracker {
    /// Hear a peer over TCP, and say who else is there.
    ///
    /// # Errors
    /// A reason to be told, if the tracker will not have it.
    pub fn announce_plain(
        &mut self,
        now: Instant,
        announce: &PlainAnnounce,
    ) -> Result<PlainResponse, &'static str> {
        self.announce_plain_among(now, announce, &Abroad::default(), &Drawn::default())
    }

    /// The same, a cluster having so much of the swarm, and `drawn` being some of all its peers over
    /// TCP, ours among them.
    ///
    /// # Errors
    /// The same.
    pub fn announce_plain_among(
        &mut self,
        now: Instant,
        announce: &PlainAnnounce,
        abroad: &Abroad,
        drawn: &Drawn,
    ) -> Result<PlainResponse, &'static str> {
        self.stats.announces += 1;
        self.arrive_plain(now, announce)?;
        Ok(PlainResponse {
            counts: self.counts_among(announce.info_hash, abroad),
            interval: self.config.plain_interval,
            peers: self.introduce_plain(now, announce, abroad, drawn),
        })
    }

    /// An announce has come that will be [answered](Self::announce_plain_among) when it is known
    /// what the cluster has of its swarm; its peer counts, or is gone, from here on. Who had its
    /// address before under another id is said.
    ///
    /// # Errors
    /// The same.
    pub fn arrive_plain(
        &mut self,
        now: Instant,
        announce: &PlainAnnounce,
    ) -> Result<Option<PeerId>, &'static str> {
        self.expire(now);
        self.config.listing.check(announce.info_hash)?;
        let position = self.position_of(announce);
        if announce.is_stopped() {
            self.leave_plain(announce.info_hash, position, announce.peer_id);
            return Ok(None);
        }
        self.join_plain(now, announce, position)
    }

    /// How long a peer over TCP is there after an announce.
    pub fn plain_life(&self) -> Duration {
        self.config.plain_interval * PLAIN_INTERVALS
    }

    /// An address is a peer: ids over HTTP are anyone's to write.
    fn position_of(&self, announce: &PlainAnnounce) -> u64 {
        let (mut name, address) = ([0; 18], announce.address);
        match address.ip() {
            IpAddr::V4(ip) => name[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => name[..16].copy_from_slice(&ip.octets()),
        }
        name[16..].copy_from_slice(&address.port().to_be_bytes());
        swarm::position_of(self.config.seed, &name)
    }

    fn join_plain(
        &mut self,
        now: Instant,
        announce: &PlainAnnounce,
        position: u64,
    ) -> Result<Option<PeerId>, Refused> {
        let hash = announce.info_hash;
        let is_full = self.swarms.len() >= self.config.max_swarms;
        if is_full && !self.swarms.contains_key(&hash) {
            return Err("the tracker is full");
        }
        let until = now + self.plain_life();
        let swarm = self.swarms.entry(hash).or_default();
        let before = swarm.plain.at(position);
        if before.is_none() && self.expiring.len() >= self.config.max_plain {
            if swarm.len() == 0 {
                self.swarms.remove(&hash);
            }
            return Err("the tracker is full");
        }
        let replaced = swarm.plain.join(announce, position, until);
        let is_completed = announce.event == Some(AnnounceEvent::Completed);
        if is_completed && before.is_none_or(|(_, was_seed)| !was_seed) {
            swarm.downloaded += 1;
            self.note_change(hash, 1);
        }
        match before {
            Some((until, _)) => drop(self.expiring.remove(&(until, hash, position))),
            None => self.count_plain(1),
        }
        self.expiring.insert((until, hash, position));
        Ok(replaced.filter(|id| *id != announce.peer_id))
    }

    fn introduce_plain(
        &mut self,
        now: Instant,
        announce: &PlainAnnounce,
        abroad: &Abroad,
        drawn: &Drawn,
    ) -> Vec<PlainPeer> {
        let position = self.position_of(announce);
        let swarm = self.swarms.get_mut(&announce.info_hash);
        let Some(swarm) = swarm.filter(|_| !announce.is_stopped()) else {
            return Vec::new();
        };
        let plain = &mut swarm.plain;
        plain.introduce(now, announce, position, abroad, drawn, &mut self.rng)
    }

    fn leave_plain(&mut self, hash: SwarmHash, position: u64, id: PeerId) {
        let Some(swarm) = self.swarms.get_mut(&hash) else {
            return;
        };
        let Some((until, _)) = swarm.plain.at(position) else {
            return;
        };
        if swarm.plain.leave(position, id) {
            self.expiring.remove(&(until, hash, position));
            self.forget_if_empty(hash);
            self.count_plain(-1);
        }
    }

    /// Let go of those that have not announced for long.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((until, hash, position)) = self.expiring.first().copied()
            && until <= now
        {
            self.expiring.pop_first();
            if let Some(swarm) = self.swarms.get_mut(&hash) {
                swarm.plain.take(position);
            }
            self.forget_if_empty(hash);
            self.count_plain(-1);
        }
    }

    const fn count_plain(&mut self, more: i64) {
        self.stats.peers = self.stats.peers.saturating_add_signed(more);
        self.stats.plain_peers = self.stats.plain_peers.saturating_add_signed(more);
    }
}

#[cfg(test)]
mod tests;
