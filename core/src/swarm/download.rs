//! Getting: who has what, whom we want something of, which block is asked of whom, and what comes.

use alloc::vec::Vec;

use super::provenance::FROM_PEERS;
use super::torrent::Verdict;
use super::{Event, Order, Swarm};
use crate::assembler::Received;
use crate::bitfield::Bitfield;
use crate::cache::Cached;
use crate::ids::PeerKey;
use crate::layout::{BLOCK_LENGTH, Block, PieceIndex};
use crate::ordered::{Map, Set};
use crate::peer::{Fault, Has, Peer};
use crate::picker::Pick;
use crate::selector;
use crate::time::Duration;
use crate::window::Moved;
use crate::wire::Message;

/// How long a peer that refused a block is not asked for its piece.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// Pieces let go before a peer said whether it wants to hear of that.
const MAX_UNTOLD: usize = 256;
/// Blocks nobody asked for that a peer may send beyond those we took back.
const MAX_UNASKED: u32 = 64;

impl Swarm {
    /// A peer said all that it has.
    pub(super) fn has_now(&mut self, key: PeerKey, has: Has) {
        let Some(mut peer) = self.peers.remove(&key) else {
            return;
        };
        self.forget_pieces_of(&peer);
        peer.has = has;
        self.company_changed = true;
        if let Some(torrent) = &mut self.torrent {
            match &peer.has {
                Has::All => torrent.availability.add_seed(),
                Has::Some(bits) => {
                    for piece in bits.iter() {
                        torrent.availability.add(piece);
                        torrent
                            .picker
                            .recount(piece, torrent.availability.rarity(piece));
                    }
                }
                Has::Unread { .. } => {}
            }
        }
        self.peers.insert(key, peer);
    }

