//! The client against a tracker and a WebRTC stack that the tests play by hand.

mod glare;
mod hostile;
mod neighbours;
mod retries;

use super::*;
use crate::ids::SwarmHash;
use crate::tracker::message::{Offer, OfferId, ServerMessage};
use alloc::format;
use alloc::string::String;

const SDP: &str = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";
const SWARM: SwarmHash = SwarmHash([5; 20]);
const OWN: PeerId = PeerId(*b"-HW0100-mmmmmmmmmmmm");

/// A client, its clock, and what it has said so far.
struct World {
    client: Client,
    now: Instant,
    said: Vec<Output>,
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn config(trackers: usize, offers_wanted: usize) -> ClientConfig {
    ClientConfig {
        peer_id: OWN,
        swarm: SWARM,
        trackers: (0..trackers)
            .map(|n| format!("ws://127.0.0.1:{n}/announce"))
            .collect(),
        offers_wanted,
        key_space: 7,
        seed: 1,
        max_connections: 50,
    }
}

impl World {
    fn new(config: ClientConfig) -> Self {
        let now = Instant::from_micros(1_000_000);
        let mut world = Self {
            client: Client::new(config, now),
            now,
            said: Vec::new(),
        };
        world.listen();
        world
    }

    /// A client that knows `trackers` trackers, all open, and has announced all its offers.
    fn announced(trackers: usize, offers_wanted: usize) -> Self {
        let mut world = Self::new(config(trackers, offers_wanted));
        world.open_trackers();
        world.make_offers();
        for tracker in 0..trackers as u32 {
            world.respond(tracker, 1, 5);
        }
        world
    }

    fn tell(&mut self, input: Input<'_>) {
        self.client.handle_input(self.now, input);
        self.listen();
    }

    fn listen(&mut self) {
        while let Some(output) = self.client.poll_output() {
            self.said.push(output);
        }
    }

    /// Let time pass, timer by timer.
    fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(due) = self.client.poll_timeout().filter(|due| *due <= until) {
            let before = self.client.poll_timeout();
            self.now = self.now.max(due);
            self.tell(Input::TimedOut);
            assert_ne!(
                before,
                self.client.poll_timeout(),
                "a timer that does nothing"
            );
        }
        self.now = until;
    }

    fn open_trackers(&mut self) {
        for output in core::mem::take(&mut self.said) {
            match output {
                Output::OpenTracker(key, _) => self.tell(Input::TrackerOpened(key)),
                other => self.said.push(other),
            }
        }
    }

    fn make_offers(&mut self) {
        for output in core::mem::take(&mut self.said) {
            match output {
                Output::MakeOffer(key) => self.tell(Input::OfferMade(key, SDP)),
                other => self.said.push(other),
            }
        }
    }

    fn hear(&mut self, tracker: u32, message: &ServerMessage) {
        self.tell(Input::TrackerReceived(
            TrackerKey(tracker),
            &message.encode(),
        ));
    }

    fn respond(&mut self, tracker: u32, complete: u64, incomplete: u64) {
        self.hear(
            tracker,
            &ServerMessage::Response {
                info_hash: SWARM,
                interval: Some(120.0),
                complete: Some(complete),
                incomplete: Some(incomplete),
                warning: None,
            },
        );
    }

    fn hear_offer(&mut self, tracker: u32, from: PeerId) {
        let (offer_id, sdp) = (OfferId([9; 20]), SDP.into());
        self.hear(
            tracker,
            &ServerMessage::Offer {
                info_hash: SWARM,
                peer_id: from,
                offer_id,
                sdp,
            },
        );
    }

    fn hear_answer(&mut self, tracker: u32, from: PeerId, offer_id: OfferId) {
        let sdp = SDP.into();
        self.hear(
            tracker,
            &ServerMessage::Answer {
                info_hash: SWARM,
                peer_id: from,
                offer_id,
                sdp,
            },
        );
    }

    /// The announces said since last asked.
    fn announces(&mut self) -> Vec<(TrackerKey, Announce)> {
        let said = core::mem::take(&mut self.said);
        let announce = |output: &Output| match output {
            Output::SendTracker(key, text) => match ClientMessage::decode(text) {
                Ok(ClientMessage::Announce(announce)) => Some((*key, announce)),
                _ => None,
            },
            _ => None,
        };
        let announces = said.iter().filter_map(announce).collect();
        self.said = said
            .into_iter()
            .filter(|output| announce(output).is_none())
            .collect();
        announces
    }

    fn offers_out(&mut self) -> Vec<(TrackerKey, Offer)> {
        let announces = self.announces();
        announces
            .into_iter()
            .flat_map(|(key, a)| a.offers.into_iter().map(move |o| (key, o)))
            .collect()
    }

