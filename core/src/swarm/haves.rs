//! Who has what, and so whom we want something of.

use alloc::vec::Vec;

use super::Swarm;
use super::dealing::SERVES_CROWDS;
use crate::bitfield::Bitfield;
use crate::ids::PeerKey;
use crate::layout::PieceIndex;
use crate::peer::{Fault, Has, Peer};
use crate::wire::Message;

impl Swarm {
    /// A peer said all that it has.
    pub(super) fn has_now(&mut self, key: PeerKey, has: Has) {
        let Some(mut peer) = self.peers.remove(&key) else {
            return;
        };
        self.forget_pieces_of(&peer);
        peer.has = has;
        peer.parts.withdraw_all();
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
        peer.parts.withdraw(piece);
        torrent.availability.add(piece);
        let copies = torrent.availability.rarity(piece);
        torrent.picker.recount(piece, copies);
        if SERVES_CROWDS && torrent.complete {
            self.grid.spread(piece, copies, self.peers.len());
        }
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
        let mut pieces = torrent.window.pieces();
        let wanted = !torrent.broken
            && match &torrent.keeping {
                Some(keeping) => keeping.wants_of(peer, &torrent.have),
                None => torrent.fetches() && pieces.any(|piece| peer.has_any(piece)),
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
            self.look_behind(crowded);
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
}
