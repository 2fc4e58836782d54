//! Peers over TCP: they announce by HTTP, and are introduced by address (BEP 3, 7, 23).
//!
//! Nobody holds a socket here, so they go when they have not announced for long. What a request
//! looks like on the wire is the driver's.

use super::ring::Ring;
use crate::ids::{PeerId, SwarmHash};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::tracker::message::{AnnounceEvent, Counts};
use alloc::vec::Vec;
use core::net::SocketAddr;

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

/// What it hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlainResponse {
    /// The swarm, peers over WebRTC included.
    pub counts: Counts,
    /// When to announce again.
    pub interval: Duration,
    /// Others, of its own kind of address first.
    pub peers: Vec<(SocketAddr, PeerId)>,
}

/// The peers over TCP of one swarm.
#[derive(Debug, Default)]
pub(super) struct Plain {
    pub(super) seeds: Ring<PlainMember>,
    pub(super) leechers: Ring<PlainMember>,
}

#[derive(Debug)]
pub(super) struct PlainMember {
    id: PeerId,
    address: SocketAddr,
    /// When it is no longer there, unless it announces.
    pub(super) until: Instant,
    introduced: u32,
}

impl Plain {
    pub(super) fn len(&self) -> u64 {
        (self.seeds.len() + self.leechers.len()) as u64
    }

    /// When the peer at `position` would go, and whether it has everything.
    pub(super) fn at(&self, position: u64) -> Option<(Instant, bool)> {
        let seed = self.seeds.get(position).map(|member| (member.until, true));
        seed.or_else(|| Some((self.leechers.get(position)?.until, false)))
    }

