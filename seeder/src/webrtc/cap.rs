//! How much one peer may leave unacknowledged.
//!
//! A congestion window grows until something is lost, and a browser's receive buffer is small:
//! what helps is to keep about one bandwidth-delay product under way and no more
//! (Cardwell et al., "BBR: Congestion-Based Congestion Control", 2016). Arithmetic only: it is
//! told what was sent and acknowledged, and never sends or waits.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::MAX_MESSAGE;

/// Less room than this is none, in bytes, lest the cap cut messages into crumbs.
pub(super) const MIN_ROOM: usize = 48 << 10;
/// The cap a connection starts with, in bytes: a page that has just connected is busy with itself,
/// and slow to empty its socket.
///
/// With [`MIN_CAP`] from the first acknowledgements on, Chromium dropped one packet at nearly every
/// start.
const START_CAP: usize = MAX_MESSAGE;
/// Bytes acknowledged until a connection counts as started.
const STARTED: u64 = 2 << 20;
/// The cap that a connection comes to when it has started, and never falls below, in bytes.
///
/// On a path without length all of it may sit in the browser's socket buffer: Chromium's takes
/// some 100 KB of our packets before it drops any, and what is dropped at the end is missed only
/// when it is not answered in time. With less than this the browser runs dry between two long messages.
pub(super) const MIN_CAP: usize = 88 << 10;
/// The most that a remote's word about its socket raises that to, in bytes.
pub(super) const MAX_LEAST: usize = 512 << 10;
/// The cap no connection exceeds, in bytes: 160 MB/s at 50 ms.
pub(super) const MAX_CAP: usize = 8 << 20;
/// A round trip below this is mostly the two processes' turns on the CPU, not a path to fill.
const SHORT_PATH: Duration = Duration::from_millis(5);
/// What takes so much longer than it must was sent again, and more than once.
const LOSS_AFTER: Duration = Duration::from_millis(900);
/// The shortest round trip is forgotten after this long, in case the path has changed.
const ROUND_TRIP_MEMORY: Duration = Duration::from_secs(10);
/// Rounds a delivery rate is remembered.
const RATE_MEMORY: u64 = 10;
/// Rounds without a quarter's growth until the rate counts as found.
const PLATEAU: u32 = 3;
/// Messages whose way is followed at a time.
const MAX_MARKS: usize = 256;

#[derive(Debug)]
pub(super) struct SendCap {
    cap: usize,
    /// What the remote said that its socket holds of ours.
    remote_holds: usize,
    /// What loss has taught the cap to stay below.
    ceiling: usize,
    sent: u64,
    acknowledged: u64,
    marks: VecDeque<Mark>,
    round_trip: Option<(Duration, Instant)>,
    /// Best delivery rates of recent rounds in bytes a second, falling, each with its round.
    rates: VecDeque<(u64, f64)>,
    round: u64,
    /// When so much is acknowledged the round is over.
    round_end: u64,
    /// The best rate when it last grew by a quarter, and the rounds since.
    plateau: (f64, u32),
}

/// A message under way.
#[derive(Debug)]
struct Mark {
    sent_at: Instant,
    /// Bytes sent up to and with this message.
    end: u64,
    /// Bytes acknowledged when it was sent.
    acknowledged: u64,
    /// The cap, not the sender, was the limit.
    is_limited: bool,
}

impl SendCap {
    pub(super) fn new() -> Self {
        Self {
            cap: START_CAP,
            remote_holds: 0,
            ceiling: MAX_CAP,
            sent: 0,
            acknowledged: 0,
            marks: VecDeque::new(),
            round_trip: None,
            rates: VecDeque::new(),
            round: 0,
            round_end: 0,
            plateau: (0.0, 0),
        }
    }

    /// The remote says how much its socket holds: no browser does, others of us do.
    pub(super) fn handle_room(&mut self, bytes: usize) {
        self.remote_holds = bytes.min(MAX_LEAST);
        self.cap = self.cap.max(self.least());
    }

    pub(super) fn bytes(&self) -> usize {
        self.cap
    }

