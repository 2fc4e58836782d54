//! Who sent what into pieces that turned out wrong, where no leaf names the liar at once (v1).
//!
//! When a piece of several senders is wrong, the hash of each of its blocks is kept; once it is
//! right, the senders whose blocks differ are the liars.

use alloc::vec::Vec;

use crate::assembler::Partial;
use crate::hash::{Sha1Digest, sha1};
use crate::ids::PeerKey;
use crate::layout::BLOCK_LENGTH;
use crate::ordered::Map;

/// Wrong pieces remembered at a time.
const MAX_PIECES: usize = 32;

/// Blocks of pieces that turned out wrong.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    pieces: Map<u32, Vec<(u32, PeerKey, Sha1Digest)>>,
}

impl Suspects {
    /// The piece is wrong as it stands.
    pub fn remember(&mut self, piece: u32, wrong: &Partial) {
        if self.pieces.len() >= MAX_PIECES && !self.pieces.contains_key(&piece) {
            self.pieces.pop_first();
        }
        let blocks = wrong.data().chunks(BLOCK_LENGTH as usize);
        let sent = (0..).zip(wrong.senders().zip(blocks));
        let entries =
            sent.filter_map(|(block, (sender, bytes))| Some((block, sender?, sha1(bytes))));
        self.pieces
            .entry(piece)
            .or_default()
            .extend(entries.take(MAX_ENTRIES));
    }

    /// The piece is right as it stands: those who sent something else for it.
    pub fn liars(&mut self, piece: u32, right: &[u8]) -> Vec<PeerKey> {
        let Some(entries) = self.pieces.remove(&piece) else {
            return Vec::new();
        };
        let blocks: Vec<Sha1Digest> = right.chunks(BLOCK_LENGTH as usize).map(sha1).collect();
        let mut liars: Vec<PeerKey> = entries
            .into_iter()
            .filter(|(block, _, sent)| blocks.get(*block as usize) != Some(sent))
            .map(|(_, sender, _)| sender)
            .collect();
        liars.sort_unstable();
        liars.dedup();
        liars
    }

    /// Whether the piece turned out wrong before.
    pub fn knows(&self, piece: u32) -> bool {
        self.pieces.contains_key(&piece)
    }
}

/// Blocks remembered of one wrong piece: one attempt at a piece of 16 MiB.
const MAX_ENTRIES: usize = 1024;
