//! Keeping: the torrent, or what is wanted of it, goes to storage, and what lies there is what we have.
//!
//! No reader is needed for it: all is fetched, the rarest first. Readers only hurry what is at
//! their heads, and get what is stored already by loading it.

use alloc::vec::Vec;
use core::ops::Range;

use super::torrent::Torrent;
use super::{Event, Output, Swarm};
use crate::bitfield::Bitfield;
use crate::ids::ReaderId;
use crate::layout::{Block, PieceIndex};
use crate::peer::{Has, Peer};
use bytes::Bytes;

/// Pieces among which the picker chooses. More is truer to the rarest, and each change costs more.
const POOL: usize = 1024;
/// Bytes loaded for a reader at once.
const RUN: u32 = 128 * 1024;

/// That a torrent can be kept whole. Pages keep only what they read ([`shelving`](super::shelving)): in
/// their engine there is no such value, and the compiler leaves out all that is for it.
#[derive(Debug)]
#[cfg(not(target_family = "wasm"))]
struct Whole;
#[derive(Debug)]
#[cfg(target_family = "wasm")]
enum Whole {}

#[cfg(not(target_family = "wasm"))]
const WHOLE: Option<Whole> = Some(Whole);
#[cfg(target_family = "wasm")]
const WHOLE: Option<Whole> = None;

/// What is kept, and how far that is.
#[derive(Debug)]
pub(super) struct Keeping {
    wanted: Bitfield,
    /// Wanted pieces that are neither in storage, nor under way, nor in the picker's pool.
    aside: Bitfield,
    /// Bytes wanted that are not in storage.
    left: u64,
    /// What is aside cannot be fetched yet: somebody who has it, or its hashes, must come first.
    stuck: bool,
    _whole: Whole,
}

impl Keeping {
    /// Bytes wanted that are not in storage.
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// Whether all that is wanted is in storage.
    pub const fn is_done(&self) -> bool {
        self.left == 0
    }

    /// Whether a peer has something wanted that is not among `have`.
    pub fn wants_of(&self, peer: &Peer, have: &Bitfield) -> bool {
        match &peer.has {
            Has::All => !self.is_done(),
            Has::Unread { .. } => false,
            Has::Some(theirs) => {
                let ours = self.wanted.as_bytes().iter().zip(have.as_bytes());
                let mut all = ours.zip(theirs.as_bytes());
                all.any(|((wanted, have), theirs)| wanted & !have & theirs != 0)
            }
        }
    }
}

impl Torrent {
    /// Whether a piece is to be fetched sooner or later, if it is not here.
    pub fn wants(&self, piece: u32) -> bool {
        let is_kept = |keeping: &Keeping| keeping.wanted.has(piece);
        self.window.contains(piece) || self.keeping.as_ref().is_some_and(is_kept)
    }

    /// A piece is under way, and set aside no more.
    pub fn not_aside(&mut self, piece: u32) {
        if let Some(keeping) = &mut self.keeping {
            keeping.aside.clear(piece);
        }
    }

    /// Gives back the memory of a piece that is begun, is kept, and that nobody here has any more
    /// or was asked for; whether there was one.
    pub fn give_up_one(&mut self) -> bool {
        let mut begun = self.assembler.indices();
        let is_asked = |piece| {
            let partial = self.assembler.piece(piece);
            partial.is_some_and(|partial| partial.asked().next().is_some())
        };
        let hopeless = begun.find(|piece| self.availability.of(*piece) == 0 && !is_asked(*piece));
        let (Some(piece), Some(keeping)) = (hopeless, &mut self.keeping) else {
            return false;
        };
        drop(begun);
        keeping.aside.set(piece);
        self.picker.forget(piece);
        if let Some(partial) = self.assembler.remove(piece) {
            self.cache.release(partial.len());
        }
        if let Some(index) = self.layout().piece(piece) {
            self.hashes.forget_leaves(index);
        }
        true
    }
}

