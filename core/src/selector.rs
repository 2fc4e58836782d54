//! Which of several peers should deliver what is urgent.
//!
//! Measured delivery times only. It knows nothing of pieces.

use crate::ids::PeerKey;
use crate::time::Duration;

/// A peer this much slower than the fastest is kept away from the playhead.
const TOO_SLOW: u32 = 3;
/// Times this short are all the same.
const NO_MATTER: Duration = Duration::from_millis(250);

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
