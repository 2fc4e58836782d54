//! The upload limit: a token bucket that all peers drink from in turn.
//!
//! It may go into debt by what was already promised to peers when it ran dry; the debt is paid
//! before anybody gets more, so that over a second the rate is exact.

use crate::time::{Duration, Instant};

/// How much may be sent at once after a pause: a tenth of a second's worth, and a few blocks.
const MIN_BURST: i64 = 64 * 1024;

/// How often it is filled.
const REFILL: Duration = Duration::from_millis(20);

/// Bytes a second, counted.
#[derive(Debug)]
pub struct Bucket {
    rate: u64,
    tokens: i64,
    filled: Instant,
}

impl Bucket {
    /// Full, of this many bytes a second.
    pub fn new(rate: u64, now: Instant) -> Self {
        let mut bucket = Self {
            rate,
            tokens: 0,
            filled: now,
        };
        bucket.tokens = bucket.burst();
        bucket
    }

    /// Bytes that may be promised to one peer now: none in debt, otherwise enough for a few blocks.
    pub fn room(&self) -> usize {
        if self.tokens > 0 {
            usize::try_from(self.tokens.max(MIN_BURST)).unwrap_or(usize::MAX)
        } else {
            0
        }
    }

    /// Takes what was sent.
    pub fn take(&mut self, bytes: usize) {
        self.tokens = self.tokens.saturating_sub_unsigned(bytes as u64);
    }

    /// Adds what has run in since the last time.
    pub fn fill(&mut self, now: Instant) {
        const SECOND: u64 = 1_000_000;
        let micros = now.since(self.filled).as_micros();
        // In two parts, so that 64 bits are enough.
        let of_rest = (self.rate % SECOND).saturating_mul(micros) / SECOND;
        let bytes = (self.rate / SECOND)
            .saturating_mul(micros)
            .saturating_add(of_rest);
        // What is less than a byte runs in next time.
        if bytes > 0 {
            self.filled = now;
            self.tokens = self.tokens.saturating_add_unsigned(bytes).min(self.burst());
        }
    }

    /// When to look again.
    pub fn refill_at(&self) -> Instant {
        self.filled + REFILL
    }

    fn burst(&self) -> i64 {
        i64::try_from(self.rate / 10)
            .unwrap_or(i64::MAX)
            .max(MIN_BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_ten_seconds_the_rate_is_exact_even_when_promises_overshoot() {
        let mut now = Instant::START;
        let mut bucket = Bucket::new(2_000_000, now);
        let mut sent = 0;
        while now < Instant::START + Duration::from_secs(10) {
            bucket.fill(now);
            if bucket.room() > 0 {
                bucket.take(256 * 1024);
                sent += 256 * 1024;
            }
            now += Duration::from_millis(7);
        }
        assert!((19_800_000..20_700_000).contains(&sent), "{sent}");
    }

    #[test]
    fn a_pause_saves_up_no_more_than_a_burst() {
        let mut bucket = Bucket::new(2_000_000, Instant::START);
        bucket.fill(Instant::START + Duration::from_secs(3600));
        assert_eq!(bucket.room(), 200_000);
    }
}
