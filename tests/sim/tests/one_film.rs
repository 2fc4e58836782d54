//! One film, a few peers: what a viewer may rely on.

use headwater_core::metainfo::create::Version;
use headwater_core::swarm::Event;
use headwater_sim::{Film, Link, Sim, secs};

const VERSIONS: [Version; 3] = [Version::V1, Version::V2, Version::Hybrid];
const MIB: usize = 1 << 20;

#[test]
fn a_viewer_gets_the_film_whole_and_in_order() {
    for version in VERSIONS {
        let film = Film::single(version, 256 * 1024, 10 * MIB + 12_345);
        let mut sim = Sim::seeded(1);
        let seeder = sim.seeder(&film, Link::FAST);
        let viewer = sim.viewer(&film, Link::FAST);
        sim.connect(viewer, seeder);
        let reader = sim.watch_all(viewer);
        sim.run_to_end(secs(10));
        assert!(
            sim.node(viewer).read(reader) == film.files[0],
            "{version:?}"
        );
        let stats = sim.node(viewer).swarm.stats(sim.now());
        assert_eq!((stats.refused, stats.wasted), (0, 0), "{version:?}");
        assert_eq!(stats.verified, film.files[0].len() as u64, "{version:?}");
    }
}

#[test]
fn every_file_of_a_folder_reads_back_padding_and_all() {
    let sizes = [
        ("a", 0),
        ("b", 1),
        ("c", 16_383),
        ("d", 16_384),
        ("e", 16_385),
        ("f", 65_537),
        ("g", 300_000),
    ];
    for version in VERSIONS {
        let film = Film::folder(version, 32 * 1024, &sizes);
        let mut sim = Sim::seeded(2);
        let seeder = sim.seeder(&film, Link::FAST);
        let viewer = sim.viewer(&film, Link::FAST);
        sim.connect(viewer, seeder);
        let files: Vec<(u32, u64)> = film
            .metainfo
            .layout()
            .content_files()
            .map(|(index, file)| (index.get(), file.length))
            .collect();
        for (file, length) in files {
            let reader = sim.watch(viewer, file, 0..length);
            let limit = sim.now() + std::time::Duration::from_secs(5);
            sim.run_to_end(limit);
            assert!(
                sim.node(viewer).read(reader) == film.files[file as usize],
                "{version:?} file {file}"
            );
        }
    }
}

#[test]
fn a_magnet_link_is_enough() {
    for version in VERSIONS {
        let film = Film::single(version, 32 * 1024, 3 * MIB + 1);
        let mut sim = Sim::seeded(3);
        let seeder = sim.seeder(&film, Link::HOME);
        let viewer = sim.viewer_by_magnet(&film, Link::HOME);
        sim.connect(viewer, seeder);
        sim.run_while(secs(5), |sim| sim.node(viewer).swarm.metainfo().is_none());
        assert!(
            sim.node(viewer).events.contains(&Event::Metadata),
            "{version:?}"
        );
        let reader = sim.watch_all(viewer);
        sim.run_to_end(secs(20));
        assert!(
            sim.node(viewer).read(reader) == film.files[0],
            "{version:?}"
        );
    }
}

#[test]
fn memory_stays_at_the_number_that_was_set() {
    for version in VERSIONS {
        let film = Film::single(version, 64 * 1024, 24 * MIB);
        let mut sim = Sim::seeded(4);
        let seeder = sim.seeder(&film, Link::FAST);
        let viewer = sim.viewer_with(&film, Link::FAST, |config| config.window_bytes = 2 << 20);
        sim.connect(viewer, seeder);
        let reader = sim.watch_all(viewer);
        let mut most = 0;
        sim.run_while(secs(30), |sim| {
            let stats = sim.node(viewer).swarm.stats(sim.now());
            most = most.max(stats.window_used);
            assert!(stats.window_used <= 2 << 20);
            sim.node(viewer).watches[&reader].ended.is_none()
        });
        assert!(
            sim.node(viewer).read(reader) == film.files[0],
            "{version:?}"
        );
        assert!(most > 1 << 20, "the window was used: {most}");
    }
}

