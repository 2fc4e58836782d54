//! The tracker against clients that the tests play by hand, honest and not.

use super::*;
use crate::tracker::message::{Announce, Answer, ClientMessage, Offer, OfferId};
use alloc::format;
use alloc::vec;

const SWARM: SwarmHash = SwarmHash([5; 20]);

/// A tracker, its clock, and what it said to whom.
struct World {
    tracker: Tracker,
    now: Instant,
    said: Vec<(ConnKey, ServerMessage)>,
    closed: Vec<ConnKey>,
    bytes: usize,
}

const fn peer(n: u32) -> PeerId {
    let mut id = *b"-HW0100-............";
    let n = n.to_be_bytes();
    (id[16], id[17], id[18], id[19]) = (n[0], n[1], n[2], n[3]);
    PeerId(id)
}

const fn conn(n: u32) -> ConnKey {
    ConnKey(n as u64)
}

fn announce(n: u32, left: Option<u64>, offers: usize) -> Announce {
    let id = |at: usize| {
        let mut id = [at as u8; 20];
        id[..4].copy_from_slice(&n.to_be_bytes());
        OfferId(id)
    };
    let offers = (0..offers)
        .map(|at| Offer {
            id: id(at),
            sdp: "v=0\r\n".into(),
        })
        .collect();
    let (uploaded, downloaded) = (0, 0);
    Announce {
        info_hash: SWARM,
        peer_id: peer(n),
        event: None,
        uploaded,
        downloaded,
        left,
        offers,
    }
}

impl World {
    fn new() -> Self {
        Self::with(ServerConfig {
            seed: 7,
            ..ServerConfig::default()
        })
    }

    fn with(config: ServerConfig) -> Self {
        let (tracker, now) = (Tracker::new(config), Instant::from_micros(1));
        Self {
            tracker,
            now,
            said: Vec::new(),
            closed: Vec::new(),
            bytes: 0,
        }
    }

    fn tell(&mut self, input: Input<'_>) {
        self.tracker.handle_input(self.now, input);
        while let Some(output) = self.tracker.poll_output() {
            match output {
                Output::Close(key, _) => self.closed.push(key),
                Output::Send(key, text) => {
                    self.bytes += text.len();
                    self.said
                        .push((key, ServerMessage::decode(&text).expect("our own message")));
                }
            }
        }
    }

    fn say(&mut self, from: u32, message: &ClientMessage) {
        self.tell(Input::Received(conn(from), &message.encode()));
    }

    /// Peer `n` connects as connection `n` and announces.
    fn join(&mut self, n: u32, left: Option<u64>, offers: usize) {
        self.tell(Input::Connected(conn(n)));
        self.announce(announce(n, left, offers), n);
    }

    fn announce(&mut self, announce: Announce, from: u32) {
        self.say(from, &ClientMessage::Announce(announce));
    }

    fn answer(&mut self, from: u32, to: PeerId, offer_id: OfferId) {
        let (info_hash, peer_id, sdp) = (SWARM, peer(from), "v=0\r\n".into());
        self.say(
            from,
            &ClientMessage::Answer(Answer {
                info_hash,
                peer_id,
                to_peer_id: to,
                offer_id,
                sdp,
            }),
        );
    }

    fn take(&mut self) -> Vec<(ConnKey, ServerMessage)> {
        core::mem::take(&mut self.said)
    }

    fn offers(&mut self) -> Vec<(ConnKey, PeerId, OfferId)> {
        let offer = |(key, message)| match message {
            ServerMessage::Offer {
                peer_id, offer_id, ..
            } => Some((key, peer_id, offer_id)),
            _ => None,
        };
        self.take().into_iter().filter_map(offer).collect()
    }

    fn errors(&mut self) -> Vec<(ConnKey, String)> {
        let error = |(key, message)| match message {
            ServerMessage::Error { reason, .. } => Some((key, reason)),
            _ => None,
        };
        self.take().into_iter().filter_map(error).collect()
    }

    fn counts(&self) -> (u64, u64, u64) {
        let counts = self.tracker.counts(SWARM);
        (counts.complete, counts.incomplete, counts.downloaded)
    }
}

#[test]
fn an_offer_reaches_the_other_peer_and_its_answer_comes_back_once() {
    let mut world = World::new();
    world.join(1, Some(0), 0);
    world.join(2, Some(9), 2);
    let offers = world.offers();
    assert_eq!(offers.len(), 1, "one other peer, one offer");
    let (to, by, offer) = offers[0];
    assert_eq!((to, by), (conn(1), peer(2)));
    world.answer(1, peer(2), offer);
    let said = world.take();
    assert!(
        matches!(&said[..], [(key, ServerMessage::Answer { peer_id, offer_id, .. })]
        if *key == conn(2) && *peer_id == peer(1) && *offer_id == offer)
    );
    world.answer(1, peer(2), offer);
    assert!(world.take().is_empty(), "replayed");
    assert_eq!(
        (
            world.tracker.stats().answers,
            world.tracker.stats().stray_answers
        ),
        (1, 1)
    );
}

