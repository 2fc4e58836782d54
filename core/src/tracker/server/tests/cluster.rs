//! Three trackers that share their swarms, with nothing between them but this test.

use super::*;
use alloc::format;
use alloc::vec;

/// Each with its own peers: peer `n` is at tracker `n % 3`.
struct Cluster {
    worlds: Vec<World>,
}

const fn node(at: usize) -> NodeKey {
    NodeKey(1000 + at as u64)
}

impl Cluster {
    fn new() -> Self {
        let world = |at| {
            World::with(ServerConfig {
                seed: at as u64,
                node: Some(node(at)),
                ..ServerConfig::default()
            })
        };
        Self {
            worlds: (0..3).map(world).collect(),
        }
    }

    /// What the trackers but `at` have.
    fn shares(&self, at: usize) -> Shares {
        let others = (0..self.worlds.len()).filter(|other| *other != at);
        let share = |other: usize| {
            let swarm = self.worlds[other].tracker.swarms.get(&SWARM)?;
            let (seeds, leechers) = swarm.share();
            Some(Share {
                node: node(other),
                seeds,
                leechers,
            })
        };
        let shares = others.filter_map(share).collect();
        let abroad = Abroad {
            shares,
            ..Abroad::default()
        };
        Shares::from([(SWARM, abroad)])
    }

    fn announce(&mut self, n: u32, left: u64, offers: usize) {
        let at = n as usize % 3;
        let shares = self.shares(at);
        let text = ClientMessage::Announce(announce(n, Some(left), offers)).encode();
        let heard = Heard::read(&text);
        if let Ok(Heard::Announce(announce)) = &heard {
            self.worlds[at].tell(Input::Arrived(conn(n), announce));
        }
        self.worlds[at].tell(Input::HeardAmong(conn(n), heard, &shares));
        self.deliver();
    }

    fn join(&mut self, n: u32, left: u64, offers: usize) {
        self.worlds[n as usize % 3].tell(Input::Connected(conn(n)));
        self.announce(n, left, offers);
    }

    fn deliver(&mut self) {
        while let Some((NodeKey(to), text)) =
            self.worlds.iter_mut().find_map(|one| one.relayed.pop())
        {
            self.worlds[(to - 1000) as usize].tell(Input::Relayed(&text));
        }
    }

    /// What was offered since last asked: who got it, of whom, and which.
    fn offers(&mut self) -> Vec<(u32, PeerId, OfferId)> {
        let offers = self.worlds.iter_mut().flat_map(World::offers);
        offers.map(|(to, by, id)| (to.0 as u32, by, id)).collect()
    }

    fn wait(&mut self, duration: Duration) {
        self.worlds.iter_mut().for_each(|one| one.now += duration);
    }
}

#[test]
fn peers_of_two_trackers_meet_and_the_answer_finds_its_way_back_once() {
    let mut cluster = Cluster::new();
    cluster.join(1, 0, 0);
    cluster.join(2, 9, 5);
    let offers = cluster.offers();
    assert_eq!(offers.len(), 1, "one peer, one offer");
    let (to, by, offer) = offers[0];
    assert_eq!((to, by), (1, peer(2)));
    for _ in 0..2 {
        cluster.worlds[1].answer(1, by, offer);
        cluster.deliver();
    }
    let said = cluster.worlds[2].take();
    assert!(
        matches!(&said[..], [(key, ServerMessage::Answer { peer_id, offer_id, .. })]
        if *key == conn(2) && *peer_id == peer(1) && *offer_id == offer),
        "{said:?}"
    );
}

#[test]
fn all_are_counted_wherever_they_are() {
    let mut cluster = Cluster::new();
    (0..9).for_each(|n| cluster.join(n, u64::from(n % 2), 0));
    cluster.worlds.iter_mut().for_each(|one| drop(one.take()));
    cluster.announce(4, 0, 0);
    assert!(matches!(
        cluster.worlds[1].take()[..],
        [(
            _,
            ServerMessage::Response {
                complete: Some(5),
                incomplete: Some(4),
                ..
            }
        )]
    ));
    let shares = cluster.shares(2);
    let scrape = ClientMessage::Scrape([SWARM].into()).encode();
    cluster.worlds[2].tell(Input::HeardAmong(conn(2), Heard::read(&scrape), &shares));
    let said = cluster.worlds[2].take();
    assert!(matches!(&said[..], [(_, ServerMessage::Scrape(counts))] if counts[0].1.complete == 5));
    let mut changed = cluster.worlds[0].tracker.take_changed(99);
    let (swarm, Change { share, completed }) = changed.pop().unwrap();
    assert_eq!((swarm, share.seeds + share.leechers), (SWARM, 3));
    assert_eq!(completed, 0);
    assert!(cluster.worlds[0].tracker.take_changed(99).is_empty());
}

