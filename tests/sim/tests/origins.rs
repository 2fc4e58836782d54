//! Back to source: a web server behind the swarm, alone, in a crowd, and when it is no good.

use headwater_core::metainfo::create::Version;
use headwater_core::swarm::Event;
use headwater_core::time::Duration;
use headwater_sim::{
    Film, Link, Mood, NodeId, OriginNumber, Player, Report, Sim, UP, VIEWER, film_of, secs,
};

const FAR: Duration = Duration::from_millis(20);
const CROWD: u64 = 20;

fn told(sim: &mut Sim, film: &Film, origin: OriginNumber, link: Link) -> NodeId {
    let viewer = sim.viewer(film, link);
    sim.tell_of(viewer, origin);
    viewer
}

/// Seconds from the first reader to the end.
fn took(sim: &Sim) -> f64 {
    sim.now().since(sim.started()).as_micros() as f64 / 1e6
}

#[test]
fn alone_an_origin_is_as_good_as_a_download() {
    let film = film_of(160, 256 * 1024);
    for megabits in [8, 40, 200] {
        let mut sim = Sim::seeded(1).forgetful();
        let rate = megabits * 125_000;
        let origin = sim.origin(film, rate, FAR, Mood::Honest);
        let line = Link {
            down: 4 * rate,
            ..Link::FAST
        };
        let viewer = told(&mut sim, film, origin, line);
        sim.watch_all(viewer);
        sim.run_to_end(secs(120));
        let plain = film.length() as f64 / rate as f64 + 4.0 * 0.02;
        let ratio = took(&sim) / plain;
        println!("alone at {megabits} Mbit/s: {ratio:.3} of a download");
        assert!(ratio <= 1.05, "{megabits} Mbit/s: {ratio}");
        assert_eq!(sim.sent_by(origin), film.length());
    }
}

/// What a crowd did with an origin.
#[derive(Debug)]
struct Crowded {
    /// The origin's share of all bytes.
    share: f64,
    stalled: f64,
    startup: f64,
    last: f64,
}

/// Twenty come in the same moment to a film that nobody has but an origin of this rate.
fn crowd_in_step(seed: u64, rate: u64, player: Option<Player>) -> Crowded {
    let film = film_of(120, 256 * 1024);
    let mut sim = Sim::seeded(seed).forgetful();
    let origin = sim.origin(film, rate, FAR, Mood::Honest);
    let mut viewers = Vec::new();
    for _ in 0..CROWD {
        let viewer = told(&mut sim, film, origin, VIEWER);
        // As `headwater get` does.
        sim.join(viewer, 8);
        let reader = match player {
            Some(player) => sim.play(viewer, 0, 0..film.length(), player),
            None => sim.watch(viewer, 0, 0..film.length()),
        };
        viewers.push((viewer, reader));
    }
    assert!(
        sim.run_until_ended(secs(600)),
        "seed {seed}: not all have ended"
    );
    let report = Report::of(&sim, film.length(), &viewers);
    let crowded = Crowded {
        share: sim.sent_by(origin) as f64 / (CROWD * film.length()) as f64,
        stalled: report.stalled,
        startup: report.startup,
        last: report.last,
    };
    println!("seed {seed}, origin {rate}: {crowded:.3?}");
    crowded
}

#[test]
fn a_crowd_in_step_goes_on_without_most_of_a_thin_origin() {
    for seed in 0..1 {
        let thin = 4 * UP;
        let read = crowd_in_step(seed, thin, None);
        // Alone each would have a twentieth of the origin.
        let alone = 120.0 * 262_144.0 * CROWD as f64 / thin as f64;
        assert!(read.share <= 0.25, "{read:?}");
        assert!(read.last <= alone / 3.0, "{read:?}, {alone} s alone");
        let played = crowd_in_step(seed, thin, Some(Player::of_rate(UP / 2)));
        assert!(played.share <= 0.15, "{played:?}");
    }
}

#[test]
fn a_crowd_with_a_fat_origin_never_stalls() {
    for seed in 0..1 {
        let played = crowd_in_step(seed, 80 * UP, Some(Player::of_rate(UP / 2)));
        assert!(played.stalled <= 0.5 && played.startup <= 1.0, "{played:?}");
        assert!(played.share <= 0.40, "{played:?}");
    }
}

