//! Messages that the tests of reading and writing share.

use super::{
    Action, Announce, AnnounceEvent, Answer, ClientMessage, Counts, Offer, OfferId, ServerMessage,
};
use crate::ids::{PeerId, SwarmHash};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

pub(super) const SDP: &str = "v=0\r\na=\"\\\u{7f}ü€";
pub(super) const HASH: SwarmHash = SwarmHash([0xfe; 20]);

/// An announce, an answer and a scrape, with all that is awkward to write.
pub(super) fn client_messages() -> [ClientMessage; 3] {
    let offer = |id| Offer {
        id: OfferId([id; 20]),
        sdp: SDP.into(),
    };
    [
        ClientMessage::Announce(Announce {
            info_hash: HASH,
            peer_id: PeerId([0x22; 20]),
            event: Some(AnnounceEvent::Started),
            uploaded: 0,
            downloaded: u64::MAX,
            left: None,
            played_percent: None,
            offers: vec![offer(0), offer(0xff)],
        }),
        ClientMessage::Answer(Answer {
            info_hash: HASH,
            peer_id: PeerId([0; 20]),
            to_peer_id: PeerId([0x5c; 20]),
            offer_id: OfferId([0x80; 20]),
            sdp: SDP.into(),
        }),
        ClientMessage::Scrape(vec![HASH, SwarmHash([1; 20])]),
    ]
}

/// One of each kind.
pub(super) fn server_messages() -> [ServerMessage; 5] {
    let (info_hash, peer_id) = (HASH, PeerId([0x0a; 20]));
    let (offer_id, sdp) = (OfferId([0xc3; 20]), String::from(SDP));
    let counts = Counts {
        complete: 1,
        incomplete: 2,
        downloaded: 3,
    };
    [
        ServerMessage::Offer {
            info_hash,
            peer_id,
            offer_id,
            sdp: sdp.clone(),
        },
        ServerMessage::Answer {
            info_hash,
            peer_id,
            offer_id,
            sdp,
        },
        ServerMessage::Response {
            info_hash,
            interval: Some(120.0),
            complete: Some(1),
            incomplete: Some(2),
            warning: None,
        },
        ServerMessage::Scrape(vec![(HASH, counts)]),
        ServerMessage::Error {
            action: Action::Scrape,
            info_hash: Some(HASH),
            reason: "no".into(),
        },
    ]
}

/// All of them as JSON.
pub(super) fn every_text() -> Vec<String> {
    let clients = client_messages();
    let servers = server_messages();
    let said = clients.iter().map(ClientMessage::encode);
    said.chain(servers.iter().map(ServerMessage::encode))
        .collect()
}
