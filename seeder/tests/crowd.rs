//! A crowd that gets one film at the same moment, each a process of its own, from a web server that
//! is much too slow for all of them; no seed is there.

mod support;

use std::fs;
use std::time::Instant;

use support::getting::{Getter, Seeder, command};
use support::origin::{Mood, Origin};
use support::{Folder, bytes, headwater, stderr};

const LENGTH: usize = 8_000_000;
const CROWD: usize = 20;

/// Bytes a second of the web server: for one after the other it would take 40 seconds.
const RATE: u64 = 4_000_000;

#[test]
fn twenty_that_come_at_once_take_a_film_from_each_other_and_little_of_it_from_its_web_server() {
    let folder = Folder::new();
    folder.file("film.mp4", LENGTH);
    let tracker = Seeder::of(command(
        &folder,
        &["track", "--json", "--listen", "127.0.0.1:0"],
    ));
    let announce = tracker.says("tracker").replacen("ws", "http", 1);
    let make = ["--piece-length", "64KiB", "--tracker", announce.as_str()];
    let made = headwater(
        &folder,
        &[&["create", "film.mp4", "-o", "f.torrent"][..], &make].concat(),
    );
    assert!(made.status.success(), "{}", stderr(&made));
    fs::remove_file(folder.path("film.mp4")).expect("gone");
    let origin = Origin::start_at(bytes(LENGTH), Mood::Honest, Some(RATE));
    let url = origin.url();
    let flags = [
        "f.torrent",
        "-o",
        "-",
        "--quiet",
        "--timeout",
        "20",
        "--origin",
        url.as_str(),
    ];
    let since = Instant::now();
    let crowd: Vec<_> = (0..CROWD).map(|_| Getter::start(&folder, &flags)).collect();
    let reading = crowd
        .into_iter()
        .map(|one| std::thread::spawn(|| one.everything()));
    for one in reading.collect::<Vec<_>>() {
        let got = one.join().expect("no panic");
        assert!(got == bytes(LENGTH), "{} bytes", got.len());
    }
    let share = origin.sent() as f64 / (CROWD * LENGTH) as f64;
    eprintln!(
        "{share:.3} of the bytes from the origin, in {:?}",
        since.elapsed()
    );
    assert!(share < 0.5, "{share:.3}");
}
