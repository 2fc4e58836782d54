//! Three `headwater track` that share their swarms through a Redis of the test's own: peers of all
//! three are one swarm, whichever of them goes, Redis too.

mod support;

use std::collections::BTreeSet;

use support::cluster::{Crowd, Cut, Redis, Told, TrackerOfThree, announce_tcp, completed};

/// Redis and three trackers, the third behind a line that can be cut.
struct Three {
    redis: Redis,
    trackers: Vec<Option<TrackerOfThree>>,
    line: Cut,
}

impl Three {
    fn start() -> Self {
        let redis = Redis::start();
        let line = Cut::before(redis.port);
        let ports = [redis.port, redis.port, line.port];
        let trackers = ports.map(|port| Some(TrackerOfThree::start(port)));
        Self {
            redis,
            trackers: trackers.into(),
            line,
        }
    }

    fn address(&self, at: usize) -> std::net::SocketAddr {
        self.trackers[at].as_ref().expect("it lives").address
    }

    /// `count` peers, in turn at each of the trackers, each announcing once, all offers answered.
    fn joined_by(&self, count: usize) -> Crowd {
        let mut crowd = Crowd::default();
        (0..count).for_each(|n| crowd.join(self.address(n % 3), 1));
        crowd.settle();
        crowd
    }
}

/// What a peer that announces again is told of the swarm's size.
fn counted(crowd: &mut Crowd, peer: usize) -> u64 {
    crowd.announce(peer, 1, 0);
    crowd.settle();
    crowd.peers[peer].counted
}

#[test]
fn peers_of_three_trackers_are_one_swarm_and_stay_one_when_a_tracker_dies() {
    let mut three = Three::start();
    let mut crowd = three.joined_by(30);
    assert_eq!(counted(&mut crowd, 29), 30, "all are counted");
    assert_eq!(crowd.together().len(), 30, "all met");
    let abroad = |(one, other): &&(usize, usize)| one % 3 != other % 3;
    assert!(crowd.met.iter().filter(abroad).count() > 10);

    three.trackers[0].take().expect("it lives").kill();
    let lost: Vec<usize> = (0..30).filter(|n| n % 3 == 0).collect();
    lost.iter().for_each(|n| crowd.lose(*n));
    crowd.met.clear();
    // Each finds another tracker, and announces once.
    for n in &lost {
        crowd.rejoin(*n, three.address(1 + n % 2), 1);
    }
    crowd.settle();
    for n in &lost {
        let has_met = crowd.met.iter().any(|(one, other)| one == n || other == n);
        assert!(has_met, "{n} is alone after its first announce");
    }
    // Those that were not lost announce as they would have anyway.
    (0..30)
        .filter(|n| n % 3 > 0)
        .for_each(|n| crowd.announce(n, 1, 5));
    crowd.settle();
    assert_eq!(crowd.together().len(), 30, "whole again");
    assert_eq!(
        counted(&mut crowd, 1),
        30,
        "the dead one's share is struck out"
    );
}

#[test]
fn without_redis_each_goes_on_alone_and_finds_the_others_again() {
    let mut three = Three::start();
    let mut crowd = three.joined_by(12);
    three.redis.kill();
    for n in 0..6 {
        crowd.until_counted(n, 4, "its own alone");
    }
    crowd.met.clear();
    (0..12).for_each(|n| crowd.announce(n, 1, 5));
    crowd.settle();
    let abroad = |(one, other): &&(usize, usize)| one % 3 != other % 3;
    assert!(!crowd.met.is_empty() && !crowd.met.iter().any(|met| abroad(&met)));
    three.redis.restart();
    for n in 0..3 {
        crowd.until_counted(n, 12, "all, though Redis forgot them");
    }
    crowd.join(three.address(0), 1);
    crowd.settle();
    let of_others: BTreeSet<usize> = crowd.met_by(12).iter().map(|n| n % 3).collect();
    assert!(of_others.len() > 1, "{of_others:?}");
}

#[test]
fn a_tracker_that_is_cut_off_serves_its_own_and_is_missed_by_nobody() {
    let three = Three::start();
    let mut crowd = three.joined_by(12);
    three.line.cut();
    crowd.until_counted(2, 4, "who is cut off counts its own");
    // Whoever is offered to them there is offered to others instead.
    crowd.met.clear();
    crowd.join(three.address(0), 1);
    crowd.settle();
    assert!(!crowd.met_by(12).is_empty() && crowd.met_by(12).iter().all(|n| n % 3 != 2));
    // Who is cut off is struck out by the first whose offers were for a peer there.
    (0..12)
        .filter(|n| n % 3 != 2)
        .for_each(|n| crowd.announce(n, 1, 5));
    crowd.settle();
    crowd.until_counted(0, 9, "the others count theirs");
    crowd.join(three.address(2), 1);
    crowd.settle();
    assert!(!crowd.met_by(13).is_empty() && crowd.met_by(13).iter().all(|n| n % 3 == 2));
    three.line.mend();
    crowd.until_counted(2, 14, "all again");
}

