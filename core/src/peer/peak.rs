//! The most there was of late.

use crate::time::{Duration, Instant};

/// The greatest of the values of this life and of the one before: what was greater is forgotten
/// between one life and two after it was seen.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    life: Duration,
    now: u64,
    before: u64,
    began: Instant,
}

impl Peak {
    /// Nothing yet.
    pub const fn new(life: Duration) -> Self {
        Self {
            life,
            now: 0,
            before: 0,
            began: Instant::START,
        }
    }

    /// There was so much.
    pub fn note(&mut self, now: Instant, value: u64) {
        if now.since(self.began) > self.life {
            (self.now, self.before, self.began) = (value, self.now, now);
        } else {
            self.now = self.now.max(value);
        }
    }

    /// The most there was.
    pub fn most(&self) -> u64 {
        self.now.max(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_more_is_forgotten_after_a_life_or_two() {
        let at = |secs: u64| Instant::from_micros(secs * 1_000_000);
        let mut peak = Peak::new(Duration::from_secs(2));
        peak.note(at(10), 7);
        peak.note(at(11), 3);
        assert_eq!(peak.most(), 7);
        peak.note(at(13), 3);
        assert_eq!(peak.most(), 7);
        peak.note(at(16), 4);
        assert_eq!(peak.most(), 4);
    }
}
