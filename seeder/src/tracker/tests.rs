//! The tracker on a port of 127.0.0.1, talked to by sockets.

use futures_util::{SinkExt, StreamExt};
use headwater_core::ids::{PeerId, SwarmHash};
use headwater_core::tracker::message::{
    Announce, Answer, ClientMessage, Offer, OfferId, ServerMessage,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;

const SWARM: SwarmHash = SwarmHash([0xfe; 20]);

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A tracker that listens, and its URL.
async fn tracker(config: TrackerConfig) -> (TrackerHandle, String) {
    let handle = TrackerHandle::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/announce", listener.local_addr().unwrap());
    tokio::spawn(crate::http::serve(listener, router(handle.clone())));
    (handle, url)
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
    let (_, url) = tracker(TrackerConfig::default()).await;
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
    let (_, url) = tracker(TrackerConfig {
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

#[test]
fn only_a_named_proxy_is_believed_about_addresses() {
    let proxy: IpAddr = "10.0.0.1".parse().unwrap();
    let handle = TrackerHandle::new(TrackerConfig {
        proxies: vec![proxy],
        ..TrackerConfig::default()
    });
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-for", "1.1.1.1, 198.51.100.7".parse().unwrap());
    let stranger: IpAddr = "203.0.113.9".parse().unwrap();
    assert_eq!(handle.client_of(stranger, &headers), stranger);
    assert_eq!(
        handle.client_of(proxy, &headers),
        "198.51.100.7".parse::<IpAddr>().unwrap()
    );
}

#[test]
fn sockets_of_one_address_have_a_limit() {
    let handle = TrackerHandle::new(TrackerConfig {
        max_connections_per_address: 2,
        ..TrackerConfig::default()
    });
    let (here, there): (IpAddr, IpAddr) =
        ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    let (first, _inbox) = handle.admit(Some(here)).unwrap();
    assert!(handle.admit(Some(here)).is_some());
    assert!(handle.admit(Some(here)).is_none());
    assert!(handle.admit(Some(there)).is_some());
    handle.closed(first, Some(here));
    assert!(handle.admit(Some(here)).is_some());
}
