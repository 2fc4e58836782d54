//! Back to source: `headwater get` with a web server that has the file, and servers that are no good.

mod support;

use std::fs;
use std::time::Instant;

use support::getting::Seeder;
use support::origin::{Mood, Origin};
use support::{Folder, bytes, headwater, stderr};

const LENGTH: usize = 6_000_001;

/// A seeder that no tracker knows.
const NOBODY: [&str; 3] = ["--no-tracker", "--tracker", "ws://127.0.0.1:9/announce"];

/// A film's torrent, without a tracker or a seed; the film itself is gone.
fn film(folder: &Folder, version: &[&str]) {
    folder.file("film.mp4", LENGTH);
    let made = headwater(
        folder,
        &[
            &[
                "create",
                "film.mp4",
                "--out",
                "f.torrent",
                "--piece-length",
                "256KiB",
            ],
            version,
        ]
        .concat(),
    );
    assert!(made.status.success(), "{}", stderr(&made));
    fs::remove_file(folder.path("film.mp4")).expect("gone");
}

/// `headwater get` of it to standard output, with these flags.
fn get(folder: &Folder, args: &[&str]) -> std::process::Output {
    headwater(
        folder,
        &[
            &["get", "f.torrent", "-o", "-", "--quiet", "--no-tcp"],
            args,
        ]
        .concat(),
    )
}

