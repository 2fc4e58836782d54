//! The desk where v2 hashes are asked for, checked and given out (BEP 52, messages 21 to 23).
//!
//! It knows which hashes are out with whom and which requests of others wait for storage. It sends
//! nothing.

use alloc::vec::Vec;

use super::torrent::Torrent;
use crate::hash::Sha256Digest;
use crate::ids::PeerKey;
use crate::layout::{BLOCK_LENGTH, FileIndex, PieceIndex};
use crate::merkle::{Span, Tree, pad};
use crate::ordered::Map;
use crate::time::{Duration, Instant};
use crate::wire::HashSpan;

/// How long a hash request may go unanswered before another peer is asked.
const PATIENCE: Duration = Duration::from_millis(1500);
/// After so many refusals it is not tried again before that.
const HASTY: u32 = 3;
/// Hashes of a piece layer asked for at a time.
const LAYER_SPAN: u32 = 512;
/// Hash requests of one peer that may wait for storage.
pub(super) const MAX_DEBTS: u32 = 16;
/// Trees over piece layers kept for proofs.
const MAX_TREES: usize = 16;

/// Why hashes were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// To prove the blocks of this piece one by one.
    Leaves(PieceIndex),
    /// To know the pieces of this file.
    Layer(FileIndex),
}

/// A hash request that is out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub purpose: Purpose,
    /// With whom, since when; `None` if nobody was asked yet.
    pub asked: Option<(PeerKey, Instant)>,
    /// Who refused last, and when.
    pub refused: Option<(PeerKey, Instant)>,
    /// How often that happened.
    pub refusals: u32,
}

impl Wanted {
    /// Whether whoever refused last may be asked again.
    pub fn is_rested(&self, now: Instant) -> bool {
        let refused = self.refused;
        refused.is_none_or(|(_, at)| now.since(at) > PATIENCE)
    }
}

/// A request of a peer that waits for leaves from storage.
#[derive(Debug)]
struct Debt {
    peer: PeerKey,
    span: HashSpan,
    missing: Vec<u32>,
    leaves: Map<u32, Vec<Sha256Digest>>,
}

/// What can be said to a hash request.
#[derive(Debug)]
pub(super) enum Reply {
    Hashes(Vec<u8>),
    /// Storage must be asked for the leaves of these pieces first.
    Later(Vec<PieceIndex>),
    Reject,
}

/// Hashes wanted, and hashes owed.
#[derive(Debug, Default)]
pub(super) struct HashDesk {
    wanted: Map<HashSpan, Wanted>,
    layers: Map<FileIndex, Map<u32, Vec<Sha256Digest>>>,
    debts: Vec<Debt>,
    trees: Map<FileIndex, Tree>,
}

impl HashDesk {
    /// The leaves of a piece are wanted.
    pub fn want_leaves(&mut self, torrent_piece: PieceIndex, span: HashSpan) {
        let wanted = Wanted {
            purpose: Purpose::Leaves(torrent_piece),
            asked: None,
            refused: None,
            refusals: 0,
        };
        self.wanted.entry(span).or_insert(wanted);
    }

    /// The piece layer of a file is wanted, in these spans.
    pub fn want_layer(&mut self, file: FileIndex, spans: impl Iterator<Item = HashSpan>) {
        if self.layers.contains_key(&file) {
            return;
        }
        self.layers.insert(file, Map::new());
        for span in spans {
            let wanted = Wanted {
                purpose: Purpose::Layer(file),
                asked: None,
                refused: None,
                refusals: 0,
            };
            self.wanted.entry(span).or_insert(wanted);
        }
    }

    /// Nobody needs the leaves of this piece any more. Who had been asked.
    pub fn forget_leaves(&mut self, piece: PieceIndex) {
        self.wanted
            .retain(|_, wanted| wanted.purpose != Purpose::Leaves(piece));
    }

    /// Whether anything is wanted.
    pub fn is_idle(&self) -> bool {
        self.wanted.is_empty()
    }

