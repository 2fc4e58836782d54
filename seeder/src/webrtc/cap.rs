//! How much one peer may leave unacknowledged.
//!
//! SCTP's own congestion window grows until something is lost, and a browser's receive buffer
//! is small: what helps is to keep about one bandwidth-delay product under way and no more
//! (Cardwell et al., "BBR: Congestion-Based Congestion Control", 2016). Arithmetic only; it
//! is told what was sent and acknowledged.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The cap a connection starts with, and never falls below, in bytes.
pub(super) const MIN_CAP: usize = 64 << 10;
/// The cap no connection exceeds, in bytes: 160 MB/s at 50 ms.
pub(super) const MAX_CAP: usize = 8 << 20;
/// The shortest round trip is forgotten after this long, in case the path has changed.
const ROUND_TRIP_MEMORY: Duration = Duration::from_secs(10);
/// Rounds a delivery rate is remembered.
const RATE_MEMORY_ROUNDS: u64 = 10;
/// Messages whose way is followed at a time.
const MAX_MARKS: usize = 256;

#[derive(Debug)]
pub(super) struct SendCap {
    cap: usize,
    sent: u64,
    acknowledged: u64,
    marks: VecDeque<Mark>,
    round_trip: Option<(Duration, Instant)>,
    /// Best delivery rate of recent rounds, in bytes a second, with the round it was seen in.
    rates: VecDeque<(u64, f64)>,
    round: u64,
    round_ends_at: u64,
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
    limited: bool,
}

impl SendCap {
    pub(super) fn new() -> Self {
        Self {
            cap: MIN_CAP,
            sent: 0,
            acknowledged: 0,
            marks: VecDeque::new(),
            round_trip: None,
            rates: VecDeque::new(),
            round: 0,
            round_ends_at: 0,
            plateau: (0.0, 0),
        }
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
        let limited = self.unacknowledged() >= self.cap;
        if self.marks.len() < MAX_MARKS {
            self.marks.push_back(Mark {
                sent_at: now,
                end: self.sent,
                acknowledged: self.acknowledged,
                limited,
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
        while self
            .marks
            .front()
            .is_some_and(|mark| mark.end <= acknowledged)
        {
            if let Some(mark) = self.marks.pop_front() {
                self.sample(now, &mark);
            }
        }
        self.adapt(newly as usize);
    }

    fn sample(&mut self, now: Instant, mark: &Mark) {
        let took = now.saturating_duration_since(mark.sent_at);
        let stale = |at: Instant| now.saturating_duration_since(at) > ROUND_TRIP_MEMORY;
        match self.round_trip {
            Some((shortest, at)) if took >= shortest && !stale(at) => {}
            _ => self.round_trip = Some((took, now)),
        }
        if mark.end > self.round_ends_at {
            self.round += 1;
            self.round_ends_at = self.sent;
            self.note_plateau();
        }
        let seconds = took.as_secs_f64().max(1e-6);
        let rate = (self.acknowledged - mark.acknowledged) as f64 / seconds;
        // A sender with little to say measures itself, not the path.
        if mark.limited || rate > self.best_rate() {
            self.note_rate(rate);
        }
    }

    fn note_rate(&mut self, rate: f64) {
        // Falling rates in order of age: the front is the best of what is remembered.
        while self.rates.back().is_some_and(|(_, known)| *known <= rate) {
            self.rates.pop_back();
        }
        self.rates.push_back((self.round, rate));
        let oldest = self.round.saturating_sub(RATE_MEMORY_ROUNDS);
        while self.rates.front().is_some_and(|(round, _)| *round < oldest) {
            self.rates.pop_front();
        }
    }

    fn note_plateau(&mut self) {
        let best = self.best_rate();
        if best >= self.plateau.0 * 1.25 {
            self.plateau = (best, 0);
        } else {
            self.plateau.1 += 1;
        }
    }

    fn best_rate(&self) -> f64 {
        self.rates.front().map_or(0.0, |(_, rate)| *rate)
    }

    fn adapt(&mut self, newly_acknowledged: usize) {
        let Some(round_trip) = self.round_trip() else {
            return;
        };
        // Twice the product while the rate still grows with it; then a little over one.
        let gain = if self.plateau.1 < 3 { 2.0 } else { 1.25 };
        let target = (self.best_rate() * round_trip.as_secs_f64() * gain) as usize;
        let target = target.clamp(MIN_CAP, MAX_CAP);
        self.cap = if target > self.cap {
            target.min(self.cap + newly_acknowledged)
        } else {
            // An eighth of the way per cap's worth of acknowledgements.
            let step = newly_acknowledged / 8;
            target.max(self.cap.saturating_sub(step))
        };
    }
}
