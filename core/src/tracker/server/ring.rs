//! Peers on a hash ring, and a choice of a few of them that costs the same for any number.
//!
//! A peer's place is a keyed hash of its id, so nobody can choose it. To choose `k`: a third of
//! them are those whose turn it is (a cursor goes round, so that within one round everybody was
//! chosen), the others follow random points. Nothing here looks at all peers.

use crate::rng::Rng;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Peers looked at from one point before it is given up.
const MAX_STEPS: usize = 4;

/// From a random point up to so many are passed over. Gaps on a ring are uneven: whoever comes
/// after a long one would be chosen seven times as often as the rest of a thousand.
const MAX_PASSED: u32 = 4;

/// Things on a ring, by their place.
#[derive(Debug)]
pub(super) struct Ring<T> {
    // Boxed: most swarms are small, and a node of the tree has room for eleven.
    items: BTreeMap<u64, Box<T>>,
    cursor: u64,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            cursor: 0,
        }
    }
}

impl<T> Ring<T> {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn get(&self, place: u64) -> Option<&T> {
        self.items.get(&place).map(|item| &**item)
    }

    pub(super) fn get_mut(&mut self, place: u64) -> Option<&mut T> {
        self.items.get_mut(&place).map(|item| &mut **item)
    }

    pub(super) fn insert(&mut self, place: u64, item: T) {
        self.items.insert(place, Box::new(item));
    }

    pub(super) fn remove(&mut self, place: u64) -> Option<T> {
        self.items.remove(&place).map(|item| *item)
    }

    /// At most `count` places whose items `is_eligible` says yes to.
    pub(super) fn choose(
        &mut self,
        count: usize,
        rng: &mut Rng,
        mut is_eligible: impl FnMut(u64, &mut T) -> bool,
    ) -> Vec<u64> {
        let mut chosen = Vec::with_capacity(count.min(self.len()));
        // One more point than needed for each, so that a few that are not eligible cost nothing.
        for point in 0..count * 2 {
            if chosen.len() == count {
                break;
            }
            let is_turn = point < count.div_ceil(3);
            let from = if is_turn {
                self.cursor
            } else {
                self.random_point(rng)
            };
            if let Some(place) = self.first_from(from, &chosen, &mut is_eligible) {
                if is_turn {
                    self.cursor = place.wrapping_add(1);
                }
                chosen.push(place);
            }
        }
        chosen
    }

    fn random_point(&self, rng: &mut Rng) -> u64 {
        let (point, passed) = (rng.next_u64(), rng.below(MAX_PASSED) as usize);
        let mut around = self.items.range(point..).chain(self.items.range(..point));
        around.nth(passed).map_or(point, |(place, _)| *place)
    }

    /// The first eligible one from a point on, once around at most.
    fn first_from(
        &mut self,
        from: u64,
        chosen: &[u64],
        is_eligible: &mut impl FnMut(u64, &mut T) -> bool,
    ) -> Option<u64> {
        // What was chosen before does not count as a step: in a small ring it is most of it.
        let most = self.len().min(MAX_STEPS + chosen.len());
        let mut at = from;
        for _ in 0..most {
            let (place, item) = match self.items.range_mut(at..).next() {
                Some(next) => next,
                None => self.items.iter_mut().next()?,
            };
            if !chosen.contains(place) && is_eligible(*place, item) {
                return Some(*place);
            }
            at = place.wrapping_add(1);
        }
        None
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
            let chosen = ring.choose(8, &mut Rng::seeded(1), |_, _| true);
            assert_eq!(chosen.len() as u64, len);
        }
    }

    #[test]
    fn nobody_is_chosen_twice_at_once() {
        let (mut ring, mut rng) = (ring(30), Rng::seeded(2));
        for _ in 0..1000 {
            let mut chosen = ring.choose(10, &mut rng, |_, _| true);
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
            for place in ring.choose(5, &mut rng, |_, _| true) {
                left[*ring.get(place).unwrap() as usize] = false;
            }
        }
        assert!(!left.contains(&true));
    }

    #[test]
    fn a_choice_looks_at_a_few_however_many_there_are() {
        for len in [10, 1000, 100_000] {
            let (mut ring, mut rng, mut looked) = (ring(len), Rng::seeded(4), 0);
            ring.choose(5, &mut rng, |_, _| {
                looked += 1;
                false
            });
            assert!(looked <= 10 * (MAX_STEPS + 5), "{looked} of {len}");
        }
    }
}
