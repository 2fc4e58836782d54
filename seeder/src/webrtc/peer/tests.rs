//! How a connection that never stands comes to its end: said once, and then nothing more.

use super::super::endpoint::certificate;
use super::*;

/// A peer that has answered an offer; what the stack has to say so far is taken.
fn answering(now: Instant) -> Peer {
    let shared = Shared {
        certificate: certificate().expect("a certificate"),
        advertised: SocketAddr::from(([127, 0, 0, 1], 9)),
        room: 0,
        lite: false,
    };
    let peer = |key| Peer::new(PeerKey(key), &shared, now).expect("a peer");
    let (mut caller, mut called) = (peer(1), peer(2));
    let offer = caller.make_offer(now).expect("an offer");
    called.accept_offer(now, &offer).expect("an answer");
    assert!(called.poll_event(now).is_none());
    called
}

fn ends(peer: &mut Peer, now: Instant, why: &str) {
    match peer.poll_event(now) {
        Some(PeerEvent::Closed(said)) => assert_eq!(said, why),
        other => panic!("{other:?}"),
    }
    assert!(peer.poll_event(now).is_none(), "it is said once");
}

#[test]
fn one_that_nothing_is_heard_of_is_given_up_after_twenty_seconds() {
    let now = Instant::now();
    let mut peer = answering(now);
    let late = now + SETUP_TIMEOUT;
    assert!(peer.poll_event(late - Duration::from_millis(1)).is_none());
    ends(&mut peer, late, "no connection within 20 seconds");
}

#[test]
fn one_that_breaks_the_handshake_off_is_given_up_at_once() {
    let now = Instant::now();
    let mut peer = answering(now);
    let unknown_ca = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 5, 0, 2, 2, 48];
    peer.handle_datagram(now, SocketAddr::from(([127, 0, 0, 1], 10)), &unknown_ca);
    ends(&mut peer, now, "it refused the handshake");
}
