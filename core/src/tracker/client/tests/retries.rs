//! What becomes of connections that come to nothing.

use super::*;

/// A client whose tracker knew of nobody else, and that answers the offer of one who came later.
fn answering(offers_wanted: usize) -> (World, PeerKey) {
    let mut world = World::new(config(1, offers_wanted));
    world.open_trackers();
    world.make_offers();
    world.respond(0, 1, 0);
    world.announces();
    world.pass(secs(15));
    let key = answer(&mut world, 1);
    (world, key)
}

/// Has it answer an offer of that peer's.
fn answer(world: &mut World, remote: u8) -> PeerKey {
    world.said.clear();
    world.hear_offer(0, peer(remote));
    let key = world.accepted()[0];
    world.tell(Input::AnswerMade(key, SDP));
    key
}

/// How long until it announces, with how many offers; the tracker's interval of two minutes at the most.
fn until_announced(world: &mut World) -> (Duration, usize) {
    let begun = world.now;
    loop {
        let due = world.client.poll_timeout().expect("a timer");
        world.pass(due.since(world.now));
        world.make_offers();
        if let Some((_, announce)) = world.announces().pop() {
            return (world.now.since(begun), announce.offers.len());
        }
    }
}

#[test]
fn after_a_connection_that_came_to_nothing_it_asks_again_within_five_seconds() {
    let (mut world, key) = answering(2);
    world.tell(Input::ConnectionFailed(key, "ice"));
    let (waited, offers) = until_announced(&mut world);
    assert!((secs(4)..=secs(5)).contains(&waited), "{waited:?}");
    assert_eq!(offers, 2);
}

#[test]
fn a_connection_that_never_opens_counts_as_one_that_failed() {
    let (mut world, key) = answering(2);
    world.pass(secs(30));
    assert_eq!(world.dropped(), [key]);
    let (waited, _) = until_announced(&mut world);
    assert!(waited <= secs(5), "{waited:?}");
}

#[test]
fn a_peer_that_can_never_be_reached_is_worth_four_announces() {
    let (mut world, mut key) = answering(2);
    let mut pauses = Vec::new();
    for _ in 0..5 {
        world.tell(Input::ConnectionFailed(key, "ice"));
        pauses.push(until_announced(&mut world).0.as_secs());
        world.respond(0, 1, 0);
        key = answer(&mut world, 1);
    }
    let most = [5, 10, 20, 40, 120];
    for (pause, most) in pauses.iter().zip(most) {
        assert!((most * 3 / 4..=most).contains(pause), "{pauses:?}");
    }
}

#[test]
fn one_that_opens_makes_the_next_failure_the_first_again() {
    let (mut world, mut key) = answering(3);
    for remote in 2..5 {
        world.tell(Input::ConnectionFailed(key, "ice"));
        until_announced(&mut world);
        world.respond(0, 1, 0);
        key = answer(&mut world, remote);
    }
    world.tell(Input::Opened(key));
    key = answer(&mut world, 9);
    world.pass(secs(10));
    world.tell(Input::ConnectionFailed(key, "ice"));
    let (waited, _) = until_announced(&mut world);
    assert!(waited <= secs(5), "{waited:?}");
}

#[test]
fn who_has_the_peers_it_wants_or_the_same_peer_otherwise_asks_for_nobody() {
    for wanted in [0, 1] {
        let (mut world, key) = answering(wanted);
        world.tell(Input::Opened(key));
        let late = answer(&mut world, 2);
        world.tell(Input::ConnectionFailed(late, "ice"));
        let (waited, _) = until_announced(&mut world);
        assert!(waited > secs(60), "{waited:?}");
    }
    let (mut world, ours, theirs) = glare::glare(peer(0xff));
    world.tell(Input::Opened(theirs));
    world.tell(Input::ConnectionFailed(ours, "ice"));
    world.announces();
    world.pass(secs(6));
    assert!(world.announces().is_empty());
}
