//! Stories of bytes over real sockets on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use headwater_core::ids::{PeerKey, SwarmHash};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn listening() -> Tcp {
    let config = TcpConfig {
        listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
        max_connections: 8,
        max_per_ip: 3,
    };
    Tcp::bind(config).expect("a port")
}

fn greeting(hash: u8) -> [u8; 68] {
    let mut hello = [hash; 68];
    hello[..20].copy_from_slice(b"\x13BitTorrent protocol");
    hello
}

/// The next event.
async fn event(tcp: &mut Tcp) -> TcpEvent {
    let next = async {
        loop {
            if let Some(event) = tcp.poll_event() {
                return event;
            }
            tcp.drive().await;
        }
    };
    timeout(PATIENCE, next).await.expect("an event in time")
}

async fn arrival(tcp: &mut Tcp) -> Arrival {
    loop {
        if let TcpEvent::Arrived(arrival) = event(tcp).await {
            return arrival;
        }
    }
}

async fn call(tcp: &Tcp) -> TcpStream {
    let to = tcp.local_addr().expect("an address");
    TcpStream::connect(to).await.expect("a connection")
}

#[tokio::test]
async fn a_caller_is_known_by_the_torrent_it_names_and_nothing_it_said_is_lost() {
    let mut tcp = listening();
    let mut caller = call(&tcp).await;
    caller.write_all(&greeting(7)[..30]).await.expect("write");
    caller.write_all(&greeting(7)[30..]).await.expect("write");
    caller.write_all(b"and more").await.expect("write");
    let arrival = arrival(&mut tcp).await;
    assert_eq!(arrival.swarm(), SwarmHash([7; 20]));
    let mut said = arrival.greeting.to_vec();
    tcp.admit(PeerKey(1), arrival);
    let mut buffer = [0; 7];
    while said.len() < 76 {
        match tcp.read(PeerKey(1), &mut buffer) {
            0 => assert!(matches!(
                event(&mut tcp).await,
                TcpEvent::Readable(PeerKey(1))
            )),
            read => said.extend_from_slice(&buffer[..read]),
        }
    }
    assert_eq!(said, [&greeting(7)[..], b"and more"].concat());
}

#[tokio::test]
async fn a_peer_that_does_not_read_holds_no_more_than_its_line_and_gets_all_in_the_end() {
    let mut tcp = listening();
    let mut caller = call(&tcp).await;
    caller.write_all(&greeting(7)).await.expect("write");
    let arrival = arrival(&mut tcp).await;
    tcp.admit(PeerKey(1), arrival);
    let total = 64 << 20;
    let reader = tokio::spawn(async move {
        // Nothing is read until everything else has stopped.
        tokio::task::yield_now().await;
        let mut all = vec![0; total];
        caller.read_exact(&mut all).await.expect("all of it");
        all
    });
    let mut sent = 0;
    let room = tcp.room(PeerKey(1));
    while sent < total {
        let length = tcp.room(PeerKey(1)).min(50_000).min(total - sent);
        if length == 0 {
            event(&mut tcp).await;
            continue;
        }
        let message: Vec<u8> = (sent..sent + length).map(|at| (at % 251) as u8).collect();
        tcp.send(PeerKey(1), Bytes::from(message));
        sent += length;
        assert!(tcp.room(PeerKey(1)) <= room, "never more than at first");
    }
    let finish = async {
        loop {
            tcp.drive().await;
            while tcp.poll_event().is_some() {}
        }
    };
    let all = tokio::select! {
        all = timeout(PATIENCE, reader) => all.expect("in time").expect("the reader"),
        () = finish => unreachable!("it never ends"),
    };
    assert!(
        all.iter()
            .enumerate()
            .all(|(at, byte)| *byte == (at % 251) as u8)
    );
}

#[tokio::test]
async fn one_address_gets_no_more_than_its_share_and_the_silent_reach_nobody() {
    let mut tcp = listening();
    let mut callers = Vec::new();
    for number in 0..3 {
        let mut caller = call(&tcp).await;
        caller.write_all(&greeting(7)).await.expect("write");
        let arrival = arrival(&mut tcp).await;
        tcp.admit(PeerKey(number), arrival);
        callers.push(caller);
    }
    let mut fourth = call(&tcp).await;
    fourth.write_all(&greeting(7)).await.expect("write");
    let mut byte = [0];
    let hung_up = async { fourth.read(&mut byte).await };
    let drive = async {
        loop {
            tcp.drive().await;
            while let Some(event) = tcp.poll_event() {
                assert!(!matches!(event, TcpEvent::Arrived(_)), "one too many");
            }
        }
    };
    tokio::select! {
        read = timeout(PATIENCE, hung_up) => {
            let read = read.expect("in time");
            assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        }
        () = drive => unreachable!("it never ends"),
    }
}

#[tokio::test]
async fn a_call_that_nobody_takes_comes_to_its_end() {
    let mut tcp = listening();
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody: SocketAddr = free.local_addr().expect("its address");
    drop(free);
    tcp.dial(PeerKey(1), nobody);
    assert!(matches!(
        event(&mut tcp).await,
        TcpEvent::Closed(PeerKey(1), _)
    ));
    assert!(tcp.has_room());
}

#[tokio::test]
async fn a_peer_that_goes_is_said_to_be_gone() {
    let (mut tcp, mut other) = (listening(), listening());
    other.dial(PeerKey(9), tcp.local_addr().expect("an address"));
    assert!(matches!(
        event(&mut other).await,
        TcpEvent::Opened(PeerKey(9))
    ));
    other.send(PeerKey(9), Bytes::copy_from_slice(&greeting(3)));
    other.drive().await;
    let arrival = arrival(&mut tcp).await;
    tcp.admit(PeerKey(1), arrival);
    other.close(PeerKey(9));
    let mut buffer = [0; 64];
    loop {
        match event(&mut tcp).await {
            TcpEvent::Readable(key) => while tcp.read(key, &mut buffer) > 0 {},
            TcpEvent::Closed(PeerKey(1), _) => break,
            _ => {}
        }
    }
    assert_eq!(tcp.room(PeerKey(1)), 0);
}
