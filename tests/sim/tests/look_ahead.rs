//! How far ahead of a player is fetched.

use headwater_core::swarm::Stats;
use headwater_sim::{Film, Link, Player, Sim, UP, VIEWER, film_of, secs};

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
