//! Pieces under way: which blocks are there, which were asked of whom, which are proven.
//!
//! A block whose v2 leaf is known is proven alone, the moment it comes; without leaves (v1, or a
//! peer that knows no v2) a piece is proven when it is whole. It verifies and blames; what to ask
//! of whom is decided elsewhere.

use alloc::vec;
use alloc::vec::Vec;

use crate::bitfield::Bitfield;
use crate::hash::Sha256Digest;
use crate::ids::PeerKey;
use crate::layout::BLOCK_LENGTH;
use crate::merkle;
use crate::ordered::Map;

/// A piece under way.
#[derive(Debug)]
pub struct Partial {
    data: Vec<u8>,
    slots: Vec<Slot>,
    leaves: Vec<Sha256Digest>,
    there: u32,
    /// Blocks that are neither there nor asked for.
    free: Bitfield,
    /// Blocks that are proven.
    proven: Bitfield,
    /// How many of them others were told of.
    told: u32,
    /// If set, only this peer may be asked: after a bad piece, to know who sent what.
    pub only: Option<PeerKey>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    state: State,
    /// Whom it was asked of; the second is a race.
    asked: [Option<PeerKey>; 2],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Missing,
    Received(PeerKey),
    Verified(PeerKey),
}

/// What became of a block that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// Its hash is not its leaf.
    Bad,
    /// It was there already.
    Duplicate,
    /// It is kept; whether it is right will be known when the piece is whole or its leaves come.
    Stored,
    /// It is right.
    Verified,
}

impl Partial {
    fn new(length: u32, leaves: Vec<Sha256Digest>) -> Self {
        let blocks = length.div_ceil(BLOCK_LENGTH) as usize;
        debug_assert!(leaves.is_empty() || leaves.len() == blocks);
        Self {
            data: vec![0; length as usize],
            slots: vec![Slot::default(); blocks],
            leaves,
            there: 0,
            free: Bitfield::all(blocks as u32),
            proven: Bitfield::none(blocks as u32),
            told: 0,
            only: None,
        }
    }

    /// Its length in bytes, padding left out.
    pub const fn len(&self) -> u64 {
        self.data.len() as u64
    }

    /// Whether it has no byte at all (no piece is so).
    pub const fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Whether every block is there.
    pub fn is_whole(&self) -> bool {
        self.there as usize == self.slots.len()
    }

    /// Whether every block is there and proven.
    pub const fn is_verified(&self) -> bool {
        self.proven.is_full()
    }

    /// Bytes of it that are proven.
    pub fn verified_bytes(&self) -> u64 {
        let blocks = self
            .slots
            .iter()
            .zip(self.data.chunks(BLOCK_LENGTH as usize));
        blocks
            .filter(|(slot, _)| matches!(slot.state, State::Verified(_)))
            .map(|(_, bytes)| bytes.len() as u64)
            .sum()
    }

    /// Whether blocks are proven one by one.
    pub const fn has_leaves(&self) -> bool {
        !self.leaves.is_empty()
    }

    /// Its bytes; those of blocks that are not there are zero.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The blocks that are neither there nor asked for.
    pub const fn free(&self) -> &Bitfield {
        &self.free
    }

    /// Whether every block is there or asked for.
    pub const fn is_taken(&self) -> bool {
        self.free.count() == 0
    }

    /// The blocks that are proven.
    pub const fn proven(&self) -> &Bitfield {
        &self.proven
    }

    /// How many blocks others were told of.
    pub const fn told(&self) -> u32 {
        self.told
    }

    /// Whether blocks were proven since this was last asked.
    pub fn has_news(&mut self) -> bool {
        let told = core::mem::replace(&mut self.told, self.proven.count());
        told != self.told
    }

    /// The leaves, if they are known.
    pub fn leaves(&self) -> &[Sha256Digest] {
        &self.leaves
    }

