//! Bencoding, read and written: the strict rules, the limits, and bytes nobody vouches for.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use headwater_core::bencode::{
    Encoder, ErrorKind, Limits, MAX_DEPTH, Value, decode, decode_prefix,
};
use headwater_core::rng::Rng;

fn fault(bytes: &[u8]) -> ErrorKind {
    decode(bytes, Limits::default()).unwrap_err().kind
}

/// Writes a value again, from what the reader says is in it.
fn reencode(value: Value<'_, '_>, out: &mut Encoder) {
    if let Some(number) = value.int() {
        out.int(number);
    } else if let Some(bytes) = value.bytes() {
        out.bytes(bytes);
    } else if let Some(items) = value.list() {
        out.list();
        items.for_each(|item| reencode(item, out));
        out.end();
    } else if let Some(entries) = value.dict() {
        out.dict();
        for (key, item) in entries {
            // Keys out of order are kept so: `key` would object.
            out.bytes(key);
            reencode(item, out);
        }
        out.end();
    }
}

#[test]
fn values_are_what_was_written() {
    let bytes = b"d3:inti-42e4:listl1:a0:i0ee3:mapd1:xi1eee";
    let document = decode(bytes, Limits::default()).unwrap();
    let root = document.root();
    assert_eq!(root.get(b"int").unwrap().int(), Some(-42));
    let list = root.get(b"list").unwrap();
    let items: Vec<_> = list.list().unwrap().map(|item| item.raw()).collect();
    assert_eq!(items, [&b"1:a"[..], b"0:", b"i0e"]);
    let map = root.get(b"map").unwrap();
    assert_eq!(map.raw(), b"d1:xi1ee");
    assert_eq!(&bytes[map.offset()..][..map.raw().len()], map.raw());
    assert_eq!(map.get(b"x").unwrap().int(), Some(1));
    assert!(map.get(b"y").is_none() && list.get(b"x").is_none());
    assert!(list.int().is_none() && list.bytes().is_none() && map.list().is_none());
}

#[test]
fn a_number_has_one_spelling() {
    for wrong in [
        "i01e",
        "i-0e",
        "i-01e",
        "ie",
        "i-e",
        "i+1e",
        "i 1e",
        "i1.0e",
        "i9223372036854775808e",
        "01:a",
        "-1:a",
        "9223372036854775808:a",
    ] {
        let kind = fault(wrong.as_bytes());
        assert!(
            matches!(kind, ErrorKind::Number | ErrorKind::Unexpected),
            "{wrong} was {kind:?}"
        );
    }
    let (most, least) = (b"i9223372036854775807e", b"i-9223372036854775808e");
    for (bytes, number) in [(&most[..], i64::MAX), (&least[..], i64::MIN)] {
        assert_eq!(
            decode(bytes, Limits::default()).unwrap().root().int(),
            Some(number)
        );
    }
}

#[test]
fn a_string_longer_than_the_input_is_refused_before_anything_is_allocated() {
    assert_eq!(fault(b"5:abcd"), ErrorKind::Ended);
    assert_eq!(fault(b"9223372036854775807:a"), ErrorKind::Ended);
}

#[test]
fn a_key_appears_once_in_order_or_not() {
    assert_eq!(fault(b"d1:ai1e1:ai2ee"), ErrorKind::DuplicateKey);
    assert_eq!(fault(b"d1:bi1e1:ai2e1:bi3ee"), ErrorKind::DuplicateKey);
    let unsorted = decode(b"d1:xd1:bi1e1:ai2ee1:yi3ee", Limits::default()).unwrap();
    assert!(!unsorted.root().is_sorted());
    assert!(!unsorted.root().get(b"x").unwrap().is_sorted());
    assert!(unsorted.root().get(b"y").unwrap().is_sorted());
    assert_eq!(
        unsorted.root().get(b"x").unwrap().get(b"a").unwrap().int(),
        Some(2)
    );
}

