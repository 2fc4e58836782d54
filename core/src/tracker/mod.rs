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

#[cfg(test)]
mod tests;
