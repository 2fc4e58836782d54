//! `headwater get` to files: what is on the disk, whenever and however it ends.

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use headwater_core::rng::Rng;
use serde_json::Value;
use support::getting::{Getter, Seeder, create};
use support::{Folder, PATIENCE, assert_refused, bytes, headwater, request, stderr, text};

const PIECE: usize = 64 * 1024;

/// Runs `get` to its end, and says what it printed if it fails.
fn get(folder: &Folder, args: &[&str]) -> std::process::Output {
    let output = headwater(folder, &[&["get"], args].concat());
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    output
}

/// Looks until it holds; it must, before we lose patience.
fn until(mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "it never came to that");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

fn a_free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").to_string()
}

/// Bytes of a file that are on the disk, as far as the file system tells.
fn filled(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.blocks() * 512)
}

#[test]
fn a_film_goes_where_it_is_wanted_and_nothing_else_stays() {
    let folder = Folder::new();
    folder.file("seeded/film.mp4", 3_000_001);
    fs::create_dir_all(folder.path("there")).expect("a folder");
    for version in [&[][..], &["--v1"], &["--v2"]] {
        let seeder = Seeder::start(&folder, &[&["seeded/film.mp4"], version].concat());
        let magnet = seeder.says("magnet");
        for (args, path) in [
            (&[][..], "film.mp4"),
            (&["-o", "other.mp4"], "other.mp4"),
            (&["-o", "there"], "there/film.mp4"),
            (&["-o", "new/"], "new/film.mp4"),
        ] {
            get(&folder, &[args, &[magnet]].concat());
            assert!(
                fs::read(folder.path(path)).expect(path) == bytes(3_000_001),
                "{path}"
            );
            fs::remove_file(folder.path(path)).expect("gone");
        }
        fs::remove_dir(folder.path("new")).expect("nothing else in it");
        assert_eq!(folder.listing(), ["seeded", "there"]);
    }
}

#[test]
fn a_folder_comes_with_all_its_files_or_with_the_one_that_was_asked_for() {
    let files = [
        ("set/a.mp4", 300_000),
        ("set/b/c.mp4", 1),
        ("set/b/empty", 0),
        ("set/z.mp4", 70_000),
    ];
    for version in [&[][..], &["--v1"]] {
        let folder = Folder::new();
        for (name, length) in files {
            folder.file(&format!("seeded/{name}"), length);
        }
        let seeder = Seeder::start(
            &folder,
            &[&["seeded/set", "--piece-length", "64KiB"], version].concat(),
        );
        get(&folder, &[seeder.says("magnet")]);
        for (name, length) in files {
            assert!(
                fs::read(folder.path(name)).expect(name) == bytes(length),
                "{name}"
            );
        }
        get(
            &folder,
            &["-o", "one/", "--file", "z.mp4", seeder.says("magnet")],
        );
        assert!(fs::read(folder.path("one/set/z.mp4")).expect("z") == bytes(70_000));
        assert!(
            filled(&folder.path("one/set/a.mp4")) < 300_000,
            "but for a shared piece"
        );
    }
}

/// The pieces a state file claims, each of which must be on the disk.
fn assert_claims_hold(folder: &Folder, film: &[u8]) -> usize {
    let Ok(state) = fs::read(folder.path(".film.mp4.headwater")) else {
        return 0;
    };
    let state: Value = serde_json::from_slice(&state).expect("it is replaced as a whole");
    let on_disk = fs::read(folder.path("film.mp4")).expect("the film");
    let digits = state["have"].as_str().expect("hex").chars();
    let bits = digits.flat_map(|digit| {
        let digit = digit.to_digit(16).expect("hex");
        (0..4).map(move |bit| digit & (8 >> bit) != 0)
    });
    let claimed = bits
        .enumerate()
        .filter(|(_, claimed)| *claimed)
        .map(|(piece, _)| piece);
    let mut count = 0;
    for piece in claimed {
        let range = piece * PIECE..((piece + 1) * PIECE).min(film.len());
        assert!(
            on_disk[range.clone()] == film[range],
            "piece {piece} is claimed and is not there"
        );
        count += 1;
    }
    count
}

/// `HEADWATER_KILLS`, where somebody has more time than a test run.
fn kills(usual: usize) -> usize {
    let more = std::env::var("HEADWATER_KILLS").ok();
    more.and_then(|more| more.parse().ok()).unwrap_or(usual)
}

