//! One swarm at the tracker: its seeds and its leechers, each on a ring of their own.

use super::ConnKey;
use super::member::{Bound, Fingerprint, Member};
use super::plain::Plain;
use super::ring::{COMPARED, Ring};
use crate::hash::Sha256;
use crate::ids::PeerId;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::tracker::message::{Counts, OfferId};
use alloc::vec::Vec;

/// A peer gets at most this many times the offers that one announce brings, in an interval.
const RECEIVED_PER_OFFER: u32 = 4;

/// A peer that offers again so soon wants others: a client that announces with its first offer and
/// sends the rest after it, for one.
const SAME_PAIR_PAUSE: Duration = Duration::from_secs(8);

/// A peer that got nobody else may have the same one again so soon: its connections may be gone,
/// as after the page came back from the back/forward cache.
const SAME_PAIR_SHORT_PAUSE: Duration = Duration::from_secs(2);

/// A seed that has had its newcomers still gets so many in four seconds: who fell behind in a large
/// crowd finds what it needs with nobody else, and a seed makes four places a second.
const TRICKLE: u32 = 16;

/// What one peer may be made to bear.
pub(super) struct Rules {
    pub(super) interval: Duration,
    /// Newcomers without a source that one seed gets in an interval, the others included.
    pub(super) max_newcomers: u32,
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
        Self {
            position: position_of(key, &id.0),
            is_seed,
        }
    }
}

/// Where `name` stands under the tracker's key, which is all that keeps it from choosing.
pub(super) fn position_of(key: u64, name: &[u8]) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(&key.to_be_bytes());
    hasher.update(name);
    let digest = hasher.finish().0;
    let mut position = [0; 8];
    position.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(position)
}

/// Peers compared for one who wants to be near others.
const COMPARED_FOR_NEARNESS: usize = 4;

/// The peers of one torrent.
#[derive(Debug, Default)]
pub(super) struct Swarm {
    /// Times somebody got everything.
    pub(super) downloaded: u64,
    /// Those over TCP.
    pub(super) plain: Plain,
    seeds: Ring<Member>,
    leechers: Ring<Member>,
    /// The most offers one announce brought: the k that all are bounded by four of.
    most_offers: u32,
}

/// How many of each kind are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Quota {
    pub(super) seeds: usize,
    pub(super) leechers: usize,
}

impl Quota {
    /// Of `wanted` in a tracker of its own: seeds want leechers; leechers want both, half and half
    /// as far as there are.
    pub(super) fn of_all(place: Place, wanted: usize, leechers: usize) -> Self {
        let seeds = match place.is_seed {
            true => 0,
            false => wanted - (wanted / 2).min(leechers),
        };
        Self {
            seeds,
            leechers: wanted - seeds,
        }
    }

    pub(super) const fn sum(self) -> usize {
        self.seeds + self.leechers
    }
}

/// Who is to be introduced, and to how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joiner {
    pub(super) connection: ConnKey,
    pub(super) id: PeerId,
    pub(super) place: Place,
    /// Whether it never was introduced to a seed, and wants one.
    pub(super) lacks_source: bool,
    /// How far into the torrent it reads, if it says so: who reads near it is introduced rather.
    pub(super) played_percent: Option<u8>,
    pub(super) quota: Quota,
}

