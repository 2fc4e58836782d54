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
mod over_http;
mod patience;
mod secure;
mod welcome;

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
        played_percent: None,
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
