//! Names from strangers: nothing leaves its folder, nothing takes another's place.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use headwater_core::metainfo::create::Version;
use headwater_core::metainfo::{Error, parse};
use support::{Node, make_folder, paths, v1_file, v1_list};

#[test]
fn hostile_names_stay_inside_their_folder() {
    let hostile: [&[&[u8]]; 12] = [
        &[b"..", b"..", b"etc", b"passwd"],
        &[b"/etc/passwd"],
        &[b"a/../../b"],
        &[b"C:\\windows"],
        &[b"."],
        &[b""],
        &[b"nul\0byte"],
        &[b"line\nbreak"],
        &[b"invalid\xff\xfeutf8"],
        "\u{202e}gpj.exe"
            .as_bytes()
            .chunks(64)
            .collect::<Vec<_>>()
            .leak(),
        &[b"\x7f\x1b[2J"],
        &[&[b'x'; 300]],
    ];
    let files: Vec<_> = hostile.iter().map(|path| v1_file(path, 1)).collect();
    let total = files.len();
    let torrent = parse(&v1_list(files, total).encode()).unwrap();
    for (_, file) in torrent.layout().content_files() {
        for name in &file.path {
            assert!(!matches!(&name[..], "" | "." | ".."), "{file:?}");
            assert!(
                !name.contains(['/', '\\', '\0', '\n', '\u{202e}', '\x1b']),
                "{file:?}"
            );
            assert!(name.len() <= 255);
        }
    }
    assert_eq!(paths(&torrent)[0], "_/_/etc/passwd");
    assert_eq!(paths(&torrent)[8], "invalid__utf8");
}

#[test]
fn the_torrents_own_name_is_made_safe_too() {
    let named = |name: &str| renamed("name", name);
    assert_eq!(named("../../x"), ".._.._x");
    assert_eq!(named(".."), "_");
    assert_eq!(named("ünï"), "ünï");
    assert_eq!(renamed("name.utf-8", "ö"), "ö");
    let single =
        b"d4:infod6:lengthi5e4:name2:..12:piece lengthi16384e6:pieces20:xxxxxxxxxxxxxxxxxxxxee";
    assert_eq!(parse(single).unwrap_err(), Error::Missing("name"));
}

/// The name of a torrent with this value at this key.
fn renamed(key: &str, name: &str) -> String {
    let mut node = Node::read(&make_folder(Version::V1, 16_384).to_torrent_bytes());
    node.at(&["info"]).put(key, Node::text(name));
    parse(&node.encode()).unwrap().name().to_string()
}

#[test]
fn two_files_never_share_a_path() {
    let names: [&[&[u8]]; 9] = [
        &[b"a.mp4"],
        &[b"a.mp4"],
        &[b"a.1.mp4"],
        &[b"a.mp4"],
        &[b"a.mp4", b"inside"],
        &[b"a.mp4", b"inside"],
        &[b"dir", b"x"],
        &[b"dir"],
        &[b"dir", b"y"],
    ];
    let files: Vec<_> = names.iter().map(|path| v1_file(path, 1)).collect();
    let torrent = parse(&v1_list(files, 9).encode()).unwrap();
    assert_eq!(
        paths(&torrent),
        [
            "a.mp4",
            "a.1.mp4",
            "a.1.1.mp4",
            "a.2.mp4",
            "a.3.mp4/inside",
            "a.3.mp4/inside.1",
            "dir/x",
            "dir.1",
            "dir/y"
        ]
    );
}

#[test]
fn a_hundred_thousand_equal_names_are_told_apart_quickly() {
    let files: Vec<_> = (0..100_000).map(|_| v1_file(&[b"same"], 1)).collect();
    let torrent = parse(&v1_list(files, 100_000).encode()).unwrap();
    let distinct: std::collections::BTreeSet<_> = paths(&torrent).into_iter().collect();
    assert_eq!(distinct.len(), 100_000);
}
