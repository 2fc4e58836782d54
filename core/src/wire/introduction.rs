//! `hw_introduce`, an extension of ours (BEP 10): a peer carries somebody's WebRTC offer to a
//! neighbour of its own, and brings back the answer.
//!
//! The words only; who carries what for whom, and how often, is the swarm's affair. They are those
//! of the WebSocket tracker, for what they start is the same: an offer that one stranger may answer.

use super::Error;
use super::extended::{number, read};
use crate::bencode::{Encoder, Value};
use crate::ids::{OfferId, PeerId};
use alloc::vec::Vec;

/// Its name in an extended handshake.
pub const HW_INTRODUCE: &str = "hw_introduce";

/// Longest session description, in bytes.
pub const MAX_SDP: usize = 16 << 10;

/// How often an offer may be passed on at the most: to a neighbour's neighbour, and to one of theirs.
pub const MAX_HOPS: u8 = 2;

/// A message of `hw_introduce`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Introduction<'a> {
    /// Somebody answers the offer.
    Answer {
        /// The offer's name.
        id: OfferId,
        /// Who answers.
        from: PeerId,
        /// What to connect to.
        sdp: &'a str,
    },
    /// Somebody offers a connection.
    Offer {
        /// Its name, which the offerer chose.
        id: OfferId,
        /// Who offers.
        from: PeerId,
        /// How often it is to be passed on before it is answered; 0: it is for who reads this.
        hops: u8,
        /// What to connect to.
        sdp: &'a str,
    },
    /// Nobody was found for the offer, or who was does not want it.
    Refusal {
        /// The offer's name.
        id: OfferId,
    },
    /// A type this crate does not know; to be ignored.
    Unknown,
}

impl<'a> Introduction<'a> {
    /// Reads an extended message's payload.
    ///
    /// # Errors
    /// [`Error::MalformedExtension`] if it is no bencoded dictionary, lacks something it needs, or
    /// if its session description is longer than [`MAX_SDP`].
    pub fn parse(payload: &'a [u8]) -> Result<Self, Error> {
        let (document, _) = read(payload)?;
        let root = document.root();
        Ok(match number(root, b"msg_type")? {
            0 => Self::Offer {
                id: OfferId(name(root, b"offer_id")?),
                from: PeerId(name(root, b"peer_id")?),
                hops: number(root, b"hops")?.min(MAX_HOPS.into()) as u8,
                sdp: sdp(root)?,
            },
            1 => Self::Answer {
                id: OfferId(name(root, b"offer_id")?),
                from: PeerId(name(root, b"peer_id")?),
                sdp: sdp(root)?,
            },
            2 => Self::Refusal {
                id: OfferId(name(root, b"offer_id")?),
            },
            _ => Self::Unknown,
        })
    }

    /// The payload of an extended message.
    pub fn to_payload(&self) -> Vec<u8> {
        let (number, id) = match self {
            Self::Offer { id, .. } => (0, Some(id)),
            Self::Answer { id, .. } => (1, Some(id)),
            Self::Refusal { id } => (2, Some(id)),
            Self::Unknown => (3, None),
        };
        let mut out = Encoder::new();
        out.dict();
        if let Self::Offer { hops, .. } = self {
            out.key(b"hops").int(i64::from(*hops));
        }
        out.key(b"msg_type").int(number);
        if let Some(id) = id {
            out.key(b"offer_id").bytes(&id.0);
        }
        if let Self::Offer { from, sdp, .. } | Self::Answer { from, sdp, .. } = self {
            out.key(b"peer_id").bytes(&from.0);
            out.key(b"sdp").bytes(sdp.as_bytes());
        }
        out.end();
        out.finish()
    }
}

fn name(dict: Value<'_, '_>, key: &[u8]) -> Result<[u8; 20], Error> {
    let bytes = dict.get(key).and_then(|value| value.bytes());
    let name = bytes.and_then(|bytes| bytes.try_into().ok());
    name.ok_or(Error::MalformedExtension)
}

fn sdp<'a>(dict: Value<'a, '_>) -> Result<&'a str, Error> {
    let text = dict.get(b"sdp").and_then(|value| value.text());
    let short = text.filter(|text| text.len() <= MAX_SDP);
    short.ok_or(Error::MalformedExtension)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    const ID: OfferId = OfferId([7; 20]);
    const FROM: PeerId = PeerId(*b"-HW0100-mmmmmmmmmmmm");

    fn all(sdp: &str) -> [Introduction<'_>; 4] {
        let (id, from, hops) = (ID, FROM, 1);
        [
            Introduction::Offer {
                id,
                from,
                hops,
                sdp,
            },
            Introduction::Answer { id, from, sdp },
            Introduction::Refusal { id },
            Introduction::Unknown,
        ]
    }

    #[test]
    fn ours_read_back_as_they_were_written() {
        for message in all("v=0\r\n") {
            assert_eq!(Introduction::parse(&message.to_payload()), Ok(message));
        }
    }

    #[test]
    fn a_session_description_has_a_limit_and_so_have_hops() {
        let payload = |length: usize| all(&"x".repeat(length))[0].to_payload();
        assert!(Introduction::parse(&payload(MAX_SDP)).is_ok());
        assert!(Introduction::parse(&payload(MAX_SDP + 1)).is_err());
        let far = b"d4:hopsi99e8:msg_typei0e8:offer_id20:777777777777777777777:peer_id20:777777777777777777773:sdp0:e";
        let Ok(Introduction::Offer { hops, .. }) = Introduction::parse(far) else {
            panic!("an offer");
        };
        assert_eq!(hops, MAX_HOPS);
    }

    #[test]
    fn whatever_is_broken_is_malformed_and_never_a_panic() {
        let mut rng = Rng::seeded(4);
        for good in all("v=0\r\na=x\r\n").map(|message| message.to_payload()) {
            for cut in 0..good.len() {
                assert!(Introduction::parse(&good[..cut]).is_err());
            }
            for _ in 0..5000 {
                let mut bad = good.clone();
                let at = rng.below(bad.len() as u32) as usize;
                bad[at] = b"0123456789deil:-\xff"[rng.below(17) as usize];
                let _ = Introduction::parse(&bad);
            }
        }
    }
}
