//! One known torrent: its parts side by side, and what needs several of them at once.

use alloc::vec::Vec;
use core::ops::Range;

use super::blame::Suspects;
use super::hashes::HashDesk;
use super::keeping::Keeping;
use super::look_ahead::LookAhead;
use super::provenance::Provenance;
use crate::assembler::Assembler;
use crate::availability::Availability;
use crate::bitfield::Bitfield;
use crate::cache::Cache;
use crate::hash::{Sha1, Sha256Digest};
use crate::ids::ReaderId;
use crate::layout::{BLOCK_LENGTH, Block, Layout, PieceIndex};
use crate::merkle;
use crate::metainfo::Metainfo;
use crate::ordered::Map;
use crate::peer::Rate;
use crate::picker::Picker;
use crate::window::{Moved, Window};

/// One who reads.
#[derive(Debug)]
pub(super) struct Reader {
    /// Where its file starts in the byte space.
    pub file_start: u64,
    /// The next byte it gets, in the byte space.
    pub head: u64,
    /// Where it stops, in the byte space.
    pub end: u64,
    /// Bytes it pulled and has not got.
    pub pulled: Option<usize>,
    /// What is being loaded for it.
    pub loading: Option<Block>,
    /// How fast it reads.
    pub pace: Rate,
}

/// What a whole piece turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Right,
    Wrong,
    /// Right by v2 and wrong by v1.
    Contradiction,
}

/// One known torrent.
#[derive(Debug)]
pub(super) struct Torrent {
    pub metainfo: Metainfo,
    /// Whether what we have lies in storage: all of it from the start, or what was kept so far.
    pub complete: bool,
    /// Whether storage keeps what readers come to, and nothing is fetched but for them.
    pub shelved: bool,
    /// What is to be fetched for storage.
    pub keeping: Option<Keeping>,
    /// What we say we have.
    pub have: Bitfield,
    pub availability: Availability,
    pub window: Window,
    pub look_ahead: LookAhead,
    pub picker: Picker,
    pub assembler: Assembler,
    pub cache: Cache,
    pub readers: Map<ReaderId, Reader>,
    pub suspects: Suspects,
    pub provenance: Provenance,
    pub hashes: HashDesk,
    /// It contradicts itself: nothing more is fetched.
    pub broken: bool,
}

impl Torrent {
    pub fn new(metainfo: Metainfo, complete: bool, window_bytes: u64, ahead_bytes: u64) -> Self {
        let layout = metainfo.layout();
        let pieces = layout.piece_count();
        let piece_length = layout.standard_piece_length();
        let look_ahead = LookAhead::new(ahead_bytes, piece_length, layout.length());
        Self {
            complete,
            have: if complete {
                Bitfield::all(pieces)
            } else {
                Bitfield::none(pieces)
            },
            availability: Availability::new(pieces),
            window: Window::new(look_ahead.bytes(), piece_length),
            look_ahead,
            picker: Picker::default(),
            assembler: Assembler::default(),
            cache: Cache::new(window_bytes),
            readers: Map::new(),
            suspects: Suspects::default(),
            provenance: Provenance::new(pieces),
            hashes: HashDesk::default(),
            broken: false,
            keeping: None,
            shelved: false,
            metainfo,
        }
    }

    pub fn layout(&self) -> &Layout {
        self.metainfo.layout()
    }

    /// Whether anything is, or may be, fetched.
    pub const fn fetches(&self) -> bool {
        !self.complete || self.keeping.is_some() || self.shelved
    }

    /// Whether nothing is lacking: we only give.
    pub fn only_gives(&self) -> bool {
        match &self.keeping {
            Some(keeping) => keeping.is_done(),
            None => self.complete && (!self.shelved || self.have.is_full()),
        }
    }

    /// Whether nothing is being fetched now, so that nobody can be rewarded for giving.
    pub fn gets_nothing(&self) -> bool {
        self.only_gives() || (self.keeping.is_none() && self.window.is_empty())
    }