#[test]
fn killed_again_and_again_it_never_claims_what_is_not_there() {
    const LENGTH: usize = 48_000_001;
    let kills = kills(40);
    let folder = Folder::new();
    folder.file("seeded/film.mp4", LENGTH);
    let film = bytes(LENGTH);
    let seeder = Seeder::start(&folder, &["seeded/film.mp4", "--piece-length", "64KiB"]);
    let mut luck = Rng::seeded(1);
    let path = folder.path("film.mp4");
    let mut claims = Vec::new();
    for kill in 0..kills {
        let mut getter = Getter::start(&folder, &["--quiet", seeder.says("magnet")]);
        // A moment like no other: so many bytes further, or before anything was done at all.
        let further = filled(&path) + u64::from(luck.below((LENGTH * 4 / 3 / kills) as u32));
        if kill % 8 != 0 {
            until(|| filled(&path) >= further.min(LENGTH as u64 - 1_000_000) || getter.has_ended());
        }
        getter.child.kill().expect("killed");
        getter.ends();
        claims.push(assert_claims_hold(&folder, &film));
    }
    assert!(
        claims.iter().any(|claimed| *claimed > 100),
        "it claims something: {claims:?}"
    );
    let output = get(&folder, &["--json", seeder.says("magnet")]);
    assert!(fs::read(&path).expect("the film") == film);
    // Of what was there little is fetched again.
    let last = support::stdout(&output);
    let figures = last
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let received = figures.filter_map(|line| line["received"].as_u64()).max();
    assert!(received.expect("figures") < LENGTH as u64 / 2, "{last}");
    assert_eq!(folder.listing(), ["film.mp4", "seeded"]);
}

#[test]
fn what_is_there_already_is_looked_at_and_not_fetched() {
    let folder = Folder::new();
    let path = folder.file("film.mp4", 3_000_000);
    create(&folder, "film.mp4", "film.torrent");
    // Nobody has it, and nobody is needed.
    let nobody = ["--tracker", "ws://127.0.0.1:9/announce", "film.torrent"];
    get(&folder, &nobody);
    // A byte that is wrong is one piece that is fetched.
    let mut wrong = bytes(3_000_000);
    wrong[1_000_000] ^= 1;
    fs::write(&path, &wrong).expect("write");
    folder.file("seeded/film.mp4", 3_000_000);
    let seeder = Seeder::start(&folder, &["seeded/film.mp4", "--torrent", "film.torrent"]);
    get(&folder, &[seeder.says("magnet")]);
    assert!(fs::read(&path).expect("the film") == bytes(3_000_000));
}

#[test]
fn somebody_elses_file_is_left_alone() {
    let folder = Folder::new();
    folder.file("seeded/film.mp4", 3_000_000);
    let seeder = Seeder::start(&folder, &["seeded/film.mp4"]);
    for words in ["mine", ""] {
        let mine = folder.path("film.mp4");
        fs::write(&mine, words).expect("write");
        let output = headwater(&folder, &["get", seeder.says("magnet")]);
        if words.is_empty() {
            assert!(
                output.status.success(),
                "an empty file is nobody's: {}",
                stderr(&output)
            );
        } else {
            assert_refused(
                &output,
                1,
                "film.mp4 is there already and holds nothing of this torrent",
            );
            assert_eq!(fs::read(&mine).expect("mine"), b"mine");
            assert_eq!(folder.listing(), ["film.mp4", "seeded"]);
        }
    }
    // Nor is anything written through a link that leads elsewhere.
    let elsewhere = folder.file("elsewhere", 3_000_000);
    std::os::unix::fs::symlink(&elsewhere, folder.path("link.mp4")).expect("a link");
    let output = headwater(&folder, &["get", "-o", "link.mp4", seeder.says("magnet")]);
    assert_refused(&output, 1, "link.mp4");
}

#[test]
fn with_seed_it_gives_on_what_it_got() {
    let folder = Folder::new();
    folder.file("seeded/film.mp4", 3_000_000);
    create(&folder, "seeded/film.mp4", "film.torrent");
    let seeder = Seeder::start(&folder, &["seeded/film.mp4", "--torrent", "film.torrent"]);
    let tcp = a_free_port();
    let args = ["--json", "--seed", "--tcp", &tcp, seeder.says("magnet")];
    let mut first = Getter::start(&folder, &args);
    first.says("done");
    drop(seeder);
    let state = fs::metadata(folder.path(".film.mp4.headwater")).expect("its state");
    assert_eq!(state.permissions().mode() & 0o777, 0o600);
    get(
        &folder,
        &["-o", "again.mp4", "--peer", &tcp, "film.torrent"],
    );
    assert!(fs::read(folder.path("again.mp4")).expect("the film") == bytes(3_000_000));
    first.interrupt();
    assert!(first.ends().success());
    // Going on needs no second look at the film: what is known of it is enough.
    let film = folder.path("film.mp4");
    let mut second = Getter::start(
        &folder,
        &["--json", "--seed", "--peer", &tcp, "film.torrent"],
    );
    second.says("done");
    assert!(
        second.number("io", "rchar:") < 1_000_000,
        "it read {film:?} again"
    );
}