#[test]
fn a_paused_reader_stops_the_fetching_within_the_window() {
    let film = Film::single(Version::V2, 64 * 1024, 40 * MIB);
    let mut sim = Sim::seeded(5);
    let seeder = sim.seeder(&film, Link::FAST);
    let viewer = sim.viewer_with(&film, Link::FAST, |config| config.window_bytes = 8 << 20);
    sim.connect(viewer, seeder);
    let reader = sim.watch_all(viewer);
    sim.run_while(secs(30), |sim| {
        sim.node(viewer).read(reader).len() < 4 * MIB
    });
    sim.pause(viewer, reader, true);
    sim.run_until(sim.now() + std::time::Duration::from_secs(20));
    let had = sim.node(viewer).read(reader).len() as u64;
    let fetched = sim.node(viewer).swarm.stats(sim.now()).received;
    assert!(fetched - had <= 6 << 20, "{} ahead", fetched - had);
    assert!(
        fetched - had > 5 << 20,
        "the look-ahead was filled: {}",
        fetched - had
    );
    sim.pause(viewer, reader, false);
    sim.run_to_end(secs(60));
    assert!(sim.node(viewer).read(reader) == film.files[0]);
}

#[test]
fn a_seek_wastes_no_more_than_the_window() {
    let film = Film::single(Version::Hybrid, 64 * 1024, 40 * MIB);
    let length = film.files[0].len() as u64;
    let mut sim = Sim::seeded(6);
    let seeder = sim.seeder(&film, Link::HOME);
    let viewer = sim.viewer_with(&film, Link::HOME, |config| config.window_bytes = 4 << 20);
    sim.connect(viewer, seeder);
    let reader = sim.watch_all(viewer);
    sim.run_until(secs(2));
    let read = sim.node(viewer).read(reader).len() as u64;
    sim.stop(viewer, reader);
    let start = length / 4 * 3;
    let sought = sim.now();
    let reader = sim.watch(viewer, 0, start..length);
    assert_eq!(sim.node(viewer).swarm.played_percent(), Some(75));
    sim.run_to_end(secs(60));
    assert!(*sim.node(viewer).read(reader) == film.files[0][start as usize..]);
    let stats = sim.node(viewer).swarm.stats(sim.now());
    assert!(stats.received <= read + (length - start) + (4 << 20));
    let wait = sim.node(viewer).watches[&reader]
        .first_byte
        .expect("a first byte")
        - sought;
    assert!(wait.as_millis() < 700, "the seek took {wait:?}");
}

#[test]
fn a_second_viewer_gets_pieces_from_the_first_and_goes_on_without_the_seeder() {
    for version in VERSIONS {
        let film = Film::single(version, 64 * 1024, 8 * MIB);
        let mut sim = Sim::seeded(7);
        let seeder = sim.seeder(&film, Link::FAST);
        let first = sim.viewer(&film, Link::FAST);
        let second = sim.viewer(&film, Link::FAST);
        sim.connect(first, seeder);
        let reader = sim.watch_all(first);
        sim.run_to_end(secs(20));
        assert_eq!(sim.node(first).read(reader).len(), 8 * MIB);
        sim.leave(seeder);
        sim.connect(second, first);
        let reader = sim.watch_all(second);
        sim.run_to_end(secs(40));
        assert!(
            sim.node(second).read(reader) == film.files[0],
            "{version:?}"
        );
        assert_eq!(
            sim.node(first).swarm.stats(sim.now()).sent as usize / MIB,
            8
        );
    }
}

#[test]
fn evicted_pieces_are_retracted_and_nobody_waits_for_them() {
    let film = Film::single(Version::Hybrid, 64 * 1024, 16 * MIB);
    let mut sim = Sim::seeded(8);
    let seeder = sim.seeder(&film, Link::HOME);
    let first = sim.viewer_with(&film, Link::FAST, |config| config.window_bytes = 2 << 20);
    let second = sim.viewer_with(&film, Link::FAST, |config| config.window_bytes = 2 << 20);
    sim.connect(first, seeder);
    sim.connect(second, first);
    sim.connect(second, seeder);
    let early = sim.watch_all(first);
    sim.run_until(secs(5));
    let late = sim.watch_all(second);
    sim.run_to_end(secs(120));
    assert!(sim.node(first).read(early) == film.files[0]);
    assert!(sim.node(second).read(late) == film.files[0]);
    let evicted = |event: &&Event| matches!(event, Event::PieceEvicted { .. });
    assert!(sim.node(first).events.iter().filter(evicted).count() > 100);
}

