//! What a server hears, read without a copy: a session description is passed on as it was written.
//!
//! The quick way takes what clients ordinarily write. Whatever it stumbles over is read again by
//! [`ClientMessage::decode`], whose verdict counts; what both accept means the same to both.

use super::decode::{from_latin, percent};
use super::{
    AnnounceEvent, ClientMessage, MAX_MESSAGE, MAX_OFFERS, Malformed, OfferId, PLAYED_PERCENT,
};
use crate::ids::{PeerId, SwarmHash};
use crate::tracker::sdp::MAX_SDP;
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::value::RawValue;

/// A session description as a JSON string, quotes and all. Nobody looked into it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawSdp<'a>(Cow<'a, str>);

impl RawSdp<'_> {
    /// As it stands in a message.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    fn of(sdp: &str) -> RawSdp<'static> {
        RawSdp(Cow::Owned(serde_json::to_string(sdp).unwrap_or_default()))
    }
}

/// One WebRTC offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeardOffer<'a> {
    /// Its name.
    pub id: OfferId,
    /// What to connect to.
    pub sdp: RawSdp<'a>,
}

/// A peer says it is here, and brings offers for others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeardAnnounce<'a> {
    /// Which swarm.
    pub info_hash: SwarmHash,
    /// Who.
    pub peer_id: PeerId,
    /// Why; nothing for a sign of life.
    pub event: Option<AnnounceEvent>,
    /// Bytes it lacks; `None` if it does not know.
    pub left: Option<u64>,
    /// How far into the torrent it reads, in hundredths, if it says so.
    pub played_percent: Option<u8>,
    /// For at most [`MAX_OFFERS`] others.
    pub offers: Vec<HeardOffer<'a>>,
}

/// A peer answers an offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeardAnswer<'a> {
    /// Which swarm.
    pub info_hash: SwarmHash,
    /// Who answers.
    pub peer_id: PeerId,
    /// Who offered.
    pub to_peer_id: PeerId,
    /// Which offer.
    pub offer_id: OfferId,
    /// What to connect to.
    pub sdp: RawSdp<'a>,
}

/// What a tracker hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard<'a> {
    /// A peer is here.
    Announce(HeardAnnounce<'a>),
    /// A peer answers an offer.
    Answer(HeardAnswer<'a>),
    /// Someone asks how many peers these swarms have.
    Scrape(Vec<SwarmHash>),
}

impl<'a> Heard<'a> {
    /// Read what a client sent.
    ///
    /// # Errors
    /// [`Malformed`] exactly where [`ClientMessage::decode`] says so.
    pub fn read(text: &'a str) -> Result<Self, Malformed> {
        match Self::read_quickly(text) {
            Some(heard) => Ok(heard),
            None => ClientMessage::decode(text).map(Heard::from),
        }
    }

    fn read_quickly(text: &'a str) -> Option<Self> {
        let is_short = text.len() <= MAX_MESSAGE;
        let fields: Fields<'a> = is_short.then(|| serde_json::from_str(text).ok())??;
        if fields.action != "announce" {
            return None;
        }
        let (info_hash, peer_id) = (SwarmHash(fields.info_hash.0), PeerId(fields.peer_id.0));
        if let Some(answer) = fields.answer {
            return Some(Self::Answer(HeardAnswer {
                info_hash,
                peer_id,
                to_peer_id: PeerId(fields.to_peer_id?.0),
                offer_id: OfferId(fields.offer_id?.0),
                sdp: answer.raw()?,
            }));
        }
        let offers = fields.offers.unwrap_or_default();
        if offers.len() > MAX_OFFERS {
            return None;
        }
        let offer = |written: Offer<'a>| {
            Some(HeardOffer {
                id: OfferId(written.offer_id.0),
                sdp: written.offer.raw()?,
            })
        };
        Some(Self::Announce(HeardAnnounce {
            info_hash,
            peer_id,
            event: fields.event.and_then(|event| match &*event {
                "completed" => Some(AnnounceEvent::Completed),
                "started" => Some(AnnounceEvent::Started),
                "stopped" => Some(AnnounceEvent::Stopped),
                _ => None,
            }),
            left: fields.left,
            played_percent: fields.played_percent.and_then(percent),
            offers: offers.into_iter().map(offer).collect::<Option<_>>()?,
        }))
    }
}

impl From<ClientMessage> for Heard<'_> {
    fn from(message: ClientMessage) -> Self {
        match message {
            ClientMessage::Announce(announce) => Self::Announce(HeardAnnounce {
                info_hash: announce.info_hash,
                peer_id: announce.peer_id,
                event: announce.event,
                left: announce.left,
                played_percent: announce.played_percent,
                offers: announce
                    .offers
                    .iter()
                    .map(|offer| HeardOffer {
                        id: offer.id,
                        sdp: RawSdp::of(&offer.sdp),
                    })
                    .collect(),
            }),
            ClientMessage::Answer(answer) => Self::Answer(HeardAnswer {
                info_hash: answer.info_hash,
                peer_id: answer.peer_id,
                to_peer_id: answer.to_peer_id,
                offer_id: answer.offer_id,
                sdp: RawSdp::of(&answer.sdp),
            }),
            ClientMessage::Scrape(hashes) => Self::Scrape(hashes),
        }
    }
}

