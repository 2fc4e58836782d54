//! In a crowd a seed deals its blocks out: each goes to one viewer at a time, who passes it on.
//!
//! Nobody is dealt many at a time. Who was given a piece or two at once would be the only one to have
//! them, and all others would wait for that one uplink; a piece that is dealt to as many as it has
//! blocks is with everybody in a fraction of the time. With that and what follows one seed and 250
//! viewers with a window of 16 pieces come to 0.83 of the bound and not to 0.58.
//!
//! Windows move, so who falls behind finds what it needs with nobody but a seed. It gets that at once,
//! and the others wait a little: they have each other.

use core::ops::Range;

use super::Swarm;
#[cfg(doc)]
use super::download::ASK_AGAIN;
use super::messages::HW_LATER;
use crate::bitfield::Bitfield;
use crate::grid::Demand;
use crate::ids::PeerKey;
use crate::layout::{BLOCK_LENGTH, Block, PieceIndex};
use crate::peer::Peer;
use crate::time::{Duration, time_of};
use crate::wire::Message;
use crate::wire::extended::Blocks;

/// For how long at least everything that a peer asks for is put off, and for how long at the most.
const DENIAL: Duration = Duration::from_millis(2500);
const LONGEST_DENIAL: Duration = Duration::from_secs(8);
/// In between, for as long as it takes to send each peer so many blocks: more where there is more to
/// send than can be, for then what is given to one twice is lacked by all.
const DENIED_TURNS: u32 = 3;
const DENIED_TURNS_BUSY: u32 = 8;
/// What one peer may be promised at a time: so many bytes, or what it can be sent in such a time if
/// that is more; who is refused asks again after [`ASK_AGAIN`].
const HAND: u64 = 4 * BLOCK_LENGTH as u64;
const HAND_LASTS: Duration = Duration::from_millis(750);
/// The same for who has hardly anything left to play, where there is uplink to spare: where all that
/// is promised takes no longer than this at the best rate of late.
const HAND_IN_NEED: u64 = 1 << 20;
const SPARE_LINE: Duration = Duration::from_millis(50);
/// So many bytes from where it waits, a whole piece at the least: what a player wants to begin.
const NEEDED: u32 = 1 << 20;
/// Where fewer than this are here they know each other, and pass on what one of those behind was given.
const MANY: usize = 32;
/// A page that seeds has places for no crowd that large, and its engine is downloaded: it leaves that out.
pub(super) const SERVES_CROWDS: bool = !cfg!(target_family = "wasm");
/// While somebody is behind, the line is kept so short for it: beyond this nothing is given twice,
/// and beyond that nothing at all to others.
const SHORT_LINE: Duration = Duration::from_millis(60);
const LONG_LINE: Duration = Duration::from_millis(200);

/// What becomes of a block that a peer asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dealt {
    /// It may be asked for later, and so may others that others were sent.
    Later,
    /// So may everything else.
    Nothing,
    Now,
}

impl Swarm {
    /// What is wanted of us, if we deal pieces out to this peer: only a seed with everything on disk
    /// does, and only to who understands it; nobody else need count.
    pub(super) fn demand(&self, key: PeerKey) -> Option<Demand> {
        let peer = self.peers.get(&key)?;
        if !self.deals() || !can_wait(peer) {
            return None;
        }
        let is_calm = peer.state.is_some_and(|state| state.is_calm);
        let peers = self.peers.values();
        let load = self.load();
        let peers = peers.filter(|peer| peer.wants).count();
        let turn = time_of(peers as u64 * u64::from(BLOCK_LENGTH), load.rate);
        let is_one_behind = SERVES_CROWDS && self.grid.is_one_behind(self.now);
        let is_busy = load.is_busy || (is_one_behind && load.line > SHORT_LINE) || is_calm;
        let turns = if is_busy {
            DENIED_TURNS_BUSY
        } else {
            DENIED_TURNS
        };
        let best = load.rate.max(self.best_sent.most());
        let share = load.rate * HAND_LASTS.as_micros() / 1_000_000 / (peers as u64).max(1);
        Some(Demand {
            peers,
            of: self.peers.len(),
            is_busy,
            longest_denial: if is_calm {
                LONGEST_DENIAL
            } else {
                DENIAL.max(turn * turns).min(LONGEST_DENIAL)
            },
            hand: HAND.max(share),
            can_spare: time_of(load.queued, best) < SPARE_LINE,
            waits: is_one_behind && load.line > LONG_LINE,
        })
    }

