//! Which of several peers should deliver what is urgent.
//!
//! Measured delivery times only. It knows nothing of pieces.

use crate::ids::PeerKey;
use crate::rng::Rng;
use crate::time::Duration;

/// A peer this much slower than the fastest is kept away from the playhead.
const TOO_SLOW: u32 = 3;
/// Times this short are all the same.
const NO_MATTER: Duration = Duration::from_millis(250);

/// Of the best one's weight, what everybody has at least, so that a bad one is tried again.
const FLOOR: u64 = 10;

/// What a peer can give.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Who.
    pub peer: PeerKey,
    /// Bytes per second for each request that is out, if it has delivered anything.
    pub measured: Option<u64>,
    /// Whether it says that more is wanted of it than it can send.
    pub is_busy: bool,
}

/// Who is to be asked first: by luck, weighted by what each can give. One that has shown nothing yet
/// counts as the best that has, so that it may, unless it says itself that it is busy.
pub fn first(peers: &[Capacity], rng: &mut Rng) -> Option<PeerKey> {
    let best = peers.iter().filter_map(|peer| peer.measured).max();
    let best = best.unwrap_or(0).max(FLOOR);
    let least = best / FLOOR;
    let weight = |peer: &Capacity| match peer.measured {
        Some(measured) => measured.max(least),
        None if peer.is_busy => least,
        None => best,
    };
    let all: u64 = peers.iter().map(weight).sum();
    let mut luck = rng.next_u64() % all.max(1);
    let is_it = |peer: &&Capacity| {
        let (before, weight) = (luck, weight(peer));
        luck = luck.saturating_sub(weight);
        before < weight
    };
    peers.iter().find(is_it).map(|peer| peer.peer)
}

/// Whether a peer that needs `expected` for a block may take one that is urgent, when the fastest needs `best`.
pub fn may_take_urgent(expected: Duration, best: Duration) -> bool {
    expected <= reasonable(best)
}

/// What a block may take when the fastest peer needs `best`.
pub fn reasonable(best: Duration) -> Duration {
    NO_MATTER.max(best * TOO_SLOW)
}

/// The one that will deliver first: (peer, expected time).
pub fn fastest(peers: impl Iterator<Item = (PeerKey, Duration)>) -> Option<PeerKey> {
    peers
        .min_by_key(|(peer, expected)| (*expected, *peer))
        .map(|(peer, _)| peer)
}

/// How long a block may take before it is raced elsewhere: half as long again as expected of its
/// peer, or what the fastest peer makes reasonable, if that is less.
pub fn patience(expected: Duration, best: Option<Duration>) -> Duration {
    let reasonable = best.map_or(expected, reasonable);
    (expected.min(reasonable) * 3 / 2).max(Duration::from_millis(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_more_comes_first_more_often_and_nobody_never() {
        let capacity = |peer, measured, is_busy| Capacity {
            peer: PeerKey(peer),
            measured,
            is_busy,
        };
        let peers = [
            capacity(1, Some(3000), false),
            capacity(2, Some(1000), false),
            capacity(3, Some(1), true),
            capacity(4, None, false),
            capacity(5, None, true),
        ];
        let mut rng = Rng::seeded(7);
        let mut times = [0; 6];
        for _ in 0..7600 {
            let lucky = first(&peers, &mut rng).unwrap();
            times[lucky.0 as usize] += 1;
        }
        // 3000, 1000, 300, 3000 and 300 of 7600.
        let expected = [0, 3000, 1000, 300, 3000, 300];
        let strays = |(times, expected): (&i32, i32)| (times - expected).abs() > 150;
        assert!(!times.iter().zip(expected).any(strays), "{times:?}");
        assert_eq!(first(&[], &mut rng), None);
    }

    #[test]
    fn a_slow_peer_is_kept_from_the_playhead_only_where_a_fast_one_is() {
        let millis = Duration::from_millis;
        assert!(may_take_urgent(millis(200), millis(5)));
        assert!(!may_take_urgent(millis(2000), millis(100)));
        assert!(may_take_urgent(millis(2000), millis(2000)));
        let peers = [
            (PeerKey(1), millis(20)),
            (PeerKey(2), millis(10)),
            (PeerKey(3), millis(10)),
        ];
        assert_eq!(fastest(peers.into_iter()), Some(PeerKey(2)));
    }
}
