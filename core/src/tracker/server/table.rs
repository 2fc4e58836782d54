//! Things by their place, in the order of their places: a ring and a hash table in one.
//!
//! A place is a hash already, so its high bits say where in the array it is at home, and whoever
//! finds his home taken moves on to the next free slot. Kept sorted, the array is the ring: a look
//! at one place, and at those that follow it, is a look at one or two lines of the cache, however
//! many there are. Who hands in places that are not spread evenly gets a slow list.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Slots at least, once there is anything; always a power of two.
const LEAST_HOMES: usize = 2;

/// Taken at most, of four.
const MOST_OF_FOUR: usize = 3;

/// Below one of so many taken, the array shrinks.
const SPARSE: usize = 8;

/// Things by their place.
#[derive(Debug)]
pub(super) struct Table<T> {
    /// Ascending; between a thing's home and its slot none is free. Behind the homes there is a
    /// tail for those that are pushed over the end.
    // Boxed: most swarms are small, and most slots of a large one are passed over.
    slots: Vec<Option<(u64, Box<T>)>>,
    homes: usize,
    len: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            homes: 0,
            len: 0,
        }
    }
}

impl<T> Table<T> {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, place: u64) -> Option<&T> {
        let at = self.find(place).ok()?;
        self.slots[at].as_ref().map(|(_, item)| &**item)
    }

    pub(super) fn get_mut(&mut self, place: u64) -> Option<&mut T> {
        let at = self.find(place).ok()?;
        self.slots[at].as_mut().map(|(_, item)| &mut **item)
    }

    /// Put it there, instead of what was there.
    pub(super) fn insert(&mut self, place: u64, item: T) {
        let item = Some((place, Box::new(item)));
        if let Ok(at) = self.find(place) {
            self.slots[at] = item;
            return;
        }
        if (self.len + 1) * 4 > self.homes * MOST_OF_FOUR {
            self.resize((self.homes * 2).max(LEAST_HOMES));
        }
        let (Ok(at) | Err(at)) = self.find(place);
        let rest = self.slots.iter().skip(at);
        let free = at + rest.take_while(|slot| slot.is_some()).count();
        if free == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[free] = item;
        self.slots[at..=free].rotate_right(1);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, place: u64) -> Option<T> {
        let at = self.find(place).ok()?;
        let (_, item) = self.slots[at].take()?;
        self.len -= 1;
        // Those behind it that are not at home move up.
        let is_away = |(at, slot): &(usize, &Option<(u64, _)>)| {
            let place = slot.as_ref().map(|(place, _)| *place);
            place.is_some_and(|place| self.home(place) < *at)
        };
        let behind = self.slots.iter().enumerate().skip(at + 1);
        let moved = behind.take_while(is_away).count();
        self.slots[at..=at + moved].rotate_left(1);
        while self.slots.len() > self.homes && self.slots.last().is_some_and(Option::is_none) {
            self.slots.pop();
        }
        if self.len * SPARSE < self.homes {
            self.resize(match self.len {
                0 => 0,
                _ => self.homes / 2,
            });
        }
        Some(*item)
    }

    /// Those at `place` and behind it, up to the end.
    pub(super) fn following_mut(&mut self, place: u64) -> impl Iterator<Item = (u64, &mut T)> {
        let (Ok(at) | Err(at)) = self.find(place);
        let slots = self.slots.iter_mut().skip(at).flatten();
        slots.map(|(place, item)| (*place, &mut **item))
    }

    /// Where it is, or where it would go.
    fn find(&self, place: u64) -> Result<usize, usize> {
        let home = self.home(place);
        for (at, slot) in self.slots.iter().enumerate().skip(home) {
            match slot {
                Some((present, _)) if *present == place => return Ok(at),
                Some((present, _)) if *present < place => {}
                _ => return Err(at),
            }
        }
        Err(self.slots.len())
    }

    const fn home(&self, place: u64) -> usize {
        if self.homes < 2 {
            return 0;
        }
        (place >> (u64::BITS - self.homes.trailing_zeros())) as usize
    }

    fn resize(&mut self, homes: usize) {
        let before = core::mem::take(&mut self.slots);
        self.homes = homes;
        self.slots.resize_with(homes, || None);
        let mut free = 0;
        for (place, item) in before.into_iter().flatten() {
            let at = self.home(place).max(free);
            if at == self.slots.len() {
                self.slots.push(None);
            }
            self.slots[at] = Some((place, item));
            free = at + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use alloc::collections::BTreeMap;

    #[test]
    fn it_is_a_sorted_map_whatever_comes_and_goes() {
        for seed in 0..50 {
            let mut rng = Rng::seeded(seed);
            let (mut table, mut oracle) = (Table::default(), BTreeMap::new());
            let most = 1 + rng.below(300);
            for turn in 0..4000 {
                // A few places only, so that they meet; at both ends, so that the end is crossed.
                let spread = u64::from(rng.below(most));
                let place = match rng.below(4) {
                    0 => u64::MAX - spread,
                    1 => spread,
                    _ => spread.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                };
                match rng.below(5 + turn / 1000) {
                    0..=2 => {
                        table.insert(place, turn);
                        oracle.insert(place, turn);
                    }
                    _ => assert_eq!(table.remove(place), oracle.remove(&place)),
                }
                assert_eq!(table.len(), oracle.len());
                assert_eq!(table.get(place), oracle.get(&place));
                assert_eq!(table.get_mut(!place), oracle.get_mut(&!place));
                if turn % 50 == 0 {
                    let from = table
                        .following_mut(place)
                        .map(|(place, item)| (place, *item));
                    assert!(from.eq(oracle.range(place..).map(|(place, item)| (*place, *item))));
                }
            }
            for place in oracle.into_keys() {
                assert!(table.remove(place).is_some());
            }
            assert!(table.slots.is_empty(), "and gives back what it took");
        }
    }

    #[test]
    fn evenly_spread_things_are_near_their_homes() {
        let (mut table, mut rng) = (Table::default(), Rng::seeded(1));
        (0..100_000).for_each(|n| table.insert(rng.next_u64(), n));
        let slots = table.slots.iter().enumerate();
        let away = slots.filter_map(|(at, slot)| Some(at - table.home(slot.as_ref()?.0)));
        assert!(away.max() < Some(100));
        assert!(table.slots.len() < 2 * 131_072 + 100);
    }
}
