//! `headwater get --serve`, as a player meets it.

mod support;

use std::net::SocketAddr;

use support::getting::{Getter, Seeder};
use support::{Answer, Folder, bytes, ranges, request};

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
    let path = "/files/film.mp4";
    ranges::every_request_is_answered_as_it_must_be(house.address, path, &bytes(LENGTH));
    // It is a player's alone: pages of other origins have no business here.
    let answer = house.get(path, &["range: bytes=0-0"]);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn a_thousand_random_ranges_are_those_of_the_file() {
    // A window of a third of the film: much of what is asked for has been let go again.
    let house = House::serving(&[("film.mp4", LENGTH)], "film.mp4", &["--window", "4MiB"]);
    let path = "/files/film.mp4";
    ranges::random_ranges_are_those_of_the_file(house.address, path, &bytes(LENGTH));
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
