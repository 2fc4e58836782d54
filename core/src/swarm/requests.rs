//! Which block is asked of whom: every peer that has room in its pipeline is asked for the best
//! that it can give.

use alloc::vec::Vec;

use super::torrent::Torrent;
use super::{Swarm, download::ASK_AGAIN, hashes, proofs};
use crate::assembler::Partial;
use crate::bitfield::Bitfield;
use crate::ids::{PeerId, PeerKey};
use crate::layout::{BLOCK_LENGTH, Block};
use crate::ordered::{Map, Set};
use crate::peer::Peer;
use crate::picker::Pick;
use crate::rng::Rng;
use crate::selector;
use crate::time::{Duration, Instant};
use crate::wire::Message;

/// Blocks asked at once of a peer in a crowd that has not delivered yet.
const FEW: u32 = 4;

/// Blocks of a piece asked at once of a peer that deals its blocks out, or a quarter of them if that is
/// more: it may refuse all of them, and says so once it is asked.
const OF_ONE_PIECE: usize = 4;

/// Bytes beyond what is always urgent that are so, too, for a player that has hardly anything left.
const SOON: u64 = 512 << 10;

/// Who gives so many times less than another is slow, however soon it brings what it was asked for.
const THIN: u64 = 8;

/// Blocks, by piece, that a peer is not asked for.
type Spared = Map<u32, Bitfield>;

