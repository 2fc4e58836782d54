//! Stories of clients and trackers.

mod survival;
mod world;

use crate::time::{Duration, Instant};
use alloc::vec::Vec;
use world::{World, secs};

#[test]
fn viewers_meet_the_seed_and_each_other_in_under_a_second() {
    for seed in 0..10 {
        let mut world = World::new(seed, 1);
        world.join(0, true, secs(0));
        for n in 0..20 {
            world.join(5, false, secs(1) + Duration::from_millis(300 * n));
        }
        world.run(secs(10));
        for node in 1..=20 {
            let joined = secs(1) + Duration::from_millis(300 * (node as u64 - 1));
            let opened = world.nodes[node].first_opened.expect("a connection");
            let waited = opened.since(Instant::START + joined);
            assert!(
                waited < secs(1),
                "seed {seed}: node {node} waited {waited:?}"
            );
            assert!(
                world.nodes[node]
                    .open
                    .values()
                    .any(|(other, _)| *other == 0),
                "node {node} has the seed"
            );
        }
        world.assert_settled();
    }
}

#[test]
fn peers_that_meet_at_two_trackers_keep_one_connection_and_the_same_one() {
    for seed in 0..60 {
        let mut world = World::new(seed, 2);
        for _ in 0..8 {
            world.join(4, false, secs(0));
        }
        world.run(secs(100));
        world.assert_settled();
        assert_eq!(world.reachable_from(0), 8, "seed {seed}");
    }
}

#[test]
fn a_swarm_of_three_hundred_is_one_swarm() {
    let mut world = World::new(5, 1);
    for n in 0..300 {
        world.join(5, n == 0, Duration::from_millis(60 * n));
    }
    world.run(secs(60));
    assert_eq!(world.reachable_from(0), 300);
    let late = world
        .nodes
        .iter()
        .filter(|node| node.first_opened.is_none())
        .count();
    assert_eq!(late, 0);
}

#[test]
fn a_tracker_that_was_down_is_found_again_by_all_without_a_storm() {
    let mut world = World::new(1, 1);
    for _ in 0..50 {
        world.join(5, false, secs(0));
    }
    world.run(secs(30));
    world.lose_tracker(0);
    let open = |world: &World| {
        world
            .nodes
            .iter()
            .map(|node| node.open.len())
            .sum::<usize>()
    };
    let before = open(&world);
    world.run(secs(120));
    assert_eq!(before, open(&world), "peers need no tracker to stay");
    world.trackers[0].1 = true;
    let mut arrived = Vec::new();
    for _ in 0..15 {
        let count = world.trackers[0].0.stats().peers;
        world.run(secs(1));
        arrived.push(world.trackers[0].0.stats().peers - count);
    }
    assert_eq!(world.trackers[0].0.stats().peers, 50);
    assert!(arrived.iter().all(|count| *count <= 15), "{arrived:?}");
}

#[test]
fn under_churn_nobody_is_left_alone() {
    let mut world = World::new(9, 1);
    for n in 0..100 {
        world.join(5, n < 5, Duration::from_millis(100 * n));
    }
    world.run(secs(60));
    // One in twenty a minute leaves, and as many come.
    for _ in 0..50 {
        let node = world.rng.below(world.nodes.len() as u32) as usize;
        world.vanish(node);
        world.join(5, false, secs(0));
        world.run(secs(12));
    }
    let stats = world.trackers[0].0.stats();
    assert_eq!(world.alive().count() as u64, stats.peers);
    for node in world.alive() {
        assert!(!world.nodes[node].open.is_empty(), "node {node} is alone");
    }
    // What was under way as the clock stopped comes to its end.
    world.run(Duration::from_millis(500));
    world.assert_settled();
}
