//! Who is introduced to whom, how often, and what that costs.

use super::*;
use alloc::vec;

#[test]
fn seeds_are_introduced_to_leechers_only_and_leechers_to_seeds_first() {
    let mut world = World::new();
    for n in 0..20 {
        world.join(n, Some(0), 0);
    }
    world.join(100, Some(0), 5);
    assert!(
        world.offers().is_empty(),
        "seeds have nothing for each other"
    );
    for n in 101..120 {
        world.join(n, Some(9), 0);
    }
    world.take();
    world.join(200, Some(9), 5);
    let to: Vec<_> = world.offers().into_iter().map(|(to, ..)| to.0).collect();
    assert_eq!(
        to.iter().map(|to| *to <= 100).collect::<Vec<_>>(),
        [true, true, true, false, false]
    );
    world.join(201, Some(0), 5);
    assert!(world.offers().iter().all(|(to, ..)| to.0 > 100));
}

#[test]
fn offers_that_follow_the_first_reach_others_than_it_did() {
    let mut world = World::new();
    world.join(0, Some(0), 0);
    for n in 1..5 {
        world.join(n, Some(9), 0);
    }
    world.take();
    world.join(9, Some(9), 1);
    assert_eq!(world.offers()[0].0, conn(0), "the seed first");
    world.announce(announce(9, Some(9), 4), 9);
    let mut to: Vec<_> = world.offers().into_iter().map(|(to, ..)| to.0).collect();
    to.sort_unstable();
    assert_eq!(to, [1, 2, 3, 4]);
}

/// Offers that the first to come got since this was last asked.
fn offers_to_first(world: &mut World) -> usize {
    let offers = world.offers();
    offers.iter().filter(|(to, ..)| *to == conn(0)).count()
}

#[test]
fn a_crowd_does_not_bury_the_only_seed() {
    let mut world = World::new();
    world.join(0, Some(0), 0);
    for n in 1..2500 {
        world.join(n, Some(9), 5);
    }
    let offers = world.offers();
    let to_seed = offers.iter().filter(|(to, ..)| *to == conn(0));
    assert_eq!(to_seed.count(), 2000);
    assert!(
        offers.len() > 12_400,
        "the others got each other: {}",
        offers.len()
    );
}

#[test]
fn who_falls_behind_in_a_large_crowd_finds_its_seed_four_a_second() {
    let mut world = World::new();
    world.join(0, Some(0), 0);
    for n in 1..2500 {
        world.join(n, Some(9), 5);
    }
    world.take();
    let return_all = |world: &mut World, returns: core::ops::Range<u32>| {
        for n in returns {
            world.announce(announce(n, Some(9), 5), n);
        }
        offers_to_first(world)
    };
    world.now += Duration::from_secs(20);
    assert_eq!(return_all(&mut world, 1..2), 1);
    assert_eq!(return_all(&mut world, 2..400), 15);
    world.now += Duration::from_secs(4);
    assert_eq!(return_all(&mut world, 400..800), 16);
}

#[test]
fn who_comes_back_early_is_sent_to_the_seed_again() {
    let mut world = World::new();
    world.join(0, Some(0), 0);
    for n in 1..40 {
        world.join(n, Some(9), 5);
    }
    world.take();
    world.now += Duration::from_secs(1);
    world.announce(announce(39, Some(9), 5), 39);
    assert_eq!(
        offers_to_first(&mut world),
        0,
        "the rest of what it came with"
    );
    world.now += Duration::from_secs(20);
    world.announce(announce(39, Some(9), 5), 39);
    assert_eq!(
        offers_to_first(&mut world),
        1,
        "the seed had no room, or let it go"
    );
}

#[test]
fn a_newcomer_gets_a_seed_when_all_have_had_their_share() {
    let mut world = World::new();
    world.join(0, Some(0), 0);
    world.join(1, Some(0), 0);
    for n in 2..200 {
        world.join(n, Some(9), 5);
        let offers = world.offers();
        let to_seeds = offers.iter().filter(|(to, ..)| to.0 < 2).count();
        assert!(to_seeds >= 1, "{n} has no source");
        // Both have got four times five: from here on it is one for each newcomer.
        assert!(n < 30 || to_seeds == 1, "{n} got {to_seeds}");
    }
    world.announce(announce(9, Some(9), 5), 9);
    assert!(
        world.offers().iter().all(|(to, ..)| to.0 >= 2),
        "who had a source waits its turn"
    );
}

