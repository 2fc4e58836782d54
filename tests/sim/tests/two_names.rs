//! Peers that meet more than once, and answers that come late.

use headwater_core::metainfo::create::Version;
use headwater_core::swarm::Event;
use headwater_core::time::Duration;
use headwater_sim::{Film, Link, Sim, secs};

#[test]
fn two_peers_that_call_each_other_keep_one_connection() {
    let film = Film::single(Version::Hybrid, 64 * 1024, 1 << 20);
    for seed in 0..20 {
        let mut sim = Sim::seeded(seed);
        let seeder = sim.seeder(
            &film,
            Link {
                delay: Duration::from_millis(seed),
                ..Link::HOME
            },
        );
        let viewer = sim.viewer(&film, Link::HOME);
        sim.connect(viewer, seeder);
        sim.run_until(headwater_core::time::Instant::from_micros(seed * 4000));
        sim.connect(seeder, viewer);
        sim.run_until(secs(2));
        for node in [seeder, viewer] {
            assert_eq!(
                sim.node(node).swarm.stats(sim.now()).peers,
                1,
                "seed {seed}"
            );
        }
        let reader = sim.watch_all(viewer);
        sim.run_to_end(secs(20));
        assert!(sim.node(viewer).read(reader) == film.files[0]);
    }
}

#[test]
fn hashes_that_come_late_are_no_crime() {
    let film = Film::single(Version::V2, 256 * 1024, 2 << 20);
    let mut sim = Sim::seeded(1);
    let slow = sim.seeder(
        &film,
        Link {
            up: 20_000,
            delay: Duration::from_secs(2),
            ..Link::HOME
        },
    );
    let other = sim.seeder(
        &film,
        Link {
            up: 60_000,
            ..Link::HOME
        },
    );
    let viewer = sim.viewer(&film, Link::HOME);
    sim.connect(viewer, slow);
    sim.connect(viewer, other);
    let reader = sim.watch_all(viewer);
    sim.run_to_end(secs(200));
    let node = sim.node(viewer);
    assert!(node.read(reader) == film.files[0]);
    let faults: Vec<&Event> = node
        .events
        .iter()
        .filter(|event| matches!(event, Event::PeerClosed { fault: Some(_), .. }))
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
}