    /// Blocks that are asked for and not there: (block, whom).
    pub fn asked(&self) -> impl Iterator<Item = (u32, [Option<PeerKey>; 2])> + '_ {
        (0..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.state == State::Missing && slot.asked != [None, None])
            .map(|(block, slot)| (block, slot.asked))
    }

    /// Whether block `block` is there.
    pub fn has(&self, block: u32) -> bool {
        self.slots
            .get(block as usize)
            .is_some_and(|slot| slot.state != State::Missing)
    }

    /// A block was asked of a peer.
    pub fn ask(&mut self, block: u32, peer: PeerKey) {
        if let Some(slot) = self.slots.get_mut(block as usize)
            && !slot.asked.contains(&Some(peer))
        {
            let free = usize::from(slot.asked[0].is_some());
            slot.asked[free] = Some(peer);
            self.free.clear(block);
        }
    }

    /// A peer will not send a block.
    pub fn unask(&mut self, block: u32, peer: PeerKey) {
        if let Some(slot) = self.slots.get_mut(block as usize) {
            if slot.asked[0] == Some(peer) {
                slot.asked = [slot.asked[1], None];
            } else if slot.asked[1] == Some(peer) {
                slot.asked[1] = None;
            }
            if slot.state == State::Missing && slot.asked == [None, None] {
                self.free.set(block);
            }
        }
    }

    /// Who sent each block, in order.
    pub fn senders(&self) -> impl Iterator<Item = Option<PeerKey>> + '_ {
        self.slots.iter().map(|slot| match slot.state {
            State::Missing => None,
            State::Received(peer) | State::Verified(peer) => Some(peer),
        })
    }

    /// The proven bytes from `begin` on, up to the first that are not.
    pub fn proven_from(&self, begin: u32) -> &[u8] {
        let first = begin / BLOCK_LENGTH;
        let proven = self
            .slots
            .iter()
            .skip(first as usize)
            .take_while(|slot| matches!(slot.state, State::Verified(_)));
        let end = ((first as usize + proven.count()) * BLOCK_LENGTH as usize).min(self.data.len());
        self.data.get(begin as usize..end).unwrap_or(&[])
    }

    /// A block came. Its place and length must be those of a block of this piece.
    fn receive(&mut self, block: u32, bytes: &[u8], from: PeerKey) -> Received {
        let Some(slot) = self.slots.get_mut(block as usize) else {
            return Received::Duplicate;
        };
        if slot.state != State::Missing {
            return Received::Duplicate;
        }
        if self
            .leaves
            .get(block as usize)
            .is_some_and(|leaf| merkle::leaf(bytes) != *leaf)
        {
            return Received::Bad;
        }
        let begin = block as usize * BLOCK_LENGTH as usize;
        self.data[begin..begin + bytes.len()].copy_from_slice(bytes);
        self.there += 1;
        self.free.clear(block);
        if self.leaves.is_empty() {
            slot.state = State::Received(from);
            Received::Stored
        } else {
            slot.state = State::Verified(from);
            self.proven.set(block);
            Received::Verified
        }
    }

    /// The leaves are known now: proves what is there. The blocks that are wrong, and who sent them;
    /// they are missing again.
    pub fn prove(&mut self, leaves: Vec<Sha256Digest>) -> Vec<(u32, PeerKey)> {
        debug_assert_eq!(leaves.len(), self.slots.len());
        let blocks = self.data.chunks(BLOCK_LENGTH as usize);
        let mut bad = Vec::new();
        for ((block, slot), (bytes, leaf)) in (0..).zip(&mut self.slots).zip(blocks.zip(&leaves)) {
            if let State::Received(from) = slot.state {
                if merkle::leaf(bytes) == *leaf {
                    slot.state = State::Verified(from);
                    self.proven.set(block);
                } else {
                    *slot = Slot::default();
                    self.there -= 1;
                    bad.push((block, from));
                    self.free.set(block);
                }
            }
        }
        self.leaves = leaves;
        bad
    }

    /// The whole piece is right.
    pub fn prove_all(&mut self) {
        for slot in &mut self.slots {
            if let State::Received(from) = slot.state {
                slot.state = State::Verified(from);
            }
        }
        self.proven = Bitfield::all(self.slots.len() as u32);
    }

    /// The whole piece is wrong and nobody knows which block: all are missing again.
    pub fn restart(&mut self) {
        self.slots.fill(Slot::default());
        self.there = 0;
        let blocks = self.slots.len() as u32;
        self.free = Bitfield::all(blocks);
        self.proven = Bitfield::none(blocks);
    }

    /// Its bytes and its leaves.
    pub fn into_parts(self) -> (Vec<u8>, Vec<Sha256Digest>) {
        (self.data, self.leaves)
    }
}

