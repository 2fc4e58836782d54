//! A swarm of real processes whose tracker dies: half of it leaves and returns by an address it kept,
//! and then those whose addresses were kept leave, too.

mod support;

use std::time::Instant;

use serde_json::Value;
use support::Folder;
use support::getting::{Seeder, command, create};

/// Peers of the swarm: some that can be called at an address of theirs, and others.
const SEEDERS: usize = 4;
const GETTERS: usize = 16;

/// Bytes of the film.
const LENGTH: usize = 400_000;

/// Neighbours with which a peer is in no danger of being alone.
const ENOUGH: u64 = 4;

/// A program and when it was started.
struct Getter {
    begun: Instant,
    program: Seeder,
}

/// `headwater get` into a folder of its own, seeding on.
fn getter(folder: &Folder, name: &str, how: &[&str]) -> Getter {
    let to = folder.path(name);
    std::fs::create_dir(&to).expect("a folder");
    let mut command = command(folder, &["get", "film.torrent", "--json", "--seed", "-o"]);
    command.arg(to).args(how);
    Getter {
        begun: Instant::now(),
        program: Seeder::of(command),
    }
}

/// Waits until `test` holds of what each of them says of this moment or later.
fn all_say(getters: &[Getter], test: impl Fn(&Value) -> bool) {
    let now: Vec<f64> = getters
        .iter()
        .map(|one| one.begun.elapsed().as_secs_f64())
        .collect();
    for (getter, now) in getters.iter().zip(now) {
        let is_news = |figures: &Value| figures["uptime"].as_f64() > Some(now);
        getter
            .program
            .figures(|figures| is_news(figures) && test(figures));
    }
}

fn has_all(figures: &Value) -> bool {
    figures["done"].as_u64() == Some(LENGTH as u64)
}

fn has_company(figures: &Value) -> bool {
    figures["peers"].as_u64() >= Some(ENOUGH)
}

#[test]
fn a_native_swarm_outlives_its_tracker_and_those_by_whom_peers_return() {
    let folder = Folder::new();
    folder.file("film.mp4", LENGTH);
    create(&folder, "film.mp4", "film.torrent");
    let track = ["track", "--json", "--listen", "127.0.0.1:0"];
    let tracker = Seeder::of(command(&folder, &track));
    let by_tracker = ["--tracker", tracker.says("tracker")];
    let seed = ["film.mp4", "--torrent", "film.torrent", "--no-tracker"];
    let seed = [&seed[..], &by_tracker].concat();
    let mut seeders: Vec<Seeder> = (0..SEEDERS)
        .map(|_| Seeder::start(&folder, &seed))
        .collect();
    let addresses: Vec<String> = seeders
        .iter()
        .map(|one| one.says("tcp").to_owned())
        .collect();
    let join = |number: usize| getter(&folder, &format!("first-{number}"), &by_tracker);
    let mut getters: Vec<Getter> = (0..GETTERS).map(join).collect();
    all_say(&getters, has_all);
    drop(tracker);

    // Half of all leave without a word, and return with nothing but an address.
    getters.truncate(GETTERS / 2 - SEEDERS / 2);
    let left = getters.len();
    for number in left..GETTERS {
        let address = &addresses[number % SEEDERS];
        getters.push(getter(
            &folder,
            &format!("again-{number}"),
            &["--peer", address],
        ));
    }
    all_say(&getters, |figures| has_all(figures) && has_company(figures));

    // Who had those addresses leaves for good, saying so: the others have met.
    for seeder in &mut seeders {
        assert!(seeder.interrupt().success());
    }
    all_say(&getters, has_company);
}
