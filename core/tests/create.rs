//! Torrents made here have the names that libtorrent gives the same files.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use headwater_core::bencode::{Limits, decode};
use headwater_core::ids::InfoHashes;
use headwater_core::merkle;
use headwater_core::metainfo::create::{Contents, CreateError, Options, Plan, Source, Version};
use headwater_core::metainfo::{Metainfo, choose_piece_length, parse};
use support::{content, folder, make, make_folder, options, source};

/// What libtorrent 2.1.1's `create_torrent` makes of the same bytes: v1 alone, v2 alone, hybrid.
const KNOWN: [(&str, u32, [&str; 4]); 8] = [
    (
        "folder",
        16384,
        [
            "199a7b2aad07ad894a55301b4e89a71e4f6a23f2",
            "fda361ed430a4467d65e40654f6146c367b3a1392b01f7c6cf9647a7f51af0ca",
            "d0c18f6e387b5afd1d5294fe02637e3ebadcc256",
            "3891e2506c9de6e90841970698e2a5f55144a519f2e9ff5ecea4020746cfacf4",
        ],
    ),
    (
        "folder",
        32768,
        [
            "abe5917010269fed453c30ccde12ab9478ed61f4",
            "d45e4478164234eb2d2f22a8867c113ed9c6c5c2801b99b8fd87bb5674a3e99e",
            "f20ebae33a76dbe80ba7725a4220331e1d078f2d",
            "9ef562d6ede51e00ef1c1fbdfe917a15de6f35d451755b4d85300572e4a8e9ff",
        ],
    ),
    (
        "folder",
        65536,
        [
            "6e20172c9eb7436b4023b24e8c0ccf6c2ec8151b",
            "8af78e03f5ccec4f5d748174956fde9a8f8b3d3323d56c7b86b0d2559fee6c93",
            "d078bebdc0c183e4fb403fe216d9f65b04256edf",
            "cadedbcc7620d48c29e9c4551dd7ddadbc57e243a2a107ac662690405034e9c5",
        ],
    ),
    (
        "folder",
        1048576,
        [
            "d6bf531383daaed03cd9f41bc2686ac18bd7aec1",
            "d7da1ac80dd036e0a883b611992cea27f3d4718ad1073a9dd7e026c14292a348",
            "bd955dd17fdac2a7b8573e3a3b1cb7bdde411925",
            "232fb8536dd9d57e3f1c29203997f59c2bd159d5128edcda5d6b1ad2317bdf46",
        ],
    ),
    (
        "film.mp4",
        16384,
        [
            "2cbe164705738801d0c52098eb3d193c33e91bde",
            "ba5aa604477b3f770a70103865facb66fd9373d1c3f15f8e229f71c89836f072",
            "5a1d5eb3cd21d6f2fba38f5dd5a343d4aafb23da",
            "e0f63c3272ad55596a9247194711a14bc33849cdb30def97075e975b7bda5f95",
        ],
    ),
    (
        "film.mp4",
        32768,
        [
            "7084c96c41d4844832cd19e61d201abd36471c9a",
            "e950761e5f7a3aa2a5263c19e740f1136a91a841eaef3c7c56d6b45d0a79ee0e",
            "84db9ece282c67e8e3b2a9420c1393fa0e51a7b4",
            "91ca64ee5772007beef9c3d8e085bfcdbfd803f1e2e0bd825e1ffae2135fd194",
        ],
    ),
    (
        "film.mp4",
        65536,
        [
            "2dc3235570f273f8f2be764ecbe6df7b0cfc9492",
            "fc4cbc05d3fcd57603f9523f84bc84c2e55922182d6ad8aa323c3ce896e96968",
            "e2035fae09159401ffcde8bf0532c3f9b72ee482",
            "31128e1287afee7e4c96e9e1446c5a918a580027b1e4d239f82e0f5061d0cc3d",
        ],
    ),
    (
        "film.mp4",
        1048576,
        [
            "5ce68ed368c37f897feb83b68b3c990d920f4cba",
            "981a670c5e57c1ecc3d79d63dd9999125d21324f7e78d1e33d8ec3b5bbb4bac0",
            "291671061c8e5cfbf0a979413c5e6ea669e62fff",
            "e78afd31b056f90b2e198f2f4290a2e6ee01d1c901cf47aab3bb473a194a4b49",
        ],
    ),
];

