//! Data channels to browsers and other natives: one UDP port for all of them.
//!
//! An adapter, not a policy: it makes and takes session descriptions, moves messages, and says
//! what happened. It knows nothing of torrents or trackers, and never asks a STUN server.
//!
//! Two endpoints have one path between them, so they can keep one connection at a time; browsers
//! use a port for each.

mod cap;
mod datagram;
mod dcep;
mod dtls;
mod endpoint;
mod ice;
mod mux;
mod peer;
mod sctp;
mod sdp;
mod socket;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

pub use endpoint::{Endpoint, EndpointEvent, PeerStats};

/// Longest message either way, in bytes: what browsers announce when they announce nothing.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// How an [`Endpoint`] is bound, and what it allows.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// The address to bind, and the only one offered to peers unless `advertised` is set.
    pub ip: IpAddr,
    /// The address peers are told instead, for a host behind a one-to-one address translation
    /// or bound to the unspecified address.
    pub advertised: Option<IpAddr>,
    /// The UDP port to bind; 0 takes a free one.
    pub port: u16,
    /// Answer connectivity checks instead of making them (RFC 8445 §2.5): for a host that
    /// everybody can reach.
    pub lite: bool,
    /// Most connections at a time; each idle one costs some 350 KiB.
    pub max_peers: usize,
}

impl Default for EndpointConfig {
    /// Any free port on loopback, 256 peers.
    fn default() -> Self {
        Self {
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            advertised: None,
            port: 0,
            lite: false,
            max_peers: 256,
        }
    }
}

/// Why the endpoint did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Another connection has this key.
    KeyInUse,
    /// The session description is not one we accept; the text says what is wrong with it.
    Refused(String),
    /// The connection limit is reached.
    TooManyPeers,
    /// The WebRTC stack refused.
    Stack(String),
    /// No connection has this key, or it is not waiting for an answer.
    UnknownPeer,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyInUse => f.write_str("this peer key is in use"),
            Self::Refused(what) => write!(f, "session description refused: {what}"),
            Self::TooManyPeers => f.write_str("too many connections"),
            Self::Stack(what) => write!(f, "WebRTC: {what}"),
            Self::UnknownPeer => f.write_str("no such connection awaits this"),
        }
    }
}

impl std::error::Error for Error {}
