//! Torrents with bytes changed anywhere: a verdict, never a panic, and what is taken is sound.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use headwater_core::bencode::{Limits, decode};
use headwater_core::metainfo::create::Version;
use headwater_core::metainfo::{Metainfo, from_info, parse};
use headwater_core::rng::Rng;
use support::make_folder;

const ROUNDS: u32 = 60_000;

#[test]
fn changed_bytes_make_no_panic_and_no_unsound_torrent() {
    let mut rng = Rng::seeded(11);
    let originals = [Version::V1, Version::V2, Version::Hybrid]
        .map(|version| make_folder(version, 16_384).to_torrent_bytes());
    let mut taken = 0;
    for round in 0..ROUNDS {
        let mut bytes = originals[round as usize % 3].clone();
        for _ in 0..=rng.below(3) {
            change(&mut rng, &mut bytes);
        }
        if let Ok(torrent) = parse(&bytes) {
            check(&torrent);
            taken += 1;
        }
    }
    assert!(taken > ROUNDS / 50, "only {taken} were torrents at all");
}

/// What holds of every torrent that was taken.
fn check(torrent: &Metainfo) {
    let layout = torrent.layout();
    let info = torrent.info_bytes();
    assert!(decode(info, Limits::default()).unwrap().root().is_dict());
    let mut total = 0;
    for piece in layout.pieces() {
        let length = layout.piece_length(piece);
        let spanned: u32 = layout.spans(piece).map(|span| span.length).sum();
        assert!(length > 0 && length == spanned);
        assert!(torrent.v1_piece_hash(piece).is_some() == torrent.info_hashes().v1().is_some());
        assert!(
            torrent.v2_piece_root(piece).is_some()
                || torrent.info_hashes().v2().is_none()
                || !torrent.has_all_piece_layers()
        );
        total += u64::from(length);
    }
    let on_wire: u64 = layout.files().iter().map(|file| file.length).sum();
    assert_eq!(total, on_wire);
    let again = parse(&torrent.to_torrent_bytes()).unwrap();
    assert_eq!(again.info_hashes(), torrent.info_hashes());
    assert_eq!(again.layout(), layout);
    assert!(from_info(info, &torrent.info_hashes(), vec![]).is_ok());
}

fn change(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let at = rng.below(bytes.len() as u32) as usize;
    // Numbers and keys are where it hurts; hashes are most of the bytes.
    let at = (0..40)
        .map(|ahead| (at + ahead) % bytes.len())
        .find(|at| bytes[*at].is_ascii_digit())
        .unwrap_or(at);
    match rng.below(5) {
        0 => bytes[at] = b"0123456789iled-:"[rng.below(16) as usize],
        1 => bytes[at] = rng.next_u64() as u8,
        2 => bytes.insert(at, b'0' + rng.below(10) as u8),
        3 => drop(bytes.remove(at)),
        _ => {
            let end = (at + rng.below(60) as usize).min(bytes.len());
            let part = bytes[at..end].to_vec();
            let to = rng.below(bytes.len() as u32) as usize;
            bytes.splice(to..to, part);
        }
    }
}
