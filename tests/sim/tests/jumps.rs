//! A player that jumps: what it had asked for before does not stand in the way of what it wants now.

use headwater_core::metainfo::create::Version;
use headwater_core::time::{Duration, Instant};
use headwater_sim::{Film, Link, Player, Sim};

const MIB: u64 = 1 << 20;
/// A seeder that is held to 8 MB/s, ten milliseconds away.
const HELD: Link = Link {
    up: 8_000_000,
    delay: Duration::from_millis(5),
    jitter: Duration::ZERO,
    ..Link::FAST
};

/// Reads from the start and jumps after so many milliseconds: how long the first byte takes then.
fn jumped(film: &Film, after: u64, to: u64) -> Duration {
    let mut sim = Sim::seeded(1).forgetful();
    let seeder = sim.seeder(film, HELD);
    let viewer = sim.viewer_with(film, Link::FAST, |config| config.window_bytes = 64 * MIB);
    sim.connect(viewer, seeder);
    let player = Player::of_rate(500_000);
    let first = sim.play(viewer, 0, 0..film.length(), player);
    let at = Instant::from_micros(after * 1000);
    sim.run_until(at);
    sim.stop(viewer, first);
    let next = sim.play(viewer, 0, to..film.length(), player);
    let came = |sim: &Sim| sim.node(viewer).watches[&next].first_byte;
    sim.run_while(at + Duration::from_secs(5), |sim| came(sim).is_none());
    came(&sim).map_or(Duration::MAX, |came| came.since(at))
}

#[test]
fn a_block_that_was_taken_back_and_asked_for_again_is_not_taken_for_refused() {
    // Chromium reads the head of a film and looks at what follows its frames, some pieces on: those
    // have been asked for when it lets go of the first reader, and are again at once.
    for version in [Version::V1, Version::V2] {
        let film = Film::zeros(version, 256 * 1024, 80);
        for after in [60, 100, 140, 180] {
            let took = jumped(&film, after, 5 * 256 * 1024 + 1000);
            assert!(
                took < Duration::from_millis(300),
                "{version:?}, {after} ms: {took:?}"
            );
        }
    }
}
