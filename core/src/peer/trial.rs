//! Whether more requests bring more, tried now and then where answers come late.
//!
//! Late answers mean that others stand in line before us, or that the peer serves in pulses, twice a
//! second, as Transmission does. Asking for less is right in the first case; in the second it would
//! be all that we ever get. Only the rate tells them apart: so twice as much is asked for a while,
//! and that stays if it brought a third more.

use crate::time::{Duration, Instant};

/// How long a trial is measured at the least.
const LENGTH: Duration = Duration::from_millis(1_500);
/// Between two trials: the first pause, doubled with each in vain.
const FIRST_PAUSE: Duration = Duration::from_secs(4);
const LAST_PAUSE: Duration = Duration::from_secs(32);
/// Requests with which one may be stuck.
const STUCK: u32 = 2;

/// Requests that have shown to be worth it, and the trial that is under way.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    /// Requests that are out at the least, and the rate that they brought.
    worth: Outcome,
    state: State,
    pause: Duration,
}

/// So many requests brought so many bytes per second.
#[derive(Clone, Copy, Default, Debug)]
struct Outcome {
    limit: u32,
    rate: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// It is known what late answers mean.
    Never,
    /// None of late: answers come in time.
    Idle,
    /// The next begins then.
    Waiting(Instant),
    /// So many are out; until what was asked for before has come, nothing is measured.
    Settling {
        limit: u32,
        until: Instant,
        before: u64,
    },
    /// `delivered` bytes had come at `since`, and `before` came in a second with half the requests.
    Measuring {
        limit: u32,
        since: Instant,
        delivered: u64,
        before: u64,
    },
}

impl Default for Trial {
    fn default() -> Self {
        Self {
            worth: Outcome::default(),
            state: State::Idle,
            pause: FIRST_PAUSE,
        }
    }
}

impl Trial {
    /// An answer came late, after `took`, while `limit` requests were to be out: how many there
    /// should be at the least. `delivered` and `rate` are the peer's bytes so far and per second.
    pub(super) fn late(
        &mut self,
        now: Instant,
        took: Duration,
        limit: u32,
        delivered: u64,
        rate: u64,
    ) -> u32 {
        if rate < self.worth.rate / 2 {
            self.worth = Outcome::default();
        }
        match self.state {
            State::Never => {}
            State::Idle => self.state = State::Waiting(now + self.pause),
            State::Waiting(due) => {
                if now >= due && limit <= self.worth.limit.max(STUCK) {
                    let (limit, until) = (limit * 2, now + took * 3 / 2);
                    self.state = State::Settling {
                        limit,
                        until,
                        before: rate,
                    };
                }
            }
            State::Settling {
                limit,
                until,
                before,
            } => {
                if now >= until {
                    self.state = State::Measuring {
                        limit,
                        since: now,
                        delivered,
                        before,
                    };
                }
            }
            State::Measuring {
                limit,
                since,
                delivered: earlier,
                before,
            } => {
                let lasted = now.since(since);
                if lasted >= LENGTH.max(took * 3) {
                    let rate = (delivered - earlier) * 1_000_000 / lasted.as_micros();
                    self.judge(now, Outcome { limit, rate }, before);
                }
            }
        }
        match self.state {
            State::Never | State::Idle | State::Waiting(_) => self.worth.limit,
            State::Settling { limit, .. } | State::Measuring { limit, .. } => limit,
        }
    }

    /// There is nothing to find out.
    pub(super) fn give_up(&mut self) {
        self.worth = Outcome::default();
        self.state = State::Never;
    }

    fn judge(&mut self, now: Instant, outcome: Outcome, before: u64) {
        if outcome.rate >= before + before / 3 {
            self.worth = outcome;
            self.pause = FIRST_PAUSE;
            self.state = State::Waiting(now);
        } else {
            self.pause = (self.pause * 2).min(LAST_PAUSE);
            self.state = State::Waiting(now + self.pause);
        }
    }
}
