//! Blocks for the engine, without the engine ever waiting for a disk.
//!
//! Peers ask for 16 KiB at a time; we read half a MiB at once, in a thread that may wait, and cut
//! blocks from it without a copy. What was read last is kept for those who ask next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_core::layout::Block;
use tokio::sync::mpsc;

use crate::storage::Storage;

/// Bytes read at once.
const CHUNK: u64 = 512 * 1024;

/// Chunks kept in memory: 32 MiB, over all torrents.
const MAX_KEPT: usize = 64;

/// Reads under way at once; more would only queue in the disk.
const MAX_READS: usize = 4;

/// How long a server that holds a torrent's bytes is left alone when it did not bring them.
const REST: Duration = Duration::from_secs(2);

/// How often it is asked again until a peer is told that the bytes cannot be had: for five minutes.
const MAX_RESTS: u32 = 150;

/// A torrent, as the engine numbers them.
pub type TorrentNumber = usize;

/// A read, done.
#[derive(Debug)]
pub struct Read {
    place: Place,
    /// None if it is to be tried again.
    bytes: Option<io::Result<Bytes>>,
}

/// An answer to a [`Chunks::block`] that was not there at once.
#[derive(Debug)]
pub struct Loaded {
    /// Whose.
    pub torrent: TorrentNumber,
    /// Which.
    pub block: Block,
    /// The bytes, or why there are none.
    pub bytes: Result<Bytes, String>,
}

/// The chunks read last, and the reads under way.
#[derive(Debug)]
pub struct Chunks {
    /// Used least lately first.
    kept: VecDeque<(Place, Bytes)>,
    waiting: BTreeMap<Place, Waiting>,
    queue: VecDeque<Place>,
    /// Chunks that could not be read whole: one of their files has changed, the others are read block by block.
    torn: BTreeSet<Place>,
    reads: usize,
    done: mpsc::UnboundedSender<Read>,
}

/// Those who wait for a read.
#[derive(Debug)]
struct Waiting {
    storage: Arc<Storage>,
    blocks: Vec<(Block, Range<u64>)>,
    /// How often it was tried in vain, for reasons that pass.
    rests: u32,
}

/// A run of a torrent's byte space that is read at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place {
    torrent: TorrentNumber,
    start: u64,
    end: u64,
}

impl Chunks {
    /// None yet; what has been read comes out of the receiver, for [`finish`](Self::finish).
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Read>) {
        let (done, reads) = mpsc::unbounded_channel();
        let (kept, waiting, queue, torn) = Default::default();
        (
            Self {
                kept,
                waiting,
                queue,
                torn,
                reads: 0,
                done,
            },
            reads,
        )
    }

    /// The block, if its chunk is in memory; otherwise it comes later, through [`finish`](Self::finish).
    pub fn block(
        &mut self,
        torrent: TorrentNumber,
        storage: &Arc<Storage>,
        block: Block,
    ) -> Option<Bytes> {
        let layout = storage.layout();
        let start = layout.piece_start(block.piece) + u64::from(block.begin);
        let range = start..start + u64::from(block.length);
        let mut place = Place::around(torrent, &range, layout.length());
        if storage.grows() {
            // Of what lies around the piece nothing is known to be there yet.
            let start = layout.piece_start(block.piece);
            let end = start + u64::from(layout.piece_length(block.piece));
            place = place.within(start..end);
        }
        if self.torn.contains(&place) {
            place = Place::of(torrent, &range);
        }
        if let Some(at) = self.kept.iter().rposition(|(other, _)| *other == place) {
            let found = self.kept.remove(at)?;
            let bytes = place.cut(&found.1, &range);
            self.kept.push_back(found);
            return Some(bytes);
        }
        self.wait(place, storage, block, range);
        None
    }

    /// Keeps what was read, and answers those who waited for it.
    pub fn finish(&mut self, Read { place, bytes }: Read) -> Vec<Loaded> {
        let Some(bytes) = bytes else {
            self.queue.push_back(place);
            self.read_next();
            return Vec::new();
        };
        self.reads -= 1;
        let will_pass = (bytes.as_ref()).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock);
        if will_pass && self.rest(place) {
            self.read_next();
            return Vec::new();
        }
        let mut answers = Vec::new();
        if let Some(Waiting {
            storage, blocks, ..
        }) = self.waiting.remove(&place)
        {
            for (block, range) in blocks {
                let bytes = match &bytes {
                    Ok(bytes) => Ok(place.cut(bytes, &range)),
                    Err(_) if place != Place::of(place.torrent, &range) => {
                        self.torn.insert(place);
                        self.wait(Place::of(place.torrent, &range), &storage, block, range);
                        continue;
                    }
                    Err(e) => Err(e.to_string()),
                };
                let torrent = place.torrent;
                answers.push(Loaded {
                    torrent,
                    block,
                    bytes,
                });
            }
        }
        if let Ok(bytes) = bytes {
            if self.kept.len() >= MAX_KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back((place, bytes));
        }
        self.read_next();
        answers
    }

    fn wait(&mut self, place: Place, storage: &Arc<Storage>, block: Block, range: Range<u64>) {
        let waiting = self.waiting.entry(place).or_insert_with(|| {
            self.queue.push_back(place);
            Waiting {
                storage: Arc::clone(storage),
                blocks: Vec::new(),
                rests: 0,
            }
        });
        waiting.blocks.push((block, range));
        self.read_next();
    }

    /// Has a read tried again in a while, and others before it; false if it was tried often enough.
    fn rest(&mut self, place: Place) -> bool {
        let Some(waiting) = self.waiting.get_mut(&place) else {
            return false;
        };
        waiting.rests += 1;
        if waiting.rests > MAX_RESTS {
            return false;
        }
        let done = self.done.clone();
        tokio::spawn(async move {
            tokio::time::sleep(REST).await;
            let _ = done.send(Read { place, bytes: None });
        });
        true
    }

    fn read_next(&mut self) {
        while self.reads < MAX_READS {
            let Some(place) = self.queue.pop_front() else {
                return;
            };
            let Some(waiting) = self.waiting.get(&place) else {
                continue;
            };
            self.reads += 1;
            let storage = Arc::clone(&waiting.storage);
            let done = self.done.clone();
            tokio::task::spawn_blocking(move || {
                let bytes = storage.read(place.start..place.end).map(Bytes::from);
                let bytes = Some(bytes);
                // Nobody listens any more when the engine is gone.
                let _ = done.send(Read { place, bytes });
            });
        }
    }
}

impl Place {
    /// The chunk that holds `range`; `range` itself if it lies across two (piece lengths that are no power of two).
    fn around(torrent: TorrentNumber, range: &Range<u64>, length: u64) -> Self {
        let start = range.start / CHUNK * CHUNK;
        let end = (start + CHUNK).min(length);
        if range.end <= end {
            Self {
                torrent,
                start,
                end,
            }
        } else {
            Self::of(torrent, range)
        }
    }

    fn within(self, range: Range<u64>) -> Self {
        Self {
            start: self.start.max(range.start),
            end: self.end.min(range.end),
            ..self
        }
    }

    fn of(torrent: TorrentNumber, range: &Range<u64>) -> Self {
        Self {
            torrent,
            start: range.start,
            end: range.end,
        }
    }

    fn cut(self, bytes: &Bytes, range: &Range<u64>) -> Bytes {
        bytes.slice((range.start - self.start) as usize..(range.end - self.start) as usize)
    }
}
