//! The hash trees of BitTorrent v2 (BEP 52): one binary SHA-256 tree a file, a leaf per 16 KiB.
//!
//! Layers count from the leaves (0) up. A tree is as wide as the next power of two of its
//! leaves; leaves past the file's end are 32 zero bytes. Nothing here knows a file or a peer.

use alloc::vec::Vec;
use core::fmt;

use crate::hash::{Sha256, Sha256Digest, sha256};
use crate::layout::BLOCK_LENGTH;

/// Bytes one leaf covers.
pub const BLOCK: usize = BLOCK_LENGTH as usize;

/// Most hashes one message may ask for: libtorrent asks for as many leaves at once.
pub const MAX_SPAN: u32 = 8192;

/// The leaf over a block, whole or a file's last (at its real length).
pub fn leaf(block: &[u8]) -> Sha256Digest {
    sha256(block)
}

/// The leaves over a run of a file's bytes that starts on a block.
pub fn leaves(bytes: &[u8]) -> Vec<Sha256Digest> {
    bytes.chunks(BLOCK).map(leaf).collect()
}

/// The node over two others.
pub fn parent(left: &Sha256Digest, right: &Sha256Digest) -> Sha256Digest {
    let mut hasher = Sha256::new();
    hasher.update(&left.0);
    hasher.update(&right.0);
    hasher.finish()
}

/// The node at this layer over nothing but padding.
///
/// BEP 52: "the remaining leaf hashes … are set to zero".
pub fn pad(layer: u32) -> Sha256Digest {
    (0..layer).fold(Sha256Digest([0; 32]), |below, _| parent(&below, &below))
}

/// The layer at which a tree over `count` nodes of layer `base` has one node.
pub fn top_layer(base: u32, count: u64) -> u32 {
    base + ceil_log2(count)
}

/// The node at layer `top` over these nodes of layer `base`, padded on the right.
///
/// `None` if they are too many for it, or none.
pub fn root_of(nodes: &[Sha256Digest], base: u32, top: u32) -> Option<Sha256Digest> {
    let height = top.checked_sub(base)?;
    if nodes.is_empty() || top_layer(0, nodes.len() as u64) > height {
        return None;
    }
    let mut row = nodes.to_vec();
    for layer in base..top {
        row = row_above(&row, layer);
    }
    row.first().copied()
}

fn row_above(row: &[Sha256Digest], layer: u32) -> Vec<Sha256Digest> {
    let (pairs, last) = row.as_chunks::<2>();
    let mut above: Vec<_> = pairs
        .iter()
        .map(|[left, right]| parent(left, right))
        .collect();
    if let [last] = last {
        above.push(parent(last, &pad(layer)));
    }
    above
}

fn ceil_log2(count: u64) -> u32 {
    if count <= 1 {
        0
    } else {
        (count - 1).ilog2() + 1
    }
}

/// The measures of one file's tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Bytes of the file.
    pub length: u64,
    /// Bytes of a piece: a power of two, 16 KiB or more.
    pub piece_length: u32,
}

impl Shape {
    /// Leaves that cover bytes.
    pub fn leaf_count(&self) -> u64 {
        self.length.div_ceil(BLOCK as u64)
    }

    /// Pieces of the file.
    pub fn piece_count(&self) -> u64 {
        self.length.div_ceil(u64::from(self.piece_length).max(1))
    }

    /// The layer of the file's root.
    pub fn height(&self) -> u32 {
        ceil_log2(self.leaf_count())
    }

    /// The layer where a node covers a piece.
    pub fn piece_layer(&self) -> u32 {
        ceil_log2(u64::from(self.piece_length / BLOCK_LENGTH))
    }

    /// Whether the file is larger than a piece, and so has a piece layer apart from its root.
    pub fn has_piece_layer(&self) -> bool {
        self.length > u64::from(self.piece_length)
    }

    /// The layer of the hash a piece is checked against.
    ///
    /// A file no larger than a piece pads to the next power of two of its own blocks; the last
    /// piece of a larger file pads to a whole piece.
    pub fn piece_root_layer(&self) -> u32 {
        self.height().min(self.piece_layer())
    }

    /// The hash of one piece, over the leaves of its real bytes; `None` if they cannot be a piece.
    pub fn piece_root(&self, leaves: &[Sha256Digest]) -> Option<Sha256Digest> {
        root_of(leaves, 0, self.piece_root_layer())
    }

    /// The file's root over the hashes of all its pieces; `None` if they are not as many.
    pub fn root(&self, pieces: &[Sha256Digest]) -> Option<Sha256Digest> {
        if pieces.len() as u64 != self.piece_count() {
            return None;
        }
        root_of(pieces, self.piece_root_layer(), self.height())
    }

    /// Whether a file has these hashes, by the rules of message 21: checked before any work.
    pub fn has(&self, span: Span) -> bool {
        let layer_width = 1u64
            .checked_shl(self.height().saturating_sub(span.base))
            .unwrap_or(0);
        span.is_sound()
            && span.base < self.height()
            && u64::from(span.index) + u64::from(span.length) <= layer_width
            && span.proof_layers < self.height() - span.base
            && span.top() <= self.height()
    }
}

