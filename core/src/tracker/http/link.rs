//! One tracker under one name of the torrent: what it knows of us, and when to ask it next.

use alloc::string::String;
use alloc::vec::Vec;

use super::AnnounceKey;
use super::answer::{Answer, Retry};
use crate::ids::SwarmHash;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::tracker::message::AnnounceEvent;

/// What a tracker's interval is held to, and what it is when it says none.
const MIN_INTERVAL: Duration = Duration::from_secs(15);
const MAX_INTERVAL: Duration = Duration::from_secs(3600);
const DEFAULT_INTERVAL: Duration = Duration::from_secs(900);

/// First pause before a tracker that named nobody is asked again, if it allows; doubled each time.
const HUNGRY_INTERVAL: Duration = Duration::from_secs(15);

/// Pauses after an announce without an answer: the first, doubled each time up to the last.
const MIN_RETRY: Duration = Duration::from_secs(5);
const MAX_RETRY: Duration = Duration::from_secs(1800);

/// Doublings of a pause.
const MAX_DOUBLINGS: u32 = 9;

#[derive(Debug)]
pub(super) struct Link {
    pub(super) url: String,
    pub(super) swarm: SwarmHash,
    pub(super) tracker_id: Option<Vec<u8>>,
    state: State,
    /// Whether it has answered an announce.
    is_known: bool,
    /// Whether it is to hear that we lack nothing any more.
    is_completed: bool,
    failures: u32,
    hungry: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Asked(AnnounceKey, Option<AnnounceEvent>),
    /// It wants to hear from us no more.
    Done,
    Waiting(Instant),
}

impl Link {
    pub(super) const fn new(url: String, swarm: SwarmHash, now: Instant) -> Self {
        Self {
            url,
            swarm,
            tracker_id: None,
            state: State::Waiting(now),
            is_known: false,
            is_completed: false,
            failures: 0,
            hungry: 0,
        }
    }

    /// When to announce.
    pub(super) const fn due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(due) => Some(due),
            State::Asked(..) | State::Done => None,
        }
    }

    /// What the next announce is to say.
    pub(super) const fn event(&self) -> Option<AnnounceEvent> {
        match (self.is_known, self.is_completed) {
            (false, _) => Some(AnnounceEvent::Started),
            (true, true) => Some(AnnounceEvent::Completed),
            (true, false) => None,
        }
    }

    pub(super) const fn is_known(&self) -> bool {
        self.is_known
    }

    pub(super) fn is_asked(&self, key: AnnounceKey) -> bool {
        matches!(self.state, State::Asked(asked, _) if asked == key)
    }

    pub(super) const fn asked(&mut self, key: AnnounceKey, event: Option<AnnounceEvent>) {
        self.state = State::Asked(key, event);
    }

    /// Nothing is lacking any more: to be said at once where something was said to be lacking.
    pub(super) fn completed(&mut self, now: Instant) {
        self.is_completed = match self.state {
            // The first announce will say so by itself.
            State::Waiting(_) => self.is_known,
            State::Asked(..) => true,
            State::Done => false,
        };
        if let (true, State::Waiting(due)) = (self.is_completed, &mut self.state) {
            *due = now.min(*due);
        }
    }

    /// It answered; whether that is news.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        answer: &Answer,
        is_hungry: bool,
        rng: &mut Rng,
    ) -> bool {
        let is_news = !self.is_known || self.failures > 0;
        if let State::Asked(_, Some(AnnounceEvent::Completed)) = self.state {
            self.is_completed = false;
        }
        self.is_known = true;
        self.failures = 0;
        if answer.tracker_id.is_some() {
            self.tracker_id.clone_from(&answer.tracker_id);
        }
        let interval = answer.interval.unwrap_or(DEFAULT_INTERVAL);
        let mut pause = interval.clamp(MIN_INTERVAL, MAX_INTERVAL);
        self.hungry = if is_hungry { self.hungry + 1 } else { 0 };
        if is_hungry {
            let soon = doubled(HUNGRY_INTERVAL, self.hungry);
            let least = answer.min_interval.unwrap_or(MIN_INTERVAL);
            pause = pause.min(soon.max(least));
        }
        let due = if self.is_completed {
            now
        } else {
            now + spread(pause, rng)
        };
        self.state = State::Waiting(due);
        is_news
    }

    /// It does not want us, perhaps for a while.
    pub(super) fn refused(&mut self, now: Instant, retry: Option<Retry>, rng: &mut Rng) {
        match retry {
            Some(Retry::Never) => self.state = State::Done,
            Some(Retry::After(pause)) => {
                let pause = pause.clamp(MIN_INTERVAL, MAX_INTERVAL);
                self.state = State::Waiting(now + spread(pause, rng));
            }
            None => self.failed(now, rng),
        }
    }

    pub(super) fn failed(&mut self, now: Instant, rng: &mut Rng) {
        self.failures += 1;
        let pause = doubled(MIN_RETRY, self.failures).min(MAX_RETRY);
        self.state = State::Waiting(now + spread(pause, rng));
    }
}

/// The first, second, … pause.
fn doubled(first: Duration, times: u32) -> Duration {
    first * 2u32.pow(times.saturating_sub(1).min(MAX_DOUBLINGS))
}

/// Up to a tenth later, so that those who started together do not stay together.
fn spread(pause: Duration, rng: &mut Rng) -> Duration {
    pause + pause / 100 * rng.below(11)
}