    /// Whether a peer may have a block now, or anything.
    pub(super) fn deal(&mut self, key: PeerKey, block: &Block, demand: Demand) -> Dealt {
        let everybody = self.peers.len();
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &self.torrent) else {
            return Dealt::Later;
        };
        let (piece, grid) = (block.piece.get(), &mut self.grid);
        let copies = torrent.availability.rarity(piece);
        // Without its leaf a block proves nothing before its piece is whole, so pieces are dealt.
        let share = peer.v2.then_some(block.begin / BLOCK_LENGTH);
        let is_behind = SERVES_CROWDS && grid.is_behind(self.now, piece, copies, everybody);
        let is_full = peer.backlog() >= demand.hand || demand.waits;
        // Nobody can do anything with a part of what is passed on whole.
        let is_begun = share.is_none() && grid.has_whole(piece, key);
        let has_enough = demand.is_crowd() && is_full && !is_behind && !is_begun;
        let length = torrent.layout().standard_piece_length();
        let needs = peer.state.and_then(|state| state.needs);
        let is_needed = needs.is_some_and(|from| needed_from(from, length).contains(&piece));
        let helps = is_needed && demand.can_spare && peer.backlog() < HAND_IN_NEED;
        let demand = Demand {
            is_busy: demand.is_busy && !is_behind,
            ..demand
        };
        let may = (is_behind && everybody >= MANY)
            || (!has_enough && grid.admit(self.now, block.piece, share, key, demand))
            || helps
            || peer.is_denied(self.now, demand.longest_denial);
        peer.admitted(self.now, may);
        match (may, has_enough) {
            (true, _) => Dealt::Now,
            (false, true) => Dealt::Nothing,
            (false, false) => Dealt::Later,
        }
    }

    /// Whether we deal pieces out.
    pub(super) fn deals(&self) -> bool {
        let torrent = self.torrent.as_ref();
        torrent.is_some_and(|torrent| torrent.complete && !torrent.shelved)
    }

    /// Tells a peer that was refused a block what else it would be refused, so that it need not ask
    /// for each: all others of that piece that others have, or everything. Once for all that it asked
    /// for at once.
    pub(super) fn say_held(
        &mut self,
        key: PeerKey,
        piece: PieceIndex,
        demand: Demand,
        dealt: Dealt,
    ) {
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &self.torrent) else {
            return;
        };
        let Some(id) = peer.extensions.id_of(HW_LATER) else {
            return;
        };
        let held = match dealt {
            Dealt::Nothing => Bitfield::none(0),
            _ => {
                let count = torrent.real_blocks(piece);
                self.grid.held(self.now, piece, count, key, demand)
            }
        };
        let said = Blocks {
            piece: match dealt {
                Dealt::Nothing => Blocks::ANY,
                _ => piece.get(),
            },
            bits: held.as_bytes(),
        };
        let just_now = Some((self.now, said.piece));
        if core::mem::replace(&mut peer.said_later, just_now) == just_now {
            return;
        }
        let payload = said.to_payload();
        peer.say(&Message::Extended {
            id,
            payload: &payload,
        });
    }
}

/// The pieces, of this length, that a player needs which waits for this one.
pub(super) fn needed_from(piece: u32, length: u32) -> Range<u32> {
    piece..piece.saturating_add((NEEDED / length.max(1)).max(1))
}

/// Whether a peer takes a refusal as "ask others, or me again in a moment".
pub(super) fn understands_later(peer: &Peer) -> bool {
    peer.extensions.id_of(HW_LATER).is_some()
}

/// Whether it does, and knows others.
pub(super) fn can_wait(peer: &Peer) -> bool {
    understands_later(peer) && peer.state.is_none_or(|state| !state.is_alone)
}
