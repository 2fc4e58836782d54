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

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Nobody answered, or the connection ended by itself.
    Over,
    /// It is not to be called again.
    Unwanted,
}

/// The addresses of one torrent.
#[derive(Debug, Default)]
pub struct Candidates {
    known: BTreeMap<SocketAddr, Candidate>,
    called: BTreeMap<PeerKey, (SocketAddr, Instant)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Candidate {
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
        self.called.insert(key, (address, now));
    }

    /// A connection is over; one that was not our call says nothing.
    pub fn ended(&mut self, now: Instant, key: PeerKey, how: Ending) {
        let Some((address, since)) = self.called.remove(&key) else {
            return;
        };
        let Some(candidate) = self.known.get_mut(&address) else {
            return;
        };
        if how == Ending::Unwanted {
            candidate.state = State::Unwanted;
            return;
        }
        let stood = now.since(since) >= WORTH;
        candidate.failures = if stood { 0 } else { candidate.failures + 1 };
        if candidate.failures >= MAX_FAILURES {
            self.known.remove(&address);
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
