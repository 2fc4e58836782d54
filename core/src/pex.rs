//! Peers found by peers: what a peer carries for its neighbours, and how much of it.
//!
//! A peer that wants neighbours asks one of those it has to pass a WebRTC offer on to one of theirs,
//! and the answer comes back the same way: three or four messages, however large the swarm. So a
//! swarm outlives its tracker.
//!
//! Accounts and limits only. Who is asked and what goes over the wire is the swarm's affair; who
//! offers, answers and connects is the tracker client's, for which neighbours are one tracker more.
//! They speak to each other in [`Wish`] and [`News`].

use crate::ids::{OfferId, PeerId, PeerKey};
use crate::ordered::Map;
use crate::time::{Duration, Instant};
use crate::wire::introduction::MAX_HOPS;
use alloc::string::String;
use alloc::vec::Vec;

/// Offers under way through us, our own among them. Each may hold a session description.
pub const MAX_CARRIED: usize = 32;

/// Offers under way for one neighbour: one and the next.
pub const MAX_CARRIED_FOR_ONE: usize = 2;

/// Neighbours that one offer is shown to, one after the other. With [`MAX_HOPS`] an offer costs the
/// whole swarm six messages at the most, and as many back.
pub const MAX_TRIES: usize = 2;

/// Offers that one neighbour may bring us, to be carried or to be answered: so many at once, and
/// then one every so often.
const FROM_ONE: Allowance = Allowance::of(Duration::from_secs(5), 4);

/// Offers to be answered by us that all neighbours together may bring: twenty a minute.
const FOR_US: Allowance = Allowance::of(Duration::from_secs(3), 8);

/// Offers over its allowance after which a neighbour is a nuisance.
const PATIENCE: u32 = 64;

/// The last of a chain has this long to answer; each before it gives a little more.
const ANSWER_WITHIN: Duration = Duration::from_secs(9);
const HOP_WITHIN: Duration = Duration::from_secs(3);

/// What the tracker client asks of the swarm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Give this answer to the neighbour who brought the offer.
    Answer {
        /// Who brought it.
        via: PeerKey,
        /// The offer's name.
        id: OfferId,
        /// The answer.
        sdp: String,
    },
    /// Tell the neighbour who brought the offer that we do not want it.
    Decline {
        /// Who brought it.
        via: PeerKey,
        /// The offer's name.
        id: OfferId,
    },
    /// Have a neighbour show this offer to one of theirs.
    Introduce {
        /// The offer's name.
        id: OfferId,
        /// The offer.
        sdp: String,
    },
}

/// What the swarm tells the tracker client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// Somebody answers an offer of ours.
    Answered {
        /// The offer's name.
        id: OfferId,
        /// Who answers.
        from: PeerId,
        /// The answer.
        sdp: String,
    },
    /// So many neighbours can introduce us to others.
    Carriers(usize),
    /// Nobody was found for an offer of ours.
    Declined {
        /// The offer's name.
        id: OfferId,
    },
    /// A stranger offers a connection.
    Offered {
        /// The neighbour who brings it.
        via: PeerKey,
        /// The offer's name.
        id: OfferId,
        /// Who offers.
        from: PeerId,
        /// The offer.
        sdp: String,
    },
    /// Somebody reads what no neighbour has.
    Starving,
}

/// An offer on its way through us.
#[derive(Debug)]
pub struct Carried {
    /// Its name.
    pub id: OfferId,
    /// Who asked for it; `None` if it is our own.
    pub asker: Option<PeerKey>,
    /// Who made it.
    pub from: PeerId,
    /// How often whom it is shown to is to pass it on.
    pub hops: u8,
    /// The offer.
    pub sdp: String,
    /// Whom it was shown to; the last one has it now.
    pub shown: Vec<PeerKey>,
    until: Instant,
}

impl Carried {
    /// Who has it now.
    pub fn holder(&self) -> Option<PeerKey> {
        self.shown.last().copied()
    }
}

/// What is to be done with what a neighbour brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may be looked at.
    Heard,
    /// It is too much.
    Refused,
    /// It has been too much for too long.
    Flood,
}

/// All offers under way through one peer, and how many its neighbours brought.
#[derive(Debug)]
pub struct Introductions {
    carried: Vec<Carried>,
    from: Map<PeerKey, (Allowance, u32)>,
    for_us: Allowance,
}

impl Default for Introductions {
    fn default() -> Self {
        Self {
            carried: Vec::new(),
            from: Map::new(),
            for_us: FOR_US,
        }
    }
}

impl Introductions {
    /// A neighbour brings an offer: whether it is looked at.
    pub fn weigh(&mut self, now: Instant, neighbour: PeerKey) -> Verdict {
        let (allowance, excess) = self.from.entry(neighbour).or_insert((FROM_ONE, 0));
        if allowance.allows(now) {
            *excess = 0;
            return Verdict::Heard;
        }
        *excess += 1;
        match *excess > PATIENCE {
            true => Verdict::Flood,
            false => Verdict::Refused,
        }
    }

