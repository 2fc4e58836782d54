//! Shelving: what readers come to is kept in storage as it comes, and nothing else is fetched for it.
//!
//! The window decides what is wanted, storage has what is had. Storage may let go of pieces, and
//! may end at any time: then memory is all there is, as before.

use alloc::vec::Vec;

use super::Swarm;
use super::dealing::understands_later;
use crate::bitfield::Bitfield;
use crate::hash::Sha256Digest;
use crate::layout::PieceIndex;
use crate::peer::Peer;
use crate::wire::Message;

use super::torrent::Verdict;

impl Swarm {
    /// The stored piece that is farthest from what anybody will read; `None` if readers are near all of them.
    pub fn least_wanted_stored(&self) -> Option<PieceIndex> {
        let torrent = self.torrent.as_ref()?;
        let far = |piece: &u32| torrent.window.distance(*piece);
        let outside = torrent.have.iter().filter(|piece| far(piece) > 0);
        torrent.layout().piece(outside.max_by_key(far)?)
    }

    /// Whether these are a piece's bytes, without padding: then the SHA-256 of its blocks, if it is a v2 piece.
    pub fn leaves_if_right(&self, piece: PieceIndex, data: &[u8]) -> Option<Vec<Sha256Digest>> {
        let (verdict, leaves) = self.torrent.as_ref()?.judge(piece, data);
        (verdict == Verdict::Right).then_some(leaves)
    }

    /// Storage has these pieces, and is to have those that readers come to.
    pub(super) fn shelve(&mut self, have: Bitfield) {
        let Some(torrent) = self.torrent.as_mut().filter(|torrent| !torrent.complete) else {
            debug_assert!(false, "shelved what is in storage, or is not known");
            return;
        };
        if have.len() != torrent.layout().piece_count() {
            debug_assert!(false, "shelved pieces of another torrent");
            return;
        }
        let in_memory: Vec<u32> = torrent.cache.indices().collect();
        torrent.complete = true;
        torrent.shelved = true;
        for piece in have.iter() {
            torrent.picker.forget(piece);
        }
        let news: Vec<u32> = have.iter().collect();
        torrent.have = have;
        for piece in news {
            self.mention_piece(piece);
        }
        for piece in in_memory {
            self.store(piece);
        }
        self.look_anew();
        self.serve_waiting();
    }

    /// Storage is no more: what lay there is fetched again when it is read.
    pub(super) fn unshelve(&mut self) {
        let Some(torrent) = self.torrent.as_mut().filter(|torrent| torrent.shelved) else {
            return;
        };
        torrent.complete = false;
        torrent.shelved = false;
        let (cache, have) = (&torrent.cache, &torrent.have);
        let gone: Vec<u32> = have.iter().filter(|piece| !cache.has(*piece)).collect();
        let unsaid: Vec<u32> = cache.indices().filter(|piece| !have.has(*piece)).collect();
        for piece in &gone {
            torrent.have.clear(*piece);
        }
        for piece in &unsaid {
            torrent.have.set(*piece);
        }
        for state in torrent.readers.values_mut() {
            state.loading = None;
        }
        let missing = torrent.missing_in(torrent.window.ranges());
        self.retract(&gone);
        for piece in unsaid {
            self.announce_piece(piece);
        }
        self.want(&missing);
        self.look_anew();
        self.serve_waiting();
    }

    /// Storage let a piece go to make room.
    pub(super) fn let_go(&mut self, piece: PieceIndex) {
        let torrent = self.torrent.as_mut().filter(|torrent| torrent.shelved);
        if torrent.is_some_and(|torrent| torrent.have.clear(piece.get())) {
            self.retract(&[piece.get()]);
            self.want_for_readers(piece);
        }
    }

    /// A piece is gone from the shelf: it is fetched again if readers are near it.
    pub(super) fn want_for_readers(&mut self, piece: PieceIndex) {
        let Some(torrent) = self.torrent.as_ref().filter(|torrent| torrent.shelved) else {
            return;
        };
        let lacks = torrent.window.contains(piece.get()) && !torrent.have.has(piece.get());
        let known = torrent.cache.has(piece.get())
            || torrent.assembler.piece(piece.get()).is_some()
            || torrent.picker.fresh().any(|other| other == piece.get());
        if lacks && !known {
            self.want(&[piece]);
            self.look_anew();
        }
    }

    /// Tells peers that we have a piece: those who lack it, and seeds that deal, for they give first
    /// what nobody else has.
    pub(super) fn mention_piece(&mut self, piece: u32) {
        let cares = |peer: &Peer| !peer.has(piece) || (peer.is_seed() && understands_later(peer));
        for peer in self.peers.values_mut() {
            if peer.knows_ours && cares(peer) {
                peer.mention(&Message::Have(piece));
            }
        }
    }

    /// What we want of whom may have changed altogether.
    pub(super) fn look_anew(&mut self) {
        for key in self.peers.keys().copied().collect::<Vec<_>>() {
            self.update_interest(key);
        }
        self.origins.look = true;
        self.dirty_all();
    }
}
