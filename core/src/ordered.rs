//! A map and a set in the order of their keys, in vectors; the map's keys lie apart from its values, for
//! a search looks at several keys and one value, and values may be large.
//!
//! Not for what grows without bounds: an insertion moves all that comes after it. For the tens to few
//! thousands that a swarm keeps, that is as fast as a tree, and a twelfth of its code: each tree of a
//! type of its own costs a page 4 KB to download before it shows its first frame.

use alloc::vec::{self, Vec};
use core::borrow::Borrow;
use core::ops::{Bound, RangeBounds};
use core::{iter, mem, slice};

/// Values by their keys, in the order of the keys. What it is asked is what `BTreeMap` is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Map<K, V> {
    keys: Vec<K>,
    values: Vec<V>,
}

impl<K, V> Map<K, V> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            keys: Vec::new(),
            values: Vec::new(),
        }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
    }

    /// The first.
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.keys.first().zip(self.values.first())
    }

    /// Takes the first out.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        (!self.is_empty()).then(|| (self.keys.remove(0), self.values.remove(0)))
    }

    /// All, in order.
    pub fn iter(&self) -> iter::Zip<slice::Iter<'_, K>, slice::Iter<'_, V>> {
        self.keys.iter().zip(&self.values)
    }

    /// All, in order, to be changed.
    pub fn iter_mut(&mut self) -> iter::Zip<slice::Iter<'_, K>, slice::IterMut<'_, V>> {
        self.keys.iter().zip(&mut self.values)
    }

    /// All keys, in order.
    pub fn keys(&self) -> slice::Iter<'_, K> {
        self.keys.iter()
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> slice::Iter<'_, V> {
        self.values.iter()
    }

    /// All values, in the order of their keys, to be changed.
    pub fn values_mut(&mut self) -> slice::IterMut<'_, V> {
        self.values.iter_mut()
    }

    /// All values, in the order of their keys, to keep.
    pub fn into_values(self) -> vec::IntoIter<V> {
        self.values.into_iter()
    }

    /// Keeps those of which `is_kept` is true.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&K, &mut V) -> bool) {
        let (mut at, mut kept) = (0, 0);
        self.values.retain_mut(|value| {
            let is_kept = is_kept(&self.keys[at], value);
            if is_kept {
                self.keys.swap(kept, at);
                kept += 1;
            }
            at += 1;
            is_kept
        });
        self.keys.truncate(kept);
    }
}

impl<K: Ord, V> Map<K, V> {
    /// Where `key` is, or would be.
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        // What comes in order, as most does, is found at once.
        match self.keys.last() {
            Some(last) if last.borrow() < key => Err(self.keys.len()),
            _ => self.keys.binary_search_by(|known| known.borrow().cmp(key)),
        }
    }

    /// What `key` stands for.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| &self.values[at])
    }

    /// What `key` stands for, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find(key).ok().map(|at| &mut self.values[at])
    }

    /// Whether `key` stands for something.
    pub fn contains_key(&self, key: &K) -> bool {
        self.find(key).is_ok()
    }

    /// Has `key` stand for `value`; what it stood for before is returned.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => Some(mem::replace(&mut self.values[at], value)),
            Err(at) => {
                self.keys.insert(at, key);
                self.values.insert(at, value);
                None
            }
        }
    }

    /// Takes out what `key` stands for.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.find(key).ok()?;
        self.keys.remove(at);
        Some(self.values.remove(at))
    }

    /// The place of `key`, taken or not.
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        Entry {
            place: self.find(&key),
            key,
            map: self,
        }
    }

    /// Those whose keys lie in `range`, in order.
    pub fn range(
        &self,
        range: impl RangeBounds<K>,
    ) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator + Clone {
        let (start, end) = self.span(&range);
        self.keys[start..end].iter().zip(&self.values[start..end])
    }

    /// Takes out those from `key` on.
    pub fn split_off(&mut self, key: &K) -> Self {
        let at = self.find(key).unwrap_or_else(|at| at);
        Self {
            keys: self.keys.split_off(at),
            values: self.values.split_off(at),
        }
    }

    fn span(&self, range: &impl RangeBounds<K>) -> (usize, usize) {
        let after = |key| self.find(key).map_or_else(|at| at, |at| at + 1);
        let before = |key| self.find(key).unwrap_or_else(|at| at);
        let start = match range.start_bound() {
            Bound::Included(key) => before(key),
            Bound::Excluded(key) => after(key),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(key) => after(key),
            Bound::Excluded(key) => before(key),
            Bound::Unbounded => self.len(),
        };
        (start, end.max(start))
    }
}

/// The place of a key in a [`Map`].
#[derive(Debug)]
pub struct Entry<'a, K, V> {
    map: &'a mut Map<K, V>,
    place: Result<usize, usize>,
    key: K,
}

impl<'a, K, V> Entry<'a, K, V> {
    /// What is there, or what `make` makes.
    pub fn or_insert_with(self, make: impl FnOnce() -> V) -> &'a mut V {
        let at = match self.place {
            Ok(at) => at,
            Err(at) => {
                self.map.values.insert(at, make());
                self.map.keys.insert(at, self.key);
                at
            }
        };
        &mut self.map.values[at]
    }

    /// What is there, or `value`.
    pub fn or_insert(self, value: V) -> &'a mut V {
        self.or_insert_with(|| value)
    }

    /// What is there, or the default.
    pub fn or_default(self) -> &'a mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for Map<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K: Ord, V> Extend<(K, V)> for Map<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = iter::Zip<vec::IntoIter<K>, vec::IntoIter<V>>;

    fn into_iter(self) -> Self::IntoIter {
        self.keys.into_iter().zip(self.values)
    }
}

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = iter::Zip<slice::Iter<'a, K>, slice::Iter<'a, V>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, K, V> IntoIterator for &'a mut Map<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = iter::Zip<slice::Iter<'a, K>, slice::IterMut<'a, V>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

