//! In a crowd a seed deals its blocks out: each goes to one viewer at a time, who passes it on.

use super::Swarm;
use super::messages::HW_LATER;
use crate::grid::Demand;
use crate::ids::PeerKey;
use crate::layout::{BLOCK_LENGTH, PieceIndex};
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

impl Swarm {
    /// What is wanted of us, if we deal pieces out to this peer: only a seed with everything on disk
    /// does, and only to who understands it; nobody else need count.
    pub(super) fn demand(&self, key: PeerKey) -> Option<Demand> {
        if !self.deals() || !understands_later(self.peers.get(&key)?) {
            return None;
        }
        let peers = self.peers.values();
        let load = self.load();
        let peers = peers.filter(|peer| peer.wants).count();
        let turn = time_of(peers as u64 * u64::from(BLOCK_LENGTH), load.rate);
        let turns = if load.is_busy {
            DENIED_TURNS_BUSY
        } else {
            DENIED_TURNS
        };
        Some(Demand {
            peers,
            is_busy: load.is_busy,
            longest_denial: DENIAL.max(turn * turns).min(LONGEST_DENIAL),
        })
    }

    /// Whether we deal pieces out.
    pub(super) fn deals(&self) -> bool {
        let torrent = self.torrent.as_ref();
        torrent.is_some_and(|torrent| torrent.complete && !torrent.shelved)
    }

    /// Tells a peer that was refused a block of a piece which others of it it would be refused, too,
    /// so that it need not ask for each.
    pub(super) fn say_held(&mut self, key: PeerKey, piece: PieceIndex, demand: Demand) {
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(&key), &self.torrent) else {
            return;
        };
        let Some(id) = peer.extensions.id_of(HW_LATER) else {
            return;
        };
        let count = torrent.real_blocks(piece);
        let held = self.grid.held(self.now, piece, count, key, demand);
        let said = Blocks {
            piece: piece.get(),
            bits: held.as_bytes(),
        };
        let payload = said.to_payload();
        peer.say(&Message::Extended {
            id,
            payload: &payload,
        });
    }
}

/// Whether a peer takes a refusal as "ask others, or me again in a moment".
pub(super) fn understands_later(peer: &Peer) -> bool {
    peer.extensions.id_of(HW_LATER).is_some()
}
