//! `headwater get --serve`, as a player meets it.

mod support;

use std::net::SocketAddr;

use headwater_core::rng::Rng;
use support::getting::{Getter, Seeder};
use support::{Answer, Folder, bytes, request};

const LENGTH: usize = 12_000_001;

/// A film, its seeder, and a getter that serves it.
struct House {
    address: SocketAddr,
    getter: Getter,
    _seeder: Seeder,
    _folder: Folder,
}

impl House {
    fn serving(files: &[(&str, usize)], seeded: &str, args: &[&str]) -> Self {
        let folder = Folder::new();
        for (name, length) in files {
            folder.file(name, *length);
        }
        let seeder = Seeder::start(&folder, &[seeded, "--piece-length", "256KiB"]);
        let flags = ["--json", "--serve", "127.0.0.1:0", seeder.says("magnet")];
        let mut getter = Getter::start(&folder, &[&flags[..], args].concat());
        let serving = getter.says("serving");
        let url = serving["url"].as_str().expect("an address");
        let site = url.trim_start_matches("http://").split('/').next();
        Self {
            address: site.and_then(|site| site.parse().ok()).expect("a site"),
            getter,
            _seeder: seeder,
            _folder: folder,
        }
    }

    fn get(&self, path: &str, headers: &[&str]) -> Answer {
        request(self.address, "GET", path, headers)
    }
}

#[test]
fn every_request_a_player_makes_gets_the_answer_the_rfc_says() {
    let house = House::serving(&[("film.mp4", LENGTH)], "film.mp4", &[]);
    let whole = bytes(LENGTH);
    let path = "/files/film.mp4";
    let tag = house
        .get(path, &["range: bytes=0-0"])
        .header("etag")
        .expect("a tag")
        .to_owned();
    let if_range = format!("if-range: {tag}");
    let none_match = format!("if-none-match: \"x\", {tag}");
    let last = LENGTH - 1;
    let table: &[(&[&str], u16, std::ops::Range<usize>)] = &[
        (&[], 200, 0..LENGTH),
        (&["range: bytes=0-"], 206, 0..LENGTH),
        (&["range: bytes=0-0"], 206, 0..1),
        (&["range: bytes=262143-262144"], 206, 262_143..262_145),
        (&["range: bytes=9000000-9500000"], 206, 9_000_000..9_500_001),
        (&["range: bytes=-1"], 206, last..LENGTH),
        (&["range: bytes=-99999999"], 206, 0..LENGTH),
        (&["range: bytes=11999990-99999999"], 206, 11_999_990..LENGTH),
        (&["range: bytes=12000001-"], 416, 0..0),
        (&["range: bytes=-0"], 416, 0..0),
        // Malformed, or of several ranges: as if it were not there.
        (&["range: bytes=5-4"], 200, 0..LENGTH),
        (&["range: bytes=0-1,5-6"], 200, 0..LENGTH),
        (&["range: chapters=1-2"], 200, 0..LENGTH),
        (&["range: bytes=1-2", &if_range], 206, 1..3),
        (&["range: bytes=1-2", "if-range: \"other\""], 200, 0..LENGTH),
        (&[&none_match], 304, 0..0),
    ];
    for (headers, status, part) in table {
        let answer = house.get(path, headers);
        assert_eq!(answer.status, *status, "{headers:?}");
        assert!(answer.body == whole[part.clone()], "{headers:?}");
        assert_eq!(answer.header("etag"), Some(tag.as_str()), "{headers:?}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
        let said = match status {
            206 => Some(format!("bytes {}-{}/{LENGTH}", part.start, part.end - 1)),
            416 => Some(format!("bytes */{LENGTH}")),
            _ => None,
        };
        assert_eq!(
            answer.header("content-range"),
            said.as_deref(),
            "{headers:?}"
        );
        if *status != 304 {
            let length = part.len().to_string();
            assert_eq!(answer.header("content-length"), Some(length.as_str()));
            assert_eq!(answer.header("content-type"), Some("video/mp4"));
            assert_eq!(answer.header("accept-ranges"), Some("bytes"));
        }
    }
    let head = request(house.address, "HEAD", path, &[]);
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("12000001"))
    );
    assert!(head.body.is_empty());
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(
            request(house.address, method, path, &[]).status,
            405,
            "{method}"
        );
    }
}

#[test]
fn a_thousand_random_ranges_are_those_of_the_file() {
    // A window of a third of the film: much of what is asked for has been let go again.
    let house = House::serving(&[("film.mp4", LENGTH)], "film.mp4", &["--window", "4MiB"]);
    let whole = bytes(LENGTH);
    let mut luck = Rng::seeded(7);
    for _ in 0..1_000 {
        let first = luck.below(LENGTH as u32) as usize;
        let last = (first + luck.below(50_000) as usize).min(LENGTH - 1);
        let answer = house.get(
            "/files/film.mp4",
            &[&format!("range: bytes={first}-{last}")],
        );
        assert_eq!(answer.status, 206);
        assert!(answer.body == whole[first..=last], "{first}-{last}");
    }
}

#[test]
fn a_folder_is_a_playlist_of_what_can_be_played() {
    let files = [
        ("set/1 a.mp4", 1_000),
        ("set/b/ü.mp3", 70_000),
        ("set/c.txt", 10),
    ];
    let mut house = House::serving(&files, "set", &[]);
    let at = house.address;
    let list = house.get("/playlist.m3u", &[]);
    assert_eq!(
        list.header("content-type"),
        Some("audio/x-mpegurl; charset=utf-8")
    );
    let text = String::from_utf8(list.body).expect("UTF-8");
    let first = format!("http://{at}/files/set/1%20a.mp4");
    let second = format!("http://{at}/files/set/b/%C3%BC.mp3");
    assert_eq!(
        text,
        format!("#EXTM3U\n#EXTINF:-1,1 a.mp4\n{first}\n#EXTINF:-1,b/ü.mp3\n{second}\n")
    );
    let root = house.get("/", &[]);
    assert_eq!(
        (root.status, root.header("location")),
        (307, Some("/playlist.m3u"))
    );
    assert!(house.get("/files/set/b/%C3%BC.mp3", &[]).body == bytes(70_000));
    assert!(house.get("/files/set/c.txt", &[]).body == bytes(10));
    for path in [
        "/files/set",
        "/files/set/../set/c.txt",
        "/torrents/set.torrent",
        "/config.json",
    ] {
        assert_eq!(house.get(path, &[]).status, 404, "{path}");
    }
    // Serving has no end of its own: to be stopped is how it ends well.
    house.getter.interrupt();
    assert!(house.getter.ends().success());
}

#[test]
fn a_page_that_makes_its_own_name_lead_here_gets_nothing() {
    let house = House::serving(&[("film.mp4", 1_000)], "film.mp4", &[]);
    for path in ["/", "/playlist.m3u", "/files/film.mp4"] {
        let answer = house.get(path, &["host: evil.example"]);
        assert_eq!(answer.status, 421, "{path}");
    }
    let root = house.get("/", &["host: localhost"]);
    assert_eq!(root.header("location"), Some("/files/film.mp4"));
}
