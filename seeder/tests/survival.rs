//! A swarm of real processes whose tracker dies: half of it leaves without a word and returns by the
//! neighbours it saved, and then those that were saved leave, too. So do seeders return.

mod support;

use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::getting::{Seeder, command, create};
use support::{Folder, PATIENCE};

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
    std::fs::create_dir_all(&to).expect("a folder");
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

/// Waits until a file is there in which `list` finds one of these addresses.
fn has_saved(file: &Path, list: impl Fn(&Value) -> Option<Value>, addresses: &[String]) {
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let state: Value = serde_json::from_str(&text).unwrap_or_default();
        let saved = list(&state);
        let saved = saved.as_ref().and_then(Value::as_array);
        let is_saved = |one: &Value| addresses.iter().any(|address| one == address);
        if saved.is_some_and(|saved| saved.iter().any(is_saved)) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{file:?} has but {state}");
        std::thread::sleep(Duration::from_millis(50));
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
    // For peers over WebRTC, and for those over TCP.
    let websocket = tracker.says("tracker");
    let http = websocket.replace("ws://", "http://");
    let by_tracker = ["--tracker", websocket, "--tracker", &http];
    let seed = ["film.mp4", "--torrent", "film.torrent", "--no-tracker"];
    let seed = [&seed[..], &by_tracker].concat();
    let mut seeders: Vec<Seeder> = (0..SEEDERS)
        .map(|_| Seeder::start(&folder, &seed))
        .collect();
    let addresses: Vec<String> = seeders
        .iter()
        .map(|one| one.says("tcp").to_owned())
        .collect();
    let name = |number: usize| format!("getter-{number}");
    let join = |number: usize| getter(&folder, &name(number), &by_tracker);
    let mut getters: Vec<Getter> = (0..GETTERS).map(join).collect();
    all_say(&getters, has_all);

    // Half of all leave without a word when the tracker is gone, and call whom they knew.
    let staying = GETTERS / 2 - SEEDERS / 2;
    let leaving = staying..GETTERS;
    for number in leaving.clone() {
        let file = folder.path(&name(number)).join(".film.mp4.headwater");
        has_saved(&file, |state| state.get("neighbours").cloned(), &addresses);
    }
    let by_nobody = by_tracker.map(str::to_owned);
    let by_nobody: Vec<&str> = by_nobody.iter().map(String::as_str).collect();
    drop(tracker);
    getters.truncate(staying);
    for number in leaving {
        getters.push(getter(&folder, &name(number), &by_nobody));
    }
    all_say(&getters, |figures| has_all(figures) && has_company(figures));

    // Those that were called leave for good, saying so: the others have met.
    for seeder in &mut seeders {
        assert!(seeder.interrupt().success());
    }
    all_say(&getters, has_company);
}

#[test]
fn a_seeder_that_returns_without_a_tracker_calls_whom_it_knew() {
    let folder = Folder::new();
    folder.file("film.mp4", LENGTH);
    create(&folder, "film.mp4", "film.torrent");
    let seed = ["film.mp4", "--torrent", "film.torrent", "--no-tracker"];
    let mut neighbour = Seeder::start(&folder, &seed);
    let address = neighbour.says("tcp").to_owned();
    let seed = [&seed[..], &["--state", "state"]].concat();
    let named = [&seed[..], &["--peer", &address]].concat();
    let mut seeder = Seeder::start(&folder, &named);
    let file = folder.path("state/neighbours.json");
    let of_the_only_one = |state: &Value| state.as_object()?.values().next().cloned();
    has_saved(&file, of_the_only_one, std::slice::from_ref(&address));
    assert!(neighbour.interrupt().success() && seeder.interrupt().success());

    // Nobody names it this time.
    let listener = TcpListener::bind(&address).expect("the neighbour's port");
    let _seeder = Seeder::start(&folder, &seed);
    let (heard, greetings) = channel();
    std::thread::spawn(move || {
        let mut greeting = [0; 20];
        let (mut call, _) = listener.accept()?;
        call.read_exact(&mut greeting)?;
        heard.send(greeting).map_err(std::io::Error::other)
    });
    let greeting = greetings.recv_timeout(PATIENCE).expect("a call");
    assert_eq!(&greeting, b"\x13BitTorrent protocol");
}
