//! `headwater create` and `headwater inspect` as a person and a script meet them.

mod support;

use std::fs;

use headwater_core::metainfo::{self, Magnet};
use serde_json::Value;
use support::{Folder, assert_refused, headwater, stderr, stdout, text};

fn json(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_str(&stdout(output)).expect("one JSON object")
}

#[test]
fn a_folder_becomes_a_torrent_in_each_version() {
    let folder = Folder::new();
    for (name, length) in [
        ("empty", 0),
        ("one", 1),
        ("under", 16_383),
        ("block", 16_384),
        ("over", 16_385),
        ("sub/many", 65_537),
    ] {
        folder.file(&format!("set/{name}"), length);
    }
    let length = 1 + 16_383 + 16_384 + 16_385 + 65_537;
    for (flags, v1, v2) in [
        (vec![], true, true),
        (vec!["--v1"], true, false),
        (vec!["--v2"], false, true),
    ] {
        let args = [
            &[
                "create",
                "set",
                "-o",
                "set.torrent",
                "--json",
                "--tracker",
                "wss://t.example/announce",
            ][..],
            &flags,
        ]
        .concat();
        let created = json(&headwater(&folder, &args));
        assert_eq!(created["torrent"], "set.torrent");
        assert_eq!(created["length"], length);
        assert_eq!(
            (
                created["info_hash_v1"].is_string(),
                created["info_hash_v2"].is_string()
            ),
            (v1, v2)
        );

        let torrent = metainfo::parse(&fs::read(folder.path("set.torrent")).expect("written"))
            .expect("a torrent");
        assert_eq!(torrent.name(), "set");
        assert_eq!(torrent.layout().piece_count(), created["pieces"]);
        assert!(torrent.has_all_piece_layers());
        let magnet = Magnet::parse(created["magnet"].as_str().expect("text")).expect("a magnet");
        assert_eq!(magnet.hashes, torrent.info_hashes());
        assert_eq!(magnet.trackers, ["wss://t.example/announce"]);
    }
}

#[test]
fn inspect_says_what_create_wrote() {
    let folder = Folder::new();
    folder.file("film.mp4", 300_000);
    let flags = [
        "--tracker",
        "ws://t/announce",
        "--web-seed",
        "http://o/film.mp4",
        "--private",
        "--comment",
        "a comment",
        "--piece-length",
        "32KiB",
    ];
    let created = json(&headwater(
        &folder,
        &[&["create", "film.mp4", "--json"][..], &flags].concat(),
    ));
    let shown = json(&headwater(
        &folder,
        &["inspect", "film.mp4.torrent", "--json"],
    ));
    for key in [
        "info_hash_v1",
        "info_hash_v2",
        "piece_length",
        "pieces",
        "length",
        "magnet",
    ] {
        assert_eq!(shown[key], created[key], "{key}");
    }
    assert_eq!(shown["version"], "hybrid");
    assert_eq!(shown["piece_length"], 32_768);
    assert_eq!(shown["private"], true);
    assert_eq!(shown["comment"], "a comment");
    assert_eq!(shown["web_seeds"][0], "http://o/film.mp4");
    assert_eq!(shown["files"][0]["path"], "film.mp4");
    assert_eq!(shown["warnings"].as_array().map(Vec::len), Some(0));

    let of_magnet = json(&headwater(
        &folder,
        &[
            "inspect",
            created["magnet"].as_str().expect("text"),
            "--json",
        ],
    ));
    assert_eq!(of_magnet["info_hash_v2"], created["info_hash_v2"]);

    let words = stdout(&headwater(&folder, &["inspect", "film.mp4.torrent"]));
    assert!(words.contains("300,000 bytes"), "{words}");
}

#[test]
fn the_same_bytes_make_the_same_torrent() {
    let folder = Folder::new();
    folder.file("a/x", 200_000);
    folder.file("a/y/z", 100_000);
    let make = |out: &str| {
        assert!(
            headwater(&folder, &["create", "a", "-o", out])
                .status
                .success()
        );
        fs::read(folder.path(out)).expect("written")
    };
    assert!(make("1.torrent") == make("2.torrent"));
}

#[test]
fn what_is_no_torrent_is_refused_in_words() {
    let folder = Folder::new();
    folder.file("noise.torrent", 1_000);
    fs::write(folder.path("empty.torrent"), "").expect("write");
    fs::write(folder.path("deep.torrent"), "l".repeat(100_000)).expect("write");
    fs::write(folder.path("list.torrent"), "le").expect("write");
    let large = fs::File::create(folder.path("large.torrent")).expect("create");
    large.set_len(20_000_000).expect("sparse");
    for name in [
        "noise.torrent",
        "empty.torrent",
        "deep.torrent",
        "list.torrent",
    ] {
        assert_refused(
            &headwater(&folder, &["inspect", name]),
            1,
            "is not a torrent we can use",
        );
    }
    assert_refused(
        &headwater(&folder, &["inspect", "large.torrent"]),
        1,
        "longer than",
    );
    assert_refused(
        &headwater(&folder, &["inspect", "missing.torrent"]),
        1,
        "cannot read missing.torrent",
    );
    assert_refused(&headwater(&folder, &["inspect", "."]), 1, "cannot read .");
    assert_refused(
        &headwater(&folder, &["inspect", "magnet:?dn=film"]),
        1,
        "magnet link",
    );
}

