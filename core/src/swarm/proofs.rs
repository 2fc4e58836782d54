//! Hashes between peers: asking for the leaves and layers that prove bytes, checking what comes,
//! answering others (BEP 52).

use alloc::vec::Vec;

use super::Swarm;
use super::hashes::{MAX_DEBTS, Purpose, Reply, Wanted, reply, span_of};
use crate::hash::Sha256Digest;
use crate::ids::PeerKey;
use crate::layout::{FileIndex, PieceIndex};
use crate::ordered::Map;
use crate::peer::{Fault, Peer};
use crate::time::Instant;
use crate::wire::{HashSpan, Message};

/// Hash requests out to one peer.
pub(super) const MAX_OUT: usize = 32;
/// Knuth's multiplier, by which neighbours are chosen in another order for each piece.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Swarm {
    /// Sends the hash requests that nobody answers yet.
    pub(super) fn ask_for_hashes(&mut self) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        if torrent.hashes.is_idle() {
            return;
        }
        for (span, wanted) in torrent.hashes.due(self.now) {
            let Some(key) = choose(&self.peers, &span, &wanted, self.now) else {
                continue;
            };
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.hash_requests.insert(span);
                peer.say(&Message::HashRequest(span));
                self.dirty.insert(key);
                torrent.hashes.ask(self.now, span, key);
            }
        }
    }

    /// A peer refuses a hash request of ours.
    pub(super) fn hashes_refused(&mut self, key: PeerKey, span: &HashSpan) -> Result<(), Fault> {
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &mut self.torrent) else {
            return Ok(());
        };
        if peer.hash_requests.remove(span) {
            torrent.hashes.release(self.now, span, key);
        }
        Ok(())
    }

    /// Hashes came.
    pub(super) fn hashes_came(
        &mut self,
        key: PeerKey,
        span: &HashSpan,
        bytes: &[u8],
    ) -> Result<(), Fault> {
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &mut self.torrent) else {
            return Err(Fault::BadHashes);
        };
        if !peer.hash_requests.remove(span) {
            return Err(Fault::BadHashes);
        }
        // Somebody else may have answered it meanwhile, or the reader moved on.
        let Some(purpose) = torrent.hashes.purpose(span) else {
            return Ok(());
        };
        let hashes: Vec<Sha256Digest> = bytes
            .chunks_exact(32)
            .filter_map(Sha256Digest::from_slice)
            .collect();
        let known = match purpose {
            Purpose::Leaves(piece) => torrent.metainfo.v2_piece_root(piece),
            Purpose::Layer(file) => torrent.metainfo.pieces_root(file),
        };
        let proven = known.is_some_and(|known| span_of(span).verify(&known, &hashes).is_ok());
        if !proven {
            torrent.hashes.release(self.now, span, key);
            return Err(Fault::BadHashes);
        }
        torrent.hashes.done(span);
        match purpose {
            Purpose::Leaves(piece) => self.prove_piece(piece, hashes),
            Purpose::Layer(file) => self.grow_layer(file, span, hashes),
        }
        Ok(())
    }

    fn prove_piece(&mut self, piece: PieceIndex, mut leaves: Vec<Sha256Digest>) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        leaves.truncate(torrent.real_blocks(piece) as usize);
        let Some(partial) = torrent.assembler.piece_mut(piece.get()) else {
            return;
        };
        let bad = partial.prove(leaves);
        let good: u64 = partial.verified_bytes();
        let first = partial.proven().iter().next();
        self.totals.verified += good;
        if let Some(first) = first {
            self.hurry_word_of(piece.get(), first, None);
        }
        for (block, liar) in bad {
            let Some(block) = self
                .torrent
                .as_ref()
                .map(|torrent| torrent.block(piece, block))
            else {
                continue;
            };
            self.refuse_block(liar, block);
            self.close(liar, Some(Fault::BadBytes), true);
        }
        self.piece_grew(piece);
    }

    fn grow_layer(&mut self, file: FileIndex, span: &HashSpan, mut hashes: Vec<Sha256Digest>) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let Some(shape) = torrent.metainfo.shape(file) else {
            return;
        };
        hashes.truncate(span.length as usize);
        let pieces = shape.piece_count() as usize;
        let left = pieces.saturating_sub(span.index as usize);
        hashes.truncate(left);
        let Some(layer) = torrent.hashes.add_layer(file, span.index, hashes, pieces) else {
            return;
        };
        if torrent.metainfo.set_piece_layer(file, layer).is_ok() {
            let range = torrent.layout().file_pieces(file);
            let pieces: Vec<PieceIndex> = torrent
                .missing_in(&[range])
                .into_iter()
                .filter(|piece| torrent.window.contains(piece.get()))
                .collect();
            self.want(&pieces);
            self.unstick();
            self.dirty_all();
        }
    }

    /// A peer asks for hashes.
    pub(super) fn hashes_asked(&mut self, key: PeerKey, span: &HashSpan) -> Result<(), Fault> {
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        let can = self.config.upload && peer.hash_debts < MAX_DEBTS;
        let Some(torrent) = self.torrent.as_mut().filter(|_| can) else {
            peer.say(&Message::HashReject(*span));
            return Ok(());
        };
        if let Reply::Later(pieces) = reply(torrent, span, &Map::new()) {
            peer.hash_debts += 1;
            torrent.hashes.owe(key, *span, &pieces);
            self.outputs
                .extend(pieces.into_iter().map(super::Output::LoadLeaves));
            return Ok(());
        }
        self.pay(key, span, &Map::new());
        Ok(())
    }

    /// Storage answered with leaves.
    pub(super) fn leaves_loaded(&mut self, piece: PieceIndex, leaves: &[Sha256Digest]) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        for (key, span, leaves) in torrent.hashes.leaves_loaded(piece.get(), leaves) {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.hash_debts = peer.hash_debts.saturating_sub(1);
            }
            self.pay(key, &span, &leaves);
        }
    }

    fn pay(&mut self, key: PeerKey, span: &HashSpan, leaves: &Map<u32, Vec<Sha256Digest>>) {
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &mut self.torrent) else {
            return;
        };
        match reply(torrent, span, leaves) {
            Reply::Hashes(hashes) => {
                self.totals.hashes_sent += hashes.len() as u64;
                peer.sent.add(self.now, hashes.len() as u64);
                peer.say(&Message::Hashes {
                    span: *span,
                    hashes: &hashes,
                });
            }
            Reply::Later(_) | Reply::Reject => peer.say(&Message::HashReject(*span)),
        }
        self.dirty.insert(key);
    }
}

