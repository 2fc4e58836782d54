//! Connections to peers, from the first word to the last, by the names trackers know them under.
//!
//! When two peers offer to each other at once, both connections are kept until one opens, and
//! then the one that both ends prefer.

use super::TrackerKey;
use crate::ids::{PeerId, PeerKey};
use crate::ordered::Map;
use crate::time::{Duration, Instant};
use crate::tracker::message::OfferId;
use alloc::vec::Vec;

/// Our stack has this long to make an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection has this long to open.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// Offers of one tracker that may be on their way to a connection, as a part of all connections:
/// a tracker that floods us leaves half to the others.
const TRACKER_SHARE: usize = 2;

/// Connections that neighbours introduced to us and that are not open yet.
const MAX_INTRODUCED: usize = 4;

/// How WebTorrent's peer ids begin.
const WEBTORRENT: &[u8] = b"-WW";

/// The connections of one client.
#[derive(Debug)]
pub(super) struct Connections {
    own_id: PeerId,
    max: usize,
    next_key: u64,
    connections: Map<PeerKey, Connection>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    remote: PeerId,
    state: State,
    origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    /// We offered.
    Ours,
    /// They did, and this is how we heard of it.
    Theirs(Way),
}

/// What an offer came by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// A neighbour brought it.
    Neighbour(PeerKey),
    /// A tracker did.
    Tracker(TrackerKey),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Answering { offer: OfferId, until: Instant },
    Connecting { until: Instant },
    Open,
}

impl Connection {
    /// One they offered, and we are about to answer.
    pub(super) fn answering(remote: PeerId, way: Way, offer: OfferId, now: Instant) -> Self {
        let state = State::Answering {
            offer,
            until: now + ANSWER_TIMEOUT,
        };
        Self {
            remote,
            state,
            origin: Origin::Theirs(way),
        }
    }

    /// One we offered, and they answered.
    pub(super) fn offered(remote: PeerId, now: Instant) -> Self {
        let state = State::Connecting {
            until: now + OPEN_TIMEOUT,
        };
        Self {
            remote,
            state,
            origin: Origin::Ours,
        }
    }

