//! Trackers and peers that mean harm, and stacks that say anything at any time.

use super::*;

#[test]
fn a_tracker_that_floods_offers_leaves_half_the_connections_to_the_others() {
    let mut world = World::announced(2, 0);
    for n in 0..200 {
        world.hear_offer(0, peer(n));
    }
    assert_eq!(world.accepted().len(), 25);
    world.hear_offer(1, peer(222));
    assert_eq!(world.accepted().len(), 26);
    for _ in 0..2000 {
        world.hear_offer(0, peer(3));
    }
    assert_eq!(
        world.count(|o| *o == Output::CloseTracker(TrackerKey(0))),
        1
    );
    assert_eq!(
        world.count(|o| *o == Output::CloseTracker(TrackerKey(1))),
        0
    );
}

#[test]
fn no_interval_makes_it_announce_more_than_every_eight_seconds_or_never_again() {
    for interval in ["-1", "0", "1e12", "1e-9", "null", "\"x\"", "[]", "NaN"] {
        let mut world = World::announced(1, 0);
        world.announces();
        let hash: String = SWARM.0.iter().map(|byte| char::from(*byte)).collect();
        let hash = serde_json::to_string(&hash).unwrap();
        let text = format!(r#"{{"action":"announce","info_hash":{hash},"interval":{interval}}}"#);
        world.tell(Input::TrackerReceived(TrackerKey(0), &text));
        let start = world.now;
        while world.announces().is_empty() {
            let due = world.client.poll_timeout().unwrap();
            world.pass(due.since(world.now));
        }
        let waited = world.now.since(start);
        assert!(
            waited >= secs(8) && waited <= secs(600),
            "{interval}: {waited:?}"
        );
    }
}

#[test]
fn garbage_is_warned_of_a_few_times_and_then_hung_up_on() {
    let mut world = World::announced(1, 0);
    for n in 0..100 {
        world.tell(Input::TrackerReceived(
            TrackerKey(0),
            &format!("garbage {n}"),
        ));
    }
    assert_eq!(
        world.count(|o| matches!(o, Output::Event(Event::Warning { .. }))),
        8
    );
    assert_eq!(world.count(|o| matches!(o, Output::CloseTracker(_))), 1);
    world.said.clear();
    world.pass(secs(14));
    assert!(world.said.is_empty());
    world.pass(secs(20));
    assert_eq!(world.count(|o| matches!(o, Output::OpenTracker(..))), 1);
}

#[test]
fn an_offer_with_a_bad_sdp_never_reaches_the_stack() {
    let mut world = World::announced(1, 1);
    let (_, offer) = world.offers_out()[0].clone();
    for sdp in ["", "v=0\r\n", "v=0\r\nm=audio 9 RTP 0\r\n"] {
        let (info_hash, offer_id, sdp) = (SWARM, OfferId([9; 20]), String::from(sdp));
        let message = ServerMessage::Offer {
            info_hash,
            peer_id: peer(1),
            offer_id,
            sdp: sdp.clone(),
        };
        world.hear(0, &message);
        world.hear(
            0,
            &ServerMessage::Answer {
                info_hash,
                peer_id: peer(1),
                offer_id: offer.id,
                sdp,
            },
        );
    }
    assert!(world.accepted().is_empty() && world.applied().is_empty());
    assert!(world.count(|o| matches!(o, Output::Event(Event::Warning { .. }))) > 0);
    world.hear_answer(0, peer(1), offer.id);
    assert_eq!(world.applied().len(), 1, "the offer is still good");
}

#[test]
fn arbitrary_inputs_never_panic_or_grow_it() {
    for seed in 0..30 {
        let mut rng = Rng::seeded(seed);
        let mut world = World::new(config(3, 5));
        for _ in 0..3000 {
            let key = PeerKey(7 << 32 | u64::from(rng.below(60)));
            let tracker = TrackerKey(rng.below(12));
            let from = peer(rng.below(20) as u8);
            match rng.below(12) {
                0 => world.tell(Input::TrackerOpened(tracker)),
                1 if rng.chance(1, 4) => world.tell(Input::TrackerClosed(tracker, "x")),
                2 => world.tell(Input::OfferMade(key, SDP)),
                3 => world.tell(Input::AnswerMade(key, SDP)),
                4 => world.tell(Input::Opened(key)),
                5 => world.tell(Input::Closed(key)),
                6 => world.tell(Input::ConnectionFailed(key, "")),
                7 => world.hear_offer(tracker.0, from),
                8 => world.respond(tracker.0, u64::MAX, u64::MAX),
                9 => world.make_offers(),
                10 => world.open_trackers(),
                _ => {
                    if let Some((at, offer)) = world.offers_out().first().cloned() {
                        world.hear_answer(at.0, from, offer.id);
                    }
                }
            }
            world.pass(Duration::from_millis(u64::from(rng.below(3000))));
            assert!(world.client.connections.room() <= 50);
            assert!(world.client.offers.keys().count() <= MAX_OFFERS);
        }
    }
}

#[test]
fn a_stack_that_cannot_make_offers_is_asked_ever_later() {
    let mut world = World::new(config(1, 2));
    world.open_trackers();
    let mut asked = 0;
    for _ in 0..120 {
        for output in core::mem::take(&mut world.said) {
            match output {
                Output::MakeOffer(key) => {
                    asked += 1;
                    world.tell(Input::ConnectionFailed(key, "no WebRTC here"));
                }
                Output::SendTracker(TrackerKey(key), _) => world.respond(key, 1, 1),
                _ => {}
            }
        }
        world.pass(secs(1));
    }
    assert!((2..30).contains(&asked), "{asked}");
}

#[test]
fn offers_that_are_lost_together_are_made_again_at_once() {
    let mut world = World::new(config(1, 8));
    world.open_trackers();
    let making = |output: &Output| match output {
        Output::MakeOffer(key) => Some(*key),
        _ => None,
    };
    let keys: Vec<PeerKey> = world.said.iter().filter_map(making).collect();
    world.make_offers();
    world.pass(secs(1));
    assert_eq!(world.offers_out().len(), 8);
    world.respond(0, 1, 1);
    world.said.clear();
    // As when a page is put away; the next announce is half a minute away at the most.
    for key in keys {
        world.tell(Input::ConnectionFailed(key, "the page was left"));
    }
    for _ in 0..25 {
        world.pass(secs(1));
        world.make_offers();
    }
    assert_eq!(world.offers_out().len(), 8);
}
