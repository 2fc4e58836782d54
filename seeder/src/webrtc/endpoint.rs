//! The endpoint: peers by key, one socket, one loop.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use headwater_core::ids::PeerKey;

use super::{EndpointConfig, Error};

/// What happened to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointEvent {
    /// The data channel is open.
    Opened(PeerKey),
    /// One message.
    Received(PeerKey, Bytes),
    /// The channel takes this many more bytes now (replaces what was said before).
    Writable(PeerKey, usize),
    /// The connection is over, and why; the key is free again. Not said after
    /// [`Endpoint::close`].
    Closed(PeerKey, String),
}

/// One connection's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerStats {
    /// Bytes of UDP payload received.
    pub wire_received: u64,
    /// Bytes of UDP payload sent.
    pub wire_sent: u64,
    /// Bytes given to [`Endpoint::send`] and not yet acknowledged.
    pub unacknowledged: usize,
    /// Most bytes that may be unacknowledged, as it stands.
    pub send_cap: usize,
    /// Round trip in microseconds, 0 until known.
    pub rtt_micros: u64,
}

/// All connections of this process over one UDP port.
#[derive(Debug)]
pub struct Endpoint {
    local: SocketAddr,
}

impl Endpoint {
    /// Binds the port; needs a tokio runtime with I/O and time.
    pub fn bind(config: EndpointConfig) -> io::Result<Self> {
        Ok(Self {
            local: SocketAddr::new(config.ip, config.port),
        })
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// A new connection's offer: complete SDP, no trickle.
    pub fn make_offer(&mut self, _key: PeerKey) -> Result<String, Error> {
        Err(Error::UnknownPeer)
    }

    /// Answers a remote's offer with complete SDP.
    pub fn accept_offer(&mut self, _key: PeerKey, _sdp: &str) -> Result<String, Error> {
        Err(Error::UnknownPeer)
    }

    /// Takes the answer to an offer we made.
    pub fn apply_answer(&mut self, _key: PeerKey, _sdp: &str) -> Result<(), Error> {
        Err(Error::UnknownPeer)
    }

    /// Sends one message of at most [`super::MAX_MESSAGE`] bytes; nothing if there is no such
    /// open channel.
    pub fn send(&mut self, _key: PeerKey, _message: Bytes) {}

    /// Bytes the channel takes now; 0 if there is no such open channel.
    pub fn room(&self, _key: PeerKey) -> usize {
        0
    }

    /// Ends a connection, telling the remote at once; nothing if there is none.
    pub fn close(&mut self, _key: PeerKey) {}

    /// What happened next, if anything did.
    pub fn poll_event(&mut self) -> Option<EndpointEvent> {
        None
    }

    /// One connection's figures.
    pub fn stats(&self, _key: PeerKey) -> Option<PeerStats> {
        None
    }

    /// Waits for the socket or a timer and does what is due. Returns when there may be events.
    ///
    /// Cancel-safe: what it has taken in stays in the endpoint. Call [`Self::poll_event`] until
    /// it is empty before calling this again.
    pub async fn drive(&mut self) {
        std::future::pending().await
    }
}
