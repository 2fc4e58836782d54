//! The tracker on a port of 127.0.0.1, talked to by sockets.

use futures_util::{SinkExt, StreamExt};
use headwater_core::ids::PeerId;
use headwater_core::tracker::message::{
    Announce, Answer, ClientMessage, MAX_MESSAGE, Offer, OfferId, ServerMessage,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;

mod hostile;
mod secure;

const SWARM: SwarmHash = SwarmHash([0xfe; 20]);

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A tracker that listens, and its URL.
async fn tracker(config: TrackerConfig) -> (TrackerHandle, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/announce", listener.local_addr().unwrap());
    (TrackerHandle::listen(config, listener).unwrap(), url)
}

async fn connect(url: &str) -> Socket {
    connect_async(url).await.unwrap().0
}

fn announce(n: u8, offers: usize, sdp: usize) -> ClientMessage {
    let offer = |at| Offer {
        id: OfferId([at as u8; 20]),
        sdp: "x".repeat(sdp),
    };
    ClientMessage::Announce(Announce {
        info_hash: SWARM,
        peer_id: PeerId([n; 20]),
        event: None,
        uploaded: 0,
        downloaded: 0,
        left: Some(1),
        offers: (0..offers).map(offer).collect(),
    })
}

async fn say(socket: &mut Socket, message: &ClientMessage) {
    socket.send(Message::text(message.encode())).await.unwrap();
}

/// The next thing the tracker says; `None` when it closes the socket.
async fn hear(socket: &mut Socket) -> Option<ServerMessage> {
    loop {
        match timeout(PATIENCE, socket.next())
            .await
            .expect("the tracker to do something")?
        {
            Ok(Message::Text(text)) => return Some(ServerMessage::decode(&text).unwrap()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Wait until the tracker counts so many sockets.
async fn until_connections(handle: &TrackerHandle, count: usize) {
    let counted = async {
        while handle.stats().connections != count {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, counted)
        .await
        .expect("the tracker to notice");
}

#[tokio::test]
async fn two_pages_are_introduced_and_leave_nothing_behind() {
    let (handle, url) = tracker(TrackerConfig::default()).await;
    let (mut first, mut second) = (connect(&url).await, connect(&url).await);
    say(&mut first, &announce(1, 0, 0)).await;
    assert!(matches!(
        hear(&mut first).await,
        Some(ServerMessage::Response {
            incomplete: Some(1),
            ..
        })
    ));
    say(&mut second, &announce(2, 1, 100)).await;
    assert!(matches!(
        hear(&mut second).await,
        Some(ServerMessage::Response {
            incomplete: Some(2),
            ..
        })
    ));
    let Some(ServerMessage::Offer {
        peer_id, offer_id, ..
    }) = hear(&mut first).await
    else {
        panic!("an offer")
    };
    let (to_peer_id, sdp) = (peer_id, "v=0".into());
    let answer = Answer {
        info_hash: SWARM,
        peer_id: PeerId([1; 20]),
        to_peer_id,
        offer_id,
        sdp,
    };
    say(&mut first, &ClientMessage::Answer(answer)).await;
    assert!(matches!(
        hear(&mut second).await,
        Some(ServerMessage::Answer { .. })
    ));
    drop((first, second));
    until_connections(&handle, 0).await;
    assert_eq!((handle.stats().peers, handle.stats().swarms), (0, 0));
}

#[tokio::test]
async fn what_is_too_long_is_refused_with_a_reason() {
    let (_handle, url) = tracker(TrackerConfig::default()).await;
    let mut socket = connect(&url).await;
    let mut reasons = Vec::new();
    let longer = " ".repeat(MAX_MESSAGE + 1);
    for text in [
        announce(1, 1, (16 << 10) + 1).encode(),
        announce(1, 11, 10).encode(),
        longer,
    ] {
        socket.send(Message::text(text)).await.unwrap();
        match hear(&mut socket).await {
            Some(ServerMessage::Error { reason, .. }) => reasons.push(reason),
            other => panic!("{other:?}"),
        }
    }
    assert!(
        reasons[0].contains("16 KiB")
            && reasons[1].contains("10 offers")
            && reasons[2].contains("64 KiB")
    );
    let _ = socket
        .send(Message::text(" ".repeat(3 * MAX_MESSAGE)))
        .await;
    assert!(
        hear(&mut socket).await.is_none(),
        "and what is far too long is not even read"
    );
}

#[tokio::test]
async fn a_socket_that_never_speaks_is_closed() {
    let first_message_timeout = Duration::from_millis(50);
    let (handle, url) = tracker(TrackerConfig {
        first_message_timeout,
        ..TrackerConfig::default()
    })
    .await;
    let mut silent = connect(&url).await;
    let mut ponging = connect(&url).await;
    let _ = ponging.send(Message::Pong(Default::default())).await;
    assert!(hear(&mut silent).await.is_none());
    assert!(hear(&mut ponging).await.is_none());
    until_connections(&handle, 0).await;
}

#[tokio::test]
async fn a_socket_that_answers_no_ping_is_closed_and_one_that_does_stays() {
    let (ping_after, ping_timeout) = (Duration::from_millis(50), Duration::from_millis(500));
    let (handle, url) = tracker(TrackerConfig {
        ping_after,
        ping_timeout,
        ..TrackerConfig::default()
    })
    .await;
    let (mut alive, mut dead) = (connect(&url).await, connect(&url).await);
    say(&mut alive, &announce(1, 0, 0)).await;
    say(&mut dead, &announce(2, 0, 0)).await;
    hear(&mut dead).await;
    hear(&mut alive).await;
    // Reading is what answers pings; the dead one's socket is not read, and not closed.
    let reading = tokio::spawn(async move { while hear(&mut alive).await.is_some() {} });
    until_connections(&handle, 1).await;
    assert_eq!(handle.stats().peers, 1);
    reading.abort();
    drop(dead);
}

#[tokio::test]
async fn pages_of_other_origins_and_sockets_too_many_are_turned_away() {
    let origins = vec!["https://films.example".to_owned()];
    let (_handle, url) = tracker(TrackerConfig {
        origins,
        max_connections: 2,
        ..TrackerConfig::default()
    })
    .await;
    let from = |origin: &str| {
        let mut request = url.as_str().into_client_request().unwrap();
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        request
    };
    let status = |tried: Result<_, Error>| match tried {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("{other}"),
        Ok(_) => 101,
    };
    assert_eq!(
        status(
            connect_async(from("https://elsewhere.example"))
                .await
                .map(|_| ())
        ),
        403
    );
    let _page = connect_async(from("https://films.example")).await.unwrap();
    let _program = connect(&url).await;
    assert_eq!(status(connect_async(url.as_str()).await.map(|_| ())), 503);
}

/// Fields of a request that a test writes.
struct Written(&'static [(&'static str, &'static str)]);

impl web::Fields for Written {
    fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter().rev();
        fields
            .find(|(one, _)| *one == name)
            .map(|(_, value)| *value)
    }
}

#[test]
fn only_a_named_proxy_is_believed_about_addresses() {
    let proxy: IpAddr = "10.0.0.1".parse().unwrap();
    let handle = TrackerHandle::new(TrackerConfig {
        proxies: vec![proxy],
        ..TrackerConfig::default()
    })
    .unwrap();
    let fields = Written(&[("x-forwarded-for", "1.1.1.1, 198.51.100.7")]);
    let client = |seen| web::client_of(handle.shared(), seen, &fields);
    let stranger: IpAddr = "203.0.113.9".parse().unwrap();
    assert_eq!(client(stranger), stranger);
    assert_eq!(client(proxy), "198.51.100.7".parse::<IpAddr>().unwrap());
}

#[test]
fn sockets_of_one_address_have_a_limit() {
    let handle = TrackerHandle::new(TrackerConfig {
        max_connections_per_address: 2,
        ..TrackerConfig::default()
    })
    .unwrap();
    let (here, there): (IpAddr, IpAddr) =
        ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    let shared = handle.shared();
    assert!(shared.admit(here) && shared.admit(here) && !shared.admit(here));
    assert!(shared.admit(there));
    shared.dismiss(here);
    assert!(shared.admit(here));
}

/// What is said to one request on a connection of its own.
async fn get(url: &str, path: &str) -> Vec<u8> {
    let address = url
        .trim_start_matches("ws://")
        .trim_end_matches("/announce");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
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
async fn the_leaving_say_so_to_each_and_take_nobody_in() {
    let (handle, url) = tracker(TrackerConfig::default()).await;
    let mut pages = Vec::new();
    for n in 0..20 {
        let mut page = connect(&url).await;
        say(&mut page, &announce(n, 0, 0)).await;
        hear(&mut page).await;
        pages.push(page);
    }
    let leaving = handle.clone();
    let left = std::thread::spawn(move || leaving.drain(Duration::from_secs(1)));
    for mut page in pages {
        let said = timeout(PATIENCE, page.next()).await.unwrap().unwrap();
        let Ok(Message::Close(Some(frame))) = said else {
            panic!("{said:?}")
        };
        assert_eq!(u16::from(frame.code), 1001);
    }
    left.join().unwrap();
    assert_eq!((handle.stats().connections, handle.stats().peers), (0, 0));
    assert!(connect_async(url).await.is_err());
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

#[tokio::test]
async fn a_request_that_comes_letter_by_letter_has_its_time_and_no_more() {
    let (handle, url) = tracker(TrackerConfig {
        header_timeout: Duration::from_millis(300),
        ..TrackerConfig::default()
    })
    .await;
    let address = url
        .trim_start_matches("ws://")
        .trim_end_matches("/announce");
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /announce HTT").await.unwrap();
        slow.push(stream);
    }
    for mut stream in slow {
        let mut said = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut said))
            .await
            .unwrap();
        assert!(said.is_empty());
    }
    until_sockets(&handle, 0).await;
}

async fn until_sockets(handle: &TrackerHandle, count: usize) {
    let counted = async {
        while handle.sockets() != count {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, counted).await.expect("them to go");
}

#[tokio::test]
async fn a_socket_that_never_reads_is_given_up_and_its_outbox_is_bounded() {
    let (handle, url) = tracker(TrackerConfig {
        bytes_per_second: 1 << 30,
        bytes_at_once: 1 << 30,
        ..TrackerConfig::default()
    })
    .await;
    let mut deaf = connect(&url).await;
    let scrape = ClientMessage::Scrape((0..=255).map(|n| SwarmHash([n; 20])).collect()).encode();
    let said = timeout(PATIENCE, async {
        // Each is answered with about 20 KiB that nobody reads.
        while deaf.feed(Message::text(scrape.as_str())).await.is_ok() {
            if deaf.flush().await.is_err() {
                break;
            }
        }
    });
    said.await.expect("the tracker to give up");
    until_connections(&handle, 0).await;
}

#[tokio::test]
async fn messages_in_parts_pings_and_nonsense_are_what_the_rfc_says() {
    let (_handle, url) = tracker(TrackerConfig::default()).await;
    let mut page = connect(&url).await;
    page.send(Message::Ping("x".into())).await.unwrap();
    let pong = timeout(PATIENCE, page.next()).await.unwrap().unwrap();
    assert_eq!(pong.unwrap(), Message::Pong("x".into()));
    // An announce in three frames, a ping between them.
    let text = announce(1, 1, 100).encode();
    let (head, rest) = text.as_bytes().split_at(50);
    let (middle, tail) = rest.split_at(50);
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    // The cut goes through a letter of two bytes.
    let part = |text: &[u8], code, is_last| {
        Message::Frame(Frame::message(text.to_vec(), OpCode::Data(code), is_last))
    };
    page.send(part(head, Data::Text, false)).await.unwrap();
    page.send(Message::Ping("".into())).await.unwrap();
    page.send(part(middle, Data::Continue, false))
        .await
        .unwrap();
    page.send(part(tail, Data::Continue, true)).await.unwrap();
    assert!(matches!(
        hear(&mut page).await,
        Some(ServerMessage::Response { .. })
    ));
    page.send(part(b"?", Data::Continue, true)).await.unwrap();
    assert_eq!(hear(&mut page).await, None, "a part of nothing");
}
