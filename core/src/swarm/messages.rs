//! What a peer says, and what it means here.

use alloc::format;
use alloc::string::String;

use super::{Event, Swarm};
use crate::bitfield::Bitfield;
use crate::ids::{InfoHashes, PeerId, PeerKey, SwarmHash};
use crate::peer::{Fault, Has, MAX_QUEUED, Peer};
use crate::wire::extended::{
    Blocks, DontHave, ExtendedHandshake, HANDSHAKE_ID, HW_BLOCKS, HW_STATE, LT_DONTHAVE,
    MetadataMessage, State, UT_METADATA,
};
use crate::wire::introduction::HW_INTRODUCE;
use crate::wire::{Error, Features, Frame, Handshake, Message};

/// The id we give `ut_metadata`.
const OUR_UT_METADATA: u8 = 1;
/// The id we give `lt_donthave`.
const OUR_LT_DONTHAVE: u8 = 2;
/// The id we give `hw_later`.
const OUR_HW_LATER: u8 = 3;
/// The id we give `hw_introduce`.
const OUR_HW_INTRODUCE: u8 = 4;
/// The id we give `hw_blocks`.
const OUR_HW_BLOCKS: u8 = 5;
/// The id we give `hw_state`.
const OUR_HW_STATE: u8 = 6;
/// Our own extension (BEP 10): who names it takes a refusal while unchoked as "ask others, or me
/// again in a moment". Others take it as they like, so they are never told so. Its message is that
/// of `hw_blocks`, and names the blocks of a piece that would be refused for the same reason.
pub(super) const HW_LATER: &str = "hw_later";
/// Bytes of a bitfield that are said before it is known whether one word would do.
const MAX_EARLY_BITS: usize = 16 << 10;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::FrameTooLong(_) => Self::FrameTooLong,
            _ => Self::BadMessage,
        }
    }
}