#[test]
fn what_is_cut_misplaced_or_left_over_is_refused() {
    for (bytes, kind) in [
        (&b""[..], ErrorKind::Ended),
        (b"d1:a", ErrorKind::Ended),
        (b"i12", ErrorKind::Ended),
        (b"l", ErrorKind::Ended),
        (b"e", ErrorKind::Unexpected),
        (b"x", ErrorKind::Unexpected),
        (b"di1ei2ee", ErrorKind::Unexpected),
        (b"dlee", ErrorKind::Unexpected),
        (b"d1:ae", ErrorKind::Unexpected),
        (b"i1ei2e", ErrorKind::Trailing),
    ] {
        assert_eq!(fault(bytes), kind, "{}", bytes.escape_ascii());
    }
}

#[test]
fn bytes_behind_a_value_are_given_back() {
    let (document, rest) = decode_prefix(b"d1:ai1eedata", Limits::default()).unwrap();
    assert_eq!(document.root().get(b"a").unwrap().int(), Some(1));
    assert_eq!(rest, b"data");
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    let nested = |depth: usize| [vec![b'l'; depth], vec![b'e'; depth]].concat();
    assert!(decode(&nested(MAX_DEPTH), Limits::default()).is_ok());
    assert_eq!(fault(&nested(MAX_DEPTH + 1)), ErrorKind::TooDeep);
    assert_eq!(fault(&vec![b'l'; 1 << 20]), ErrorKind::TooDeep);
    let limits = Limits {
        depth: 2,
        tokens: 3,
    };
    assert!(decode(b"l0:0:e", limits).is_ok());
    assert_eq!(
        decode(b"l0:0:0:e", limits).unwrap_err().kind,
        ErrorKind::TooManyTokens
    );
    assert_eq!(
        decode(b"lllleeee", limits).unwrap_err().kind,
        ErrorKind::TooDeep
    );
}

#[test]
fn a_million_values_are_walked_on_a_small_stack() {
    let bytes = [&b"l"[..], &b"ld1:ale1:bleee".repeat(250_000), b"e"].concat();
    let read = move || {
        let document = decode(&bytes, Limits::default()).unwrap();
        let inner = document.root().list().unwrap();
        assert_eq!(inner.count(), 250_000);
    };
    let thread = std::thread::Builder::new().stack_size(64 << 10);
    thread.spawn(read).unwrap().join().unwrap();
}

#[test]
fn whatever_is_read_encodes_to_the_same_bytes() {
    let mut rng = Rng::seeded(1);
    let mut accepted = 0;
    for _ in 0..200_000 {
        let bytes = nonsense(&mut rng);
        let Ok(document) = decode(&bytes, Limits::default()) else {
            continue;
        };
        let mut out = Encoder::new();
        reencode(document.root(), &mut out);
        assert_eq!(out.finish(), bytes);
        accepted += 1;
    }
    assert!(accepted > 10_000, "only {accepted} were bencoding at all");
}

/// Bencoding, mostly, with a byte changed here and there.
fn nonsense(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    some_value(rng, 4, &mut bytes);
    if rng.chance(1, 2) {
        for _ in 0..=rng.below(3) {
            let at = rng.below(bytes.len() as u32) as usize;
            match rng.below(3) {
                0 => bytes[at] = b"ilde0123:-"[rng.below(10) as usize],
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, rng.next_u64() as u8),
            }
            if bytes.is_empty() {
                break;
            }
        }
    }
    bytes
}

fn some_value(rng: &mut Rng, depth: u32, out: &mut Vec<u8>) {
    match rng.below(if depth == 0 { 2 } else { 4 }) {
        0 => out.extend(format!("i{}e", rng.next_u64() as i64 >> rng.below(63)).bytes()),
        1 => {
            let length = rng.below(12);
            out.extend(format!("{length}:").bytes());
            out.extend((0..length).map(|_| rng.next_u64() as u8));
        }
        2 => {
            out.push(b'l');
            (0..rng.below(4)).for_each(|_| some_value(rng, depth - 1, out));
            out.push(b'e');
        }
        _ => {
            out.push(b'd');
            for key in 0..rng.below(4) {
                out.extend(format!("2:{key:02}").bytes());
                some_value(rng, depth - 1, out);
            }
            out.push(b'e');
        }
    }
}
