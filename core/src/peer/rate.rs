//! Bytes per second over the last two seconds.

use crate::time::{Duration, Instant};

const BUCKETS: usize = 8;
const BUCKET_MICROS: u64 = 250_000;

/// A rate over a sliding window of eight quarter seconds; integers only, so that it replays.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    buckets: [u64; BUCKETS],
    /// The quarter second that the newest bytes fell in.
    newest: u64,
    started: Option<Instant>,
    total: u64,
}

impl Rate {
    /// `bytes` went over at `now`.
    pub fn add(&mut self, now: Instant, bytes: u64) {
        self.started.get_or_insert(now);
        let quarter = now.as_micros() / BUCKET_MICROS;
        let passed = quarter.saturating_sub(self.newest).min(BUCKETS as u64);
        for step in 1..=passed {
            self.buckets[((self.newest + step) % BUCKETS as u64) as usize] = 0;
        }
        if passed == BUCKETS as u64 {
            self.buckets = [0; BUCKETS];
        }
        self.newest = self.newest.max(quarter);
        self.buckets[(quarter % BUCKETS as u64) as usize] += bytes;
        self.total += bytes;
    }

    /// Bytes per second over the last two seconds, as seen at `now`.
    pub fn per_second(&self, now: Instant) -> u64 {
        let Some(started) = self.started else {
            return 0;
        };
        let quarter = now.as_micros() / BUCKET_MICROS;
        let oldest = quarter.saturating_sub(BUCKETS as u64 - 1);
        if self.newest < oldest {
            return 0;
        }
        let bytes: u64 = (oldest..=self.newest)
            .map(|quarter| self.buckets[(quarter % BUCKETS as u64) as usize])
            .sum();
        let since = now.since(started.max(Instant::from_micros(oldest * BUCKET_MICROS)));
        bytes * 1_000_000 / since.max(Duration::from_millis(250)).as_micros()
    }

    /// All bytes there ever were.
    pub const fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_is_its_own_rate_and_silence_is_none() {
        let mut rate = Rate::default();
        for milli in 0..10_000u64 {
            rate.add(Instant::from_micros(milli * 1000), 100);
        }
        let seen = rate.per_second(Instant::from_micros(10_000_000));
        assert!((95_000..=105_000).contains(&seen), "{seen}");
        assert_eq!(rate.per_second(Instant::from_micros(12_500_000)), 0);
        rate.add(Instant::from_micros(60_000_000), 50);
        assert!(rate.per_second(Instant::from_micros(60_000_000)) <= 200);
        assert_eq!(rate.total(), 1_000_050);
    }
}