#[test]
fn a_magnet_without_a_tracker_is_shown_with_what_to_do() {
    let folder = Folder::new();
    let magnet = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567";
    let words = stdout(&headwater(&folder, &["inspect", magnet]));
    assert!(
        words.contains("names no tracker") && words.contains("&tr="),
        "{words}"
    );
}

#[test]
fn what_cannot_be_made_leaves_nothing_behind() {
    let folder = Folder::new();
    folder.file("film.mp4", 100);
    folder.file("empty.mp4", 0);
    fs::create_dir(folder.path("nothing")).expect("a folder");
    fs::create_dir(folder.path("taken.torrent")).expect("a folder");
    let before = folder.listing();
    assert_refused(
        &headwater(&folder, &["create", "missing.mp4"]),
        1,
        "cannot read missing.mp4",
    );
    assert_refused(
        &headwater(&folder, &["create", "empty.mp4"]),
        1,
        "no file to seed",
    );
    assert_refused(
        &headwater(&folder, &["create", "nothing"]),
        1,
        "no file to seed",
    );
    assert_refused(
        &headwater(
            &folder,
            &["create", "film.mp4", "-o", "no/such/folder.torrent"],
        ),
        1,
        "cannot write",
    );
    assert_refused(
        &headwater(&folder, &["create", "film.mp4", "-o", "taken.torrent"]),
        1,
        "cannot write",
    );
    assert_eq!(folder.listing(), before);
}

#[test]
fn flags_that_make_no_sense_end_with_2() {
    let folder = Folder::new();
    folder.file("film.mp4", 100);
    folder.file("film2.mp4", 100);
    let before = folder.listing();
    for (args, says) in [
        (
            &["create", "film.mp4", "--v1", "--v2"][..],
            "cannot be used with",
        ),
        (
            &["create", "film.mp4", "--piece-length", "1000"],
            "power of two",
        ),
        (
            &["create", "film.mp4", "--piece-length", "64MiB"],
            "power of two",
        ),
        (
            &["create", "film.mp4", "--piece-length", "much"],
            "is not a size",
        ),
        (
            &["create", "film.mp4", "--tracker", "nonsense"],
            "cannot be a tracker",
        ),
        (
            &["create", "film.mp4", "--web-seed", "ftp://x"],
            "cannot be a web seed",
        ),
        (
            &["create", "film.mp4", "--name", "a/b"],
            "cannot be the name",
        ),
        (&["create"], "required"),
        (&["seed"], "required"),
        (
            &["seed", "film.mp4", "film2.mp4", "--out", "x"],
            "for one PATH",
        ),
        (&["seed", "film.mp4", "--no-tracker"], "nobody can find"),
        (&["seed", "film.mp4", "--listen", "here"], "invalid"),
    ] {
        assert_refused(&headwater(&folder, args), 2, says);
    }
    assert_eq!(folder.listing(), before);
}

#[cfg(unix)]
#[test]
fn what_lies_outside_the_folder_or_is_no_file_is_left_out() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    folder.file("secret", 50_000);
    folder.file("set/film.mp4", 20_000);
    symlink(folder.path("secret"), folder.path("set/leak")).expect("link");
    symlink("/", folder.path("set/root")).expect("link");
    symlink(".", folder.path("set/loop")).expect("link");
    symlink("nowhere", folder.path("set/broken")).expect("link");
    symlink("film.mp4", folder.path("set/inside.mp4")).expect("link");
    let fifo = std::process::Command::new("mkfifo")
        .arg(folder.path("set/pipe"))
        .status()
        .expect("mkfifo");
    assert!(fifo.success());
    let output = headwater(&folder, &["create", "set"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let torrent = metainfo::parse(&fs::read(folder.path("set.torrent")).expect("written"))
        .expect("a torrent");
    let names: Vec<_> = torrent
        .layout()
        .content_files()
        .map(|(_, file)| file.path.join("/"))
        .collect();
    assert_eq!(names, ["film.mp4", "inside.mp4"]);
    let warnings = stderr(&output);
    for name in ["leak", "root", "loop", "broken", "pipe"] {
        assert!(
            warnings.contains(text(&folder.path("set").join(name))),
            "{name}: {warnings}"
        );
    }
    assert_refused(
        &headwater(&folder, &["create", "set/pipe"]),
        1,
        "neither a file nor a folder",
    );
}
