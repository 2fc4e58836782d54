//! What the tracker is told, what it says, and how it behaves: values without logic.

use super::{Listing, NodeKey, Shares};
use crate::ids::SwarmHash;
use crate::time::Duration;
use crate::tracker::message::{Heard, HeardAnnounce, Malformed};
use alloc::string::String;
use serde::Serialize;

/// One client's connection, as the driver numbers them. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnKey(pub u64);

impl ConnKey {
    /// Its place in a table: keys are numbers in a row, places are spread evenly (Knuth's
    /// multiplicative hash, which gives no two of them the same).
    pub(super) const fn place(self) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// How a tracker behaves.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// How often peers shall announce. Shorter finds peers sooner and costs more.
    pub interval: Duration,
    /// Swarms at most; about half a KiB each while they have one peer.
    pub max_swarms: usize,
    /// How often peers over TCP shall announce; who misses two is gone.
    pub plain_interval: Duration,
    /// Peers over TCP at most, about 200 bytes each.
    pub max_plain: usize,
    /// Which torrents are tracked at all.
    pub listing: Listing,
    /// Offers that reach one seed of one swarm in an interval, where more than four times k
    /// (what everybody bears) would come from viewers that have no source yet. Each costs the seed
    /// a WebRTC connection it did not ask for. Four a second reach it beyond that.
    pub max_newcomers: u32,
    /// Offers that reach one peer of one swarm in an interval from one and the same connection.
    pub max_offers_received_from_one: u32,
    /// What other trackers call this one, if it shares its swarms with some.
    pub node: Option<NodeKey>,
    /// Luck, and the key that keeps strangers from choosing their place on the ring.
    pub seed: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(120),
            max_swarms: 1 << 16,
            plain_interval: Duration::from_secs(600),
            max_plain: 1 << 18,
            listing: Listing::default(),
            max_newcomers: 2000,
            max_offers_received_from_one: 10,
            node: None,
            seed: 0,
        }
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// An announce has come that will be [heard](Self::HeardAmong) when it is known what other
    /// trackers have of its swarm; its peer counts from here on, so that of two that come at once
    /// at two trackers at least one hears of the other.
    Arrived(ConnKey, &'a HeardAnnounce<'a>),
    /// The connection is gone, and its peers with it.
    Closed(ConnKey),
    /// A connection opened.
    Connected(ConnKey),
    /// A text message that the driver has read already ([`Heard::read`]), before it took a lock.
    Heard(ConnKey, Result<Heard<'a>, Malformed>),
    /// The same, other trackers having so much of the swarms it is about.
    HeardAmong(ConnKey, Result<Heard<'a>, Malformed>, &'a Shares),
    /// A text message.
    Received(ConnKey, &'a str),
    /// Another tracker hands something over, as [`Output::Relay`] had it.
    Relayed(&'a str),
    /// [`Tracker::poll_timeout`](super::Tracker::poll_timeout) has come.
    TimedOut,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Close the connection, for this reason. No [`Input::Closed`] is awaited.
    Close(ConnKey, &'static str),
    /// Hand this to another tracker, which has peers of this swarm. If it is gone, this one may
    /// be told of it as [`Input::Relayed`]: then its own peers get the offers.
    Relay(NodeKey, SwarmHash, String),
    /// Send a text message.
    Send(ConnKey, String),
}

/// What a tracker has, and what it has done.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Connections now.
    pub connections: usize,
    /// Swarms now.
    pub swarms: usize,
    /// Peers now, once for each swarm they are in.
    pub peers: u64,
    /// Of those, how many are over TCP.
    pub plain_peers: u64,
    /// Announces heard.
    pub announces: u64,
    /// Offers passed on.
    pub offers: u64,
    /// Offers handed to other trackers.
    pub relayed_offers: u64,
    /// Answers passed on.
    pub answers: u64,
    /// Answers nobody waited for.
    pub stray_answers: u64,
    /// Scrapes answered.
    pub scrapes: u64,
    /// Messages refused with a reason.
    pub refused: u64,
}