    /// What nobody was asked for, or what whoever was asked has kept for too long.
    pub fn due(&self, now: Instant) -> Vec<(HashSpan, Wanted)> {
        let is_over = |at: Instant| now.since(at) > PATIENCE;
        let is_due = |wanted: &Wanted| match (wanted.asked, wanted.refused) {
            (Some((_, at)), _) => is_over(at),
            (None, Some((_, at))) => wanted.refusals <= HASTY || is_over(at),
            (None, None) => true,
        };
        self.wanted
            .iter()
            .filter(|(_, wanted)| is_due(wanted))
            .map(|(span, wanted)| (*span, *wanted))
            .collect()
    }

    /// A peer was asked.
    pub fn ask(&mut self, now: Instant, span: HashSpan, peer: PeerKey) {
        if let Some(wanted) = self.wanted.get_mut(&span) {
            wanted.asked = Some((peer, now));
        }
    }

    /// A peer refused, or answered badly.
    pub fn release(&mut self, now: Instant, span: &HashSpan, peer: PeerKey) {
        if let Some(wanted) = self.wanted.get_mut(span) {
            wanted.asked = wanted.asked.filter(|(asked, _)| *asked != peer);
            wanted.refused = Some((peer, now));
            wanted.refusals += 1;
        }
    }

    /// A peer is gone: what it was asked is free, what it was owed is void.
    pub fn drop_peer(&mut self, peer: PeerKey) {
        for wanted in self.wanted.values_mut() {
            if wanted.asked.is_some_and(|(asked, _)| asked == peer) {
                wanted.asked = None;
            }
        }
        self.debts.retain(|debt| debt.peer != peer);
    }

    /// What this span was wanted for, if it is.
    pub fn purpose(&self, span: &HashSpan) -> Option<Purpose> {
        self.wanted.get(span).map(|wanted| wanted.purpose)
    }

    /// The span has been answered well.
    pub fn done(&mut self, span: &HashSpan) {
        self.wanted.remove(span);
    }

    /// A proven part of a file's piece layer came: the whole layer, once it is there.
    pub fn add_layer(
        &mut self,
        file: FileIndex,
        index: u32,
        hashes: Vec<Sha256Digest>,
        pieces: usize,
    ) -> Option<Vec<Sha256Digest>> {
        let parts = self.layers.get_mut(&file)?;
        parts.insert(index, hashes);
        let there: usize = parts.values().map(Vec::len).sum();
        if there < pieces {
            return None;
        }
        let mut layer: Vec<Sha256Digest> =
            self.layers.remove(&file)?.into_values().flatten().collect();
        layer.truncate(pieces);
        Some(layer)
    }

    /// Storage answered with leaves (none if it could not): the debts that can be paid now.
    pub fn leaves_loaded(
        &mut self,
        piece: u32,
        leaves: &[Sha256Digest],
    ) -> Vec<(PeerKey, HashSpan, Map<u32, Vec<Sha256Digest>>)> {
        let mut payable = Vec::new();
        for at in (0..self.debts.len()).rev() {
            let debt = &mut self.debts[at];
            if let Some(place) = debt.missing.iter().position(|missing| *missing == piece) {
                debt.missing.swap_remove(place);
                debt.leaves.insert(piece, leaves.to_vec());
                if debt.missing.is_empty() {
                    let debt = self.debts.swap_remove(at);
                    payable.push((debt.peer, debt.span, debt.leaves));
                }
            }
        }
        payable
    }

    /// A request must wait for these pieces' leaves.
    pub fn owe(&mut self, peer: PeerKey, span: HashSpan, missing: &[PieceIndex]) {
        let missing = missing.iter().map(|piece| piece.get()).collect();
        self.debts.push(Debt {
            peer,
            span,
            missing,
            leaves: Map::new(),
        });
    }
}

/// The span of a piece's leaves, if it has any that its root is not.
pub(super) fn leaves_span(torrent: &Torrent, piece: PieceIndex) -> Option<HashSpan> {
    let part = torrent.layout().file_piece(piece)?;
    let root = torrent.metainfo.pieces_root(part.file)?;
    let height = torrent.metainfo.shape(part.file)?.piece_root_layer();
    torrent.metainfo.v2_piece_root(piece)?;
    let length = 1u32 << height;
    (length >= 2).then(|| HashSpan {
        root: root.0,
        base_layer: 0,
        index: part.index * length,
        length,
        proof_layers: 0,
    })
}