impl Swarm {
    /// Asks a peer for blocks until its pipeline is full.
    pub(super) fn request_blocks(&mut self, key: PeerKey) {
        if !self.peers.get(&key).is_some_and(Peer::may_be_asked) {
            return;
        }
        let best = self.best_expected();
        let spared = self.spared(key);
        let is_tried = self.is_tried(key);
        let left = self.left_to_others(key, best, is_tried);
        let is_calm = self.is_calm();
        let soon = if self.needs().is_some() { SOON } else { 0 };
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &mut self.torrent) else {
            return;
        };
        if torrent.broken {
            return;
        }
        let is_fit =
            best.is_none_or(|best| selector::may_take_urgent(peer.expected(self.now), best));
        let mut evicted = Vec::new();
        peer.parts.forgive(self.now);
        // In a crowd the first answers of many come at once; what one was asked for too soon others
        // might give sooner.
        let is_new = self.crowded && !peer.has_delivered();
        let most = if is_new { FEW } else { u32::MAX };
        let most = if is_tried { 1 } else { most };
        let blocks = (torrent.layout().standard_piece_length() / BLOCK_LENGTH) as usize;
        let deals = peer.v2 && peer.deals(self.now);
        let of_one_piece = deals.then_some(OF_ONE_PIECE.max(blocks / 4));
        let before = peer.pipeline.outstanding();
        let most = most.min(before.saturating_add(peer.wary.may()));
        let spare = |torrent: &Torrent, piece: u32| {
            let spare = spared.get(&piece)?;
            (is_calm || !torrent.window.is_near(piece, soon)).then_some(spare)
        };
        while peer.pipeline.room() > 0 && peer.pipeline.outstanding() < most {
            let may = |piece: u32| {
                !left.contains(&piece)
                    && may_ask_of(torrent, peer, piece, of_one_piece, spare(torrent, piece))
            };
            let urgent = torrent.window.urgent(soon).filter(|_| is_fit);
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
            let start = if self.crowded && peer.v2 {
                first_block(self.config.peer_id, piece)
            } else {
                0
            };
            let spare = spare(torrent, piece);
            let free = torrent.assembler.piece(piece).map(Partial::free);
            let free = free.and_then(|free| choose(peer, piece, free, spare, start));
            let (Some(free), Some(index)) = (free, torrent.layout().piece(piece)) else {
                break;
            };
            let block = torrent.block(index, free);
            if let Some(partial) = torrent.assembler.piece_mut(piece)
                && !is_tried
            {
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
        let asked = peer.pipeline.outstanding() - before;
        peer.wary.asked(asked, self.now + ASK_AGAIN);
        self.retract(&evicted);
    }

    /// The pieces near a reader that a slow peer is not asked for, for faster ones have them, too:
    /// those that will have been read before it brings them. In a crowd, where a peer is slow now and
    /// then, only while a player runs dry.
    fn left_to_others(&self, key: PeerKey, best: Option<Duration>, is_tried: bool) -> Set<u32> {
        let now = self.now;
        let is_fit = |peer: &Peer, best| selector::may_take_urgent(peer.expected(now), best);
        let (Some(peer), Some(torrent), Some(best)) = (self.peers.get(&key), &self.torrent, best)
        else {
            return Set::new();
        };
        let is_ours = is_fit(peer, best);
        if self.crowded && (is_ours || self.needs().is_none()) {
            return Set::new();
        }
        let gives = |other: &&Peer| other.key != key && other.answers_us() && is_fit(other, best);
        let others: Vec<&Peer> = self.peers.values().filter(gives).collect();
        let rates = others.iter().map(|other| other.pipeline.rate(now));
        let (rate, most) = rates.fold((0, 0), |(all, most), rate| (all + rate, rate.max(most)));
        if is_ours && most <= peer.pipeline.rate(now) * THIN {
            return Set::new();
        }
        // Who is tried is so with what is not urgent.
        let needs = if is_tried {
            Duration::ZERO
        } else {
            peer.expected(now)
        };
        let meanwhile = rate * needs.as_micros() / 1_000_000;
        let near = torrent
            .window
            .pieces()
            .filter(|piece| torrent.window.is_near(*piece, meanwhile));
        let is_theirs = |piece: &u32| {
            let partial = torrent.assembler.piece(*piece);
            partial.is_none_or(|partial| partial.only != Some(key))
                && others.iter().any(|other| other.has_any(*piece))
        };
        near.filter(is_theirs).collect()
    }

    /// Whether a peer is asked for one block to see what it can do, while others may be asked
    /// for it, too: it has shown nothing yet, or owes us something, and somebody else gives. In a crowd all
    /// are slow now and then, and the first answers of many come at once.
    fn is_tried(&self, key: PeerKey) -> bool {
        let shows = |other: &Peer| other.key != key && other.answers_us() && other.has_delivered();
        let is_unsure = |peer: &Peer| !peer.has_delivered() || peer.pipeline.is_doubted();
        !self.crowded
            && self.peers.get(&key).is_some_and(is_unsure)
            && self.peers.values().any(shows)
    }

    /// The blocks of the window that a peer is not asked for while they are not urgent: in a crowd a
    /// seed's upload is for what no viewer gives. Only one that did give something is counted on.
    fn spared(&self, key: PeerKey) -> Spared {
        let is_seed = self.peers.get(&key).is_some_and(Peer::is_seed);
        let torrent = self
            .torrent
            .as_ref()
            .filter(|torrent| torrent.keeping.is_none());
        let Some(torrent) = torrent.filter(|_| is_seed && self.crowded) else {
            return Spared::new();
        };
        let gives = |peer: &&Peer| !peer.is_seed() && peer.answers_us() && peer.has_delivered();
        let givers: Vec<&Peer> = self.peers.values().filter(gives).collect();
        let has = |piece: u32| torrent.cache.has(piece) || torrent.have.has(piece);
        let lacking = torrent.window.pieces().filter(|piece| !has(*piece));
        let given = |piece: u32| {
            let index = torrent.layout().piece(piece)?;
            if givers.iter().any(|peer| peer.has(piece)) {
                return Some((piece, Bitfield::all(torrent.real_blocks(index))));
            }
            let mut parts = givers.iter().filter_map(|peer| peer.parts.of(piece));
            let mut given = parts.next()?.clone();
            parts.for_each(|part| given.add(part));
            Some((piece, given))
        };
        lacking.filter_map(given).collect()
    }

    /// What the fastest peer needs for a block: of those who have shown it, if there are any.
    pub(super) fn best_expected(&self) -> Option<Duration> {
        let useful = |peer: &&Peer| peer.answers_us() && peer.wanted;
        let useful = self.peers.values().filter(useful);
        let (proven, others) = (useful.clone(), useful);
        let proven = proven.filter(|peer| peer.has_delivered());
        let proven = proven.map(|peer| peer.expected(self.now));
        let best = proven.chain(self.origin_expected()).min();
        best.or_else(|| others.map(|peer| peer.expected(self.now)).min())
    }
}

/// Whether there is a block of a piece that a peer may be asked for, beside those spared.
fn may_ask_of(
    torrent: &Torrent,
    peer: &Peer,
    piece: u32,
    most: Option<usize>,
    spare: Option<&Bitfield>,
) -> bool {
    if !peer.has_any(piece) || most.is_some_and(|most| peer.pipeline.count_of(piece) >= most) {
        return false;
    }
    let Some(partial) = torrent.assembler.piece(piece) else {
        let is_left = spare.is_none_or(|spare| spare.count() < spare.len());
        return is_left && peer.parts.may_begin(piece);
    };
    partial.only.is_none_or(|only| only == peer.key)
        && choose(peer, piece, partial.free(), spare, 0).is_some()
}

/// The block of a piece to ask a peer for: free, not spared, and one that it gives; from `start` on
/// and around.
fn choose(
    peer: &Peer,
    piece: u32,
    free: &Bitfield,
    spare: Option<&Bitfield>,
    start: u32,
) -> Option<u32> {
    let start = start % free.len();
    let Some(spare) = spare else {
        return peer.parts.choose(piece, free, start);
    };
    let mut left = free.clone();
    left.remove(spare);
    peer.parts.choose(piece, &left, start)
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