#[test]
fn an_origin_alone_brings_the_film_whatever_kind_of_torrent() {
    for version in [&[][..], &["--v1"], &["--v2"]] {
        let folder = Folder::new();
        film(&folder, version);
        let origin = Origin::start(bytes(LENGTH), Mood::Honest);
        let output = get(&folder, &["--origin", &origin.url()]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(output.stdout == bytes(LENGTH));
        assert_eq!(origin.sent(), LENGTH as u64, "{version:?}");
        assert!(origin.requests() <= 12, "{} requests", origin.requests());
    }
}

#[test]
fn a_web_seed_of_the_torrent_is_asked_only_where_a_torrent_may_lead() {
    let folder = Folder::new();
    let origin = Origin::start(bytes(LENGTH), Mood::Honest);
    let url = origin.url();
    film(&folder, &["--web-seed", &url]);
    let nobody = ["--tracker", "ws://127.0.0.1:9/announce"];
    let refused = get(&folder, &[&["--timeout", "1", "-v"][..], &nobody].concat());
    assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("an address of a private network"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(origin.requests(), 0);
    let allowed = get(&folder, &["--private-web-seeds"]);
    assert!(allowed.stdout == bytes(LENGTH), "{}", stderr(&allowed));
    let before = origin.requests();
    let off = get(
        &folder,
        &[
            "--no-web-seeds",
            "--tracker",
            "ws://127.0.0.1:9/",
            "--timeout",
            "1",
        ],
    );
    assert_eq!(off.status.code(), Some(3), "{}", stderr(&off));
    assert_eq!(origin.requests(), before);
}

#[test]
fn origins_that_are_no_good_harm_nothing_and_are_named() {
    let moods = [
        (Mood::SendsElsewhere, "it sent wrong bytes"),
        (Mood::LiesAboutLength, "it was asked for bytes"),
        (Mood::EndsEarly, "it broke off"),
        (
            Mood::RedirectsInside,
            "10.1.2.3 cannot be reached: it is at an address of a private network",
        ),
        (Mood::RedirectsForEver, "it redirects more than 5 times"),
        (Mood::Compresses, "it compresses what it sends (gzip)"),
        (Mood::FlipsABit, "it sent wrong bytes"),
        (Mood::NotFound, "it says 404 Not Found"),
    ];
    let folder = Folder::new();
    film(&folder, &[]);
    let good = Origin::start(bytes(LENGTH), Mood::Honest);
    for (mood, says) in moods {
        let evil = Origin::start(bytes(LENGTH), mood);
        // A good one beside it: the film comes all the same.
        let both = get(&folder, &["--origin", &evil.url(), "--origin", &good.url()]);
        assert!(both.stdout == bytes(LENGTH), "{mood:?}: {}", stderr(&both));
        assert!(stderr(&both).contains(says), "{mood:?}: {}", stderr(&both));
        assert!(
            stderr(&both).contains(&evil.url()),
            "{mood:?}: {}",
            stderr(&both)
        );
    }
}

#[test]
fn an_origin_that_ignores_range_is_used_where_the_file_is_short() {
    let folder = Folder::new();
    film(&folder, &["--v1"]);
    let origin = Origin::start(bytes(LENGTH), Mood::IgnoresRange);
    let output = get(&folder, &["--origin", &origin.url()]);
    assert!(output.stdout == bytes(LENGTH), "{}", stderr(&output));
}

#[test]
fn an_origin_that_stalls_is_left_for_another() {
    let folder = Folder::new();
    film(&folder, &[]);
    let stalls = Origin::start(bytes(LENGTH), Mood::StallsAfter(500_000));
    let good = Origin::start(bytes(LENGTH), Mood::Honest);
    let since = Instant::now();
    let output = get(
        &folder,
        &["--origin", &stalls.url(), "--origin", &good.url()],
    );
    assert!(output.stdout == bytes(LENGTH), "{}", stderr(&output));
    assert!(since.elapsed().as_secs() < 10, "{:?}", since.elapsed());
}

#[test]
fn a_folder_comes_file_by_file_from_its_web_seed() {
    // Our own server names its files as BEP 19 does.
    let folder = Folder::new();
    folder.file("set/a b/film.mp4", 700_001);
    folder.file("set/ü.mp4", 300_000);
    let seeder = Seeder::start(
        &folder,
        &[
            "set",
            "--no-tcp",
            "--out",
            "f.torrent",
            "--tracker",
            "ws://127.0.0.1:9/",
        ],
    );
    let site = seeder
        .says("torrent")
        .split("/torrents/")
        .next()
        .expect("a site")
        .to_owned();
    let output = headwater(
        &folder,
        &[
            "get",
            "f.torrent",
            "-o",
            "copy",
            "--quiet",
            "--no-tcp",
            "--no-web-seeds",
            "--origin",
            &format!("{site}/files/"),
        ],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    for name in ["a b/film.mp4", "ü.mp4"] {
        let (ours, copy) = (
            folder.path(&format!("set/{name}")),
            folder.path(&format!("copy/{name}")),
        );
        assert!(
            fs::read(ours).expect("ours") == fs::read(copy).expect("the copy"),
            "{name}"
        );
    }
}

#[test]
fn a_seeder_is_an_origin_of_the_torrents_it_makes() {
    for version in [&[][..], &["--v1"], &["--v2"]] {
        let folder = Folder::new();
        folder.file("a film.mp4", LENGTH);
        // No peer finds it: all it can be is an origin.
        let flags = [&["a film.mp4", "--no-tcp"][..], &NOBODY, version].concat();
        let seeder = Seeder::start(&folder, &flags);
        let torrent = seeder.says("torrent");
        let output = headwater(&folder, &["get", torrent, "-o", "-", "--quiet", "--no-tcp"]);
        assert!(output.stdout == bytes(LENGTH), "{}", stderr(&output));
    }
}

#[test]
fn a_seeders_web_server_is_named_where_others_know_it_and_left_alone_where_peers_are_faster() {
    let folder = Folder::new();
    // Long enough that what is asked for before the peers are known is not most of it.
    let length = 40_000_000;
    folder.file("film.mp4", length);
    // What stands before the seeder, as far as the outside can see.
    let proxy = Origin::start_at(bytes(length), Mood::Honest, Some(4_000_000));
    let url = format!("http://{}", proxy.at);
    let flags = [&["film.mp4", "--url", &url][..], &NOBODY].concat();
    let seeder = Seeder::start(&folder, &flags);
    let magnet = seeder.says("magnet");
    assert!(magnet.contains("&ws=http"), "{magnet}");
    let peer = ["--peer", seeder.says("tcp")];
    let flags = ["get", magnet, "-o", "-", "--quiet", "--private-web-seeds"];
    let output = headwater(&folder, &[&flags[..], &peer].concat());
    assert!(output.stdout == bytes(length), "{}", stderr(&output));
    assert!(proxy.sent() < length as u64 / 2, "{} bytes", proxy.sent());
}

#[test]
fn a_seeder_that_is_told_so_names_no_web_server_and_never_does_in_a_torrent_it_was_given() {
    let folder = Folder::new();
    folder.file("film.mp4", 100_000);
    let made = headwater(&folder, &["create", "film.mp4", "-o", "given.torrent"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let given = fs::read(folder.path("given.torrent")).expect("the torrent");
    for flags in [
        ["--no-web-seed"].as_slice(),
        &["--upload-limit", "1MB"],
        &["--torrent", "given.torrent"],
    ] {
        let seeder = Seeder::start(&folder, &[&["film.mp4"][..], &NOBODY, flags].concat());
        assert!(!seeder.says("magnet").contains("ws="), "{flags:?}");
    }
    let seeder = Seeder::start(&folder, &[&["film.mp4"][..], &NOBODY].concat());
    assert!(seeder.says("magnet").contains("ws="));
    let hash = headwater_core::metainfo::parse(&given)
        .expect("a torrent")
        .info_hashes();
    assert_eq!(
        hash.v1().map(|hash| hash.to_hex()).as_deref(),
        Some(seeder.says("info_hash_v1"))
    );
    assert!(fs::read(folder.path("given.torrent")).expect("the torrent") == given);
}
