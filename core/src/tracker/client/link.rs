//! One tracker as a client sees it: its socket, and when to announce there next.

use super::{TrackerKey, jittered};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use alloc::string::String;

/// A socket has this long to open.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

/// An announce is answered within this time, or the tracker is taken for dead.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The first announce waits this long for an offer to bring.
const OFFER_PATIENCE: Duration = Duration::from_secs(5);

/// Shortest and longest pause before a socket is opened again.
const MIN_RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(15);

/// Pause after a tracker misbehaved.
const HOSTILE_RETRY: Duration = Duration::from_secs(30);

/// What a tracker's interval is held to, and what it is when it says none.
const MIN_INTERVAL: Duration = Duration::from_secs(10);
const MAX_INTERVAL: Duration = Duration::from_secs(600);
const DEFAULT_INTERVAL: Duration = Duration::from_secs(120);

/// First pause before asking again for peers that are there but did not come.
const HUNGRY_INTERVAL: Duration = Duration::from_secs(20);

/// For so long after a socket opened, offers that got ready late are announced at once.
const TOP_UP: Duration = Duration::from_secs(30);

/// Peers that leave together are replaced together.
const LOSS_PATIENCE: Duration = Duration::from_secs(2);

/// Messages a second we read from one tracker, and how many at once. A swarm's offers to one
/// peer stay far below.
const MESSAGES_PER_SECOND: u64 = 50;
const MESSAGES_AT_ONCE: u64 = 500;

/// One tracker.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) url: String,
    /// Messages that could not be read, on this socket.
    pub(super) malformed: u32,
    /// Warnings so far, on this socket.
    pub(super) warnings: u32,
    state: State,
    /// Sockets lost since one was last any good.
    lost_in_row: u32,
    /// Announces since we last had peers enough.
    hungry_in_row: u32,
    refused_in_row: u32,
    /// Peers there, besides us, when last it said.
    others: u64,
    /// Where the allowance of messages stands: the moment until which it is used up.
    allowance: Instant,
}

#[derive(Debug)]
enum State {
    Opening {
        key: TrackerKey,
        until: Instant,
    },
    Open {
        key: TrackerKey,
        opened: Instant,
        announced: Option<Announced>,
    },
    Waiting {
        until: Instant,
    },
}

#[derive(Debug)]
struct Announced {
    at: Instant,
    /// When an answer is overdue; `None` once it came.
    response_until: Option<Instant>,
    next: Instant,
    /// Offers brought since the last announce that was planned.
    brought: usize,
}

impl Link {
    pub(super) const fn new(url: String, now: Instant) -> Self {
        Self {
            url,
            malformed: 0,
            warnings: 0,
            state: State::Waiting { until: now },
            lost_in_row: 0,
            hungry_in_row: 0,
            refused_in_row: 0,
            others: 0,
            allowance: now,
        }
    }

    /// The socket's key, open or opening.
    pub(super) const fn key(&self) -> Option<TrackerKey> {
        match self.state {
            State::Opening { key, .. } | State::Open { key, .. } => Some(key),
            State::Waiting { .. } => None,
        }
    }

    pub(super) const fn open_key(&self) -> Option<TrackerKey> {
        match self.state {
            State::Open { key, .. } => Some(key),
            _ => None,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open_key().is_some()
    }

    /// Whether it has heard of us on this socket.
    pub(super) const fn is_started(&self) -> bool {
        matches!(
            self.state,
            State::Open {
                announced: Some(_),
                ..
            }
        )
    }

    /// Whether offers made now will find their way soon.
    pub(super) const fn is_promising(&self) -> bool {
        self.is_open() || self.lost_in_row == 0
    }

    pub(super) fn is_to_open(&self, now: Instant) -> bool {
        matches!(self.state, State::Waiting { until } if until <= now)
    }

    /// Whether it lets us wait too long, for the socket or for an answer.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.silent_at().is_some_and(|at| at <= now)
    }

    fn silent_at(&self) -> Option<Instant> {
        match &self.state {
            State::Opening { until, .. } => Some(*until),
            State::Open {
                announced: Some(announced),
                ..
            } => announced.response_until,
            _ => None,
        }
    }

    /// When something is to be done here; the first announce waits a little for `with_offers`,
    /// later ones may come sooner for it.
    pub(super) fn due(&self, with_offers: Option<Instant>) -> Option<Instant> {
        let announce = match &self.state {
            State::Waiting { until } => return Some(*until),
            State::Opening { until, .. } => return Some(*until),
            State::Open {
                announced: Some(announced),
                ..
            } => announced.next,
            State::Open { opened, .. } => *opened + OFFER_PATIENCE,
        };
        let soonest = with_offers.map_or(announce, |offers| offers.min(announce));
        Some(
            self.silent_at()
                .map_or(soonest, |silent| silent.min(soonest)),
        )
    }

