//! The engine's upload: who may send how much, by the room in the channel and by the limits of the
//! torrent and of all together.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use headwater_core::bucket::Bucket;
use headwater_core::ids::PeerKey;
use headwater_core::swarm;
use headwater_core::time::Instant;

use super::tcp::is_tcp;
use super::{Engine, torrent_of};
use crate::chunks::TorrentNumber;

/// The limits, and whose turn it is.
#[derive(Debug)]
pub(super) struct Upload {
    all: Option<Bucket>,
    each: BTreeMap<TorrentNumber, Bucket>,
    /// Whom to grant first next time.
    next: PeerKey,
}

impl Upload {
    /// Bytes a second of all together.
    pub(super) fn new(now: Instant, limit: Option<u64>) -> Self {
        Self {
            all: limit.map(|rate| Bucket::new(rate, now)),
            each: BTreeMap::new(),
            next: PeerKey(0),
        }
    }

    /// Sets or lifts the limit of one, or of all together.
    pub(super) fn limit(&mut self, now: Instant, whose: Option<TorrentNumber>, rate: Option<u64>) {
        let bucket = rate.map(|rate| Bucket::new(rate, now));
        match (whose, bucket) {
            (None, bucket) => self.all = bucket,
            (Some(whose), Some(bucket)) => drop(self.each.insert(whose, bucket)),
            (Some(whose), None) => drop(self.each.remove(&whose)),
        }
    }

    /// Bytes that may be promised to a peer of this torrent.
    fn room(&self, torrent: TorrentNumber) -> usize {
        let both = [self.all.as_ref(), self.each.get(&torrent)];
        let rooms = both.into_iter().flatten().map(Bucket::room);
        rooms.min().unwrap_or(usize::MAX)
    }

    /// Takes what was sent; whether all together, or else this torrent, have run dry by that.
    fn take(&mut self, torrent: TorrentNumber, bytes: usize) -> Option<Dry> {
        let is_dry = |bucket: &mut Bucket| {
            bucket.take(bytes);
            bucket.room() == 0
        };
        let one = self.each.get_mut(&torrent).is_some_and(is_dry);
        let all = self.all.as_mut().is_some_and(is_dry);
        match (all, one) {
            (true, _) => Some(Dry::All),
            (false, true) => Some(Dry::One(torrent)),
            (false, false) => None,
        }
    }

    /// When to fill the buckets again: never, while nobody drinks.
    pub(super) fn refill_at(&self, open: &BTreeSet<PeerKey>) -> Option<Instant> {
        let buckets = self.all.iter().chain(self.each.values());
        let first = buckets.map(Bucket::refill_at).min();
        first.filter(|_| !open.is_empty())
    }

    /// Fills those that are due; whether there were any.
    fn fill(&mut self, now: Instant) -> bool {
        let buckets = self.all.iter_mut().chain(self.each.values_mut());
        let due = buckets.filter(|bucket| bucket.refill_at() <= now);
        due.map(|bucket| bucket.fill(now)).count() > 0
    }
}

/// Who may send nothing more.
enum Dry {
    All,
    One(TorrentNumber),
}

impl Engine {
    pub(super) fn send(&mut self, now: Instant, peer: PeerKey, bytes: Bytes) {
        let length = bytes.len();
        match &mut self.calls {
            Some(calls) if is_tcp(peer) => {
                self.sent.tcp += length as u64;
                calls.tcp.send(peer, bytes);
            }
            _ => {
                self.sent.webrtc += length as u64;
                self.endpoint.send(peer, bytes);
            }
        }
        let Some(dry) = self.upload.take(torrent_of(peer), length) else {
            return;
        };
        // What is promised is promised, but nothing new.
        let is_dry = |peer: &PeerKey| match dry {
            Dry::All => true,
            Dry::One(torrent) => torrent_of(*peer) == torrent,
        };
        let dry: Vec<PeerKey> = self.open.iter().copied().filter(is_dry).collect();
        for peer in dry {
            self.grant(now, peer);
        }
    }

    /// Tells a swarm how much this peer's channel, and our limits, have room for.
    pub(super) fn grant(&mut self, now: Instant, peer: PeerKey) {
        if !self.open.contains(&peer) {
            return;
        }
        let (room, queued) = self.line(peer);
        let room = room.min(self.upload.room(torrent_of(peer)));
        if let Some(torrent) = self.torrents.get_mut(torrent_of(peer)) {
            let news = swarm::Input::Writable { peer, room, queued };
            torrent.swarm.handle_input(now, news);
        }
    }

    /// How many more bytes a peer's channel takes now, and how many it has of before.
    fn line(&self, peer: PeerKey) -> (usize, usize) {
        match &self.calls {
            Some(calls) if is_tcp(peer) => calls.tcp.line(peer),
            _ => self.endpoint.line(peer),
        }
    }

    /// Fills the buckets and lets the peers drink in turn, another one first every time.
    pub(super) fn refill(&mut self, now: Instant) {
        if !self.upload.fill(now) {
            return;
        }
        let next = self.upload.next;
        let mut turn: Vec<PeerKey> = self.open.range(next..).copied().collect();
        turn.extend(self.open.range(..next));
        self.upload.next = turn.get(1).copied().unwrap_or(PeerKey(0));
        for peer in turn {
            if self.upload.all.as_ref().is_some_and(|all| all.room() == 0) {
                self.upload.next = peer;
                return;
            }
            self.grant(now, peer);
            self.drain_swarm(now, torrent_of(peer));
        }
    }
}
