//! Two ends on loopback, and what strangers try.

use std::time::Duration;

use bytes::Bytes;
use headwater_core::ids::PeerKey;

use super::{Endpoint, EndpointConfig, EndpointEvent, MAX_MESSAGE};

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
            let length = MAX_MESSAGE.min(self.total - self.sent);
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