    /// Pieces that must not wait for a slow peer: those at the readers' heads; when all that will
    /// ever be wanted has been asked for, all that is still out, for nothing else is left for the
    /// fast ones.
    pub fn urgent(&self) -> Vec<u32> {
        let is_end = self.keeping.is_some() || self.window.is_at_end();
        if is_end && self.picker.is_empty() {
            return self.assembler.indices().collect();
        }
        self.window.urgent(0).collect()
    }

    /// Bytes of a piece that are worth moving: padding is known to be zero.
    pub fn real_length(&self, piece: PieceIndex) -> u32 {
        self.layout().real_length(piece)
    }

    /// Blocks of a piece that are worth moving.
    pub fn real_blocks(&self, piece: PieceIndex) -> u32 {
        self.real_length(piece).div_ceil(BLOCK_LENGTH)
    }

    /// A block of a piece as it is asked for.
    pub fn block(&self, piece: PieceIndex, block: u32) -> Block {
        let begin = block * BLOCK_LENGTH;
        Block {
            piece,
            begin,
            length: (self.real_length(piece) - begin).min(BLOCK_LENGTH),
        }
    }

    /// Whether anything is known that could tell a right piece from a wrong one.
    pub fn can_verify(&self, piece: PieceIndex) -> bool {
        self.metainfo.v1_piece_hash(piece).is_some() || self.metainfo.v2_piece_root(piece).is_some()
    }

    /// The leaves of a piece if they are known without asking: a piece of one block has its root for leaf.
    pub fn known_leaves(&self, piece: PieceIndex) -> Vec<Sha256Digest> {
        let shape = self
            .layout()
            .file_piece(piece)
            .and_then(|part| self.metainfo.shape(part.file));
        match (self.metainfo.v2_piece_root(piece), shape) {
            (Some(root), Some(shape)) if shape.piece_root_layer() == 0 => alloc::vec![root],
            _ => Vec::new(),
        }
    }

    /// What a piece's bytes without padding are, and their leaves if it is a v2 piece.
    pub fn judge(&self, piece: PieceIndex, data: &[u8]) -> (Verdict, Vec<Sha256Digest>) {
        let shape = self
            .layout()
            .file_piece(piece)
            .and_then(|part| self.metainfo.shape(part.file));
        let v2 = self
            .metainfo
            .v2_piece_root(piece)
            .zip(shape)
            .map(|(root, shape)| {
                let leaves = merkle::leaves(data);
                (shape.piece_root(&leaves) == Some(root), leaves)
            });
        let v1 = self
            .metainfo
            .v1_piece_hash(piece)
            .map(|expected| self.v1_hash_is(piece, data, &expected.0));
        match (v1, v2) {
            (Some(false), Some((true, leaves))) => (Verdict::Contradiction, leaves),
            (None | Some(true), Some((true, leaves))) => (Verdict::Right, leaves),
            (Some(true), None) => (Verdict::Right, Vec::new()),
            _ => (Verdict::Wrong, Vec::new()),
        }
    }

    /// Whether a piece proven by its leaves is right by v1 too; true where there is no v1.
    pub fn v1_agrees(&self, piece: PieceIndex, data: &[u8]) -> bool {
        self.metainfo
            .v1_piece_hash(piece)
            .is_none_or(|expected| self.v1_hash_is(piece, data, &expected.0))
    }

    fn v1_hash_is(&self, piece: PieceIndex, data: &[u8], expected: &[u8; 20]) -> bool {
        const ZEROS: [u8; 4096] = [0; 4096];
        let mut hasher = Sha1::new();
        hasher.update(data);
        let mut padding = (self.layout().piece_length(piece) as usize).saturating_sub(data.len());
        while padding > 0 {
            let zeros = padding.min(ZEROS.len());
            hasher.update(&ZEROS[..zeros]);
            padding -= zeros;
        }
        hasher.finish().0 == *expected
    }

