//! A film that is kept: fetched without being read, stored, given to others, and never asked for twice.

use headwater_core::metainfo::create::Version;
use headwater_core::swarm::Event;
use headwater_sim::{Film, Link, NodeId, Sim, secs};

const VERSIONS: [Version; 3] = [Version::V1, Version::V2, Version::Hybrid];
const MIB: usize = 1 << 20;
const WINDOW: u64 = 2 << 20;

fn is_kept(sim: &Sim, node: NodeId) -> bool {
    sim.node(node).events.contains(&Event::Kept)
}

/// What a node wrote is what the film is.
fn assert_right(sim: &Sim, node: NodeId, film: &Film) {
    for (piece, bytes) in &sim.node(node).kept {
        assert!(film.piece(*piece)[..bytes.len()] == bytes[..], "{piece}");
    }
}

/// A keeper with little memory, that knows a seeder.
fn keeper(sim: &mut Sim, film: &Film) -> NodeId {
    let seeder = sim.seeder(film, Link::FAST);
    let keeper = sim.viewer_with(film, Link::FAST, |config| config.window_bytes = WINDOW);
    sim.connect(keeper, seeder);
    keeper
}

#[test]
fn it_comes_whole_without_anybody_reading() {
    for version in VERSIONS {
        let film = Film::folder(
            version,
            64 * 1024,
            &[("a", 9 * MIB + 1), ("b", 0), ("c", MIB)],
        );
        let mut sim = Sim::seeded(1);
        let keeper = keeper(&mut sim, &film);
        sim.keep(keeper, |_| true);
        let in_time = sim.run_while(secs(20), |sim| {
            let stats = sim.node(keeper).swarm.stats(sim.now());
            assert!(
                stats.window_used <= WINDOW,
                "memory is bounded by what is not stored"
            );
            !is_kept(sim, keeper)
        });
        assert!(in_time, "{version:?}");
        let stats = sim.node(keeper).swarm.stats(sim.now());
        assert_eq!(
            (stats.kept_left, stats.window_used, stats.wasted),
            (0, 0, 0)
        );
        assert_eq!(stats.pieces_here, stats.pieces);
        assert_right(&sim, keeper, &film);
    }
}

#[test]
fn keepers_give_each_other_what_they_stored() {
    let film = Film::single(Version::Hybrid, 64 * 1024, 16 * MIB);
    let mut sim = Sim::seeded(2);
    let seeder = sim.seeder(&film, Link::HOME);
    let keepers: Vec<NodeId> = (0..4).map(|_| sim.viewer(&film, Link::HOME)).collect();
    sim.connect_all();
    keepers
        .iter()
        .for_each(|keeper| sim.keep(*keeper, |_| true));
    assert!(sim.run_while(secs(300), |sim| {
        !keepers.iter().all(|keeper| is_kept(sim, *keeper))
    }));
    keepers
        .iter()
        .for_each(|keeper| assert_right(&sim, *keeper, &film));
    let sent = sim.node(seeder).swarm.stats(sim.now()).sent as f64 / film.length() as f64;
    assert!(sent < 2.5, "the seeder sent {sent:.2} films to four");
}

#[test]
fn a_reader_gets_what_is_stored_and_what_is_still_to_come() {
    for version in VERSIONS {
        let film = Film::single(version, 64 * 1024, 20 * MIB + 7);
        let length = film.files[0].len() as u64;
        let mut sim = Sim::seeded(3);
        let keeper = keeper(&mut sim, &film);
        sim.keep(keeper, |_| true);
        sim.run_while(secs(9), |sim| sim.node(keeper).kept.len() < 100);
        // What it jumps to comes before the rest.
        let last = sim.watch(keeper, 0, length - 1000..length);
        sim.run_while(secs(9), |sim| {
            sim.node(keeper).watches[&last].ended.is_none()
        });
        assert!(!is_kept(&sim, keeper), "{version:?}");
        assert!(sim.node(keeper).read(last) == &film.files[0][20 * MIB - 993..]);
        let whole = sim.watch_all(keeper);
        sim.run_to_end(secs(60));
        assert!(sim.node(keeper).read(whole) == film.files[0], "{version:?}");
        // And once more, when all of it lies in storage.
        sim.run_while(secs(60), |sim| !is_kept(sim, keeper));
        let again = sim.watch_all(keeper);
        sim.run_to_end(secs(60));
        assert!(sim.node(keeper).read(again) == film.files[0], "{version:?}");
    }
}

#[test]
fn what_was_stored_before_is_not_fetched_again() {
    let film = Film::single(Version::V2, 64 * 1024, 8 * MIB);
    let mut sim = Sim::seeded(4);
    let keeper = keeper(&mut sim, &film);
    for piece in film.metainfo.layout().pieces().take(100) {
        let bytes = film.piece(piece).into();
        sim.node_mut(keeper).kept.insert(piece, bytes);
    }
    sim.keep(keeper, |_| true);
    assert!(sim.run_while(secs(20), |sim| !is_kept(sim, keeper)));
    let stats = sim.node(keeper).swarm.stats(sim.now());
    assert_eq!(stats.received, 28 * 64 * 1024);
    // With all of it there is nothing to do, and that is said.
    let again = sim.viewer(&film, Link::FAST);
    sim.node_mut(again).kept = sim.node(keeper).kept.clone();
    sim.keep(again, |_| true);
    assert!(is_kept(&sim, again));
}

