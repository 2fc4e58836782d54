//! Peers over TCP, honest and not.

use super::*;
use crate::tracker::server::{Input, Listing, ServerConfig};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec;

fn announce(n: u16, left: u64) -> PlainAnnounce {
    let ip = if n.is_multiple_of(2) {
        "192.0.2.1"
    } else {
        "2001:db8::1"
    };
    PlainAnnounce {
        info_hash: SwarmHash([7; 20]),
        peer_id: PeerId([n as u8; 20]),
        address: SocketAddr::new(ip.parse().unwrap(), n),
        event: None,
        left: Some(left),
        wanted: 50,
    }
}

fn tracker() -> Tracker {
    Tracker::new(ServerConfig::default())
}

fn secs(seconds: u64) -> Instant {
    Instant::START + Duration::from_secs(seconds)
}

#[test]
fn a_leecher_hears_of_all_others_and_a_seed_of_leechers_alone() {
    let mut tracker = tracker();
    for n in 1..=6 {
        let response = tracker.announce_plain(secs(1), &announce(n, u64::from(n % 3)));
        assert_eq!(
            response.unwrap().peers.len(),
            usize::from(n)
                - 1
                - if n % 3 == 0 {
                    usize::from(n / 3) - 1
                } else {
                    0
                }
        );
    }
    let response = tracker.announce_plain(secs(2), &announce(6, 0)).unwrap();
    assert_eq!(
        (response.counts.complete, response.counts.incomplete),
        (2, 4)
    );
    assert!(
        response
            .peers
            .iter()
            .all(|(address, _)| address.port() % 3 != 0)
    );
    assert_eq!(tracker.stats().plain_peers, 6);
}

#[test]
fn addresses_of_the_askers_own_kind_come_first() {
    let mut tracker = tracker();
    for n in 0..200 {
        tracker.announce_plain(secs(1), &announce(n, 1)).unwrap();
    }
    let asked = PlainAnnounce {
        wanted: 20,
        ..announce(200, 1)
    };
    let peers = tracker.announce_plain(secs(1), &asked).unwrap().peers;
    assert_eq!(peers.len(), 20);
    assert!(
        peers
            .iter()
            .filter(|(address, _)| address.is_ipv4())
            .count()
            >= 15
    );
}

#[test]
fn who_stops_or_falls_silent_is_gone_and_the_swarm_with_it() {
    let mut tracker = tracker();
    tracker.announce_plain(secs(0), &announce(1, 1)).unwrap();
    tracker.announce_plain(secs(0), &announce(2, 1)).unwrap();
    let forged = PlainAnnounce {
        peer_id: PeerId([9; 20]),
        event: Some(AnnounceEvent::Stopped),
        ..announce(2, 1)
    };
    tracker.announce_plain(secs(1), &forged).unwrap();
    assert_eq!(
        tracker.stats().peers,
        2,
        "another id's stopped changes nothing"
    );
    let stopped = PlainAnnounce {
        peer_id: PeerId([2; 20]),
        ..forged
    };
    tracker.announce_plain(secs(1), &stopped).unwrap();
    assert_eq!(tracker.stats().peers, 1);
    tracker.announce_plain(secs(600), &announce(1, 1)).unwrap();
    assert_eq!(tracker.poll_timeout(), Some(secs(1800)));
    tracker.handle_input(secs(1799), Input::TimedOut);
    assert_eq!(tracker.stats().peers, 1);
    tracker.handle_input(secs(1800), Input::TimedOut);
    let stats = tracker.stats();
    assert_eq!((stats.peers, stats.plain_peers, stats.swarms), (0, 0, 0));
    assert_eq!(tracker.poll_timeout(), None);
}

#[test]
fn completed_counts_once() {
    let mut tracker = tracker();
    tracker.announce_plain(secs(0), &announce(1, 1)).unwrap();
    let completed = PlainAnnounce {
        event: Some(AnnounceEvent::Completed),
        ..announce(1, 0)
    };
    for _ in 0..3 {
        let counts = tracker.announce_plain(secs(1), &completed).unwrap().counts;
        assert_eq!(
            counts,
            Counts {
                complete: 1,
                incomplete: 0,
                downloaded: 1
            }
        );
    }
}

#[test]
fn peers_of_other_trackers_are_named_beside_our_own_and_nobody_twice() {
    let mut tracker = tracker();
    for n in 1..=40 {
        tracker.announce_plain(secs(1), &announce(n, 1)).unwrap();
    }
    let peer = |n: u16| (announce(n, 1).address, announce(n, 1).peer_id);
    let abroad = Abroad {
        plain_seeds: 1,
        plain_leechers: 81,
        downloaded: 5,
        ..Abroad::default()
    };
    let drawn = Drawn {
        seeds: vec![peer(200)],
        // Ours, the asker, and the others.
        leechers: (1..=81).map(peer).collect(),
    };
    let asked = PlainAnnounce {
        wanted: 31,
        ..announce(40, 1)
    };
    let response = tracker.announce_plain_among(secs(2), &asked, &abroad, &drawn);
    let PlainResponse { counts, peers, .. } = response.unwrap();
    assert_eq!(
        counts,
        Counts {
            complete: 1,
            incomplete: 81,
            downloaded: 5
        }
    );
    let named: BTreeSet<_> = peers.iter().map(|(address, _)| address).collect();
    assert_eq!((peers.len(), named.len()), (31, 31));
    assert!(named.contains(&peer(200).0) && !named.contains(&asked.address));
    let own = |address: &SocketAddr| address.port() < 40;
    assert!(
        peers.iter().filter(|(one, _)| own(one)).count() >= 15,
        "as many as their part"
    );

    let other = PlainAnnounce {
        peer_id: PeerId([77; 20]),
        ..asked
    };
    let before = tracker.arrive_plain(secs(3), &other).unwrap();
    assert_eq!(before, Some(asked.peer_id), "an address is a peer");
    assert_eq!(tracker.arrive_plain(secs(3), &other).unwrap(), None);
}

#[test]
fn a_million_strange_swarms_are_bounded_and_given_back() {
    let config = ServerConfig {
        max_swarms: 1000,
        max_plain: 1500,
        ..ServerConfig::default()
    };
    let mut tracker = Tracker::new(config);
    for n in 0..100_000_u32 {
        let mut info_hash = SwarmHash([0; 20]);
        info_hash.0[..4].copy_from_slice(&n.to_be_bytes());
        let strange = PlainAnnounce {
            info_hash,
            ..announce(n as u16, 1)
        };
        let _ = tracker.announce_plain(secs(u64::from(n / 1000)), &strange);
    }
    assert_eq!(
        (tracker.stats().swarms, tracker.stats().peers),
        (1000, 1000)
    );
    tracker.handle_input(secs(2000), Input::TimedOut);
    assert_eq!((tracker.stats().swarms, tracker.stats().peers), (0, 0));
}

#[test]
fn torrents_that_are_not_listed_are_refused() {
    let listed = BTreeSet::from([SwarmHash([7; 20])]);
    for (listing, is_tracked) in [
        (Listing::All, true),
        (Listing::Only(listed.clone()), true),
        (Listing::AllBut(listed), false),
        (Listing::Only(BTreeSet::new()), false),
    ] {
        let what = format!("{listing:?}");
        let mut tracker = Tracker::new(ServerConfig {
            listing,
            ..ServerConfig::default()
        });
        let heard = tracker.announce_plain(secs(0), &announce(1, 1));
        assert_eq!(heard.is_ok(), is_tracked, "{what}");
    }
}
