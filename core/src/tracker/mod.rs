//! How peers find each other: the WebSocket tracker of WebTorrent, from both ends, and the HTTP
//! trackers of ordinary BitTorrent.
//!
//! Messages, the client's logic and the server's. Sockets, JSON framing and WebRTC itself are the
//! drivers'; here is what to say, to whom, and when.

pub mod client;
pub mod http;
pub mod message;
pub mod sdp;
pub mod server;

/// What we have of a torrent, as trackers are told it (BEP 3): announced when next we do, and at
/// once when nothing is left.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Progress {
    /// Bytes given.
    pub uploaded: u64,
    /// Bytes taken.
    pub downloaded: u64,
    /// Bytes lacking; `None` if unknown.
    pub left: Option<u64>,
    /// How far into the torrent it is read, in hundredths; `None` if it is not, or nobody need know.
    pub played_percent: Option<u8>,
}

impl Progress {
    /// Whether nothing is left now, and something was before.
    const fn completes(self, before: Self) -> bool {
        matches!(self.left, Some(0)) && !matches!(before.left, Some(0))
    }
}

#[cfg(test)]
mod tests;
