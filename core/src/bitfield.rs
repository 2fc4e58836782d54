//! One bit a piece, most significant first, as BEP 3 sends them.

use alloc::vec;
use alloc::vec::Vec;

/// Which pieces somebody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitfield {
    bytes: Vec<u8>,
    len: u32,
    ones: u32,
}

impl Bitfield {
    /// `len` pieces, none of them there.
    pub fn none(len: u32) -> Self {
        Self {
            bytes: vec![0; bytes_for(len)],
            len,
            ones: 0,
        }
    }

    /// `len` pieces, all of them there.
    pub fn all(len: u32) -> Self {
        let mut bytes = vec![0xff; bytes_for(len)];
        if let Some(last) = bytes.last_mut() {
            *last &= !spare_mask(len);
        }
        Self {
            bytes,
            len,
            ones: len,
        }
    }

    /// The body of a `bitfield` message about `len` pieces; `None` if its length is wrong or a
    /// spare bit is set (BEP 3: "spare bits at the end are set to zero").
    pub fn from_bytes(bytes: &[u8], len: u32) -> Option<Self> {
        let spare = bytes.last().copied().unwrap_or(0) & spare_mask(len);
        if bytes.len() != bytes_for(len) || spare != 0 {
            return None;
        }
        let ones = bytes.iter().map(|byte| byte.count_ones()).sum();
        Some(Self {
            bytes: bytes.to_vec(),
            len,
            ones,
        })
    }

    /// How many pieces it speaks of.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether it speaks of no piece at all.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many pieces are there.
    pub const fn count(&self) -> u32 {
        self.ones
    }

    /// Whether every piece is there.
    pub const fn is_full(&self) -> bool {
        self.ones == self.len
    }

    /// Whether piece `index` is there; false beyond the end.
    pub fn has(&self, index: u32) -> bool {
        index < self.len && self.bytes[index as usize / 8] & bit(index) != 0
    }

    /// Marks piece `index` as there. Says whether that is news.
    pub fn set(&mut self, index: u32) -> bool {
        if index >= self.len || self.has(index) {
            return false;
        }
        self.bytes[index as usize / 8] |= bit(index);
        self.ones += 1;
        true
    }

    /// Marks piece `index` as gone. Says whether that is news.
    pub fn clear(&mut self, index: u32) -> bool {
        if !self.has(index) {
            return false;
        }
        self.bytes[index as usize / 8] &= !bit(index);
        self.ones -= 1;
        true
    }

    /// The pieces that are there, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte != 0)
            .flat_map(|(at, byte)| {
                (0..8u32)
                    .filter(move |bit| byte & (0x80 >> bit) != 0)
                    .map(move |bit| at as u32 * 8 + bit)
            })
    }

    /// The first that is there, and there in `mask` if one is given, from `start` on and around.
    pub fn first_from(&self, start: u32, mask: Option<&Self>) -> Option<u32> {
        let there = |at: usize| {
            let masked = mask.map_or(0xff, |mask| mask.bytes.get(at).copied().unwrap_or(0));
            self.bytes[at] & masked
        };
        let start = start.min(self.len);
        let (middle, after) = (start as usize / 8, 0xff >> (start % 8));
        // Of the byte that `start` falls in only a part lies on either side.
        let first = |mut bytes: core::ops::Range<usize>, part: u8| {
            bytes.find_map(|at| {
                let there = there(at) & if at == middle { part } else { 0xff };
                (there != 0).then(|| at as u32 * 8 + there.leading_zeros())
            })
        };
        let end = self.bytes.len();
        first(middle..end, after).or_else(|| first(0..end.min(middle + 1), !after))
    }

    /// Sets all that are set in `other`, which is as long.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, |mine, theirs| mine | theirs);
    }

    /// Clears all that are set in `other`, which is as long.
    pub fn remove(&mut self, other: &Self) {
        self.combine(other, |mine, theirs| mine & !theirs);
    }

    fn combine(&mut self, other: &Self, by: fn(u8, u8) -> u8) {
        debug_assert_eq!(self.len, other.len, "they speak of the same pieces");
        for (mine, theirs) in self.bytes.iter_mut().zip(&other.bytes) {
            *mine = by(*mine, *theirs);
        }
        self.ones = self.bytes.iter().map(|byte| byte.count_ones()).sum();
    }

    /// The body of a `bitfield` message.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

const fn bytes_for(len: u32) -> usize {
    len.div_ceil(8) as usize
}

const fn bit(index: u32) -> u8 {
    0x80 >> (index % 8)
}

/// The bits of the last byte that stand for no piece.
const fn spare_mask(len: u32) -> u8 {
    match len % 8 {
        0 => 0,
        used => 0xff >> used,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spare_bits_and_wrong_lengths_are_refused() {
        assert!(Bitfield::from_bytes(&[0xff, 0x80], 9).is_some());
        assert!(Bitfield::from_bytes(&[0xff, 0xc0], 9).is_none());
        assert!(Bitfield::from_bytes(&[0xff], 9).is_none());
        assert!(Bitfield::from_bytes(&[0xff, 0x80, 0], 9).is_none());
        assert!(Bitfield::from_bytes(&[], 0).is_some());
    }

    #[test]
    fn the_first_is_found_from_anywhere_and_around() {
        let mut have = Bitfield::none(20);
        for index in [3, 9, 17] {
            have.set(index);
        }
        let found = |start| have.first_from(start, None);
        assert_eq!(
            (found(0), found(4), found(17)),
            (Some(3), Some(9), Some(17))
        );
        assert_eq!((found(18), found(99)), (Some(3), Some(3)));
        let mut mask = Bitfield::none(20);
        assert_eq!(have.first_from(0, Some(&mask)), None);
        mask.set(9);
        mask.set(10);
        assert_eq!(have.first_from(10, Some(&mask)), Some(9));
    }

    #[test]
    fn the_first_is_the_one_that_looking_at_each_finds() {
        let mut rng = crate::rng::Rng::seeded(3);
        for _ in 0..2000 {
            let len = rng.below(40);
            let mut some = || {
                let mut bits = Bitfield::none(len);
                for _ in 0..len.div_ceil(4) {
                    bits.set(rng.below(len));
                }
                bits
            };
            let (have, mask) = (some(), some());
            for start in 0..=len + 1 {
                let around = || (start.min(len)..len).chain(0..start.min(len));
                let slow = around().find(|at| have.has(*at));
                assert_eq!(have.first_from(start, None), slow);
                let slow = around().find(|at| have.has(*at) && mask.has(*at));
                assert_eq!(have.first_from(start, Some(&mask)), slow);
            }
        }
    }

    #[test]
    fn counting_follows_every_change() {
        let mut have = Bitfield::none(11);
        assert!(have.set(10) && !have.set(10) && !have.set(11));
        assert!(have.set(0) && have.clear(10) && !have.clear(10));
        assert_eq!(have.iter().collect::<Vec<_>>(), [0]);
        for index in 0..11 {
            have.set(index);
        }
        assert!(have.is_full());
        assert_eq!(have, Bitfield::all(11));
        assert_eq!(have.iter().count(), 11);
    }
}
