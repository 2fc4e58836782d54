//! One swarm at the tracker: its seeds and its leechers, each on a ring of their own.

use super::ConnKey;
use super::ring::Ring;
use crate::hash::Sha256;
use crate::ids::PeerId;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::tracker::message::{Counts, OfferId};
use alloc::vec::Vec;

/// An answer later than this after its offer is not passed on. WebTorrent gives an offer up
/// after 50 s; a client that offers again to others waits less.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A peer that offers again so soon wants others: a client that announces with its first offer and
/// sends the rest after it, for one.
const SAME_PAIR_PAUSE: Duration = Duration::from_secs(8);

/// A peer that got nobody else may have the same one again so soon: its connections may be gone,
/// as after the page came back from the back/forward cache.
const SAME_PAIR_SHORT_PAUSE: Duration = Duration::from_secs(2);

/// Intervals without an announce after which a peer, connected or not, is no longer there.
const MISSED_INTERVALS: u32 = 3;

/// What one peer may be made to bear.
pub(super) struct Rules {
    pub(super) interval: Duration,
    pub(super) max_received: u32,
    pub(super) max_received_by_seed: u32,
    pub(super) max_received_from_one: u32,
}

/// Where a peer stands in a swarm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) position: u64,
    pub(super) is_seed: bool,
}

impl Place {
    /// The place `id` gets under the tracker's key.
    pub(super) fn new(key: u64, id: PeerId, is_seed: bool) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(&key.to_be_bytes());
        hasher.update(&id.0);
        let digest = hasher.finish().0;
        let mut position = [0; 8];
        position.copy_from_slice(&digest[..8]);
        Self {
            position: u64::from_be_bytes(position),
            is_seed,
        }
    }
}

/// The peers of one torrent.
#[derive(Debug, Default)]
pub(super) struct Swarm {
    /// Times somebody got everything.
    pub(super) downloaded: u64,
    seeds: Ring<Member>,
    leechers: Ring<Member>,
}

#[derive(Debug)]
struct Member {
    id: PeerId,
    connection: ConnKey,
    announced: Instant,
    /// Offers it got, and has not answered.
    awaited: Vec<Awaited>,
    /// Who sent how many of the offers it got since then; at most
    /// `Rules::max_received_by_seed` of them.
    offerers: Vec<Offerer>,
    offered_since: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Offerer {
    connection: ConnKey,
    offers: u32,
    last: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Awaited {
    offer: OfferId,
    by: PeerId,
    until: Instant,
}

impl Swarm {
    pub(super) fn len(&self) -> u64 {
        (self.seeds.len() + self.leechers.len()) as u64
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            complete: self.seeds.len() as u64,
            incomplete: self.leechers.len() as u64,
            downloaded: self.downloaded,
        }
    }

    /// Put a peer in its place, from the one it had before.
    pub(super) fn join(
        &mut self,
        now: Instant,
        connection: ConnKey,
        id: PeerId,
        before: Option<Place>,
        place: Place,
    ) -> Result<(), &'static str> {
        let present = self.at(place.position);
        if present.is_some_and(|member| member.connection != connection || member.id != id) {
            return Err("this peer_id is on another connection");
        }
        let known = before.and_then(|before| self.ring(before.is_seed).remove(before.position));
        let fresh = || Member {
            id,
            connection,
            announced: now,
            awaited: Vec::new(),
            offerers: Vec::new(),
            offered_since: now,
        };
        let member = known.unwrap_or_else(fresh);
        self.ring(place.is_seed).insert(
            place.position,
            Member {
                announced: now,
                ..member
            },
        );
        Ok(())
    }

    /// Whether it was there.
    pub(super) fn leave(&mut self, connection: ConnKey, place: Place) -> bool {
        let ring = self.ring(place.is_seed);
        let is_it = ring
            .get(place.position)
            .is_some_and(|member| member.connection == connection);
        is_it && ring.remove(place.position).is_some()
    }

