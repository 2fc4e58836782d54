//! Offers from neighbour to neighbour: who is asked, what is passed on, whom it is for (`hw_introduce`).
//!
//! It makes no offer and no connection; for those that are ours or for us it speaks with the
//! tracker client, through [`News`] and [`Wish`]. It shows nobody's address but to whom the offer
//! is for and who carries it, as a tracker does; and of a private torrent (BEP 27) to nobody.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Output, Swarm};
use crate::ids::{OfferId, PeerId, PeerKey};
use crate::metainfo::Metainfo;
use crate::peer::{Fault, Peer};
use crate::pex::{MAX_TRIES, News, Verdict, Wish};
use crate::wire::Message;
use crate::wire::introduction::{HW_INTRODUCE, Introduction, MAX_HOPS};

impl Swarm {
    /// Whether we introduce at all.
    pub(super) fn introduces(&self) -> bool {
        self.metainfo()
            .is_none_or(|known| !Metainfo::is_private(known))
    }

    /// What the tracker client wants.
    pub(super) fn wished(&mut self, wish: Wish) {
        match wish {
            Wish::Answer { via, id, sdp } => {
                let from = self.config.peer_id;
                let sdp = &sdp;
                self.tell_neighbour(via, &Introduction::Answer { id, from, sdp });
            }
            Wish::Decline { via, id } => self.refuse_introduction(Some(via), id),
            Wish::Introduce { id, .. } if !self.introduces() => {
                self.refuse_introduction(None, id);
            }
            Wish::Introduce { id, sdp } => {
                // To a neighbour's neighbour, or a step farther, so that circles of friends mix.
                let hops = 1 + self.rng.below(u32::from(MAX_HOPS)) as u8;
                let from = self.config.peer_id;
                self.carry(None, (id, from, hops), sdp);
            }
        }
    }

    /// A neighbour's message.
    pub(super) fn introduction(&mut self, key: PeerKey, payload: &[u8]) -> Result<(), Fault> {
        match Introduction::parse(payload)? {
            Introduction::Offer {
                id,
                from,
                hops,
                sdp,
            } => return self.offer_came(key, (id, from, hops), sdp),
            Introduction::Answer { id, from, sdp } => self.answer_came(key, id, from, sdp),
            Introduction::Refusal { id } => {
                if self.holds_offer(key, id) {
                    self.pass_on(id);
                }
            }
            Introduction::Unknown => {}
        }
        Ok(())
    }

    fn offer_came(
        &mut self,
        key: PeerKey,
        (id, from, hops): (OfferId, PeerId, u8),
        sdp: &str,
    ) -> Result<(), Fault> {
        match self.introductions.weigh(self.now, key) {
            Verdict::Flood => return Err(Fault::Flood),
            Verdict::Refused => self.refuse_introduction(Some(key), id),
            Verdict::Heard if !self.introduces() => self.refuse_introduction(Some(key), id),
            Verdict::Heard if hops > 0 => {
                self.carry(Some(key), (id, from, hops - 1), sdp.to_owned());
            }
            Verdict::Heard => {
                if self.is_acquainted(from) || !self.introductions.takes_one(self.now) {
                    self.refuse_introduction(Some(key), id);
                } else {
                    let (via, sdp) = (key, sdp.to_owned());
                    self.tell_client(News::Offered { via, id, from, sdp });
                }
            }
        }
        Ok(())
    }

    /// Whether we know this peer, or want to know nothing of it.
    fn is_acquainted(&self, id: PeerId) -> bool {
        id == self.config.peer_id
            || self.barred.contains(&id)
            || self.peers.values().any(|peer| peer.id == Some(id))
    }

    fn carry(&mut self, asker: Option<PeerKey>, offer: (OfferId, PeerId, u8), sdp: String) {
        if self.introductions.carry(self.now, asker, offer, sdp) {
            self.pass_on(offer.0);
        } else {
            self.refuse_introduction(asker, offer.0);
        }
    }