fn hex(hashes: InfoHashes) -> (String, String) {
    let v1 = hashes.v1().map(|hash| hash.to_hex());
    let v2 = hashes.v2().map(|hash| hash.to_hex());
    (v1.unwrap_or_default(), v2.unwrap_or_default())
}

fn made(name: &str, version: Version, piece_length: u32) -> Metainfo {
    match name {
        "folder" => make_folder(version, piece_length),
        _ => {
            let mut options = options(version, piece_length);
            options.private = true;
            make(name, Contents::File(source("", 200_001)), options)
        }
    }
}

#[test]
fn info_hashes_are_libtorrents() {
    for (name, piece_length, [v1, v2, hybrid_v1, hybrid_v2]) in KNOWN {
        for (version, expected) in [
            (Version::V1, (v1, "")),
            (Version::V2, ("", v2)),
            (Version::Hybrid, (hybrid_v1, hybrid_v2)),
        ] {
            let (v1, v2) = hex(made(name, version, piece_length).info_hashes());
            assert_eq!(
                (&v1[..], &v2[..]),
                expected,
                "{name} {piece_length} {version:?}"
            );
        }
    }
}

#[test]
fn what_is_made_reads_back_the_same() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        let mut options = options(version, 16_384);
        options.trackers.push("wss://tracker.example/".into());
        options.web_seeds = vec!["https://example.org/".into()];
        options.comment = Some("a comment".into());
        options.created_by = Some("headwater".into());
        options.creation_date = Some(1_700_000_000);
        let made = make("folder", folder(), options.clone());
        let bytes = made.to_torrent_bytes();
        assert!(
            decode(&bytes, Limits::default())
                .unwrap()
                .root()
                .is_sorted()
        );
        let read = parse(&bytes).unwrap();
        assert_eq!(read.info_hashes(), made.info_hashes());
        assert_eq!(read.layout(), made.layout());
        assert_eq!(read.trackers(), options.trackers);
        assert_eq!(read.web_seeds(), options.web_seeds);
        assert_eq!(read.comment(), Some("a comment"));
        assert_eq!(read.created_by(), Some("headwater"));
        assert_eq!(read.creation_date(), Some(1_700_000_000));
        assert!(read.has_all_piece_layers());
        assert_eq!(read.to_torrent_bytes(), bytes);
    }
}

#[test]
fn pieces_of_a_hybrid_have_both_hashes_and_leaves_cover_real_bytes_only() {
    let torrent = make_folder(Version::Hybrid, 32_768);
    for piece in torrent.layout().pieces() {
        let part = torrent.layout().file_piece(piece).unwrap();
        let entry = torrent.layout().entry(part.file);
        let start = u64::from(part.index) * 32_768;
        let bytes = &content(entry.length)[start as usize..][..part.length as usize];
        let shape = torrent.shape(part.file).unwrap();
        assert_eq!(
            shape.piece_root(&merkle::leaves(bytes)),
            torrent.v2_piece_root(piece)
        );
        assert!(torrent.v1_piece_hash(piece).is_some());
    }
}

#[test]
fn hashes_may_come_in_any_order_but_all_must_come_once() {
    let plan = Plan::new(
        "film",
        Contents::File(source("", 40_000)),
        options(Version::Hybrid, 16_384),
    )
    .unwrap();
    let bytes = content(40_000);
    let mut hashes: Vec<_> = plan
        .layout()
        .pieces()
        .zip(bytes.chunks(16_384))
        .map(|(piece, bytes)| plan.hash(piece, bytes).unwrap())
        .collect();
    let first = plan.layout().piece(0).unwrap();
    assert_eq!(
        plan.hash(first, &bytes[..5]),
        Err(CreateError::Piece(first))
    );
    assert_eq!(
        plan.hashes(first, hashes[0].v1, &merkle::leaves(&bytes[..16_384])),
        Ok(hashes[0])
    );
    assert_eq!(
        plan.hashes(first, hashes[0].v1, &[]),
        Err(CreateError::Piece(first))
    );
    let straight = plan.finish(hashes.clone()).unwrap();
    hashes.rotate_left(1);
    assert_eq!(
        plan.finish(hashes.clone()).unwrap().info_hashes(),
        straight.info_hashes()
    );
    let missing = hashes.pop().unwrap();
    assert_eq!(
        plan.finish(hashes.clone()).unwrap_err(),
        CreateError::Piece(missing.piece)
    );
    hashes.push(hashes[0]);
    assert!(plan.finish(hashes).is_err(), "one twice, one never");
}