#[test]
fn a_liar_is_named_and_dropped_and_the_film_comes_whole() {
    for version in VERSIONS {
        for seed in 0..10 {
            let film = Film::single(version, 128 * 1024, 6 * MIB);
            let mut sim = Sim::seeded(seed);
            let honest: Vec<_> = (0..3).map(|_| sim.seeder(&film, Link::HOME)).collect();
            let liar = sim.seeder(&film, Link::FAST);
            sim.node_mut(liar).lies = true;
            let viewer = sim.viewer(&film, Link::FAST);
            for peer in [liar].iter().chain(&honest) {
                sim.connect(viewer, *peer);
            }
            let reader = sim.watch_all(viewer);
            sim.run_to_end(secs(60));
            let node = sim.node(viewer);
            assert!(
                node.read(reader) == film.files[0],
                "{version:?} seed {seed}"
            );
            let dropped: Vec<&str> = node
                .events
                .iter()
                .filter_map(|event| match event {
                    Event::PeerClosed {
                        name,
                        fault: Some(_),
                        ..
                    } => Some(name.as_str()),
                    _ => None,
                })
                .collect();
            assert_eq!(
                dropped,
                [format!("node {}", liar.0)],
                "{version:?} seed {seed}"
            );
            let refused = node.swarm.stats(sim.now()).refused as usize;
            assert!(
                refused <= 3 * 128 * 1024,
                "{version:?} seed {seed}: {refused} refused"
            );
        }
    }
}

#[test]
fn a_peer_that_falls_silent_does_not_hold_up_the_film() {
    let film = Film::single(Version::V1, 128 * 1024, 8 * MIB);
    let mut sim = Sim::seeded(9);
    let fast = sim.seeder(&film, Link::HOME);
    let slow = sim.seeder(
        &film,
        Link {
            up: 2_000,
            ..Link::HOME
        },
    );
    let viewer = sim.viewer(&film, Link::FAST);
    sim.connect(viewer, fast);
    sim.connect(viewer, slow);
    let reader = sim.watch_all(viewer);
    sim.run_to_end(secs(60));
    let node = sim.node(viewer);
    assert!(node.read(reader) == film.files[0]);
    let alone = 8.0 * MIB as f64 / 1_250_000.0;
    let took = sim.now().as_micros() as f64 / 1e6;
    assert!(took < alone * 1.5, "{took} s, alone {alone} s");
}

#[test]
fn a_crowd_carries_the_film_and_the_seeder_sends_little_more_than_two_copies() {
    let film = Film::single(Version::V2, 128 * 1024, 8 * MIB);
    let mut sim = Sim::seeded(10);
    let seeder = sim.seeder(&film, Link::HOME);
    let viewers: Vec<_> = (0..12).map(|_| sim.viewer(&film, Link::HOME)).collect();
    sim.connect_all();
    let readers: Vec<_> = viewers
        .iter()
        .map(|viewer| sim.watch_all(*viewer))
        .collect();
    sim.run_to_end(secs(120));
    for (viewer, reader) in viewers.iter().zip(readers) {
        assert!(sim.node(*viewer).read(reader) == film.files[0]);
    }
    let copies = sim.node(seeder).swarm.stats(sim.now()).sent as f64 / (8.0 * MIB as f64);
    assert!(copies < 3.0, "{copies} copies");
    // Kumar and Ross: N·F / (u_s + Σu), everybody with the same uplink.
    let bound = 12.0 * 8.0 * MIB as f64 / (13.0 * 1_250_000.0);
    let took = sim.now().as_micros() as f64 / 1e6;
    assert!(bound / took > 0.5, "{took} s, bound {bound} s");
}

#[test]
fn who_reads_what_nobody_here_has_says_so_soon_and_then_ever_less_often() {
    let film = Film::single(Version::V2, 64 * 1024, 4 << 20);
    let mut sim = Sim::seeded(5);
    let (viewer, other) = (sim.viewer(&film, Link::HOME), sim.viewer(&film, Link::HOME));
    sim.connect(viewer, other);
    sim.watch_all(viewer);
    sim.run_until(secs(100));
    let said: Vec<u64> = sim
        .node(viewer)
        .starved
        .iter()
        .map(|at| at.as_micros() / 1_000_000)
        .collect();
    assert!((4..=7).contains(&said.len()), "{said:?}");
    assert!(said[0] <= 5, "{said:?}");
    let seeder = sim.seeder(&film, Link::HOME);
    sim.connect(viewer, seeder);
    sim.run_to_end(secs(130));
    assert_eq!(
        sim.node(viewer).starved.len(),
        said.len(),
        "it had what it read"
    );
}
