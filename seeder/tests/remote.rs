//! `headwater seed https://…`: a film that lies on a web server, seeded without a copy of it.

mod support;

use support::getting::{Getter, Seeder};
use support::origin::{Mood, Origin};
use support::{Folder, assert_refused, bytes, headwater, request, stderr};

const LENGTH: usize = 6_000_001;

/// Seeds the server's film, to those alone who know where to call.
fn seed(folder: &Folder, origin: &Origin, flags: &[&str]) -> Seeder {
    let url = origin.url();
    let nobody = ["--no-tracker", "--tracker", "ws://127.0.0.1:9/announce"];
    Seeder::start(
        folder,
        &[
            &[url.as_str()][..],
            &nobody,
            flags,
            &["--piece-length", "256KiB"],
        ]
        .concat(),
    )
}

fn get(folder: &Folder, seeder: &Seeder, flags: &[&str]) -> std::process::Output {
    headwater(folder, &[&["get"][..], &seeder.to_peers(), flags].concat())
}

#[test]
fn a_film_elsewhere_is_read_once_and_fetched_again_for_who_asks() {
    for version in [&[][..], &["--v1"], &["--v2"]] {
        let (folder, here) = (Folder::new(), Folder::new());
        // A server that breaks off is asked for the rest.
        let origin = Origin::start(bytes(LENGTH), Mood::EndsAfter(2_500_000));
        let seeder = seed(&folder, &origin, version);
        // One byte to know the length, and every byte to be hashed.
        assert_eq!(origin.sent(), LENGTH as u64 + 1, "{version:?}");
        let output = get(&folder, &seeder, &[]);
        assert!(output.stdout == bytes(LENGTH), "{}", stderr(&output));
        assert_eq!(origin.sent(), 2 * LENGTH as u64 + 1, "{version:?}");
        // What was fetched for the one is there for the other.
        let site = seeder.site();
        let part = request(
            site,
            "GET",
            "/files/film.mp4",
            &["range: bytes=5000000-5999999"],
        );
        assert!(part.body == bytes(LENGTH)[5_000_000..6_000_000]);
        assert_eq!(origin.sent(), 2 * LENGTH as u64 + 1, "{version:?}");
        assert_eq!(folder.listing(), [""; 0], "nothing is stored");
        // It is the torrent that it would be if the film were here.
        here.file("film.mp4", LENGTH);
        let flags = ["create", "film.mp4", "--json", "--piece-length", "256KiB"];
        let made = headwater(&here, &[&flags[..], version].concat());
        let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("JSON");
        for key in ["info_hash_v1", "info_hash_v2"] {
            assert_eq!(made[key], seeder.ready[key], "{version:?}");
        }
    }
}

#[test]
fn bytes_that_were_not_hashed_reach_nobody_and_the_film_is_withdrawn() {
    let folder = Folder::new();
    let origin = Origin::start(bytes(LENGTH), Mood::Honest);
    let seeder = seed(&folder, &origin, &["--v1"]);
    origin.set_mood(Mood::FlipsABit);
    let output = get(&folder, &seeder, &["--timeout", "1"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!(output.stdout.len(), 0);
    seeder.complains("is no longer what was hashed: the bytes of piece");
    seeder.complains("film.mp4 has changed or gone, and is no longer shared");
    let status = request(seeder.site(), "GET", "/files/film.mp4", &[]).status;
    assert_eq!(status, 503);
}

#[test]
fn a_film_that_is_replaced_is_withdrawn_before_a_byte_of_it_is_read() {
    let folder = Folder::new();
    let origin = Origin::start(bytes(LENGTH), Mood::Honest);
    let seeder = seed(&folder, &origin, &["--v2"]);
    origin.replace(bytes(LENGTH), "another");
    let output = get(&folder, &seeder, &["--timeout", "1"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));
    seeder.complains("its ETag was \"first\" and is \"another\"");
    seeder.complains("film.mp4 has changed or gone, and is no longer shared");
}

#[test]
fn a_server_that_is_unwell_is_asked_again_when_it_is_better() {
    let folder = Folder::new();
    let origin = Origin::start(bytes(LENGTH), Mood::Honest);
    let seeder = seed(&folder, &origin, &[]);
    origin.set_mood(Mood::EndsEarly);
    let patience = ["--timeout", "20"];
    let getter = Getter::start(&folder, &[&seeder.to_peers()[..], &patience].concat());
    seeder.complains("film.mp4 cannot be fetched for now");
    origin.set_mood(Mood::Honest);
    let came = getter.everything();
    assert!(came == bytes(LENGTH), "{} bytes", came.len());
}

#[test]
fn servers_that_cannot_be_seeded_from_are_refused_and_named() {
    let folder = Folder::new();
    let moods = [
        (Mood::IgnoresRange, "it ignores Range"),
        (
            Mood::RedirectsInside,
            "10.1.2.3 cannot be reached: it is at an address of a private network",
        ),
        (Mood::RedirectsForEver, "it redirects more than 5 times"),
        (Mood::Compresses, "it compresses what it sends (gzip)"),
        (Mood::NotFound, "the server says 404 Not Found"),
    ];
    for (mood, says) in moods {
        let origin = Origin::start(bytes(LENGTH), mood);
        let url = format!("{}?secret=word", origin.url());
        let output = headwater(&folder, &["seed", &url, "--listen", "127.0.0.1:0"]);
        assert_refused(&output, 1, says);
        assert!(stderr(&output).contains(&origin.url()), "{mood:?}");
        assert!(!stderr(&output).contains("secret"), "{}", stderr(&output));
    }
    let url = "http://127.0.0.1:9/film.mp4";
    let mixed = ["seed", url, "--torrent", "film.torrent"];
    assert_refused(&headwater(&folder, &mixed), 2, "--torrent is for files");
    assert_refused(
        &headwater(&folder, &["seed", "http://127.0.0.1:9/"]),
        2,
        "give one with --name",
    );
}