    /// Choose whom each of `offers` goes to, best first: seeds want leechers; leechers want
    /// both, half and half as far as there are.
    #[expect(
        clippy::too_many_arguments,
        reason = "an introduction is of one by all of these"
    )]
    ///
    /// Who would be introduced to nobody is introduced to one beyond its share, for nobody is to
    /// be left alone in a crowd.
    pub(super) fn introduce(
        &mut self,
        now: Instant,
        connection: ConnKey,
        id: PeerId,
        place: Place,
        offers: &[OfferId],
        rules: &Rules,
        rng: &mut Rng,
    ) -> Vec<ConnKey> {
        let wanted = offers.len();
        let mut chosen = Vec::new();
        let mut gone = Vec::new();
        let mut bears = |position: u64, member: &mut Member, most: u32, pause: Duration| {
            if member.is_gone(now, rules) {
                gone.push(position);
                return false;
            }
            position != place.position && member.is_bearable(now, connection, most, pause, rules)
        };
        let from_seeds = match place.is_seed {
            true => 0,
            false => wanted - (wanted / 2).min(self.leechers.len().saturating_sub(1)),
        };
        let by_seed = rules.max_received_by_seed;
        // The second time is for those who would be introduced to nobody: one bears it.
        for (wanted, from_seeds, most, pause) in [
            (wanted, from_seeds, rules.max_received, SAME_PAIR_PAUSE),
            (1, from_seeds.min(1), by_seed, SAME_PAIR_SHORT_PAUSE),
        ] {
            if !chosen.is_empty() || offers.is_empty() {
                break;
            }
            let seeds = self.seeds.choose(from_seeds, rng, |at, member| {
                bears(at, member, by_seed, pause)
            });
            let rest = wanted - seeds.len();
            let leechers = self
                .leechers
                .choose(rest, rng, |at, member| bears(at, member, most, pause));
            let seeds = seeds.into_iter().map(|position| Place {
                position,
                is_seed: true,
            });
            chosen.extend(seeds);
            chosen.extend(leechers.into_iter().map(|position| Place {
                position,
                is_seed: false,
            }));
        }
        for position in gone {
            if self.leechers.remove(position).is_none() {
                self.seeds.remove(position);
            }
        }
        let note = |(chosen, offer): (Place, &OfferId)| {
            let member = self.ring(chosen.is_seed).get_mut(chosen.position)?;
            Some(member.offered(now, connection, id, *offer, rules))
        };
        chosen.into_iter().zip(offers).filter_map(note).collect()
    }

    /// Whether the peer at `place` got this offer from `by` and has not answered it; now it has.
    pub(super) fn take_awaited(
        &mut self,
        now: Instant,
        place: Place,
        id: PeerId,
        offer: OfferId,
        by: PeerId,
    ) -> bool {
        let Some(member) = self.ring(place.is_seed).get_mut(place.position) else {
            return false;
        };
        let is_it =
            |awaited: &Awaited| awaited.offer == offer && awaited.by == by && awaited.until > now;
        let at = member
            .awaited
            .iter()
            .position(is_it)
            .filter(|_| member.id == id);
        at.map(|at| member.awaited.swap_remove(at)).is_some()
    }

    pub(super) fn connection_of(&self, id: PeerId, key: u64) -> Option<ConnKey> {
        let member = self.at(Place::new(key, id, false).position)?;
        (member.id == id).then_some(member.connection)
    }

    fn at(&self, position: u64) -> Option<&Member> {
        self.seeds
            .get(position)
            .or_else(|| self.leechers.get(position))
    }

    const fn ring(&mut self, is_seed: bool) -> &mut Ring<Member> {
        if is_seed {
            &mut self.seeds
        } else {
            &mut self.leechers
        }
    }
}

impl Member {
    /// A page that was frozen answers pings, but no offers.
    fn is_gone(&self, now: Instant, rules: &Rules) -> bool {
        now.since(self.announced) > rules.interval * MISSED_INTERVALS
    }

    /// Whether one more offer from `connection` may reach it.
    fn is_bearable(
        &mut self,
        now: Instant,
        connection: ConnKey,
        most: u32,
        pause: Duration,
        rules: &Rules,
    ) -> bool {
        if now.since(self.offered_since) >= rules.interval {
            self.offered_since = now;
            self.offerers = Vec::new();
        }
        let is_it = |one: &&Offerer| one.connection == connection;
        let is_free = |one: &Offerer| {
            one.offers < rules.max_received_from_one && now.since(one.last) >= pause
        };
        let received: u32 = self.offerers.iter().map(|one| one.offers).sum();
        received < most && self.offerers.iter().find(is_it).is_none_or(is_free)
    }

    /// Note an offer on its way to this peer; where that is.
    fn offered(
        &mut self,
        now: Instant,
        by: ConnKey,
        id: PeerId,
        offer: OfferId,
        rules: &Rules,
    ) -> ConnKey {
        match self.offerers.iter_mut().find(|one| one.connection == by) {
            Some(one) => (one.offers, one.last) = (one.offers + 1, now),
            None => self.offerers.push(Offerer {
                connection: by,
                offers: 1,
                last: now,
            }),
        }
        self.awaited.retain(|awaited| awaited.until > now);
        if self.awaited.len() >= rules.max_received_by_seed as usize {
            self.awaited.remove(0);
        }
        self.awaited.push(Awaited {
            offer,
            by: id,
            until: now + ANSWER_TIMEOUT,
        });
        self.connection
    }
}
