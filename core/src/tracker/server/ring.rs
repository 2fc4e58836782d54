//! Peers on a hash ring, and a choice of a few of them that costs the same for any number.
//!
//! A peer's place is a keyed hash of its id, so nobody can choose it. To choose `k`: a third of
//! them are those whose turn it is (a cursor goes round, so that within one round everybody was
//! chosen), the others follow random points, of a few neighbours the one with the lower burden.
//! Nothing here looks at all peers.

use super::table::Table;
use crate::rng::Rng;
use alloc::vec::Vec;

/// Peers looked at from one point before it is given up.
const MAX_STEPS: usize = 4;

/// From a random point up to so many are passed over. Gaps on a ring are uneven: whoever comes
/// after a long one would be chosen seven times as often as the rest of a thousand.
const MAX_PASSED: u32 = 4;

/// Eligible peers compared at a random point, where nothing speaks for more.
pub(super) const COMPARED: usize = 2;

/// Things on a ring, by their place.
#[derive(Debug)]
pub(super) struct Ring<T> {
    items: Table<T>,
    cursor: u64,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self {
            items: Table::default(),
            cursor: 0,
        }
    }
}

impl<T> Ring<T> {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn get(&self, place: u64) -> Option<&T> {
        self.items.get(place)
    }

    pub(super) fn get_mut(&mut self, place: u64) -> Option<&mut T> {
        self.items.get_mut(place)
    }

    pub(super) fn insert(&mut self, place: u64, item: T) {
        self.items.insert(place, item);
    }

    pub(super) fn remove(&mut self, place: u64) -> Option<T> {
        self.items.remove(place)
    }

    /// At most `count` places of items that `burden` finds eligible, those of less burden sooner:
    /// as many are compared at each random point.
    pub(super) fn choose(
        &mut self,
        count: usize,
        compared: usize,
        rng: &mut Rng,
        mut burden: impl FnMut(u64, &mut T) -> Option<u32>,
    ) -> Vec<u64> {
        let count = count.min(self.len());
        let mut chosen = Vec::with_capacity(count);
        // One more point than needed for each, so that a few that are not eligible cost nothing.
        for point in 0..count * 2 {
            if chosen.len() == count {
                break;
            }
            let is_turn = point < count.div_ceil(3);
            let found = if is_turn {
                self.best_from(self.cursor, 0, 1, &chosen, &mut burden)
            } else {
                let (from, passed) = (rng.next_u64(), rng.below(MAX_PASSED) as usize);
                self.best_from(from, passed, compared, &chosen, &mut burden)
            };
            if let Some(place) = found {
                if is_turn {
                    self.cursor = place.wrapping_add(1);
                }
                chosen.push(place);
            }
        }
        chosen
    }

    /// Of the first `compared` eligible ones from a point on the least burdened; once around at
    /// most.
    fn best_from(
        &mut self,
        from: u64,
        passed: usize,
        compared: usize,
        chosen: &[u64],
        burden: &mut impl FnMut(u64, &mut T) -> Option<u32>,
    ) -> Option<u64> {
        let len = self.len();
        // What is passed over, or was chosen before, is no step: in a small ring it is most of it.
        let (mut passed, mut steps) = (passed % len.max(1), MAX_STEPS + chosen.len());
        let (mut seen, mut left) = (0, len);
        let mut best: Option<(u32, u64)> = None;
        let mut at = from;
        while left > 0 && steps > 0 && seen < compared {
            for (place, item) in self.items.following_mut(at) {
                if passed > 0 {
                    passed -= 1;
                    continue;
                }
                (left, steps) = (left - 1, steps - 1);
                let found = match chosen.contains(&place) {
                    true => None,
                    false => burden(place, item),
                };
                if let Some(burden) = found {
                    seen += 1;
                    if best.is_none_or(|(least, _)| burden < least) {
                        best = Some((burden, place));
                    }
                }
                if left == 0 || steps == 0 || seen == compared {
                    break;
                }
            }
            at = 0;
        }
        best.map(|(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(len: u64) -> Ring<u64> {
        let (mut ring, mut rng) = (Ring::default(), Rng::seeded(len));
        for item in 0..len {
            ring.insert(rng.next_u64(), item);
        }
        ring
    }

    #[test]
    fn a_small_ring_gives_all_it_has() {
        for len in 0..8 {
            let mut ring = ring(len);
            let chosen = ring.choose(8, 2, &mut Rng::seeded(1), |_, _| Some(0));
            assert_eq!(chosen.len() as u64, len);
        }
    }

    #[test]
    fn nobody_is_chosen_twice_at_once() {
        let (mut ring, mut rng) = (ring(30), Rng::seeded(2));
        for _ in 0..1000 {
            let mut chosen = ring.choose(10, 2, &mut rng, |_, _| Some(0));
            chosen.sort_unstable();
            chosen.dedup();
            assert_eq!(chosen.len(), 10);
        }
    }

    #[test]
    fn everybody_is_chosen_within_one_round() {
        let (mut ring, mut rng) = (ring(1000), Rng::seeded(3));
        let mut left: Vec<_> = (0..1000).map(|_| true).collect();
        for _ in 0..1000 {
            for place in ring.choose(5, 2, &mut rng, |_, _| Some(0)) {
                left[*ring.get(place).unwrap() as usize] = false;
            }
        }
        assert!(!left.contains(&true));
    }

    #[test]
    fn a_choice_looks_at_a_few_however_many_there_are() {
        for len in [10, 1000, 100_000] {
            let (mut ring, mut rng, mut looked) = (ring(len), Rng::seeded(4), 0);
            ring.choose(5, 2, &mut rng, |_, _| {
                looked += 1;
                None
            });
            assert!(looked <= 10 * (MAX_STEPS + 5), "{looked} of {len}");
        }
    }
}
