//! Swarms that several trackers share: how many of an announce's offers go to whose peers, and the
//! words in which one tracker hands them to another.
//!
//! Each tracker knows its own peers, and of the others' how many there are: an announce's offers
//! are spread over all of them as if they stood on one ring, and who exactly gets one is chosen by
//! the tracker that has it, which knows what it has borne. The answer goes back the way the offer
//! came. That costs a look at the shares and at most k messages, however many peers there are.
//! How shares and messages travel is the driver's. Trackers of a cluster believe each other; what
//! they say is read as strictly as a stranger's words all the same.

use super::swarm::{Joiner, Place, Quota, Swarm};
use super::{ConnKey, Output, Tracker};
use crate::ids::{PeerId, SwarmHash};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::tracker::message::{
    Counts, Heard, HeardAnnounce, HeardAnswer, HeardOffer, MAX_OFFERS, OfferId, push_announce,
    push_answer,
};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Trackers of a swarm that are looked at, the others being left out.
pub const MAX_SHARES: usize = 32;

/// How long an offer of another tracker's peer may be answered.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Offers from elsewhere whose answers find their way back, about 100 bytes each.
const MAX_GUESTS: usize = 1 << 16;

/// A tracker of the cluster, as it calls itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeKey(pub u64);

/// What another tracker has of a swarm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// Which tracker.
    pub node: NodeKey,
    /// Peers over WebRTC that have everything.
    pub seeds: u32,
    /// Those that do not.
    pub leechers: u32,
}

/// What a cluster has of a swarm besides our own peers over WebRTC.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Abroad {
    /// Peers over WebRTC of other trackers; the first [`MAX_SHARES`] count.
    pub shares: Vec<Share>,
    /// Peers over TCP of all trackers, ours among them, that have everything.
    pub plain_seeds: u64,
    /// Those that do not.
    pub plain_leechers: u64,
    /// How often somebody got everything, at whichever tracker.
    pub downloaded: u64,
}

/// What the cluster has of which swarm.
pub type Shares = BTreeMap<SwarmHash, Abroad>;

/// What others are told of a swarm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// What we have of it now.
    pub share: Share,
    /// How many got everything since they were told the last time.
    pub completed: u64,
}

/// Which offers came from which tracker.
#[derive(Debug, Default)]
pub(super) struct Guests {
    nodes: BTreeMap<(OfferId, PeerId), NodeKey>,
    /// Oldest first.
    since: VecDeque<(Instant, (OfferId, PeerId))>,
}

impl Guests {
    fn note(&mut self, now: Instant, offer: OfferId, by: PeerId, node: NodeKey) {
        let is_over = |(since, _): &(Instant, _)| now.since(*since) >= ANSWER_TIMEOUT;
        while self.since.front().is_some_and(is_over) || self.since.len() >= MAX_GUESTS {
            if let Some((_, guest)) = self.since.pop_front() {
                self.nodes.remove(&guest);
            }
        }
        if self.nodes.insert((offer, by), node).is_none() {
            self.since.push_back((now, (offer, by)));
        }
    }

    /// Where the answer to this offer goes, if its maker is not one of ours.
    pub(super) fn node_of(&self, offer: OfferId, by: PeerId) -> Option<NodeKey> {
        self.nodes.get(&(offer, by)).copied()
    }
}

/// Draw `wanted` peers out of all that there are: how many of them are ours, and how many whose.
///
/// As in a single tracker a leecher wants seeds for half of its offers, and for more if there are
/// not so many leechers; a seed wants leechers alone.
pub(super) fn split(
    place: Place,
    wanted: usize,
    own: (usize, usize),
    others: &[Share],
    rng: &mut Rng,
) -> (Quota, Vec<(NodeKey, Quota)>) {
    let others = &others[..others.len().min(MAX_SHARES)];
    let left_of = |of: fn(&Share) -> u32, own: usize| {
        let mut left: Vec<u64> = others.iter().map(|share| of(share).into()).collect();
        left.push(own as u64);
        left
    };
    let mut seeds = left_of(|share| share.seeds, own.0);
    let mut leechers = left_of(|share| share.leechers, own.1);
    let mut quotas: Vec<Quota> = seeds.iter().map(|_| Quota::default()).collect();
    let all_leechers: u64 = leechers.iter().sum();
    let from_seeds = Quota::of_all(place, wanted, all_leechers as usize).seeds;
    let mut drawn = 0;
    while drawn < from_seeds
        && let Some(at) = draw(&mut seeds, rng)
    {
        quotas[at].seeds += 1;
        drawn += 1;
    }
    while drawn < wanted
        && let Some(at) = draw(&mut leechers, rng)
    {
        quotas[at].leechers += 1;
        drawn += 1;
    }
    let ours = quotas.pop().unwrap_or_default();
    let nodes = others.iter().map(|share| share.node);
    let theirs = nodes.zip(quotas).filter(|(_, quota)| quota.sum() > 0);
    (ours, theirs.collect())
}

/// One of all, where `left` says how many there are at each place; it is taken away.
fn draw(left: &mut [u64], rng: &mut Rng) -> Option<usize> {
    let all: u64 = left.iter().sum();
    let mut at = rng.next_u64().checked_rem(all)?;
    for (place, left) in left.iter_mut().enumerate() {
        if at < *left {
            *left -= 1;
            return Some(place);
        }
        at -= *left;
    }
    None
}

/// What one tracker hands to another.
enum Relay<'a> {
    /// Offers for so many seeds, and for leechers, of a peer of its.
    Offers {
        node: NodeKey,
        connection: ConnKey,
        seeds: usize,
        announce: HeardAnnounce<'a>,
    },
    /// An answer to a peer of yours.
    Answer(HeardAnswer<'a>),
}

