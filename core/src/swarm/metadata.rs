//! From a magnet link to a torrent: the info dictionary, fetched from peers (BEP 9).
//!
//! Each of at most two peers at a time delivers a whole copy of its own, so that a liar spoils
//! nothing but its own copy and is known at once.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::torrent::Torrent;
use super::{Event, Swarm};
use crate::bitfield::Bitfield;
use crate::ids::PeerKey;
use crate::metainfo::{Limits, Metainfo};
use crate::ordered::{Map, Set};
use crate::peer::{Fault, Has};
use crate::time::{Duration, Instant};
use crate::wire::Message;
use crate::wire::extended::{METADATA_BLOCK, MetadataMessage};

/// Copies fetched side by side.
const MAX_COPIES: usize = 2;
/// Requests out to one peer.
const MAX_OUT: usize = 8;
/// How long a copy may stand still.
const PATIENCE: Duration = Duration::from_secs(5);

/// Copies of the metadata on their way.
#[derive(Debug)]
pub(super) struct MetadataFetch {
    max_size: usize,
    trackers: Vec<String>,
    copies: Map<PeerKey, Copy>,
    /// Peers that refused, or went silent: asked again when there is nobody else.
    failed: Set<PeerKey>,
}

#[derive(Debug)]
struct Copy {
    bytes: Vec<u8>,
    there: Bitfield,
    asked: Bitfield,
    since: Instant,
}

impl Copy {
    fn new(now: Instant, size: usize) -> Self {
        let blocks = size.div_ceil(METADATA_BLOCK) as u32;
        Self {
            bytes: vec![0; size],
            there: Bitfield::none(blocks),
            asked: Bitfield::none(blocks),
            since: now,
        }
    }
}

impl MetadataFetch {
    pub fn new(max_size: usize, trackers: Vec<String>) -> Self {
        Self {
            max_size,
            trackers,
            copies: Map::new(),
            failed: Set::new(),
        }
    }

    pub fn drop_peer(&mut self, peer: PeerKey) {
        self.copies.remove(&peer);
        self.failed.remove(&peer);
    }

    /// Gives up on copies that stand still.
    fn give_up_late(&mut self, now: Instant) {
        let failed = &mut self.failed;
        self.copies.retain(|peer, copy| {
            let is_late = now.since(copy.since) > PATIENCE;
            if is_late {
                failed.insert(*peer);
            }
            !is_late
        });
    }
}

impl Swarm {
    /// Asks peers for metadata, while we have none.
    pub(super) fn ask_for_metadata(&mut self) {
        let Some(fetch) = &mut self.metadata else {
            return;
        };
        fetch.give_up_late(self.now);
        let mut able: Vec<_> = self
            .peers
            .values()
            .filter_map(|peer| {
                let size = usize::try_from(peer.extensions.metadata_size?).ok()?;
                peer.ut_metadata()?;
                (size > 0 && size <= fetch.max_size).then_some((peer.key, size))
            })
            .collect();
        able.sort_unstable_by_key(|(key, _)| (fetch.failed.contains(key), *key));
        for (key, size) in able {
            if fetch.copies.len() < MAX_COPIES {
                fetch
                    .copies
                    .entry(key)
                    .or_insert_with(|| Copy::new(self.now, size));
            }
        }
        for (key, copy) in &mut fetch.copies {
            let Some(peer) = self.peers.get_mut(key) else {
                continue;
            };
            let Some(id) = peer.ut_metadata() else {
                continue;
            };
            let out = (copy.asked.count() - copy.there.count()) as usize;
            let free: Vec<u32> = (0..copy.asked.len())
                .filter(|block| !copy.asked.has(*block))
                .collect();
            for block in free.into_iter().take(MAX_OUT.saturating_sub(out)) {
                copy.asked.set(block);
                peer.say(&Message::Extended {
                    id,
                    payload: &MetadataMessage::Request { block }.to_payload(),
                });
                self.dirty.insert(*key);
            }
        }
    }

