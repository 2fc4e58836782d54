//! Offers and answers: who gets which, and who may answer what.

use super::cluster::{self, Share};
use super::swarm::{Joiner, Place, Quota, Rules};
use super::{ConnKey, Output, Tracker};
use crate::ids::SwarmHash;
use crate::time::Instant;
use crate::tracker::message::{HeardAnnounce, HeardAnswer, HeardOffer, signal};
use alloc::vec::Vec;

impl Tracker {
    /// Pass the announcer's offers on, one to a peer, here or at another tracker.
    pub(super) fn introduce(
        &mut self,
        now: Instant,
        key: ConnKey,
        place: Place,
        announce: &HeardAnnounce<'_>,
        others: &[Share],
    ) {
        let Some(swarm) = self.swarms.get_mut(&announce.info_hash) else {
            return;
        };
        let own = swarm.others_than(place);
        let wanted = announce.offers.len();
        let (quota, theirs) = match others.is_empty() {
            true => (Quota::of_all(place, wanted, own.1), Vec::new()),
            false => cluster::split(place, wanted, own, others, &mut self.rng),
        };
        let lacks_source = swarm.lacks_source(place);
        if theirs.iter().any(|(_, quota)| quota.seeds > 0) {
            swarm.note_source(place);
        }
        let joiner = Joiner {
            connection: key,
            id: announce.peer_id,
            place,
            lacks_source,
            played_percent: announce.played_percent,
            quota,
        };
        let (ours, rest) = announce.offers.split_at(quota.sum().min(wanted));
        self.pass_offers(now, joiner, announce.info_hash, ours);
        self.relay_offers(key, announce, rest, &theirs);
    }

    /// Pass these offers on to peers of ours.
    pub(super) fn pass_offers(
        &mut self,
        now: Instant,
        joiner: Joiner,
        info_hash: SwarmHash,
        offers: &[HeardOffer<'_>],
    ) {
        let Some(swarm) = self.swarms.get_mut(&info_hash) else {
            return;
        };
        let rules = Rules {
            interval: self.config.interval,
            max_newcomers: self.config.max_newcomers,
            max_received_from_one: self.config.max_offers_received_from_one,
        };
        let peers = swarm.len();
        let ids: Vec<_> = offers.iter().map(|offer| offer.id).collect();
        let chosen = swarm.introduce(now, joiner, &ids, &rules, &mut self.rng);
        let gone = peers - swarm.len();
        if gone > 0 {
            self.stats.peers -= gone;
            self.note_change(info_hash, 0);
        }
        for (offer, to) in offers.iter().zip(chosen) {
            self.stats.offers += 1;
            let text = signal("offer", &offer.sdp, offer.id, joiner.id, info_hash);
            self.outputs.push_back(Output::Send(to, text));
        }
    }

    /// Pass an answer on, if it is the one that somebody waits for; else nothing happens, for an
    /// honest answer may come late.
    pub(super) fn handle_answer(&mut self, now: Instant, key: ConnKey, answer: &HeardAnswer<'_>) {
        let (offer, by) = (answer.offer_id, answer.to_peer_id);
        if !self.take_awaited(now, key, answer) {
            self.stats.stray_answers += 1;
            return;
        }
        match self.guests.node_of(offer, by) {
            Some(node) if self.config.node != Some(node) => self.relay_answer(node, answer),
            _ => self.pass_answer(answer),
        }
    }

    /// Whether this client got the offer and has not answered it; now it has.
    fn take_awaited(&mut self, now: Instant, key: ConnKey, answer: &HeardAnswer<'_>) -> bool {
        let connection = self.connections.get(key.place());
        let place = connection.and_then(|connection| connection.place(answer.info_hash));
        let swarm = self.swarms.get_mut(&answer.info_hash);
        place.zip(swarm).is_some_and(|(place, swarm)| {
            let (offer, by) = (answer.offer_id, answer.to_peer_id);
            swarm.take_awaited(now, place, answer.peer_id, offer, by)
        })
    }

    /// Pass an answer on to the peer of ours it is for, if it is still there.
    pub(super) fn pass_answer(&mut self, answer: &HeardAnswer<'_>) {
        let (info_hash, seed) = (answer.info_hash, self.config.seed);
        let swarm = self.swarms.get(&info_hash);
        let Some(to) = swarm.and_then(|swarm| swarm.connection_of(answer.to_peer_id, seed)) else {
            self.stats.stray_answers += 1;
            return;
        };
        self.stats.answers += 1;
        let (offer_id, peer_id) = (answer.offer_id, answer.peer_id);
        let text = signal("answer", &answer.sdp, offer_id, peer_id, info_hash);
        self.outputs.push_back(Output::Send(to, text));
    }
}