#[test]
fn a_player_reads_while_it_is_kept() {
    const LENGTH: usize = 20_000_000;
    let folder = Folder::new();
    folder.file("seeded/film.mp4", LENGTH);
    let film = bytes(LENGTH);
    let seeder = Seeder::start(&folder, &["seeded/film.mp4", "--upload-limit", "10MB"]);
    let args = [
        "--json",
        "--serve",
        "127.0.0.1:0",
        "-o",
        "film.mp4",
        seeder.says("magnet"),
    ];
    let mut getter = Getter::start(&folder, &args);
    let url = getter.says("serving")["url"]
        .as_str()
        .expect("an address")
        .to_owned();
    let site = url.trim_start_matches("http://").split('/').next();
    let address = site.and_then(|site| site.parse().ok()).expect("a site");
    for range in [
        19_000_000..20_000_000,
        5_000_000..6_000_000,
        0..LENGTH,
        19_999_000..LENGTH,
    ] {
        let asked = format!("range: bytes={}-{}", range.start, range.end - 1);
        let answer = request(address, "GET", "/files/film.mp4", &[&asked]);
        assert!(answer.body == film[range.clone()], "{range:?}");
    }
    until(|| fs::read(folder.path("film.mp4")).is_ok_and(|kept| kept == film));
    getter.interrupt();
    assert!(getter.ends().success());
}

#[test]
fn a_full_disk_pauses_it_and_room_lets_it_go_on() {
    let folder = Folder::new();
    folder.file("seeded/film.mp4", 12_000_000);
    fs::create_dir(folder.path("small")).expect("a folder");
    let seeder = Seeder::start(&folder, &["seeded/film.mp4"]);
    // A disk of 16 MiB with 10 in use, in a world of its own; room is made when we say so.
    let script = r#"
        mount -t tmpfs -o size=16m tmpfs small
        head -c 10485760 /dev/zero >small/ballast
        "$0" get --json -o small/film.mp4 "$1" >events 2>log &
        getter=$!
        until [ -e go ]; do sleep 0.05; done
        rm small/ballast
        wait $getter && cp small/film.mp4 whole.mp4"#;
    let mut house = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-euc", script])
        .args([env!("CARGO_BIN_EXE_headwater"), seeder.says("magnet")])
        .current_dir(&folder.0)
        .stdin(Stdio::null())
        .spawn()
        .expect("unshare");
    let events = || fs::read_to_string(folder.path("events")).unwrap_or_default();
    let says = |event: &str| events().contains(&format!("{{\"event\":\"{event}\""));
    until(|| says("paused"));
    let why = "the disk is full: cannot write small/film.mp4";
    assert!(events().contains(why), "{}", events());
    fs::write(folder.path("go"), "").expect("write");
    assert!(house.wait().expect("its end").success(), "{}", events());
    assert!(says("resumed") && says("done"), "{}", events());
    assert!(fs::read(folder.path("whole.mp4")).expect("the film") == bytes(12_000_000));
    let log = fs::read_to_string(folder.path("log")).expect("its log");
    assert!(log.contains(why), "{log}");
}

#[test]
fn a_seeder_that_dies_again_and_again_stops_no_download() {
    const LENGTH: usize = 30_000_000;
    let folder = Folder::new();
    folder.file("seeded/film.mp4", LENGTH);
    create(&folder, "seeded/film.mp4", "film.torrent");
    let (http, tcp) = (a_free_port(), a_free_port());
    let film = text(&folder.path("seeded/film.mp4")).to_owned();
    let seed = || {
        let args = [
            &film,
            "--torrent",
            "film.torrent",
            "--tcp",
            &tcp,
            "--upload-limit",
            "20MB",
        ];
        Seeder::start_at(&folder, &http, &args)
    };
    let mut seeder = seed();
    let path = folder.path("film.mp4");
    let mut getter = Getter::start(&folder, &["--quiet", "--peer", &tcp, seeder.says("magnet")]);
    let mut luck = Rng::seeded(2);
    for _ in 0..20 {
        let further = filled(&path) + u64::from(luck.below(1_000_000));
        until(|| filled(&path) > further || getter.has_ended());
        seeder.child.kill().expect("killed");
        seeder.child.wait().expect("its end");
        seeder = seed();
    }
    assert!(getter.ends().success());
    assert!(fs::read(&path).expect("the film") == bytes(LENGTH));
}