impl<'a> Relay<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (head, message) = text.split_once('\n')?;
        let mut words = head.split(' ');
        match (words.next()?, Heard::read(message).ok()?) {
            ("answer", Heard::Answer(answer)) => Some(Self::Answer(answer)),
            ("offers", Heard::Announce(announce)) => {
                let mut number = || words.next()?.parse::<u64>().ok();
                Some(Self::Offers {
                    node: NodeKey(number()?),
                    connection: ConnKey(number()?),
                    seeds: usize::try_from(number()?).ok()?,
                    announce,
                })
            }
            _ => None,
        }
    }
}

impl Tracker {
    /// At most so many swarms whose numbers changed since this was last asked, and what they are
    /// now; none unless this is a tracker of a cluster.
    pub fn take_changed(&mut self, most: usize) -> Vec<(SwarmHash, Change)> {
        let Some(node) = self.config.node else {
            return Vec::new();
        };
        let mut changed = Vec::new();
        while changed.len() < most
            && let Some((hash, completed)) = self.changed.pop_first()
        {
            let (seeds, leechers) = self.swarms.get(&hash).map_or((0, 0), Swarm::share);
            let share = Share {
                node,
                seeds,
                leechers,
            };
            changed.push((hash, Change { share, completed }));
        }
        changed
    }

    /// All swarms count as changed: the others may have forgotten.
    pub fn change_all(&mut self) {
        if self.config.node.is_some() {
            for hash in self.swarms.keys() {
                self.changed.entry(*hash).or_default();
            }
        }
    }

    /// Somebody came or went, or has everything now; `completed` of them had not before.
    pub(super) fn note_change(&mut self, hash: SwarmHash, completed: u64) {
        if self.config.node.is_none() {
            return;
        }
        // While nobody asks, all the swarms that ever were add up: those gone are told of no more.
        if self.changed.len() >= self.config.max_swarms.saturating_mul(2) {
            let swarms = &self.swarms;
            self.changed.retain(|hash, _| swarms.contains_key(hash));
        }
        *self.changed.entry(hash).or_default() += completed;
    }

    /// With the peers of other trackers.
    pub(super) fn counts_among(&self, hash: SwarmHash, abroad: &Abroad) -> Counts {
        let swarm = self.swarms.get(&hash);
        let own = swarm.map(Swarm::counts).unwrap_or_default();
        // Ours are among those that all can see, unless somebody has forgotten them.
        let (seeds, leechers) = swarm.map_or((0, 0), |swarm| swarm.plain.counts());
        let others = abroad.shares.iter().take(MAX_SHARES);
        let (more_seeds, more_leechers) = others.fold((0, 0), |(seeds, leechers), share| {
            let (more_seeds, more_leechers) = (share.seeds, share.leechers);
            (
                seeds + u64::from(more_seeds),
                leechers + u64::from(more_leechers),
            )
        });
        Counts {
            complete: own.complete + more_seeds + abroad.plain_seeds.saturating_sub(seeds),
            incomplete: own.incomplete
                + more_leechers
                + abroad.plain_leechers.saturating_sub(leechers),
            downloaded: own.downloaded.max(abroad.downloaded),
        }
    }

    /// Hand each of the others its part of the offers.
    pub(super) fn relay_offers(
        &mut self,
        key: ConnKey,
        announce: &HeardAnnounce<'_>,
        mut offers: &[HeardOffer<'_>],
        theirs: &[(NodeKey, Quota)],
    ) {
        let Some(NodeKey(own)) = self.config.node else {
            return;
        };
        for (node, quota) in theirs {
            let (part, rest) = offers.split_at(quota.sum().min(offers.len()));
            offers = rest;
            if part.is_empty() {
                return;
            }
            self.stats.relayed_offers += part.len() as u64;
            let ConnKey(connection) = key;
            let mut text = format!("offers {own} {connection} {}\n", quota.seeds);
            push_announce(&mut text, announce, part);
            self.outputs
                .push_back(Output::Relay(*node, announce.info_hash, text));
        }
    }

    /// Hand an answer to the tracker that has the peer it is for.
    pub(super) fn relay_answer(&mut self, node: NodeKey, answer: &HeardAnswer<'_>) {
        let mut text = String::from("answer\n");
        push_answer(&mut text, answer);
        self.outputs
            .push_back(Output::Relay(node, answer.info_hash, text));
    }

    /// Another tracker hands something over. What cannot be read, or is for nobody, is dropped.
    pub(super) fn handle_relayed(&mut self, now: Instant, text: &str) {
        match Relay::read(text) {
            Some(Relay::Answer(answer)) => self.pass_answer(&answer),
            Some(Relay::Offers {
                node,
                connection,
                seeds,
                announce,
            }) => self.introduce_guest(now, node, connection, seeds, &announce),
            None => self.stats.refused += 1,
        }
    }

    fn introduce_guest(
        &mut self,
        now: Instant,
        node: NodeKey,
        connection: ConnKey,
        seeds: usize,
        announce: &HeardAnnounce<'_>,
    ) {
        let offers = announce.offers.len().min(MAX_OFFERS);
        let is_seed = announce.left == Some(0);
        let seeds = seeds.min(offers);
        let joiner = Joiner {
            // Only to be told from others: two that are the same bear a little less.
            connection: ConnKey(connection.0 ^ node.0),
            id: announce.peer_id,
            place: Place::new(self.config.seed, announce.peer_id, is_seed),
            lacks_source: seeds > 0,
            played_percent: announce.played_percent,
            quota: Quota {
                seeds,
                leechers: offers - seeds,
            },
        };
        self.pass_offers(now, joiner, announce.info_hash, &announce.offers);
        for offer in &announce.offers {
            self.guests.note(now, offer.id, announce.peer_id, node);
        }
    }
}