#[test]
fn of_a_part_only_the_part_is_fetched() {
    let film = Film::single(Version::V1, 64 * 1024, 8 * MIB);
    let mut sim = Sim::seeded(5);
    let keeper = keeper(&mut sim, &film);
    sim.keep(keeper, |piece| (10..20).contains(&piece));
    assert!(sim.run_while(secs(20), |sim| !is_kept(sim, keeper)));
    sim.run_until(secs(25));
    let kept: Vec<u32> = sim
        .node(keeper)
        .kept
        .keys()
        .map(|piece| piece.get())
        .collect();
    assert_eq!(kept, (10..20).collect::<Vec<_>>());
    assert_right(&sim, keeper, &film);
}

#[test]
fn a_full_disk_stops_it_within_its_memory_and_room_lets_it_go_on() {
    let film = Film::single(Version::Hybrid, 64 * 1024, 10 * MIB);
    let mut sim = Sim::seeded(6);
    let keeper = keeper(&mut sim, &film);
    sim.keep(keeper, |_| true);
    sim.run_while(secs(9), |sim| sim.node(keeper).kept.len() < 20);
    sim.node_mut(keeper).full = true;
    sim.run_until(secs(15));
    let stats = sim.node(keeper).swarm.stats(sim.now());
    assert!(stats.window_used <= WINDOW && stats.outstanding == 0);
    assert_eq!(stats.pieces_here as usize, sim.node(keeper).kept.len());
    sim.free_disk(keeper);
    assert!(sim.run_while(secs(30), |sim| !is_kept(sim, keeper)));
    assert_right(&sim, keeper, &film);
}

#[test]
fn a_piece_that_storage_lost_is_fetched_again() {
    let film = Film::single(Version::V2, 64 * 1024, 4 * MIB);
    let mut sim = Sim::seeded(7);
    let keeper = keeper(&mut sim, &film);
    sim.keep(keeper, |_| true);
    assert!(sim.run_while(secs(20), |sim| !is_kept(sim, keeper)));
    sim.lose(keeper, 7);
    assert!(sim.node(keeper).swarm.stats(sim.now()).kept_left > 0);
    let limit = sim.now() + std::time::Duration::from_secs(20);
    assert!(sim.run_while(limit, |sim| sim.node(keeper).kept.len() < 64));
    assert_right(&sim, keeper, &film);
}

#[test]
fn what_a_magnet_link_names_can_be_kept() {
    for version in VERSIONS {
        let film = Film::single(version, 32 * 1024, 3 * MIB + 1);
        let mut sim = Sim::seeded(8);
        let seeder = sim.seeder(&film, Link::FAST);
        let keeper = sim.viewer_by_magnet(&film, Link::FAST);
        sim.connect(keeper, seeder);
        sim.run_while(secs(5), |sim| sim.node(keeper).swarm.metainfo().is_none());
        sim.keep(keeper, |_| true);
        assert!(
            sim.run_while(secs(20), |sim| !is_kept(sim, keeper)),
            "{version:?}"
        );
        assert_right(&sim, keeper, &film);
    }
}

/// A node that has these pieces of the film and no others.
fn part_owner(sim: &mut Sim, film: &Film, link: Link, has: impl Fn(u32) -> bool) -> NodeId {
    let owner = sim.viewer(film, link);
    for piece in film.metainfo.layout().pieces() {
        if has(piece.get()) {
            let bytes = film.piece(piece).into();
            sim.node_mut(owner).kept.insert(piece, bytes);
        }
    }
    sim.keep(owner, has);
    owner
}

#[test]
fn of_thousands_of_pieces_all_that_anybody_has_are_fetched() {
    let film = Film::single(Version::V1, 16 * 1024, 5000 * 16 * 1024);
    let mut sim = Sim::seeded(9);
    let owner = part_owner(&mut sim, &film, Link::FAST, |piece| piece >= 3000);
    let keeper = sim.viewer(&film, Link::FAST);
    sim.connect(keeper, owner);
    sim.keep(keeper, |_| true);
    let has = |sim: &Sim| sim.node(keeper).kept.len();
    assert!(
        sim.run_while(secs(60), |sim| has(sim) < 2000),
        "{}",
        has(&sim)
    );
    // The rest comes with somebody who has it.
    let seeder = sim.seeder(&film, Link::FAST);
    sim.connect(keeper, seeder);
    assert!(sim.run_while(secs(120), |sim| !is_kept(sim, keeper)));
}

#[test]
fn pieces_that_nobody_has_any_more_do_not_hold_up_the_others() {
    let film = Film::single(Version::V1, 256 * 1024, 64 * 256 * 1024);
    let mut sim = Sim::seeded(10);
    let keeper = sim.viewer_with(&film, Link::FAST, |config| config.window_bytes = 1 << 20);
    sim.keep(keeper, |_| true);
    // Each brings a piece of its own, and goes in the middle of it.
    for alone in 0..6 {
        let owner = part_owner(&mut sim, &film, Link::HOME, |piece| piece == alone);
        sim.connect(keeper, owner);
        let before = sim.node(keeper).swarm.stats(sim.now()).received;
        let limit = sim.now() + std::time::Duration::from_secs(20);
        sim.run_while(limit, |sim| {
            sim.node(keeper).swarm.stats(sim.now()).received < before + 100_000
        });
        sim.leave(owner);
        sim.run_until(sim.now() + std::time::Duration::from_secs(1));
    }
    assert!(sim.node(keeper).kept.is_empty());
    let owner = part_owner(&mut sim, &film, Link::FAST, |piece| piece >= 6);
    sim.connect(keeper, owner);
    let limit = sim.now() + std::time::Duration::from_secs(60);
    assert!(sim.run_while(limit, |sim| sim.node(keeper).kept.len() < 58));
    assert_right(&sim, keeper, &film);
}
