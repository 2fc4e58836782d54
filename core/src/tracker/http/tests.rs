//! Stories of a client and its HTTP trackers.

use alloc::vec;

use super::*;
use crate::ids::{InfoHashV1, InfoHashV2};
use crate::time::Duration;

const LOOPBACK: IpAddr = IpAddr::V4(core::net::Ipv4Addr::LOCALHOST);
const PUBLIC: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(8, 8, 8, 8));
const V1: InfoHashes = InfoHashes::V1(InfoHashV1([1; 20]));

fn client(hashes: InfoHashes, trackers: &[&str]) -> HttpClient {
    HttpClient::new(config(hashes, trackers), Instant::START)
}

fn config(hashes: InfoHashes, trackers: &[&str]) -> HttpConfig {
    HttpConfig {
        peer_id: PeerId(*b"-HW0100-abcdefghijkl"),
        hashes,
        trackers: trackers.iter().map(ToString::to_string).collect(),
        port: 6881,
        left: None,
        seed: 7,
    }
}

/// What it wants to have fetched.
fn announces(client: &mut HttpClient) -> Vec<(AnnounceKey, String)> {
    let mut all = Vec::new();
    while let Some(output) = client.poll_output() {
        if let Output::Announce(key, url) = output {
            all.push((key, url));
        }
    }
    all
}

fn heard(client: &mut HttpClient) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(output) = client.poll_output() {
        if let Output::Heard(address) = output {
            all.push(address.to_string());
        }
    }
    all
}

fn progress(client: &mut HttpClient, now: Instant, left: u64) {
    let progress = Input::Progress(Progress {
        uploaded: 5,
        downloaded: 6,
        left: Some(left),
        ..Progress::default()
    });
    client.handle_input(now, progress);
}

const PEERS: &[u8] = b"d8:intervali600e5:peers12:\x7f\0\0\x01\x1a\xe1\x08\x08\x08\x08\x1a\xe2e";

#[test]
fn a_hybrid_is_announced_under_both_its_names() {
    let hybrid = InfoHashes::Hybrid(InfoHashV1([1; 20]), InfoHashV2([2; 32]));
    let mut client = client(hybrid, &["http://a/announce"]);
    let urls: Vec<String> = announces(&mut client)
        .into_iter()
        .map(|(_, url)| url)
        .collect();
    let names = ["info_hash=%01%01", "info_hash=%02%02"];
    assert_eq!(urls.len(), 2);
    assert!(
        urls.iter().zip(names).all(|(url, name)| url.contains(name)),
        "{urls:?}"
    );
}

#[test]
fn it_starts_completes_and_stops_in_words_that_trackers_count() {
    let mut client = client(V1, &["http://a/announce"]);
    let (key, url) = announces(&mut client).remove(0);
    assert!(
        url.contains("&left=16384&") && url.ends_with("&event=started"),
        "{url}"
    );
    client.handle_input(Instant::START, Input::Answered(key, LOOPBACK, PEERS));
    assert_eq!(heard(&mut client), ["127.0.0.1:6881", "8.8.8.8:6882"]);

    let mut now = Instant::START + Duration::from_secs(5);
    progress(&mut client, now, 10);
    assert!(announces(&mut client).is_empty(), "it is not time yet");
    let due = client.poll_timeout().expect("a next time");
    assert!((600..=660).contains(&due.since(Instant::START).as_secs()));
    now = due;
    client.handle_input(now, Input::TimedOut);
    let (key, url) = announces(&mut client).remove(0);
    assert!(
        url.contains("&uploaded=5&downloaded=6&left=10&") && !url.contains("event"),
        "{url}"
    );
    progress(&mut client, now, 0);
    assert!(announces(&mut client).is_empty(), "one at a time");
    client.handle_input(now, Input::Answered(key, LOOPBACK, PEERS));
    let (key, url) = announces(&mut client).remove(0);
    assert!(
        url.ends_with(
            "&left=0&compact=1&no_peer_id=1&key="
                .split('&')
                .next()
                .unwrap_or("")
        ) || url.ends_with("&event=completed"),
        "{url}"
    );
    client.handle_input(now, Input::Answered(key, LOOPBACK, PEERS));
    progress(&mut client, now, 0);
    assert!(announces(&mut client).is_empty(), "completed is said once");
    client.handle_input(now, Input::Stopped);
    let (_, url) = announces(&mut client).remove(0);
    assert!(
        url.contains("&numwant=0") && url.ends_with("&event=stopped"),
        "{url}"
    );
    assert_eq!(client.poll_timeout(), None);
}

