//! What a file over HTTP must answer (RFC 9110 §13, §14), whoever serves it.

use std::net::SocketAddr;
use std::ops::Range;

use headwater_core::rng::Rng;

use super::request;

/// Longest random range, in bytes.
const LONGEST: u32 = 50_000;

/// Every kind of request a player makes, and some no player does. `whole` is the file, of some
/// hundred kilobytes at least.
pub fn every_request_is_answered_as_it_must_be(at: SocketAddr, path: &str, whole: &[u8]) {
    let length = whole.len();
    let tag = request(at, "GET", path, &["range: bytes=0-0"])
        .header("etag")
        .expect("a tag")
        .to_owned();
    let if_range = format!("if-range: {tag}");
    let none_match = format!("if-none-match: \"x\", {tag}");
    let of = |range: String| format!("range: bytes={range}");
    let (middle, last) = (length / 2, length - 1);
    let to_the_end = of(format!("{middle}-"));
    let inside = of(format!("{middle}-{}", middle + 99_999));
    let over_the_end = of(format!("{}-99999999", length - 11));
    let behind = of(format!("{length}-"));
    let table: &[(&[&str], u16, Range<usize>)] = &[
        (&[], 200, 0..length),
        (&["range: bytes=0-"], 206, 0..length),
        (&["range: bytes=0-0"], 206, 0..1),
        (&["range: bytes=32767-32768"], 206, 32_767..32_769),
        (&["range: bytes=262143-262144"], 206, 262_143..262_145),
        (&[&inside], 206, middle..middle + 100_000),
        (&[&to_the_end], 206, middle..length),
        (&["range: bytes=-1"], 206, last..length),
        (&["range: bytes=-99999999"], 206, 0..length),
        (&[&over_the_end], 206, length - 11..length),
        (&[&behind], 416, 0..0),
        (&["range: bytes=-0"], 416, 0..0),
        // Malformed, or of several ranges: as if it were not there.
        (&["range: bytes=5-4"], 200, 0..length),
        (&["range: bytes=0-1,5-6"], 200, 0..length),
        (&["range: chapters=1-2"], 200, 0..length),
        (&["range: bytes=1-2", &if_range], 206, 1..3),
        (&["range: bytes=1-2", "if-range: \"other\""], 200, 0..length),
        (&[&none_match], 304, 0..0),
    ];
    for (headers, status, part) in table {
        let answer = request(at, "GET", path, headers);
        assert_eq!(answer.status, *status, "{headers:?}");
        assert!(answer.body == whole[part.clone()], "{headers:?}");
        assert_eq!(answer.header("etag"), Some(tag.as_str()), "{headers:?}");
        let said = match status {
            206 => Some(format!("bytes {}-{}/{length}", part.start, part.end - 1)),
            416 => Some(format!("bytes */{length}")),
            _ => None,
        };
        let range = answer.header("content-range");
        assert_eq!(range, said.as_deref(), "{headers:?}");
        if *status != 304 {
            let length = part.len().to_string();
            assert_eq!(answer.header("content-length"), Some(length.as_str()));
            assert_eq!(answer.header("content-type"), Some("video/mp4"));
            assert_eq!(answer.header("accept-ranges"), Some("bytes"));
        }
    }
    let head = request(at, "HEAD", path, &[]);
    let length = length.to_string();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some(length.as_str()))
    );
    assert!(head.body.is_empty());
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(request(at, method, path, &[]).status, 405, "{method}");
    }
}

/// A thousand of them.
pub fn random_ranges_are_those_of_the_file(at: SocketAddr, path: &str, whole: &[u8]) {
    let mut luck = Rng::seeded(7);
    for _ in 0..1_000 {
        let first = luck.below(whole.len() as u32) as usize;
        let last = (first + luck.below(LONGEST) as usize).min(whole.len() - 1);
        let answer = request(at, "GET", path, &[&format!("range: bytes={first}-{last}")]);
        assert_eq!(answer.status, 206);
        assert!(answer.body == whole[first..=last], "{first}-{last}");
    }
}