    fn accepted(&self) -> Vec<PeerKey> {
        self.said
            .iter()
            .filter_map(|o| {
                if let Output::AcceptOffer(key, _) = o {
                    Some(*key)
                } else {
                    None
                }
            })
            .collect()
    }

    fn applied(&self) -> Vec<PeerKey> {
        self.said
            .iter()
            .filter_map(|o| {
                if let Output::ApplyAnswer(key, _) = o {
                    Some(*key)
                } else {
                    None
                }
            })
            .collect()
    }

    fn dropped(&self) -> Vec<PeerKey> {
        self.said
            .iter()
            .filter_map(|o| {
                if let Output::Drop(key) = o {
                    Some(*key)
                } else {
                    None
                }
            })
            .collect()
    }

    fn count(&self, is: impl Fn(&Output) -> bool) -> usize {
        self.said.iter().filter(|output| is(output)).count()
    }
}

const fn peer(n: u8) -> PeerId {
    PeerId([n; 20])
}

#[test]
fn the_first_announce_leaves_with_the_first_offer_and_the_rest_follow_together() {
    let mut world = World::new(config(1, 5));
    assert_eq!(
        world.count(|o| matches!(o, Output::MakeOffer(_))),
        5,
        "asked for at once"
    );
    world.open_trackers();
    assert!(world.announces().is_empty(), "nothing to bring yet");
    let making: Vec<_> = world
        .said
        .iter()
        .filter_map(|o| {
            if let Output::MakeOffer(key) = o {
                Some(*key)
            } else {
                None
            }
        })
        .collect();
    world.tell(Input::OfferMade(making[0], SDP));
    let first = world.announces();
    assert_eq!(
        (first[0].1.event, first[0].1.offers.len()),
        (Some(AnnounceEvent::Started), 1)
    );
    for key in &making[1..] {
        world.tell(Input::OfferMade(*key, SDP));
    }
    let rest = world.announces();
    assert_eq!(rest.len(), 1);
    assert_eq!((rest[0].1.event, rest[0].1.offers.len()), (None, 4));
}

#[test]
fn a_seeder_without_offers_announces_at_once_and_answers() {
    let mut world = World::new(config(1, 0));
    world.tell(Input::Progress(Progress {
        left: Some(0),
        ..Progress::default()
    }));
    world.open_trackers();
    let announces = world.announces();
    assert_eq!(announces.len(), 1);
    assert_eq!(
        (announces[0].1.left, announces[0].1.event),
        (Some(0), Some(AnnounceEvent::Started))
    );
    world.hear_offer(0, peer(1));
    let key = world.accepted()[0];
    assert_eq!(key.0 >> 32, 7);
    world.tell(Input::AnswerMade(key, SDP));
    let Some(Output::SendTracker(_, text)) = world.said.last() else {
        panic!("an answer")
    };
    let Ok(ClientMessage::Answer(answer)) = ClientMessage::decode(text) else {
        panic!("an answer")
    };
    assert_eq!(
        (answer.to_peer_id, answer.offer_id),
        (peer(1), OfferId([9; 20]))
    );
}

#[test]
fn an_announce_does_not_wait_for_offers_that_never_come() {
    let mut world = World::new(config(1, 5));
    world.open_trackers();
    world.pass(secs(6));
    let announces = world.announces();
    assert_eq!(announces.len(), 1);
    assert!(announces[0].1.offers.is_empty());
}

#[test]
fn an_unanswered_offer_is_offered_again() {
    let mut world = World::announced(1, 2);
    let first: Vec<_> = world.offers_out();
    assert_eq!(first.len(), 2);
    world.said.clear();
    world.pass(secs(25));
    let again = world.offers_out();
    assert_eq!(again.len(), 2);
    assert_eq!(
        world.count(|o| matches!(o, Output::MakeOffer(_))),
        0,
        "no new ones were made"
    );
    assert_ne!(first[0].1.id, again[0].1.id);
    // The one it went to first was only slow.
    world.hear_answer(0, peer(1), first[0].1.id);
    assert_eq!(world.applied().len(), 1);
    world.hear_answer(0, peer(2), again[0].1.id);
    assert_eq!(world.applied().len(), 1, "one offer makes one connection");
}

#[test]
fn answers_nobody_waits_for_are_ignored() {
    let mut world = World::announced(2, 2);
    let out = world.offers_out();
    let (at, offer) = out[0].clone();
    world.hear_answer(0, peer(1), OfferId([1; 20]));
    world.hear_answer(1 - at.0, peer(1), offer.id);
    world.hear_answer(at.0, OWN, offer.id);
    assert!(world.applied().is_empty());
    world.hear_answer(at.0, peer(1), offer.id);
    world.hear_answer(at.0, peer(1), offer.id);
    assert_eq!(world.applied().len(), 1);
}