/// An announce or an answer as its JSON has it. What is not named here is passed over.
#[derive(serde::Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    info_hash: Latin,
    peer_id: Latin,
    to_peer_id: Option<Latin>,
    offer_id: Option<Latin>,
    #[serde(borrow)]
    event: Option<Cow<'a, str>>,
    left: Option<u64>,
    #[serde(rename = "hw_played_percent")]
    played_percent: Option<u64>,
    #[serde(borrow)]
    offers: Option<Vec<Offer<'a>>>,
    #[serde(borrow)]
    answer: Option<Description<'a>>,
}

#[derive(serde::Deserialize)]
struct Offer<'a> {
    #[serde(borrow)]
    offer: Description<'a>,
    offer_id: Latin,
}

#[derive(serde::Deserialize)]
struct Description<'a> {
    #[serde(borrow)]
    sdp: &'a RawValue,
}

impl<'a> Description<'a> {
    /// None if that is no string, or may be a long one (escapes only make it look longer), or may
    /// have half a surrogate pair in it, which readers but JavaScript's stumble over.
    fn raw(&self) -> Option<RawSdp<'a>> {
        let raw = self.sdp.get();
        let is_it = raw.starts_with('"') && raw.len() <= MAX_SDP + 2 && !raw.contains("\\u");
        is_it.then_some(RawSdp(Cow::Borrowed(raw)))
    }
}

/// Twenty bytes, from a string of as many code points.
struct Latin([u8; 20]);

impl<'de> Deserialize<'de> for Latin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Twenty;
        impl Visitor<'_> for Twenty {
            type Value = Latin;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string of 20 bytes")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Latin, E> {
                from_latin(text)
                    .map(Latin)
                    .ok_or_else(|| E::custom("not 20 bytes"))
            }
        }
        deserializer.deserialize_str(Twenty)
    }
}

/// What the tracker says of an offer or an answer, the description as it came.
///
/// `kind` is `offer` or `answer`.
pub(crate) fn signal(
    kind: &str,
    sdp: &RawSdp<'_>,
    offer_id: OfferId,
    peer_id: PeerId,
    info_hash: SwarmHash,
) -> String {
    // Twenty bytes take up to 120 when all of them are escaped.
    let mut text = String::with_capacity(sdp.0.len() + 240);
    for part in [
        r#"{"action":"announce",""#,
        kind,
        r#"":{"type":""#,
        kind,
        r#"","sdp":"#,
        &sdp.0,
        "}",
    ] {
        text.push_str(part);
    }
    push_field(&mut text, "offer_id", &offer_id.0);
    push_field(&mut text, "peer_id", &peer_id.0);
    push_field(&mut text, "info_hash", &info_hash.0);
    text.push('}');
    text
}