#[test]
fn who_has_all_from_the_start_completes_nothing() {
    let mut config = config(V1, &["http://a/announce"]);
    config.left = Some(0);
    let mut client = HttpClient::new(config, Instant::START);
    let (key, url) = announces(&mut client).remove(0);
    assert!(url.contains("&left=0&") && url.ends_with("&event=started"));
    client.handle_input(Instant::START, Input::Answered(key, LOOPBACK, PEERS));
    progress(&mut client, Instant::START, 0);
    assert!(announces(&mut client).is_empty());
}

#[test]
fn a_tracker_out_in_the_world_cannot_send_us_home() {
    let mut client = client(V1, &["http://a/announce"]);
    let (key, _) = announces(&mut client).remove(0);
    client.handle_input(Instant::START, Input::Answered(key, PUBLIC, PEERS));
    assert_eq!(heard(&mut client), ["8.8.8.8:6882"]);
}

#[test]
fn intervals_are_held_within_reason() {
    for (said, least, most) in [
        ("i1e", 15, 17),
        ("i-1e", 15, 17),
        ("i99999999999e", 3600, 3960),
        ("i700e", 700, 770),
        ("3:abc", 900, 990),
    ] {
        let mut client = client(V1, &["http://a/announce"]);
        let (key, _) = announces(&mut client).remove(0);
        let body = alloc::format!("d8:interval{said}5:peers6:\x7f\0\0\x01\x1a\x21e");
        client.handle_input(
            Instant::START,
            Input::Answered(key, LOOPBACK, body.as_bytes()),
        );
        let pause = client
            .poll_timeout()
            .expect("a next time")
            .since(Instant::START);
        assert!(
            (least..=most).contains(&pause.as_secs()),
            "{said}: {pause:?}"
        );
    }
}

#[test]
fn a_dead_tracker_is_asked_ever_later_and_the_other_goes_on() {
    let mut client = client(V1, &["http://dead/announce", "http://a/announce"]);
    let asked = announces(&mut client);
    assert_eq!(asked.len(), 2);
    client.handle_input(Instant::START, Input::Answered(asked[1].0, LOOPBACK, PEERS));
    let mut key = asked[0].0;
    let mut pauses = vec![];
    let mut now = Instant::START;
    for _ in 0..6 {
        client.handle_input(now, Input::Failed(key, "refused"));
        let due = client.poll_timeout().expect("a next time");
        pauses.push(due.since(now).as_secs());
        now = due;
        client.handle_input(now, Input::TimedOut);
        key = announces(&mut client).remove(0).0;
    }
    for (pause, first) in pauses.iter().zip([5, 10, 20, 40, 80, 160]) {
        assert!((first..=first + first / 10).contains(pause), "{pauses:?}");
    }
}

#[test]
fn who_lacks_something_and_hears_of_nobody_asks_again_soon_but_not_sooner_than_allowed() {
    for (body, least, most) in [
        (&b"d8:intervali1800e5:peers0:e"[..], 15, 17),
        (
            &b"d10:incompletei1e8:intervali1800e5:peers6:\x7f\0\0\x01\x1a\xe1e"[..],
            15,
            17,
        ),
        (
            &b"d8:intervali1800e12:min intervali900e5:peers0:e"[..],
            900,
            990,
        ),
    ] {
        let mut client = client(V1, &["http://a/announce"]);
        let (key, _) = announces(&mut client).remove(0);
        client.handle_input(Instant::START, Input::Answered(key, LOOPBACK, body));
        let pause = client
            .poll_timeout()
            .expect("a next time")
            .since(Instant::START);
        assert!((least..=most).contains(&pause.as_secs()), "{pause:?}");
    }
}

#[test]
fn a_tracker_that_never_wants_us_is_left_alone() {
    let mut client = client(V1, &["http://a/announce"]);
    let (key, _) = announces(&mut client).remove(0);
    let body = b"d14:failure reason4:gone8:retry in5:nevere";
    client.handle_input(Instant::START, Input::Answered(key, LOOPBACK, body));
    assert_eq!(client.poll_timeout(), None);
    client.handle_input(Instant::START, Input::Stopped);
    assert!(announces(&mut client).is_empty(), "it does not know us");
}

#[test]
fn an_answer_to_nothing_is_no_answer() {
    let mut client = client(V1, &["http://a/announce"]);
    let (key, _) = announces(&mut client).remove(0);
    let other = AnnounceKey(key.0 + 1);
    client.handle_input(Instant::START, Input::Answered(other, LOOPBACK, PEERS));
    client.handle_input(Instant::START, Input::Answered(key, LOOPBACK, PEERS));
    client.handle_input(Instant::START, Input::Answered(key, LOOPBACK, PEERS));
    assert_eq!(heard(&mut client).len(), 2);
}
