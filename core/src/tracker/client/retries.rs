//! When to ask the trackers again after connections came to nothing.
//!
//! ICE fails now and then between peers that could well talk: the next attempt is worth more than
//! the next interval. Only so many in a row, for some peers never can.

use super::jittered;
use crate::rng::Rng;
use crate::time::Duration;

/// Pause after the first failure, doubled with each.
const FIRST: Duration = Duration::from_secs(5);

/// Failures in a row that are answered with a pause of their own: 5, 10, 20 and 40 s.
const MAX_IN_ROW: u32 = 4;

/// Failures since a connection last opened.
#[derive(Debug, Default)]
pub(super) struct Retries {
    failed_in_row: u32,
}

impl Retries {
    /// A connection came to nothing: how long to wait before asking for another, if at all.
    pub(super) fn failed(&mut self, rng: &mut Rng) -> Option<Duration> {
        if self.failed_in_row == MAX_IN_ROW {
            return None;
        }
        let pause = FIRST * 2u32.pow(self.failed_in_row);
        self.failed_in_row += 1;
        Some(jittered(pause, rng))
    }

    /// One opened: peers can be reached.
    pub(super) const fn opened(&mut self) {
        self.failed_in_row = 0;
    }
}
