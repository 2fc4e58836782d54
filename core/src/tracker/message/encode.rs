//! To JSON.

use super::{Action, AnnounceEvent, ClientMessage, Counts, Offer, ServerMessage, is_worth_offers};
use crate::json;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Serialize, Serializer};

impl ClientMessage {
    /// As JSON.
    pub fn encode(&self) -> String {
        match self {
            Self::Announce(announce) => json::to_string(&AnnounceJson {
                numwant: announce.offers.len(),
                uploaded: announce.uploaded,
                downloaded: announce.downloaded,
                left: announce.left,
                played_percent: announce.played_percent,
                event: announce.event,
                action: Action::Announce,
                info_hash: Latin(&announce.info_hash.0),
                peer_id: Latin(&announce.peer_id.0),
                offers: is_worth_offers(announce.event)
                    .then(|| announce.offers.iter().map(OfferJson::from).collect()),
            }),
            Self::Answer(answer) => json::to_string(&SignalJson {
                action: Action::Announce,
                answer: Some(SdpJson {
                    kind: "answer",
                    sdp: &answer.sdp,
                }),
                offer: None,
                offer_id: Latin(&answer.offer_id.0),
                peer_id: Latin(&answer.peer_id.0),
                to_peer_id: Some(Latin(&answer.to_peer_id.0)),
                info_hash: Latin(&answer.info_hash.0),
            }),
            Self::Scrape(hashes) => json::to_string(&ScrapeJson {
                action: Action::Scrape,
                info_hash: hashes.iter().map(|hash| Latin(&hash.0)).collect(),
            }),
        }
    }
}

impl ServerMessage {
    /// As JSON.
    pub fn encode(&self) -> String {
        let signal = |offer, answer, offer_id, peer_id, info_hash| {
            let (action, to_peer_id) = (Action::Announce, None);
            json::to_string(&SignalJson {
                action,
                offer,
                answer,
                offer_id,
                peer_id,
                to_peer_id,
                info_hash,
            })
        };
        match self {
            Self::Answer {
                info_hash,
                peer_id,
                offer_id,
                sdp,
            } => signal(
                None,
                Some(SdpJson {
                    kind: "answer",
                    sdp,
                }),
                Latin(&offer_id.0),
                Latin(&peer_id.0),
                Latin(&info_hash.0),
            ),
            Self::Offer {
                info_hash,
                peer_id,
                offer_id,
                sdp,
            } => signal(
                Some(SdpJson { kind: "offer", sdp }),
                None,
                Latin(&offer_id.0),
                Latin(&peer_id.0),
                Latin(&info_hash.0),
            ),
            Self::Error {
                action,
                info_hash,
                reason,
            } => json::to_string(&ErrorJson {
                action: *action,
                info_hash: info_hash.as_ref().map(|hash| Latin(&hash.0)),
                reason,
            }),
            Self::Response {
                info_hash,
                interval,
                complete,
                incomplete,
                warning,
            } => json::to_string(&ResponseJson {
                complete: *complete,
                incomplete: *incomplete,
                action: Action::Announce,
                interval: interval.map(whole_seconds),
                info_hash: Latin(&info_hash.0),
                warning: warning.as_deref(),
            }),
            Self::Scrape(counts) => json::to_string(&CountsJson {
                action: Action::Scrape,
                files: counts
                    .iter()
                    .map(|(hash, counts)| (latin(&hash.0), *counts))
                    .collect(),
            }),
        }
    }
}

fn latin(bytes: &[u8; 20]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn whole_seconds(seconds: f64) -> u64 {
    seconds as u64
}

/// Twenty bytes as a string of as many code points.
struct Latin<'a>(&'a [u8; 20]);

impl Serialize for Latin<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&latin(self.0))
    }
}

#[derive(Serialize)]
struct AnnounceJson<'a> {
    // OpenWebTorrent wants a number here; all others go by the offers.
    numwant: usize,
    uploaded: u64,
    downloaded: u64,
    left: Option<u64>,
    #[serde(rename = "hw_played_percent", skip_serializing_if = "Option::is_none")]
    played_percent: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<AnnounceEvent>,
    action: Action,
    info_hash: Latin<'a>,
    peer_id: Latin<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offers: Option<Vec<OfferJson<'a>>>,
}

#[derive(Serialize)]
struct OfferJson<'a> {
    offer: SdpJson<'a>,
    offer_id: Latin<'a>,
}

impl<'a> From<&'a Offer> for OfferJson<'a> {
    fn from(offer: &'a Offer) -> Self {
        Self {
            offer: SdpJson {
                kind: "offer",
                sdp: &offer.sdp,
            },
            offer_id: Latin(&offer.id.0),
        }
    }
}

#[derive(Serialize)]
struct SdpJson<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    sdp: &'a str,
}

#[derive(Serialize)]
struct SignalJson<'a> {
    action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    offer: Option<SdpJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<SdpJson<'a>>,
    offer_id: Latin<'a>,
    peer_id: Latin<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_peer_id: Option<Latin<'a>>,
    info_hash: Latin<'a>,
}

#[derive(Serialize)]
struct ScrapeJson<'a> {
    action: Action,
    info_hash: Vec<Latin<'a>>,
}

#[derive(Serialize)]
struct ErrorJson<'a> {
    action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    info_hash: Option<Latin<'a>>,
    #[serde(rename = "failure reason")]
    reason: &'a str,
}

#[derive(Serialize)]
struct ResponseJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    complete: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<u64>,
    action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<u64>,
    info_hash: Latin<'a>,
    #[serde(rename = "warning message", skip_serializing_if = "Option::is_none")]
    warning: Option<&'a str>,
}

#[derive(Serialize)]
struct CountsJson {
    action: Action,
    files: BTreeMap<String, Counts>,
}
