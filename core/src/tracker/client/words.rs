//! What a client is, what it is told, and what it says: values without logic.

use crate::ids::{PeerId, PeerKey, SwarmHash};
use crate::pex::{News, Wish};
use crate::tracker::Progress;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Serialize;

/// What a client is and wants.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Our name at the trackers.
    pub peer_id: PeerId,
    /// Which swarm.
    pub swarm: SwarmHash,
    /// WebSocket URLs; the first [`MAX_TRACKERS`](super::MAX_TRACKERS) count.
    pub trackers: Vec<String>,
    /// Offers to bring to an announce, 0 to 10. Each costs a WebRTC connection in waiting; a
    /// seeder that everyone is introduced to needs few or none.
    pub offers_wanted: usize,
    /// The upper half of every [`PeerKey`] this client gives out.
    pub key_space: u32,
    /// Luck.
    pub seed: u64,
    /// Connections to peers, those being made included.
    pub max_connections: usize,
}

/// One connection to a tracker. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TrackerKey(pub u32);

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The SDP to answer with, asked for by [`Output::AcceptOffer`].
    AnswerMade(PeerKey, &'a str),
    /// A connection that was open, or was being made, is gone.
    Closed(PeerKey),
    /// A connection (or an offer, or an answer) could not be made.
    ConnectionFailed(PeerKey, &'a str),
    /// Neighbours have something for us, as the swarm says.
    Introduced(&'a News),
    /// The SDP to offer, asked for by [`Output::MakeOffer`].
    OfferMade(PeerKey, &'a str),
    /// A connection's data channel is open.
    Opened(PeerKey),
    /// What we have by now.
    Progress(Progress),
    /// We leave: say so to every tracker. Open connections stay the driver's.
    Stopped,
    /// [`Client::poll_timeout`](super::Client::poll_timeout) has come.
    TimedOut,
    /// The socket closed, or never opened, for this reason.
    TrackerClosed(TrackerKey, &'a str),
    /// The socket is open.
    TrackerOpened(TrackerKey),
    /// A text message.
    TrackerReceived(TrackerKey, &'a str),
}

/// What to do.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Make a connection for this offer, answer with [`Input::AnswerMade`].
    AcceptOffer(PeerKey, String),
    /// Finish the connection of an earlier offer.
    ApplyAnswer(PeerKey, String),
    /// Close the socket, after what was sent on it has left. No [`Input::TrackerClosed`] is awaited.
    CloseTracker(TrackerKey),
    /// Close this connection, whatever state it is in. No [`Input::Closed`] is awaited.
    Drop(PeerKey),
    /// Something to tell the user.
    Event(Event),
    /// Something for neighbours, to be told to the swarm.
    Introduce(Wish),
    /// Make a connection of our own, answer with [`Input::OfferMade`].
    MakeOffer(PeerKey),
    /// Open a WebSocket to this URL.
    OpenTracker(TrackerKey, String),
    /// Send a text message.
    SendTracker(TrackerKey, String),
}

/// Something to tell the user of a tracker.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum Event {
    /// It knows of us, and counts so many.
    Announced {
        /// The tracker.
        url: String,
        /// Peers that have everything.
        complete: u64,
        /// Peers that do not.
        incomplete: u64,
    },
    /// The socket is open.
    Connected {
        /// The tracker.
        url: String,
    },
    /// The socket is gone; it will be opened again.
    Lost {
        /// The tracker.
        url: String,
        /// Why.
        message: String,
    },
    /// It said something odd, or warned us.
    Warning {
        /// The tracker.
        url: String,
        /// What.
        message: String,
    },
}
