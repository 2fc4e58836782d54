//! Torrents as they are found: what is taken, what is refused and with which words.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use headwater_core::hash::{Sha256Digest, sha1, sha256};
use headwater_core::ids::{InfoHashV1, InfoHashV2, InfoHashes};
use headwater_core::layout::Arrangement;
use headwater_core::metainfo::create::{Contents, Version};
use headwater_core::metainfo::{Error, Limits, Metainfo, from_info, parse};
use support::{Node, content, make, make_folder, options, paths, source, v1_file, v1_list};

const ALL: [Version; 3] = [Version::V1, Version::V2, Version::Hybrid];

fn torrent(version: Version) -> Node {
    Node::read(&make_folder(version, 16_384).to_torrent_bytes())
}

/// The words with which a torrent is refused once it is changed.
fn refusal(version: Version, change: impl FnOnce(&mut Node)) -> String {
    let mut node = torrent(version);
    change(&mut node);
    match parse(&node.encode()) {
        Ok(torrent) => panic!("taken: {torrent:?}"),
        Err(error) => error.to_string(),
    }
}

fn taken(version: Version, change: impl FnOnce(&mut Node)) -> Metainfo {
    let mut node = torrent(version);
    change(&mut node);
    parse(&node.encode()).unwrap()
}

#[track_caller]
fn assert_says(refusal: String, words: &str) {
    assert!(
        refusal.contains(words),
        "{refusal:?} does not say {words:?}"
    );
}

#[test]
fn the_info_hash_is_over_the_bytes_as_found() {
    let unsorted =
        b"d4:infod4:name1:f12:piece lengthi16384e6:pieces20:xxxxxxxxxxxxxxxxxxxx6:lengthi5eee";
    let info = &unsorted[7..unsorted.len() - 1];
    let torrent = parse(unsorted).unwrap();
    assert_eq!(
        torrent.info_hashes(),
        InfoHashes::V1(InfoHashV1(sha1(info).0))
    );
    assert_eq!(torrent.info_bytes(), info);
    assert_eq!(
        parse(&torrent.to_torrent_bytes()).unwrap().info_bytes(),
        info
    );
    assert!(torrent.is_single_file() && torrent.name() == "f");
    for version in ALL {
        let mut node = torrent_with_unknown_keys(version);
        let info = node.at(&["info"]).encode();
        let torrent = parse(&node.encode()).unwrap();
        let (v1, v2) = (torrent.info_hashes().v1(), torrent.info_hashes().v2());
        assert!(v1.is_none_or(|hash| hash == InfoHashV1(sha1(&info).0)));
        assert!(v2.is_none_or(|hash| hash == InfoHashV2(sha256(&info).0)));
    }
}

fn torrent_with_unknown_keys(version: Version) -> Node {
    let mut node = torrent(version);
    node.at(&["info"]).set("source", Node::text("somewhere"));
    node.set("nodes", Node::List(vec![]));
    node
}

#[test]
fn what_is_no_torrent_is_called_that() {
    assert_says(parse(b"").unwrap_err().to_string(), "not a torrent");
    assert_says(parse(b"<html>").unwrap_err().to_string(), "not a torrent");
    assert_says(parse(b"le").unwrap_err().to_string(), "not a torrent");
    assert_says(parse(b"de").unwrap_err().to_string(), "no \"info\"");
    assert_says(parse(b"d4:infoi1ee").unwrap_err().to_string(), "\"info\"");
    for key in ["name", "piece length", "pieces", "files"] {
        let words = refusal(Version::V1, |node| drop(node.at(&["info"]).remove(key)));
        assert!(words.contains(key) || words.contains("length"), "{words}");
    }
}

#[test]
fn a_newer_version_is_called_that_whatever_else_is_in_it() {
    let bytes = b"d4:infod12:meta versioni3e4:name1:fee";
    assert_eq!(parse(bytes).unwrap_err(), Error::NewerVersion(3));
    let words = refusal(Version::V2, |node| {
        node.at(&["info"]).put("meta version", Node::Int(4))
    });
    assert_says(words, "version 4");
}

#[test]
fn a_v2_tree_without_its_version_is_refused() {
    for version in [Version::V2, Version::Hybrid] {
        let words = refusal(version, |node| {
            drop(node.at(&["info"]).remove("meta version"))
        });
        assert_says(words, "meta version");
    }
}

