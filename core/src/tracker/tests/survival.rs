//! Swarms whose tracker dies: neighbours introduce each other, and nobody is lost.

use super::world::{World, secs};
use alloc::vec::Vec;

/// Peers of the swarm.
const PEERS: usize = 20;

/// A swarm that met at a tracker which then died.
fn orphaned(seed: u64) -> World {
    let mut world = World::new(seed, 1).with_swarms();
    for _ in 0..PEERS {
        world.join(5, false, secs(0));
    }
    world.run(secs(60));
    world.lose_tracker(0);
    world
}

fn assert_whole(world: &World, seed: u64) {
    let alive: Vec<usize> = world.alive().collect();
    let reached = world.reachable_from(alive[0]);
    assert_eq!(reached, alive.len(), "seed {seed}: the swarm is in parts");
}

/// The neighbours of a node that are still there.
fn neighbours(world: &World, node: usize) -> Vec<usize> {
    let others = world.nodes[node].open.values().map(|(other, _)| *other);
    others.collect()
}

#[test]
fn a_swarm_without_a_tracker_stays_whole_while_half_of_it_leaves_and_returns() {
    for seed in 0..20 {
        let mut world = orphaned(seed);
        for _ in 0..3 {
            let alive: Vec<usize> = world.alive().collect();
            // Those who will leave know some who will not, as people do who come back in an hour.
            let (leaving, staying): (Vec<usize>, Vec<usize>) =
                alive.iter().partition(|node| **node % 2 == 0);
            let saved = |node: &usize| -> Vec<usize> {
                let known = neighbours(&world, *node);
                known
                    .into_iter()
                    .filter(|one| staying.contains(one))
                    .collect()
            };
            let saved: Vec<Vec<usize>> = leaving.iter().map(saved).collect();
            leaving.iter().for_each(|node| world.vanish(*node));
            world.run(secs(60));
            assert_whole(&world, seed);
            for saved in saved {
                let newcomer = world.join(5, false, secs(0));
                world.run(secs(1));
                // Whom it saved it calls, as a native peer can.
                world.call(newcomer, saved[0]);
            }
            world.run(secs(60));
            assert_whole(&world, seed);
            for node in world.alive() {
                let count = neighbours(&world, node).len();
                assert!(
                    count >= 4,
                    "seed {seed}: node {node} has {count} neighbours"
                );
            }
        }
        assert_eq!(world.alive().count(), PEERS);
    }
}

#[test]
fn strangers_with_one_neighbour_in_common_meet_through_it() {
    for seed in 0..20 {
        let mut world = World::new(seed, 0).with_swarms();
        for _ in 0..8 {
            world.join(5, false, secs(0));
        }
        world.run(secs(1));
        for node in 1..8 {
            world.call(node, 0);
        }
        world.run(secs(60));
        // Now the only one they all knew leaves.
        world.vanish(0);
        world.run(secs(10));
        assert_whole(&world, seed);
        world.assert_settled();
    }
}