    /// Shows an offer to the next neighbour, any that may do.
    fn pass_on(&mut self, id: OfferId) {
        let Some(offer) = self.introductions.find(id) else {
            return;
        };
        let gives_only = |key| self.peers.get(&key).is_some_and(Peer::is_seed);
        let is_from_seed = offer.asker.is_some_and(gives_only);
        let may_do = |peer: &&Peer| {
            let is_new = offer.asker != Some(peer.key) && !offer.shown.contains(&peer.key);
            // Two who have everything have nothing to give each other.
            let is_useful = !(is_from_seed && peer.is_seed() && offer.hops == 0);
            let is_other = peer.id.is_some_and(|id| id != offer.from);
            is_new && is_useful && is_other && peer.extensions.id_of(HW_INTRODUCE).is_some()
        };
        let able: Vec<PeerKey> = self.peers.values().filter(may_do).map(|p| p.key).collect();
        let to = able
            .get(self.rng.below(able.len() as u32) as usize)
            .copied();
        let Some(to) = to.filter(|_| offer.shown.len() < MAX_TRIES) else {
            return self.give_offer_up(id);
        };
        offer.shown.push(to);
        let message = Introduction::Offer {
            id,
            from: offer.from,
            hops: offer.hops,
            sdp: &offer.sdp,
        };
        let payload = message.to_payload();
        self.send_introduction(to, &payload);
    }

    fn answer_came(&mut self, key: PeerKey, id: OfferId, from: PeerId, sdp: &str) {
        if !self.holds_offer(key, id) {
            return;
        }
        match self.introductions.take(id).map(|offer| offer.asker) {
            None => {}
            Some(None) => {
                let sdp = sdp.to_owned();
                self.tell_client(News::Answered { id, from, sdp });
            }
            Some(Some(asker)) => {
                self.tell_neighbour(asker, &Introduction::Answer { id, from, sdp });
            }
        }
    }

    /// Whether it is this neighbour who may answer the offer.
    fn holds_offer(&mut self, key: PeerKey, id: OfferId) -> bool {
        let offer = self.introductions.find(id);
        offer.is_some_and(|offer| offer.holder() == Some(key))
    }

    fn give_offer_up(&mut self, id: OfferId) {
        if let Some(offer) = self.introductions.take(id) {
            self.refuse_introduction(offer.asker, id);
        }
    }

    fn refuse_introduction(&mut self, asker: Option<PeerKey>, id: OfferId) {
        match asker {
            Some(asker) => self.tell_neighbour(asker, &Introduction::Refusal { id }),
            None => self.tell_client(News::Declined { id }),
        }
    }

    fn tell_neighbour(&mut self, key: PeerKey, message: &Introduction<'_>) {
        self.send_introduction(key, &message.to_payload());
    }

    fn send_introduction(&mut self, key: PeerKey, payload: &[u8]) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if let Some(id) = peer.extensions.id_of(HW_INTRODUCE) {
            peer.say(&Message::Extended { id, payload });
            self.dirty.insert(key);
        }
    }

    fn tell_client(&mut self, news: News) {
        self.outputs.push_back(Output::Introduction(news));
    }

    /// A neighbour is gone; others may do instead.
    pub(super) fn forget_introductions_of(&mut self, key: PeerKey) {
        for id in self.introductions.forget(key) {
            self.pass_on(id);
        }
        self.count_carriers();
    }

    /// Whom nobody answered in time.
    pub(super) fn give_overdue_offers_up(&mut self) {
        for id in self.introductions.overdue(self.now) {
            self.give_offer_up(id);
        }
    }

    /// Tells how many neighbours could introduce us, when that has changed.
    pub(super) fn count_carriers(&mut self) {
        let able = |peer: &&Peer| peer.extensions.id_of(HW_INTRODUCE).is_some();
        let carriers = match self.introduces() {
            true => self.peers.values().filter(able).count(),
            false => 0,
        };
        if core::mem::replace(&mut self.carriers, carriers) != carriers {
            self.tell_client(News::Carriers(carriers));
        }
    }
}
