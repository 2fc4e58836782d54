//! The tracker against clients that the tests play by hand, honest and not.

use super::*;
use crate::time::Duration;
use crate::tracker::message::{Announce, Answer, ClientMessage, Offer, OfferId};
use alloc::string::String;

mod cluster;
mod identity;
mod introductions;
mod limits;

const SWARM: SwarmHash = SwarmHash([5; 20]);

/// A tracker, its clock, and what it said to whom.
struct World {
    tracker: Tracker,
    now: Instant,
    said: Vec<(ConnKey, ServerMessage)>,
    closed: Vec<ConnKey>,
    /// Handed to other trackers.
    relayed: Vec<(NodeKey, String)>,
    bytes: usize,
}

const fn peer(n: u32) -> PeerId {
    let mut id = *b"-HW0100-............";
    let n = n.to_be_bytes();
    (id[16], id[17], id[18], id[19]) = (n[0], n[1], n[2], n[3]);
    PeerId(id)
}

const fn conn(n: u32) -> ConnKey {
    ConnKey(n as u64)
}

fn announce(n: u32, left: Option<u64>, offers: usize) -> Announce {
    let id = |at: usize| {
        let mut id = [at as u8; 20];
        id[..4].copy_from_slice(&n.to_be_bytes());
        OfferId(id)
    };
    let offers = (0..offers)
        .map(|at| Offer {
            id: id(at),
            sdp: "v=0\r\n".into(),
        })
        .collect();
    let (uploaded, downloaded) = (0, 0);
    Announce {
        info_hash: SWARM,
        peer_id: peer(n),
        event: None,
        uploaded,
        downloaded,
        left,
        played_percent: None,
        offers,
    }
}

impl World {
    fn new() -> Self {
        Self::with(ServerConfig {
            seed: 7,
            ..ServerConfig::default()
        })
    }

    fn with(config: ServerConfig) -> Self {
        let (tracker, now) = (Tracker::new(config), Instant::from_micros(1));
        Self {
            tracker,
            now,
            said: Vec::new(),
            closed: Vec::new(),
            relayed: Vec::new(),
            bytes: 0,
        }
    }

    fn tell(&mut self, input: Input<'_>) {
        self.tracker.handle_input(self.now, input);
        while let Some(output) = self.tracker.poll_output() {
            match output {
                Output::Close(key, _) => self.closed.push(key),
                Output::Relay(node, _, text) => self.relayed.push((node, text)),
                Output::Send(key, text) => {
                    self.bytes += text.len();
                    self.said
                        .push((key, ServerMessage::decode(&text).expect("our own message")));
                }
            }
        }
    }

    fn say(&mut self, from: u32, message: &ClientMessage) {
        self.tell(Input::Received(conn(from), &message.encode()));
    }

    /// Peer `n` connects as connection `n` and announces.
    fn join(&mut self, n: u32, left: Option<u64>, offers: usize) {
        self.tell(Input::Connected(conn(n)));
        self.announce(announce(n, left, offers), n);
    }

    fn announce(&mut self, announce: Announce, from: u32) {
        self.say(from, &ClientMessage::Announce(announce));
    }

    fn answer(&mut self, from: u32, to: PeerId, offer_id: OfferId) {
        let (info_hash, peer_id, sdp) = (SWARM, peer(from), "v=0\r\n".into());
        self.say(
            from,
            &ClientMessage::Answer(Answer {
                info_hash,
                peer_id,
                to_peer_id: to,
                offer_id,
                sdp,
            }),
        );
    }

    fn take(&mut self) -> Vec<(ConnKey, ServerMessage)> {
        core::mem::take(&mut self.said)
    }

    /// Whom offers went to, and whose they were, by their numbers.
    fn meetings(&mut self) -> Vec<(usize, usize)> {
        let number = |id: PeerId| u32::from_be_bytes([id.0[16], id.0[17], id.0[18], id.0[19]]);
        let meeting = |(to, by, _): (ConnKey, _, _)| (to.0 as usize, number(by) as usize);
        self.offers().into_iter().map(meeting).collect()
    }

    fn offers(&mut self) -> Vec<(ConnKey, PeerId, OfferId)> {
        let offer = |(key, message)| match message {
            ServerMessage::Offer {
                peer_id, offer_id, ..
            } => Some((key, peer_id, offer_id)),
            _ => None,
        };
        self.take().into_iter().filter_map(offer).collect()
    }

    fn errors(&mut self) -> Vec<(ConnKey, String)> {
        let error = |(key, message)| match message {
            ServerMessage::Error { reason, .. } => Some((key, reason)),
            _ => None,
        };
        self.take().into_iter().filter_map(error).collect()
    }

    fn counts(&self) -> (u64, u64, u64) {
        let counts = self.tracker.counts_in(SWARM, &Shares::new());
        (counts.complete, counts.incomplete, counts.downloaded)
    }
}
