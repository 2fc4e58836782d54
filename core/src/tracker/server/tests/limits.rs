//! What strangers cannot do: flood, fill, and outstay.

use super::*;
use alloc::format;

#[test]
fn messages_over_a_limit_are_refused_with_a_reason_and_then_with_a_closed_door() {
    let mut world = World::new();
    world.tell(Input::Connected(conn(1)));
    let hash = "\\u0005".repeat(20);
    let text = format!(r#"{{"action":"announce","info_hash":"{hash}","peer_id":7}}"#);
    world.tell(Input::Received(conn(1), &text));
    let refused = ServerMessage::Error {
        action: Action::Announce,
        info_hash: Some(SWARM),
        reason: "peer_id must be a string of 20 bytes".into(),
    };
    assert_eq!(world.take(), [(conn(1), refused)]);
    for text in ["", "[]", "{}", "7", r#"{"action":"x"}"#] {
        world.tell(Input::Received(conn(1), text));
    }
    assert_eq!(world.errors().len(), 5);
    for _ in 0..100 {
        world.tell(Input::Received(conn(1), "{"));
    }
    assert_eq!(world.closed, [conn(1)]);
    assert_eq!(world.tracker.stats().connections, 0);
}

#[test]
fn swarms_have_a_limit_a_connection_and_in_all() {
    let mut world = World::with(ServerConfig {
        max_swarms: 300,
        ..ServerConfig::default()
    });
    let hash = |n: u32| SwarmHash(peer(n).0);
    for from in 0..2 {
        world.tell(Input::Connected(conn(from)));
        for n in 0..260 - 160 * from {
            let info_hash = hash(from * 1000 + n);
            world.announce(
                Announce {
                    info_hash,
                    ..announce(from, Some(1), 0)
                },
                from,
            );
        }
    }
    assert_eq!(world.tracker.stats().swarms, 300);
    let errors = world.errors();
    assert_eq!(
        errors
            .iter()
            .filter(|(_, reason)| reason.contains("256 swarms"))
            .count(),
        4
    );
    assert_eq!(
        errors
            .iter()
            .filter(|(_, reason)| reason.contains("full"))
            .count(),
        56
    );
    world.tell(Input::Closed(conn(0)));
    world.tell(Input::Closed(conn(1)));
    assert_eq!(
        (world.tracker.stats().swarms, world.tracker.stats().peers),
        (0, 0)
    );
}

#[test]
fn a_flood_of_offers_reaches_one_victim_a_few_times() {
    let mut world = World::new();
    world.join(1, Some(0), 0);
    world.join(2, Some(9), 0);
    world.take();
    for round in 0..600 {
        world.now += Duration::from_millis(100);
        world.announce(announce(2, Some(9), 10), 2);
        let _ = round;
    }
    assert!(world.offers().len() <= 20, "in one minute");
}

#[test]
fn arbitrary_inputs_never_panic_and_everything_is_given_back() {
    for seed in 0..20 {
        let mut rng = Rng::seeded(seed);
        let mut world = World::with(ServerConfig {
            max_swarms: 5,
            ..ServerConfig::default()
        });
        let mut last = Vec::new();
        for _ in 0..3000 {
            let (from, id) = (rng.below(12), rng.below(12));
            world.now += Duration::from_millis(u64::from(rng.below(5000)));
            match rng.below(8) {
                0 => world.tell(Input::Connected(conn(from))),
                1 => world.tell(Input::Closed(conn(from))),
                2 => world.tell(Input::Received(conn(from), "{}")),
                3 => {
                    if let Some((to, by, offer)) = last.pop() {
                        let ConnKey(to) = to;
                        world.answer(to as u32, by, offer);
                    }
                }
                _ => {
                    let left = rng.chance(1, 2).then_some(u64::from(rng.below(2)));
                    let event = [
                        None,
                        Some(AnnounceEvent::Completed),
                        Some(AnnounceEvent::Stopped),
                    ][rng.below(3) as usize];
                    let info_hash = SwarmHash([rng.below(7) as u8; 20]);
                    let offers = rng.below(11) as usize;
                    world.announce(
                        Announce {
                            info_hash,
                            event,
                            ..announce(id, left, offers)
                        },
                        from,
                    );
                }
            }
            last = world.offers();
            let counted: u64 = world.tracker.swarms.values().map(Swarm::len).sum();
            assert_eq!(counted, world.tracker.stats().peers);
        }
        for n in 0..12 {
            world.tell(Input::Closed(conn(n)));
        }
        let stats = world.tracker.stats();
        assert_eq!((stats.connections, stats.swarms, stats.peers), (0, 0, 0));
    }
}
