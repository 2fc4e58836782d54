//! How a connection that never stands comes to its end: said once, and then nothing more.

use super::*;

/// A peer that has answered an offer; what the stack has to say so far is taken.
fn answering(now: Instant) -> Peer {
    let shared = Shared {
        identity: Identity::new().expect("a certificate"),
        advertised: SocketAddr::from(([127, 0, 0, 1], 9)),
        room: 0,
        lite: false,
    };
    let peer = |key| Peer::new(PeerKey(key), &shared, now).expect("a peer");
    let (mut caller, mut called) = (peer(1), peer(2));
    let offer = caller.make_offer();
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

/// Two peers and the clock of both; nothing is on the way but what was just sent.
struct Pair {
    now: Instant,
    peers: [Peer; 2],
    opened: usize,
    received: Vec<Bytes>,
}

impl Pair {
    fn introduced(now: Instant) -> Self {
        let identity = Identity::new().expect("a certificate");
        let mut peers = [1, 2].map(|key: u16| {
            let shared = Shared {
                identity: identity.clone(),
                advertised: SocketAddr::from(([127, 0, 0, 1], key)),
                room: 0,
                lite: false,
            };
            Peer::new(PeerKey(key.into()), &shared, now).expect("a peer")
        });
        let [caller, called] = &mut peers;
        let offer = caller.make_offer();
        let answer = called.accept_offer(now, &offer).expect("an answer");
        caller.apply_answer(now, &answer).expect("it is taken");
        Self {
            now,
            peers,
            opened: 0,
            received: Vec::new(),
        }
    }

    /// Goes on until `done`, without the datagrams that are `lost`; how long it took.
    fn run(
        &mut self,
        mut lost: impl FnMut(&[u8]) -> bool,
        done: impl Fn(&Self) -> bool,
    ) -> Duration {
        let start = self.now;
        while !done(self) {
            assert!(self.now < start + SETUP_TIMEOUT, "it happens at all");
            if !self.exchange(&mut lost) && !done(self) {
                let next = self.peers.iter_mut().filter_map(Peer::poll_timeout).min();
                let step = Duration::from_millis(1);
                self.now = next.unwrap_or(self.now).max(self.now + step);
                self.peers
                    .iter_mut()
                    .for_each(|peer| peer.handle_timeout(self.now));
            }
        }
        self.now - start
    }

    /// Each hears what the other sends now; whether that was anything.
    fn exchange(&mut self, lost: &mut impl FnMut(&[u8]) -> bool) -> bool {
        let mut any = false;
        for side in 0..2 {
            while let Some(event) = self.peers[side].poll_event(self.now) {
                match event {
                    PeerEvent::Opened => self.opened += 1,
                    PeerEvent::Received(message) => self.received.push(message),
                    PeerEvent::Closed(why) => panic!("{why}"),
                }
            }
            while let Some((_, datagram)) = self.peers[side].poll_datagram(self.now) {
                any = true;
                if !lost(&datagram) {
                    let from = self.peers[side].ice.candidate().address;
                    self.peers[1 - side].handle_datagram(self.now, from, &datagram);
                }
            }
            self.peers[side].observe(self.now);
        }
        any
    }
}

#[test]
fn the_end_of_a_message_that_is_lost_is_sent_again_before_the_stack_would() {
    let mut pair = Pair::introduced(Instant::now());
    pair.run(|_| false, |pair| pair.opened == 2);
    let message = Bytes::from(vec![7; MAX_MESSAGE]);
    pair.peers[0].send(pair.now, message.clone());
    pair.run(|_| false, |pair| pair.received.len() == 1);
    pair.peers[0].send(pair.now, message);
    // Only what has data is long. Of the message the end is lost, and again the end of that.
    let mut long = 0;
    let ends = |datagram: &[u8]| {
        long += usize::from(datagram.len() > 1000);
        datagram.len() > 1000 && (20..35).contains(&long)
    };
    let took = pair.run(ends, |pair| pair.received.len() == 2);
    assert!(took < Duration::from_millis(600), "after {took:?}");
}

#[test]
fn a_handshake_that_is_lost_is_sent_again_before_the_stack_would() {
    let mut pair = Pair::introduced(Instant::now());
    let mut handshakes = 0;
    let first_ones = |datagram: &[u8]| {
        // RFC 7983: what begins with 20 to 63 is DTLS.
        let is_handshake = (20..64).contains(&datagram[0]);
        handshakes += usize::from(is_handshake);
        is_handshake && handshakes == 1
    };
    let took = pair.run(first_ones, |pair| pair.opened == 2);
    assert!(took < Duration::from_millis(900), "after {took:?}");
}

#[test]
fn of_a_handshake_that_was_answered_what_is_lost_is_sent_again_at_once() {
    let mut pair = Pair::introduced(Instant::now());
    let mut is_first = true;
    // RFC 6347: 23 is what DTLS carries, and the first of that is SCTP's INIT.
    let init = |datagram: &[u8]| datagram[0] == 23 && std::mem::take(&mut is_first);
    let took = pair.run(init, |pair| pair.opened == 2);
    assert!(took < Duration::from_millis(150), "after {took:?}");
}
