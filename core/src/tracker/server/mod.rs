//! The tracker itself: who is in which swarm, and who is introduced to whom.
//!
//! It trusts nobody: a peer is the connection it announced itself on, an answer is taken only
//! from the peer that got the offer, and only once. An announce costs the same in a swarm of ten
//! and of a hundred thousand (peers stand on a hash ring). Peers over WebRTC are introduced by the
//! offers they bring, peers over TCP ([`PlainAnnounce`]) by address; both are counted together.
//! Sockets, their timeouts and their outboxes are the driver's.

mod cluster;
mod connection;
mod introductions;
mod listing;
mod member;
mod plain;
mod ring;
mod swarm;
mod table;
mod words;

use super::message::{
    Action, AnnounceEvent, Counts, Heard, HeardAnnounce, Malformed, ServerMessage,
};
use crate::ids::{PeerId, SwarmHash};
use crate::rng::Rng;
use crate::time::Instant;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::ToString;
use alloc::vec::Vec;
use cluster::Guests;
pub use cluster::{Abroad, Change, MAX_SHARES, NodeKey, Share, Shares};
use connection::Connection;
pub use listing::Listing;
pub use plain::{Drawn, MAX_ADDRESSES, PlainAnnounce, PlainPeer, PlainResponse};
use swarm::{Place, Swarm};
use table::Table;
pub use words::{ConnKey, Input, Output, ServerConfig, Stats};

/// Swarms one connection may be in.
pub const MAX_SWARMS_A_CONNECTION: usize = 256;

/// Messages of one connection that may be refused before it is closed.
const MAX_REFUSED: u32 = 64;

/// A tracker.
#[derive(Debug)]
pub struct Tracker {
    config: ServerConfig,
    rng: Rng,
    /// By [`ConnKey::place`].
    connections: Table<Connection>,
    swarms: BTreeMap<SwarmHash, Swarm>,
    /// When which peer over TCP is gone.
    expiring: BTreeSet<(Instant, SwarmHash, u64)>,
    /// Peers of other trackers that offered to ours.
    guests: Guests,
    /// Swarms whose numbers changed, if somebody wants to know, and how many completed there.
    changed: BTreeMap<SwarmHash, u64>,
    stats: Stats,
    outputs: VecDeque<Output>,
}

/// Why a message that can be read is refused all the same.
type Refused = &'static str;

impl Tracker {
    /// A tracker nobody is connected to.
    pub fn new(config: ServerConfig) -> Self {
        Self {
            rng: Rng::seeded(config.seed),
            config,
            connections: Table::default(),
            swarms: BTreeMap::new(),
            expiring: BTreeSet::new(),
            guests: Guests::default(),
            changed: BTreeMap::new(),
            stats: Stats::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Tell it what happened.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Closed(key) => self.remove(key),
            Input::Connected(key) => {
                if self.connections.get(key.place()).is_none() {
                    self.connections.insert(key.place(), Connection::default());
                }
            }
            Input::Arrived(key, announce) => {
                // What is wrong with it is said when it is heard.
                if announce.event != Some(AnnounceEvent::Stopped)
                    && self.config.listing.check(announce.info_hash).is_ok()
                {
                    let _ = self.join(now, key, announce);
                }
            }
            Input::Heard(key, heard) => self.handle_heard(now, key, heard, &Shares::new()),
            Input::HeardAmong(key, heard, shares) => self.handle_heard(now, key, heard, shares),
            Input::Received(key, text) => {
                self.handle_heard(now, key, Heard::read(text), &Shares::new());
            }
            Input::Relayed(text) => self.handle_relayed(now, text),
            Input::TimedOut => self.expire(now),
        }
    }

    /// What to do next; call until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What it has, and what it has done.
    pub fn stats(&self) -> Stats {
        Stats {
            connections: self.connections.len(),
            swarms: self.swarms.len(),
            ..self.stats
        }
    }

    fn handle_heard(
        &mut self,
        now: Instant,
        key: ConnKey,
        heard: Result<Heard<'_>, Malformed>,
        shares: &Shares,
    ) {
        if self.connections.get(key.place()).is_none() {
            return;
        }
        match heard {
            Ok(Heard::Announce(announce)) => {
                if let Err(reason) = self.handle_announce(now, key, &announce, shares) {
                    self.refuse(
                        key,
                        Malformed {
                            reason,
                            action: Action::Announce,
                            info_hash: Some(announce.info_hash),
                        },
                    );
                }
            }
            Ok(Heard::Answer(answer)) => self.handle_answer(now, key, &answer),
            Ok(Heard::Scrape(hashes)) => self.handle_scrape(key, &hashes, shares),
            Err(malformed) => self.refuse(key, malformed),
        }
    }

    fn handle_announce(
        &mut self,
        now: Instant,
        key: ConnKey,
        announce: &HeardAnnounce<'_>,
        shares: &Shares,
    ) -> Result<(), Refused> {
        let hash = announce.info_hash;
        self.stats.announces += 1;
        self.config.listing.check(hash)?;
        if announce.event == Some(AnnounceEvent::Stopped) {
            self.leave(key, hash, announce.peer_id);
            self.respond(key, hash, shares);
            return Ok(());
        }
        let place = self.join(now, key, announce)?;
        self.respond(key, hash, shares);
        let others = shares.get(&hash).map_or(&[][..], |abroad| &abroad.shares);
        self.introduce(now, key, place, announce, others);
        Ok(())
    }

