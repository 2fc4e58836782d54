//! Whom we answer: tit for tat while we fetch, a fair rotation when we only give.
//!
//! It ranks; the swarm sends the chokes and unchokes.

use alloc::vec::Vec;

use crate::ids::PeerKey;
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// How long an optimistic unchoke lasts (BEP 3: three rounds of ten seconds).
const OPTIMISTIC_TURN: Duration = Duration::from_secs(30);
/// How long a seed serves a peer before others may take its place.
const SEED_TURN: Duration = Duration::from_secs(20);

/// A peer that wants something of us.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Who.
    pub peer: PeerKey,
    /// Bytes per second it gives us.
    pub gives: u64,
    /// Whether it leaves when it is choked for some seconds (WebTorrent does after five).
    pub impatient: bool,
    /// Since when it is unchoked.
    pub unchoked: Option<Instant>,
    /// When it was last unchoked or last lost its place.
    pub changed: Instant,
}

/// Chooses whom to answer.
#[derive(Debug)]
pub struct Choker {
    slots: usize,
    optimistic: Option<(PeerKey, Instant)>,
}

impl Choker {
    /// At most `slots` peers are answered at a time.
    pub const fn new(slots: usize) -> Self {
        Self {
            slots,
            optimistic: None,
        }
    }

    /// The peers to be unchoked now, ascending; all others are to be choked.
    pub fn choose(
        &mut self,
        now: Instant,
        seeding: bool,
        candidates: &mut [Candidate],
        rng: &mut Rng,
    ) -> Vec<PeerKey> {
        let chosen = if candidates.len() <= self.slots {
            candidates.len()
        } else {
            candidates.sort_unstable_by_key(|candidate| {
                let rank = match candidate.unchoked {
                    // Whoever gives most to one who fetches.
                    _ if !seeding => u64::MAX - candidate.gives,
                    // Of a seed, whoever is in its turn stays; then the impatient and whoever waits
                    // longest; those that have had their turn come last.
                    Some(since) if now.since(since) < SEED_TURN => 0,
                    None => 1,
                    Some(_) => 2,
                };
                let waits = seeding.then_some((!candidate.impatient, candidate.changed));
                (rank, waits, candidate.peer)
            });
            if !seeding {
                self.seat_optimist(now, candidates, rng);
            }
            self.slots
        };
        let mut peers: Vec<PeerKey> = candidates[..chosen]
            .iter()
            .map(|candidate| candidate.peer)
            .collect();
        peers.sort_unstable();
        peers
    }

    /// Gives the last slot to somebody who has not earned it, for a turn.
    fn seat_optimist(&mut self, now: Instant, candidates: &mut [Candidate], rng: &mut Rng) {
        let last = self.slots.saturating_sub(1);
        let due = self
            .optimistic
            .filter(|(_, since)| now.since(*since) < OPTIMISTIC_TURN);
        let seat = due.and_then(|(peer, _)| {
            candidates
                .iter()
                .position(|candidate| candidate.peer == peer)
        });
        let seat = seat.unwrap_or_else(|| {
            let seat = last + rng.below((candidates.len() - last) as u32) as usize;
            self.optimistic = Some((candidates[seat].peer, now));
            seat
        });
        if seat > last {
            candidates.swap(last, seat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(count: u64) -> Vec<Candidate> {
        let peer = |number| Candidate {
            peer: PeerKey(number),
            gives: 1000 * number,
            impatient: false,
            unchoked: None,
            changed: Instant::START,
        };
        (0..count).map(peer).collect()
    }

    #[test]
    fn while_there_is_room_everybody_is_answered() {
        let mut choker = Choker::new(4);
        assert_eq!(
            choker
                .choose(Instant::START, false, &mut crowd(4), &mut Rng::seeded(1))
                .len(),
            4
        );
    }

    #[test]
    fn those_who_give_most_are_answered_and_one_by_luck() {
        let mut choker = Choker::new(4);
        let chosen = choker.choose(Instant::START, false, &mut crowd(20), &mut Rng::seeded(1));
        assert!(
            chosen.ends_with(&[PeerKey(17), PeerKey(18), PeerKey(19)]),
            "{chosen:?}"
        );
        let again = choker.choose(
            Instant::from_micros(1),
            false,
            &mut crowd(20),
            &mut Rng::seeded(2),
        );
        assert_eq!(chosen, again);
    }

    #[test]
    fn a_seed_lets_everybody_have_a_turn() {
        let mut choker = Choker::new(3);
        let mut crowd = crowd(10);
        let mut served = Vec::new();
        for round in 0..4u64 {
            let now = Instant::from_micros(round * 21_000_000);
            let chosen = choker.choose(now, true, &mut crowd, &mut Rng::seeded(1));
            for candidate in &mut crowd {
                let is_chosen = chosen.contains(&candidate.peer);
                if is_chosen != candidate.unchoked.is_some() {
                    candidate.unchoked = is_chosen.then_some(now);
                    candidate.changed = now;
                }
            }
            served.extend(chosen);
        }
        served.sort_unstable();
        served.dedup();
        assert_eq!(served.len(), 10);
    }
}