#[test]
fn a_leecher_gets_a_seed_of_another_tracker_before_leechers_of_its_own() {
    let mut cluster = Cluster::new();
    cluster.join(1, 0, 0);
    (0..60)
        .filter(|n| n % 3 == 0)
        .for_each(|n| cluster.join(n, 9, 0));
    cluster.offers();
    cluster.join(300, 9, 5);
    let to: Vec<_> = cluster.offers().into_iter().map(|(to, ..)| to).collect();
    assert_eq!(to.len(), 5);
    assert_eq!(to.iter().filter(|to| **to == 1).count(), 1, "{to:?}");
}

#[test]
fn three_trackers_hold_one_swarm_together() {
    let mut cluster = Cluster::new();
    for n in 0..600 {
        cluster.join(n, 1, 5);
        cluster.wait(Duration::from_millis(200));
    }
    cluster.offers();
    for n in 0..600 {
        cluster.announce(n, 1, 5);
        cluster.wait(Duration::from_millis(200));
    }
    let offers = cluster.offers();
    assert!(
        offers.len() > 2900,
        "{} of 3000 found somebody",
        offers.len()
    );
    let abroad = offers
        .iter()
        .filter(|(to, by, _)| to % 3 != number(*by) % 3)
        .count();
    assert!(
        (1800..2200).contains(&abroad),
        "{abroad} of 3000 to other trackers, about two thirds"
    );
    let mut received = vec![0; 600];
    offers
        .iter()
        .for_each(|(to, ..)| received[*to as usize] += 1);
    let (least, most) = (received.iter().min(), received.iter().max());
    assert!(
        least >= Some(&1) && most <= Some(&20),
        "{least:?} to {most:?}"
    );
}

fn number(id: PeerId) -> u32 {
    u32::from_be_bytes([id.0[16], id.0[17], id.0[18], id.0[19]])
}

#[test]
fn what_another_tracker_brought_back_is_offered_to_our_own() {
    // The driver found nobody at the other end.
    let mut cluster = Cluster::new();
    cluster.join(0, 9, 0);
    cluster.join(1, 9, 0);
    let (shares, text) = (
        cluster.shares(0),
        ClientMessage::Announce(announce(3, Some(9), 5)).encode(),
    );
    cluster.worlds[0].tell(Input::Connected(conn(3)));
    cluster.worlds[0].tell(Input::HeardAmong(conn(3), Heard::read(&text), &shares));
    let (_, back) = cluster.worlds[0]
        .relayed
        .pop()
        .expect("an offer for peer 1");
    let before = cluster.worlds[0].offers().len();
    cluster.worlds[0].now += Duration::from_secs(9);
    cluster.worlds[0].tell(Input::Relayed(&back));
    let offers = cluster.worlds[0].offers();
    assert_eq!((before, offers.len()), (1, 1));
    let (ConnKey(to), by, offer) = offers[0];
    cluster.worlds[0].answer(to as u32, by, offer);
    assert!(cluster.worlds[0].relayed.is_empty(), "it is our own");
    assert_eq!(cluster.worlds[0].take().len(), 1);
}

#[test]
fn nonsense_from_other_trackers_changes_nothing() {
    let mut cluster = Cluster::new();
    cluster.join(0, 9, 0);
    cluster.worlds[0].take();
    let whole = ClientMessage::Announce(announce(5, Some(9), 3)).encode();
    let relay = format!("offers 1001 5 0\n{whole}");
    let mut rng = Rng::seeded(4);
    for _ in 0..3000 {
        let mut bytes = relay.clone().into_bytes();
        bytes.truncate(rng.below(bytes.len() as u32 + 1) as usize);
        for _ in 0..rng.below(4) {
            if !bytes.is_empty() {
                let at = rng.below(bytes.len() as u32) as usize;
                bytes[at] = b"\"\\{}[],:0n \n9"[rng.below(13) as usize];
            }
        }
        if let Ok(text) = core::str::from_utf8(&bytes) {
            cluster.worlds[0].tell(Input::Relayed(text));
        }
    }
    let share = |n| Share {
        node: NodeKey(n),
        seeds: u32::MAX,
        leechers: u32::MAX,
    };
    let abroad = Abroad {
        shares: (0..100).map(share).collect(),
        plain_seeds: 1 << 40,
        plain_leechers: 1 << 40,
        downloaded: u64::MAX,
    };
    let shares = Shares::from([(SWARM, abroad)]);
    let text = ClientMessage::Announce(announce(0, Some(9), 5)).encode();
    cluster.worlds[0].tell(Input::HeardAmong(conn(0), Heard::read(&text), &shares));
    assert!(cluster.worlds[0].relayed.len() <= 5);
    assert_eq!(cluster.worlds[0].counts(), (0, 1, 0));
    assert!(cluster.worlds[0].closed.is_empty());
}
