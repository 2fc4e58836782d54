//! Two or three who watch together, and one whom the others cannot reach.

use headwater_core::metainfo::create::Version;
use headwater_core::time::Duration;
use headwater_sim::{Film, Link, NodeId, Player, Report, Sim, secs};

const VIEWER: Link = Link {
    up: 2_500_000,
    down: 12_500_000,
    delay: Duration::from_micros(2500),
    jitter: Duration::from_millis(2),
    ..Link::FAST
};
/// Bytes a second at which the film is played.
const RATE: u64 = 600_000;

/// So many players who begin together at a seed with this uplink.
fn players(version: Version, count: usize, up: u64, seed: u64) -> Report {
    let film = Film::zeros(version, 256 * 1024, 120);
    let mut sim = Sim::seeded(seed).forgetful();
    let seeder = sim.seeder(&film, Link { up, ..VIEWER });
    let mut playing: Vec<(NodeId, _)> = Vec::new();
    for _ in 0..count {
        let viewer = sim.viewer(&film, VIEWER);
        sim.connect(viewer, seeder);
        for (other, _) in &playing {
            sim.connect(viewer, *other);
        }
        let reader = sim.play(viewer, 0, 0..film.length(), Player::of_rate(RATE));
        playing.push((viewer, reader));
    }
    sim.run_while(secs(200), |sim| {
        let is_over =
            |(node, reader): &(NodeId, _)| sim.node(*node).watches[reader].is_over(sim.now());
        !playing.iter().all(is_over)
    });
    Report::of(&sim, film.length(), &playing)
}

#[test]
fn two_or_three_who_watch_together_cost_a_seed_little_more_than_one() {
    for version in [Version::V1, Version::V2] {
        for (count, up) in [(2, RATE * 5 / 3), (3, RATE * 5 / 3), (3, RATE * 8)] {
            for report in (0..3).map(|seed| players(version, count, up, seed)) {
                let case = format!("{version:?}, {count} at {up}: {report:?}");
                assert!(report.stalled < 0.5, "{case}");
                // Of three who pass on whole pieces two may be far ahead of the third.
                let is_far = (version, count, up) == (Version::V1, 3, RATE * 8);
                let most = if is_far { 1.8 } else { 1.1 };
                assert!(report.seed_copies < most, "{case}");
                assert!(report.startup < 4.0, "{case}");
            }
        }
    }
}

/// How long a player waits for its first picture, and how long it stood, whom six who fetch as fast as
/// they can cannot reach, at a seed with one uplink of theirs.
fn unreached(seed: u64) -> (f64, f64) {
    let film = Film::zeros(Version::V2, 256 * 1024, 200);
    let mut sim = Sim::seeded(seed).forgetful();
    let seeder = sim.seeder(&film, VIEWER);
    let mut crowd: Vec<NodeId> = Vec::new();
    for _ in 0..6 {
        let viewer = sim.viewer(&film, VIEWER);
        sim.connect(viewer, seeder);
        for other in &crowd {
            sim.connect(viewer, *other);
        }
        sim.watch_all(viewer);
        crowd.push(viewer);
    }
    let alone = sim.viewer(&film, VIEWER);
    sim.connect(alone, seeder);
    let reader = sim.play(alone, 0, 0..film.length(), Player::of_rate(RATE));
    sim.run_while(secs(200), |sim| {
        !sim.node(alone).watches[&reader].is_over(sim.now())
    });
    let report = Report::of(&sim, film.length(), &[(alone, reader)]);
    (report.startup, report.stalled)
}

#[test]
fn who_knows_nobody_but_the_seed_is_not_told_to_ask_others() {
    for seed in 0..4 {
        let (startup, stalled) = unreached(seed);
        assert!(startup < 5.0 && stalled < 2.0, "{startup} s, {stalled} s");
    }
}