    /// Take the announcer into the swarm, or note that it is still there.
    fn join(
        &mut self,
        now: Instant,
        key: ConnKey,
        announce: &HeardAnnounce<'_>,
    ) -> Result<Place, Refused> {
        let hash = announce.info_hash;
        let Some(connection) = self.connections.get_mut(key.place()) else {
            return Err("no connection");
        };
        let before = connection.place(hash);
        let is_completed = announce.event == Some(AnnounceEvent::Completed);
        let is_seed = is_completed || announce.left == Some(0);
        let place = Place::new(self.config.seed, announce.peer_id, is_seed);
        match before {
            Some(before) if before.position != place.position => {
                return Err("this connection has another peer_id in this swarm");
            }
            None if connection.places.len() >= MAX_SWARMS_A_CONNECTION => {
                return Err("more than 256 swarms on one connection");
            }
            None if self.swarms.len() >= self.config.max_swarms
                && !self.swarms.contains_key(&hash) =>
            {
                return Err("the tracker is full");
            }
            _ => {}
        }
        let swarm = self.swarms.entry(hash).or_default();
        let peers = swarm.len();
        let played = announce.played_percent;
        swarm.note_return(now, place, self.config.interval);
        let joined = swarm.join(now, key, announce.peer_id, played, before, place);
        self.stats.peers += swarm.len() - peers;
        joined?;
        let is_new_seed = place.is_seed && before.is_none_or(|before| !before.is_seed);
        let completed = u64::from(is_completed && is_new_seed);
        swarm.downloaded += completed;
        connection.set_place(hash, place);
        if before != Some(place) {
            self.note_change(hash, completed);
        }
        Ok(place)
    }

    fn leave(&mut self, key: ConnKey, hash: SwarmHash, peer_id: PeerId) {
        let Some(connection) = self.connections.get_mut(key.place()) else {
            return;
        };
        let named = Place::new(self.config.seed, peer_id, false).position;
        let is_it = |place: Place| place.position == named;
        if let Some(place) = connection.place(hash).filter(|place| is_it(*place)) {
            connection.leave(hash);
            self.remove_from(hash, key, place);
        }
    }

    fn remove(&mut self, key: ConnKey) {
        let Some(connection) = self.connections.remove(key.place()) else {
            return;
        };
        for (hash, place) in connection.places {
            self.remove_from(hash, key, place);
        }
    }

    fn remove_from(&mut self, hash: SwarmHash, key: ConnKey, place: Place) {
        let Some(swarm) = self.swarms.get_mut(&hash) else {
            return;
        };
        self.stats.peers -= u64::from(swarm.leave(key, place));
        self.forget_if_empty(hash);
        self.note_change(hash, 0);
    }

    fn respond(&mut self, key: ConnKey, info_hash: SwarmHash, shares: &Shares) {
        let counts = self.counts_in(info_hash, shares);
        let response = ServerMessage::Response {
            info_hash,
            interval: Some(self.config.interval.as_secs_f64()),
            complete: Some(counts.complete),
            incomplete: Some(counts.incomplete),
            warning: None,
        };
        self.send(key, &response);
    }

    /// What it knows of these swarms, a cluster having so much of them.
    pub fn scrape(&mut self, hashes: &[SwarmHash], shares: &Shares) -> Vec<Counts> {
        self.stats.scrapes += 1;
        let counts = |hash: &SwarmHash| self.counts_in(*hash, shares);
        hashes.iter().map(counts).collect()
    }

    /// When to come back if nothing happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.expiring.first().map(|(until, ..)| *until)
    }

    fn forget_if_empty(&mut self, hash: SwarmHash) {
        if self.swarms.get(&hash).is_some_and(|swarm| swarm.len() == 0) {
            self.swarms.remove(&hash);
        }
    }

    fn handle_scrape(&mut self, key: ConnKey, hashes: &[SwarmHash], shares: &Shares) {
        self.stats.scrapes += 1;
        let counts = hashes
            .iter()
            .map(|hash| (*hash, self.counts_in(*hash, shares)))
            .collect();
        self.send(key, &ServerMessage::Scrape(counts));
    }

    fn counts_in(&self, hash: SwarmHash, shares: &Shares) -> Counts {
        let nobody = Abroad::default();
        self.counts_among(hash, shares.get(&hash).unwrap_or(&nobody))
    }

    fn refuse(&mut self, key: ConnKey, malformed: Malformed) {
        let Some(connection) = self.connections.get_mut(key.place()) else {
            return;
        };
        connection.refused += 1;
        self.stats.refused += 1;
        if connection.refused > MAX_REFUSED {
            self.remove(key);
            self.outputs
                .push_back(Output::Close(key, "too many refused messages"));
            return;
        }
        let Malformed {
            reason,
            action,
            info_hash,
        } = malformed;
        self.send(
            key,
            &ServerMessage::Error {
                action,
                info_hash,
                reason: reason.to_string(),
            },
        );
    }

    fn send(&mut self, to: ConnKey, message: &ServerMessage) {
        self.outputs.push_back(Output::Send(to, message.encode()));
    }
}

#[cfg(test)]
mod tests;
