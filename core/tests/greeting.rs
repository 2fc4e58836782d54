//! Who speaks first, and what the first word claims.

use headwater_core::ids::{PeerId, PeerKey};
use headwater_core::metainfo::Magnet;
use headwater_core::peer::Transport;
use headwater_core::swarm::{Config, Input, Output, Source, Swarm};
use headwater_core::time::Instant;

const PEER: PeerKey = PeerKey(1);
const V1: &str = "magnet:?xt=urn:btih:0101010101010101010101010101010101010101";
const V2: &str =
    "magnet:?xt=urn:btmh:12200202020202020202020202020202020202020202020202020202020202020202";

/// A swarm of the magnet link's torrent to which somebody has just connected.
fn connected(magnet: &str, transport: Transport, dialled: bool) -> Swarm {
    let magnet = Magnet::parse(magnet).expect("a magnet");
    let config = Config::new(PeerId(*b"-HW0100-abcdefghijkl"), 1);
    let mut swarm = Swarm::new(config, Source::Magnet(Box::new(magnet)));
    let opened = Input::Opened {
        peer: PEER,
        transport,
        dialled,
        name: "peer".to_owned(),
    };
    swarm.handle_input(Instant::START, opened);
    swarm.handle_input(
        Instant::START,
        Input::Writable {
            peer: PEER,
            room: 1 << 16,
            queued: 0,
        },
    );
    swarm
}

fn said(swarm: &mut Swarm) -> Vec<u8> {
    let mut said = Vec::new();
    while let Some(output) = swarm.poll_output() {
        if let Output::Send(_, bytes) = output {
            said.extend_from_slice(&bytes);
        }
    }
    said
}

#[test]
fn over_tcp_the_caller_speaks_first_and_over_webrtc_the_called() {
    for (transport, dialled, speaks) in [
        (Transport::Tcp, true, true),
        (Transport::Tcp, false, false),
        (Transport::WebRtc, true, false),
        (Transport::WebRtc, false, true),
    ] {
        let words = said(&mut connected(V1, transport, dialled));
        assert_eq!(
            words.len() == 68,
            speaks,
            "{transport:?}, dialled: {dialled}"
        );
    }
}

#[test]
fn a_called_peer_that_waits_for_us_is_spoken_to_at_once_and_once() {
    let mut swarm = connected(V1, Transport::WebRtc, true);
    assert!(said(&mut swarm).is_empty());
    swarm.handle_input(Instant::START, Input::Awaited(PEER));
    assert_eq!(said(&mut swarm).len(), 68);
    swarm.handle_input(Instant::START, Input::Awaited(PEER));
    swarm.handle_input(Instant::START, Input::Awaited(PeerKey(9)));
    assert!(said(&mut swarm).is_empty());
}

#[test]
fn the_handshake_of_a_v1_torrent_claims_no_v2() {
    for (magnet, claims) in [(V1, 0), (V2, 0x10)] {
        let words = said(&mut connected(magnet, Transport::Tcp, true));
        assert_eq!(words[27] & 0x10, claims, "{magnet}");
    }
}
