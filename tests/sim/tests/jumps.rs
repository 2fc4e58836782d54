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

/// A page that plays a film as Chromium does: a look at the head, one at what follows the frames, and
/// then from the head on; beside it, all is read. When a second can be played, and when all is there,
/// in seconds. A slow seeder comes so many milliseconds before the fast one, or there is none.
fn beside(film: &Film, slow: Option<u64>) -> (f64, f64) {
    let fast = Link {
        up: 20_000_000,
        ..HELD
    };
    let mut sim = Sim::seeded(1).forgetful();
    let viewer = sim.viewer_with(
        film,
        Link {
            down: 40_000_000,
            ..fast
        },
        |config| {
            config.window_bytes = 64 * MIB;
        },
    );
    let player = Player::of_rate(500_000);
    let head = sim.play(viewer, 0, 0..film.length(), player);
    if let Some(before) = slow {
        let thin = sim.seeder(film, Link { up: 50_000, ..HELD });
        sim.connect(viewer, thin);
        sim.run_until(Instant::from_micros(before * 1000));
    }
    let (begun, fast) = (sim.now(), sim.seeder(film, fast));
    sim.connect(viewer, fast);
    let limit = begun + Duration::from_secs(60);
    let look = |sim: &mut Sim, reader| {
        sim.run_while(limit, |sim| {
            sim.node(viewer).watches[&reader].had() < 32 * 1024
        });
        sim.stop(viewer, reader);
    };
    look(&mut sim, head);
    let after = sim.play(viewer, 0, 5 * 256 * 1024..film.length(), player);
    look(&mut sim, after);
    let played = sim.play(viewer, 0, 64 * 1024..film.length(), player);
    let begins = |sim: &Sim| {
        let playing = sim.node(viewer).watches[&played].playing.as_ref();
        playing.is_some_and(|playing| playing.startup.is_some())
    };
    sim.run_while(limit, |sim| !begins(sim));
    let shown = sim.now();
    let all = sim.watch_all(viewer);
    sim.run_while(limit, |sim| sim.node(viewer).watches[&all].ended.is_none());
    let secs = |at: Instant| at.since(begun).as_secs_f64();
    (secs(shown), secs(sim.now()))
}

#[test]
fn a_slow_seeder_beside_a_fast_one_is_not_waited_for() {
    for version in [Version::V1, Version::V2] {
        let film = Film::zeros(version, 256 * 1024, 256);
        let (shown, all) = beside(&film, None);
        for before in [0, 30, 60] {
            let (beside, all_beside) = beside(&film, Some(before));
            let case = format!(
                "{version:?}, {before} ms: {beside} s, alone {shown}; {all_beside} s, alone {all}"
            );
            // Who was there first is asked first, and until the other has shown what it can.
            let waits = if before > 0 { 0.2 } else { 0.02 };
            assert!(beside <= shown + waits, "{case}");
            assert!(all_beside <= all * 1.05, "{case}");
        }
    }
}
