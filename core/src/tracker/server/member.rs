//! One WebRTC peer of a swarm: what it was sent, and how much more of it it may be sent.

use super::ConnKey;
use crate::ids::PeerId;
use crate::time::{Duration, Instant};
use crate::tracker::message::OfferId;
use alloc::collections::VecDeque;
use core::num::NonZeroU32;

/// An answer later than this after its offer is not passed on. WebTorrent gives an offer up
/// after 50 s; a client that offers again to others waits less.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Intervals without an announce after which a peer, connected or not, is no longer there.
const MISSED_INTERVALS: u32 = 3;

/// However short the interval is, this much silence is no absence.
const LEAST_SILENCE: Duration = Duration::from_secs(60);

/// Peers that read so many hundredths from each other are near; each time so many more count like
/// an offer more that one of them got, but no more often than this.
const NEAR_PERCENT: u8 = 5;
const FARTHEST: u32 = 10;

/// The time in which a trickle is counted.
const TRICKLE_TIME: Duration = Duration::from_secs(4);

/// How much a peer may be made to bear.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) interval: Duration,
    /// Offers in an interval.
    pub(super) received: u32,
    /// However many those are, so many within [`TRICKLE_TIME`].
    pub(super) trickle: u32,
    /// Of those, from one and the same connection.
    pub(super) received_from_one: u32,
    /// Between two from the same connection.
    pub(super) pause: Duration,
}

/// Offers remembered at most, where intervals are so short that many pass before an answer is late.
const MAX_REMEMBERED: usize = 1 << 12;

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: PeerId,
    pub(super) connection: ConnKey,
    pub(super) announced: Instant,
    /// Whether it was introduced to a seed since it came.
    pub(super) has_source: bool,
    /// How far into the torrent it reads, in hundredths, if it says so.
    pub(super) played_percent: Option<u8>,
    /// Offers it got in the last interval, or has not answered, oldest first.
    received: VecDeque<Received>,
}

/// An offer that went to a peer, in twelve bytes: in a large swarm looking through these is looking
/// for them in memory, and there are many.
#[derive(Clone, Copy, Debug)]
struct Received {
    /// Milliseconds, as far as they fit: it is forgotten long before they come round.
    at: u32,
    /// Of the connection it came by; that two are confused is one pair less in four billion.
    by: u32,
    /// Of the offer and its maker, while an answer is awaited. Whoever answers with another offer's
    /// name and the same fingerprint names an offer that nobody made: its maker knows better.
    awaited: Option<Fingerprint>,
}

/// An offer, and who made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fingerprint(NonZeroU32);

impl Fingerprint {
    pub(super) fn new(offer: OfferId, by: PeerId) -> Self {
        let bytes = offer.0.iter().chain(&by.0);
        // FNV-1a.
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(NonZeroU32::MIN | (hash >> 32) as u32)
    }
}

impl Received {
    fn new(now: Instant, by: ConnKey, offer: Fingerprint) -> Self {
        Self {
            at: millis(now),
            by: short(by),
            awaited: Some(offer),
        }
    }

    fn age(&self, now: Instant) -> Duration {
        Duration::from_millis(millis(now).wrapping_sub(self.at).into())
    }
}

const fn millis(now: Instant) -> u32 {
    (now.as_micros() / 1000) as u32
}

const fn short(connection: ConnKey) -> u32 {
    (connection.place() >> 32) as u32
}

impl Member {
    pub(super) const fn new(now: Instant, connection: ConnKey, id: PeerId) -> Self {
        Self {
            id,
            connection,
            announced: now,
            has_source: false,
            played_percent: None,
            received: VecDeque::new(),
        }
    }

    /// A page that was frozen answers pings, but no offers.
    pub(super) fn is_gone(&self, now: Instant, interval: Duration) -> bool {
        now.since(self.announced) > (interval * MISSED_INTERVALS).max(LEAST_SILENCE)
    }

    /// What it got within the last interval, if one more offer from `connection` may reach it.
    pub(super) fn burden(
        &mut self,
        now: Instant,
        connection: ConnKey,
        bound: &Bound,
    ) -> Option<u32> {
        self.forget(now, bound.interval);
        let by = short(connection);
        let (mut count, mut of_late, mut from_it, mut is_rested) = (0, 0, 0, true);
        let aged = self.received.iter().rev().map(|one| (one, one.age(now)));
        for (one, age) in aged.take_while(|(_, age)| *age < bound.interval) {
            count += 1;
            of_late += u32::from(age < TRICKLE_TIME);
            if one.by == by {
                from_it += 1;
                is_rested &= age >= bound.pause;
            }
        }
        let is_free = is_rested && from_it < bound.received_from_one;
        let bears = count < bound.received || of_late < bound.trickle;
        (bears && is_free).then_some(count)
    }

    /// How far it is from one who reads there, as offers it might have got instead: who plays what
    /// others have just played gets it from them, and they have no use for what it has.
    pub(super) fn distance(&self, played_percent: Option<u8>) -> u32 {
        match (played_percent, self.played_percent) {
            (None, _) => 0,
            (Some(_), None) => FARTHEST,
            (Some(from), Some(to)) => u32::from(from.abs_diff(to) / NEAR_PERCENT).min(FARTHEST),
        }
    }

    /// Let go of what counts no more.
    fn forget(&mut self, now: Instant, interval: Duration) {
        let is_over = |one: &Received| {
            let age = one.age(now);
            age >= interval && (one.awaited.is_none() || age >= ANSWER_TIMEOUT)
        };
        while self.received.front().is_some_and(is_over) || self.received.len() >= MAX_REMEMBERED {
            self.received.pop_front();
        }
    }

    /// Note an offer on its way to this peer; where that is.
    pub(super) fn offered(
        &mut self,
        now: Instant,
        interval: Duration,
        by: ConnKey,
        offer: Fingerprint,
    ) -> ConnKey {
        self.forget(now, interval);
        self.received.push_back(Received::new(now, by, offer));
        self.connection
    }

    /// Whether it got this offer and has not answered it; now it has.
    pub(super) fn take_awaited(&mut self, now: Instant, offer: Fingerprint) -> bool {
        let is_it =
            |one: &&mut Received| one.awaited == Some(offer) && one.age(now) < ANSWER_TIMEOUT;
        let found = self.received.iter_mut().rev().find(is_it);
        found.is_some_and(|found| found.awaited.take().is_some())
    }
}