#[test]
fn two_that_write_to_one_place_are_one_too_many() {
    let folder = Folder::new();
    folder.file("seeded/film.mp4", 8_000_000);
    folder.file("seeded/set/a.mp4", 8_000_000);
    for what in ["film.mp4", "set"] {
        let args = [&format!("seeded/{what}"), "--upload-limit", "500KB"];
        let seeder = Seeder::start(&folder, &args);
        let mut first = Getter::start(&folder, &["--quiet", seeder.says("magnet")]);
        let state = folder.path(&format!(".{what}.headwater"));
        until(|| state.exists());
        let second = headwater(&folder, &["get", seeder.says("magnet")]);
        assert_refused(&second, 1, &format!("another headwater is writing {what}"));
        // The lock goes with its owner, however that ends.
        first.child.kill().expect("killed");
        first.ends();
        let mut third = Getter::start(&folder, &["--json", seeder.says("magnet")]);
        third.says("swarm");
        assert!(!third.has_ended());
    }
}

type Spoil = fn(&Path);

/// What may happen to a film while it is seeded.
const SPOILT: [(&str, Spoil); 3] = [
    ("truncated", |path| {
        let file = fs::OpenOptions::new().write(true).open(path);
        file.and_then(|file| file.set_len(2_000_000))
            .expect("truncate");
    }),
    ("overwritten", |path| {
        fs::write(path, vec![1; SPOILT_LENGTH]).expect("write");
    }),
    ("replaced", |path| {
        let other = path.with_extension("new");
        fs::write(&other, vec![1; SPOILT_LENGTH]).expect("write");
        fs::rename(&other, path).expect("rename");
    }),
];
const SPOILT_LENGTH: usize = 8_000_001;

#[test]
fn a_film_that_is_spoilt_under_its_seeder_harms_nobody() {
    std::thread::scope(|scope| {
        for (how, spoil) in SPOILT {
            scope.spawn(move || a_film_is_spoilt(how, spoil));
        }
    });
}

fn a_film_is_spoilt(how: &str, spoil: Spoil) {
    let folder = Folder::new();
    let seeded = folder.file("seeded/film.mp4", SPOILT_LENGTH);
    folder.file("honest/film.mp4", SPOILT_LENGTH);
    let film = bytes(SPOILT_LENGTH);
    create(&folder, "seeded/film.mp4", "film.torrent");
    let with_torrent = ["--torrent", "film.torrent"];
    let slowly = [
        &["seeded/film.mp4", "--upload-limit", "1MB"],
        &with_torrent[..],
    ]
    .concat();
    let seeder = Seeder::start(&folder, &slowly);
    let mut getter = Getter::start(&folder, &["--quiet", seeder.says("magnet")]);
    let path = folder.path("film.mp4");
    until(|| filled(&path) > 1_000_000);
    spoil(&seeded);
    let since = Instant::now();
    seeder.complains("film.mp4 has changed or gone");
    let seconds = since.elapsed().as_secs();
    assert!(seconds <= 10, "{how}: withdrawn after {seconds} s");
    let figures = request(seeder.site(), "GET", "/metrics", &[]);
    let figures = String::from_utf8(figures.body).expect("UTF-8");
    let pieces = SPOILT_LENGTH.div_ceil(PIECE);
    let is_withdrawn = |line: &str| {
        line.starts_with("headwater_torrent_pieces_withdrawn")
            && line.ends_with(&format!(" {pieces}"))
    };
    assert!(figures.lines().any(is_withdrawn), "{how}: {figures}");
    // Nothing wrong was taken for right, and who has the film goes on where the other stopped.
    assert_claims_hold(&folder, &film);
    let tracker = seeder.ready["trackers"][0].as_str().expect("text");
    let honestly = ["honest/film.mp4", "--no-tracker", "--tracker", tracker];
    let _honest = Seeder::start(&folder, &[&honestly, &with_torrent[..]].concat());
    assert!(getter.ends().success(), "{how}");
    assert!(fs::read(&path).expect("the film") == film, "{how}");
}
