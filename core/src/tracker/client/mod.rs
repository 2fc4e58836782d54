//! One swarm's client of its trackers, and of neighbours where they do the same: who to offer to,
//! whom to answer, what to keep.
//!
//! It makes no connection and opens no socket. It says what to do ([`Output`]) and is told what
//! came of it ([`Input`]); between a tracker that lies and a WebRTC stack that obeys, it is what
//! keeps everything bounded.

mod connections;
mod heard;
mod link;
mod neighbours;
mod offers;
mod retries;
mod words;

use super::Progress;
use super::message::{Announce, AnnounceEvent, Answer, ClientMessage, MAX_OFFERS, is_worth_offers};
use super::sdp;
use crate::ids::{PeerId, PeerKey};
use crate::pex::Wish;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use alloc::vec::Vec;
use connections::{Connection, Connections, Way};
use link::Link;
use neighbours::Neighbours;
use offers::Offers;
use retries::Retries;
pub use words::{ClientConfig, Event, Input, Output, TrackerKey};

/// Trackers of one swarm we talk to; the rest is ignored.
pub const MAX_TRACKERS: usize = 32;

/// A swarm's client of all its trackers.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    rng: Rng,
    links: Vec<Link>,
    offers: Offers,
    connections: Connections,
    neighbours: Neighbours,
    retries: Retries,
    progress: Progress,
    next_tracker_key: u32,
    is_stopped: bool,
    outputs: Vec<Output>,
}

impl Client {
    /// A client that starts at once: there is output to take.
    pub fn new(mut config: ClientConfig, now: Instant) -> Self {
        config.trackers.truncate(MAX_TRACKERS);
        config.offers_wanted = config.offers_wanted.min(MAX_OFFERS);
        let mut client = Self {
            rng: Rng::seeded(config.seed),
            links: config
                .trackers
                .iter()
                .map(|url| Link::new(url.clone(), now))
                .collect(),
            offers: Offers::new(config.offers_wanted, now),
            neighbours: Neighbours::new(now),
            connections: Connections::new(config.peer_id, config.key_space, config.max_connections),
            retries: Retries::default(),
            progress: Progress::default(),
            next_tracker_key: 0,
            is_stopped: false,
            outputs: Vec::new(),
            config,
        };
        client.advance(now);
        client
    }