#[test]
fn two_trackers_share_the_offers_and_both_are_announced_to() {
    let mut world = World::announced(2, 5);
    let out = world.offers_out();
    let at = |tracker| {
        out.iter()
            .filter(|(key, _)| *key == TrackerKey(tracker))
            .count()
    };
    assert_eq!((at(0), at(1)), (5, 5));
    let mut ids: Vec<_> = out.iter().map(|(_, offer)| offer.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10);
}

#[test]
fn a_connection_that_never_opens_is_dropped() {
    let mut world = World::announced(1, 0);
    world.hear_offer(0, peer(1));
    let key = world.accepted()[0];
    world.tell(Input::AnswerMade(key, SDP));
    world.pass(secs(31));
    assert_eq!(world.dropped(), [key]);
    world.hear_offer(0, peer(1));
    assert_eq!(world.accepted().len(), 2, "it may try again");
}

#[test]
fn a_tracker_down_for_two_minutes_is_tried_ever_later_and_found_within_fifteen_seconds() {
    let mut world = World::new(config(1, 0));
    let mut tries = Vec::new();
    while world.now < Instant::from_micros(0) + secs(120) {
        for output in core::mem::take(&mut world.said) {
            if let Output::OpenTracker(key, _) = output {
                tries.push(world.now);
                world.tell(Input::TrackerClosed(key, "refused"));
            }
        }
        let due = world.client.poll_timeout().unwrap();
        world.pass(due.since(world.now));
    }
    let pauses: Vec<_> = tries
        .windows(2)
        .map(|pair| pair[1].since(pair[0]))
        .collect();
    assert!(
        pauses
            .iter()
            .all(|pause| (secs(1)..=secs(15)).contains(pause)),
        "{pauses:?}"
    );
    assert!(pauses[0] <= secs(2) && tries.len() < 25, "{pauses:?}");
}

#[test]
fn a_tracker_that_never_answers_is_left_and_tried_again() {
    let mut world = World::new(config(1, 0));
    world.open_trackers();
    world.pass(secs(31));
    assert_eq!(world.count(|o| matches!(o, Output::CloseTracker(_))), 1);
    world.pass(secs(2));
    assert_eq!(
        world.count(|o| matches!(o, Output::OpenTracker(TrackerKey(1), _))),
        1
    );
}

#[test]
fn who_plays_says_how_far_it_is_to_trackers_and_others_say_nothing() {
    let mut world = World::new(config(2, 0));
    world.tell(Input::Progress(Progress {
        played_percent: Some(42),
        ..Progress::default()
    }));
    world.open_trackers();
    let said = |(_, announce): &(_, Announce)| announce.played_percent == Some(42);
    let announces = world.announces();
    assert!(announces.len() == 2 && announces.iter().all(said));
    let mut silent = World::new(config(1, 0));
    silent.open_trackers();
    let is_said =
        |output: &Output| matches!(output, Output::SendTracker(_, text) if text.contains("played"));
    assert!(!silent.said.iter().any(is_said));
}

#[test]
fn completion_is_announced_once_and_leaving_too() {
    let mut world = World::announced(2, 0);
    world.announces();
    for _ in 0..3 {
        world.tell(Input::Progress(Progress {
            uploaded: 1,
            downloaded: 10,
            left: Some(0),
            ..Progress::default()
        }));
    }
    let announces = world.announces();
    assert_eq!(announces.len(), 2);
    assert!(
        announces
            .iter()
            .all(|(_, a)| a.event == Some(AnnounceEvent::Completed) && a.downloaded == 10)
    );
    world.tell(Input::Stopped);
    let announces = world.announces();
    assert!(
        announces
            .iter()
            .all(|(_, a)| a.event == Some(AnnounceEvent::Stopped))
            && announces.len() == 2
    );
    assert_eq!(world.count(|o| matches!(o, Output::CloseTracker(_))), 2);
    assert_eq!(world.client.poll_timeout(), None);
}

#[test]
fn a_viewer_that_lost_its_peers_asks_for_others_soon() {
    let mut world = World::announced(1, 3);
    let offers = world.offers_out();
    for (n, (_, offer)) in offers.iter().enumerate() {
        world.hear_answer(0, peer(n as u8), offer.id);
    }
    let keys = world.applied();
    for key in &keys {
        world.tell(Input::Opened(*key));
    }
    world.pass(secs(10));
    world.respond(0, 1, 5);
    world.announces();
    world.pass(secs(30));
    world.make_offers();
    assert!(world.announces().is_empty(), "it has what it wants");
    for key in keys {
        world.tell(Input::Closed(key));
    }
    world.pass(secs(1));
    world.make_offers();
    world.pass(secs(2));
    world.make_offers();
    assert_eq!(world.offers_out().len(), 3);
}
