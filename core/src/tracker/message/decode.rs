//! From JSON. Every field is taken by its type; nothing a stranger writes gets further than here.

use super::{
    Action, Announce, AnnounceEvent, Answer, ClientMessage, Counts, MAX_MESSAGE, MAX_OFFERS,
    MAX_SCRAPED, Malformed, Offer, OfferId, PLAYED_PERCENT, ServerMessage,
};
use crate::ids::{PeerId, SwarmHash};
use crate::json::{Object, Value};
use crate::tracker::sdp::MAX_SDP;
use alloc::string::String;
use alloc::vec::Vec;

/// Longest reason or warning we keep of a tracker, in bytes.
const MAX_REASON: usize = 256;

impl ClientMessage {
    /// Read what a client sent.
    ///
    /// # Errors
    /// [`Malformed`] for anything but an announce, an answer or a scrape within the limits.
    pub fn decode(text: &str) -> Result<Self, Malformed> {
        let mut fields = Fields::read(text)?;
        match fields.action()? {
            Action::Scrape => fields.scraped().map(Self::Scrape),
            Action::Announce if fields.has("answer") => Ok(Self::Answer(Answer {
                info_hash: fields.info_hash()?,
                peer_id: fields.bytes("peer_id").map(PeerId)?,
                to_peer_id: fields.bytes("to_peer_id").map(PeerId)?,
                offer_id: fields.bytes("offer_id").map(OfferId)?,
                sdp: fields.sdp("answer")?,
            })),
            Action::Announce => fields.announce().map(Self::Announce),
        }
    }
}

impl ServerMessage {
    /// Read what a tracker sent.
    ///
    /// # Errors
    /// [`Malformed`] for anything but its five messages within the limits.
    pub fn decode(text: &str) -> Result<Self, Malformed> {
        let mut fields = Fields::read(text)?;
        let action = fields.action()?;
        if let Some(reason) = fields
            .text("failure reason")
            .or_else(|| fields.text("error"))
        {
            return Ok(Self::Error {
                action,
                info_hash: fields.info_hash,
                reason,
            });
        }
        if action == Action::Scrape {
            return fields.counts().map(Self::Scrape);
        }
        let info_hash = fields.info_hash()?;
        if fields.has("offer") {
            return Ok(Self::Offer {
                info_hash,
                peer_id: fields.bytes("peer_id").map(PeerId)?,
                offer_id: fields.bytes("offer_id").map(OfferId)?,
                sdp: fields.sdp("offer")?,
            });
        }
        if fields.has("answer") {
            return Ok(Self::Answer {
                info_hash,
                peer_id: fields.bytes("peer_id").map(PeerId)?,
                offer_id: fields.bytes("offer_id").map(OfferId)?,
                sdp: fields.sdp("answer")?,
            });
        }
        Ok(Self::Response {
            info_hash,
            interval: fields.fields.get("interval").and_then(Value::as_f64),
            complete: fields.count("complete"),
            incomplete: fields.count("incomplete"),
            warning: fields.text("warning message"),
        })
    }
}

/// The fields of one message, taken out by type.
struct Fields {
    fields: Object,
    action: Action,
    info_hash: Option<SwarmHash>,
}

impl Fields {
    fn read(text: &str) -> Result<Self, Malformed> {
        let malformed = |reason| Malformed {
            reason,
            action: Action::Announce,
            info_hash: None,
        };
        if text.len() > MAX_MESSAGE {
            return Err(malformed("message over 64 KiB"));
        }
        let Some(Value::Object(fields)) = Value::parse(text) else {
            return Err(malformed("not a JSON object"));
        };
        let info_hash = fields.get("info_hash").and_then(bytes_of).map(SwarmHash);
        let is_scrape = fields.get("action").and_then(Value::as_str) == Some("scrape");
        let action = if is_scrape {
            Action::Scrape
        } else {
            Action::Announce
        };
        Ok(Self {
            fields,
            action,
            info_hash,
        })
    }

    const fn malformed(&self, reason: &'static str) -> Malformed {
        Malformed {
            reason,
            action: self.action,
            info_hash: self.info_hash,
        }
    }

    fn action(&self) -> Result<Action, Malformed> {
        match self.fields.get("action").and_then(Value::as_str) {
            Some("announce" | "scrape") => Ok(self.action),
            _ => Err(self.malformed("action must be announce or scrape")),
        }
    }

    fn has(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(|value| !value.is_null())
    }

    fn info_hash(&self) -> Result<SwarmHash, Malformed> {
        self.info_hash
            .ok_or_else(|| self.malformed("info_hash must be a string of 20 bytes"))
    }

    fn bytes(&self, field: &'static str) -> Result<[u8; 20], Malformed> {
        let reason = match field {
            "peer_id" => "peer_id must be a string of 20 bytes",
            "to_peer_id" => "to_peer_id must be a string of 20 bytes",
            _ => "offer_id must be a string of 20 bytes",
        };
        self.fields
            .get(field)
            .and_then(bytes_of)
            .ok_or_else(|| self.malformed(reason))
    }