    /// When the next announce is planned, if we announced at all.
    pub(super) fn next_announce(&self) -> Option<Instant> {
        match &self.state {
            State::Open {
                announced: Some(announced),
                ..
            } => Some(announced.next),
            State::Open { opened, .. } => Some(*opened),
            State::Opening { .. } => Some(Instant::START),
            State::Waiting { until } => Some(*until),
        }
    }

    /// How many offers an announce may bring now, of `wanted` an interval.
    pub(super) fn appetite(&self, now: Instant, wanted: usize) -> usize {
        match &self.state {
            State::Open {
                announced: Some(announced),
                ..
            } if announced.next <= now => wanted,
            State::Open {
                announced: Some(announced),
                opened,
                ..
            } if now < *opened + TOP_UP => wanted.saturating_sub(announced.brought),
            State::Open {
                announced: None, ..
            } => wanted,
            _ => 0,
        }
    }

    pub(super) fn opening(&mut self, key: TrackerKey, now: Instant) {
        self.state = State::Opening {
            key,
            until: now + OPEN_TIMEOUT,
        };
        (self.malformed, self.warnings) = (0, 0);
    }

    pub(super) fn opened(&mut self, now: Instant) {
        if let State::Opening { key, .. } = self.state {
            self.state = State::Open {
                key,
                opened: now,
                announced: None,
            };
        }
    }

    /// We announced, and brought so many offers.
    pub(super) fn announced(&mut self, now: Instant, offers: usize) {
        let State::Open { announced, .. } = &mut self.state else {
            return;
        };
        let before = announced.as_ref().filter(|before| before.next > now);
        *announced = Some(Announced {
            at: now,
            response_until: Some(now + RESPONSE_TIMEOUT),
            next: before.map_or(now + DEFAULT_INTERVAL, |before| before.next),
            // One that was to bring offers and brought none is not repeated.
            brought: match before {
                None => offers,
                Some(_) if offers == 0 => usize::MAX,
                Some(before) => before.brought.saturating_add(offers),
            },
        });
    }

    /// Announce sooner than planned, for peers were lost and there are others; after this pause, or
    /// when they had time to gather.
    pub(super) fn hasten(&mut self, now: Instant, pause: Option<Duration>) {
        if let State::Open {
            announced: Some(announced),
            ..
        } = &mut self.state
        {
            let together = (announced.at + MIN_INTERVAL).max(now + LOSS_PATIENCE);
            let soon = pause.map_or(together, |pause| now + pause);
            announced.next = announced.next.min(soon);
        }
    }

    pub(super) const fn others(&self) -> u64 {
        self.others
    }

    pub(super) fn responded(
        &mut self,
        now: Instant,
        interval: Option<f64>,
        others: u64,
        is_hungry: bool,
        rng: &mut Rng,
    ) {
        (self.lost_in_row, self.refused_in_row, self.others) = (0, 0, others);
        let mut pause = held(interval);
        self.hungry_in_row = if is_hungry { self.hungry_in_row + 1 } else { 0 };
        if is_hungry {
            pause = pause.min(HUNGRY_INTERVAL * 2u32.pow((self.hungry_in_row - 1).min(8)));
        }
        self.plan(now + jittered(pause, rng));
    }

    /// It refused an announce: try again, ever later.
    pub(super) fn refused(&mut self, now: Instant, rng: &mut Rng) {
        self.refused_in_row += 1;
        let pause = MIN_INTERVAL * 2u32.pow((self.refused_in_row - 1).min(4));
        self.plan(now + jittered(pause, rng));
    }

    fn plan(&mut self, at: Instant) {
        if let State::Open {
            announced: Some(announced),
            ..
        } = &mut self.state
        {
            announced.response_until = None;
            announced.next = at;
        }
    }

    pub(super) fn lost(&mut self, now: Instant, is_hostile: bool, rng: &mut Rng) {
        let pause = match is_hostile {
            true => HOSTILE_RETRY,
            false => (MIN_RETRY * 2u32.pow(self.lost_in_row.min(8))).min(MAX_RETRY),
        };
        self.lost_in_row += 1;
        // Half of it is luck, so that a tracker that comes back is not stormed.
        let pause = pause.mul_f64(1.0 - 0.5 * rng.unit()).max(MIN_RETRY);
        self.state = State::Waiting { until: now + pause };
    }

    /// Count one message; false if that is one too many.
    pub(super) fn is_message_allowed(&mut self, now: Instant) -> bool {
        let cost = Duration::from_micros(1_000_000 / MESSAGES_PER_SECOND);
        self.allowance = self.allowance.max(now) + cost;
        self.allowance.since(now) <= cost * MESSAGES_AT_ONCE as u32
    }
}

/// A tracker's interval within reason.
fn held(interval: Option<f64>) -> Duration {
    let seconds = interval.filter(|seconds| *seconds > 0.0);
    let asked = seconds.map_or(DEFAULT_INTERVAL, |seconds| {
        Duration::from_secs(seconds.min(1e6) as u64)
    });
    asked.clamp(MIN_INTERVAL, MAX_INTERVAL)
}