    /// A peer has one more piece.
    pub(super) fn has_one(&mut self, key: PeerKey, piece: u32) -> Result<(), Fault> {
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &mut self.torrent) else {
            return Ok(());
        };
        let pieces = torrent.layout().piece_count();
        torrent.layout().piece(piece).ok_or(Fault::BadMessage)?;
        if let Has::Unread { .. } = peer.has {
            peer.has = Has::Some(Bitfield::none(pieces));
            self.company_changed = true;
        }
        let Has::Some(bits) = &mut peer.has else {
            return Ok(());
        };
        if !bits.set(piece) {
            return Ok(());
        }
        let is_full = bits.is_full();
        torrent.availability.add(piece);
        torrent
            .picker
            .recount(piece, torrent.availability.rarity(piece));
        if is_full {
            self.has_now(key, Has::All);
        }
        Ok(())
    }

    /// A peer let a piece go (BEP 54).
    pub(super) fn has_no_more(&mut self, key: PeerKey, piece: u32) -> Result<(), Fault> {
        self.share_pieces_of(key);
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &mut self.torrent) else {
            return Ok(());
        };
        torrent.layout().piece(piece).ok_or(Fault::BadMessage)?;
        self.grid.let_go(key, piece);
        let mut bits = match &peer.has {
            Has::All => Bitfield::all(torrent.layout().piece_count()),
            Has::Some(bits) if bits.has(piece) && !peer.is_seed() => {
                torrent.availability.remove(piece);
                torrent
                    .picker
                    .recount(piece, torrent.availability.rarity(piece));
                if let Has::Some(bits) = &mut peer.has {
                    bits.clear(piece);
                }
                return Ok(());
            }
            Has::Some(_) | Has::Unread { .. } => return Ok(()),
        };
        bits.clear(piece);
        self.has_now(key, Has::Some(bits));
        self.update_interest(key);
        Ok(())
    }

    /// What a peer has no longer counts: it left, or says it anew.
    pub(super) fn forget_pieces_of(&mut self, peer: &Peer) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        match &peer.has {
            Has::All => torrent.availability.remove_seed(),
            Has::Some(bits) => {
                for piece in bits.iter() {
                    torrent.availability.remove(piece);
                    torrent
                        .picker
                        .recount(piece, torrent.availability.rarity(piece));
                }
            }
            Has::Unread { .. } => {}
        }
    }

    /// Tells a peer whether we want something of it: whether it has a piece of the window. That we
    /// have the piece by now does not matter, or it would be told anew with every piece.
    pub(super) fn update_interest(&mut self, key: PeerKey) {
        self.unstick();
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &self.torrent) else {
            return;
        };
        if peer.id.is_none() {
            return;
        }
        let mut pieces = torrent.window.ranges().iter().flat_map(Clone::clone);
        let wanted = !torrent.broken
            && match &torrent.keeping {
                Some(keeping) => keeping.wants_of(peer, &torrent.have),
                None => !torrent.complete && pieces.any(|piece| peer.has(piece)),
            };
        if wanted != peer.wanted {
            peer.wanted = wanted;
            peer.say(if wanted {
                &Message::Interested
            } else {
                &Message::NotInterested
            });
        }
        self.dirty.insert(key);
    }

    /// The readers moved: what left the window is given up, what entered it is wanted.
    pub(super) fn window_moved(&mut self, moved: &Moved) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        if torrent.keeping.is_some() {
            return self.hurry(&moved.entered);
        }
        for piece in moved.left.iter().flat_map(Clone::clone) {
            torrent.picker.forget(piece);
            let Some(index) = torrent.layout().piece(piece) else {
                continue;
            };
            torrent.hashes.forget_leaves(index);
            if let Some(partial) = torrent.assembler.remove(piece) {
                torrent.cache.release(partial.len());
                let asked = partial
                    .asked()
                    .map(|(block, asked)| (torrent.block(index, block), asked));
                for (block, asked) in asked.collect::<Vec<_>>() {
                    for peer in asked.into_iter().flatten() {
                        take_back(&mut self.peers, &mut self.dirty, peer, block);
                    }
                }
            }
        }
        let entered = torrent.missing_in(&moved.entered);
        self.want(&entered);
        for key in self.peers.keys().copied().collect::<Vec<_>>() {
            self.update_interest(key);
        }
    }

    /// These pieces are to be fetched.
    pub(super) fn want(&mut self, pieces: &[PieceIndex]) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        for piece in pieces {
            let salt = if self.crowded {
                self.rng.next_u64() as u32
            } else {
                piece.get()
            };
            if torrent.can_verify(*piece) {
                let rarity = torrent.availability.rarity(piece.get());
                match self.config.order {
                    Order::Rarest => torrent.picker.want(piece.get(), rarity, salt),
                    Order::Strict => torrent.picker.want_next(piece.get()),
                }
            } else if let Some(part) = torrent.layout().file_piece(*piece) {
                let spans = super::hashes::layer_spans(torrent, part.file);
                torrent.hashes.want_layer(part.file, spans.into_iter());
            }
        }
    }

    /// Somebody who lacks pieces is there, or nobody any more: in a crowd equally rare pieces are
    /// fetched in an order of our own, for what all fetch in one order nobody can give the others;
    /// alone among seeds nothing is gained by that.
    pub(super) fn look_around(&mut self) {
        if !core::mem::take(&mut self.company_changed) {
            return;
        }
        let lacks = |peer: &Peer| !peer.is_seed() && !matches!(peer.has, Has::Unread { .. });
        let crowded = (self.peers.values()).any(|peer| peer.id.is_some() && lacks(peer));
        if crowded != self.crowded {
            self.crowded = crowded;
            let Some(torrent) = &self.torrent else { return };
            let fresh: Vec<PieceIndex> = torrent
                .picker
                .fresh()
                .filter_map(|piece| torrent.layout().piece(piece))
                .collect();
            self.want(&fresh);
        }
    }

    /// Asks a peer for blocks until its pipeline is full.
    pub(super) fn request_blocks(&mut self, key: PeerKey) {
        let may_ask = |peer: &&Peer| !peer.chokes_us && peer.wanted && peer.pipeline.is_hungry();
        if self.peers.get(&key).filter(may_ask).is_none() {
            return;
        }
        let best = self.best_expected();
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &mut self.torrent) else {
            return;
        };
        if torrent.broken {
            return;
        }
        let is_fit = best
            .is_none_or(|best| selector::may_take_urgent(peer.pipeline.expected(self.now), best));
        let mut evicted = Vec::new();
        peer.deferred.retain(|_, until| *until > self.now);
        while peer.pipeline.room() > 0 {
            let urgent = torrent.window.urgent().filter(|_| is_fit);
            let may = |piece: u32| {
                let only = torrent
                    .assembler
                    .piece(piece)
                    .and_then(|partial| partial.only);
                peer.has(piece)
                    && !peer.deferred.contains_key(&piece)
                    && only.is_none_or(|only| only == key)
            };
            let piece = match torrent.picker.next(urgent, may) {
                None => break,
                Some(Pick::Begun(piece)) => piece,
                Some(Pick::Fresh(piece)) => {
                    let Some(index) = torrent.layout().piece(piece) else {
                        break;
                    };
                    let (begun, gone) = torrent.begin(index);
                    evicted.extend(gone);
                    if !begun {
                        break;
                    }
                    if let Some(span) = super::hashes::leaves_span(torrent, index) {
                        torrent.hashes.want_leaves(index, span);
                        // Ahead of the blocks, so that the first of them can be proven when it comes.
                        if peer.v2 && peer.hash_requests.len() < super::proofs::MAX_OUT {
                            // It may have been asked already, before the reader left and came back.
                            if peer.hash_requests.insert(span) {
                                peer.say(&Message::HashRequest(span));
                            }
                            torrent.hashes.ask(self.now, span, key);
                        }
                    }
                    piece
                }
            };
            let free = torrent
                .assembler
                .piece_mut(piece)
                .and_then(|partial| partial.next_free());
            let (Some(free), Some(index)) = (free, torrent.layout().piece(piece)) else {
                torrent.picker.forget(piece);
                continue;
            };
            let block = torrent.block(index, free);
            if let Some(partial) = torrent.assembler.piece_mut(piece) {
                partial.ask(free, key);
                if partial.next_free().is_none() {
                    torrent.picker.forget(piece);
                }
            }
            if !peer.pipeline.reclaim(block) {
                peer.pipeline.ask(self.now, block);
                peer.say(&request(block));
                self.is_asking = true;
            }
        }
        self.retract(&evicted);
    }

    /// What the fastest peer needs for a block.
    pub(super) fn best_expected(&self) -> Option<Duration> {
        let useful = self
            .peers
            .values()
            .filter(|peer| !peer.chokes_us && peer.wanted && !peer.snubbed);
        useful.map(|peer| peer.pipeline.expected(self.now)).min()
    }

    /// Tells peers that these pieces are gone (BEP 54).
    fn retract(&mut self, evicted: &[u32]) {
        for piece in evicted {
            self.say_gone(*piece);
            self.tell(Event::PieceEvicted { piece: *piece });
        }
    }

    /// Tells all who understand it that we no longer have a piece.
    pub(super) fn say_gone(&mut self, piece: u32) {
        let payload = crate::wire::extended::DontHave(piece).to_payload();
        for peer in self.peers.values_mut() {
            let Some(id) = peer.lt_donthave() else {
                // It has our bitfield, and has not said yet whether it knows the word.
                peer.untold
                    .extend((peer.untold.len() < MAX_UNTOLD).then_some(piece));
                continue;
            };
            peer.mention(&Message::Extended {
                id,
                payload: &payload,
            });
        }
    }

    /// A block came.
    pub(super) fn block_came(
        &mut self,
        key: PeerKey,
        piece: u32,
        begin: u32,
        data: &[u8],
    ) -> Result<(), Fault> {
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &mut self.torrent) else {
            return Err(Fault::BadMessage);
        };
        let index = torrent.layout().piece(piece).ok_or(Fault::BadMessage)?;
        let block = Block {
            piece: index,
            begin,
            length: data.len() as u32,
        };
        self.totals.received.add(self.now, data.len() as u64);
        if peer.pipeline.answer(self.now, block).is_none() {
            self.totals.wasted += data.len() as u64;
            peer.excused = peer.excused.checked_sub(1).ok_or(Fault::BadMessage)?;
            return Ok(());
        }
        peer.snubbed = false;
        let number = begin / BLOCK_LENGTH;
        let asked = torrent.assembler.piece(piece).and_then(|partial| {
            partial
                .asked()
                .find(|(asked, _)| *asked == number)
                .map(|(_, asked)| asked)
        });
        match torrent.assembler.receive(piece, number, data, key) {
            Received::Duplicate => self.totals.wasted += data.len() as u64,
            Received::Bad => {
                self.refuse_block(key, block);
                return Err(Fault::BadBytes);
            }
            received @ (Received::Stored | Received::Verified) => {
                for loser in asked
                    .into_iter()
                    .flatten()
                    .flatten()
                    .filter(|asked| *asked != key)
                {
                    take_back(&mut self.peers, &mut self.dirty, loser, block);
                }
                if received == Received::Verified {
                    self.totals.verified += data.len() as u64;
                }
                self.piece_grew(index);
            }
        }
        Ok(())
    }

    /// A block of this piece came or was proven: perhaps the piece is whole, perhaps somebody waits for it.
    pub(super) fn piece_grew(&mut self, piece: PieceIndex) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        match torrent.assembler.piece(piece.get()) {
            Some(partial) if partial.is_whole() => self.finish(piece),
            _ => self.serve_waiting(),
        }
    }

    /// A piece is whole.
    fn finish(&mut self, piece: PieceIndex) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let Some(mut partial) = torrent.assembler.remove(piece.get()) else {
            return;
        };
        torrent.hashes.forget_leaves(piece);
        torrent.picker.forget(piece.get());
        let by_leaves = partial.is_verified();
        let (verdict, leaves) = match by_leaves {
            true if torrent.v1_agrees(piece, partial.data()) => (Verdict::Right, None),
            true => (Verdict::Contradiction, None),
            false => {
                let (verdict, leaves) = torrent.judge(piece, partial.data());
                (verdict, Some(leaves))
            }
        };
        match verdict {
            Verdict::Right => {
                if !by_leaves {
                    self.totals.verified += partial.len();
                }
                let liars = torrent.suspects.liars(piece.get(), partial.data());
                partial.prove_all();
                let (data, known) = partial.into_parts();
                let leaves = leaves.unwrap_or(known);
                torrent.provenance.record(piece.get(), FROM_PEERS);
                let data = data.into();
                torrent.cache.insert(piece.get(), Cached { data, leaves });
                if torrent.keeping.is_some() {
                    self.store(piece.get());
                } else {
                    torrent.have.set(piece.get());
                    self.announce_piece(piece.get());
                }
                for liar in liars {
                    self.close(liar, Some(Fault::BadBytes), true);
                }
                self.serve_waiting();
            }
            Verdict::Contradiction => {
                torrent.broken = true;
                torrent.cache.release(partial.len());
                self.tell(Event::Contradiction { piece: piece.get() });
            }
            Verdict::Wrong => self.refuse_piece(piece, partial),
        }
    }

    pub(super) fn announce_piece(&mut self, piece: u32) {
        for peer in self
            .peers
            .values_mut()
            .filter(|peer| peer.id.is_some() && !peer.has(piece))
        {
            peer.mention(&Message::Have(piece));
        }
        self.tell(Event::PieceVerified { piece });
    }

    /// A whole piece is wrong: whoever sent it alone is a liar; of several, the one that fetches it
    /// alone next will show who was.
    fn refuse_piece(&mut self, piece: PieceIndex, mut partial: crate::assembler::Partial) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        self.totals.refused += partial.len();
        let mut senders: Vec<PeerKey> = partial.senders().flatten().collect();
        senders.sort_unstable();
        senders.dedup();
        torrent.suspects.remember(piece.get(), &partial);
        partial.restart();
        // One who delivers: of those who sent nothing of it, or else of the senders.
        let now = self.now;
        let fastest = |among_senders: bool| {
            let able = self.peers.values().filter(|peer| {
                let delivers = !peer.chokes_us && !peer.snubbed && peer.pipeline.delivered() > 0;
                let is_sender = senders.contains(&peer.key);
                delivers && peer.has(piece.get()) && is_sender == among_senders
            });
            selector::fastest(able.map(|peer| (peer.key, peer.pipeline.expected(now))))
        };
        let of_senders = || (senders.len() > 1).then(|| fastest(true)).flatten();
        partial.only = fastest(false).or_else(of_senders);
        torrent.assembler.restore(piece.get(), partial);
        torrent.picker.begin(piece.get());
        let names = senders
            .iter()
            .filter_map(|key| Some(self.peers.get(key)?.name.clone()))
            .collect();
        self.tell(Event::PieceRefused {
            piece: piece.get(),
            peers: names,
        });
        if let [liar] = senders[..] {
            self.close(liar, Some(Fault::BadBytes), true);
        }
        self.dirty_all();
    }

    /// One block is proven wrong: it is free again, and its sender named.
    pub(super) fn refuse_block(&mut self, key: PeerKey, block: Block) {
        let number = block.begin / BLOCK_LENGTH;
        self.totals.refused += u64::from(block.length);
        if let Some(torrent) = &mut self.torrent
            && let Some(partial) = torrent.assembler.piece_mut(block.piece.get())
        {
            partial.unask(number, key);
            torrent.picker.begin(block.piece.get());
        }
        let name = self.peers.get_mut(&key).map(|peer| {
            peer.refused += u64::from(block.length);
            peer.name.clone()
        });
        let name = name.unwrap_or_default();
        self.tell(Event::BlockRefused {
            piece: block.piece.get(),
            block: number,
            peer: key.0,
            name,
        });
    }

    /// A peer will not send a block (BEP 6).
    pub(super) fn request_refused(
        &mut self,
        key: PeerKey,
        piece: u32,
        begin: u32,
        length: u32,
    ) -> Result<(), Fault> {
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &self.torrent) else {
            return Ok(());
        };
        let index = torrent.layout().piece(piece).ok_or(Fault::BadMessage)?;
        let block = Block {
            piece: index,
            begin,
            length,
        };
        match peer.pipeline.take(block) {
            Some(asked) => {
                let chokes = peer.chokes_us;
                if !asked.released {
                    self.free_block(key, block);
                }
                self.share_piece(piece, key);
                // Perhaps it let the piece go, perhaps it is busy; asking at once again would go
                // on for ever.
                if !chokes && let Some(peer) = self.peers.get_mut(&key) {
                    peer.deferred.insert(piece, self.now + ASK_AGAIN);
                }
            }
            None => peer.excused = peer.excused.saturating_sub(1),
        }
        Ok(())
    }

    /// All requests to a peer are void.
    pub(super) fn release_all(&mut self, key: PeerKey) {
        let Some(mut peer) = self.peers.remove(&key) else {
            return;
        };
        self.forget_requests_of(&mut peer);
        self.peers.insert(key, peer);
    }

    pub(super) fn forget_requests_of(&mut self, peer: &mut Peer) {
        for asked in peer.pipeline.clear().filter(|asked| !asked.released) {
            self.free_block(peer.key, asked.block);
        }
        if let Some(torrent) = &mut self.torrent {
            torrent.hashes.drop_peer(peer.key);
        }
        self.share_pieces_of(peer.key);
    }

    /// Pieces that only this peer was to deliver may be asked of others: it will not.
    pub(super) fn share_pieces_of(&mut self, key: PeerKey) {
        let Some(torrent) = &self.torrent else {
            return;
        };
        for piece in torrent.assembler.indices().collect::<Vec<_>>() {
            self.share_piece(piece, key);
        }
    }

    /// The same of one piece.
    fn share_piece(&mut self, piece: u32, key: PeerKey) {
        if let Some(torrent) = &mut self.torrent
            && let Some(partial) = torrent.assembler.piece_mut(piece)
            && partial.only == Some(key)
        {
            partial.only = None;
            self.freed = true;
        }
    }

    /// A block may be asked of others.
    pub(super) fn free_block(&mut self, key: PeerKey, block: Block) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let Some(partial) = torrent.assembler.piece_mut(block.piece.get()) else {
            return;
        };
        self.freed = true;
        partial.unask(block.begin / BLOCK_LENGTH, key);
        if partial.next_free().is_some() {
            torrent.picker.begin(block.piece.get());
        }
    }
}

/// Takes a request back from a peer.
fn take_back(peers: &mut Map<PeerKey, Peer>, dirty: &mut Set<PeerKey>, key: PeerKey, block: Block) {
    let Some(peer) = peers.get_mut(&key) else {
        return;
    };
    if peer.pipeline.take(block).is_some() {
        let Block {
            piece,
            begin,
            length,
        } = block;
        peer.say(&Message::Cancel {
            piece: piece.get(),
            begin,
            length,
        });
        peer.excused = (peer.excused + 1).min(MAX_UNASKED + crate::peer::MAX_QUEUED as u32 * 2);
        dirty.insert(key);
    }
}

pub(super) fn request(block: Block) -> Message<'static> {
    Message::Request {
        piece: block.piece.get(),
        begin: block.begin,
        length: block.length,
    }
}