#[test]
fn peers_over_tcp_are_named_by_all_trackers_and_outlive_the_one_they_announced_to() {
    let mut three = Three::start();
    let mut crowd = Crowd::default();
    crowd.join(three.address(0), 1);
    // One seed and eight leechers, in turn at each.
    for port in 1..=8 {
        announce_tcp(
            three.address(port as usize % 3),
            port,
            u64::from(port > 1),
            "",
        );
    }
    let told = announce_tcp(three.address(0), 9, 1, "");
    let expected = Told {
        complete: 1,
        incomplete: 9,
        ports: (1..=8).collect(),
    };
    assert_eq!(told, expected, "with the one over WebRTC");
    assert_eq!(counted(&mut crowd, 0), 10);

    // A seed hears of leechers alone; who completes is counted once, wherever it is asked.
    announce_tcp(three.address(2), 2, 0, "&event=completed");
    announce_tcp(three.address(2), 2, 0, "&event=completed");
    announce_tcp(three.address(1), 4, 0, "&event=completed");
    let told = announce_tcp(three.address(0), 1, 0, "");
    assert_eq!((told.complete, told.ports), (3, vec![3, 5, 6, 7, 8, 9]));
    for at in 0..3 {
        assert_eq!(completed(three.address(at)), 2, "at {at}");
    }

    // Who stops is gone everywhere, and who has the same address is the same peer.
    announce_tcp(three.address(0), 3, 1, "&event=stopped");
    announce_tcp(three.address(2), 8, 1, "&peer_id=-YY0000-............");
    let told = announce_tcp(three.address(1), 7, 1, "");
    assert_eq!(told.ports, [1, 2, 4, 5, 6, 8, 9]);

    three.trackers[0].take().expect("it lives").kill();
    let told = announce_tcp(three.address(1), 7, 1, "");
    assert_eq!(told.ports, [1, 2, 4, 5, 6, 8, 9], "those it had, too");

    // Without Redis each has its own; afterwards those that announce again are everyone's.
    three.redis.kill();
    let told = announce_tcp(three.address(1), 7, 1, "");
    assert_eq!(told.ports, [1, 4], "port 3 n + 1");
    three.redis.restart();
    let is_shared = |_: &Crowd| {
        announce_tcp(three.address(1), 7, 1, "");
        announce_tcp(three.address(2), 5, 1, "").ports.contains(&7)
    };
    crowd.until(is_shared, "who announces again is named elsewhere");
}

#[test]
fn an_announce_over_http_costs_redis_the_same_in_a_small_swarm_and_in_a_large_one() {
    let three = Three::start();
    let mut ports = 1..;
    let mut cost = |count: u16| {
        let before = three.redis.commands();
        for port in ports.by_ref().take(count.into()) {
            let told = announce_tcp(three.address(port as usize % 3), port, 1, "");
            assert_eq!(told.ports.len(), usize::from(port - 1).min(80));
        }
        (three.redis.commands() - before) as f64 / f64::from(count)
    };
    let few = cost(30);
    cost(540);
    let many = cost(30);
    println!("commands an announce over HTTP: {few} among 30, {many} among 600");
    assert!(few < 13.0 && (few - many).abs() < 0.5, "{few}, {many}");
}

#[test]
fn a_join_costs_redis_the_same_in_a_small_swarm_and_in_a_large_one() {
    let three = Three::start();
    let mut crowd = three.joined_by(30);
    let cost = |crowd: &mut Crowd| {
        let before = (three.redis.commands(), crowd.heard);
        for n in 0..30 {
            crowd.join(three.address(n % 3), 1);
            crowd.settle();
        }
        let commands = three.redis.commands() - before.0;
        (
            commands as f64 / 30.0,
            (crowd.heard - before.1) as f64 / 30.0,
        )
    };
    let few = cost(&mut crowd);
    for n in 0..540 {
        crowd.join(three.address(n % 3), 1);
    }
    crowd.settle();
    let many = cost(&mut crowd);
    println!("commands and messages a join: {few:?} among 60, {many:?} among 600");
    // What we have (3), who else has some (2), five offers and five answers; pings now and then.
    for (commands, messages) in [few, many] {
        assert!(commands < 18.0, "{commands} commands a join");
        assert!(
            (messages - 11.0).abs() < 0.5,
            "{messages} messages to clients a join"
        );
    }
}

#[test]
fn what_a_stranger_writes_into_redis_harms_nobody() {
    let three = Three::start();
    let mut crowd = three.joined_by(6);
    let memory = || -> u64 {
        three
            .trackers
            .iter()
            .flatten()
            .map(TrackerOfThree::memory)
            .sum()
    };
    let before = memory();
    let set = |kind: &str| format!("headwater:{kind}:{}", "fe".repeat(20));
    let huge = "x".repeat(32 << 20);
    three.redis.say(&["ZADD", &set("leechers"), "1e300", &huge]);
    for n in 0..1000 {
        let (score, name) = (format!("{}", 1000 + n), format!("{n:016x}"));
        three.redis.say(&["ZADD", &set("leechers"), &score, &name]);
        three.redis.say(&["ZADD", &set("seeds"), "nan", &name]);
    }
    let channels = three.redis.say(&["PUBSUB", "CHANNELS", "headwater:*"]);
    let channels: Vec<&str> = channels
        .lines()
        .filter(|line| line.starts_with("head"))
        .collect();
    assert_eq!(channels.len(), 3);
    for channel in channels {
        for text in [
            "",
            "\n",
            "offers 1 2 3\n{}",
            "answer\n[]",
            "offers x\n",
            &huge,
        ] {
            three.redis.say(&["PUBLISH", channel, text]);
        }
    }
    for n in 0..6 {
        crowd.announce(n, 1, 5);
        crowd.settle();
    }
    crowd.join(three.address(0), 1);
    crowd.settle();
    assert!(
        !crowd.met_by(6).is_empty(),
        "what strangers do not take is ours to give"
    );
    // Another kind of thing altogether, where the sets were.
    three.redis.say(&["SET", &set("seeds"), "1"]);
    three.redis.say(&["SET", &set("leechers"), "1"]);
    crowd.join(three.address(1), 1);
    crowd.settle();
    assert!(!crowd.met_by(7).is_empty());
    let grown = memory().saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes more");
}