/// Which hashes of a tree: what messages 21, 22 and 23 name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span {
    /// The layer they lie in.
    pub base: u32,
    /// The first one's place in its layer.
    pub index: u32,
    /// How many: a power of two.
    pub length: u32,
    /// How many layers above `base` are to be proven.
    pub proof_layers: u32,
}

impl Span {
    /// Whether the numbers keep BEP 52's rules, whatever the file.
    ///
    /// "Length … must be equal-to-or-greater-than two and a power of two", "index … must be a
    /// multiple of length".
    pub fn is_sound(&self) -> bool {
        self.base < 64
            && self.length >= 2
            && self.length <= MAX_SPAN
            && self.length.is_power_of_two()
            && self.index.is_multiple_of(self.length)
            && self.proof_layers < 64
    }

    /// The layer of the node over the hashes themselves.
    pub fn subtree(&self) -> u32 {
        self.base.saturating_add(ceil_log2(self.length.into()))
    }

    /// How many uncles follow the hashes.
    ///
    /// The layers that the hashes themselves give are left out: `length + max(0, proof layers −
    /// (log2(length) − 1))` hashes in all.
    pub fn uncles(&self) -> u32 {
        (self.proof_layers + 1).saturating_sub(ceil_log2(self.length.into()))
    }

    /// The layer of the node that hashes and uncles together prove.
    pub fn top(&self) -> u32 {
        self.subtree().saturating_add(self.uncles())
    }

    /// How many hashes answer it.
    pub fn hash_count(&self) -> u32 {
        self.length + self.uncles()
    }

    /// Gathers the answer from whoever knows nodes by layer and place; `None` if one is missing.
    pub fn collect(
        &self,
        node: impl Fn(u32, u32) -> Option<Sha256Digest>,
    ) -> Option<Vec<Sha256Digest>> {
        let base = (self.index..self.index.checked_add(self.length)?).map(|at| node(self.base, at));
        let uncles = (0..self.uncles()).map(|up| {
            let layer = self.subtree() + up;
            node(layer, shift(self.index, layer - self.base) ^ 1)
        });
        base.chain(uncles).collect()
    }

    /// Checks an answer against the node known at layer [`top`](Self::top).
    pub fn verify(&self, known: &Sha256Digest, hashes: &[Sha256Digest]) -> Result<(), ProofError> {
        if !self.is_sound() || hashes.len() != self.hash_count() as usize {
            return Err(ProofError::Shape);
        }
        let (base, uncles) = hashes.split_at(self.length as usize);
        let subtree = root_of(base, self.base, self.subtree()).ok_or(ProofError::Shape)?;
        let top = uncles
            .iter()
            .zip(self.subtree()..)
            .fold(subtree, |node, (uncle, layer)| {
                if shift(self.index, layer - self.base) & 1 == 0 {
                    parent(&node, uncle)
                } else {
                    parent(uncle, &node)
                }
            });
        if top == *known {
            Ok(())
        } else {
            Err(ProofError::Mismatch)
        }
    }
}

fn shift(index: u32, by: u32) -> u32 {
    index.checked_shr(by).unwrap_or(0)
}

/// Why an answer proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProofError {
    /// The hashes do not lead to the known one.
    Mismatch,
    /// The numbers break the rules, or the hashes are not as many as asked for.
    Shape,
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mismatch => "the hashes do not lead to the known root",
            Self::Shape => "the hashes are not the ones asked for",
        })
    }
}

impl core::error::Error for ProofError {}

/// All nodes from one layer up to a single top, kept so that proofs cost no hashing.
///
/// Padding is not stored: twice the base layer in memory.
#[derive(Clone, Debug)]
pub struct Tree {
    base: u32,
    rows: Vec<Vec<Sha256Digest>>,
    pads: Vec<Sha256Digest>,
}

impl Tree {
    /// Over these nodes of layer `base`, up to layer `top`; `None` if they are too many, or none.
    pub fn new(nodes: Vec<Sha256Digest>, base: u32, top: u32) -> Option<Self> {
        let height = top.checked_sub(base).filter(|height| *height < 32)?;
        if nodes.is_empty() || top_layer(0, nodes.len() as u64) > height {
            return None;
        }
        let mut rows = Vec::with_capacity(height as usize + 1);
        rows.push(nodes);
        for below in 0..height {
            rows.push(row_above(&rows[below as usize], base + below));
        }
        let pads = (base..=top).map(pad).collect();
        Some(Self { base, rows, pads })
    }

    /// The lowest layer it knows.
    pub fn base(&self) -> u32 {
        self.base
    }

    /// The layer of its one top node.
    pub fn top(&self) -> u32 {
        self.base + self.rows.len() as u32 - 1
    }

    /// Its top node.
    pub fn root(&self) -> Sha256Digest {
        self.rows[self.rows.len() - 1][0]
    }

    /// The node at this place of this layer, padding included; `None` outside the tree.
    pub fn node(&self, layer: u32, index: u32) -> Option<Sha256Digest> {
        let above = layer.checked_sub(self.base)? as usize;
        let row = self.rows.get(above)?;
        let width = 1u64 << (self.top() - layer);
        if u64::from(index) >= width {
            return None;
        }
        Some(*row.get(index as usize).unwrap_or(&self.pads[above]))
    }
}