#[test]
fn only_the_peer_that_got_an_offer_may_answer_it() {
    let mut world = World::new();
    world.join(1, Some(0), 0);
    world.join(2, Some(9), 1);
    let (_, by, offer) = world.offers()[0];
    world.join(3, Some(9), 0);
    world.take();
    world.answer(3, by, offer);
    let forged = Answer {
        info_hash: SWARM,
        peer_id: peer(1),
        to_peer_id: by,
        offer_id: offer,
        sdp: "v=0".into(),
    };
    world.say(3, &ClientMessage::Answer(forged.clone()));
    world.say(2, &ClientMessage::Answer(forged.clone()));
    world.tell(Input::Connected(conn(4)));
    world.say(4, &ClientMessage::Answer(forged));
    assert!(world.take().is_empty());
    world.answer(1, by, offer);
    assert_eq!(world.take().len(), 1);
}

#[test]
fn an_answer_that_comes_too_late_or_to_a_peer_that_left_goes_nowhere() {
    let mut world = World::new();
    world.join(1, Some(0), 0);
    world.join(2, Some(9), 1);
    let (_, by, offer) = world.offers()[0];
    world.now += Duration::from_secs(61);
    world.answer(1, by, offer);
    world.announce(announce(2, Some(9), 1), 2);
    let (_, by, offer) = world.offers()[0];
    world.tell(Input::Closed(conn(2)));
    world.answer(1, by, offer);
    assert!(world.take().is_empty());
}

#[test]
fn a_peer_id_belongs_to_its_connection_until_that_closes() {
    let mut world = World::new();
    world.join(1, Some(0), 0);
    world.take();
    world.tell(Input::Connected(conn(2)));
    world.announce(announce(1, Some(5), 1), 2);
    assert_eq!(
        world.errors(),
        [(conn(2), "this peer_id is on another connection".into())]
    );
    let stopped = Announce {
        event: Some(AnnounceEvent::Stopped),
        ..announce(1, Some(5), 0)
    };
    world.announce(stopped, 2);
    assert_eq!(
        world.counts(),
        (1, 0, 0),
        "another's stopped changes nothing"
    );
    world.tell(Input::Closed(conn(1)));
    assert_eq!(world.counts(), (0, 0, 0));
    world.announce(announce(1, Some(5), 1), 2);
    assert_eq!(world.counts(), (0, 1, 0), "free at once");
}

#[test]
fn a_connection_is_one_peer_in_a_swarm() {
    let mut world = World::new();
    world.join(1, Some(5), 0);
    world.take();
    world.announce(announce(2, Some(5), 0), 1);
    assert_eq!(
        world.errors()[0].1,
        "this connection has another peer_id in this swarm"
    );
    assert_eq!(world.counts(), (0, 1, 0));
}

#[test]
fn completed_makes_a_leecher_a_seed_and_counts_once_and_may_come_first() {
    let mut world = World::new();
    world.join(1, None, 0);
    assert_eq!(world.counts(), (0, 1, 0));
    let completed = |n| Announce {
        event: Some(AnnounceEvent::Completed),
        ..announce(n, Some(0), 0)
    };
    world.announce(completed(1), 1);
    world.announce(completed(1), 1);
    assert_eq!(world.counts(), (1, 0, 1));
    world.tell(Input::Connected(conn(2)));
    world.announce(completed(2), 2);
    assert_eq!(world.counts(), (2, 0, 2));
    world.take();
    world.say(2, &ClientMessage::Scrape(vec![SWARM, SwarmHash([6; 20])]));
    let counts = Counts {
        complete: 2,
        incomplete: 0,
        downloaded: 2,
    };
    let expected = ServerMessage::Scrape(vec![
        (SWARM, counts),
        (SwarmHash([6; 20]), Counts::default()),
    ]);
    assert_eq!(world.take(), [(conn(2), expected)]);
}

