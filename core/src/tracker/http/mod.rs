//! One torrent's client of its HTTP trackers (BEP 3): when to announce, with what, and whom the
//! answers name.
//!
//! It fetches nothing: it says which address to fetch ([`Output::Announce`]) and is told what came
//! ([`Input::Answered`]). Whom it names is somebody to call, not somebody to trust.

mod answer;
mod link;
mod query;
mod reach;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::Progress;
use super::client::{Event, MAX_TRACKERS};
use super::message::AnnounceEvent;
use crate::ids::{InfoHashes, PeerId, SwarmHash};
use crate::rng::Rng;
use crate::time::Instant;
use answer::Answer;
use link::Link;
use query::Query;
pub use reach::Reach;

/// Longest answer worth reading: 256 peers written out, several times.
pub const MAX_ANSWER: usize = 128 * 1024;

/// Peers asked for at a time, where somebody is lacking.
const WANTED: usize = 80;

/// What a client is and wants.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// How we call ourselves.
    pub peer_id: PeerId,
    /// The torrent: a hybrid is announced under both names (BEP 52).
    pub hashes: InfoHashes,
    /// `http://` and `https://` URLs; the first [`MAX_TRACKERS`] count.
    pub trackers: Vec<String>,
    /// Where we take calls; 0 if we take none.
    pub port: u16,
    /// Bytes lacking at first; `None` if unknown.
    pub left: Option<u64>,
    /// Luck.
    pub seed: u64,
}

/// One announce under way. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AnnounceKey(pub u32);

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The tracker, at this address, answered with this body.
    Answered(AnnounceKey, IpAddr, &'a [u8]),
    /// There is no answer, for this reason.
    Failed(AnnounceKey, &'a str),
    /// What we have by now.
    Progress(Progress),
    /// We leave: say so to every tracker that knows us. Nothing is to be told to it any more.
    Stopped,
    /// [`HttpClient::poll_timeout`] has come.
    TimedOut,
}

/// What to do.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Fetch this URL, with a limit of time and of [`MAX_ANSWER`] bytes.
    Announce(AnnounceKey, String),
    /// Something to tell the user.
    Event(Event),
    /// Somebody is said to be there.
    Heard(SocketAddr),
}

/// A torrent's client of all its HTTP trackers.
#[derive(Debug)]
pub struct HttpClient {
    config: HttpConfig,
    rng: Rng,
    /// BEP 3 calls it the key: how a tracker knows us under another address.
    key: u32,
    links: Vec<Link>,
    progress: Progress,
    next_key: u32,
    is_stopped: bool,
    outputs: VecDeque<Output>,
}

impl HttpClient {
    /// A client that starts at once: there is output to take.
    pub fn new(config: HttpConfig, now: Instant) -> Self {
        let mut rng = Rng::seeded(config.seed);
        let names = names(&config.hashes);
        let trackers = config.trackers.iter().take(MAX_TRACKERS);
        let links = trackers.flat_map(|url| {
            let of = |swarm: &SwarmHash| Link::new(url.clone(), *swarm, now);
            names.iter().map(of).collect::<Vec<_>>()
        });
        let mut client = Self {
            key: rng.next_u64() as u32,
            links: links.collect(),
            rng,
            progress: Progress {
                left: config.left,
                ..Progress::default()
            },
            config,
            next_key: 0,
            is_stopped: false,
            outputs: VecDeque::new(),
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
            Input::Answered(key, from, body) => self.answered(now, key, from, body),
            Input::Failed(key, reason) => self.failed(now, key, reason),
            Input::Progress(progress) => {
                let before = core::mem::replace(&mut self.progress, progress);
                if progress.completes(before) {
                    self.links.iter_mut().for_each(|link| link.completed(now));
                }
            }
            Input::Stopped => return self.stop(),
            Input::TimedOut => {}
        }
        self.advance(now);
    }

    /// What to do next; call until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When it wants [`Input::TimedOut`], if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_stopped {
            return None;
        }
        self.links.iter().filter_map(Link::due).min()
    }

    fn advance(&mut self, now: Instant) {
        for at in 0..self.links.len() {
            if self.links[at].due().is_some_and(|due| due <= now) {
                let event = self.links[at].event();
                let key = self.announce(at, event);
                self.links[at].asked(key, event);
            }
        }
    }

    fn announce(&mut self, at: usize, event: Option<AnnounceEvent>) -> AnnounceKey {
        let link = &self.links[at];
        let is_wanting = event != Some(AnnounceEvent::Stopped);
        let query = Query {
            tracker: &link.url,
            swarm: link.swarm,
            peer_id: self.config.peer_id,
            port: self.config.port,
            progress: self.progress,
            key: self.key,
            event,
            wanted: if is_wanting { WANTED } else { 0 },
            tracker_id: link.tracker_id.as_deref(),
        };
        let url = query.url();
        let key = AnnounceKey(self.next_key);
        self.next_key = self.next_key.wrapping_add(1);
        self.outputs.push_back(Output::Announce(key, url));
        key
    }

    fn answered(&mut self, now: Instant, key: AnnounceKey, from: IpAddr, body: &[u8]) {
        let Some(at) = self.links.iter().position(|link| link.is_asked(key)) else {
            return;
        };
        let Some(mut answer) = Answer::parse(body) else {
            return self.failed(
                now,
                key,
                "it answered with something that is no tracker's answer",
            );
        };
        let url = self.links[at].url.clone();
        if let Some(words) = &answer.failure {
            let message = words.to_string();
            self.links[at].refused(now, answer.retry, &mut self.rng);
            return self.tell(Event::Lost { url, message });
        }
        if let Some(message) = answer.warning.take() {
            let url = url.clone();
            self.tell(Event::Warning { url, message });
        }
        // Only what it could reach itself is it believed about.
        let reach = Reach::of(from);
        for peer in &answer.peers {
            if reach.is_some_and(|reach| reach.may_name(*peer)) {
                self.outputs.push_back(Output::Heard(*peer));
            }
        }
        // Many a tracker names us too.
        let is_alone = answer.peers.is_empty() || answer.complete + answer.incomplete == 1;
        let is_hungry = self.progress.left != Some(0) && is_alone;
        if self.links[at].answered(now, &answer, is_hungry, &mut self.rng) {
            let url = url.clone();
            self.tell(Event::Connected { url });
        }
        self.tell(Event::Announced {
            url,
            complete: answer.complete,
            incomplete: answer.incomplete,
        });
    }

    fn failed(&mut self, now: Instant, key: AnnounceKey, reason: &str) {
        if let Some(link) = self.links.iter_mut().find(|link| link.is_asked(key)) {
            link.failed(now, &mut self.rng);
            let (url, message) = (link.url.clone(), reason.to_string());
            self.tell(Event::Lost { url, message });
        }
    }

    fn stop(&mut self) {
        for at in 0..self.links.len() {
            if self.links[at].is_known() {
                self.announce(at, Some(AnnounceEvent::Stopped));
            }
        }
        self.is_stopped = true;
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// The names of a torrent at trackers.
fn names(hashes: &InfoHashes) -> Vec<SwarmHash> {
    let v1 = hashes.v1().map(SwarmHash::from);
    let v2 = hashes.v2().map(SwarmHash::from);
    v1.into_iter().chain(v2).collect()
}