impl Swarm {
    /// Storage keeps the torrent from now on: it has the pieces of `have`, and is to have those of `wanted`.
    pub(super) fn keep(&mut self, mut wanted: Bitfield, have: Bitfield) {
        let (Some(torrent), Some(whole)) = (&mut self.torrent, WHOLE) else {
            debug_assert!(false, "kept before the torrent is known");
            return;
        };
        let pieces = torrent.layout().piece_count();
        if wanted.len() != pieces || have.len() != pieces {
            debug_assert!(false, "kept pieces of another torrent");
            return;
        }
        for piece in have.iter() {
            wanted.set(piece);
        }
        let mut aside = wanted.clone();
        for piece in have.iter() {
            aside.clear(piece);
        }
        let missing = aside
            .iter()
            .filter_map(|piece| torrent.layout().piece(piece));
        let left = missing
            .map(|piece| u64::from(torrent.real_length(piece)))
            .sum();
        for piece in torrent.assembler.indices().chain(torrent.picker.fresh()) {
            aside.clear(piece);
        }
        let in_memory: Vec<u32> = torrent.cache.indices().collect();
        torrent.keeping = Some(Keeping {
            wanted,
            aside,
            left,
            stuck: false,
            _whole: whole,
        });
        torrent.complete = true;
        torrent.have = have;
        for piece in torrent.have.iter().collect::<Vec<_>>() {
            self.announce_piece(piece);
        }
        for piece in in_memory {
            self.store(piece);
        }
        if left == 0 {
            self.tell(Event::Kept);
        }
        self.look_anew();
    }

