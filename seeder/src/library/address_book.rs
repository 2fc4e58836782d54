//! Whom to call for what is seeded, should no tracker say who is there: one file for all torrents.
//!
//! It calls nobody; the engine does, and says who was there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use headwater_core::ids::SwarmHash;

use crate::private;
use crate::tcp::MAX_NEIGHBOURS;

/// What the file is called.
const NAME: &str = "neighbours.json";

/// Longest file we read: 10,000 torrents with all the neighbours they may have.
const MAX_LENGTH: u64 = 16 << 20;

/// Addresses by swarm.
#[derive(Clone, Debug)]
pub struct AddressBook {
    path: PathBuf,
    by_swarm: BTreeMap<String, Vec<SocketAddr>>,
}

impl AddressBook {
    /// As it is in this folder; empty if it is not there or nobody can read it.
    pub fn open(folder: &Path) -> Self {
        let path = folder.join(NAME);
        let file = File::open(&path).ok();
        let by_swarm = file.and_then(|file| read(BufReader::new(file)));
        let by_swarm = by_swarm.unwrap_or_default();
        Self { path, by_swarm }
    }

    /// Who may be called for a swarm.
    pub fn of(&self, swarm: SwarmHash) -> &[SocketAddr] {
        let known = self.by_swarm.get(&swarm.to_hex());
        known.map_or(&[], |known| &known[..known.len().min(MAX_NEIGHBOURS)])
    }

    /// These are there now, swarm by swarm; whether that is news. Where it is nobody, those of the
    /// last time are still the best guess; swarms that are not named are forgotten.
    pub fn note(&mut self, now: impl IntoIterator<Item = (SwarmHash, Vec<SocketAddr>)>) -> bool {
        let mut by_swarm = BTreeMap::new();
        for (swarm, there) in now {
            let known = match there.is_empty() {
                true => self.of(swarm).to_vec(),
                false => there,
            };
            if !known.is_empty() {
                by_swarm.insert(swarm.to_hex(), known);
            }
        }
        let is_news = by_swarm != self.by_swarm;
        self.by_swarm = by_swarm;
        is_news
    }

    /// What writes it as it is now, wherever waiting for a disk is no matter.
    pub fn writer(&self) -> impl FnOnce() -> io::Result<()> + Send + 'static {
        let (path, bytes) = (self.path.clone(), serde_json::to_vec(&self.by_swarm));
        move || private::replace(&path, &bytes?)
    }
}

fn read(file: impl Read) -> Option<BTreeMap<String, Vec<SocketAddr>>> {
    serde_json::from_reader(file.take(MAX_LENGTH)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: SwarmHash = SwarmHash([1; 20]);
    const OTHER: SwarmHash = SwarmHash([2; 20]);

    fn address(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn who_was_there_is_known_until_others_are_and_as_long_as_the_torrent_is_seeded() {
        let mut book = AddressBook::open(Path::new("/nowhere"));
        assert!(book.note([(ONE, vec![address(1)]), (OTHER, vec![address(2)])]));
        let news = book.note([(ONE, Vec::new()), (OTHER, Vec::new())]);
        assert!(!news && book.of(ONE) == [address(1)], "the best guess");
        assert!(book.note([(ONE, vec![address(3)])]));
        assert_eq!((book.of(ONE), book.of(OTHER)), (&[address(3)][..], &[][..]));
    }

    #[test]
    fn what_cannot_be_read_is_an_empty_book() {
        for text in ["", "{\"01", "[]", "{\"01\":[\"nowhere\"]}"] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }
}
