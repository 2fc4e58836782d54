//! Numbers by bytes: names and hashes of as many files as a torrent may have.
//!
//! One tree for all of them: each of a type of its own would cost a page 4 KB to download before its first frame.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What byte strings stand for.
#[derive(Clone, Default, Debug)]
pub(super) struct Index(BTreeMap<Vec<u8>, u32>);

impl Index {
    /// What `key` stands for.
    pub(super) fn get(&self, key: &[u8]) -> Option<u32> {
        self.0.get(key).copied()
    }

    /// What `key` stands for; `number` from now on, if it stood for nothing.
    pub(super) fn get_or_insert(&mut self, key: &[u8], number: u32) -> u32 {
        if let Some(known) = self.get(key) {
            return known;
        }
        self.0.insert(key.to_vec(), number);
        number
    }
}