    fn sdp(&mut self, field: &str) -> Result<String, Malformed> {
        let description = self.fields.take(field);
        description.and_then(sdp_of).ok_or_else(|| {
            self.malformed("an offer or answer must be an object with an sdp of at most 16 KiB")
        })
    }

    /// A number of things or bytes: 0 if it is anything else.
    fn count(&self, field: &str) -> Option<u64> {
        self.fields.get(field).and_then(count_of)
    }

    fn text(&self, field: &str) -> Option<String> {
        let text = self.fields.get(field)?.as_str()?;
        let short = text
            .char_indices()
            .take_while(|(at, _)| *at < MAX_REASON)
            .map(|(_, c)| c);
        Some(short.filter(|c| !c.is_control()).collect())
    }

    fn announce(&mut self) -> Result<Announce, Malformed> {
        Ok(Announce {
            info_hash: self.info_hash()?,
            peer_id: self.bytes("peer_id").map(PeerId)?,
            event: match self.fields.get("event").and_then(Value::as_str) {
                Some("completed") => Some(AnnounceEvent::Completed),
                Some("started") => Some(AnnounceEvent::Started),
                Some("stopped") => Some(AnnounceEvent::Stopped),
                _ => None,
            },
            uploaded: self.count("uploaded").unwrap_or(0),
            downloaded: self.count("downloaded").unwrap_or(0),
            left: self.count("left"),
            played_percent: self.count(PLAYED_PERCENT).and_then(percent),
            offers: self.offers()?,
        })
    }

    fn offers(&mut self) -> Result<Vec<Offer>, Malformed> {
        let offers = match self.fields.take("offers") {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(offers)) if offers.len() <= MAX_OFFERS => offers,
            Some(Value::Array(_)) => return Err(self.malformed("more than 10 offers")),
            Some(_) => return Err(self.malformed("offers must be an array")),
        };
        let read: Option<_> = offers.into_iter().map(offer_of).collect();
        read.ok_or_else(|| self.malformed("an offer must have an offer_id of 20 bytes and an offer with an sdp of at most 16 KiB"))
    }

    fn scraped(&self) -> Result<Vec<SwarmHash>, Malformed> {
        let hashes = match self.fields.get("info_hash") {
            Some(Value::Array(hashes)) if hashes.len() <= MAX_SCRAPED => hashes.as_slice(),
            Some(Value::Array(_)) => return Err(self.malformed("more than 256 info hashes")),
            Some(hash) => core::slice::from_ref(hash),
            None => return Err(self.malformed("a scrape must name its info hashes")),
        };
        let read: Option<_> = hashes
            .iter()
            .map(|hash| bytes_of(hash).map(SwarmHash))
            .collect();
        read.ok_or_else(|| self.malformed("info_hash must be a string of 20 bytes"))
    }

    fn counts(&self) -> Result<Vec<(SwarmHash, Counts)>, Malformed> {
        let Some(Value::Object(files)) = self.fields.get("files") else {
            return Err(self.malformed("a scrape's answer must have files"));
        };
        let count = |counts: &Value, field| counts.get(field).and_then(count_of).unwrap_or(0);
        let read = files.iter().take(MAX_SCRAPED).filter_map(|(hash, counts)| {
            let counts = Counts {
                complete: count(counts, "complete"),
                incomplete: count(counts, "incomplete"),
                downloaded: count(counts, "downloaded"),
            };
            Some((SwarmHash(from_latin(hash)?), counts))
        });
        Ok(read.collect())
    }
}

fn offer_of(mut value: Value) -> Option<Offer> {
    let id = OfferId(bytes_of(value.get("offer_id")?)?);
    let sdp = sdp_of(value.take("offer")?)?;
    Some(Offer { id, sdp })
}

fn sdp_of(mut description: Value) -> Option<String> {
    match description.take("sdp")? {
        Value::String(sdp) if sdp.len() <= MAX_SDP => Some(sdp),
        _ => None,
    }
}

fn bytes_of(value: &Value) -> Option<[u8; 20]> {
    from_latin(value.as_str()?)
}

/// A percentage, if it is one.
pub(super) fn percent(count: u64) -> Option<u8> {
    u8::try_from(count).ok().filter(|percent| *percent <= 100)
}

/// A whole number that is not negative; JavaScript may have written it as 1e3 or 1.0.
fn count_of(value: &Value) -> Option<u64> {
    let float = || {
        value
            .as_f64()
            .filter(|count| (0.0..1.8e19).contains(count))
            .map(|count| count as u64)
    };
    value.as_u64().or_else(float)
}