    pub(super) fn metadata_message(
        &mut self,
        key: PeerKey,
        message: &MetadataMessage<'_>,
    ) -> Result<(), Fault> {
        match *message {
            MetadataMessage::Data {
                block,
                total_size,
                data,
            } => self.metadata_came(key, block, total_size, data),
            MetadataMessage::Reject { .. } => {
                if let Some(fetch) = &mut self.metadata
                    && fetch.copies.remove(&key).is_some()
                {
                    fetch.failed.insert(key);
                    self.ask_for_metadata();
                }
                Ok(())
            }
            MetadataMessage::Request { block } => {
                self.metadata_asked(key, block);
                Ok(())
            }
            MetadataMessage::Unknown => Ok(()),
        }
    }

    fn metadata_came(
        &mut self,
        key: PeerKey,
        block: u32,
        total: u64,
        data: &[u8],
    ) -> Result<(), Fault> {
        // A copy that was given up, or is not needed any more.
        let Some(copy) = self
            .metadata
            .as_mut()
            .and_then(|fetch| fetch.copies.get_mut(&key))
        else {
            return Ok(());
        };
        let begin = (block as usize).saturating_mul(METADATA_BLOCK);
        let expected = copy.bytes.len().saturating_sub(begin).min(METADATA_BLOCK);
        if total != copy.bytes.len() as u64 || data.len() != expected || !copy.asked.has(block) {
            return Err(Fault::BadMetadata);
        }
        copy.bytes[begin..begin + expected].copy_from_slice(data);
        copy.there.set(block);
        copy.since = self.now;
        if !copy.there.is_full() {
            self.ask_for_metadata();
            return Ok(());
        }
        let Some(fetch) = &mut self.metadata else {
            return Ok(());
        };
        let Some(copy) = fetch.copies.remove(&key) else {
            return Ok(());
        };
        let limits = Limits {
            torrent_bytes: fetch.max_size,
            ..Limits::default()
        };
        match Metainfo::from_info(&copy.bytes, &self.hashes, fetch.trackers.clone(), &limits) {
            Ok(metainfo) => {
                self.learn(metainfo);
                Ok(())
            }
            Err(_) => Err(Fault::BadMetadata),
        }
    }

    /// The torrent is known: what peers said before is read now.
    fn learn(&mut self, metainfo: Metainfo) {
        self.metadata = None;
        self.hashes = metainfo.info_hashes();
        let pieces = metainfo.layout().piece_count();
        let torrent = Torrent::new(
            metainfo,
            false,
            self.config.window_bytes,
            self.config.ahead_bytes(),
        );
        self.torrent = Some(torrent);
        for key in self.peers.keys().copied().collect::<Vec<_>>() {
            if let Err(fault) = self.read_early(key, pieces) {
                self.close(key, Some(fault), true);
            }
        }
        self.tell(Event::Metadata);
    }

    fn read_early(&mut self, key: PeerKey, pieces: u32) -> Result<(), Fault> {
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        let early = core::mem::replace(&mut peer.has, Has::Some(Bitfield::none(pieces)));
        let Has::Unread { bits, all, haves } = early else {
            return Ok(());
        };
        if all {
            self.has_now(key, Has::All);
        } else if let Some(body) = bits {
            self.has_now(key, Has::read(&body, pieces)?);
        }
        for piece in haves {
            self.has_one(key, piece)?;
        }
        Ok(())
    }

    fn metadata_asked(&mut self, key: PeerKey, block: u32) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        let Some(id) = peer.ut_metadata() else { return };
        let info = self
            .torrent
            .as_ref()
            .map(|torrent| torrent.metainfo.info_bytes());
        let begin = (block as usize).saturating_mul(METADATA_BLOCK);
        let answer = match info.filter(|info| begin < info.len()) {
            Some(info) => {
                let data = &info[begin..info.len().min(begin + METADATA_BLOCK)];
                MetadataMessage::Data {
                    block,
                    total_size: info.len() as u64,
                    data,
                }
                .to_payload()
            }
            None => MetadataMessage::Reject { block }.to_payload(),
        };
        peer.say(&Message::Extended {
            id,
            payload: &answer,
        });
    }

    /// The torrent is known without asking peers: the driver had it from elsewhere.
    pub fn set_metainfo(&mut self, metainfo: Box<Metainfo>) {
        if self.torrent.is_none() && self.hashes.are_of(&metainfo.info_hashes()) {
            self.learn(*metainfo);
        }
    }
}