impl Swarm {
    pub(super) fn received(&mut self, key: PeerKey, mut bytes: &[u8]) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        peer.heard = self.now;
        self.dirty.insert(key);
        // Frames borrow from the decoder, so it steps out of the peer while they are handled.
        let mut decoder = core::mem::take(&mut peer.decoder);
        let fault = loop {
            let handled = match decoder.next(&mut bytes) {
                Ok(None) => break None,
                Ok(Some(Frame::Handshake(hello))) => self.greeted(key, &hello),
                Ok(Some(Frame::Message(message))) => self.message(key, &message),
                Err(error) => Err(error.into()),
            };
            if let Err(fault) = handled {
                break Some(fault);
            }
            if !self.peers.contains_key(&key) {
                return;
            }
        };
        match self.peers.get_mut(&key) {
            Some(_) if fault.is_some() => self.close(key, fault, true),
            Some(peer) => peer.decoder = decoder,
            None => {}
        }
    }

    pub(super) fn greet(&self, peer: &mut Peer, swarm: SwarmHash) {
        let hello = Handshake {
            // Of a v1 torrent libtorrent takes the v2 bit for a contradiction, and hangs up.
            features: Features {
                v2: self.hashes.v2().is_some(),
                ..Features::ALL
            },
            swarm,
            peer_id: self.config.peer_id,
        };
        peer.say_with(|out| hello.encode(out));
        peer.greeted = true;
    }

    /// Says what needs no answer to the handshake: what we have, and that it may ask. Those who hear
    /// it with our first word can ask with theirs: that saves a round trip.
    pub(super) fn speak_up(&self, peer: &mut Peer) {
        let Some(torrent) = &self.torrent else {
            return;
        };
        // Whether it knows shorter words (BEP 6) is not known yet; a bitfield everybody does.
        let bits = torrent.have.as_bytes();
        if torrent.have.count() > 0 && bits.len() <= MAX_EARLY_BITS {
            peer.say(&Message::Bitfield(bits));
            peer.knows_ours = true;
            self.welcome(peer);
        }
    }

    /// Where there is room nobody has to ask for an unchoke: that saves a round trip, too.
    fn welcome(&self, peer: &mut Peer) {
        let is_unchoked = |peer: &&Peer| peer.unchoked.is_some();
        let unchoked = self.peers.values().filter(is_unchoked).count();
        if self.config.upload && unchoked < self.config.upload_slots {
            peer.unchoked = Some(self.now);
            peer.choke_changed = self.now;
        }
        // WebTorrent does not listen yet when this comes with the handshake, and then waits for it for
        // ever: whoever was told so early is told again.
        if peer.unchoked.is_some() {
            peer.say(&Message::Unchoke);
        }
    }

    fn greeted(&mut self, key: PeerKey, hello: &Handshake) -> Result<(), Fault> {
        if !self.hashes.is_named(hello.swarm) {
            return Err(Fault::WrongTorrent);
        }
        if hello.peer_id == self.config.peer_id {
            return Err(Fault::Ourselves);
        }
        if self.barred.contains(&hello.peer_id) {
            return Err(Fault::Barred);
        }
        if let Some(rival) = self.rival(key, hello.peer_id) {
            self.close(rival, Some(Fault::Twice), true);
        }
        if !self.peers.contains_key(&key) {
            return Ok(());
        }
        let hashes = self.hashes;
        let Some(mut peer) = self.peers.remove(&key) else {
            return Ok(());
        };
        peer.id = Some(hello.peer_id);
        self.company_changed = true;
        peer.features = hello.features;
        if peer.greeted && peer.speaks_first() {
            let took = self.now.since(peer.opened);
            peer.pipeline.measure(self.now, took);
        }
        let is_v2_hash = hashes
            .v2()
            .is_some_and(|v2| SwarmHash::from(v2) == hello.swarm);
        // BEP 52: a hybrid's v1 hash with the v2 bit may be answered with the v2 hash, and only
        // that answer makes it a v2 connection.
        peer.v2 = match hashes {
            InfoHashes::V1(_) => false,
            InfoHashes::V2(_) => true,
            InfoHashes::Hybrid(..) => is_v2_hash || (!peer.greeted && hello.features.v2),
        };
        if !peer.greeted {
            let answer = match hashes.v2() {
                Some(v2) if peer.v2 => v2.into(),
                _ => hello.swarm,
            };
            self.greet(&mut peer, answer);
        }
        self.introduce(&mut peer);
        self.welcome(&mut peer);
        self.peers.insert(key, peer);
        Ok(())
    }

    /// Of two connections to one peer, the one to be closed.
    ///
    /// Both ends see both and must close the same one: the survivor is the one that the peer with
    /// the smaller id called (as in the tracker client), or else the older. WebTorrent keeps the one
    /// that we called.
    fn rival(&self, new: PeerKey, id: PeerId) -> Option<PeerKey> {
        let old = self
            .peers
            .values()
            .find(|peer| peer.key != new && peer.id == Some(id))?;
        let new = self.peers.get(&new)?;
        let ours_survives = id.0.starts_with(b"-WW") || self.config.peer_id < id;
        let is_old_closed = old.dialled != new.dialled && new.dialled == ours_survives;
        Some(if is_old_closed { old.key } else { new.key })
    }

    /// What follows the handshakes: our extensions and what we have.
    fn introduce(&self, peer: &mut Peer) {
        let metadata_size = self
            .metainfo()
            .map(|metainfo| metainfo.info_bytes().len() as u64);
        if peer.features.extended {
            let introduces = self
                .introduces()
                .then_some((HW_INTRODUCE, OUR_HW_INTRODUCE));
            let extensions = [
                (UT_METADATA, OUR_UT_METADATA),
                (LT_DONTHAVE, OUR_LT_DONTHAVE),
                (HW_LATER, OUR_HW_LATER),
                (HW_BLOCKS, OUR_HW_BLOCKS),
                (HW_STATE, OUR_HW_STATE),
            ];
            let ours = ExtendedHandshake {
                m: extensions
                    .into_iter()
                    .chain(introduces)
                    .map(|(name, id)| (String::from(name), id))
                    .collect(),
                metadata_size,
                reqq: Some(MAX_QUEUED as u32),
                upload_only: self
                    .torrent
                    .as_ref()
                    .is_some_and(|torrent| torrent.only_gives()),
                v: Some(format!("Headwater {}", env!("CARGO_PKG_VERSION"))),
            };
            peer.say(&Message::Extended {
                id: HANDSHAKE_ID,
                payload: &ours.to_payload(),
            });
        }
        let have = self.torrent.as_ref().map(|torrent| &torrent.have);
        if core::mem::replace(&mut peer.knows_ours, true) {
            return;
        }
        match have {
            Some(have) if have.is_full() && peer.features.fast => peer.say(&Message::HaveAll),
            Some(have) if have.count() > 0 => peer.say(&Message::Bitfield(have.as_bytes())),
            _ if peer.features.fast => peer.say(&Message::HaveNone),
            _ => {}
        }
    }

    fn message(&mut self, key: PeerKey, message: &Message<'_>) -> Result<(), Fault> {
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        match *message {
            Message::AllowedFast(_) | Message::KeepAlive | Message::Port(_) => {}
            Message::Suggest(_) | Message::Unknown(_) => {}
            Message::Bitfield(_) | Message::Have(_) | Message::HaveAll | Message::HaveNone => {
                self.told_pieces(key, message)?;
            }
            Message::Cancel {
                piece,
                begin,
                length,
            } => self.cancelled(key, piece, begin, length),
            Message::Choke => {
                peer.chokes_us = true;
                // Without Fast a choke is the end of all requests; with it each is refused by name.
                if !peer.features.fast {
                    self.release_all(key);
                }
                self.share_pieces_of(key);
            }
            Message::Extended { id, payload } => self.extended(key, id, payload)?,
            Message::HashReject(span) => self.hashes_refused(key, &span)?,
            Message::HashRequest(span) => self.hashes_asked(key, &span)?,
            Message::Hashes { span, hashes } => self.hashes_came(key, &span, hashes)?,
            Message::Interested => {
                peer.wants = true;
                self.chokes_due = Some(self.now);
            }
            Message::NotInterested => {
                peer.wants = false;
                self.chokes_due = Some(self.now);
            }
            Message::Piece { piece, begin, data } => self.block_came(key, piece, begin, data)?,
            Message::RejectRequest {
                piece,
                begin,
                length,
            } => self.request_refused(key, piece, begin, length)?,
            Message::Request {
                piece,
                begin,
                length,
            } => self.block_asked(key, piece, begin, length)?,
            Message::Unchoke => {
                peer.chokes_us = false;
            }
        }
        Ok(())
    }

    /// Any word of a peer on what it has.
    fn told_pieces(&mut self, key: PeerKey, message: &Message<'_>) -> Result<(), Fault> {
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        let Some(pieces) = self
            .torrent
            .as_ref()
            .map(|torrent| torrent.layout().piece_count())
        else {
            return peer.note_early(message);
        };
        match *message {
            Message::Bitfield(body) => {
                self.has_now(key, Has::read(body, pieces)?);
            }
            Message::HaveAll => self.has_now(key, Has::All),
            Message::HaveNone => self.has_now(key, Has::Some(Bitfield::none(pieces))),
            Message::Have(piece) => self.has_one(key, piece)?,
            _ => {}
        }
        self.update_interest(key);
        Ok(())
    }

    fn extended(&mut self, key: PeerKey, id: u8, payload: &[u8]) -> Result<(), Fault> {
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        match id {
            HANDSHAKE_ID => {
                let said = ExtendedHandshake::parse(payload)?;
                let is_first = peer.extensions == ExtendedHandshake::default();
                peer.extensions.add(said);
                if let Some(reqq) = peer.extensions.reqq {
                    peer.pipeline.honour(reqq);
                }
                if peer.hw_blocks().is_some() {
                    peer.pipeline.never_pulses();
                }
                let untold = core::mem::take(&mut peer.untold);
                if let (Some(id), Some(torrent)) = (peer.lt_donthave(), &self.torrent) {
                    for piece in untold.into_iter().filter(|piece| !torrent.have.has(*piece)) {
                        let payload = &DontHave(piece).to_payload();
                        peer.say(&Message::Extended { id, payload });
                    }
                }
                if is_first {
                    let event = Event::PeerOpened {
                        peer: key.0,
                        name: peer.name.clone(),
                        client: peer.client(),
                    };
                    self.tell(event);
                }
                self.say_state(key);
                self.count_carriers();
                self.ask_for_metadata();
                Ok(())
            }
            OUR_HW_INTRODUCE => self.introduction(key, payload),
            OUR_UT_METADATA => self.metadata_message(key, &MetadataMessage::parse(payload)?),
            OUR_LT_DONTHAVE => self.has_no_more(key, DontHave::parse(payload)?.0),
            OUR_HW_LATER => self.put_off(key, Blocks::parse(payload)?),
            OUR_HW_BLOCKS => self.has_blocks(key, Blocks::parse(payload)?),
            OUR_HW_STATE => self.state_heard(key, State::parse(payload)?),
            _ => Ok(()),
        }
    }
}
