//! Who is who: a peer is its connection, and an answer is its that got the offer.

use super::*;
use alloc::vec;

#[test]
fn an_offer_reaches_the_other_peer_and_its_answer_comes_back_once() {
    let mut world = World::new();
    world.join(1, Some(0), 0);
    world.join(2, Some(9), 2);
    let offers = world.offers();
    assert_eq!(offers.len(), 1, "one other peer, one offer");
    let (to, by, offer) = offers[0];
    assert_eq!((to, by), (conn(1), peer(2)));
    world.answer(1, peer(2), offer);
    let said = world.take();
    assert!(
        matches!(&said[..], [(key, ServerMessage::Answer { peer_id, offer_id, .. })]
        if *key == conn(2) && *peer_id == peer(1) && *offer_id == offer)
    );
    world.answer(1, peer(2), offer);
    assert!(world.take().is_empty(), "replayed");
    assert_eq!(
        (
            world.tracker.stats().answers,
            world.tracker.stats().stray_answers
        ),
        (1, 1)
    );
}

#[test]
fn only_the_peer_that_got_an_offer_may_answer_it() {
    let mut world = World::new();
    world.join(1, Some(0), 0);
    world.join(2, Some(9), 1);
    let (_, by, offer) = world.offers()[0];
    world.join(3, Some(9), 0);
    world.take();
    world.answer(3, by, offer);
    let forged = Answer {
        info_hash: SWARM,
        peer_id: peer(1),
        to_peer_id: by,
        offer_id: offer,
        sdp: "v=0".into(),
    };
    world.say(3, &ClientMessage::Answer(forged.clone()));
    world.say(2, &ClientMessage::Answer(forged.clone()));
    world.tell(Input::Connected(conn(4)));
    world.say(4, &ClientMessage::Answer(forged));
    assert!(world.take().is_empty());
    world.answer(1, by, offer);
    assert_eq!(world.take().len(), 1);
}

#[test]
fn an_answer_that_comes_too_late_or_to_a_peer_that_left_goes_nowhere() {
    let mut world = World::new();
    world.join(1, Some(0), 0);
    world.join(2, Some(9), 1);
    let (_, by, offer) = world.offers()[0];
    world.now += Duration::from_secs(61);
    world.answer(1, by, offer);
    world.announce(announce(2, Some(9), 1), 2);
    let (_, by, offer) = world.offers()[0];
    world.tell(Input::Closed(conn(2)));
    world.answer(1, by, offer);
    assert!(world.take().is_empty());
}

#[test]
fn a_peer_id_belongs_to_its_connection_until_that_closes() {
    let mut world = World::new();
    world.join(1, Some(0), 0);
    world.take();
    world.tell(Input::Connected(conn(2)));
    world.announce(announce(1, Some(5), 1), 2);
    assert_eq!(
        world.errors(),
        [(conn(2), "this peer_id is on another connection".into())]
    );
    let stopped = Announce {
        event: Some(AnnounceEvent::Stopped),
        ..announce(1, Some(5), 0)
    };
    world.announce(stopped, 2);
    assert_eq!(
        world.counts(),
        (1, 0, 0),
        "another's stopped changes nothing"
    );
    world.tell(Input::Closed(conn(1)));
    assert_eq!(world.counts(), (0, 0, 0));
    world.announce(announce(1, Some(5), 1), 2);
    assert_eq!(world.counts(), (0, 1, 0), "free at once");
}

#[test]
fn a_connection_is_one_peer_in_a_swarm() {
    let mut world = World::new();
    world.join(1, Some(5), 0);
    world.take();
    world.announce(announce(2, Some(5), 0), 1);
    assert_eq!(
        world.errors()[0].1,
        "this connection has another peer_id in this swarm"
    );
    assert_eq!(world.counts(), (0, 1, 0));
}

#[test]
fn completed_makes_a_leecher_a_seed_and_counts_once_and_may_come_first() {
    let mut world = World::new();
    world.join(1, None, 0);
    assert_eq!(world.counts(), (0, 1, 0));
    let completed = |n| Announce {
        event: Some(AnnounceEvent::Completed),
        ..announce(n, Some(0), 0)
    };
    world.announce(completed(1), 1);
    world.announce(completed(1), 1);
    assert_eq!(world.counts(), (1, 0, 1));
    world.tell(Input::Connected(conn(2)));
    world.announce(completed(2), 2);
    assert_eq!(world.counts(), (2, 0, 2));
    world.take();
    world.say(2, &ClientMessage::Scrape(vec![SWARM, SwarmHash([6; 20])]));
    let counts = Counts {
        complete: 2,
        incomplete: 0,
        downloaded: 2,
    };
    let expected = ServerMessage::Scrape(vec![
        (SWARM, counts),
        (SwarmHash([6; 20]), Counts::default()),
    ]);
    assert_eq!(world.take(), [(conn(2), expected)]);
}

#[test]
fn stopped_makes_a_peer_leave_and_the_last_one_takes_the_swarm_with_it() {
    let mut world = World::new();
    world.join(1, Some(5), 0);
    let stopped = Announce {
        event: Some(AnnounceEvent::Stopped),
        ..announce(1, Some(5), 3)
    };
    world.announce(stopped, 1);
    let stats = world.tracker.stats();
    assert_eq!((stats.swarms, stats.peers, stats.connections), (0, 0, 1));
    assert!(matches!(
        world.take().last(),
        Some((
            _,
            ServerMessage::Response {
                complete: Some(0),
                ..
            }
        ))
    ));
}
