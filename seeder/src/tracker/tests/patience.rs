//! How long a socket may take, and how sockets are taken leave of.

use super::*;

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
