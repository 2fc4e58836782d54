//! A film that is kept as it is read: read again from storage, given to others, and no worse when storage ends.

use headwater_core::metainfo::create::Version;
use headwater_sim::{Film, Link, NodeId, Sim, secs};

const VERSIONS: [Version; 3] = [Version::V1, Version::V2, Version::Hybrid];
const MIB: usize = 1 << 20;
const WINDOW: u64 = 2 << 20;

/// A seeder, and one with little memory who keeps what it reads.
fn reader(sim: &mut Sim, film: &Film) -> (NodeId, NodeId) {
    let seeder = sim.seeder(film, Link::FAST);
    let reader = sim.viewer_with(film, Link::FAST, |config| config.window_bytes = WINDOW);
    sim.connect(reader, seeder);
    sim.shelve(reader);
    (seeder, reader)
}

fn received(sim: &Sim, node: NodeId) -> u64 {
    sim.node(node).swarm.stats(sim.now()).received
}

/// Reads the film to its end.
fn reads(sim: &mut Sim, node: NodeId, film: &Film) {
    let reader = sim.watch_all(node);
    sim.run_to_end(secs(60));
    assert!(sim.node(node).read(reader) == film.files[0]);
}

#[test]
fn what_was_read_is_read_again_and_given_when_its_seeder_is_gone() {
    for version in VERSIONS {
        let film = Film::single(version, 64 * 1024, 8 * MIB + 7);
        let mut sim = Sim::seeded(1);
        let (seeder, reader) = reader(&mut sim, &film);
        let first = sim.watch_all(reader);
        sim.run_to_end(secs(60));
        assert!(sim.node(reader).read(first) == film.files[0], "{version:?}");
        assert_eq!(received(&sim, reader), film.files[0].len() as u64);
        sim.leave(seeder);
        let other = sim.viewer(&film, Link::FAST);
        sim.connect(other, reader);
        let (again, given) = (sim.watch_all(reader), sim.watch_all(other));
        sim.run_to_end(secs(60));
        assert!(sim.node(reader).read(again) == film.files[0], "{version:?}");
        assert!(sim.node(other).read(given) == film.files[0], "{version:?}");
        assert_eq!(received(&sim, reader), film.files[0].len() as u64);
    }
}

#[test]
fn nothing_is_fetched_but_what_readers_come_to() {
    let film = Film::single(Version::V2, 64 * 1024, 16 * MIB);
    let mut sim = Sim::seeded(2);
    let (_, reader) = reader(&mut sim, &film);
    sim.run_until(secs(5));
    assert_eq!(received(&sim, reader), 0);
    sim.watch(reader, 0, 0..MIB as u64);
    sim.run_to_end(secs(60));
    assert_eq!(received(&sim, reader), MIB as u64);
}

#[test]
fn what_makes_room_is_far_from_the_playhead_and_is_not_fetched_again_before_it_is_read() {
    let film = Film::single(Version::Hybrid, 64 * 1024, 8 * MIB);
    let mut sim = Sim::seeded(3);
    let (_, reader) = reader(&mut sim, &film);
    let first = sim.watch_all(reader);
    sim.run_while(secs(60), |sim| sim.node(reader).read(first).len() < 6 * MIB);
    assert_eq!(sim.let_go(reader), Some(0));
    sim.run_to_end(secs(60));
    assert_eq!(received(&sim, reader), 8 * MIB as u64);
    reads(&mut sim, reader, &film);
    assert_eq!(received(&sim, reader), 8 * MIB as u64 + 64 * 1024);
}

#[test]
fn a_piece_that_storage_does_not_have_right_is_fetched_again() {
    let film = Film::single(Version::V1, 64 * 1024, 4 * MIB);
    let mut sim = Sim::seeded(4);
    let (_, reader) = reader(&mut sim, &film);
    sim.watch_all(reader);
    sim.run_to_end(secs(60));
    sim.lose(reader, 7);
    reads(&mut sim, reader, &film);
    assert_eq!(received(&sim, reader), 4 * MIB as u64 + 64 * 1024);
}

#[test]
fn when_storage_ends_the_film_goes_on_in_memory() {
    for version in VERSIONS {
        let film = Film::single(version, 64 * 1024, 16 * MIB + 7);
        let mut sim = Sim::seeded(5);
        let (_, reader) = reader(&mut sim, &film);
        let whole = sim.watch_all(reader);
        sim.run_while(secs(60), |sim| sim.node(reader).read(whole).len() < 5 * MIB);
        sim.lose_shelf(reader);
        sim.run_while(secs(60), |sim| {
            let stats = sim.node(reader).swarm.stats(sim.now());
            assert!(stats.window_used <= WINDOW, "memory is bounded as before");
            sim.node(reader).watches[&whole].ended.is_none()
        });
        assert!(sim.node(reader).read(whole) == film.files[0], "{version:?}");
    }
}