pub(super) fn from_latin(text: &str) -> Option<[u8; 20]> {
    let (mut bytes, mut chars) = ([0; 20], text.chars());
    for byte in &mut bytes {
        *byte = u8::try_from(chars.next()?).ok()?;
    }
    chars.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{HASH, client_messages, every_text, server_messages};
    use super::*;
    use crate::rng::Rng;
    use alloc::format;
    use alloc::vec;

    #[test]
    fn messages_read_back_as_they_were_written() {
        for message in client_messages() {
            assert_eq!(ClientMessage::decode(&message.encode()), Ok(message));
        }
        for message in server_messages() {
            assert_eq!(ServerMessage::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn how_far_somebody_plays_is_a_percentage_or_not_said() {
        let (hash, id) = ("h".repeat(20), "i".repeat(20));
        let read = |said: &str| {
            let text = format!(
                r#"{{"action":"announce","info_hash":"{hash}","peer_id":"{id}","hw_played_percent":{said}}}"#
            );
            match ClientMessage::decode(&text) {
                Ok(ClientMessage::Announce(announce)) => announce.played_percent,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((read("0"), read("100")), (Some(0), Some(100)));
        for said in ["101", "-1", "null", "\"7\"", "1e99", "[]"] {
            assert_eq!(read(said), None, "{said}");
        }
    }

    #[test]
    fn a_magnet_clients_announce_without_left_numwant_or_event_is_a_leechers() {
        let (hash, id) = ("\u{fe}".repeat(20), "a".repeat(20));
        let text = format!(
            r#"{{"action":"announce","info_hash":"{hash}","peer_id":"{id}","left":null,"uploaded":1e3}}"#
        );
        let Ok(ClientMessage::Announce(announce)) = ClientMessage::decode(&text) else {
            panic!("an announce")
        };
        assert_eq!(
            (announce.left, announce.event, announce.uploaded),
            (None, None, 1000)
        );
    }

    #[test]
    fn twenty_bytes_are_twenty_code_points_below_256_and_nothing_else() {
        let with = |hash: &str| {
            let text = format!(r#"{{"action":"scrape","info_hash":"{hash}"}}"#);
            ClientMessage::decode(&text).is_ok()
        };
        assert!(with(&"\u{ff}".repeat(20)));
        assert!(with(&r"\u0000".repeat(20)));
        for bad in [
            "",
            &"a".repeat(19),
            &"a".repeat(21),
            &"a".repeat(40),
            &"\u{100}".repeat(20),
        ] {
            assert!(!with(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_over_a_limit_is_refused_with_the_reason_and_the_swarm() {
        let [ClientMessage::Announce(announce), ..] = client_messages() else {
            panic!("an announce")
        };
        let with = |offers: usize, sdp: usize| {
            let offer = Offer {
                id: OfferId([1; 20]),
                sdp: "x".repeat(sdp),
            };
            let text = ClientMessage::Announce(Announce {
                offers: vec![offer; offers],
                ..announce.clone()
            })
            .encode();
            ClientMessage::decode(&text)
                .map_err(|malformed| (malformed.reason, malformed.info_hash))
        };
        assert!(with(10, 100).is_ok());
        assert_eq!(with(11, 100), Err(("more than 10 offers", Some(HASH))));
        assert!(with(1, MAX_SDP).is_ok());
        assert!(
            with(1, MAX_SDP + 1)
                .is_err_and(|(reason, hash)| reason.contains("16 KiB") && hash == Some(HASH))
        );
        assert_eq!(with(5, MAX_SDP), Err(("message over 64 KiB", None)));
    }

    #[test]
    fn every_field_missing_null_array_or_number_is_read_or_refused_but_never_panics() {
        let texts = every_text();
        for text in &texts {
            let Ok(serde_json::Value::Object(whole)) = serde_json::from_str(text) else {
                panic!("an object")
            };
            for field in whole.keys() {
                let mut without = whole.clone();
                without.remove(field);
                try_both(&serde_json::Value::Object(without));
                for value in [
                    "null",
                    "[]",
                    "{}",
                    "-1",
                    "1e12",
                    "0.5",
                    "\"\"",
                    "true",
                    "[[null]]",
                    "{\"sdp\":7}",
                ] {
                    let mut changed = whole.clone();
                    changed[field] = serde_json::from_str(value).unwrap();
                    try_both(&serde_json::Value::Object(changed));
                }
            }
        }
    }

    fn try_both(message: &serde_json::Value) {
        let text = serde_json::to_string(message).unwrap();
        let _ = ClientMessage::decode(&text);
        let _ = ServerMessage::decode(&text);
    }

    #[test]
    fn mutated_messages_never_panic_and_what_is_read_can_be_written() {
        let texts = every_text();
        let mut rng = Rng::seeded(20);
        for _ in 0..50_000 {
            let mut bytes = texts[rng.below(texts.len() as u32) as usize]
                .clone()
                .into_bytes();
            for _ in 0..=rng.below(5) {
                let at = rng.below(bytes.len() as u32) as usize;
                let alphabet = b"{}[]\":,\\u0019eE+-.ntf \x00\xff";
                bytes[at] = alphabet[rng.below(alphabet.len() as u32) as usize];
            }
            let Ok(text) = core::str::from_utf8(&bytes) else {
                continue;
            };
            if let Ok(message) = ClientMessage::decode(text) {
                let again = ClientMessage::decode(&message.encode());
                // Offers are not written where they are not wanted.
                assert!(
                    again == Ok(message.clone()) || matches!(message, ClientMessage::Announce(_))
                );
            }
            let _ = ServerMessage::decode(text);
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_deep_recursion() {
        let text = format!(r#"{{"action":{}"#, "[".repeat(60_000));
        assert!(ClientMessage::decode(&text).is_err());
    }
}
