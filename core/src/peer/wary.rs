//! Asking one that would refuse everything: as much as it takes, and no more.
//!
//! A seed that deals its blocks out promises each of a crowd a few at a time. Whoever asks it for more
//! is told so, and each refusal costs the seed uplink: in a crowd of 250 it once was half of it.

use crate::time::{Duration, Instant};

/// Blocks it is asked for after a pause.
const FEW: u32 = 4;
/// Who refused nothing for so long is asked for two more for each that comes, so that what is out with
/// it doubles; and then for as much as anybody, for what is refused piece by piece is not given back.
const LENIENT: Duration = Duration::from_secs(1);
const FORGOTTEN: Duration = Duration::from_secs(5);

/// How much more one may be asked for that has refused everything of late.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wary(Option<State>);

#[derive(Clone, Copy, Debug)]
struct State {
    /// When it last refused everything.
    refused: Instant,
    /// How many more it may be asked for.
    may: u32,
    /// When it may be asked for a few more, should nothing come.
    again: Instant,
}

impl Wary {
    /// It would refuse everything, and may be asked `again` at this time.
    pub const fn refused(&mut self, now: Instant, again: Instant) {
        self.0 = Some(State {
            refused: now,
            may: 0,
            again,
        });
    }

    /// Something came of it: there is room for more.
    pub fn came(&mut self, now: Instant) {
        if let Some(state) = &mut self.0 {
            let is_lenient = now.since(state.refused) >= LENIENT;
            state.may += 1 + u32::from(is_lenient);
            if now.since(state.refused) >= FORGOTTEN {
                self.0 = None;
            }
        }
    }

    /// How many more it may be asked for.
    pub const fn may(&self) -> u32 {
        match self.0 {
            Some(state) => state.may,
            None => u32::MAX,
        }
    }

    /// It was asked for so many, and may be asked for a few more then.
    pub const fn asked(&mut self, count: u32, again: Instant) {
        if let Some(state) = &mut self.0 {
            state.may = state.may.saturating_sub(count);
            state.again = again;
        }
    }

    /// It is asked as if it had refused nothing. Whether that makes room for more.
    pub const fn forgive(&mut self) -> bool {
        let is_news = self.may() == 0;
        if is_news {
            self.0 = None;
        }
        is_news
    }

    /// Whether time has come to ask for a few more.
    pub fn wakes(&mut self, now: Instant) -> bool {
        let Some(state) = &mut self.0 else {
            return false;
        };
        let wakes = state.may == 0 && state.again <= now;
        if wakes {
            state.may = FEW;
        }
        wakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    #[test]
    fn who_refuses_everything_is_asked_for_one_more_for_each_that_comes() {
        let mut wary = Wary::default();
        assert_eq!(wary.may(), u32::MAX);
        wary.refused(at(1000), at(1500));
        assert_eq!(wary.may(), 0);
        wary.came(at(1200));
        assert_eq!(wary.may(), 1);
        wary.asked(1, at(1700));
        assert_eq!(wary.may(), 0);
        assert!(!wary.wakes(at(1699)) && wary.wakes(at(1700)));
        assert_eq!(wary.may(), FEW);
    }

    #[test]
    fn who_refuses_no_more_is_asked_for_ever_more() {
        let mut wary = Wary::default();
        wary.refused(at(1000), at(1500));
        let mut out = 4;
        for round in 0..20 {
            // All that is out comes, a hundred milliseconds later.
            let now = at(1000 + round * 100);
            (0..out).for_each(|_| wary.came(now));
            let more = wary.may();
            wary.asked(more, now);
            out = more;
        }
        assert!(out > 1000, "{out}");
        wary.came(at(6000));
        assert_eq!(wary.may(), u32::MAX);
    }
}