/// The spans that make up a file's piece layer, each with its proof.
pub(super) fn layer_spans(torrent: &Torrent, file: FileIndex) -> Vec<HashSpan> {
    let (Some(root), Some(shape)) = (
        torrent.metainfo.pieces_root(file),
        torrent.metainfo.shape(file),
    ) else {
        return Vec::new();
    };
    let base_layer = shape.piece_layer();
    let pieces = shape.piece_count() as u32;
    let length = pieces.next_power_of_two().clamp(2, LAYER_SPAN);
    let proof_layers = shape.height().saturating_sub(base_layer + 1);
    (0..pieces)
        .step_by(length as usize)
        .map(|index| HashSpan {
            root: root.0,
            base_layer,
            index,
            length,
            proof_layers,
        })
        .collect()
}

/// The same numbers as the trees know them.
pub(super) fn span_of(span: &HashSpan) -> Span {
    Span {
        base: span.base_layer,
        index: span.index,
        length: span.length,
        proof_layers: span.proof_layers,
    }
}

/// What to say to a peer's request; `extra` are leaves that storage delivered for it.
pub(super) fn reply(
    torrent: &mut Torrent,
    request: &HashSpan,
    extra: &Map<u32, Vec<Sha256Digest>>,
) -> Reply {
    let span = span_of(request);
    let metainfo = &torrent.metainfo;
    let file = metainfo.file_with_root(&Sha256Digest(request.root));
    let Some((file, shape)) = file.and_then(|file| Some((file, metainfo.shape(file)?))) else {
        return Reply::Reject;
    };
    if !shape.has(span) {
        return Reply::Reject;
    }
    let piece_layer = shape.piece_root_layer();
    let first = torrent.layout().file_pieces(file).start;
    let mut leaves: Map<u32, Tree> = Map::new();
    if span.base < piece_layer {
        let mut later = Vec::new();
        let reach = u64::from(span.index + span.length) << span.base;
        let until = reach.div_ceil(1 << piece_layer).min(shape.piece_count()) as u32;
        for index in (span.index << span.base) >> piece_layer..until {
            let Some(piece) = torrent.layout().piece(first + index) else {
                return Reply::Reject;
            };
            let known = extra
                .get(&piece.get())
                .map(Vec::as_slice)
                .or_else(|| Some(&*torrent.cache.piece(piece.get())?.leaves))
                .or_else(|| Some(torrent.assembler.piece(piece.get())?.leaves()));
            match known {
                Some(known) if !known.is_empty() => {
                    match Tree::new(known.to_vec(), 0, piece_layer) {
                        Some(tree) => leaves.insert(index, tree),
                        None => return Reply::Reject,
                    }
                }
                None if torrent.complete => {
                    later.push(piece);
                    continue;
                }
                _ => return Reply::Reject,
            };
        }
        if !later.is_empty() {
            return Reply::Later(later);
        }
    }
    if span.top() > piece_layer && shape.has_piece_layer() && !grow_tree(torrent, file) {
        return Reply::Reject;
    }
    let above = torrent.hashes.trees.get(&file);
    let blocks = shape.length.div_ceil(BLOCK_LENGTH.into());
    let node = |layer: u32, index: u32| {
        if layer >= piece_layer && shape.has_piece_layer() {
            return above?.node(layer, index);
        }
        let down = piece_layer - layer;
        match leaves.get(&(index >> down)) {
            Some(tree) => tree.node(layer, index & ((1 << down) - 1)),
            None => (u64::from(index) << layer >= blocks).then(|| pad(layer)),
        }
    };
    match span.collect(node) {
        Some(hashes) => Reply::Hashes(hashes.iter().flat_map(|hash| hash.0).collect()),
        None => Reply::Reject,
    }
}

/// Makes sure that the tree over a file's piece layer is there. Whether it is.
fn grow_tree(torrent: &mut Torrent, file: FileIndex) -> bool {
    let trees = &mut torrent.hashes.trees;
    if trees.contains_key(&file) {
        return true;
    }
    let (Some(layer), Some(shape)) = (
        torrent.metainfo.piece_layer(file),
        torrent.metainfo.shape(file),
    ) else {
        return false;
    };
    let Some(tree) = Tree::new(layer.to_vec(), shape.piece_layer(), shape.height()) else {
        return false;
    };
    if trees.len() >= MAX_TREES {
        trees.pop_first();
    }
    trees.insert(file, tree);
    true
}