    /// A piece in memory is right: it is to be stored, and ours to give when it is.
    pub(super) fn store(&mut self, piece: u32) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let cached = torrent.cache.piece(piece).map(|cached| cached.data.clone());
        let (Some(bytes), Some(index)) = (cached, torrent.layout().piece(piece)) else {
            return;
        };
        if let Some(keeping) = &mut torrent.keeping {
            keeping.aside.clear(piece);
        }
        if torrent.have.has(piece) {
            torrent.cache.evict(piece);
        } else {
            self.outputs.push_back(Output::Store(index, bytes));
        }
    }

    /// Storage has a piece: memory need not hold it any longer.
    pub(super) fn stored(&mut self, piece: PieceIndex) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        torrent.cache.evict(piece.get());
        let length = u64::from(torrent.real_length(piece));
        if torrent.have.set(piece.get()) {
            let is_done = match &mut torrent.keeping {
                Some(keeping) => {
                    let was_wanted = keeping.wanted.has(piece.get());
                    keeping.left -= if was_wanted { length } else { 0 };
                    keeping.is_done()
                }
                None => torrent.have.is_full(),
            };
            self.announce_piece(piece.get());
            if is_done {
                self.tell(Event::Kept);
                self.look_anew();
            }
        }
        // There is room for more.
        self.origins.look = true;
        self.dirty_all();
    }

    /// Storage lost a piece that it had: it is fetched again.
    pub(super) fn want_again(&mut self, piece: PieceIndex) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let length = u64::from(torrent.real_length(piece));
        let in_hand =
            torrent.cache.has(piece.get()) || torrent.assembler.piece(piece.get()).is_some();
        let Some(keeping) = &mut torrent.keeping else {
            return self.want_for_readers(piece);
        };
        let known = keeping.aside.has(piece.get())
            || torrent.picker.fresh().any(|other| other == piece.get());
        if in_hand || known || torrent.have.has(piece.get()) || !keeping.wanted.has(piece.get()) {
            return;
        }
        keeping.aside.set(piece.get());
        keeping.left += length;
        keeping.stuck = false;
        self.look_anew();
    }

    /// Readers moved on to these pieces: they go before all others.
    pub(super) fn hurry(&mut self, entered: &[Range<u32>]) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let wanted = torrent.missing_in(entered);
        let mut unknown = Vec::new();
        for piece in wanted
            .into_iter()
            .filter(|piece| !torrent.have.has(piece.get()))
        {
            let (can, length) = (torrent.can_verify(piece), torrent.real_length(piece));
            let Some(keeping) = &mut torrent.keeping else {
                return;
            };
            if keeping.wanted.set(piece.get()) {
                keeping.left += u64::from(length);
                keeping.aside.set(piece.get());
            }
            if can {
                keeping.aside.clear(piece.get());
                torrent.picker.want(piece.get(), 0, piece.get());
            } else {
                unknown.push(piece);
            }
        }
        self.want(&unknown);
        self.look_anew();
    }

    /// Hashes or peers came that may let us fetch what was set aside for the lack of them.
    pub(super) fn unstick(&mut self) {
        if let Some(keeping) = self.keeping() {
            keeping.stuck = false;
        }
    }

    /// Gives the picker more to choose from, when it has little that anybody has.
    pub(super) fn fill_pool(&mut self) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let Some(keeping) = &mut torrent.keeping else {
            return;
        };
        if keeping.stuck || keeping.aside.count() == 0 || torrent.broken {
            return;
        }
        let copies = &torrent.availability;
        let is_there = |piece: &u32| copies.of(*piece) > 0;
        let there = torrent.picker.fresh().filter(is_there).count();
        if there >= POOL / 2 {
            return;
        }
        let idle = torrent.picker.fresh().filter(|piece| !is_there(piece));
        for piece in idle.collect::<Vec<_>>() {
            torrent.picker.forget(piece);
            keeping.aside.set(piece);
        }
        let all = keeping.aside.iter().filter(is_there);
        let all: Vec<u32> = all.collect();
        let (able, unknown): (Vec<PieceIndex>, Vec<PieceIndex>) = all
            .into_iter()
            .filter_map(|piece| torrent.layout().piece(piece))
            .partition(|piece| torrent.can_verify(*piece));
        let chosen = self.choose(able, POOL - there);
        if let Some(keeping) = self.keeping() {
            for piece in &chosen {
                keeping.aside.clear(piece.get());
            }
            keeping.stuck = chosen.is_empty();
        }
        self.want(&chosen);
        self.want(&unknown);
        self.dirty_all();
    }

    fn keeping(&mut self) -> Option<&mut Keeping> {
        self.torrent.as_mut()?.keeping.as_mut()
    }

    /// So many of these pieces: half of them the rarest, half by luck, so that nobody who has but
    /// common ones stands idle. Alone among seeds, one after the other.
    fn choose(&mut self, mut pieces: Vec<PieceIndex>, most: usize) -> Vec<PieceIndex> {
        let Some(torrent) = self.torrent.as_ref().filter(|_| pieces.len() > most) else {
            return pieces;
        };
        if self.crowded {
            let half = most / 2;
            let rarity = |piece: &PieceIndex| torrent.availability.rarity(piece.get());
            pieces.sort_unstable_by_key(rarity);
            for at in half..most {
                let other = at + self.rng.below((pieces.len() - at) as u32) as usize;
                pieces.swap(at, other);
            }
        }
        pieces.truncate(most);
        pieces
    }

    /// A reader waits for bytes that lie in storage, or are still to come.
    pub(super) fn load_for(&mut self, reader: ReaderId) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let head = torrent.readers.get(&reader).map(|state| state.head);
        let Some(block) = head.and_then(|head| stored_run(torrent, head)) else {
            return;
        };
        if let Some(state) = torrent.readers.get_mut(&reader)
            && state.loading.replace(block) != Some(block)
        {
            self.outputs.push_back(Output::Load(block));
        }
    }

    /// Storage delivered what readers waited for.
    pub(super) fn loaded_for_readers(&mut self, block: Block, data: &Bytes) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let start = torrent.layout().piece_start(block.piece) + u64::from(block.begin);
        let mut moves = Vec::new();
        for (key, state) in &mut torrent.readers {
            if state.loading != Some(block) {
                continue;
            }
            state.loading = None;
            let Some(pulled) = state.pulled.take() else {
                continue;
            };
            let from = (state.head - start) as usize;
            let most = (state.end - state.head).min(pulled as u64) as usize;
            let bytes = data.slice(from..data.len().min(from.saturating_add(most)));
            state.pace.add(self.now, bytes.len() as u64);
            moves.push((*key, state.head + bytes.len() as u64));
            self.waiting.remove(key);
            self.outputs.push_back(Output::Data {
                reader: *key,
                offset: state.head - state.file_start,
                bytes,
            });
        }
        for (reader, head) in moves {
            let torrent = self.torrent.as_mut();
            if let Some(moved) = torrent.and_then(|torrent| torrent.advance(reader, head)) {
                self.window_moved(&moved);
            }
        }
    }

    /// Storage did not deliver what readers waited for: they wait until it is fetched again.
    pub(super) fn load_failed_for_readers(&mut self, block: Block) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        for state in torrent.readers.values_mut() {
            state.loading = state.loading.filter(|loading| *loading != block);
        }
    }
}

/// The stored bytes around `head` that are loaded at once.
fn stored_run(torrent: &Torrent, head: u64) -> Option<Block> {
    let (piece, begin) = torrent.layout().piece_at(head)?;
    if !torrent.complete || !torrent.have.has(piece.get()) {
        return None;
    }
    let begin = begin / RUN * RUN;
    let length = torrent.real_length(piece).checked_sub(begin)?.min(RUN);
    torrent.layout().run(piece.get(), begin, length)
}
