//! Our own offers: being made, idle, or out with a tracker.
//!
//! An offer costs a WebRTC connection in waiting, so one that nobody answered is offered again.

use crate::ids::PeerKey;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::tracker::message::{MAX_OFFERS, Offer, OfferId};
use crate::tracker::sdp::MAX_SDP;
use alloc::string::String;
use alloc::vec::Vec;

/// The stack has this long to make one.
const MAKE_TIMEOUT: Duration = Duration::from_secs(20);

/// An offer nobody answered for so long may go to somebody else.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Older than this, its addresses may be stale: it is made anew.
const MAX_AGE: Duration = Duration::from_secs(300);

/// How long the first offers wait for the rest, to leave in one announce.
const GATHER: Duration = Duration::from_millis(200);

/// How long before an announce the offers for it are made.
const LEAD: Duration = Duration::from_secs(3);

/// First pause after the stack failed to make one, and the longest.
const MIN_RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(30);

/// The offers of one client.
#[derive(Debug)]
pub(super) struct Offers {
    wanted: usize,
    offers: Vec<OwnOffer>,
    /// None is made before; after failures, later and later.
    make_at: Instant,
    failed_in_row: u32,
}

#[derive(Debug)]
struct OwnOffer {
    key: PeerKey,
    since: Instant,
    sdp: String,
    state: State,
    /// The names it has had, at which tracker: the present one last.
    names: Vec<(usize, OfferId)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Never offered to anyone yet, and ready since.
    Fresh(Instant),
    Idle,
    Making,
    Out {
        link: usize,
        at: Instant,
    },
}

impl Offers {
    pub(super) fn new(wanted: usize, now: Instant) -> Self {
        let wanted = wanted.min(MAX_OFFERS);
        Self {
            wanted,
            offers: Vec::new(),
            make_at: now,
            failed_in_row: 0,
        }
    }

    /// When one more is to be made, for somebody to be shown them at `soonest`: `wanted` of them,
    /// if there is `room`.
    pub(super) fn make_due(
        &self,
        soonest: Option<Instant>,
        wanted: usize,
        room: usize,
    ) -> Option<Instant> {
        let target = wanted.min(MAX_OFFERS).min(room);
        let is_lacking = self.offers.len() < target;
        soonest
            .filter(|_| is_lacking)
            .map(|at| at.before(LEAD).max(self.make_at))
    }

    pub(super) fn making(&mut self, key: PeerKey, now: Instant) {
        let (sdp, names) = (String::new(), Vec::new());
        self.offers.push(OwnOffer {
            key,
            since: now,
            sdp,
            state: State::Making,
            names,
        });
    }

    /// False if nobody asked for it, or nobody would take it.
    pub(super) fn made(&mut self, key: PeerKey, sdp: String, now: Instant) -> bool {
        let making = |offer: &&mut OwnOffer| offer.key == key && offer.state == State::Making;
        let Some(offer) = self.offers.iter_mut().find(making) else {
            return false;
        };
        if sdp.len() > MAX_SDP {
            self.failed(key, now);
            return false;
        }
        (offer.sdp, offer.state) = (sdp, State::Fresh(now));
        self.failed_in_row = 0;
        true
    }

    /// When there is something to announce for the offers' sake: at the first announce as soon
    /// as one is ready (or none will be), later when those made since have gathered.
    pub(super) fn due(&self, is_started: bool) -> Option<Instant> {
        if self.wanted == 0 {
            return (!is_started).then_some(Instant::START);
        }
        let ready = |offer: &OwnOffer| match offer.state {
            State::Fresh(since) => Some(since),
            State::Idle if !is_started => Some(offer.since),
            _ => None,
        };
        let first = self.offers.iter().filter_map(ready).min()?;
        let is_all = self.offers.iter().all(|offer| offer.state != State::Making);
        Some(if is_started && !is_all {
            first + GATHER
        } else {
            first
        })
    }

