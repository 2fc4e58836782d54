//! What trackers do and say: sockets that open and close, and messages, none of which is believed
//! further than it has to be.

use super::connections::{Connection, Way};
use super::{Client, Event, Output, TrackerKey};
use crate::ids::PeerId;
use crate::time::Instant;
use crate::tracker::message::{Action, OfferId, ServerMessage};
use crate::tracker::sdp;
use alloc::string::{String, ToString};

/// Malformed messages after which a tracker is hung up on.
const MAX_MALFORMED: u32 = 32;

/// Warnings of one tracker connection we pass on.
const MAX_WARNINGS: u32 = 8;

impl Client {
    pub(super) fn handle_tracker_opened(&mut self, now: Instant, key: TrackerKey) {
        if let Some(link) = self.links.iter_mut().find(|link| link.key() == Some(key)) {
            link.opened(now);
            self.outputs.push(Output::Event(Event::Connected {
                url: link.url.clone(),
            }));
        }
    }

    pub(super) fn handle_tracker_closed(&mut self, now: Instant, key: TrackerKey, reason: &str) {
        if let Some(at) = self.link_of(key) {
            self.lose(now, at, reason, false);
        }
    }

    /// Close a tracker's socket ourselves.
    pub(super) fn hang_up(&mut self, now: Instant, at: usize, reason: &str, is_hostile: bool) {
        if let Some(key) = self.links[at].key() {
            self.outputs.push(Output::CloseTracker(key));
        }
        self.lose(now, at, reason, is_hostile);
    }

    fn lose(&mut self, now: Instant, at: usize, reason: &str, is_hostile: bool) {
        self.offers.returned(at);
        let link = &mut self.links[at];
        link.lost(now, is_hostile, &mut self.rng);
        let message = reason.chars().take(200).collect();
        self.outputs.push(Output::Event(Event::Lost {
            url: link.url.clone(),
            message,
        }));
    }

    fn link_of(&self, key: TrackerKey) -> Option<usize> {
        self.links.iter().position(|link| link.key() == Some(key))
    }

    pub(super) fn handle_tracker_received(&mut self, now: Instant, key: TrackerKey, text: &str) {
        let Some(at) = self.link_of(key) else { return };
        if !self.links[at].is_message_allowed(now) {
            return self.hang_up(now, at, "too many messages", true);
        }
        match ServerMessage::decode(text) {
            Ok(message) => self.handle_message(now, at, message),
            Err(malformed) => {
                self.links[at].malformed += 1;
                if self.links[at].malformed > MAX_MALFORMED {
                    return self.hang_up(now, at, "too many malformed messages", true);
                }
                self.warn(at, malformed.to_string());
            }
        }
    }

    fn handle_message(&mut self, now: Instant, at: usize, message: ServerMessage) {
        let ours = self.config.swarm;
        match message {
            ServerMessage::Offer {
                info_hash,
                peer_id,
                offer_id,
                sdp,
            } if info_hash == ours => {
                self.handle_offer(now, at, peer_id, offer_id, sdp);
            }
            ServerMessage::Answer {
                info_hash,
                peer_id,
                offer_id,
                sdp,
            } if info_hash == ours => {
                self.handle_answer(now, at, peer_id, offer_id, sdp);
            }
            ServerMessage::Response {
                info_hash,
                interval,
                complete,
                incomplete,
                warning,
            } if info_hash == ours => {
                let (complete, incomplete) = (complete.unwrap_or(0), incomplete.unwrap_or(0));
                let others = complete.saturating_add(incomplete).saturating_sub(1);
                let is_hungry = self
                    .connections
                    .is_hungry(self.config.offers_wanted, others);
                self.links[at].responded(now, interval, others, is_hungry, &mut self.rng);
                if others == 0 {
                    self.offers.returned(at);
                }
                let url = self.links[at].url.clone();
                self.outputs.push(Output::Event(Event::Announced {
                    url,
                    complete,
                    incomplete,
                }));
                if let Some(warning) = warning {
                    self.warn(at, warning);
                }
            }
            ServerMessage::Error {
                action: Action::Announce,
                info_hash,
                reason,
            } if info_hash.is_none_or(|hash| hash == ours) => {
                self.links[at].refused(now, &mut self.rng);
                self.warn(at, reason);
            }
            _ => {}
        }
    }

    /// A peer offers a connection.
    fn handle_offer(&mut self, now: Instant, at: usize, remote: PeerId, id: OfferId, sdp: String) {
        let Some(tracker) = self.links[at].open_key() else {
            return;
        };
        let way = Way::Tracker(tracker);
        if !self.connections.is_offer_welcome(remote, way) {
            return;
        }
        if let Err(refusal) = sdp::check(&sdp) {
            return self.warn(at, refusal.to_string());
        }
        let key = self.connections.next_key();
        self.connections
            .insert(key, Connection::answering(remote, way, id, now));
        self.outputs.push(Output::AcceptOffer(key, sdp));
    }

    /// A peer answers an offer of ours. Answers nobody waits for are not looked at.
    fn handle_answer(&mut self, now: Instant, at: usize, remote: PeerId, id: OfferId, sdp: String) {
        let Some(key) = self.offers.find(at, id) else {
            return;
        };
        if !self.connections.is_answer_welcome(remote) {
            return self.offers.idle(key);
        }
        if let Err(refusal) = sdp::check(&sdp) {
            self.offers.idle(key);
            return self.warn(at, refusal.to_string());
        }
        self.offers.remove(key);
        self.connections
            .insert(key, Connection::offered(remote, now));
        self.outputs.push(Output::ApplyAnswer(key, sdp));
    }

    fn warn(&mut self, at: usize, message: String) {
        let link = &mut self.links[at];
        link.warnings += 1;
        if link.warnings <= MAX_WARNINGS {
            let url = link.url.clone();
            self.outputs
                .push(Output::Event(Event::Warning { url, message }));
        }
    }
}