impl Swarm {
    pub(super) fn len(&self) -> u64 {
        (self.seeds.len() + self.leechers.len()) as u64 + self.plain.len()
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            complete: (self.seeds.len() + self.plain.seeds.len()) as u64,
            incomplete: (self.leechers.len() + self.plain.leechers.len()) as u64,
            downloaded: self.downloaded,
        }
    }

    /// Put a peer in its place, from the one it had before.
    pub(super) fn join(
        &mut self,
        now: Instant,
        connection: ConnKey,
        id: PeerId,
        played_percent: Option<u8>,
        before: Option<Place>,
        place: Place,
    ) -> Result<(), &'static str> {
        let present = self.at(place.position);
        if present.is_some_and(|member| member.connection != connection || member.id != id) {
            return Err("this peer_id is on another connection");
        }
        if before == Some(place)
            && let Some(member) = self.ring(place.is_seed).get_mut(place.position)
        {
            (member.announced, member.played_percent) = (now, played_percent);
            return Ok(());
        }
        let known = before.and_then(|before| self.ring(before.is_seed).remove(before.position));
        let mut member = known.unwrap_or_else(|| Member::new(now, connection, id));
        (member.announced, member.played_percent) = (now, played_percent);
        self.ring(place.is_seed).insert(place.position, member);
        Ok(())
    }

    /// The peer at `place` announces itself again. Long before it is due it does so because it lacks
    /// something: perhaps the seed it was introduced to had no room for it, or let it go.
    pub(super) fn note_return(&mut self, now: Instant, place: Place, interval: Duration) {
        let early = SAME_PAIR_SHORT_PAUSE..interval / 2;
        if let Some(member) = self.leechers.get_mut(place.position)
            && early.contains(&now.since(member.announced))
        {
            member.has_source = false;
        }
    }

    /// Whether it was there.
    pub(super) fn leave(&mut self, connection: ConnKey, place: Place) -> bool {
        let ring = self.ring(place.is_seed);
        let is_it = ring
            .get(place.position)
            .is_some_and(|member| member.connection == connection);
        is_it && ring.remove(place.position).is_some()
    }

    /// How many seeds and leechers over WebRTC there are.
    pub(super) fn share(&self) -> (u32, u32) {
        (self.seeds.len() as u32, self.leechers.len() as u32)
    }

    /// How many seeds and leechers over WebRTC there are besides the one at `place`.
    pub(super) fn others_than(&self, place: Place) -> (usize, usize) {
        let own = |is_seed| usize::from(place.is_seed == is_seed);
        (
            self.seeds.len().saturating_sub(own(true)),
            self.leechers.len().saturating_sub(own(false)),
        )
    }

    /// Whether the leecher at `place` never was introduced to a seed.
    pub(super) fn lacks_source(&self, place: Place) -> bool {
        let member = self.leechers.get(place.position);
        !place.is_seed && member.is_some_and(|member| !member.has_source)
    }

    /// The peer at `place` is introduced to a seed.
    pub(super) fn note_source(&mut self, place: Place) {
        if let Some(member) = self.ring(place.is_seed).get_mut(place.position) {
            member.has_source = true;
        }
    }

    /// Choose whom each of the offers goes to, best first: as many seeds as are wanted, and
    /// leechers instead of those that are not to be had.
    ///
    /// Nobody gets more than four times k offers in an interval, but for two reasons: a leecher
    /// that never was introduced to a seed gets one while one bears it, for in a window that moves
    /// nobody else may have what it needs; and nobody is left alone in a crowd.
    pub(super) fn introduce(
        &mut self,
        now: Instant,
        joiner: Joiner,
        offers: &[OfferId],
        rules: &Rules,
        rng: &mut Rng,
    ) -> Vec<ConnKey> {
        let wanted = joiner.quota.sum().min(offers.len());
        if wanted == 0 {
            return Vec::new();
        }
        self.most_offers = self.most_offers.max(wanted as u32);
        let usual = Bound {
            interval: rules.interval,
            received: self.most_offers * RECEIVED_PER_OFFER,
            trickle: 0,
            received_from_one: rules.max_received_from_one,
            pause: SAME_PAIR_PAUSE,
        };
        let exceptional = Bound {
            received: rules.max_newcomers.max(usual.received),
            trickle: TRICKLE,
            pause: SAME_PAIR_SHORT_PAUSE,
            ..usual
        };
        let mut choice = Choice {
            now,
            joiner,
            rng,
            chosen: Vec::with_capacity(wanted),
            gone: Vec::new(),
        };
        choice.extend(&mut self.seeds, true, joiner.quota.seeds, &usual);
        if choice.chosen.is_empty() && joiner.lacks_source {
            choice.extend(&mut self.seeds, true, 1, &exceptional);
        }
        let rest = wanted.saturating_sub(choice.chosen.len());
        choice.extend(&mut self.leechers, false, rest, &usual);
        for is_seed in [true, false] {
            if choice.chosen.is_empty() && !(is_seed && joiner.place.is_seed) {
                choice.extend(self.ring(is_seed), is_seed, 1, &exceptional);
            }
        }
        let Choice { chosen, gone, .. } = choice;
        for gone in gone {
            self.ring(gone.is_seed).remove(gone.position);
        }
        if joiner.lacks_source && chosen.iter().any(|chosen| chosen.is_seed) {
            self.note_source(joiner.place);
        }
        let note = |(chosen, offer): (&Place, &OfferId)| {
            let member = self.ring(chosen.is_seed).get_mut(chosen.position)?;
            let offer = Fingerprint::new(*offer, joiner.id);
            Some(member.offered(now, rules.interval, joiner.connection, offer))
        };
        chosen.iter().zip(offers).filter_map(note).collect()
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
        let member = self.ring(place.is_seed).get_mut(place.position);
        let offer = Fingerprint::new(offer, by);
        member.is_some_and(|member| member.id == id && member.take_awaited(now, offer))
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

/// Whom a joiner is introduced to, as far as it is decided.
struct Choice<'a> {
    now: Instant,
    joiner: Joiner,
    rng: &'a mut Rng,
    chosen: Vec<Place>,
    /// Those found to be no longer there.
    gone: Vec<Place>,
}

impl Choice<'_> {
    /// Add `count` of `ring` that bear it.
    fn extend(&mut self, ring: &mut Ring<Member>, is_seed: bool, count: usize, bound: &Bound) {
        let (now, joiner, gone) = (self.now, self.joiner, &mut self.gone);
        let compared = match joiner.played_percent {
            Some(_) => COMPARED_FOR_NEARNESS,
            None => COMPARED,
        };
        let places = ring.choose(count, compared, self.rng, |position, member| {
            if member.is_gone(now, bound.interval) {
                gone.push(Place { position, is_seed });
                return None;
            }
            let is_other = position != joiner.place.position;
            let burden = is_other.then(|| member.burden(now, joiner.connection, bound))??;
            Some(burden + member.distance(joiner.played_percent))
        });
        let place = |position| Place { position, is_seed };
        self.chosen.extend(places.into_iter().map(place));
    }
}
