//! How busy everybody is: what we say of ourselves, and what we make of what others say.
//!
//! It is a first guess, and no more: once a peer has delivered something, only that counts. Dragonfly
//! chooses parents by the upload they say they have to spare (its RFC 3713, weighted by luck with a
//! floor of a tenth); here those weights are what was measured.

use alloc::vec::Vec;

use super::Swarm;
use crate::ids::PeerKey;
use crate::peer::{Fault, Peer};
use crate::selector::{self, Capacity};
use crate::time::{Duration, Instant, time_of};
use crate::wire::Message;
use crate::wire::extended::State;

/// Who needs longer for what it has promised is busy.
const BUSY: Duration = Duration::from_millis(100);
/// For so long after somebody came others may come, too.
const MEETING: Duration = Duration::from_secs(3);
/// Between two words to one peer on how we are.
const PAUSE: Duration = Duration::from_secs(1);

/// What is wanted of us.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Bytes per second that we send.
    pub rate: u64,
    /// Bytes that we have promised.
    pub queued: u64,
    /// How long that takes to send.
    pub line: Duration,
    /// Whether that is more than we can send.
    pub is_busy: bool,
}

impl Swarm {
    /// What is wanted of us now.
    pub(super) fn load(&self) -> Load {
        // Who reads nothing does not keep us busy.
        let takes = |peer: &&Peer| peer.sent.per_second(self.now) > 0;
        let queued = self.peers.values().filter(takes).map(Peer::backlog).sum();
        let rate = self.totals.sent.per_second(self.now);
        let line = time_of(queued, rate);
        Load {
            rate,
            queued,
            line,
            is_busy: line > BUSY,
        }
    }

    /// Tells those who want something of us how we are, if that has changed.
    pub(super) fn say_states(&mut self) {
        let rate = self.totals.sent.per_second(self.now);
        self.best_sent.note(self.now, rate);
        let now = self.now;
        // Who gives to us is to know what is needed, and how soon.
        let haste = (self.needs(), self.is_calm(), self.is_alone());
        let told = |peer: &Peer| peer.told.map_or_else(State::default, |(_, told)| told);
        let is_old = |told: State| (told.needs, told.is_calm, told.is_alone) == haste;
        let is_news = |peer: &Peer| peer.wants || (peer.wanted && !is_old(told(peer)));
        let is_due =
            |peer: &Peer| is_news(peer) && peer.hw_state().is_some() && peer.is_untold(now);
        if !self.peers.values().any(is_due) {
            return;
        }
        let state = self.state();
        for peer in self.peers.values_mut().filter(|peer| is_due(peer)) {
            if peer.told.is_none_or(|(_, told)| told != state) {
                say(peer, now, state);
            }
        }
    }

    /// Tells one who just said what it understands how we are.
    pub(super) fn say_state(&mut self, key: PeerKey) {
        let is_due = |peer: &Peer| peer.hw_state().is_some() && peer.is_untold(self.now);
        if !self.peers.get(&key).is_some_and(is_due) {
            return;
        }
        let (now, state) = (self.now, self.state());
        if let Some(peer) = self.peers.get_mut(&key) {
            say(peer, now, state);
        }
    }

    /// A peer says how it is.
    pub(super) fn state_heard(&mut self, key: PeerKey, state: State) -> Result<(), Fault> {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.state = Some(state);
        }
        Ok(())
    }

    fn state(&self) -> State {
        let load = self.load();
        let has_none = !self.config.upload || self.upload_allowance == Some(0);
        let is_busy = load.is_busy || has_none;
        let idle = self.best_sent.most().saturating_sub(load.rate);
        let kib = |bytes: u64| u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
        State {
            idle: if is_busy { 0 } else { kib(idle) },
            queued: kib(load.queued),
            is_busy,
            needs: self.needs(),
            is_calm: self.is_calm(),
            is_alone: self.is_alone(),
        }
    }

    /// Whether nobody who lacks pieces is here, nor has anybody come of late.
    fn is_alone(&self) -> bool {
        let is_new = |peer: &Peer| self.now.since(peer.opened) < MEETING;
        !self.crowded && !self.peers.values().any(is_new)
    }

    /// Who of those that may be asked for something in this turn is asked first, and so for what is
    /// urgent: by luck, but who has more to give is likely to be it.
    pub(super) fn first_asked(&mut self) -> Option<PeerKey> {
        let now = self.now;
        let dirty = self.dirty.iter().filter_map(|key| self.peers.get(key));
        let capacity = |peer: &Peer| Capacity {
            peer: peer.key,
            measured: peer
                .has_delivered()
                .then(|| peer.pipeline.rate(now) / u64::from(peer.pipeline.outstanding() + 1)),
            is_busy: peer.state.is_some_and(|state| state.is_busy),
        };
        let able: Vec<Capacity> = dirty
            .filter(|peer| peer.may_be_asked())
            .map(capacity)
            .collect();
        selector::first(&able, &mut self.rng)
    }
}

fn say(peer: &mut Peer, now: Instant, state: State) {
    let Some(id) = peer.hw_state() else { return };
    peer.told = Some((now, state));
    let payload = &state.to_payload();
    peer.mention(&Message::Extended { id, payload });
}

impl Peer {
    /// Whether it may be told again how we are.
    fn is_untold(&self, now: Instant) -> bool {
        self.told.is_none_or(|(at, _)| now.since(at) >= PAUSE)
    }
}
