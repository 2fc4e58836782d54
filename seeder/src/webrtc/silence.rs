//! When to have the stack send again what a remote does not answer.
//!
//! The stack waits a second (RFC 9260 §16, RTO.Min; RFC 6347 §4.2.4.1 for DTLS), and two the next
//! time, and a film that has just begun stands still meanwhile. It knows no shorter time, but it is
//! told what time it is: told that it is a second later, it sends again at once. Arithmetic only.

use std::time::{Duration, Instant};

/// Silence that may be a remote's own patience, on top of two round trips: browsers hold an
/// acknowledgement back for up to 200 ms.
const PATIENCE: Duration = Duration::from_millis(250);
/// The same while a connection is set up, where all is answered at once. Chromium drops the first
/// SCTP packet now and then if it comes as it completes the handshake, and the stack answers no
/// INIT when it has sent its own (RFC 9260 §5.2.1): then both wait.
const SETUP_PATIENCE: Duration = Duration::from_millis(100);
/// The same, in all, while no round trip is known.
const FIRST_PATIENCE: Duration = Duration::from_millis(500);
/// What the stack waits before it sends again the first time; then twice that, and so on.
const STACK_WAITS: Duration = Duration::from_secs(1);
/// How far the stack's clock may be ahead. It also counts by it for how long nothing was heard.
const MAX_AHEAD: Duration = Duration::from_secs(4);
/// Times in one silence that the stack is hurried; then it goes by its own time.
const MAX_TIMES: u32 = 3;
/// The stack waits a minute at the most.
const MAX_DOUBLED: u32 = 6;

/// How long a remote may be silent that is so far away.
pub(super) fn patience(round_trip: Option<Duration>, is_open: bool) -> Duration {
    let own = if is_open { PATIENCE } else { SETUP_PATIENCE };
    round_trip.map_or(FIRST_PATIENCE, |trip| own + trip * 2)
}

#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Since when an answer is waited for.
    since: Option<Instant>,
    /// Bytes sent in all, and how many of them were answered.
    sent: u64,
    heard: u64,
    /// How often the stack was hurried in this silence.
    times: u32,
    /// How often it doubled what it waits, and up to which byte it sent again: only the answer to a
    /// byte that was sent once has it wait a second again (RFC 9260 §6.3.1, C5).
    doubled: u32,
    again: u64,
    /// What time the stack was told.
    told: Option<Instant>,
}

impl Silence {
    /// So many bytes have been answered in all; of how many, while more is waited for.
    pub(super) fn observe(&mut self, now: Instant, heard: u64, sent: Option<u64>) {
        if sent.is_none() {
            self.since = None;
        } else if self.since.is_none() || heard != self.heard {
            self.since = Some(now);
            self.times = 0;
        }
        if heard > self.again {
            self.doubled = 0;
        }
        self.heard = heard;
        self.sent = sent.unwrap_or(heard);
    }

    /// When the stack is to be hurried next, by [`Self::leap`].
    pub(super) fn deadline(&self, patience: Duration) -> Option<Instant> {
        let since = self.since.filter(|_| self.times < MAX_TIMES)?;
        let due = since + patience * (1 << self.times);
        let allowed = self.told.map_or(due, |told| told + self.step() - MAX_AHEAD);
        Some(due.max(allowed))
    }

    /// The time to tell the stack, if it is to be hurried now.
    pub(super) fn leap(&mut self, now: Instant, patience: Duration) -> Option<Instant> {
        self.deadline(patience).filter(|due| *due <= now)?;
        let told = self.told.map_or(now, |told| told.max(now)) + self.step();
        self.told = Some(told);
        self.times += 1;
        self.doubled = (self.doubled + 1).min(MAX_DOUBLED);
        self.again = self.sent;
        Some(told)
    }

    /// What the stack waits as it stands.
    fn step(&self) -> Duration {
        STACK_WAITS * (1 << self.doubled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(252);

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// When the stack is hurried within so long, and what time it is told, in ms from the start.
    fn leaps(silence: &mut Silence, start: Instant, within: u64) -> Vec<(u64, u64)> {
        let mut leaps = Vec::new();
        for at in 0..within {
            if let Some(told) = silence.leap(start + ms(at), WAIT) {
                leaps.push((at, (told - start).as_millis() as u64));
            }
        }
        leaps
    }

    #[test]
    fn the_stack_is_hurried_twice_at_once_and_then_as_its_clock_allows() {
        let start = Instant::now();
        let mut silence = Silence::default();
        silence.observe(start, 0, Some(9));
        let told = leaps(&mut silence, start, 60_000);
        assert_eq!(told, [(252, 1252), (504, 3252), (3252, 7252)]);
    }

    #[test]
    fn an_answer_begins_the_wait_anew() {
        let start = Instant::now();
        let mut silence = Silence::default();
        silence.observe(start, 0, Some(9));
        silence.observe(start + ms(200), 0, Some(9));
        assert_eq!(silence.deadline(WAIT), Some(start + ms(252)));
        silence.observe(start + ms(200), 1, Some(9));
        assert_eq!(silence.deadline(WAIT), Some(start + ms(452)));
        silence.observe(start + ms(201), 9, None);
        assert_eq!(silence.deadline(WAIT), None);
    }

    #[test]
    fn until_something_new_is_answered_the_stack_waits_longer_and_is_told_more() {
        let start = Instant::now();
        let mut silence = Silence::default();
        silence.observe(start, 0, Some(9));
        assert_eq!(leaps(&mut silence, start, 300), [(252, 1252)]);
        silence.observe(start + ms(300), 5, Some(9));
        assert_eq!(leaps(&mut silence, start, 600), [(552, 3252)]);
        silence.observe(start + ms(600), 10, Some(20));
        assert_eq!(leaps(&mut silence, start, 900), [(852, 4252)]);
    }

    #[test]
    fn a_remote_is_given_time_by_its_distance_and_by_what_it_may_hold_back() {
        let trip = Some(ms(1));
        assert_eq!(patience(trip, true), ms(252));
        assert_eq!(patience(trip, false), ms(102));
        assert_eq!(patience(None, false), FIRST_PATIENCE);
    }
}
