//! Getting: who has what, whom we want something of, which block is asked of whom, and what comes.

use alloc::string::String;
use alloc::vec::Vec;

use super::dealing::needed_from;
use super::origins::origin_of;
use super::provenance::{FROM_ORIGINS, FROM_PEERS};
use super::torrent::{Torrent, Verdict};
use super::{Event, Order, Swarm};
use crate::assembler::{Partial, Received};
use crate::bitfield::Bitfield;
use crate::cache::Cached;
use crate::ids::PeerKey;
use crate::layout::{BLOCK_LENGTH, Block, Layout, PieceIndex};
use crate::ordered::{Map, Set};
use crate::peer::{Fault, MAX_QUEUED, Peer};
use crate::selector;
use crate::time::{Duration, Instant};
use crate::window::Moved;
use crate::wire::Message;

/// How long a peer that refused a block is not asked for it.
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(500);
/// The same of what a player needs now.
const ASK_AGAIN_IN_NEED: Duration = Duration::from_millis(150);
/// Pieces let go before a peer said whether it wants to hear of that.
const MAX_UNTOLD: usize = 256;
/// Requests taken back of one peer that are remembered.
const MAX_TAKEN_BACK: usize = 2 * MAX_QUEUED;

impl Swarm {
    /// The readers moved: what left the window is given up, what entered it is wanted.
    pub(super) fn window_moved(&mut self, moved: &Moved) {
        self.origins.look = true;
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        if torrent.keeping.is_some() {
            return self.hurry(&moved.entered);
        }
        let mut given_up = Vec::new();
        for piece in moved.left.iter().flat_map(Clone::clone) {
            torrent.picker.forget(piece);
            let Some(index) = torrent.layout().piece(piece) else {
                continue;
            };
            torrent.hashes.forget_leaves(index);
            if let Some(partial) = torrent.assembler.remove(piece) {
                torrent.cache.release(partial.len());
                if partial.told() > 0 {
                    given_up.push(piece);
                }
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
        for piece in given_up {
            self.say_blocks(piece, &[]);
        }
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

    /// Tells peers that these pieces are gone (BEP 54).
    pub(super) fn retract(&mut self, evicted: &[u32]) {
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
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &self.torrent) else {
            return Err(Fault::BadMessage);
        };
        let index = torrent.layout().piece(piece).ok_or(Fault::BadMessage)?;
        let block = Block {
            piece: index,
            begin,
            length: data.len() as u32,
        };
        self.totals.received.add(self.now, data.len() as u64);
        let is_again = peer.taken_back.contains(&block);
        if peer.pipeline.answer(self.now, block, is_again).is_none() {
            self.totals.wasted += data.len() as u64;
            return match answers_taken_back(peer, block) {
                true => Ok(()),
                false => Err(Fault::BadMessage),
            };
        }
        peer.snubbed = false;
        peer.wary.came(self.now);
        self.keep_block(key, block, data)
    }

    /// A block that was asked for came, of a peer or of an origin.
    pub(super) fn keep_block(
        &mut self,
        key: PeerKey,
        block: Block,
        data: &[u8],
    ) -> Result<(), Fault> {
        let Some(torrent) = &mut self.torrent else {
            return Ok(());
        };
        let (index, piece) = (block.piece, block.piece.get());
        let number = block.begin / BLOCK_LENGTH;
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
                    self.hurry_word_of(piece, number, Some(key));
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
                torrent.provenance.record(piece.get(), sources_of(&partial));
                let (data, known) = partial.into_parts();
                let leaves = leaves.unwrap_or(known);
                let data = data.into();
                torrent.cache.insert(piece.get(), Cached { data, leaves });
                if torrent.keeping.is_some() || torrent.shelved {
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
        self.mention_piece(piece);
        self.tell(Event::PieceVerified { piece });
    }

    /// A whole piece is wrong: whoever sent it alone is a liar; of several, the one that fetches it
    /// alone next will show who was.
    fn refuse_piece(&mut self, piece: PieceIndex, mut partial: Partial) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        self.totals.refused += partial.len();
        let mut senders: Vec<PeerKey> = partial.senders().flatten().collect();
        senders.sort_unstable();
        senders.dedup();
        torrent.suspects.remember(piece.get(), &partial);
        if let [Some(origin)] = senders
            .iter()
            .map(|key| origin_of(*key))
            .collect::<Vec<_>>()[..]
        {
            self.origins.refused(origin, partial.len());
        }
        partial.restart();
        // One who delivers: of those who sent nothing of it, or else of the senders.
        let now = self.now;
        let fastest = |among_senders: bool| {
            let able = self.peers.values().filter(|peer| {
                let delivers = peer.answers_us() && peer.pipeline.delivered() > 0;
                let is_sender = senders.contains(&peer.key);
                delivers && peer.has(piece.get()) && is_sender == among_senders
            });
            selector::fastest(able.map(|peer| (peer.key, peer.expected(now))))
        };
        let of_senders = || (senders.len() > 1).then(|| fastest(true)).flatten();
        partial.only = fastest(false).or_else(of_senders);
        torrent.assembler.restore(piece.get(), partial);
        torrent.picker.begin(piece.get());
        let names = senders.iter().map(|key| self.name_of(*key)).collect();
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
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.refused += u64::from(block.length);
        }
        if let Some(origin) = origin_of(key) {
            self.origins.refused(origin, block.length.into());
        }
        let name = self.name_of(key);
        self.tell(Event::BlockRefused {
            piece: block.piece.get(),
            block: number,
            peer: key.0,
            name,
        });
    }

    /// How the driver calls a peer, or where an origin is.
    fn name_of(&self, key: PeerKey) -> String {
        match origin_of(key) {
            Some(origin) => self.origins.name(origin),
            None => self
                .peers
                .get(&key)
                .map_or_else(String::new, |peer| peer.name.clone()),
        }
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
        let count = torrent.real_blocks(index);
        if answers_taken_back(peer, block) {
            return Ok(());
        }
        let Some(asked) = peer.pipeline.refuse(block) else {
            return Ok(());
        };
        let chokes = peer.chokes_us;
        if !asked.released {
            self.free_block(key, block);
        }
        self.share_piece(piece, key);
        // Perhaps it let the piece go, perhaps it is busy; asking at once again would go on for ever.
        let until = self.asked_again(piece);
        if !chokes && let Some(peer) = self.peers.get_mut(&key) {
            if peer.v2 {
                peer.parts.refuse(piece, begin / BLOCK_LENGTH, count, until);
            } else {
                peer.parts.put_off(piece, Bitfield::all(count), until);
            }
        }
        Ok(())
    }

    /// When somebody who refused some of a piece may be asked for it again.
    pub(super) fn asked_again(&self, piece: u32) -> Instant {
        let layout = self.torrent.as_ref().map(Torrent::layout);
        let length = layout.map_or(0, Layout::standard_piece_length);
        let needs = self.needs();
        let is_needed = needs.is_some_and(|from| needed_from(from, length).contains(&piece));
        let pause = if is_needed {
            ASK_AGAIN_IN_NEED
        } else {
            ASK_AGAIN
        };
        self.now + pause
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
        if !partial.is_taken() {
            torrent.picker.begin(block.piece.get());
        }
    }
}

/// Who sent a piece, as bits.
fn sources_of(partial: &Partial) -> u8 {
    let source = |key| match origin_of(key) {
        Some(_) => FROM_ORIGINS,
        None => FROM_PEERS,
    };
    let senders = partial.senders().flatten();
    senders.map(source).fold(0, |all, one| all | one)
}

/// Takes a request back from a peer.
pub(super) fn take_back(
    peers: &mut Map<PeerKey, Peer>,
    dirty: &mut Set<PeerKey>,
    key: PeerKey,
    block: Block,
) {
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
        // Who does not know Fast never answers some of them.
        if peer.taken_back.len() == MAX_TAKEN_BACK {
            peer.taken_back.remove(0);
        }
        peer.taken_back.push(block);
        dirty.insert(key);
    }
}

/// Whether what a peer says of a block answers a request that was taken back; each is answered once.
fn answers_taken_back(peer: &mut Peer, block: Block) -> bool {
    let at = peer.taken_back.iter().position(|taken| *taken == block);
    at.map(|at| peer.taken_back.remove(at)).is_some()
}
