//! Places: while newcomers take the last of them at a seed, whoever needs us least makes room; and so
//! does who is of no use to somebody who has no place left and finds what it needs with nobody.
//!
//! In a crowd with more viewers than a seed has places, those who came first would keep them to the
//! end. A viewer who fell behind its neighbours finds what it needs with nobody else, for their
//! windows have moved on.

use super::Swarm;
use crate::ids::PeerKey;
use crate::time::Duration;

/// One place in so many is kept free.
const KEPT_FREE: usize = 16;
/// Nobody is let go sooner than this after it came.
const SETTLING: Duration = Duration::from_secs(10);
/// Between two that are let go.
const PAUSE: Duration = Duration::from_millis(250);

impl Swarm {
    /// Lets one peer go if hardly a place is left and we are a seed, or starve.
    pub(super) fn make_places(&mut self) {
        let most = self.config.max_peers;
        let is_full = self.peers.len() + (most / KEPT_FREE).max(1) > most;
        let needs_others = self.deals() || self.starving.is_some();
        if !needs_others || !is_full || self.now.since(self.place_made) < PAUSE {
            return;
        }
        if let Some(key) = self.needs_least() {
            self.place_made = self.now;
            self.close(key, None, true);
        }
    }

    /// Of those who are here long enough to tell, and of whom we want nothing: one that wants nothing
    /// either, or else the one that took least for the time that it is here.
    fn needs_least(&self) -> Option<PeerKey> {
        let mut least = (u64::MAX, None);
        for peer in self.peers.values() {
            let here = self.now.since(peer.opened);
            let took = peer.sent.total().saturating_mul(1000) / here.as_millis().max(1);
            let need = if peer.wants { 1 + took } else { 0 };
            if here >= SETTLING && !peer.wanted && need < least.0 {
                least = (need, Some(peer.key));
            }
        }
        least.1
    }
}
