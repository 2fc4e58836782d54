//! Magnet links: read, printed, and refused with a reason.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use headwater_core::ids::{InfoHashV1, InfoHashV2, InfoHashes};
use headwater_core::metainfo::magnet::{Error, Magnet, parse};
use headwater_core::rng::Rng;

const V1: &str = "0123456789abcdef0123456789ABCDEF01234567";
const V2: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn v1() -> InfoHashV1 {
    InfoHashV1::from_hex(V1).unwrap()
}

fn v2() -> InfoHashV2 {
    InfoHashV2::from_hex(V2).unwrap()
}

#[test]
fn a_torrent_is_named_by_its_v1_hash_its_v2_hash_or_both() {
    let hashes = |link: String| parse(&link).unwrap().hashes;
    let (btih, btmh) = (format!("xt=urn:btih:{V1}"), format!("xt=urn:btmh:1220{V2}"));
    assert_eq!(hashes(format!("magnet:?{btih}")), InfoHashes::V1(v1()));
    assert_eq!(hashes(format!("magnet:?{btmh}")), InfoHashes::V2(v2()));
    assert_eq!(
        hashes(format!("magnet:?{btmh}&{btih}")),
        InfoHashes::Hybrid(v1(), v2())
    );
    let numbered =
        format!("MAGNET:?xt.1=URN:BTIH:{V1}&xt.2=urn%3Abtmh%3A1220{V2}&xt=urn:sha1:other");
    assert_eq!(hashes(numbered), InfoHashes::Hybrid(v1(), v2()));
}

#[test]
fn old_links_have_base32() {
    let link = "magnet:?xt=urn:btih:AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH";
    assert_eq!(parse(link).unwrap().hashes, InfoHashes::V1(v1()));
    assert_eq!(
        parse(&link.to_lowercase()).unwrap().hashes,
        InfoHashes::V1(v1())
    );
}

#[test]
fn everything_else_it_says_is_kept() {
    let link = format!(
        "magnet:?xt=urn:btih:{V1}&dn=A+film%20%C3%BC&tr=wss%3A%2F%2Fa.example&tr.1=ws://b.example/announce&tr=wss%3A%2F%2Fa.example\
         &ws=https%3A%2F%2Fc.example%2F&xl=12345&x.pe=127.0.0.1:6881&x.pe=[::1]:6881&so=0&as=nonsense"
    );
    let magnet: Magnet = link.parse().unwrap();
    assert_eq!(magnet.name.as_deref(), Some("A film ü"));
    assert_eq!(
        magnet.trackers(),
        ["wss://a.example", "ws://b.example/announce"]
    );
    assert_eq!(magnet.web_seeds, ["https://c.example/"]);
    assert_eq!(magnet.length, Some(12_345));
    assert_eq!(magnet.peers, ["127.0.0.1:6881", "[::1]:6881"]);
    assert_eq!(parse(&magnet.to_string()), Ok(magnet));
}

#[test]
fn what_is_wrong_is_said() {
    let error = |link: &str| parse(link).unwrap_err();
    assert_eq!(error("https://example.org/"), Error::NotAMagnet);
    assert_eq!(error(""), Error::NotAMagnet);
    assert_eq!(error("magnet:?dn=name"), Error::NoHash);
    assert_eq!(error("magnet:?xt=urn:sha1:ABC"), Error::NoHash);
    assert_eq!(
        error("magnet:?xt=urn:btih:123"),
        Error::V1Hash("123".into())
    );
    assert_eq!(
        error(&format!("magnet:?xt=urn:btih:{}", "8".repeat(32))),
        Error::V1Hash("8".repeat(32))
    );
    assert_eq!(
        error(&format!("magnet:?xt=urn:btmh:{V2}")),
        Error::V2Hash(V2.into())
    );
    assert_eq!(
        error(&format!("magnet:?xt=urn:btmh:1114{V1}")),
        Error::V2Hash(format!("1114{V1}"))
    );
    let other = "f".repeat(40);
    assert_eq!(
        error(&format!("magnet:?xt=urn:btih:{V1}&xt=urn:btih:{other}")),
        Error::TwoHashes
    );
    assert_eq!(
        error(&format!("magnet:?xt=urn:btih:{V1}&dn=%zz")),
        Error::Escape("dn".into())
    );
    assert_eq!(
        error(&format!("magnet:?xt=urn:btih:{V1}&dn=%ff")),
        Error::Escape("dn".into())
    );
    assert_eq!(
        error(&format!(
            "magnet:?xt=urn:btih:{V1}&dn={}",
            "a".repeat(65_536)
        )),
        Error::TooLong
    );
    assert!(
        error("magnet:?xt=urn:btih:123")
            .to_string()
            .contains("40 hex digits")
    );
}

#[test]
fn addresses_are_bounded() {
    let trackers: String = (0..100).map(|n| format!("&tr=ws://{n}/")).collect();
    let magnet = parse(&format!("magnet:?xt=urn:btih:{V1}{trackers}")).unwrap();
    assert_eq!(magnet.trackers.len(), 32);
}

#[test]
fn what_is_printed_reads_back_and_nonsense_makes_no_panic() {
    let mut magnet = Magnet::new(InfoHashes::Hybrid(v1(), v2()));
    magnet.name = Some("&=?#%+ \u{1f3ac}\"<script>".into());
    magnet.trackers = vec!["wss://tracker.example/announce?key=a&b=c".into()];
    let link = magnet.to_string();
    assert!(link.is_ascii() && !link.contains([' ', '<', '"']));
    assert_eq!(parse(&link), Ok(magnet));
    let mut rng = Rng::seeded(2);
    for _ in 0..20_000 {
        let mut bytes = link.clone().into_bytes();
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len() as u32) as usize;
            bytes[at] = rng.next_u64() as u8;
        }
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }
}