#[test]
fn the_keys_of_a_v2_info_stand_in_order() {
    let bytes = torrent(Version::V2).encode();
    let text = b"12:meta versioni2e4:name6:folder";
    let at = bytes
        .windows(text.len())
        .position(|part| part == text)
        .unwrap();
    let swapped = [
        &bytes[..at],
        b"4:name6:folder12:meta versioni2e",
        &bytes[at + text.len()..],
    ]
    .concat();
    assert_says(parse(&swapped).unwrap_err().to_string(), "not in order");
}

#[test]
fn piece_lengths_are_what_their_version_allows() {
    for length in [0, -1, i64::MAX] {
        assert_says(
            refusal(Version::V1, |node| {
                node.at(&["info"]).put("piece length", Node::Int(length))
            }),
            "piece length",
        );
    }
    for length in [8_192, 24_576, 16_385] {
        assert_says(
            refusal(Version::V2, |node| {
                node.at(&["info"]).put("piece length", Node::Int(length))
            }),
            "power of two",
        );
    }
    let mut odd = v1_list(vec![v1_file(&[b"f"], 30_000)], 30_000);
    odd.at(&["info"]).set("piece length", Node::Int(15_000));
    assert_eq!(parse(&odd.encode()).unwrap().layout().piece_count(), 2);
    let large = make(
        "f",
        Contents::File(source("", 1)),
        options(Version::V2, 16 << 20),
    );
    let mut limits = Limits::BROWSER;
    assert!(Metainfo::parse(&large.to_torrent_bytes(), &limits).is_ok());
    limits.piece_length = 1 << 20;
    let refused = Metainfo::parse(&large.to_torrent_bytes(), &limits).unwrap_err();
    assert_says(refused.to_string(), "not supported here");
}

#[test]
fn a_tree_has_files_only_where_files_can_be() {
    let leaf = || Node::dict([("", Node::dict([("length", Node::Int(0))]))]);
    let file = |length, root: Option<Vec<u8>>| {
        let mut file = Node::dict([("length", Node::Int(length))]);
        root.map(|root| file.set("pieces root", Node::Bytes(root)).encode());
        Node::dict([("", file)])
    };
    let tree = |tree: Node| {
        move |node: &mut Node| {
            node.remove("piece layers");
            node.at(&["info"]).set("file tree", tree);
        }
    };
    let hash = || Some(vec![1; 32]);
    for (wrong, words) in [
        (leaf(), "file stands"),
        (
            Node::dict([("a", Node::dict([("", Node::Int(1)), ("b", leaf())]))]),
            "file stands",
        ),
        (Node::dict([("a", Node::Int(1))]), "not a dictionary"),
        (Node::List(vec![]), "not a dictionary"),
        (Node::dict([]), "no \"file\""),
        (Node::dict([("a", Node::dict([]))]), "no \"file\""),
        (Node::dict([("a", leaf())]), "empty"),
        (Node::dict([("a", file(1, None))]), "pieces root"),
        (
            Node::dict([("a", file(1, Some(vec![0; 32])))]),
            "pieces root",
        ),
        (
            Node::dict([("a", file(1, Some(vec![1; 31])))]),
            "pieces root",
        ),
        (Node::dict([("a", file(-1, hash()))]), "length"),
        (
            Node::dict([("a", file(1, hash())), ("b", file(2, hash()))]),
            "another length",
        ),
    ] {
        assert_says(refusal(Version::V2, tree(wrong)), words);
    }
    let fine = Node::dict([
        ("a", file(1, hash())),
        ("b", file(1, hash())),
        ("c", file(0, hash())),
        ("d", Node::dict([])),
        ("e", Node::dict([("f", file(3, Some(vec![2; 32])))])),
    ]);
    let torrent = taken(Version::V2, tree(fine));
    assert_eq!(paths(&torrent), ["a", "b", "c", "e/f"]);
    assert_eq!(torrent.layout().arrangement(), Arrangement::Aligned);
    let root = |index| torrent.pieces_root(torrent.layout().file(index).unwrap());
    assert_eq!((root(0), root(2)), (Some(Sha256Digest([1; 32])), None));
    assert_eq!(
        torrent.file_with_root(&Sha256Digest([1; 32])),
        torrent.layout().file(0)
    );
}

#[test]
fn padding_has_no_place_in_a_tree() {
    let words = refusal(Version::V2, |node| {
        node.at(&["info", "file tree", "zeta", ""])
            .set("attr", Node::text("p"));
    });
    assert_says(words, "padding");
}