#[test]
fn who_comes_back_gets_the_only_seed_again_and_soon() {
    let mut world = World::new();
    world.join(0, Some(0), 0);
    world.join(1, Some(9), 1);
    assert_eq!(world.offers().len(), 1);
    world.now += Duration::from_millis(100);
    world.announce(announce(1, Some(9), 4), 1);
    assert!(
        world.offers().is_empty(),
        "the rest of its offers is for others"
    );
    world.now += Duration::from_secs(3);
    world.announce(announce(1, Some(9), 5), 1);
    assert_eq!(world.offers().len(), 1);
}

#[test]
fn a_frozen_page_is_introduced_to_nobody_until_it_announces_again() {
    let mut world = World::new();
    world.join(1, Some(9), 0);
    world.now += Duration::from_secs(361);
    world.join(2, Some(9), 1);
    assert!(world.offers().is_empty());
    assert_eq!(world.counts(), (0, 1, 0));
    world.announce(announce(1, Some(9), 1), 1);
    assert_eq!(world.offers().len(), 1);
    assert_eq!(
        (world.counts(), world.tracker.stats().peers),
        ((0, 2, 0), 2)
    );
}

/// Every peer of a swarm of `len` joins; then all announce for one interval.
fn settled(len: u32, offers: usize) -> World {
    let mut world = World::new();
    for n in 0..len {
        world.join(n, Some(1), offers);
        world.now += Duration::from_millis(120_000 / u64::from(len));
    }
    world
}

#[test]
fn a_join_costs_the_same_in_a_swarm_of_ten_and_of_ten_thousand() {
    let cost = |len: u32| {
        let mut world = settled(len, 5);
        world.take();
        world.now += Duration::from_secs(120);
        world.bytes = 0;
        world.join(len, Some(1), 5);
        (world.take().len(), world.bytes)
    };
    let (messages, bytes) = cost(10);
    assert_eq!(
        messages, 6,
        "a response and five offers; with five answers both ways 2 + 3k"
    );
    for len in [100, 1000, 10_000] {
        let (more_messages, more_bytes) = cost(len);
        assert_eq!(messages, more_messages);
        assert!(
            more_bytes.max(bytes) * 10 <= more_bytes.min(bytes) * 11,
            "{more_bytes} bytes against {bytes}"
        );
    }
}

#[test]
fn within_an_interval_everybody_is_introduced_and_nobody_too_often() {
    let mut world = settled(1000, 5);
    world.take();
    for n in 0..1000 {
        world.announce(announce(n, Some(1), 5), n);
        world.now += Duration::from_millis(120);
    }
    is_one_and_nobody_bears_too_much(&world.meetings());
}

/// Of a thousand: everybody was met, nobody more than four times k, and all hang together.
fn is_one_and_nobody_bears_too_much(meetings: &[(usize, usize)]) {
    let mut received = vec![0; 1000];
    let mut graph: Vec<_> = (0..1000).collect();
    for (to, by) in meetings {
        received[*to] += 1;
        let (a, b) = (root(&graph, *to), root(&graph, *by));
        graph[a] = b;
    }
    let (least, most) = (
        received.iter().min().unwrap(),
        received.iter().max().unwrap(),
    );
    assert!(*least >= 1 && *most <= 20, "{least} to {most}");
    let one = root(&graph, 0);
    assert!(
        (0..1000).all(|n| root(&graph, n) == one),
        "the swarm is connected"
    );
}

#[test]
fn who_says_where_it_plays_meets_those_near_it_rather_and_the_swarm_stays_one() {
    let percent = |n: usize| (n * 37 % 101) as u8;
    let near = |says_so: bool| {
        let mut world = settled(1000, 5);
        // Once for all to have said it, once to be counted.
        for _ in 0..2 {
            world.take();
            for n in 0..1000 {
                let played_percent = says_so.then(|| percent(n as usize));
                let announced = Announce {
                    played_percent,
                    ..announce(n, Some(1), 5)
                };
                world.announce(announced, n);
                world.now += Duration::from_millis(120);
            }
        }
        let meetings = world.meetings();
        is_one_and_nobody_bears_too_much(&meetings);
        let is_near = |(to, by): &&(usize, usize)| percent(*to).abs_diff(percent(*by)) <= 10;
        meetings.iter().filter(is_near).count() * 100 / meetings.len()
    };
    let (said, unsaid) = (near(true), near(false));
    assert!(unsaid <= 22, "{unsaid} % are near by chance");
    assert!(said >= 35, "{said} % are near");
}

fn root(graph: &[usize], mut at: usize) -> usize {
    while graph[at] != at {
        at = graph[at];
    }
    at
}
