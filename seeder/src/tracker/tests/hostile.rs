//! Clients that mean it badly, at the real server.

use super::*;

/// No allowance to run out of.
fn unhurried() -> TrackerConfig {
    TrackerConfig {
        bytes_per_second: 1 << 30,
        bytes_at_once: 1 << 30,
        ..TrackerConfig::default()
    }
}

/// Announces that an honest pair makes while others misbehave, each of which must be answered.
async fn is_served(page: &mut Socket, times: usize) {
    for _ in 0..times {
        say(page, &announce(200, 0, 0)).await;
        assert!(matches!(
            hear(page).await,
            Some(ServerMessage::Response { .. })
        ));
    }
}

#[tokio::test]
async fn malformed_messages_of_every_kind_are_refused_and_the_honest_served() {
    let (handle, url) = tracker(unhurried()).await;
    let mut honest = connect(&url).await;
    let whole = announce(1, 2, 50).encode();
    let mut texts: Vec<String> = [
        "",
        "{",
        "[]",
        "null",
        "7",
        "\"x\"",
        "{}",
        "[[[[[[[[",
        "{\"action\":7}",
        "{\"action\":\"announce\"}",
        "{\"action\":\"scrape\",\"info_hash\":{}}",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("[".repeat(60_000));
    texts.push("{\"a\":".repeat(10_000));
    for field in ["info_hash", "peer_id", "offers", "offer_id", "offer", "sdp"] {
        for value in ["null", "7", "[]", "{}", "\"\\ud800\"", "1e999"] {
            let name = format!("\"{field}\":");
            let at = whole.find(&name).unwrap() + name.len();
            texts.push(format!("{}{value},\"x\":{}", &whole[..at], &whole[at..]));
        }
    }
    for text in texts {
        let mut evil = connect(&url).await;
        evil.send(Message::text(text)).await.unwrap();
        // Refused, or taken for what it leaves out; never silence.
        assert!(hear(&mut evil).await.is_some());
        is_served(&mut honest, 1).await;
    }
    let mut binary = connect(&url).await;
    binary.send(Message::binary(vec![0xff; 100])).await.unwrap();
    assert!(hear(&mut binary).await.is_none(), "no text");
    is_served(&mut honest, 1).await;
    assert!(handle.stats().refused > 10);
}

#[tokio::test]
async fn another_peers_name_answers_nothing_and_stops_nobody() {
    let (handle, url) = tracker(unhurried()).await;
    let (mut seed, mut viewer, mut evil) = (
        connect(&url).await,
        connect(&url).await,
        connect(&url).await,
    );
    say(&mut seed, &announce(1, 0, 0)).await;
    hear(&mut seed).await;
    say(&mut viewer, &announce(2, 1, 10)).await;
    hear(&mut viewer).await;
    let Some(ServerMessage::Offer { offer_id, .. }) = hear(&mut seed).await else {
        panic!("an offer")
    };
    let answer = |from: u8| {
        ClientMessage::Answer(Answer {
            info_hash: SWARM,
            peer_id: PeerId([from; 20]),
            to_peer_id: PeerId([2; 20]),
            offer_id,
            sdp: "v=0".into(),
        })
    };
    for from in [1, 2, 3] {
        say(&mut evil, &answer(from)).await;
    }
    let stopped = announce(1, 0, 0).encode();
    let stopped = stopped.replacen('{', "{\"event\":\"stopped\",", 1);
    evil.send(Message::text(stopped)).await.unwrap();
    hear(&mut evil).await;
    assert_eq!((handle.stats().answers, handle.stats().peers), (0, 2));
    say(&mut seed, &answer(1)).await;
    assert!(matches!(
        hear(&mut viewer).await,
        Some(ServerMessage::Answer { .. })
    ));
    say(&mut seed, &answer(1)).await;
    drop(seed);
    until_connections(&handle, 2).await;
    assert_eq!(
        (handle.stats().answers, handle.stats().stray_answers),
        (1, 4)
    );
    say(&mut evil, &announce(1, 0, 0)).await;
    hear(&mut evil).await;
    assert_eq!(handle.stats().peers, 2, "the name is free at once");
}

#[tokio::test]
async fn a_flood_of_offers_from_one_reaches_another_a_few_times() {
    let (handle, url) = tracker(unhurried()).await;
    let (mut victim, mut evil) = (connect(&url).await, connect(&url).await);
    say(&mut victim, &announce(1, 0, 0)).await;
    hear(&mut victim).await;
    for _ in 0..500 {
        say(&mut evil, &announce(2, 10, 10)).await;
        hear(&mut evil).await;
    }
    assert!(handle.stats().offers <= 20, "{}", handle.stats().offers);
}

#[tokio::test]
async fn who_never_stops_talking_is_read_at_its_rate() {
    let (handle, url) = tracker(TrackerConfig {
        bytes_per_second: 10 << 10,
        bytes_at_once: 100 << 10,
        ..TrackerConfig::default()
    })
    .await;
    let (mut honest, mut evil) = (connect(&url).await, connect(&url).await);
    let text = announce(2, 0, 0).encode();
    for _ in 0..1000 {
        evil.feed(Message::text(text.as_str())).await.unwrap();
    }
    evil.flush().await.unwrap();
    is_served(&mut honest, 20).await;
    // One read may be in hand when the allowance ends: 64 KiB of messages of 150 bytes.
    let announces = handle.stats().announces;
    assert!(announces < 900, "{announces} of 1020 were read at once");
}
