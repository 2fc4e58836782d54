//! Giving: whom we answer, and with what.

use alloc::vec::Vec;

use bytes::Bytes;

use super::dealing::{Dealt, can_wait};
use super::{Event, Output, Swarm};
use crate::choker::Candidate;
use crate::ids::PeerKey;
use crate::layout::{Block, PieceIndex};
use crate::peer::{Fault, Peer, Queued};
use crate::time::Duration;
use crate::wire::{Message, encode_piece_header};

/// Longest block anybody may ask for (what WebTorrent still accepts).
const MAX_REQUEST: u32 = 1 << 17;
/// Time between two looks at whom we answer.
const CHOKE_ROUND: Duration = Duration::from_secs(10);

impl Swarm {
    /// A peer asks for a block.
    pub(super) fn block_asked(
        &mut self,
        key: PeerKey,
        piece: u32,
        begin: u32,
        length: u32,
    ) -> Result<(), Fault> {
        let (Some(peer), Some(torrent)) = (self.peers.get(&key), &self.torrent) else {
            return Err(Fault::BadMessage);
        };
        let is_by_block = peer.v2;
        let block = torrent
            .layout()
            .run(piece, begin, length)
            .ok_or(Fault::BadMessage)?;
        if length > MAX_REQUEST {
            return Err(Fault::BadMessage);
        }
        let demand = self.demand(key);
        let dealt = demand.map_or(Dealt::Now, |demand| self.deal(key, &block, demand));
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &self.torrent) else {
            return Err(Fault::BadMessage);
        };
        let refused = if dealt != Dealt::Now || peer.unchoked.is_none() || !torrent.gives(&block) {
            true
        } else {
            match peer.uploads.push(block) {
                Queued::Flood => return Err(Fault::Flood),
                Queued::Full => true,
                Queued::Already | Queued::Yes => false,
            }
        };
        if refused {
            peer.refuse(block);
        }
        if let Some(demand) = demand.filter(|_| dealt != Dealt::Now && is_by_block) {
            self.say_held(key, block.piece, demand, dealt);
        }
        Ok(())
    }

    /// A peer takes a request back. With Fast it is told that nothing will come (BEP 6).
    pub(super) fn cancelled(&mut self, key: PeerKey, piece: u32, begin: u32, length: u32) {
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &self.torrent) else {
            return;
        };
        let Some(block) = torrent.layout().run(piece, begin, length) else {
            return;
        };
        if peer.uploads.cancel(block) {
            peer.refuse(block);
        }
    }

    /// Puts blocks in line for a peer while its transport has room for them.
    pub(super) fn answer_requests(&mut self, key: PeerKey) {
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &self.torrent) else {
            return;
        };
        if torrent.complete {
            while let Some(block) = peer.uploads.next_load() {
                self.outputs.push_back(Output::Load(block));
            }
        }
        loop {
            while peer.appetite(self.now) > 0 && self.upload_allowance != Some(0) {
                let next = if torrent.complete {
                    peer.uploads.pop_loaded()
                } else {
                    // What was let go since it was asked for is refused.
                    peer.uploads.pop_front().map(|block| (block, Bytes::new()))
                };
                let Some((block, loaded)) = next else { break };
                let Block {
                    piece,
                    begin,
                    length,
                } = block;
                let data: &[u8] = if torrent.complete {
                    &loaded
                } else {
                    match torrent.in_memory(&block) {
                        Some(data) => data,
                        None => {
                            peer.refuse(block);
                            continue;
                        }
                    }
                };
                peer.say_with(|out| {
                    out.reserve(data.len() + 13);
                    encode_piece_header(out, piece.get(), begin, length as usize);
                    out.extend_from_slice(data);
                    // What storage or memory does not hold is padding.
                    out.resize(out.len() + length as usize - data.len(), 0);
                });
                peer.sent.add(self.now, length.into());
                self.totals.sent.add(self.now, length.into());
                if let Some(left) = &mut self.upload_allowance {
                    *left = left.saturating_sub(length.into());
                    if *left == 0 {
                        self.first_turn = PeerKey(key.0 + 1);
                    }
                }
            }
            let Some(bytes) = peer.take_send(self.now) else {
                break;
            };
            self.outputs.push_back(Output::Send(key, bytes));
        }
    }

    /// Storage delivered.
    pub(super) fn loaded(&mut self, block: Block, data: &Bytes) {
        debug_assert_eq!(data.len(), block.length as usize);
        for peer in self.peers.values_mut() {
            if peer.uploads.loaded(block, data) {
                self.dirty.insert(peer.key);
            }
        }
    }

    /// Storage could not deliver: whoever waits is told so.
    pub(super) fn load_failed(&mut self, block: Block) {
        for peer in self.peers.values_mut() {
            if peer.uploads.cancel(block) {
                peer.refuse(block);
                self.dirty.insert(peer.key);
            }
        }
        self.withdraw(block.piece);
    }

    /// A piece that cannot be read is not ours to promise: peers are told, once.
    pub(super) fn withdraw(&mut self, piece: PieceIndex) {
        let torrent = self.torrent.as_mut().filter(|torrent| torrent.complete);
        if torrent.is_some_and(|torrent| torrent.have.clear(piece.get())) {
            self.tell(Event::StorageFailed { piece: piece.get() });
            self.say_gone(piece.get());
        }
    }

    /// Decides anew whom we answer.
    pub(super) fn rechoke(&mut self) {
        self.chokes_due = (!self.peers.is_empty()).then(|| self.now + CHOKE_ROUND);
        let seeding = self
            .torrent
            .as_ref()
            .is_some_and(|torrent| torrent.gets_nothing());
        // Who is dealt blocks needs no place: each goes to one of them, and spreads the sooner the more
        // there are to deal to.
        let deals = self.deals() && self.config.upload;
        let is_dealt_to = |peer: &Peer| deals && peer.wants && can_wait(peer);
        let mut candidates: Vec<Candidate> = self
            .peers
            .values()
            .filter(|peer| peer.wants && self.config.upload && !is_dealt_to(peer))
            .map(|peer| Candidate {
                peer: peer.key,
                gives: peer.pipeline.rate(self.now),
                impatient: peer.is_webtorrent(),
                unchoked: peer.unchoked,
                changed: peer.choke_changed,
            })
            .collect();
        let chosen = self
            .choker
            .choose(self.now, seeding, &mut candidates, &mut self.rng);
        let mut spare = self.config.upload_slots.saturating_sub(chosen.len());
        for peer in self.peers.values_mut() {
            let mut is_chosen = is_dealt_to(peer) || chosen.binary_search(&peer.key).is_ok();
            // One that wants nothing keeps a place that nobody needs.
            if !peer.wants && peer.unchoked.is_some() && spare > 0 && self.config.upload {
                spare -= 1;
                is_chosen = true;
            }
            if is_chosen == peer.unchoked.is_some() {
                continue;
            }
            peer.unchoked = is_chosen.then_some(self.now);
            peer.choke_changed = self.now;
            self.dirty.insert(peer.key);
            if is_chosen {
                peer.say(&Message::Unchoke);
                continue;
            }
            peer.say(&Message::Choke);
            peer.uploads.clear().for_each(|block| peer.refuse(block));
        }
    }
}