#[test]
fn piece_layers_may_be_missing_but_never_wrong() {
    let zeta = |torrent: &Metainfo| {
        let mut files = torrent.layout().content_files();
        files.find(|(_, file)| file.path == ["zeta"]).unwrap().0
    };
    for version in [Version::V2, Version::Hybrid] {
        let whole = make_folder(version, 16_384);
        let layer = whole.piece_layer(zeta(&whole)).unwrap().to_vec();
        assert_eq!(layer.len(), 5);
        let root = whole.pieces_root(zeta(&whole)).unwrap().0.to_vec();
        let bytes =
            |layer: &[Sha256Digest]| Node::Bytes(layer.iter().flat_map(|hash| hash.0).collect());
        let with = |root: &[u8], layer: Node| {
            let root = root.to_vec();
            move |node: &mut Node| {
                if let Node::Dict(layers) = node.at(&["piece layers"]) {
                    layers.insert(root, layer);
                }
            }
        };
        let mut wrong = layer.clone();
        wrong[2].0[7] ^= 1;
        let mut long = layer.clone();
        long.push(Sha256Digest([0; 32]));
        assert_says(
            refusal(version, with(&root, bytes(&wrong))),
            "does not lead",
        );
        assert_says(
            refusal(version, with(&root, bytes(&long))),
            "one hash for each piece",
        );
        assert_says(
            refusal(version, with(&root, bytes(&layer[..4]))),
            "one hash for each piece",
        );
        assert_says(
            refusal(version, with(&root, Node::Bytes(vec![0; 33]))),
            "32-byte",
        );
        assert_says(refusal(version, with(&root, Node::Int(1))), "32-byte");
        assert_says(
            refusal(version, with(&[9; 32], bytes(&layer))),
            "no file's root",
        );
        assert_says(
            refusal(version, with(b"short", bytes(&layer))),
            "no file's root",
        );
        let small = whole.pieces_root(
            whole
                .layout()
                .piece(0)
                .and_then(|p| whole.layout().file_piece(p))
                .unwrap()
                .file,
        );
        assert_says(
            refusal(version, with(&small.unwrap().0, bytes(&layer[..1]))),
            "not larger than a piece",
        );
        assert_says(
            refusal(version, |node| node.put("piece layers", Node::List(vec![]))),
            "not a dictionary",
        );

        let mut bare = taken(version, |node| drop(node.remove("piece layers")));
        assert_eq!(bare.info_hashes(), whole.info_hashes());
        assert!(!bare.has_all_piece_layers());
        assert_eq!(bare.missing_piece_layers().count(), 2);
        let file = zeta(&bare);
        let piece = bare
            .layout()
            .piece(bare.layout().file_pieces(file).start)
            .unwrap();
        assert_eq!(bare.v2_piece_root(piece), None);
        assert!(bare.set_piece_layer(file, wrong).is_err());
        assert_eq!(
            bare.v2_piece_root(piece),
            None,
            "nothing is kept of a wrong layer"
        );
        bare.set_piece_layer(file, layer.clone()).unwrap();
        assert_eq!(bare.v2_piece_root(piece), Some(layer[0]));
        assert_eq!(bare.missing_piece_layers().count(), 1);
        let partly = parse(&bare.to_torrent_bytes()).unwrap();
        assert_eq!(partly.missing_piece_layers().count(), 1);
    }
}

#[test]
fn identical_files_share_a_piece_layer() {
    let twins = Contents::Folder(vec![source("a", 40_000), source("b", 40_000)]);
    let whole = make("f", twins, options(Version::V2, 16_384));
    let (a, b) = (
        whole.layout().file(0).unwrap(),
        whole.layout().file(1).unwrap(),
    );
    assert_eq!(whole.pieces_root(a), whole.pieces_root(b));
    let mut bare = from_info(whole.info_bytes(), &whole.info_hashes(), vec![]).unwrap();
    assert_eq!(bare.missing_piece_layers().count(), 2);
    bare.set_piece_layer(b, whole.piece_layer(a).unwrap().to_vec())
        .unwrap();
    assert!(bare.has_all_piece_layers());
    bare.set_trackers(whole.trackers().to_vec());
    assert_eq!(bare.to_torrent_bytes(), whole.to_torrent_bytes());
}

