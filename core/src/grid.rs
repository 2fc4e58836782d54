//! The redundancy grid: to whom a seed sent which piece last, so that in a crowd each piece goes
//! out once and is passed on by those who have it.
//!
//! Sia counts copies of each piece and brings the rarest to one, then two, first; BEP 16 hides
//! pieces to the same end. Here nothing is hidden: a second peer that asks for a piece on its way
//! to another is told to ask again a little later, when somebody else has it.

use crate::ids::PeerKey;
use crate::ordered::Map;
use crate::time::{Duration, Instant};

/// Fewer peers than this are no crowd: each gets what it asks for.
const CROWD: usize = 4;
/// How long the first to be sent a piece has for passing it on.
const HOLD: Duration = Duration::from_secs(3);

/// To whom each piece goes.
#[derive(Debug, Default)]
pub struct Grid {
    sent: Map<u32, (PeerKey, Instant)>,
}

impl Grid {
    /// Whether a piece may be sent to a peer now, `peers` of which want something; if so, it is the
    /// one that it goes to.
    pub fn admit(&mut self, now: Instant, piece: u32, peer: PeerKey, peers: usize) -> bool {
        let entry = self.sent.entry(piece).or_insert((peer, now));
        let is_free = entry.0 == peer || peers < CROWD || now.since(entry.1) > HOLD;
        if is_free && entry.0 != peer {
            *entry = (peer, now);
        }
        is_free
    }

    /// A peer let a piece go: it will not pass it on any more.
    pub fn let_go(&mut self, peer: PeerKey, piece: u32) {
        if self.sent.get(&piece).is_some_and(|sent| sent.0 == peer) {
            self.sent.remove(&piece);
        }
    }

    /// A peer is gone: what it was sent may go to others at once.
    pub fn forget(&mut self, peer: PeerKey) {
        self.sent.retain(|_, (owner, _)| *owner != peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_crowd_a_piece_goes_to_one_at_a_time() {
        let mut grid = Grid::default();
        let (first, second) = (PeerKey(1), PeerKey(2));
        let at = |millis: u64| Instant::from_micros(millis * 1000);
        assert!(grid.admit(at(0), 7, first, 9));
        assert!(!grid.admit(at(10), 7, second, 9));
        assert!(grid.admit(at(20), 7, first, 9));
        assert!(grid.admit(at(30), 8, second, 9));
        assert!(grid.admit(at(3500), 7, second, 9));
        assert!(!grid.admit(at(3600), 7, first, 9));
        grid.forget(second);
        assert!(grid.admit(at(3700), 7, first, 9));
        assert!(!grid.admit(at(3800), 7, second, 9));
        grid.let_go(first, 7);
        assert!(grid.admit(at(3800), 7, second, 9));
    }

    #[test]
    fn a_few_get_what_they_ask_for() {
        let mut grid = Grid::default();
        assert!((0..3).all(|peer| grid.admit(Instant::START, 7, PeerKey(peer), 3)));
    }
}
