//! What is asked by HTTP: announces of peers over TCP, health, counters.

use super::*;

/// What is said to one request on a connection of its own.
async fn get(url: &str, path: &str) -> Vec<u8> {
    get_as(url, path, &format!("Host: {}\r\n", address_of(url))).await
}

fn address_of(url: &str) -> &str {
    let address = url.trim_start_matches("ws://");
    address.trim_end_matches("/announce")
}

/// The same with other fields in its head.
async fn get_as(url: &str, path: &str, fields: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address_of(url)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut said))
        .await
        .unwrap()
        .unwrap();
    said
}

fn is_in(what: &[u8], whole: &[u8]) -> bool {
    whole.windows(what.len()).any(|part| part == what)
}

const HASH: &str = "%fe%fe%fe%fe%fe%fe%fe%fe%fe%fe%fe%fe%fe%fe%fe%fe%fe%fe%fe%fe";

fn plain(port: u16, left: u64, more: &str) -> String {
    let id = format!("-XX0000-{port:012}");
    format!("/announce?info_hash={HASH}&peer_id={id}&port={port}&left={left}{more}")
}

#[tokio::test]
async fn peers_over_tcp_get_addresses_and_are_counted_with_those_over_webrtc() {
    let (handle, url) = tracker(TrackerConfig::default()).await;
    let mut page = connect(&url).await;
    say(&mut page, &announce(1, 0, 0)).await;
    hear(&mut page).await;
    assert!(is_in(
        b"5:peers0:",
        &get(&url, &plain(6881, 5, "&compact=1")).await
    ));
    let said = get(&url, &plain(6882, 0, "&compact=1")).await;
    assert!(is_in(b"d8:completei1e10:incompletei2e", &said));
    assert!(
        is_in(b"5:peers6:\x7f\0\0\x01\x1a\xe1e", &said),
        "{}",
        String::from_utf8_lossy(&said)
    );
    let said = get(&url, &plain(6883, 5, "&compact=0")).await;
    assert!(is_in(
        b"d2:ip9:127.0.0.17:peer id20:-XX0000-0000000068824:porti6882ee",
        &said
    ));
    let scraped = get(&url, &format!("/scrape?info_hash={HASH}")).await;
    assert!(is_in(
        b"d8:completei1e10:downloadedi0e10:incompletei3ee",
        &scraped
    ));
    get(&url, &plain(6883, 5, "&event=stopped")).await;
    say(&mut page, &ClientMessage::Scrape(vec![SWARM])).await;
    let Some(ServerMessage::Scrape(counts)) = hear(&mut page).await else {
        panic!("a scrape")
    };
    assert_eq!((counts[0].1.complete, counts[0].1.incomplete), (1, 2));
    assert_eq!(handle.stats().plain_peers, 2);
    assert!(is_in(
        b"failure reason",
        &get(&url, "/announce?info_hash=short").await
    ));
}

#[tokio::test]
async fn its_health_and_its_counters_can_be_read() {
    let (handle, url) = tracker(TrackerConfig::default()).await;
    let _page = connect(&url).await;
    assert!(is_in(b"200 OK", &get(&url, "/healthz").await));
    assert!(is_in(b"\"connections\":1,", &get(&url, "/stats").await));
    let metrics = get(&url, "/metrics").await;
    assert!(is_in(b"\nheadwater_tracker_connections 1\n", &metrics));
    assert!(is_in(b"404", &get(&url, "/elsewhere").await));
    assert!(is_in(b"426", &get(&url, "/announce").await));
    let leaving = handle.clone();
    std::thread::spawn(move || leaving.drain(PATIENCE));
    until_connections(&handle, 0).await;
}

#[tokio::test]
async fn behind_another_port_it_is_the_same_tracker() {
    let handle = TrackerHandle::new(TrackerConfig::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/announce", listener.local_addr().unwrap());
    tokio::spawn(crate::http::serve(listener, router(handle.clone())));
    let mut page = connect(&url).await;
    say(&mut page, &announce(1, 0, 0)).await;
    assert!(matches!(
        hear(&mut page).await,
        Some(ServerMessage::Response { .. })
    ));
    assert!(is_in(
        b"10:incompletei2e",
        &get(&url, &plain(1, 5, "")).await
    ));
    drop(page);
    until_connections(&handle, 0).await;
    assert_eq!(handle.sockets(), 0);
}

/// Those of its pages that say something about this machine.
const PAGES: [&str; 4] = ["/announce", "/metrics", "/scrape", "/stats"];

#[tokio::test]
async fn a_page_that_makes_its_own_name_lead_to_a_local_tracker_gets_nothing() {
    let (_handle, url) = tracker(TrackerConfig {
        is_local: true,
        ..TrackerConfig::default()
    })
    .await;
    for path in PAGES {
        let said = get_as(&url, path, "Host: evil.example\r\n").await;
        assert!(is_in(b"HTTP/1.1 421", &said), "{path}");
    }
    assert!(is_in(b"200 OK", &get(&url, "/stats").await));
}

#[tokio::test]
async fn no_page_of_another_origin_is_let_read_what_is_answered() {
    let (_handle, alone) = tracker(TrackerConfig::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let beside = format!("ws://{}/announce", listener.local_addr().unwrap());
    let handle = TrackerHandle::new(TrackerConfig::default()).unwrap();
    tokio::spawn(crate::http::serve(listener, router(handle)));
    for url in [alone, beside] {
        for path in PAGES {
            let fields = format!(
                "Host: {}\r\nOrigin: https://evil.example\r\n",
                address_of(&url)
            );
            let said = get_as(&url, path, &fields).await.to_ascii_lowercase();
            assert!(is_in(b"http/1.1 ", &said), "{path}");
            assert!(!is_in(b"access-control-allow", &said), "{path}");
        }
    }
}