#[test]
fn a_hybrids_two_parts_describe_the_same_files() {
    let files = |change: fn(&mut Vec<Node>)| {
        move |node: &mut Node| change(node.at(&["info", "files"]).items())
    };
    let says = |change, words| assert_says(refusal(Version::Hybrid, files(change)), words);
    says(|files| files.swap(3, 5), "do not agree");
    says(|files| drop(files.remove(0)), "do not agree");
    says(
        |files| files.insert(0, v1_file(&[b"new"], 0)),
        "do not agree",
    );
    says(
        |files| files[3].put("length", Node::Int(16_382)),
        "two lengths",
    );
    says(
        |files| files[3].put("path", Node::List(vec![Node::text("x")])),
        "two paths",
    );
    says(
        |files| files[2].put("length", Node::Int(5)),
        "does not start on a piece",
    );
    says(|files| drop(files.remove(2)), "does not start on a piece");
    says(
        |files| files.last_mut().unwrap().put("length", Node::Int(3)),
        "does not start on a piece",
    );
    let tailless = taken(Version::Hybrid, files(|files| drop(files.pop())));
    assert_eq!(
        tailless.layout().piece_count(),
        make_folder(Version::Hybrid, 16_384).layout().piece_count()
    );
    let last = tailless.layout().pieces().last().unwrap();
    assert_eq!(tailless.layout().piece_length(last), 65_537 % 16_384);
    assert_says(
        refusal(Version::Hybrid, |node| {
            drop(node.at(&["info"]).remove("files"))
        }),
        "no v1 files",
    );
    assert_says(
        refusal(Version::Hybrid, |node| {
            drop(node.at(&["info"]).remove("pieces"))
        }),
        "no \"pieces\"",
    );
}

#[test]
fn there_is_one_v1_hash_for_each_piece() {
    for change in [0usize, 20, 21, 400] {
        let words = refusal(Version::V1, |node| {
            node.at(&["info"])
                .set("pieces", Node::Bytes(vec![0; change]));
        });
        assert_says(words, "hashes");
    }
    let torrent = make_folder(Version::V1, 16_384);
    let last = torrent.layout().pieces().last().unwrap();
    let total: Vec<u8> = torrent
        .layout()
        .files()
        .iter()
        .flat_map(|file| content(file.length))
        .collect();
    assert_eq!(
        torrent.v1_piece_hash(last),
        total.chunks(16_384).last().map(sha1)
    );
    assert_eq!(torrent.v2_piece_root(last), None);
    assert!(torrent.has_all_piece_layers(), "v1 has none to miss");
}

#[test]
fn padding_is_known_by_its_attribute_or_bitcomets_name() {
    let mut pad = v1_file(&[b"whatever"], 7);
    pad.set("attr", Node::text("p"));
    let mut nameless = Node::dict([("length", Node::Int(3))]);
    nameless.set("attr", Node::text("p"));
    let comet = v1_file(&[b"_____padding_file_0_if you see this"], 5);
    let torrent =
        parse(&v1_list(vec![v1_file(&[b"f"], 9), pad, nameless, comet], 24).encode()).unwrap();
    assert_eq!(paths(&torrent), ["f"]);
    assert_eq!(
        (torrent.layout().content_length(), torrent.layout().length()),
        (9, 24)
    );
    let mut link = v1_file(&[b"link"], 1 << 40);
    link.set("attr", Node::text("l"));
    let torrent = parse(&v1_list(vec![v1_file(&[b"f"], 9), link], 9).encode()).unwrap();
    assert_eq!(torrent.layout().files()[1].length, 0, "a link has no bytes");
}

#[test]
fn lengths_that_add_up_to_too_much_are_refused() {
    let files = vec![
        v1_file(&[b"a"], i64::MAX),
        v1_file(&[b"b"], i64::MAX),
        v1_file(&[b"c"], i64::MAX),
    ];
    assert_says(
        parse(&v1_list(files, 1).encode()).unwrap_err().to_string(),
        "64 bits",
    );
    let files = vec![v1_file(&[b"a"], 1 << 40)];
    assert_says(
        parse(&v1_list(files, 1).encode()).unwrap_err().to_string(),
        "2097152 pieces",
    );
    let files = vec![v1_file(&[b"a"], -1)];
    assert_says(
        parse(&v1_list(files, 1).encode()).unwrap_err().to_string(),
        "length",
    );
    let files = vec![v1_file(&[b"a"], 0)];
    assert_says(
        parse(&v1_list(files, 0).encode()).unwrap_err().to_string(),
        "empty",
    );
}