#[test]
fn beside_a_fast_seed_an_origin_is_hardly_asked() {
    let film = film_of(64, 256 * 1024);
    let mut sim = Sim::seeded(3);
    let origin = sim.origin(film, UP, FAR, Mood::Honest);
    let seeder = sim.seeder(
        film,
        Link {
            up: 8 * UP,
            ..Link::HOME
        },
    );
    let viewer = told(
        &mut sim,
        film,
        origin,
        Link {
            down: 8 * UP,
            ..Link::HOME
        },
    );
    sim.connect(viewer, seeder);
    let reader = sim.watch_all(viewer);
    sim.run_to_end(secs(60));
    assert_eq!(sim.node(viewer).read(reader), &film.files[0][..]);
    let share = sim.sent_by(origin) as f64 / film.length() as f64;
    assert!(share <= 0.25, "{share}");
}

#[test]
fn beside_a_slow_seed_an_origin_is_as_good_as_alone() {
    let film = film_of(64, 256 * 1024);
    let mut sim = Sim::seeded(4).forgetful();
    let origin = sim.origin(film, 4 * UP, FAR, Mood::Honest);
    let seeder = sim.seeder(
        film,
        Link {
            up: UP / 10,
            ..Link::HOME
        },
    );
    let viewer = told(
        &mut sim,
        film,
        origin,
        Link {
            down: 8 * UP,
            ..Link::HOME
        },
    );
    sim.connect(viewer, seeder);
    sim.watch_all(viewer);
    sim.run_to_end(secs(120));
    let alone = film.length() as f64 / (4 * UP) as f64;
    assert!(
        took(&sim) <= alone * 1.1,
        "{} s, {alone} s alone",
        took(&sim)
    );
}

#[test]
fn what_is_kept_comes_from_an_origin_too() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        let files = [
            ("a.mp4", 300_001),
            ("c.mp4", 99_999),
            ("empty", 0),
            ("d", 70_000),
        ];
        let film = Film::folder(version, 64 * 1024, &files);
        let mut sim = Sim::seeded(5);
        let origin = sim.origin(&film, 4 * UP, FAR, Mood::Honest);
        let viewer = told(&mut sim, &film, origin, Link::HOME);
        sim.keep(viewer, |_| true);
        sim.run_until(secs(10));
        let node = sim.node(viewer);
        assert!(node.events.contains(&Event::Kept), "{version:?}");
        for (piece, bytes) in &node.kept {
            assert_eq!(
                &film.piece(*piece)[..bytes.len()],
                &bytes[..],
                "{version:?}"
            );
        }
    }
}

#[test]
fn a_lying_origin_is_named_and_left_and_harms_nothing() {
    let film = film_of(16, 256 * 1024);
    let mut sim = Sim::seeded(6);
    let liar = sim.origin(film, 8 * UP, FAR, Mood::Lies);
    let honest = sim.origin(film, UP, FAR, Mood::Honest);
    let viewer = told(&mut sim, film, liar, Link::HOME);
    sim.tell_of(viewer, honest);
    let reader = sim.watch_all(viewer);
    sim.run_to_end(secs(60));
    let node = sim.node(viewer);
    assert_eq!(node.read(reader), &film.files[0][..]);
    let is_named = |event: &Event| matches!(event, Event::OriginFailed { url, .. } if url.contains("0.origin"));
    assert!(node.events.iter().any(is_named));
    assert!(sim.sent_by(liar) <= film.length() * 2);
}

#[test]
fn an_origin_that_stalls_or_refuses_is_left_to_the_peers() {
    let film = film_of(64, 256 * 1024);
    for mood in [Mood::StallsAfter(1 << 20), Mood::Refuses] {
        let mut sim = Sim::seeded(7);
        let origin = sim.origin(film, 8 * UP, FAR, mood);
        let seeder = sim.seeder(
            film,
            Link {
                up: UP,
                ..Link::HOME
            },
        );
        let viewer = told(&mut sim, film, origin, Link::HOME);
        sim.connect(viewer, seeder);
        let reader = sim.watch_all(viewer);
        sim.run_to_end(secs(60));
        let node = sim.node(viewer);
        assert_eq!(node.read(reader), &film.files[0][..]);
        let plain = film.length() as f64 / UP as f64;
        assert!(
            took(&sim) <= plain * 1.2 + 3.0,
            "{mood:?}: {} s",
            took(&sim)
        );
    }
}

#[test]
fn a_seek_takes_back_what_was_asked_of_the_origin() {
    let film = film_of(256, 256 * 1024);
    let mut sim = Sim::seeded(8);
    let origin = sim.origin(film, UP, FAR, Mood::Honest);
    let viewer = told(&mut sim, film, origin, Link::HOME);
    let first = sim.watch_all(viewer);
    sim.run_until(secs(5));
    sim.stop(viewer, first);
    let length = film.length();
    let second = sim.watch(viewer, 0, length - (1 << 20)..length);
    sim.run_to_end(secs(8));
    let tail = &film.files[0][(length - (1 << 20)) as usize..];
    assert_eq!(sim.node(viewer).read(second), tail);
}