    /// Take at most `most` offers for an announce at `link`; `hungry` links, it among them, wait
    /// for their first.
    pub(super) fn take(
        &mut self,
        now: Instant,
        link: usize,
        hungry: usize,
        most: usize,
        rng: &mut Rng,
    ) -> Vec<Offer> {
        let count = self.offers.iter().filter(|offer| offer.is_ready()).count();
        let share = count.div_ceil(hungry.max(1)).min(most);
        let taken = self
            .offers
            .iter_mut()
            .filter(|offer| offer.is_ready())
            .take(share);
        taken.map(|offer| offer.send(now, link, rng)).collect()
    }

    /// Whether one could be shown to somebody now.
    pub(super) fn is_any_ready(&self) -> bool {
        self.offers.iter().any(OwnOffer::is_ready)
    }

    /// The offer of this name at this tracker, if it still waits for an answer.
    pub(super) fn find(&self, link: usize, id: OfferId) -> Option<PeerKey> {
        let offer = self
            .offers
            .iter()
            .find(|offer| offer.names.contains(&(link, id)))?;
        Some(offer.key)
    }

    /// Nobody took it: it may be offered again.
    pub(super) fn idle(&mut self, key: PeerKey) {
        if let Some(offer) = self.offers.iter_mut().find(|offer| offer.key == key) {
            offer.state = State::Idle;
        }
    }

    /// What is out at this tracker reached nobody.
    pub(super) fn returned(&mut self, link: usize) {
        for offer in &mut self.offers {
            if matches!(offer.state, State::Out { link: at, .. } if at == link) {
                offer.state = State::Idle;
            }
        }
    }

    pub(super) fn remove(&mut self, key: PeerKey) {
        self.offers.retain(|offer| offer.key != key);
    }

    /// The stack could not make it, or lost it.
    pub(super) fn failed(&mut self, key: PeerKey, now: Instant) {
        if !self.offers.iter().any(|offer| offer.key == key) {
            return;
        }
        self.remove(key);
        // Those that fail together fail for one reason: a page was left, a stack is gone.
        if self.make_at > now {
            return;
        }
        let pause = (MIN_RETRY * 2u32.pow(self.failed_in_row.min(8))).min(MAX_RETRY);
        self.failed_in_row += 1;
        self.make_at = now + pause;
    }

    /// Offers that are to be dropped: never made, or too old. What waited for an answer in vain
    /// is idle again.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<PeerKey> {
        let mut expired = Vec::new();
        for offer in &mut self.offers {
            if offer.expires().is_none_or(|at| at > now) {
                continue;
            }
            match offer.state {
                State::Out { .. } => offer.state = State::Idle,
                _ => expired.push((offer.key, offer.state)),
            }
        }
        for (key, state) in &expired {
            match state {
                State::Making => self.failed(*key, now),
                _ => self.remove(*key),
            }
        }
        expired.into_iter().map(|(key, _)| key).collect()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.offers.iter().filter_map(OwnOffer::expires).min()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = PeerKey> {
        self.offers.iter().map(|offer| offer.key)
    }
}

impl OwnOffer {
    const fn is_ready(&self) -> bool {
        matches!(self.state, State::Fresh(_) | State::Idle)
    }

    fn send(&mut self, now: Instant, link: usize, rng: &mut Rng) -> Offer {
        let mut id = OfferId([0; 20]);
        rng.fill(&mut id.0);
        // The last peer it went to may still be thinking; the ones before are not.
        if self.names.len() == 2 {
            self.names.remove(0);
        }
        self.names.push((link, id));
        self.state = State::Out { link, at: now };
        Offer {
            id,
            sdp: self.sdp.clone(),
        }
    }

    fn expires(&self) -> Option<Instant> {
        Some(match self.state {
            State::Making => self.since + MAKE_TIMEOUT,
            State::Fresh(_) | State::Idle => self.since + MAX_AGE,
            State::Out { at, .. } => at + ANSWER_TIMEOUT,
        })
    }
}