/// Keys in their order. What it is asked is what `BTreeSet` is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Set<K> {
    keys: Vec<K>,
}

impl<K> Set<K> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { keys: Vec::new() }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.keys.clear();
    }

    /// The first.
    pub fn first(&self) -> Option<&K> {
        self.keys.first()
    }

    /// Takes the first out.
    pub fn pop_first(&mut self) -> Option<K> {
        (!self.keys.is_empty()).then(|| self.keys.remove(0))
    }

    /// All, in order.
    pub fn iter(&self) -> slice::Iter<'_, K> {
        self.keys.iter()
    }

    /// Keeps those of which `is_kept` is true.
    pub fn retain(&mut self, is_kept: impl FnMut(&K) -> bool) {
        self.keys.retain(is_kept);
    }

    /// Takes out the first that is not before `key`, or if there is none the first of all.
    pub fn pop_from(&mut self, key: &K) -> Option<K>
    where
        K: Ord,
    {
        let at = self.find(key).unwrap_or_else(|at| at);
        let at = if at < self.keys.len() { at } else { 0 };
        (!self.keys.is_empty()).then(|| self.keys.remove(at))
    }
}

impl<K: Ord> Set<K> {
    fn find(&self, key: &K) -> Result<usize, usize> {
        match self.keys.last() {
            Some(last) if last < key => Err(self.keys.len()),
            _ => self.keys.binary_search(key),
        }
    }

    /// Whether `key` is in it.
    pub fn contains(&self, key: &K) -> bool {
        self.find(key).is_ok()
    }

    /// Puts `key` in; false if it was.
    pub fn insert(&mut self, key: K) -> bool {
        let place = self.find(&key);
        if let Err(at) = place {
            self.keys.insert(at, key);
        }
        place.is_err()
    }

    /// Takes `key` out; false if it was not in.
    pub fn remove(&mut self, key: &K) -> bool {
        let place = self.find(key);
        if let Ok(at) = place {
            self.keys.remove(at);
        }
        place.is_ok()
    }
}

impl<K> Default for Set<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord> Extend<K> for Set<K> {
    fn extend<I: IntoIterator<Item = K>>(&mut self, keys: I) {
        for key in keys {
            self.insert(key);
        }
    }
}

impl<'a, K: Ord + Copy + 'a> Extend<&'a K> for Set<K> {
    fn extend<I: IntoIterator<Item = &'a K>>(&mut self, keys: I) {
        self.extend(keys.into_iter().copied());
    }
}

impl<K: Ord> FromIterator<K> for Set<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut set = Self::new();
        set.extend(keys);
        set
    }
}

impl<K> IntoIterator for Set<K> {
    type Item = K;
    type IntoIter = alloc::vec::IntoIter<K>;

    fn into_iter(self) -> Self::IntoIter {
        self.keys.into_iter()
    }
}

impl<'a, K> IntoIterator for &'a Set<K> {
    type Item = &'a K;
    type IntoIter = slice::Iter<'a, K>;

    fn into_iter(self) -> Self::IntoIter {
        self.keys.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use alloc::collections::{BTreeMap, BTreeSet};

    #[test]
    fn a_map_does_what_a_tree_does() {
        let mut rng = Rng::seeded(1);
        for _ in 0..200 {
            let (mut map, mut tree) = (Map::new(), BTreeMap::new());
            for _ in 0..200 {
                let (key, value) = (rng.next_u64() % 40, rng.next_u64());
                match rng.next_u64() % 8 {
                    0..=2 => assert_eq!(map.insert(key, value), tree.insert(key, value)),
                    3 | 4 => assert_eq!(map.remove(&key), tree.remove(&key)),
                    5 => {
                        let ours = map.entry(key).or_insert(value);
                        assert_eq!(ours, tree.entry(key).or_insert(value));
                    }
                    6 => assert_eq!(map.pop_first(), tree.pop_first()),
                    _ if value % 2 == 0 => {
                        let is_kept = |of: u64| of % 5 != value % 5;
                        map.retain(|key, _| is_kept(*key));
                        tree.retain(|key, _| is_kept(*key));
                    }
                    _ => {
                        let (ours, theirs) = (map.split_off(&key), tree.split_off(&key));
                        assert!(ours.into_iter().eq(theirs));
                    }
                }
                assert!(map.iter().eq(tree.iter()));
                assert!(map.range(key..).eq(tree.range(key..)));
                assert!(map.range(..=key).rev().eq(tree.range(..=key).rev()));
                assert_eq!(map.get(&key), tree.get(&key));
            }
        }
    }

    #[test]
    fn a_set_does_what_a_tree_does() {
        let mut rng = Rng::seeded(2);
        let (mut set, mut tree) = (Set::new(), BTreeSet::new());
        for _ in 0..10_000 {
            let key = rng.next_u64() % 50;
            match rng.next_u64() % 5 {
                0..=1 => assert_eq!(set.insert(key), tree.insert(key)),
                2..=3 => assert_eq!(set.remove(&key), tree.remove(&key)),
                _ => assert_eq!(set.pop_first(), tree.pop_first()),
            }
            assert_eq!(set.contains(&key), tree.contains(&key));
            assert!(set.iter().eq(tree.iter()));
        }
    }

    #[test]
    fn a_range_turned_around_is_empty() {
        let map: Map<u32, ()> = (0..10).map(|key| (key, ())).collect();
        assert_eq!(map.range((Bound::Excluded(5), Bound::Excluded(5))).len(), 0);
        assert_eq!(map.range(3..6).len(), 3);
    }
}