    /// Whether one more offer may be for us.
    pub fn takes_one(&mut self, now: Instant) -> bool {
        self.for_us.allows(now)
    }

    /// Carries an offer, if there is room for it.
    pub fn carry(
        &mut self,
        now: Instant,
        asker: Option<PeerKey>,
        (id, from, hops): (OfferId, PeerId, u8),
        sdp: String,
    ) -> bool {
        debug_assert!(hops <= MAX_HOPS);
        let same = self.carried.iter().filter(|one| one.asker == asker).count();
        let is_known = self.carried.iter().any(|one| one.id == id);
        if is_known || self.carried.len() >= MAX_CARRIED || same >= MAX_CARRIED_FOR_ONE {
            return false;
        }
        self.carried.push(Carried {
            id,
            asker,
            from,
            hops,
            sdp,
            shown: Vec::new(),
            until: now + ANSWER_WITHIN + HOP_WITHIN * u32::from(hops),
        });
        true
    }

    /// The offer of this name, if it is under way.
    pub fn find(&mut self, id: OfferId) -> Option<&mut Carried> {
        self.carried.iter_mut().find(|one| one.id == id)
    }

    /// Its way is over.
    pub fn take(&mut self, id: OfferId) -> Option<Carried> {
        let at = self.carried.iter().position(|one| one.id == id)?;
        Some(self.carried.swap_remove(at))
    }

    /// A neighbour is gone: what it asked for is forgotten, what it had is named.
    pub fn forget(&mut self, neighbour: PeerKey) -> Vec<OfferId> {
        self.from.remove(&neighbour);
        self.carried.retain(|one| one.asker != Some(neighbour));
        let had = |one: &&Carried| one.holder() == Some(neighbour);
        self.carried.iter().filter(had).map(|one| one.id).collect()
    }

    /// Those that nobody answered in time.
    pub fn overdue(&self, now: Instant) -> Vec<OfferId> {
        let late = self.carried.iter().filter(|one| one.until <= now);
        late.map(|one| one.id).collect()
    }
}

/// So much at once, and then one every so often.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    every: Duration,
    at_once: u32,
    /// The moment until which it is used up.
    used: Instant,
}

impl Allowance {
    const fn of(every: Duration, at_once: u32) -> Self {
        Self {
            every,
            at_once,
            used: Instant::START,
        }
    }

    /// Takes one; false if there is none.
    fn allows(&mut self, now: Instant) -> bool {
        let used = self.used.max(now) + self.every;
        let is_left = used.since(now) <= self.every * self.at_once;
        if is_left {
            self.used = used;
        }
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: PeerId = PeerId([1; 20]);

    fn id(number: u8) -> OfferId {
        OfferId([number; 20])
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn carry(all: &mut Introductions, asker: u64, number: u8) -> bool {
        let offer = (id(number), FROM, 0);
        all.carry(at(0), Some(PeerKey(asker)), offer, String::new())
    }

    #[test]
    fn a_neighbour_may_bring_a_few_at_once_and_then_one_now_and_then() {
        let mut all = Introductions::default();
        let heard = |all: &mut Introductions, seconds| {
            (0..10)
                .filter(|_| all.weigh(at(seconds), PeerKey(1)) == Verdict::Heard)
                .count()
        };
        assert_eq!(heard(&mut all, 0), 4);
        assert_eq!(heard(&mut all, 10), 2);
        assert_eq!(heard(&mut all, 70), 4, "what is not used is not saved");
        assert_eq!(all.weigh(at(70), PeerKey(2)), Verdict::Heard, "another's");
    }

    #[test]
    fn who_does_not_stop_is_a_nuisance() {
        let mut all = Introductions::default();
        let verdicts = (0..100).map(|_| all.weigh(at(0), PeerKey(1)));
        let verdicts: Vec<Verdict> = verdicts.collect();
        assert_eq!(verdicts[4], Verdict::Refused);
        assert_eq!(verdicts[99], Verdict::Flood);
    }

    #[test]
    fn what_is_carried_is_bounded_for_one_and_for_all() {
        let mut all = Introductions::default();
        assert!(carry(&mut all, 1, 1));
        assert!(!carry(&mut all, 2, 1), "of the same name");
        assert!(carry(&mut all, 1, 2));
        assert!(!carry(&mut all, 1, 3));
        let more = (2..200).filter(|asker| carry(&mut all, *asker, *asker as u8 + 2));
        assert_eq!(more.count(), MAX_CARRIED - 2);
        all.forget(PeerKey(1));
        assert!(carry(&mut all, 1, 1), "there is room again");
    }

    #[test]
    fn an_offer_that_nobody_answers_is_overdue() {
        let mut all = Introductions::default();
        assert!(carry(&mut all, 1, 1));
        assert_eq!(all.overdue(at(5)), []);
        assert_eq!(all.overdue(at(9)), [id(1)]);
        assert!(all.take(id(1)).is_some());
        assert!(all.take(id(1)).is_none());
    }
}