/// The pieces under way.
#[derive(Debug, Default)]
pub struct Assembler {
    partials: Map<u32, Partial>,
}

impl Assembler {
    /// Begins a piece of `length` bytes, padding left out; `leaves` if they are known.
    pub fn begin(&mut self, piece: u32, length: u32, leaves: Vec<Sha256Digest>) {
        self.partials.insert(piece, Partial::new(length, leaves));
    }

    /// Puts back a piece that was taken out.
    pub fn restore(&mut self, piece: u32, partial: Partial) {
        self.partials.insert(piece, partial);
    }

    /// A piece under way.
    pub fn piece(&self, piece: u32) -> Option<&Partial> {
        self.partials.get(&piece)
    }

    /// A piece under way.
    pub fn piece_mut(&mut self, piece: u32) -> Option<&mut Partial> {
        self.partials.get_mut(&piece)
    }

    /// A block came.
    pub fn receive(&mut self, piece: u32, block: u32, bytes: &[u8], from: PeerKey) -> Received {
        self.partials
            .get_mut(&piece)
            .map_or(Received::Duplicate, |partial| {
                partial.receive(block, bytes, from)
            })
    }

    /// Takes a piece out: it is whole, or no longer wanted.
    pub fn remove(&mut self, piece: u32) -> Option<Partial> {
        self.partials.remove(&piece)
    }

    /// The pieces under way, ascending.
    pub fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        self.partials.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HONEST: PeerKey = PeerKey(1);
    const LIAR: PeerKey = PeerKey(2);

    fn film(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at / 7 % 251) as u8).collect()
    }

    #[test]
    fn with_leaves_a_block_is_proven_alone_and_a_lie_named_at_once() {
        let film = film(3 * 16384 + 5);
        let mut assembler = Assembler::default();
        assembler.begin(9, film.len() as u32, merkle::leaves(&film));
        assert_eq!(
            assembler.receive(9, 3, &film[3 * 16384..], HONEST),
            Received::Verified
        );
        assert_eq!(
            assembler.receive(9, 0, &film[1..16385], LIAR),
            Received::Bad
        );
        assert_eq!(
            assembler.receive(9, 0, &film[..16384], HONEST),
            Received::Verified
        );
        assert_eq!(
            assembler.receive(9, 0, &film[..16384], LIAR),
            Received::Duplicate
        );
        let partial = assembler.piece(9).unwrap();
        assert_eq!(partial.proven_from(16380), &film[16380..16384]);
        assert_eq!(partial.proven_from(16384), b"");
        assert_eq!(partial.proven_from(3 * 16384), &film[3 * 16384..]);
    }

    #[test]
    fn leaves_that_come_late_prove_what_is_there_and_name_the_liar() {
        let film = film(2 * 16384);
        let mut assembler = Assembler::default();
        assembler.begin(0, film.len() as u32, Vec::new());
        assert_eq!(
            assembler.receive(0, 0, &film[..16384], HONEST),
            Received::Stored
        );
        assert_eq!(
            assembler.receive(0, 1, &film[..16384], LIAR),
            Received::Stored
        );
        let partial = assembler.piece_mut(0).unwrap();
        assert_eq!(partial.prove(merkle::leaves(&film)), [(1, LIAR)]);
        assert_eq!(
            (
                partial.proven_from(0).len(),
                partial.is_whole(),
                partial.free.first_from(0, None)
            ),
            (16384, false, Some(1))
        );
    }

    #[test]
    fn a_block_that_nobody_will_send_is_free_again() {
        let mut partial = Partial::new(3 * BLOCK_LENGTH, Vec::new());
        for block in 0..3 {
            assert_eq!(partial.free.first_from(0, None), Some(block));
            partial.ask(block, HONEST);
        }
        partial.ask(1, LIAR);
        assert_eq!(partial.free.first_from(0, None), None);
        partial.unask(1, HONEST);
        assert_eq!(partial.free.first_from(0, None), None);
        partial.unask(1, LIAR);
        assert_eq!(partial.free.first_from(0, None), Some(1));
    }
}