    /// Tell it what happened.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        if self.is_stopped {
            return;
        }
        match input {
            Input::AnswerMade(key, sdp) => self.handle_answer_made(now, key, sdp),
            Input::Closed(key) => {
                self.forget(now, key);
                self.company_changed(now);
            }
            Input::ConnectionFailed(key, _) => self.forget(now, key),
            Input::Introduced(news) => self.handle_news(now, news),
            Input::OfferMade(key, sdp) => self.handle_offer_made(now, key, sdp),
            Input::Opened(key) => {
                self.retries.opened();
                for loser in self.connections.opened(key) {
                    self.outputs.push(Output::Drop(loser));
                }
                self.company_changed(now);
            }
            Input::Progress(progress) => {
                let before = core::mem::replace(&mut self.progress, progress);
                if progress.completes(before) {
                    self.announce_completed(now);
                }
            }
            Input::Stopped => return self.stop(now),
            Input::TimedOut => {}
            Input::TrackerClosed(key, reason) => self.handle_tracker_closed(now, key, reason),
            Input::TrackerOpened(key) => self.handle_tracker_opened(now, key),
            Input::TrackerReceived(key, text) => self.handle_tracker_received(now, key, text),
        }
        self.advance(now);
    }

    /// What to do next; call until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        (!self.outputs.is_empty()).then(|| self.outputs.remove(0))
    }

    /// When it wants [`Input::TimedOut`], if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_stopped {
            return None;
        }
        let links = self.links.iter().filter_map(|link| self.due(link));
        let parts = [
            self.offers.poll_timeout(),
            self.connections.poll_timeout(),
            self.refill_due(),
            self.ask_due().filter(|_| self.offers.is_any_ready()),
        ];
        links.chain(parts.into_iter().flatten()).min()
    }

    /// How the trackers call the peer behind a connection.
    pub fn remote_id(&self, key: PeerKey) -> Option<PeerId> {
        self.connections.remote_id(key)
    }

    /// Whether the peer behind a connection says that it is a Headwater. Over WebRTC the called of
    /// us speaks first; others speak at once, or wait for the caller.
    pub fn is_headwater(&self, key: PeerKey) -> bool {
        self.remote_id(key)
            .is_some_and(|id| id.0.starts_with(b"-HW"))
    }

    /// Do all that time or events have made due.
    fn advance(&mut self, now: Instant) {
        for (key, late) in self.connections.expire(now) {
            self.outputs.push(Output::Drop(key));
            self.replace(now, &late);
        }
        for key in self.offers.expire(now) {
            self.outputs.push(Output::Drop(key));
        }
        for at in 0..self.links.len() {
            self.advance_link(now, at);
        }
        self.ask_neighbours(now);
        self.refill(now);
    }

    fn advance_link(&mut self, now: Instant, at: usize) {
        if self.links[at].is_silent(now) {
            self.hang_up(now, at, "no answer", false);
        }
        if self.links[at].is_to_open(now) {
            let key = TrackerKey(self.next_tracker_key);
            self.next_tracker_key += 1;
            self.links[at].opening(key, now);
            self.outputs
                .push(Output::OpenTracker(key, self.links[at].url.clone()));
        }
        if self.links[at].is_open() && self.due(&self.links[at]).is_some_and(|due| due <= now) {
            let event = (!self.links[at].is_started()).then_some(AnnounceEvent::Started);
            self.announce(now, at, event);
        }
    }

    /// When this link wants something done.
    ///
    /// The first announce leaves with the first offer that is ready; what is ready later follows
    /// in one more.
    fn due(&self, link: &Link) -> Option<Instant> {
        let with_offers = self.offers.due(link.is_started());
        let is_wanted = !link.is_started() || self.connections.room() > 0;
        link.due(with_offers.filter(|at| is_wanted && self.is_top_up_welcome(link, *at)))
    }

    fn is_top_up_welcome(&self, link: &Link, at: Instant) -> bool {
        !link.is_started() || link.appetite(at, self.config.offers_wanted) > 0
    }

    /// Make the offers that the next announce will bring.
    fn refill(&mut self, now: Instant) {
        while self.refill_due().is_some_and(|due| due <= now) {
            let key = self.connections.next_key();
            self.offers.making(key, now);
            self.outputs.push(Output::MakeOffer(key));
        }
    }

    fn refill_due(&self) -> Option<Instant> {
        let promising = || self.links.iter().filter(|link| link.is_promising());
        let announces = promising().filter_map(Link::next_announce);
        let asks = self.ask_due();
        let for_neighbours = asks.map_or(0, |_| neighbours::AT_ONCE);
        let wanted = (self.config.offers_wanted * promising().count()).max(for_neighbours);
        let soonest = announces.chain(asks).min();
        self.offers
            .make_due(soonest, wanted, self.connections.room())
    }

    fn announce(&mut self, now: Instant, at: usize, event: Option<AnnounceEvent>) {
        let Some(key) = self.links[at].open_key() else {
            return;
        };
        let hungry = self
            .links
            .iter()
            .filter(|link| link.is_open() && !link.is_started())
            .count();
        let offers = match is_worth_offers(event) {
            true => {
                let appetite = self.links[at].appetite(now, self.config.offers_wanted);
                let most = appetite.min(self.connections.room());
                self.offers.take(now, at, hungry, most, &mut self.rng)
            }
            false => Vec::new(),
        };
        self.links[at].announced(now, offers.len());
        let message = ClientMessage::Announce(Announce {
            info_hash: self.config.swarm,
            peer_id: self.config.peer_id,
            event,
            uploaded: self.progress.uploaded,
            downloaded: self.progress.downloaded,
            left: self.progress.left,
            played_percent: self.progress.played_percent,
            offers,
        });
        self.outputs
            .push(Output::SendTracker(key, message.encode()));
    }

    fn announce_completed(&mut self, now: Instant) {
        for at in 0..self.links.len() {
            if self.links[at].is_started() {
                self.announce(now, at, Some(AnnounceEvent::Completed));
            }
        }
    }

    fn stop(&mut self, now: Instant) {
        for at in 0..self.links.len() {
            if self.links[at].is_started() {
                self.announce(now, at, Some(AnnounceEvent::Stopped));
            }
            if let Some(key) = self.links[at].key() {
                self.outputs.push(Output::CloseTracker(key));
            }
        }
        for key in self.offers.keys().chain(self.connections.unopened()) {
            self.outputs.push(Output::Drop(key));
        }
        self.is_stopped = true;
    }

    fn handle_offer_made(&mut self, now: Instant, key: PeerKey, sdp: &str) {
        if !self.offers.made(key, sdp::limit_candidates(sdp), now) {
            self.outputs.push(Output::Drop(key));
        }
    }

    fn handle_answer_made(&mut self, now: Instant, key: PeerKey, sdp: &str) {
        let Some((way, to_peer_id, offer_id)) = self.connections.answered(key, now) else {
            return;
        };
        let sdp = sdp::limit_candidates(sdp);
        let is_open = |tracker| {
            self.links
                .iter()
                .any(|link| link.open_key() == Some(tracker))
        };
        let tracker = match way {
            _ if sdp.len() > sdp::MAX_SDP => None,
            Way::Neighbour(via) => {
                let id = offer_id;
                let answer = Wish::Answer { via, id, sdp };
                return self.outputs.push(Output::Introduce(answer));
            }
            Way::Tracker(tracker) => Some(tracker).filter(|tracker| is_open(*tracker)),
        };
        let Some(tracker) = tracker else {
            self.connections.remove(key);
            return self.outputs.push(Output::Drop(key));
        };
        let (info_hash, peer_id) = (self.config.swarm, self.config.peer_id);
        let answer = ClientMessage::Answer(Answer {
            info_hash,
            peer_id,
            to_peer_id,
            offer_id,
            sdp,
        });
        self.outputs
            .push(Output::SendTracker(tracker, answer.encode()));
    }

    fn forget(&mut self, now: Instant, key: PeerKey) {
        self.offers.failed(key, now);
        if let Some(gone) = self.connections.remove(key) {
            self.replace(now, &gone);
        }
    }

    /// Announce sooner, where there may be somebody in the place of a connection that is gone.
    fn replace(&mut self, now: Instant, gone: &Connection) {
        let has_failed = !gone.is_open() && !self.connections.has(gone.remote());
        let retry = if has_failed {
            self.retries.failed(&mut self.rng)
        } else {
            None
        };
        for link in &mut self.links {
            // Whom we failed to reach is there, whatever the tracker counted before it came.
            let others = if retry.is_some() {
                u64::MAX
            } else {
                link.others()
            };
            if self
                .connections
                .is_hungry(self.config.offers_wanted, others)
            {
                link.hasten(now, retry);
            }
        }
    }
}

/// `duration`, less up to a fifth of it.
fn jittered(duration: Duration, rng: &mut Rng) -> Duration {
    duration.mul_f64(1.0 - 0.2 * rng.unit())
}

#[cfg(test)]
mod tests;
