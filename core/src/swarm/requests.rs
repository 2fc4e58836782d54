//! Which block is asked of whom: every peer that has room in its pipeline is asked for the best
//! that it can give.

use alloc::vec::Vec;

use super::torrent::Torrent;
use super::{Swarm, hashes, proofs};
use crate::assembler::Partial;
use crate::ids::{PeerId, PeerKey};
use crate::layout::Block;
use crate::peer::Peer;
use crate::picker::Pick;
use crate::rng::Rng;
use crate::selector;
use crate::time::{Duration, Instant};
use crate::wire::Message;

/// Blocks asked at once of a peer in a crowd that has not delivered yet.
const FEW: u32 = 4;

impl Swarm {
    /// Asks a peer for blocks until its pipeline is full.
    pub(super) fn request_blocks(&mut self, key: PeerKey) {
        let is_open = |peer: &&Peer| !peer.chokes_us && peer.wanted && peer.pipeline.is_hungry();
        if self.peers.get(&key).filter(is_open).is_none() {
            return;
        }
        let best = self.best_expected();
        let spared = self.spared(key);
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &mut self.torrent) else {
            return;
        };
        if torrent.broken {
            return;
        }
        let is_fit = best
            .is_none_or(|best| selector::may_take_urgent(peer.pipeline.expected(self.now), best));
        let mut evicted = Vec::new();
        peer.parts.forgive(self.now);
        // In a crowd the first answers of many come at once; what one was asked for too soon others
        // might give sooner.
        let is_new = self.crowded && peer.pipeline.delivered() == 0;
        let most = if is_new { FEW } else { u32::MAX };
        while peer.pipeline.room() > 0 && peer.pipeline.outstanding() < most {
            let is_urgent = |piece: u32| torrent.window.urgent().any(|urgent| urgent == piece);
            let may = |piece: u32| {
                may_ask_of(torrent, peer, piece) && (!spared.contains(&piece) || is_urgent(piece))
            };
            let urgent = torrent.window.urgent().filter(|_| is_fit);
            let piece = match torrent.picker.next(urgent, may) {
                None => break,
                Some(Pick::Begun(piece)) => piece,
                Some(Pick::Fresh(piece)) => {
                    let (begun, gone) = begin(self.now, torrent, peer, piece);
                    evicted.extend(gone);
                    if !begun {
                        break;
                    }
                    piece
                }
            };
            let start = if self.crowded {
                first_block(self.config.peer_id, piece)
            } else {
                0
            };
            let partial = torrent.assembler.piece(piece);
            let free = partial.map(Partial::free);
            let free = free.and_then(|free| peer.parts.choose(piece, free, start % free.len()));
            let (Some(free), Some(index)) = (free, torrent.layout().piece(piece)) else {
                break;
            };
            let block = torrent.block(index, free);
            if let Some(partial) = torrent.assembler.piece_mut(piece) {
                partial.ask(free, key);
                if partial.is_taken() {
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

    /// The pieces of the window that a peer is not asked for while they are not urgent: in a crowd a
    /// seed's upload is for what no viewer gives. Only one that did give something is counted on.
    fn spared(&self, key: PeerKey) -> Vec<u32> {
        let is_seed = self.peers.get(&key).is_some_and(Peer::is_seed);
        let torrent = self
            .torrent
            .as_ref()
            .filter(|torrent| torrent.keeping.is_none());
        let Some(torrent) = torrent.filter(|_| is_seed && self.crowded) else {
            return Vec::new();
        };
        let gives =
            |peer: &&Peer| !peer.is_seed() && peer.answers_us() && peer.pipeline.delivered() > 0;
        let givers: Vec<&Peer> = self.peers.values().filter(gives).collect();
        let pieces = torrent.window.ranges().iter().flat_map(Clone::clone);
        let lacking =
            pieces.filter(|piece| !torrent.cache.has(*piece) && !torrent.have.has(*piece));
        let is_given = |piece: &u32| givers.iter().any(|peer| peer.has(*piece));
        lacking.filter(is_given).collect()
    }

    /// What the fastest peer needs for a block.
    pub(super) fn best_expected(&self) -> Option<Duration> {
        let useful = self
            .peers
            .values()
            .filter(|peer| peer.answers_us() && peer.wanted);
        let peers = useful.map(|peer| peer.pipeline.expected(self.now));
        peers.chain(self.origin_expected()).min()
    }
}

/// Whether there is a block of a piece that a peer may be asked for.
fn may_ask_of(torrent: &Torrent, peer: &Peer, piece: u32) -> bool {
    if !peer.has_any(piece) {
        return false;
    }
    let Some(partial) = torrent.assembler.piece(piece) else {
        return peer.parts.may_begin(piece);
    };
    partial.only.is_none_or(|only| only == peer.key)
        && peer.parts.choose(piece, partial.free(), 0).is_some()
}

/// Begins a piece, and asks this peer for its leaves, ahead of the blocks, so that the first of them
/// can be proven when it comes. Whether there was room for it, and what was let go for that.
fn begin(now: Instant, torrent: &mut Torrent, peer: &mut Peer, piece: u32) -> (bool, Vec<u32>) {
    let Some(index) = torrent.layout().piece(piece) else {
        return (false, Vec::new());
    };
    let (begun, gone) = torrent.begin(index);
    if begun && let Some(span) = hashes::leaves_span(torrent, index) {
        torrent.hashes.want_leaves(index, span);
        if peer.v2 && peer.hash_requests.len() < proofs::MAX_OUT {
            // It may have been asked already, before the reader left and came back.
            if peer.hash_requests.insert(span) {
                peer.say(&Message::HashRequest(span));
            }
            torrent.hashes.ask(now, span, peer.key);
        }
    }
    (begun, gone)
}

/// The block of a piece that we begin with in a crowd: everybody has a place of its own, so that
/// those who begin a piece together have something to give each other.
fn first_block(us: PeerId, piece: u32) -> u32 {
    let name =
        us.0.last_chunk()
            .map_or(0, |name| u64::from_be_bytes(*name));
    (Rng::seeded(name ^ (u64::from(piece) << 32)).next_u64() >> 32) as u32
}

pub(super) fn request(block: Block) -> Message<'static> {
    Message::Request {
        piece: block.piece.get(),
        begin: block.begin,
        length: block.length,
    }
}
