//! How far ahead of a player is fetched, and how much is kept behind it.

use headwater_core::swarm::Stats;
use headwater_sim::{Film, Link, NodeId, Player, Sim, UP, VIEWER, film_of, secs};

const MIB: u64 = 1 << 20;

/// A film of 200 MiB.
fn film() -> &'static Film {
    film_of(800, 256 * 1024)
}

/// A page of 64 MiB that plays from one seeder with this uplink, as it is after so many seconds.
fn played(rate: u64, up: u64, after: u64) -> (Stats, u64) {
    let mut sim = Sim::seeded(5).forgetful();
    let seeder = sim.seeder(film(), Link { up, ..VIEWER });
    let line = Link {
        down: 40 * UP,
        ..VIEWER
    };
    let viewer = sim.viewer_with(film(), line, |config| config.window_bytes = 64 * MIB);
    sim.connect(viewer, seeder);
    let reader = sim.play(viewer, 0, 0..film().length(), Player::of_rate(rate));
    sim.run_until(secs(after));
    let had = sim.node(viewer).watches[&reader].had();
    (sim.node(viewer).swarm.stats(sim.now()), had)
}

#[test]
fn beside_a_fast_source_half_a_minute_lies_ahead_and_not_all_that_fits() {
    let (stats, had) = played(600_000, 20 * UP, 30);
    let ahead = stats.verified - had;
    assert!(stats.ahead_cap < 22 * MIB, "{}", stats.ahead_cap);
    assert!((15 * MIB..=stats.ahead_cap).contains(&ahead), "{ahead}");
}

#[test]
fn beside_a_slow_source_all_that_fits_is_fetched_ahead() {
    let (stats, _) = played(600_000, 400_000, 40);
    assert_eq!(stats.ahead_cap, 48 * MIB);
}

/// The pace of the films below.
const RATE: u64 = 600_000;
/// A viewer's line on which everything comes in time.
const LINE: Link = Link {
    up: 20 * UP,
    down: 40 * UP,
    ..VIEWER
};

/// Somebody who comes now and plays the film from its start, from those who are there.
fn comes(sim: &mut Sim, from: &[NodeId], upload: bool) -> NodeId {
    let viewer = sim.viewer_with(film(), LINE, |config| {
        config.window_bytes = 64 * MIB;
        config.upload = upload;
    });
    for other in from {
        sim.connect(viewer, *other);
    }
    sim.play(viewer, 0, 0..film().length(), Player::of_rate(RATE));
    viewer
}

fn held(sim: &Sim, viewer: NodeId) -> u64 {
    sim.node(viewer).swarm.stats(sim.now()).window_used
}

#[test]
fn a_lone_viewer_keeps_as_much_behind_as_it_may_go_back_to() {
    let mut sim = Sim::seeded(6).forgetful();
    let seeder = sim.seeder(film(), LINE);
    let viewer = comes(&mut sim, &[seeder], true);
    sim.run_until(secs(8));
    assert!(held(&sim, viewer) <= 8 * MIB, "{}", held(&sim, viewer));
    sim.run_until(secs(120));
    let stats = sim.node(viewer).swarm.stats(sim.now());
    assert!(stats.window_used > stats.ahead_cap, "something is behind");
    assert!(stats.window_peak <= stats.ahead_cap / 3 * 4, "{stats:?}");
    assert!(stats.window_peak < 24 * MIB, "{}", stats.window_peak);
}

#[test]
fn what_was_played_is_kept_for_others_once_they_are_there_and_until_a_minute_after_they_left() {
    let mut sim = Sim::seeded(7).forgetful();
    let seeder = sim.seeder(film(), LINE);
    let first = comes(&mut sim, &[seeder], true);
    sim.run_until(secs(30));
    assert!(held(&sim, first) < 24 * MIB, "{}", held(&sim, first));
    let second = comes(&mut sim, &[seeder, first], true);
    sim.run_until(secs(120));
    assert!(held(&sim, first) > 60 * MIB, "{}", held(&sim, first));
    sim.leave(second);
    sim.run_until(secs(170));
    assert!(held(&sim, first) > 60 * MIB, "{}", held(&sim, first));
    sim.run_until(secs(190));
    assert!(held(&sim, first) < 24 * MIB, "{}", held(&sim, first));
}

#[test]
fn a_later_viewer_costs_the_seed_what_lies_between_them_once() {
    let mut sim = Sim::seeded(8).forgetful();
    let seeder = sim.seeder(film(), LINE);
    let first = comes(&mut sim, &[seeder], true);
    sim.run_until(secs(30));
    let watch = sim.node(first).watches.values().next();
    let between = watch.map_or(0, |watch| watch.had());
    comes(&mut sim, &[seeder, first], true);
    sim.run_until(secs(420));
    let twice = sim.node(seeder).swarm.stats(sim.now()).sent - film().length();
    assert!(twice <= between, "{twice} of {between}");
    let given = sim.node(first).swarm.stats(sim.now()).sent;
    assert!(given + twice >= film().length(), "{given}");
}

#[test]
fn who_gives_nothing_keeps_little_in_company_too() {
    let mut sim = Sim::seeded(9).forgetful();
    let seeder = sim.seeder(film(), LINE);
    let first = comes(&mut sim, &[seeder], false);
    comes(&mut sim, &[seeder, first], true);
    sim.run_until(secs(120));
    assert!(held(&sim, first) < 24 * MIB, "{}", held(&sim, first));
}