    const fn expires(&self) -> Option<Instant> {
        match self.state {
            State::Answering { until, .. } | State::Connecting { until } => Some(until),
            State::Open => None,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    pub(super) const fn remote(&self) -> PeerId {
        self.remote
    }
}

impl Connections {
    pub(super) fn new(own_id: PeerId, key_space: u32, max: usize) -> Self {
        Self {
            own_id,
            max,
            next_key: u64::from(key_space) << 32,
            connections: Map::new(),
        }
    }

    /// A key for one more connection or offer.
    pub(super) const fn next_key(&mut self) -> PeerKey {
        let key = PeerKey(self.next_key);
        self.next_key += 1;
        key
    }

    /// How many more there may be.
    pub(super) fn room(&self) -> usize {
        self.max.saturating_sub(self.connections.len())
    }

    /// Whether we would like more peers than we have, and there are `others` to be had.
    pub(super) fn is_hungry(&self, wanted: usize, others: u64) -> bool {
        let have = self.connections.len();
        have < wanted && (have as u64) < others
    }

    /// Whether to answer an offer of `remote` that came this way.
    pub(super) fn is_offer_welcome(&self, remote: PeerId, way: Way) -> bool {
        let is_twin =
            |c: &Connection| c.remote == remote && (c.is_open() || c.origin != Origin::Ours);
        remote != self.own_id
            && self.room() > 0
            && self.is_way_free(way)
            && !self.connections.values().any(is_twin)
    }

    /// Whether one more may come this way. Neighbours fill no more than the half of us.
    fn is_way_free(&self, way: Way) -> bool {
        let half = self.max.div_ceil(TRACKER_SHARE);
        let unopened = || self.connections.values().filter(|c| !c.is_open());
        match way {
            Way::Tracker(_) => {
                unopened()
                    .filter(|c| c.origin == Origin::Theirs(way))
                    .count()
                    < half
            }
            Way::Neighbour(_) => {
                let is_carried =
                    |c: &&Connection| matches!(c.origin, Origin::Theirs(Way::Neighbour(_)));
                self.connections.len() < half
                    && unopened().filter(is_carried).count() < MAX_INTRODUCED
            }
        }
    }

    /// Whether to take `remote`'s answer to an offer of ours.
    pub(super) fn is_answer_welcome(&self, remote: PeerId) -> bool {
        let is_twin =
            |c: &Connection| c.remote == remote && (c.is_open() || c.origin == Origin::Ours);
        remote != self.own_id && self.room() > 0 && !self.connections.values().any(is_twin)
    }

    pub(super) fn insert(&mut self, key: PeerKey, connection: Connection) {
        self.connections.insert(key, connection);
    }

    /// Whether there is a connection to that peer, open or not.
    pub(super) fn has(&self, remote: PeerId) -> bool {
        self.connections.values().any(|c| c.remote == remote)
    }

    pub(super) fn remove(&mut self, key: PeerKey) -> Option<Connection> {
        self.connections.remove(&key)
    }

    pub(super) fn remote_id(&self, key: PeerKey) -> Option<PeerId> {
        self.connections
            .get(&key)
            .map(|connection| connection.remote)
    }

    /// Our answer is made: where it goes, to whom, and for which offer.
    pub(super) fn answered(
        &mut self,
        key: PeerKey,
        now: Instant,
    ) -> Option<(Way, PeerId, OfferId)> {
        let connection = self.connections.get_mut(&key)?;
        let (State::Answering { offer, .. }, Origin::Theirs(way)) =
            (connection.state, connection.origin)
        else {
            return None;
        };
        connection.state = State::Connecting {
            until: now + OPEN_TIMEOUT,
        };
        Some((way, connection.remote, offer))
    }

    /// A connection opened: which others to the same peer are dropped for it, or it for them.
    ///
    /// The other end may see them open in the other order. So what it prefers is not dropped
    /// while it may still open; when that has opened here, nothing else is needed.
    pub(super) fn opened(&mut self, key: PeerKey) -> Vec<PeerKey> {
        let Some(connection) = self.connections.get_mut(&key) else {
            return Vec::new();
        };
        connection.state = State::Open;
        let remote = connection.remote;
        let preferred = self.preferred(remote);
        let of_remote = || self.connections.iter().filter(|(_, c)| c.remote == remote);
        let keeper = of_remote().find(|(_, c)| c.is_open() && self.is_ours(c) == preferred);
        let Some((&keeper, _)) = keeper else {
            return Vec::new();
        };
        let losers: Vec<_> = of_remote()
            .map(|(key, _)| *key)
            .filter(|key| *key != keeper)
            .collect();
        for loser in &losers {
            self.connections.remove(loser);
        }
        losers
    }

    fn is_ours(&self, connection: &Connection) -> bool {
        connection.origin == Origin::Ours
    }

    /// Whether of two connections to `remote` the one we offered is kept.
    ///
    /// WebTorrent registers a peer when it reads an offer, and destroys the second connection to
    /// the same id: there, ours wins. Between all others the smaller id's does.
    fn preferred(&self, remote: PeerId) -> bool {
        remote.0.starts_with(WEBTORRENT) || self.own_id < remote
    }

    /// Connections that took too long.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(PeerKey, Connection)> {
        let is_late = |c: &Connection| c.expires().is_some_and(|at| at <= now);
        let late: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, c)| is_late(c))
            .map(|(key, _)| *key)
            .collect();
        late.into_iter()
            .filter_map(|key| Some((key, self.connections.remove(&key)?)))
            .collect()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.connections
            .values()
            .filter_map(Connection::expires)
            .min()
    }

    /// Those still being made.
    pub(super) fn unopened(&self) -> impl Iterator<Item = PeerKey> {
        self.connections
            .iter()
            .filter(|(_, c)| !c.is_open())
            .map(|(key, _)| *key)
    }
}