#[test]
fn every_limit_holds() {
    let bytes = torrent(Version::Hybrid).encode();
    let refusal = |limits: Limits| Metainfo::parse(&bytes, &limits).unwrap_err().to_string();
    let limits = Limits::BROWSER;
    assert!(Metainfo::parse(&bytes, &limits).is_ok());
    assert_says(
        refusal(Limits {
            torrent_bytes: bytes.len() - 1,
            ..limits
        }),
        "longer than",
    );
    assert_says(refusal(Limits { files: 5, ..limits }), "more than 5 files");
    assert_says(
        refusal(Limits {
            path_depth: 2,
            ..limits
        }),
        "too many folders deep",
    );
    assert_says(
        refusal(Limits {
            path_bytes: 200,
            ..limits
        }),
        "bytes in paths",
    );
    assert!(matches!(
        parse(&vec![b'd'; 10_000_001]),
        Err(Error::TooLong { .. })
    ));

    let mut many = torrent(Version::V1);
    let tier = |n: i32| Node::List(vec![Node::text(&format!("ws://tracker-{n}/"))]);
    many.set("announce-list", Node::List((0..100).map(tier).collect()));
    let seed = |n: i32| Node::text(&format!("https://seed-{n}/"));
    many.set("url-list", Node::List((0..100).map(seed).collect()));
    let torrent = parse(&many.encode()).unwrap();
    assert_eq!(
        (torrent.trackers().len(), torrent.web_seeds().len()),
        (32, 16)
    );
    assert_eq!(torrent.trackers()[0], "ws://127.0.0.1:1/announce");
}

#[test]
fn a_deep_tree_costs_no_more_memory_than_its_limit() {
    // 90 long folder names once, and a thousand files that each have them in their path.
    let root = Node::Bytes(vec![1; 32]);
    let file = Node::dict([(
        "",
        Node::dict([("length", Node::Int(1)), ("pieces root", root)]),
    )]);
    let mut tree = Node::Dict(
        (0..1_000)
            .map(|n| (format!("{n}").into_bytes(), file.clone()))
            .collect(),
    );
    for depth in 0..90 {
        tree = Node::Dict([(vec![b'a' + depth % 26; 1_000], tree)].into());
    }
    let mut node = torrent(Version::V2);
    node.remove("piece layers");
    node.at(&["info"]).set("file tree", tree);
    let error = parse(&node.encode()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooMany {
                what: "bytes in paths",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn metadata_from_peers_must_have_the_names_asked_for() {
    for version in ALL {
        let whole = make_folder(version, 16_384);
        let hashes = whole.info_hashes();
        let info = whole.info_bytes();
        let trackers = vec!["ws://t/".to_string()];
        let got = from_info(info, &hashes, trackers.clone()).unwrap();
        assert_eq!((got.info_hashes(), got.trackers()), (hashes, &trackers[..]));
        // Any name of it will do, and brings the others.
        for name in [
            hashes.v1().map(InfoHashes::V1),
            hashes.v2().map(InfoHashes::V2),
        ]
        .into_iter()
        .flatten()
        {
            assert_eq!(
                from_info(info, &name, vec![]).unwrap().info_hashes(),
                hashes
            );
        }
        for wrong in [
            InfoHashes::V1(InfoHashV1([1; 20])),
            InfoHashes::V2(InfoHashV2([1; 32])),
            InfoHashes::Hybrid(InfoHashV1(sha1(info).0), InfoHashV2([1; 32])),
            InfoHashes::Hybrid(InfoHashV1([1; 20]), InfoHashV2(sha256(info).0)),
        ] {
            assert_eq!(
                from_info(info, &wrong, vec![]).unwrap_err(),
                Error::WrongInfoHash
            );
        }
    }
    let v1 = make_folder(Version::V1, 16_384);
    let as_v2 = InfoHashes::V2(InfoHashV2(sha256(v1.info_bytes()).0));
    assert_eq!(
        from_info(v1.info_bytes(), &as_v2, vec![]).unwrap_err(),
        Error::WrongInfoHash
    );
}

#[test]
fn private_is_said_by_any_number_but_zero() {
    let with = |private| {
        taken(Version::V1, |node| {
            node.at(&["info"]).put("private", private)
        })
        .is_private()
    };
    assert!(with(Node::Int(1)) && with(Node::Int(2)));
    assert!(!with(Node::Int(0)) && !with(Node::text("1")));
}