    /// Begins a piece, if its bytes can be reserved: whether they could, and the pieces let go for it.
    pub fn begin(&mut self, piece: PieceIndex) -> (bool, Vec<u32>) {
        let length = self.real_length(piece);
        let mut evicted = Vec::new();
        let behind = self.look_ahead.with_behind();
        loop {
            let is_over = self.cache.used() + u64::from(length) > behind;
            if !is_over && self.cache.reserve(length.into()) {
                break;
            }
            if let Some(kept) = self.least_wanted() {
                self.cache.evict(kept);
                self.have.clear(kept);
                evicted.push(kept);
            } else if self.cache.reserve(length.into()) {
                break;
            } else if !self.give_up_one() {
                return (false, evicted);
            }
        }
        let leaves = self.known_leaves(piece);
        self.assembler.begin(piece.get(), length, leaves);
        self.picker.begin(piece.get());
        (true, evicted)
    }

    /// The kept piece that is farthest from what anybody will read; `None` if all are in the window.
    fn least_wanted(&self) -> Option<u32> {
        // What is not stored yet cannot be let go.
        if self.keeping.is_some() {
            return None;
        }
        let far = |piece: &u32| (self.window.distance(*piece), core::cmp::Reverse(*piece));
        let outside = |piece: &u32| self.window.distance(*piece) > 0;
        // With one reader it is the first or the last; only with several may it lie between.
        let ends = [
            self.cache.indices().next(),
            self.cache.indices().next_back(),
        ];
        let at_the_ends = ends.into_iter().flatten().filter(outside).max_by_key(far);
        at_the_ends.or_else(|| self.cache.indices().filter(outside).max_by_key(far))
    }

    /// The bytes at `at` of the byte space that may leave: verified, up to the first that are not.
    pub fn readable(&self, at: u64, end: u64) -> &[u8] {
        let Some((piece, begin)) = self.layout().piece_at(at) else {
            return &[];
        };
        let bytes = match self.cache.piece(piece.get()) {
            Some(cached) => cached.data.get(begin as usize..).unwrap_or(&[]),
            None => self
                .assembler
                .piece(piece.get())
                .map_or(&[][..], |partial| partial.proven_from(begin)),
        };
        &bytes[..bytes.len().min((end - at) as usize)]
    }

    /// Whether a block may be promised to others: its piece is here, or it is proven by itself.
    pub fn gives(&self, block: &Block) -> bool {
        self.have.has(block.piece.get()) || (!self.complete && self.in_memory(block).is_some())
    }

    /// The bytes of a block that lie in memory, without padding, if all of them are there and right.
    pub fn in_memory(&self, block: &Block) -> Option<&[u8]> {
        let piece = block.piece.get();
        let (begin, length) = (block.begin as usize, block.length as usize);
        if let Some(cached) = self.cache.piece(piece) {
            let begin = begin.min(cached.data.len());
            return Some(&cached.data[begin..cached.data.len().min(begin + length)]);
        }
        let partial = self.assembler.piece(piece)?;
        let end = (begin + length).min(partial.len() as usize);
        let proven = partial.proven_from(block.begin);
        (begin < end && proven.len() >= end - begin).then(|| &proven[..end - begin])
    }

    /// Pieces among these that are to be fetched.
    pub fn missing_in(&self, ranges: &[Range<u32>]) -> Vec<PieceIndex> {
        let pieces = ranges.iter().flat_map(Clone::clone);
        pieces
            .filter(|piece| !self.have.has(*piece) && !self.cache.has(*piece))
            .filter(|piece| self.assembler.piece(*piece).is_none())
            .filter_map(|piece| self.layout().piece(piece))
            .collect()
    }

    /// Moves a reader on to `head`.
    pub fn advance(&mut self, reader: ReaderId, head: u64) -> Option<Moved> {
        self.readers.get_mut(&reader)?.head = head;
        self.window.advance(reader, head)
    }
}
