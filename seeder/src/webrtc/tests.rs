//! Two ends on loopback, and what strangers try.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::Duration;

use bytes::Bytes;
use headwater_core::ids::PeerKey;

use super::{Endpoint, EndpointConfig, EndpointEvent, Error, MAX_MESSAGE};

/// Longer than anything here takes, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn endpoint() -> Endpoint {
    Endpoint::bind(EndpointConfig::default()).expect("a free port on loopback")
}

/// Introduces `a`'s peer `ka` to `b`'s peer `kb`.
fn introduce(a: &mut Endpoint, ka: PeerKey, b: &mut Endpoint, kb: PeerKey) {
    let offer = a.make_offer(ka).expect("an offer");
    let answer = b.accept_offer(kb, &offer).expect("an answer");
    a.apply_answer(ka, &answer).expect("the answer is taken");
}

/// Drives both until `done` has seen enough.
async fn run(
    a: &mut Endpoint,
    b: &mut Endpoint,
    mut done: impl FnMut(&mut Endpoint, &mut Endpoint, Side, EndpointEvent) -> bool,
) {
    let driving = async {
        loop {
            tokio::select! {
                () = a.drive() => {}
                () = b.drive() => {}
            }
            while let Some(event) = a.poll_event() {
                if done(a, b, Side::A, event) {
                    return;
                }
            }
            while let Some(event) = b.poll_event() {
                if done(a, b, Side::B, event) {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, driving)
        .await
        .expect("it happens in time");
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    A,
    B,
}

/// A sender of numbered bytes that keeps the room filled.
struct Flow {
    sent: usize,
    received: usize,
    total: usize,
}

impl Flow {
    fn new(total: usize) -> Self {
        Self {
            sent: 0,
            received: 0,
            total,
        }
    }

    fn fill(&mut self, end: &mut Endpoint, key: PeerKey) {
        while self.sent < self.total && end.room(key) > 0 {
            let length = end.room(key).min(MAX_MESSAGE).min(self.total - self.sent);
            end.send(key, pattern(self.sent, length));
            self.sent += length;
        }
    }

    fn take(&mut self, message: &[u8]) {
        assert_eq!(message, pattern(self.received, message.len()));
        self.received += message.len();
    }

    fn is_done(&self) -> bool {
        self.received == self.total
    }
}

fn pattern(start: usize, length: usize) -> Bytes {
    (start..start + length)
        .map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8)
        .collect()
}

#[tokio::test]
async fn what_is_sent_both_ways_arrives_unchanged() {
    let (mut a, mut b) = (endpoint(), endpoint());
    let key = PeerKey(7);
    introduce(&mut a, key, &mut b, key);
    let (mut there, mut back) = (Flow::new(64 << 20), Flow::new(64 << 20));
    run(&mut a, &mut b, |a, b, side, event| {
        match (side, event) {
            (_, EndpointEvent::Closed(_, why)) => panic!("closed: {why}"),
            (Side::A, EndpointEvent::Received(_, message)) => back.take(&message),
            (Side::B, EndpointEvent::Received(_, message)) => there.take(&message),
            (Side::A, _) => there.fill(a, key),
            (Side::B, _) => back.fill(b, key),
        }
        there.is_done() && back.is_done()
    })
    .await;
}

#[tokio::test]
async fn a_channel_that_comes_to_rest_says_so() {
    let (mut a, mut b) = (endpoint(), endpoint());
    let key = PeerKey(7);
    introduce(&mut a, key, &mut b, key);
    let mut flow = Flow::new(8 << 20);
    run(&mut a, &mut b, |a, _, side, event| {
        match (side, event) {
            (_, EndpointEvent::Closed(_, why)) => panic!("closed: {why}"),
            (Side::B, EndpointEvent::Received(_, message)) => flow.take(&message),
            (Side::B, _) => {}
            (Side::A, _) => flow.fill(a, key),
        }
        // By the word of `a` alone: nothing else is asked what is under way.
        let (_, queued) = a.line(key);
        side == Side::A && flow.sent == flow.total && queued == 0
    })
    .await;
    assert!(a.room(key) > 0);
}

#[tokio::test]
async fn twenty_peers_share_one_port() {
    let mut a = endpoint();
    let mut flows = BTreeMap::new();
    let mut remotes = tokio::task::JoinSet::new();
    for key in (0..20).map(PeerKey) {
        let mut remote = endpoint();
        introduce(&mut a, key, &mut remote, key);
        flows.insert(key, Flow::new(1 << 20));
        remotes.spawn(receive(remote, 1 << 20));
    }
    let sending = async {
        loop {
            tokio::select! {
                () = a.drive() => {}
                done = remotes.join_next() => match done {
                    Some(done) => done.expect("all of it arrives"),
                    None => return,
                },
            }
            while let Some(event) = a.poll_event() {
                if let EndpointEvent::Opened(key) | EndpointEvent::Writable(key, _) = event {
                    flows.get_mut(&key).expect("known").fill(&mut a, key);
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, sending)
        .await
        .expect("it happens in time");
}

/// Takes so much of a flow.
async fn receive(mut end: Endpoint, total: usize) {
    let mut flow = Flow::new(total);
    while !flow.is_done() {
        end.drive().await;
        while let Some(event) = end.poll_event() {
            match event {
                EndpointEvent::Received(_, message) => flow.take(&message),
                EndpointEvent::Closed(_, why) => panic!("closed: {why}"),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn a_peer_that_never_reads_costs_its_cap_and_stalls_nobody() {
    let (mut a, mut b, mut dead) = (endpoint(), endpoint(), endpoint());
    let (key, stuck) = (PeerKey(1), PeerKey(2));
    introduce(&mut a, stuck, &mut dead, stuck);
    run(&mut a, &mut dead, |_, _, side, event| {
        (side, event) == (Side::A, EndpointEvent::Opened(stuck))
    })
    .await;
    // From here on `dead` takes nothing from its socket.
    let message = Bytes::from(vec![0; MAX_MESSAGE]);
    let mut given = 0;
    while a.room(stuck) > 0 {
        a.send(stuck, message.clone());
        given += message.len();
    }
    assert!(given <= super::cap::MAX_LEAST, "{given} bytes");
    introduce(&mut a, key, &mut b, key);
    let mut flow = Flow::new(16 << 20);
    run(&mut a, &mut b, |a, _, side, event| {
        match (side, event) {
            (Side::A, EndpointEvent::Opened(k) | EndpointEvent::Writable(k, _)) if k == key => {
                flow.fill(a, key);
            }
            (Side::B, EndpointEvent::Received(_, message)) => flow.take(&message),
            _ => {}
        }
        flow.is_done()
    })
    .await;
    assert_eq!(a.room(stuck), 0);
    assert!(a.stats(stuck).is_some_and(|s| s.unacknowledged == given));
}

#[tokio::test]
async fn a_remotes_close_is_noticed_at_once() {
    let (mut a, mut b) = (endpoint(), endpoint());
    let key = PeerKey(3);
    introduce(&mut a, key, &mut b, key);
    let mut opened = 0;
    let began = std::time::Instant::now();
    run(&mut a, &mut b, |_, b, side, event| match event {
        EndpointEvent::Opened(_) => {
            opened += 1;
            if opened == 2 {
                b.close(key);
            }
            false
        }
        EndpointEvent::Closed(..) => side == Side::A,
        _ => false,
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(5), "not by timeout");
    // The key is free again, and what is sent to nobody goes nowhere.
    a.send(key, Bytes::from_static(b"late"));
    assert_eq!(a.room(key), 0);
    introduce(&mut a, key, &mut b, key);
}

#[tokio::test]
async fn a_remote_that_opens_a_thousand_channels_is_dropped() {
    let (mut a, mut b) = (endpoint(), endpoint());
    let key = PeerKey(4);
    introduce(&mut a, key, &mut b, key);
    run(&mut a, &mut b, |_, b, side, event| match (side, event) {
        (Side::B, EndpointEvent::Opened(_)) => {
            b.open_extra_channels(key, 1000);
            false
        }
        (Side::A, EndpointEvent::Closed(_, why)) => {
            assert_eq!(why, "opened too many channels");
            true
        }
        _ => false,
    })
    .await;
}

#[tokio::test]
async fn a_few_extra_channels_are_ignored() {
    let (mut a, mut b) = (endpoint(), endpoint());
    let key = PeerKey(5);
    introduce(&mut a, key, &mut b, key);
    let mut flow = Flow::new(4 << 20);
    run(&mut a, &mut b, |_, b, side, event| {
        match (side, event) {
            (Side::A, EndpointEvent::Opened(_)) => {}
            (Side::B, EndpointEvent::Opened(_)) => {
                b.open_extra_channels(key, 3);
                flow.fill(b, key);
            }
            (Side::B, EndpointEvent::Writable(..)) => flow.fill(b, key),
            (Side::A, EndpointEvent::Received(_, message)) => flow.take(&message),
            (_, EndpointEvent::Closed(_, why)) => panic!("closed: {why}"),
            _ => {}
        }
        flow.is_done()
    })
    .await;
}

#[tokio::test]
async fn garbage_on_the_port_disturbs_nobody() {
    let (mut a, mut b) = (endpoint(), endpoint());
    let key = PeerKey(6);
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let mut rng = headwater_core::rng::Rng::seeded(11);
    let mut rubbish = move |to: &Endpoint| {
        let mut datagram = vec![0; 1 + rng.below(1400) as usize];
        rng.fill(&mut datagram);
        // Some of it looks like STUN or DTLS at first sight.
        datagram[0] = [0, 1, 22, 23, 255][rng.below(5) as usize];
        if datagram.len() > 8 && datagram[0] < 4 {
            datagram[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        }
        let _ = stranger.send_to(&datagram, to.local_addr());
    };
    introduce(&mut a, key, &mut b, key);
    let mut flow = Flow::new(8 << 20);
    run(&mut a, &mut b, |a, b, side, event| {
        rubbish(a);
        rubbish(b);
        match (side, event) {
            (Side::A, EndpointEvent::Opened(_) | EndpointEvent::Writable(..)) => flow.fill(a, key),
            (Side::B, EndpointEvent::Received(_, message)) => flow.take(&message),
            (_, EndpointEvent::Closed(_, why)) => panic!("closed: {why}"),
            _ => {}
        }
        flow.is_done()
    })
    .await;
}

#[tokio::test]
async fn keys_and_limits_are_kept() {
    let mut a = Endpoint::bind(EndpointConfig {
        max_peers: 1,
        ..EndpointConfig::default()
    })
    .expect("a free port");
    let mut b = endpoint();
    let (one, two) = (PeerKey(1), PeerKey(2));
    let offer = a.make_offer(one).expect("an offer");
    assert_eq!(a.make_offer(one), Err(Error::KeyInUse));
    assert_eq!(a.make_offer(two), Err(Error::TooManyPeers));
    let answer = b.accept_offer(one, &offer).expect("an answer");
    assert_eq!(a.apply_answer(two, &answer), Err(Error::UnknownPeer));
    assert_eq!(a.apply_answer(one, &answer), Ok(()));
    assert_eq!(a.apply_answer(one, &answer), Err(Error::UnknownPeer));
    a.close(one);
    a.close(one);
    assert!(a.make_offer(two).is_ok());
}

#[tokio::test]
async fn a_silent_remote_is_given_up() {
    let (mut a, mut b, mut bystander) = (endpoint(), endpoint(), endpoint());
    let key = PeerKey(8);
    introduce(&mut a, key, &mut b, key);
    run(&mut a, &mut b, |_, _, side, event| {
        (side, event) == (Side::A, EndpointEvent::Opened(key))
    })
    .await;
    let began = std::time::Instant::now();
    run(&mut a, &mut bystander, |_, _, side, event| {
        side == Side::A && matches!(event, EndpointEvent::Closed(..))
    })
    .await;
    let took = began.elapsed();
    assert!(took > Duration::from_secs(8), "{took:?}: too hasty");
    assert!(took < Duration::from_secs(30), "{took:?}: too patient");
}

#[tokio::test]
async fn a_lite_end_answers_and_is_open() {
    let mut lite = Endpoint::bind(EndpointConfig {
        lite: true,
        ..EndpointConfig::default()
    })
    .expect("a free port");
    let mut full = endpoint();
    let key = PeerKey(9);
    introduce(&mut full, key, &mut lite, key);
    let mut flow = Flow::new(4 << 20);
    run(&mut full, &mut lite, |_, lite, side, event| {
        match (side, event) {
            (Side::B, EndpointEvent::Opened(_) | EndpointEvent::Writable(..)) => {
                flow.fill(lite, key);
            }
            (Side::A, EndpointEvent::Received(_, message)) => flow.take(&message),
            _ => {}
        }
        flow.is_done()
    })
    .await;
}
