//! The tracker's messages, between JSON and types that carry proof.
//!
//! Twenty-byte values are JSON strings of exactly 20 code points U+0000..U+00FF. Reading is strict
//! in types and lenient in what may be left out; a message that is read here needs no second look.

mod decode;
mod encode;
mod heard;
#[cfg(test)]
mod samples;

pub use crate::ids::OfferId;
use crate::ids::{PeerId, SwarmHash};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::Serialize;

pub use heard::{Heard, HeardAnnounce, HeardAnswer, HeardOffer, RawSdp};
pub(crate) use heard::{push_announce, push_answer, signal};

/// Longest message either side reads, in bytes.
pub const MAX_MESSAGE: usize = 64 << 10;

/// The field of an announce in which clients of ours say how far they are; others pass it over.
const PLAYED_PERCENT: &str = "hw_played_percent";

/// Most offers in one announce.
pub const MAX_OFFERS: usize = 10;

/// Most info hashes in one scrape.
pub const MAX_SCRAPED: usize = 256;

/// Why a peer announces, where it is more than a sign of life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AnnounceEvent {
    /// It has everything now.
    Completed,
    /// It is here.
    Started,
    /// It leaves.
    Stopped,
}

/// One WebRTC offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Its name.
    pub id: OfferId,
    /// What to connect to.
    pub sdp: String,
}

/// A peer says it is here (still, no more), and brings offers for others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announce {
    /// Which swarm.
    pub info_hash: SwarmHash,
    /// Who.
    pub peer_id: PeerId,
    /// Why; nothing for a sign of life.
    pub event: Option<AnnounceEvent>,
    /// Bytes given so far.
    pub uploaded: u64,
    /// Bytes taken so far.
    pub downloaded: u64,
    /// Bytes it lacks; `None` if it does not know (a magnet link without metadata yet).
    pub left: Option<u64>,
    /// How far into the torrent it reads, in hundredths, if it says so. Only our own clients do.
    pub played_percent: Option<u8>,
    /// For at most [`MAX_OFFERS`] others.
    pub offers: Vec<Offer>,
}

/// A peer answers an offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Which swarm.
    pub info_hash: SwarmHash,
    /// Who answers.
    pub peer_id: PeerId,
    /// Who offered.
    pub to_peer_id: PeerId,
    /// Which offer.
    pub offer_id: OfferId,
    /// What to connect to.
    pub sdp: String,
}

/// What a tracker hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientMessage {
    /// A peer is here.
    Announce(Announce),
    /// A peer answers an offer.
    Answer(Answer),
    /// Someone asks how many peers these swarms have.
    Scrape(Vec<SwarmHash>),
}

/// What a tracker knows of a swarm.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
pub struct Counts {
    /// Peers that have everything.
    pub complete: u64,
    /// Peers that do not.
    pub incomplete: u64,
    /// Times somebody got everything.
    pub downloaded: u64,
}

/// What a tracker says.
#[derive(Clone, PartialEq, Debug)]
pub enum ServerMessage {
    /// The answer of a peer we offered to.
    Answer {
        /// Which swarm.
        info_hash: SwarmHash,
        /// Who answers.
        peer_id: PeerId,
        /// Which of our offers.
        offer_id: OfferId,
        /// What to connect to.
        sdp: String,
    },
    /// It refuses what we said.
    Error {
        /// What we said, as the tracker calls it.
        action: Action,
        /// Which swarm, if it could tell.
        info_hash: Option<SwarmHash>,
        /// In its words.
        reason: String,
    },
    /// A peer offers a connection.
    Offer {
        /// Which swarm.
        info_hash: SwarmHash,
        /// Who offers.
        peer_id: PeerId,
        /// The name of the offer, to be named in the answer.
        offer_id: OfferId,
        /// What to connect to.
        sdp: String,
    },
    /// The answer to an announce.
    Response {
        /// Which swarm.
        info_hash: SwarmHash,
        /// Seconds until it wants to hear from us again. As it came: not a number, if it so pleased.
        interval: Option<f64>,
        /// Peers that have everything.
        complete: Option<u64>,
        /// Peers that do not.
        incomplete: Option<u64>,
        /// Something it wants us to know.
        warning: Option<String>,
    },
    /// The answer to a scrape.
    Scrape(Vec<(SwarmHash, Counts)>),
}

/// What a message is about.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Announces, offers and answers. What WebTorrent takes a message to be when in doubt.
    #[default]
    Announce,
    /// Counts.
    Scrape,
}

/// Why a message cannot be read, and what of it could be, so that the refusal can name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// What is wrong.
    pub reason: &'static str,
    /// What it was about.
    pub action: Action,
    /// Which swarm.
    pub info_hash: Option<SwarmHash>,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl core::error::Error for Malformed {}

/// Whether an announce with this event may bring offers: who is done or leaves wants no peers.
pub const fn is_worth_offers(event: Option<AnnounceEvent>) -> bool {
    matches!(event, None | Some(AnnounceEvent::Started))
}
