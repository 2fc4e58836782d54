//! `headwater get`: what comes out of it, what it costs, and how it ends.

mod support;

use std::fs;
use std::io::Read;
use std::process::ChildStdout;

use support::getting::{Getter, Seeder};
use support::{Folder, assert_refused, bytes, headwater, stderr};

/// The bytes that `headwater get … -o -` writes, and how it ended.
fn streamed(folder: &Folder, args: &[&str]) -> std::process::Output {
    headwater(folder, &[&["get", "-o", "-", "--quiet"], args].concat())
}

#[test]
fn a_film_comes_out_in_order_by_torrent_magnet_address_and_page() {
    let folder = Folder::new();
    folder.file("film.mp4", 3_000_001);
    for version in [&[][..], &["--v1"], &["--v2"]] {
        let seeder = Seeder::start(
            &folder,
            &[&["film.mp4", "--out", "f.torrent"], version].concat(),
        );
        let given = [
            seeder.says("magnet"),
            "f.torrent",
            seeder.says("torrent"),
            seeder.says("page"),
        ];
        for given in given {
            let output = streamed(&folder, &[given]);
            assert!(output.status.success(), "{given}: {}", stderr(&output));
            assert!(output.stdout == bytes(3_000_001), "{given} {version:?}");
        }
        fs::remove_file(folder.path("f.torrent")).expect("gone");
    }
}

#[test]
fn a_file_of_a_folder_is_chosen_by_the_end_of_its_path() {
    let folder = Folder::new();
    folder.file("set/a/film.mp4", 700_000);
    folder.file("set/b/film.mp4", 16_385);
    folder.file("set/b/words.srt", 1);
    let seeder = Seeder::start(&folder, &["set"]);
    let magnet = seeder.says("magnet");
    for (name, length) in [
        ("a/film.mp4", 700_000),
        ("b/film.mp4", 16_385),
        ("words.srt", 1),
    ] {
        let output = streamed(&folder, &[magnet, "--file", name]);
        assert!(
            output.stdout == bytes(length),
            "{name}: {}",
            stderr(&output)
        );
    }
    let choose = "choose it with --file: a/film.mp4, b/film.mp4, b/words.srt";
    assert_refused(&streamed(&folder, &[magnet]), 2, choose);
    let several = "several files end in `film.mp4`: a/film.mp4, b/film.mp4";
    assert_refused(
        &streamed(&folder, &[magnet, "--file", "film.mp4"]),
        2,
        several,
    );
    let none = "no file of this torrent is called `mp4`";
    assert_refused(&streamed(&folder, &[magnet, "--file", "mp4"]), 2, none);
}

#[test]
fn a_stream_stays_in_its_window_and_touches_no_disk() {
    const LENGTH: usize = 48 << 20;
    const WINDOW: u64 = 8 << 20;
    let folder = Folder::new();
    folder.file("film.mp4", LENGTH);
    let seeder = Seeder::start(&folder, &["film.mp4"]);
    let args = [
        "-o",
        "-",
        "--quiet",
        "--window",
        "8MiB",
        seeder.says("magnet"),
    ];
    let mut getter = Getter::start(&folder, &args);
    let mut out = getter.child.stdout.take().expect("its output");
    let mut film = vec![0; LENGTH];
    // With more left than a pipe holds it cannot end before it was looked at.
    let (first, rest) = film.split_at_mut(LENGTH - (1 << 20));
    out.read_exact(first).expect("most of it");
    let (written, peak) = (getter.written_to_disk(), getter.peak_memory());
    out.read_exact(rest).expect("the rest");
    assert!(getter.ends().success());
    assert!(film == bytes(LENGTH));
    assert_eq!(written, 0);
    assert!(
        peak <= WINDOW + (32 << 20),
        "{} MiB at its peak",
        peak >> 20
    );
}

/// A stream under way, of which the first bytes are read.
fn half_read(folder: &Folder, seeder: &Seeder) -> (Getter, ChildStdout) {
    let mut getter = Getter::start(folder, &["-o", "-", "--quiet", seeder.says("magnet")]);
    let mut out = getter.child.stdout.take().expect("its output");
    out.read_exact(&mut [0; 1000]).expect("the first bytes");
    (getter, out)
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let folder = Folder::new();
    folder.file("film.mp4", 4_000_000);
    let seeder = Seeder::start(&folder, &["film.mp4"]);
    let (mut getter, out) = half_read(&folder, &seeder);
    drop(out);
    assert_eq!(getter.ends().code(), Some(141));
}

#[test]
fn an_interrupted_get_says_so() {
    let folder = Folder::new();
    folder.file("film.mp4", 4_000_000);
    let seeder = Seeder::start(&folder, &["film.mp4"]);
    let (mut getter, _out) = half_read(&folder, &seeder);
    getter.interrupt();
    assert_eq!(getter.ends().code(), Some(130));
}

#[test]
fn it_gives_up_when_nobody_has_it() {
    let folder = Folder::new();
    let magnet = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567\
                  &tr=ws://127.0.0.1:9/announce";
    let output = streamed(&folder, &["--timeout", "1", magnet]);
    assert_refused(&output, 3, "nothing arrived for 1 s");
}

#[test]
fn what_cannot_be_got_is_refused_at_once() {
    let folder = Folder::new();
    folder.file("film.mp4", 4_000_000);
    folder.file("no.torrent", 100);
    let hash = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567";
    assert_refused(&streamed(&folder, &[hash]), 2, "name one with --tracker");
    assert_refused(&streamed(&folder, &["no.torrent"]), 1, "is not a torrent");
    assert_refused(
        &streamed(&folder, &["none.torrent"]),
        1,
        "cannot read none.torrent",
    );
    assert_refused(&streamed(&folder, &["magnet:?dn=x"]), 1, "this magnet link");
    let seeder = Seeder::start(&folder, &["film.mp4", "--piece-length", "1MiB"]);
    let args = ["--window", "2MiB", seeder.says("magnet")];
    assert_refused(
        &streamed(&folder, &args),
        2,
        "--window 2097152 has no room for 4 pieces",
    );
    let site = seeder.says("page").split("/#").next().expect("a site");
    let nothing = format!("{site}/torrents/none.torrent");
    assert_refused(&streamed(&folder, &[&nothing]), 1, "the server says 404");
}

#[test]
fn a_script_reads_its_events() {
    let folder = Folder::new();
    folder.file("film.mp4", 300_000);
    let seeder = Seeder::start(&folder, &["film.mp4"]);
    let output = headwater(
        &folder,
        &["get", "-o", "-", "--json", seeder.says("magnet")],
    );
    assert!(output.stdout == bytes(300_000));
    let words = stderr(&output);
    let lines: Vec<serde_json::Value> = words
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let said = |event: &str| lines.iter().find(|line| line["event"] == event);
    let metadata = said("metadata").expect("metadata");
    assert_eq!(metadata["name"], "film.mp4");
    assert_eq!(metadata["info_hash_v2"], seeder.ready["info_hash_v2"]);
    assert_eq!(metadata["files"][0]["length"], 300_000);
    assert!(said("progress").is_some(), "{words}");
    assert_eq!(said("swarm").expect("a peer")["what"]["kind"], "peerOpened");
    let done = lines.last().expect("an end");
    assert_eq!(
        (&done["event"], &done["length"]),
        (&"done".into(), &300_000.into())
    );
}