#[test]
fn stopped_makes_a_peer_leave_and_the_last_one_takes_the_swarm_with_it() {
    let mut world = World::new();
    world.join(1, Some(5), 0);
    let stopped = Announce {
        event: Some(AnnounceEvent::Stopped),
        ..announce(1, Some(5), 3)
    };
    world.announce(stopped, 1);
    let stats = world.tracker.stats();
    assert_eq!((stats.swarms, stats.peers, stats.connections), (0, 0, 1));
    assert!(matches!(
        world.take().last(),
        Some((
            _,
            ServerMessage::Response {
                complete: Some(0),
                ..
            }
        ))
    ));
}

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
fn messages_over_a_limit_are_refused_with_a_reason_and_then_with_a_closed_door() {
    let mut world = World::new();
    world.tell(Input::Connected(conn(1)));
    let hash = "\\u0005".repeat(20);
    let text = format!(r#"{{"action":"announce","info_hash":"{hash}","peer_id":7}}"#);
    world.tell(Input::Received(conn(1), &text));
    let refused = ServerMessage::Error {
        action: Action::Announce,
        info_hash: Some(SWARM),
        reason: "peer_id must be a string of 20 bytes".into(),
    };
    assert_eq!(world.take(), [(conn(1), refused)]);
    for text in ["", "[]", "{}", "7", r#"{"action":"x"}"#] {
        world.tell(Input::Received(conn(1), text));
    }
    assert_eq!(world.errors().len(), 5);
    for _ in 0..100 {
        world.tell(Input::Received(conn(1), "{"));
    }
    assert_eq!(world.closed, [conn(1)]);
    assert_eq!(world.tracker.stats().connections, 0);
}

#[test]
fn swarms_have_a_limit_a_connection_and_in_all() {
    let mut world = World::with(ServerConfig {
        max_swarms: 300,
        ..ServerConfig::default()
    });
    let hash = |n: u32| SwarmHash(peer(n).0);
    for from in 0..2 {
        world.tell(Input::Connected(conn(from)));
        for n in 0..260 - 160 * from {
            let info_hash = hash(from * 1000 + n);
            world.announce(
                Announce {
                    info_hash,
                    ..announce(from, Some(1), 0)
                },
                from,
            );
        }
    }
    assert_eq!(world.tracker.stats().swarms, 300);
    let errors = world.errors();
    assert_eq!(
        errors
            .iter()
            .filter(|(_, reason)| reason.contains("256 swarms"))
            .count(),
        4
    );
    assert_eq!(
        errors
            .iter()
            .filter(|(_, reason)| reason.contains("full"))
            .count(),
        56
    );
    world.tell(Input::Closed(conn(0)));
    world.tell(Input::Closed(conn(1)));
    assert_eq!(
        (world.tracker.stats().swarms, world.tracker.stats().peers),
        (0, 0)
    );
}

#[test]
fn a_flood_of_offers_reaches_one_victim_a_few_times() {
    let mut world = World::new();
    world.join(1, Some(0), 0);
    world.join(2, Some(9), 0);
    world.take();
    for round in 0..600 {
        world.now += Duration::from_millis(100);
        world.announce(announce(2, Some(9), 10), 2);
        let _ = round;
    }
    assert!(world.offers().len() <= 20, "in one minute");
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

#[test]
fn a_crowd_does_not_bury_the_only_seed() {
    let mut world = World::new();
    world.join(0, Some(0), 0);
    for n in 1..1000 {
        world.join(n, Some(9), 5);
    }
    let offers = world.offers();
    assert_eq!(offers.iter().filter(|(to, ..)| *to == conn(0)).count(), 400);
    assert!(
        offers.len() > 4900,
        "the others got each other: {}",
        offers.len()
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
    let mut received = vec![0; 1000];
    let mut graph: Vec<_> = (0..1000).collect();
    for (to, by, _) in world.offers() {
        received[to.0 as usize] += 1;
        let by = u32::from_be_bytes([by.0[16], by.0[17], by.0[18], by.0[19]]) as usize;
        let (a, b) = (root(&graph, to.0 as usize), root(&graph, by));
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

fn root(graph: &[usize], mut at: usize) -> usize {
    while graph[at] != at {
        at = graph[at];
    }
    at
}

#[test]
fn arbitrary_inputs_never_panic_and_everything_is_given_back() {
    for seed in 0..20 {
        let mut rng = Rng::seeded(seed);
        let mut world = World::with(ServerConfig {
            max_swarms: 5,
            ..ServerConfig::default()
        });
        let mut last = Vec::new();
        for _ in 0..3000 {
            let (from, id) = (rng.below(12), rng.below(12));
            world.now += Duration::from_millis(u64::from(rng.below(5000)));
            match rng.below(8) {
                0 => world.tell(Input::Connected(conn(from))),
                1 => world.tell(Input::Closed(conn(from))),
                2 => world.tell(Input::Received(conn(from), "{}")),
                3 => {
                    if let Some((to, by, offer)) = last.pop() {
                        let ConnKey(to) = to;
                        world.answer(to as u32, by, offer);
                    }
                }
                _ => {
                    let left = rng.chance(1, 2).then_some(u64::from(rng.below(2)));
                    let event = [
                        None,
                        Some(AnnounceEvent::Completed),
                        Some(AnnounceEvent::Stopped),
                    ][rng.below(3) as usize];
                    let info_hash = SwarmHash([rng.below(7) as u8; 20]);
                    let offers = rng.below(11) as usize;
                    world.announce(
                        Announce {
                            info_hash,
                            event,
                            ..announce(id, left, offers)
                        },
                        from,
                    );
                }
            }
            last = world.offers();
            let counted: u64 = world.tracker.swarms.values().map(Swarm::len).sum();
            assert_eq!(counted, world.tracker.stats().peers);
        }
        for n in 0..12 {
            world.tell(Input::Closed(conn(n)));
        }
        let stats = world.tracker.stats();
        assert_eq!((stats.connections, stats.swarms, stats.peers), (0, 0, 0));
    }
}
