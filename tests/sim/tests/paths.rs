//! The way to a peer changes while it gives.

use headwater_core::time::Duration;
use headwater_sim::{Film, Link, NodeId, Sim, film_of, secs};

const MIB: u64 = 1 << 20;
/// Bytes a second of the seeder's uplink.
const UP: u64 = 5_000_000;

fn film() -> &'static Film {
    film_of(700, 512 * 1024)
}

/// A seeder's or a viewer's connection to the middle of the network, with this round trip.
fn link(up: u64, millis: u64) -> Link {
    Link {
        up,
        down: 100 * UP,
        delay: Duration::from_micros(millis * 500),
        jitter: Duration::from_micros(300),
        ..Link::FAST
    }
}

fn viewer(sim: &mut Sim) -> NodeId {
    let viewer = sim.viewer_with(film(), link(UP / 2, 1), |config| {
        config.window_bytes = 64 * MIB;
    });
    sim.watch_all(viewer);
    viewer
}

/// Bytes that a viewer has had.
fn had(sim: &Sim, viewer: NodeId) -> u64 {
    sim.node(viewer).swarm.stats(sim.now()).verified
}

/// Bytes a second that one viewer had from one seeder, to which the round trip was `from` ms for ten
/// seconds, and has been `to` ms for six.
fn rate_after(from: u64, to: u64) -> u64 {
    let mut sim = Sim::seeded(1).forgetful();
    let seeder = sim.seeder(film(), link(UP, from));
    let viewer = viewer(&mut sim);
    sim.connect(viewer, seeder);
    sim.run_until(secs(10));
    sim.relink(seeder, link(UP, to));
    sim.run_until(secs(16));
    let before = had(&sim, viewer);
    sim.run_until(secs(26));
    (had(&sim, viewer) - before) / 10
}

#[test]
fn a_path_that_becomes_longer_is_noticed_and_filled() {
    for (from, to) in [(5, 15), (5, 45), (20, 60), (50, 100), (5, 200)] {
        let rate = rate_after(from, to);
        assert!(rate > UP * 9 / 10, "{from} to {to} ms: {rate} B/s");
    }
}

#[test]
fn who_moves_away_from_a_crowd_is_not_starved_by_it() {
    for millis in [50, 100, 300] {
        let mut sim = Sim::seeded(1).forgetful();
        let seeder = sim.seeder(film(), link(UP, 10));
        let (stays, moves) = (viewer(&mut sim), viewer(&mut sim));
        for viewer in [stays, moves] {
            sim.connect(viewer, seeder);
        }
        sim.connect(stays, moves);
        sim.run_until(secs(10));
        sim.relink(moves, link(UP / 2, millis));
        sim.run_until(secs(40));
        let before = had(&sim, moves);
        sim.run_until(secs(70));
        let rate = (had(&sim, moves) - before) / 30;
        assert!(rate > UP * 2 / 5, "{millis} ms: {rate} B/s");
    }
}