    /// Take a peer in, or note that it is still there.
    pub(super) fn join(
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
    pub(super) fn leave(&mut self, position: u64, id: PeerId) -> bool {
        let is_it = |ring: &Ring<PlainMember>| ring.get(position).is_some_and(|one| one.id == id);
        (is_it(&self.seeds) || is_it(&self.leechers)) && self.take(position).is_some()
    }

    /// Whoever is there.
    pub(super) fn take(&mut self, position: u64) -> Option<PlainMember> {
        self.seeds
            .remove(position)
            .or_else(|| self.leechers.remove(position))
    }

    /// Others for the peer at `position`: leechers for a seed, half and half for a leecher.
    pub(super) fn introduce(
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

#[cfg(test)]
mod tests {
    use super::super::{Listing, ServerConfig, Tracker};
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::format;

    fn announce(n: u16, left: u64) -> PlainAnnounce {
        let ip = if n.is_multiple_of(2) {
            "192.0.2.1"
        } else {
            "2001:db8::1"
        };
        PlainAnnounce {
            info_hash: SwarmHash([7; 20]),
            peer_id: PeerId([n as u8; 20]),
            address: SocketAddr::new(ip.parse().unwrap(), n),
            event: None,
            left: Some(left),
            wanted: 50,
        }
    }

    fn tracker() -> Tracker {
        Tracker::new(ServerConfig::default())
    }

    fn secs(seconds: u64) -> Instant {
        Instant::START + Duration::from_secs(seconds)
    }

    #[test]
    fn a_leecher_hears_of_all_others_and_a_seed_of_leechers_alone() {
        let mut tracker = tracker();
        for n in 1..=6 {
            let response = tracker.announce_plain(secs(1), &announce(n, u64::from(n % 3)));
            assert_eq!(
                response.unwrap().peers.len(),
                usize::from(n)
                    - 1
                    - if n % 3 == 0 {
                        usize::from(n / 3) - 1
                    } else {
                        0
                    }
            );
        }
        let response = tracker.announce_plain(secs(2), &announce(6, 0)).unwrap();
        assert_eq!(
            (response.counts.complete, response.counts.incomplete),
            (2, 4)
        );
        assert!(
            response
                .peers
                .iter()
                .all(|(address, _)| address.port() % 3 != 0)
        );
        assert_eq!(tracker.stats().plain_peers, 6);
    }

    #[test]
    fn addresses_of_the_askers_own_kind_come_first() {
        let mut tracker = tracker();
        for n in 0..200 {
            tracker.announce_plain(secs(1), &announce(n, 1)).unwrap();
        }
        let asked = PlainAnnounce {
            wanted: 20,
            ..announce(200, 1)
        };
        let peers = tracker.announce_plain(secs(1), &asked).unwrap().peers;
        assert_eq!(peers.len(), 20);
        assert!(
            peers
                .iter()
                .filter(|(address, _)| address.is_ipv4())
                .count()
                >= 15
        );
    }

    #[test]
    fn who_stops_or_falls_silent_is_gone_and_the_swarm_with_it() {
        let mut tracker = tracker();
        tracker.announce_plain(secs(0), &announce(1, 1)).unwrap();
        tracker.announce_plain(secs(0), &announce(2, 1)).unwrap();
        let forged = PlainAnnounce {
            peer_id: PeerId([9; 20]),
            event: Some(AnnounceEvent::Stopped),
            ..announce(2, 1)
        };
        tracker.announce_plain(secs(1), &forged).unwrap();
        assert_eq!(
            tracker.stats().peers,
            2,
            "another id's stopped changes nothing"
        );
        let stopped = PlainAnnounce {
            peer_id: PeerId([2; 20]),
            ..forged
        };
        tracker.announce_plain(secs(1), &stopped).unwrap();
        assert_eq!(tracker.stats().peers, 1);
        tracker.announce_plain(secs(600), &announce(1, 1)).unwrap();
        assert_eq!(tracker.poll_timeout(), Some(secs(1800)));
        tracker.handle_input(secs(1799), super::super::Input::TimedOut);
        assert_eq!(tracker.stats().peers, 1);
        tracker.handle_input(secs(1800), super::super::Input::TimedOut);
        let stats = tracker.stats();
        assert_eq!((stats.peers, stats.plain_peers, stats.swarms), (0, 0, 0));
        assert_eq!(tracker.poll_timeout(), None);
    }

    #[test]
    fn completed_counts_once() {
        let mut tracker = tracker();
        tracker.announce_plain(secs(0), &announce(1, 1)).unwrap();
        let completed = PlainAnnounce {
            event: Some(AnnounceEvent::Completed),
            ..announce(1, 0)
        };
        for _ in 0..3 {
            let counts = tracker.announce_plain(secs(1), &completed).unwrap().counts;
            assert_eq!(
                counts,
                Counts {
                    complete: 1,
                    incomplete: 0,
                    downloaded: 1
                }
            );
        }
    }

    #[test]
    fn a_million_strange_swarms_are_bounded_and_given_back() {
        let config = ServerConfig {
            max_swarms: 1000,
            max_plain: 1500,
            ..ServerConfig::default()
        };
        let mut tracker = Tracker::new(config);
        for n in 0..100_000_u32 {
            let mut info_hash = SwarmHash([0; 20]);
            info_hash.0[..4].copy_from_slice(&n.to_be_bytes());
            let strange = PlainAnnounce {
                info_hash,
                ..announce(n as u16, 1)
            };
            let _ = tracker.announce_plain(secs(u64::from(n / 1000)), &strange);
        }
        assert_eq!(
            (tracker.stats().swarms, tracker.stats().peers),
            (1000, 1000)
        );
        tracker.handle_input(secs(2000), super::super::Input::TimedOut);
        assert_eq!((tracker.stats().swarms, tracker.stats().peers), (0, 0));
    }

    #[test]
    fn torrents_that_are_not_listed_are_refused() {
        let listed = BTreeSet::from([SwarmHash([7; 20])]);
        for (listing, is_tracked) in [
            (Listing::All, true),
            (Listing::Only(listed.clone()), true),
            (Listing::AllBut(listed), false),
            (Listing::Only(BTreeSet::new()), false),
        ] {
            let what = format!("{listing:?}");
            let mut tracker = Tracker::new(ServerConfig {
                listing,
                ..ServerConfig::default()
            });
            let heard = tracker.announce_plain(secs(0), &announce(1, 1));
            assert_eq!(heard.is_ok(), is_tracked, "{what}");
        }
    }
}