#[test]
fn files_keep_their_numbers_through_sorting_and_padding() {
    let files = ["b", "a.txt", "a/x"].map(|path| source(path, 10));
    let plan = |version| {
        Plan::new(
            "f",
            Contents::Folder(files.to_vec()),
            options(version, 16_384),
        )
        .unwrap()
    };
    let numbers = |plan: Plan| -> Vec<_> {
        let layout = plan.layout();
        (0..)
            .map_while(|index| layout.file(index))
            .map(|file| plan.source(file))
            .collect()
    };
    assert_eq!(numbers(plan(Version::V1)), [Some(0), Some(1), Some(2)]);
    assert_eq!(
        numbers(plan(Version::V2)),
        [Some(2), Some(1), Some(0)],
        "a folder before a longer name"
    );
    assert_eq!(
        numbers(plan(Version::Hybrid)),
        [Some(2), None, Some(1), None, Some(0), None]
    );
    assert!(
        parse(
            &make(
                "f",
                Contents::Folder(files.to_vec()),
                options(Version::Hybrid, 16_384)
            )
            .to_torrent_bytes()
        )
        .is_ok()
    );
}

#[test]
fn what_cannot_be_a_torrent_is_refused_with_a_reason() {
    let plan = |files: Vec<Source>, options: Options| {
        Plan::new("f", Contents::Folder(files), options).unwrap_err()
    };
    let default = Options::default;
    assert_eq!(plan(vec![], default()), CreateError::Empty);
    assert_eq!(plan(vec![source("a", 0)], default()), CreateError::Empty);
    assert_eq!(
        plan(vec![source("a/../b", 1)], default()),
        CreateError::Name("..".into())
    );
    assert_eq!(
        plan(vec![source("a//b", 1)], default()),
        CreateError::Name(String::new())
    );
    let same = CreateError::SamePath("a".into());
    assert_eq!(plan(vec![source("a", 1), source("a", 2)], default()), same);
    assert_eq!(
        plan(
            vec![source("a/b", 1), source("a.b", 1), source("a", 2)],
            default()
        ),
        same
    );
    for length in [0, 8_192, 20_000, 32 << 20] {
        let refused = plan(vec![source("a", 1)], options(Version::V1, length));
        assert_eq!(refused, CreateError::PieceLength(length));
    }
    let huge = plan(vec![source("a", 1 << 40)], options(Version::V2, 16_384));
    assert!(huge.to_string().contains("larger piece length"), "{huge}");
    assert!(Plan::new("..", Contents::File(source("", 1)), default()).is_err());
    assert!(
        plan(vec![source("a", u64::MAX), source("b", 1)], default())
            .to_string()
            .contains("64 bits")
    );
}

#[test]
fn pieces_are_small_enough_for_the_window_and_few_enough_for_the_torrent() {
    const MIB: u64 = 1 << 20;
    for (total, length) in [
        (1, 16 << 10),
        (MIB - 1, 16 << 10),
        (MIB, 64 << 10),
        (250 * MIB, 64 << 10),
        (256 * MIB, 128 << 10),
        (700 * MIB, 256 << 10),
        (4_000 * MIB, 1 << 20),
        (64 * 1024 * MIB, 1 << 20),
        (64 * 1024 * MIB + 1, 2 << 20),
        (u64::MAX, 16 << 20),
    ] {
        assert_eq!(choose_piece_length(total), length, "{total}");
    }
    for total in (1..4_000).map(|mib| mib * MIB) {
        let length = u64::from(choose_piece_length(total));
        assert!(48 * MIB / length >= 32 && total.div_ceil(length) <= 4_000);
        assert!(total.div_ceil(length) >= 16);
    }
}