    /// Shortest recent time from giving a message away to its acknowledgement.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip.map(|(shortest, _)| shortest)
    }

    pub(super) fn unacknowledged(&self) -> usize {
        (self.sent - self.acknowledged) as usize
    }

    pub(super) fn handle_sent(&mut self, now: Instant, bytes: usize) {
        self.sent += bytes as u64;
        if self.marks.len() < MAX_MARKS {
            self.marks.push_back(Mark {
                sent_at: now,
                end: self.sent,
                acknowledged: self.acknowledged,
                is_limited: self.unacknowledged() + MAX_MESSAGE > self.cap,
            });
        }
    }

    /// Of all that was sent, this much is unacknowledged now.
    pub(super) fn handle_unacknowledged(&mut self, now: Instant, unacknowledged: usize) {
        let acknowledged = self.sent.saturating_sub(unacknowledged as u64);
        if acknowledged <= self.acknowledged {
            return;
        }
        let newly = acknowledged - self.acknowledged;
        self.acknowledged = acknowledged;
        while self.marks.front().is_some_and(|m| m.end <= acknowledged) {
            if let Some(mark) = self.marks.pop_front() {
                self.sample(now, &mark);
            }
        }
        self.adapt(newly as usize);
    }

    fn sample(&mut self, now: Instant, mark: &Mark) {
        let took = now.saturating_duration_since(mark.sent_at);
        self.note_round_trip(now, took);
        let shortest = self.round_trip().unwrap_or_default();
        if mark.end > self.round_end {
            self.round += 1;
            self.round_end = self.sent;
            self.note_plateau();
            if took > LOSS_AFTER + shortest {
                self.handle_loss();
                return;
            }
            self.ceiling = (self.ceiling + self.ceiling / 32).min(MAX_CAP);
        }
        let seconds = took.as_secs_f64().max(1e-6);
        let rate = (self.acknowledged - mark.acknowledged) as f64 / seconds;
        // A sender with little to say measures itself, not the path.
        if mark.is_limited || rate > self.best_rate() {
            self.note_rate(rate);
        }
    }

    /// What was sent has to be sent again.
    pub(super) fn handle_loss(&mut self) {
        self.ceiling = (self.cap / 2).max(MIN_CAP);
        self.cap = self.cap.min(self.ceiling);
        self.rates.clear();
    }

    fn note_round_trip(&mut self, now: Instant, took: Duration) {
        let is_stale = |at: Instant| now.saturating_duration_since(at) > ROUND_TRIP_MEMORY;
        match self.round_trip {
            Some((shortest, at)) if took >= shortest && !is_stale(at) => {}
            _ => self.round_trip = Some((took, now)),
        }
    }

    fn note_rate(&mut self, rate: f64) {
        while self.rates.back().is_some_and(|(_, known)| *known <= rate) {
            self.rates.pop_back();
        }
        self.rates.push_back((self.round, rate));
        let oldest = self.round.saturating_sub(RATE_MEMORY);
        while self.rates.front().is_some_and(|(round, _)| *round < oldest) {
            self.rates.pop_front();
        }
    }

    fn note_plateau(&mut self) {
        let best = self.best_rate();
        if best >= self.plateau.0 * 1.25 {
            self.plateau = (best, 0);
        } else {
            self.plateau.1 = self.plateau.1.saturating_add(1);
        }
    }

    fn best_rate(&self) -> f64 {
        self.rates.front().map_or(0.0, |(_, rate)| *rate)
    }

    fn adapt(&mut self, newly_acknowledged: usize) {
        let target = self.target().max(self.least()).min(self.ceiling);
        self.cap = if target > self.cap {
            target.min(self.cap + newly_acknowledged)
        } else {
            // An eighth of the way per cap's worth of acknowledgements.
            target.max(self.cap.saturating_sub(newly_acknowledged / 8))
        };
    }

    fn least(&self) -> usize {
        let any = if self.acknowledged < STARTED {
            START_CAP
        } else {
            MIN_CAP
        };
        any.max(self.remote_holds)
    }

    fn target(&self) -> usize {
        let round_trip = self.round_trip().unwrap_or_default();
        if round_trip < SHORT_PATH {
            return self.least();
        }
        // More than the product while the rate still grows with it, yet less than would overrun
        // a queue of one product; then a little over one. And the message waited for.
        let gain = if self.plateau.1 < PLATEAU { 1.7 } else { 1.25 };
        (self.best_rate() * round_trip.as_secs_f64() * gain) as usize + MAX_MESSAGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path: `rate` bytes a second, `delay` there and back, a queue of `queue` bytes before
    /// the slow part. Time is ours.
    struct Path {
        rate: f64,
        delay: Duration,
        queue: usize,
    }

    #[derive(Debug, PartialEq)]
    struct Outcome {
        /// Bytes a second over the last half.
        rate: f64,
        cap: usize,
        overflows: usize,
    }

    impl Path {
        /// Runs a sender that always has more to say.
        fn run(&self, duration: Duration) -> Outcome {
            let begin = Instant::now();
            let end = begin + duration;
            let (mut now, mut free_at) = (begin, begin);
            let mut cap = SendCap::new();
            let mut arriving: VecDeque<(Instant, usize)> = VecDeque::new();
            let (mut overflows, mut half) = (0, 0);
            while now < end {
                while cap.unacknowledged() + MAX_MESSAGE <= cap.bytes() {
                    cap.handle_sent(now, MAX_MESSAGE);
                    let waiting = free_at.saturating_duration_since(now).as_secs_f64() * self.rate;
                    overflows += usize::from(waiting as usize > self.queue);
                    let takes = Duration::from_secs_f64(MAX_MESSAGE as f64 / self.rate);
                    free_at = free_at.max(now) + takes;
                    arriving.push_back((free_at + self.delay, MAX_MESSAGE));
                }
                let Some((at, bytes)) = arriving.pop_front() else {
                    break;
                };
                now = at;
                if now > begin + duration / 2 {
                    half += bytes;
                }
                cap.handle_unacknowledged(now, cap.unacknowledged() - bytes);
            }
            Outcome {
                rate: half as f64 / (duration / 2).as_secs_f64(),
                cap: cap.bytes(),
                overflows,
            }
        }
    }

    #[test]
    fn a_long_path_is_filled_within_a_queue_of_its_own_size() {
        let path = Path {
            rate: 25e6,
            delay: Duration::from_millis(50),
            queue: 1_250_000,
        };
        let outcome = path.run(Duration::from_secs(10));
        assert!(outcome.rate > 0.9 * path.rate, "{outcome:?}");
        assert_eq!(outcome.overflows, 0, "{outcome:?}");
    }

    #[test]
    fn a_short_path_is_never_given_more_than_a_browser_buffers() {
        let path = Path {
            rate: 70e6,
            delay: Duration::from_micros(300),
            queue: usize::MAX,
        };
        assert_eq!(path.run(Duration::from_secs(2)).cap, MIN_CAP);
    }

    #[test]
    fn a_page_that_has_just_connected_gets_less() {
        let mut cap = SendCap::new();
        let now = Instant::now();
        for _ in 1..STARTED / MAX_MESSAGE as u64 {
            cap.handle_sent(now, MAX_MESSAGE);
            cap.handle_unacknowledged(now, 0);
            assert_eq!(cap.bytes(), START_CAP);
        }
    }

    #[test]
    fn a_remote_that_says_what_its_socket_holds_gets_that_at_once_and_less_after_a_loss() {
        let mut cap = SendCap::new();
        let begin = Instant::now();
        cap.handle_room(usize::MAX);
        assert_eq!(cap.bytes(), MAX_LEAST);
        cap.handle_sent(begin, MAX_MESSAGE);
        cap.handle_unacknowledged(begin + Duration::from_millis(1), 0);
        cap.handle_sent(begin, MAX_MESSAGE);
        cap.handle_unacknowledged(begin + Duration::from_millis(1500), 0);
        assert_eq!(cap.bytes(), MAX_LEAST / 2);
        let mut small = SendCap::new();
        small.handle_room(10_000);
        assert_eq!(small.bytes(), START_CAP);
    }

    #[test]
    fn a_second_of_silence_halves_the_cap() {
        let mut cap = SendCap::new();
        let begin = Instant::now();
        cap.cap = 1 << 20;
        cap.handle_sent(begin, MAX_MESSAGE);
        cap.handle_unacknowledged(begin + Duration::from_millis(20), 0);
        let before = cap.bytes();
        cap.handle_sent(begin, MAX_MESSAGE);
        cap.handle_unacknowledged(begin + Duration::from_millis(1500), 0);
        assert!(cap.bytes() <= before / 2, "{} of {before}", cap.bytes());
    }
}
