//! `headwater seed`, and a viewer of our own that joins it over real WebRTC.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use headwater::engine::{Engine, Torrent, key_space, since};
use headwater::tcp::{Tcp, TcpConfig};
use headwater::webrtc::{Endpoint, EndpointConfig};
use headwater_core::ids::PeerId;
use headwater_core::metainfo::Magnet;
use headwater_core::swarm::{self, Swarm};
use headwater_core::tracker::client::{Client, ClientConfig};
use serde_json::Value;
use support::getting::{Seeder, command};
use support::{Folder, PATIENCE, assert_refused, bytes, headwater, request};

/// `headwater track` at this address.
struct TrackerAlone(Child);

impl TrackerAlone {
    fn start(listen: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_headwater"))
            .args(["track", "--json", "--listen", listen])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command runs");
        let mut ready = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut ready).expect("a line");
        assert_eq!(
            ready.trim(),
            format!("{{\"tracker\":\"ws://{listen}/announce\"}}")
        );
        Self(child)
    }
}

impl Drop for TrackerAlone {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Joins by magnet link alone, and reads a range of a file to its end.
fn view(magnet: &str, file: usize, range: Range<u64>) -> Vec<u8> {
    view_through(magnet, None, file, range)
}

/// The same; over TCP alone where there is an address to call.
fn view_through(magnet: &str, call: Option<SocketAddr>, file: usize, range: Range<u64>) -> Vec<u8> {
    let magnet = Magnet::parse(magnet).expect("a magnet");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    runtime.block_on(async {
        let started = Instant::now();
        let peer_id = PeerId(*b"-HW0100-viewerviewer");
        let tracker = ClientConfig {
            peer_id,
            swarm: magnet.hashes.announced(),
            trackers: if call.is_none() {
                magnet.trackers.clone()
            } else {
                Vec::new()
            },
            offers_wanted: 4,
            key_space: key_space(0),
            seed: 1,
            max_connections: 8,
        };
        let torrent = Torrent {
            name: "viewed".to_owned(),
            swarm: Swarm::new(
                swarm::Config::new(peer_id, 1),
                swarm::Source::Magnet(Box::new(magnet)),
            ),
            tracker: Client::new(tracker, since(started)),
            http: None,
            storage: None,
        };
        let endpoint = Endpoint::bind(EndpointConfig::default()).expect("a port");
        let tcp = Tcp::bind(TcpConfig::default()).expect("no port is asked for");
        let mut engine = Engine::new(started, endpoint, vec![torrent], None).with_tcp(tcp);
        call.into_iter().for_each(|peer| engine.heard_of(0, peer));
        let handle = engine.handle();
        let mut all = Vec::new();
        let read = async {
            let metainfo = handle.metainfo(0).await.expect("metadata");
            let (file, _) = metainfo
                .layout()
                .content_files()
                .nth(file)
                .expect("the file");
            let mut reader = handle.read(0, file, range);
            while let Some(bytes) = reader.next(1 << 20).await {
                all.extend_from_slice(&bytes);
            }
        };
        let read = async { tokio::time::timeout(PATIENCE, read).await.expect("in time") };
        engine.run(read, |_| {}).await;
        all
    })
}

#[test]
fn a_viewer_gets_the_film_by_its_magnet_link_in_each_version() {
    for version in [&[][..], &["--v1"], &["--v2"]] {
        let folder = Folder::new();
        folder.file("film.mp4", 3_000_001);
        let seeder = Seeder::start(&folder, &[&["film.mp4"][..], version].concat());
        let seen = view(seeder.says("magnet"), 0, 0..3_000_001);
        assert!(
            seen == bytes(3_000_001),
            "{version:?}: {} bytes",
            seen.len()
        );
        let figures = seeder.figures(|line| line["sent"]["webrtc"].as_u64() > Some(3_000_000));
        assert!(figures["requests"].as_u64() >= Some(184), "{figures}");
    }
}

#[test]
fn ordinary_connections_to_one_port_choose_among_torrents_of_each_version() {
    for version in [&[][..], &["--v1"], &["--v2"]] {
        let folder = Folder::new();
        folder.file("a.mp4", 3_000_001);
        folder.file("b.mp4", 70_000);
        let seeder = Seeder::start(&folder, &[&["a.mp4", "b.mp4"][..], version].concat());
        let port = seeder.says("tcp").parse().expect("an address");
        for (number, length) in [(0, 3_000_001), (1, 70_000)] {
            let magnet = seeder.ready["torrents"][number]["magnet"].clone();
            let magnet = magnet.as_str().expect("text");
            let seen = view_through(magnet, Some(port), 0, 0..length as u64);
            assert!(seen == bytes(length), "{version:?}: {} bytes", seen.len());
        }
        let figures = seeder.figures(|line| line["sent"]["tcp"].as_u64() > Some(3_070_000));
        assert_eq!(figures["sent"]["webrtc"], 0);
        assert!(figures["received"]["tcp"].as_u64() > Some(68), "{figures}");
    }
}

#[test]
fn tcp_is_under_the_port_number_of_webrtc_and_can_be_left_out() {
    let folder = Folder::new();
    folder.file("film.mp4", 1_000);
    // Another test may have the number under TCP just then: the next number will do.
    let is_beside = |_| {
        let free = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let webrtc = free.local_addr().expect("its address").to_string();
        drop(free);
        let seeder = Seeder::start(&folder, &["film.mp4", "--webrtc", &webrtc]);
        seeder.says("tcp") == webrtc
    };
    assert!((0..5).any(is_beside));
    let seeder = Seeder::start(&folder, &["film.mp4", "--no-tcp"]);
    assert_eq!(seeder.ready["tcp"], Value::Null);
}

#[test]
fn a_viewer_gets_any_part_of_any_file_of_a_folder() {
    let folder = Folder::new();
    folder.file("set/a", 16_385);
    folder.file("set/b", 700_000);
    folder.file("set/c", 1);
    let seeder = Seeder::start(&folder, &["set"]);
    assert!(view(seeder.says("magnet"), 1, 123_456..654_321) == bytes(700_000)[123_456..654_321]);
    assert!(view(seeder.says("magnet"), 2, 0..1) == bytes(1));
}

#[test]
fn several_paths_are_several_torrents_on_one_port() {
    let folder = Folder::new();
    folder.file("a.mp4", 100_000);
    folder.file("b.mp4", 200_000);
    let seeder = Seeder::start(&folder, &["a.mp4", "b.mp4"]);
    for (number, length) in [(0, 100_000), (1, 200_000)] {
        let magnet = seeder.ready["torrents"][number]["magnet"]
            .as_str()
            .expect("text");
        assert!(view(magnet, 0, 0..length as u64) == bytes(length));
    }
}

#[test]
fn an_existing_torrent_is_seeded_once_the_files_prove_right() {
    let folder = Folder::new();
    let film = folder.file("film.mp4", 500_000);
    assert!(
        headwater(&folder, &["create", "film.mp4", "-o", "film.torrent"])
            .status
            .success()
    );
    let seeder = Seeder::start(
        &folder,
        &[
            "film.mp4",
            "--torrent",
            "film.torrent",
            "--out",
            "again.torrent",
        ],
    );
    assert!(view(seeder.says("magnet"), 0, 0..500_000) == bytes(500_000));
    drop(seeder);

    let mut wrong = bytes(500_000);
    wrong[400_000] ^= 1;
    fs::write(&film, wrong).expect("write");
    let args = [
        "seed",
        "film.mp4",
        "--torrent",
        "film.torrent",
        "--listen",
        "127.0.0.1:0",
    ];
    assert_refused(
        &headwater(&folder, &args),
        1,
        "is not what film.torrent was made from",
    );
    fs::write(&film, bytes(499_999)).expect("write");
    assert_refused(
        &headwater(&folder, &args),
        1,
        "has 499999 bytes, the torrent says 500000",
    );
}

#[test]
fn a_port_in_use_is_said_before_anything_is_hashed() {
    let folder = Folder::new();
    folder.file("film.mp4", 1_000);
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = tcp.local_addr().expect("its address").to_string();
    assert_refused(
        &headwater(&folder, &["seed", "film.mp4", "--listen", &taken]),
        1,
        "is in use",
    );
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let taken = udp.local_addr().expect("its address").to_string();
    let args = [
        "seed",
        "film.mp4",
        "--listen",
        "127.0.0.1:0",
        "--webrtc",
        &taken,
    ];
    assert_refused(&headwater(&folder, &args), 1, "is in use");
}

#[test]
fn a_tracker_that_is_down_stops_nobody() {
    let folder = Folder::new();
    folder.file("film.mp4", 50_000);
    let seeder = Seeder::start(
        &folder,
        &["film.mp4", "--tracker", "ws://127.0.0.1:9/announce"],
    );
    assert!(view(seeder.says("magnet"), 0, 0..50_000) == bytes(50_000));
}

#[test]
fn an_interrupted_seeder_ends_well_and_leaves_nothing() {
    let folder = Folder::new();
    folder.file("film.mp4", 50_000);
    let mut seeder = Seeder::start(&folder, &["film.mp4"]);
    seeder.figures(|_| true);
    assert!(seeder.interrupt().success());
    assert_eq!(folder.listing(), ["film.mp4"]);
}

#[test]
fn the_first_line_leads_to_page_torrent_and_config() {
    let folder = Folder::new();
    folder.file("my film.mp4", 50_000);
    let seeder = Seeder::start(&folder, &["my film.mp4"]);
    let site = seeder
        .says("page")
        .split("/#")
        .next()
        .expect("a site")
        .to_owned();
    let address = site
        .trim_start_matches("http://")
        .parse()
        .expect("an address");
    let path = seeder.says("torrent").trim_start_matches(&site).to_owned();
    let torrent = request(address, "GET", &path, &[]);
    let torrent = headwater_core::metainfo::parse(&torrent.body).expect("a torrent");
    assert_eq!(
        torrent
            .info_hashes()
            .v1()
            .map(|hash| hash.to_hex())
            .as_deref(),
        Some(seeder.says("info_hash_v1"))
    );
    assert_eq!(
        torrent.trackers(),
        [format!("ws{}/announce", site.trim_start_matches("http"))]
    );
    let config: Value =
        serde_json::from_slice(&request(address, "GET", "/config.json", &[]).body).expect("JSON");
    assert_eq!(config["magnet"], seeder.ready["magnet"]);
    assert!(request(address, "GET", "/files/my%20film.mp4", &[]).body == bytes(50_000));
}

#[test]
fn an_upload_limit_holds() {
    let folder = Folder::new();
    folder.file("film.mp4", 3_000_000);
    let seeder = Seeder::start(&folder, &["film.mp4", "--upload-limit", "1MB"]);
    let begun = Instant::now();
    assert!(view(seeder.says("magnet"), 0, 0..3_000_000) == bytes(3_000_000));
    let seconds = begun.elapsed().as_secs_f64();
    // The bucket starts full, with a tenth of a second's worth.
    assert!(seconds > 2.7, "{seconds:.1} s");
}

#[test]
fn a_tracker_that_was_down_is_found_when_it_comes() {
    let folder = Folder::new();
    folder.file("film.mp4", 50_000);
    let free = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("its address")
        .to_string();
    let url = format!("ws://{free}/announce");
    let seeder = Seeder::start(&folder, &["film.mp4", "--no-tracker", "--tracker", &url]);
    let _tracker = TrackerAlone::start(&free);
    assert!(view(seeder.says("magnet"), 0, 0..50_000) == bytes(50_000));
}

#[test]
fn a_file_that_goes_is_withdrawn_and_the_others_stay() {
    let folder = Folder::new();
    folder.file("set/a.mp4", 100_000);
    folder.file("set/b.mp4", 120_000);
    let seeder = Seeder::start(&folder, &["set"]);
    fs::remove_file(folder.path("set/a.mp4")).expect("remove");
    seeder.complains("a.mp4 has changed or gone");
    assert!(view(seeder.says("magnet"), 1, 0..120_000) == bytes(120_000));
}

#[cfg(target_os = "linux")]
#[test]
fn systemd_is_told_when_all_is_ready_when_it_looks_again_and_when_it_ends() {
    use std::os::unix::net::UnixDatagram;
    let folder = Folder::new();
    folder.file("films/film.mp4", 50_000);
    let socket = UnixDatagram::bind(folder.path("notify")).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let mut seed = command(&folder, &["seed", "--json", "--listen", "127.0.0.1:0"]);
    seed.args(["--state", "state", "films/"]);
    seed.env("NOTIFY_SOCKET", folder.path("notify"));
    let mut seeder = Seeder::of(seed);
    let hears = || {
        let mut words = [0; 64];
        let length = socket.recv(&mut words).expect("a word, in time");
        String::from_utf8_lossy(&words[..length]).into_owned()
    };
    assert_eq!(hears(), "READY=1\nSTATUS=Seeding 1 torrents");
    // Whoever hears that may have it look again, or stop it, at once.
    seeder.signal("HUP");
    assert_eq!(hears(), "RELOADING=1");
    assert_eq!(hears(), "READY=1\nSTATUS=Seeding 1 torrents");
    seeder.signal("TERM");
    assert_eq!(hears(), "STOPPING=1");
    assert!(seeder.child.wait().expect("its end").success());
}