/// Write an announce with some of its offers, as the client might have.
pub(crate) fn push_announce(
    text: &mut String,
    announce: &HeardAnnounce<'_>,
    offers: &[HeardOffer<'_>],
) {
    text.push_str(r#"{"action":"announce","left":"#);
    text.push_str(match announce.left {
        Some(0) => "0",
        Some(_) => "1",
        None => "null",
    });
    if let Some(percent) = announce.played_percent {
        text.push_str(",\"");
        text.push_str(PLAYED_PERCENT);
        text.push_str("\":");
        text.push_str(&percent.to_string());
    }
    push_field(text, "info_hash", &announce.info_hash.0);
    push_field(text, "peer_id", &announce.peer_id.0);
    text.push_str(r#","offers":["#);
    for (at, offer) in offers.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(r#"{"offer":{"type":"offer","sdp":"#);
        text.push_str(&offer.sdp.0);
        text.push('}');
        push_field(text, "offer_id", &offer.id.0);
        text.push('}');
    }
    text.push_str("]}");
}

/// Write an answer as the client might have.
pub(crate) fn push_answer(text: &mut String, answer: &HeardAnswer<'_>) {
    text.push_str(r#"{"action":"announce","answer":{"type":"answer","sdp":"#);
    text.push_str(&answer.sdp.0);
    text.push('}');
    push_field(text, "info_hash", &answer.info_hash.0);
    push_field(text, "peer_id", &answer.peer_id.0);
    push_field(text, "to_peer_id", &answer.to_peer_id.0);
    push_field(text, "offer_id", &answer.offer_id.0);
    text.push('}');
}

/// One more field, after another.
fn push_field(text: &mut String, name: &str, bytes: &[u8; 20]) {
    text.extend([",\"", name, "\":\""]);
    push_latin(text, bytes);
    text.push('"');
}

fn push_latin(text: &mut String, bytes: &[u8; 20]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', byte.into()]),
            0..0x20 => {
                text.push_str("\\u00");
                text.push(HEX[usize::from(byte >> 4)].into());
                text.push(HEX[usize::from(byte & 15)].into());
            }
            _ => text.push(byte.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{SDP, client_messages};
    use super::super::{Announce, ServerMessage};
    use super::*;
    use crate::rng::Rng;
    use alloc::format;
    use alloc::vec;

    /// Those of the samples, and an announce that brings nothing.
    fn messages() -> [String; 4] {
        let [announce, answer, scrape] = client_messages();
        let ClientMessage::Announce(said) = &announce else {
            panic!("an announce")
        };
        let bare = Announce {
            offers: Vec::new(),
            left: Some(7),
            played_percent: Some(100),
            event: None,
            ..said.clone()
        };
        [
            announce.encode(),
            ClientMessage::Announce(bare).encode(),
            answer.encode(),
            scrape.encode(),
        ]
    }

    #[test]
    fn what_clients_ordinarily_write_is_read_quickly() {
        for text in &messages()[..3] {
            assert!(Heard::read_quickly(text).is_some(), "{text}");
        }
    }

    #[test]
    fn the_quick_and_the_slow_reader_agree_whatever_is_written() {
        let agree = |text: &str| {
            let slow = ClientMessage::decode(text).map(Heard::from);
            if let Some(quick) = Heard::read_quickly(text) {
                // Escapes may differ; what they stand for may not.
                assert_eq!(Ok(meaning(&quick)), slow.as_ref().map(meaning), "{text}");
            }
        };
        let mut rng = Rng::seeded(9);
        for text in messages() {
            agree(&text);
            for _ in 0..2000 {
                let mut bytes = text.clone().into_bytes();
                for _ in 0..=rng.below(3) {
                    let at = rng.below(bytes.len() as u32) as usize;
                    match rng.below(3) {
                        0 => bytes[at] = rng.below(128) as u8,
                        1 => drop(bytes.remove(at)),
                        _ => bytes.insert(at, b"\"\\{}[],:0n\xc3"[rng.below(11) as usize]),
                    }
                }
                if let Ok(text) = core::str::from_utf8(&bytes) {
                    agree(text);
                }
            }
        }
    }

    fn meaning(heard: &Heard<'_>) -> Vec<(Vec<u8>, Option<String>)> {
        let sdp = |sdp: &RawSdp<'_>| serde_json::from_str::<String>(sdp.as_json()).ok();
        match heard {
            Heard::Announce(announce) => {
                let head = format!(
                    "{:?}{:?}{:?}{:?}{:?}",
                    announce.info_hash,
                    announce.peer_id,
                    announce.event,
                    announce.left,
                    announce.played_percent
                );
                let offers = announce
                    .offers
                    .iter()
                    .map(|offer| (offer.id.0.to_vec(), sdp(&offer.sdp)));
                core::iter::once((head.into_bytes(), None))
                    .chain(offers)
                    .collect()
            }
            Heard::Answer(answer) => {
                let head = format!(
                    "{:?}{:?}{:?}{:?}",
                    answer.info_hash, answer.peer_id, answer.to_peer_id, answer.offer_id
                );
                vec![(head.into_bytes(), sdp(&answer.sdp))]
            }
            Heard::Scrape(hashes) => hashes.iter().map(|hash| (hash.0.to_vec(), None)).collect(),
        }
    }

    #[test]
    fn an_announce_that_is_passed_on_says_the_same() {
        for text in &messages()[..2] {
            let Ok(Heard::Announce(heard)) = Heard::read(text) else {
                panic!("an announce")
            };
            let mut passed_on = String::new();
            push_announce(&mut passed_on, &heard, &heard.offers);
            let Ok(Heard::Announce(again)) = Heard::read(&passed_on) else {
                panic!("an announce: {passed_on}")
            };
            assert_eq!(again.played_percent, heard.played_percent);
            assert_eq!(again.left == Some(0), heard.left == Some(0));
            assert_eq!((again.peer_id, again.offers), (heard.peer_id, heard.offers));
        }
    }

    #[test]
    fn a_signal_is_what_the_slow_encoder_writes() {
        for byte in 0..=255 {
            let (info_hash, peer_id, offer_id) =
                (SwarmHash([byte; 20]), PeerId([!byte; 20]), OfferId([7; 20]));
            let quick = signal("offer", &RawSdp::of(SDP), offer_id, peer_id, info_hash);
            let sdp = SDP.into();
            let slow = ServerMessage::Offer {
                info_hash,
                peer_id,
                offer_id,
                sdp,
            };
            assert_eq!(ServerMessage::decode(&quick), Ok(slow));
        }
    }
}