/// Whom to ask: a peer that means v2, has the piece if it is about one, has not been asked already,
/// and is least busy; the one that refused only later and if there is no other. Rather somebody who
/// gives blocks of it than a seed that deals its blocks out, for of that one everybody asks what is new.
fn choose(
    peers: &Map<PeerKey, Peer>,
    span: &HashSpan,
    wanted: &Wanted,
    now: Instant,
) -> Option<PeerKey> {
    let able = |peer: &&Peer| {
        let has = match wanted.purpose {
            Purpose::Leaves(piece) => peer.has_any(piece.get()),
            Purpose::Layer(_) => true,
        };
        let asked = &peer.hash_requests;
        peer.v2 && has && asked.len() < MAX_OUT && !asked.contains(span)
    };
    let refused = |peer: &Peer| {
        wanted
            .refused
            .is_some_and(|(refuser, _)| refuser == peer.key)
    };
    let order = |peer: &&Peer| {
        let luck = (peer.key.0 ^ u64::from(span.index)).wrapping_mul(SPREAD);
        let is_doubtful = refused(peer) || peer.snubbed || peer.pipeline.is_doubted();
        let is_asked = peer.is_seed() && peer.deals(now);
        let worse = if is_doubtful { 2 * MAX_OUT } else { 0 } + if is_asked { MAX_OUT } else { 0 };
        (worse + peer.hash_requests.len(), luck)
    };
    let best = peers.values().filter(able).min_by_key(order)?;
    (!refused(best) || wanted.is_rested(now)).then_some(best.key)
}
