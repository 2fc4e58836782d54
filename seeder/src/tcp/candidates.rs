//! Whom one torrent might call: addresses it heard of, and when each is next worth a call.
//!
//! It calls nobody and knows no torrent; it remembers.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use headwater_core::ids::PeerKey;
use headwater_core::time::{Duration, Instant};

/// Addresses remembered; trackers name more, and again.
const MAX_KNOWN: usize = 512;

/// Connections of one torrent that we called for; the others' calls need room too.
const MAX_CALLED: usize = 64;

/// Calls in vain, one after the other, after which an address is forgotten.
const MAX_FAILURES: u32 = 6;

/// Time before an address that failed once is called again; doubled each time.
const RETRY: Duration = Duration::from_secs(10);

/// A connection that stood this long was worth it.
const WORTH: Duration = Duration::from_secs(60);

/// A connection that stood this long was with a peer of the torrent.
const PROOF: Duration = Duration::from_secs(2);

/// Addresses worth remembering for the next time.
pub const MAX_NEIGHBOURS: usize = 32;

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Nobody answered, or the connection ended by itself.
    Over,
    /// It is one of the torrent's, but we hung up.
    Parted,
    /// It is not to be called again.
    Unwanted,
}

/// The addresses of one torrent.
#[derive(Debug, Default)]
pub struct Candidates {
    known: BTreeMap<SocketAddr, Candidate>,
    called: BTreeMap<PeerKey, Call>,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    address: SocketAddr,
    begun: Instant,
    /// When it was taken, if it was.
    taken: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Candidate {
    /// Whether a peer of the torrent was there.
    is_proven: bool,
    failures: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Called, or connected.
    Called,
    /// Never again; kept so that it is not heard of anew.
    Unwanted,
    /// To be called from then on.
    Waiting(Instant),
}

impl Candidates {
    /// Somebody is said to be there.
    pub fn heard(&mut self, now: Instant, address: SocketAddr) {
        if self.known.len() < MAX_KNOWN {
            self.known.entry(address).or_insert(Candidate {
                is_proven: false,
                failures: 0,
                state: State::Waiting(now),
            });
        }
    }

    /// Whom to call now, if anybody; follow it up with [`called`](Self::called).
    pub fn next(&self, now: Instant) -> Option<SocketAddr> {
        let (due, address) = self.soonest()?;
        (due <= now).then_some(address)
    }

    /// When [`next`](Self::next) will have somebody.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.soonest().map(|(due, _)| due)
    }

    /// It is being called.
    pub fn called(&mut self, now: Instant, key: PeerKey, address: SocketAddr) {
        if let Some(candidate) = self.known.get_mut(&address) {
            candidate.state = State::Called;
        }
        let call = Call {
            address,
            begun: now,
            taken: None,
        };
        self.called.insert(key, call);
    }

    /// Somebody took the call.
    pub fn taken(&mut self, now: Instant, key: PeerKey) {
        if let Some(call) = self.called.get_mut(&key) {
            call.taken = Some(now);
        }
    }

    /// Where peers of the torrent are, or were the last time: those first that are there now.
    pub fn neighbours(&self, now: Instant) -> Vec<SocketAddr> {
        let calls = self.called.values();
        let now_there = calls.filter(|call| call.has_stood(now));
        let mut neighbours: Vec<SocketAddr> = now_there.map(|call| call.address).collect();
        for (address, candidate) in &self.known {
            let is_worth = candidate.is_proven && candidate.state != State::Unwanted;
            if is_worth && !neighbours.contains(address) {
                neighbours.push(*address);
            }
        }
        neighbours.truncate(MAX_NEIGHBOURS);
        neighbours
    }

    /// A connection is over; one that was not our call says nothing.
    pub fn ended(&mut self, now: Instant, key: PeerKey, how: Ending) {
        let Some(call) = self.called.remove(&key) else {
            return;
        };
        let Some(candidate) = self.known.get_mut(&call.address) else {
            return;
        };
        if how == Ending::Unwanted {
            candidate.state = State::Unwanted;
            return;
        }
        candidate.is_proven |= how == Ending::Parted || call.has_stood(now);
        let stood = now.since(call.begun) >= WORTH;
        candidate.failures = if stood { 0 } else { candidate.failures + 1 };
        if candidate.failures >= MAX_FAILURES {
            self.known.remove(&call.address);
        } else {
            let pause = RETRY * 2u32.pow(candidate.failures.saturating_sub(1));
            candidate.state = State::Waiting(now + pause);
        }
    }

    fn soonest(&self) -> Option<(Instant, SocketAddr)> {
        if self.called.len() >= MAX_CALLED {
            return None;
        }
        let waiting = self
            .known
            .iter()
            .filter_map(|(address, candidate)| match candidate.state {
                State::Waiting(due) => Some((due, *address)),
                State::Called | State::Unwanted => None,
            });
        waiting.min()
    }
}

impl Call {
    fn has_stood(&self, now: Instant) -> bool {
        self.taken.is_some_and(|taken| now.since(taken) >= PROOF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn an_address_in_vain_is_called_ever_later_and_then_forgotten() {
        let mut candidates = Candidates::default();
        let mut now = Instant::START;
        candidates.heard(now, address(1));
        let mut pauses = Vec::new();
        for call in 1..=u64::from(MAX_FAILURES) {
            let due = candidates.poll_timeout().expect("a time to call");
            pauses.push(due.since(now).as_secs());
            now = due;
            assert_eq!(candidates.next(now), Some(address(1)));
            candidates.called(now, PeerKey(call), address(1));
            assert_eq!(candidates.next(now), None, "it is being called");
            candidates.heard(now, address(1));
            assert_eq!(candidates.next(now), None, "hearing of it again is no news");
            candidates.ended(now, PeerKey(call), Ending::Over);
        }
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160]);
        assert_eq!(candidates.poll_timeout(), None);
    }

    #[test]
    fn who_cheated_is_never_called_again() {
        let mut candidates = Candidates::default();
        let now = Instant::START;
        candidates.heard(now, address(1));
        candidates.called(now, PeerKey(1), address(1));
        candidates.ended(now, PeerKey(1), Ending::Unwanted);
        candidates.heard(now, address(1));
        assert_eq!(candidates.poll_timeout(), None);
    }

    #[test]
    fn who_was_there_is_remembered_and_who_cheated_or_never_answered_is_not() {
        let mut candidates = Candidates::default();
        let (now, later) = (Instant::START, Instant::START + PROOF);
        for port in 1..=5 {
            let key = PeerKey(port.into());
            candidates.heard(now, address(port));
            candidates.called(now, key, address(port));
            if port > 1 {
                candidates.taken(now, key);
            }
        }
        assert!(candidates.neighbours(now).is_empty(), "too soon to tell");
        candidates.ended(now, PeerKey(2), Ending::Parted);
        candidates.ended(later, PeerKey(3), Ending::Over);
        candidates.ended(later, PeerKey(4), Ending::Unwanted);
        let expected = [5, 2, 3].map(address);
        assert_eq!(candidates.neighbours(later), expected, "who is there first");
    }

    #[test]
    fn a_tracker_that_names_everybody_costs_no_more_than_the_limit() {
        let mut candidates = Candidates::default();
        for port in 1..=u16::MAX {
            candidates.heard(Instant::START, address(port));
        }
        assert_eq!(candidates.known.len(), MAX_KNOWN);
        let mut calls = 0;
        while let Some(address) = candidates.next(Instant::START) {
            calls += 1;
            candidates.called(Instant::START, PeerKey(calls), address);
        }
        assert_eq!(calls as usize, MAX_CALLED);
    }
}
