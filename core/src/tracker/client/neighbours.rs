//! Neighbours as one tracker more: when they are asked for others, and what comes of it.
//!
//! They are asked while we have fewer connections than we want: soon where no tracker can be
//! reached, otherwise when the tracker's introductions have had their time. In vain, ever later.

use super::connections::{Connection, Way};
use super::{Client, Output, jittered, sdp};
use crate::ids::{OfferId, PeerId, PeerKey};
use crate::pex::{MAX_CARRIED_FOR_ONE, News, Wish};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use alloc::string::String;

/// Offers that neighbours carry for us at a time, each by another one.
pub(super) const AT_ONCE: usize = MAX_CARRIED_FOR_ONE;

/// The place of neighbours among the trackers of an offer.
pub(super) const NEIGHBOURS: usize = super::MAX_TRACKERS;

/// Pause before they are asked, where no tracker answers and where one does.
const SOON: Duration = Duration::from_secs(1);
const AFTER_TRACKER: Duration = Duration::from_secs(20);

/// The longest pause after asking in vain.
const MAX_PAUSE: Duration = Duration::from_secs(120);

/// What we know of our neighbours.
#[derive(Debug)]
pub(super) struct Neighbours {
    /// How many can introduce us.
    carriers: usize,
    /// When they are asked next, if we still want others then.
    next: Instant,
    /// How often they were asked since anybody new came.
    in_vain: u32,
    /// Whether those we have lack what is read here, as was said since the last of them came.
    is_starving: bool,
}

impl Neighbours {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            carriers: 0,
            next: now,
            in_vain: 0,
            is_starving: false,
        }
    }

    /// When they are to be asked, if there are any.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.carriers > 0).then_some(self.next)
    }

    /// Somebody came or went: what was in vain may not be now.
    pub(super) fn changed(&mut self, now: Instant, has_tracker: bool, rng: &mut Rng) {
        self.in_vain = 0;
        self.is_starving = false;
        self.next = now + jittered(first_pause(has_tracker), rng);
    }

    fn asked(&mut self, now: Instant, has_tracker: bool, rng: &mut Rng) {
        let pause = first_pause(has_tracker) * 2u32.pow(self.in_vain.min(8) + 1);
        self.in_vain += 1;
        self.next = now + jittered(pause.min(MAX_PAUSE), rng);
    }
}

const fn first_pause(has_tracker: bool) -> Duration {
    if has_tracker { AFTER_TRACKER } else { SOON }
}

impl Client {
    /// When neighbours are to be asked, should we want others.
    pub(super) fn ask_due(&self) -> Option<Instant> {
        self.neighbours.due().filter(|_| self.wants_others())
    }

    /// Whether we want more peers than we have, as far as trackers know of others.
    fn wants_others(&self) -> bool {
        let started = self.links.iter().filter(|link| link.is_started());
        let others = started.map(super::Link::others).max().unwrap_or(u64::MAX);
        let wanted = match self.neighbours.is_starving {
            true => usize::MAX,
            false => self.config.offers_wanted,
        };
        self.connections.room() > 0 && self.connections.is_hungry(wanted, others)
    }

    pub(super) fn has_tracker(&self) -> bool {
        self.links.iter().any(super::Link::is_started)
    }

    /// Asks neighbours, if it is time and there is an offer to show.
    pub(super) fn ask_neighbours(&mut self, now: Instant) {
        if self.ask_due().is_none_or(|due| due > now) || !self.offers.is_any_ready() {
            return;
        }
        let most = AT_ONCE.min(self.connections.room());
        let offers = self.offers.take(now, NEIGHBOURS, 1, most, &mut self.rng);
        for offer in offers {
            let (id, sdp) = (offer.id, offer.sdp);
            let wish = Wish::Introduce { id, sdp };
            self.outputs.push(Output::Introduce(wish));
        }
        let has_tracker = self.has_tracker();
        self.neighbours.asked(now, has_tracker, &mut self.rng);
    }

    /// Somebody is connected now, or is not any more.
    pub(super) fn company_changed(&mut self, now: Instant) {
        let has_tracker = self.has_tracker();
        self.neighbours.changed(now, has_tracker, &mut self.rng);
    }

    pub(super) fn handle_news(&mut self, now: Instant, news: &News) {
        match news {
            News::Answered { id, from, sdp } => self.handle_carried_answer(now, *from, *id, sdp),
            News::Carriers(count) => {
                let before = core::mem::replace(&mut self.neighbours.carriers, *count);
                // Those over TCP come and go without our hearing of it otherwise.
                if before != *count {
                    self.company_changed(now);
                }
            }
            News::Declined { id } => {
                if let Some(key) = self.offers.find(NEIGHBOURS, *id) {
                    self.offers.idle(key);
                }
            }
            News::Offered { via, id, from, sdp } => {
                self.handle_carried_offer(now, (*via, *from, *id), sdp);
            }
            News::Starving => {
                let links = self.links.iter_mut();
                links.for_each(|link| link.hasten(now, None));
                self.neighbours.is_starving = true;
                self.neighbours.next = self.neighbours.next.min(now + SOON);
            }
        }
    }

    fn handle_carried_offer(
        &mut self,
        now: Instant,
        (via, remote, id): (PeerKey, PeerId, OfferId),
        sdp: &str,
    ) {
        let way = Way::Neighbour(via);
        if !self.connections.is_offer_welcome(remote, way) || sdp::check(sdp).is_err() {
            let decline = Output::Introduce(Wish::Decline { via, id });
            return self.outputs.push(decline);
        }
        let key = self.connections.next_key();
        self.connections
            .insert(key, Connection::answering(remote, way, id, now));
        self.outputs
            .push(Output::AcceptOffer(key, String::from(sdp)));
    }

    /// An answer that is not welcome leaves the offer to others.
    fn handle_carried_answer(&mut self, now: Instant, remote: PeerId, id: OfferId, sdp: &str) {
        let Some(key) = self.offers.find(NEIGHBOURS, id) else {
            return;
        };
        if !self.connections.is_answer_welcome(remote) || sdp::check(sdp).is_err() {
            return self.offers.idle(key);
        }
        self.offers.remove(key);
        self.connections
            .insert(key, Connection::offered(remote, now));
        self.outputs
            .push(Output::ApplyAnswer(key, String::from(sdp)));
    }
}
