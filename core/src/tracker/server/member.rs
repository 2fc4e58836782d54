//! One WebRTC peer of a swarm: what it was sent, and how much more of it it may be sent.

use super::ConnKey;
use crate::ids::PeerId;
use crate::time::{Duration, Instant};
use crate::tracker::message::OfferId;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// An answer later than this after its offer is not passed on. WebTorrent gives an offer up
/// after 50 s; a client that offers again to others waits less.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Intervals without an announce after which a peer, connected or not, is no longer there.
const MISSED_INTERVALS: u32 = 3;

/// However short the interval is, this much silence is no absence.
const LEAST_SILENCE: Duration = Duration::from_secs(60);

/// How much a peer may be made to bear.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) interval: Duration,
    /// Offers in an interval.
    pub(super) received: u32,
    /// Of those, from one and the same connection.
    pub(super) received_from_one: u32,
    /// Between two from the same connection.
    pub(super) pause: Duration,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: PeerId,
    pub(super) connection: ConnKey,
    pub(super) announced: Instant,
    /// Whether it was introduced to a seed since it came.
    pub(super) has_source: bool,
    /// Offers it got, and has not answered; no more than it may get in an interval.
    awaited: Vec<Awaited>,
    /// When it got an offer from whom, within the last interval, oldest first.
    received: VecDeque<(Instant, ConnKey)>,
}

#[derive(Clone, Copy, Debug)]
struct Awaited {
    offer: OfferId,
    by: PeerId,
    until: Instant,
}

impl Member {
    pub(super) const fn new(now: Instant, connection: ConnKey, id: PeerId) -> Self {
        Self {
            id,
            connection,
            announced: now,
            has_source: false,
            awaited: Vec::new(),
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
        let is_old = |(at, _): &(Instant, ConnKey)| now.since(*at) >= bound.interval;
        while self.received.front().is_some_and(is_old) {
            self.received.pop_front();
        }
        let received = self.received.len() as u32;
        let mut from_it = self
            .received
            .iter()
            .rev()
            .filter(|(_, by)| *by == connection);
        let last = from_it.next();
        let is_free = last.is_none_or(|(last, _)| {
            now.since(*last) >= bound.pause
                && from_it.count() + 1 < bound.received_from_one as usize
        });
        (received < bound.received && is_free).then_some(received)
    }

    /// Note an offer on its way to this peer; where that is.
    pub(super) fn offered(
        &mut self,
        now: Instant,
        by: ConnKey,
        id: PeerId,
        offer: OfferId,
    ) -> ConnKey {
        self.received.push_back((now, by));
        self.awaited.retain(|awaited| awaited.until > now);
        self.awaited.push(Awaited {
            offer,
            by: id,
            until: now + ANSWER_TIMEOUT,
        });
        self.connection
    }

    /// Whether it got this offer from `by` and has not answered it; now it has.
    pub(super) fn take_awaited(&mut self, now: Instant, offer: OfferId, by: PeerId) -> bool {
        let is_it =
            |awaited: &Awaited| awaited.offer == offer && awaited.by == by && awaited.until > now;
        let at = self.awaited.iter().position(is_it);
        at.map(|at| self.awaited.swap_remove(at)).is_some()
    }
}
