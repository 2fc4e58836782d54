//! What strangers may cost in memory: the process's own, so this program has one test only.

use headwater_core::metainfo::create::Version;
use headwater_core::time::Instant;
use headwater_core::wire::{Features, Frame, HashSpan, Message};
use headwater_sim::{Evil, Film, Line, Link, Sim};

const MIB: u64 = 1 << 20;

/// Resident bytes of this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .expect("a number")
        * 1024
}

/// Says the same messages again every ten milliseconds.
struct Flood {
    film: Film,
    name: u64,
    messages: Vec<u8>,
    times: u32,
}

impl std::fmt::Debug for Flood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flood")
    }
}

impl Evil for Flood {
    fn opened(&mut self, line: &mut Line) {
        line.greet(&self.film, Features::ALL, self.name);
        line.say(&Message::HaveNone);
        line.say(&Message::Interested);
    }

    fn heard(&mut self, _: &mut Line, _: &Frame<'_>) {}

    fn ticked(&mut self, line: &mut Line) {
        if self.times > 0 {
            self.times -= 1;
            line.say_bytes(&self.messages);
        }
    }
}

/// Resident bytes that `strangers` of a kind add while they are connected to a seeder and do not read.
fn costs(film: &Film, strangers: u64, messages: &[u8], times: u32, deaf: bool) -> u64 {
    let mut sim = Sim::seeded(1).forgetful();
    let line = Link {
        window: 256 * 1024,
        ..Link::FAST
    };
    let seeder = sim.seeder_with(film, line, |config| config.max_peers = 80);
    let nodes: Vec<_> = (0..strangers)
        .map(|name| {
            let flood = Flood {
                film: film.clone(),
                name,
                messages: messages.to_vec(),
                times,
            };
            let node = sim.stranger(film, Link::FAST, flood);
            sim.connect(node, seeder);
            node
        })
        .collect();
    sim.run_until(Instant::from_micros(100_000));
    let before = resident();
    if deaf {
        nodes.iter().for_each(|node| sim.go_deaf(*node));
    }
    let mut most = 0;
    for step in 2..60 {
        sim.run_until(Instant::from_micros(step * 100_000));
        most = most.max(resident().saturating_sub(before));
        for peer in sim.node(seeder).swarm.peers(sim.now()) {
            assert!(peer.queued <= 512, "{} requests queued", peer.queued);
        }
    }
    most
}

#[test]
fn floods_are_not_kept() {
    let film = Film::single(Version::V2, 128 * 1024, 16 << 20);
    let blocks = film.length() / 16384;
    let mut requests = Vec::new();
    for block in 0..1000 {
        let (piece, begin) = (block % blocks / 8, block % 8 * 16384);
        Message::Request {
            piece: piece as u32,
            begin: begin as u32,
            length: 16384,
        }
        .encode(&mut requests);
    }
    // Once before anything is counted, so that what is kept for reuse is there.
    costs(&film, 50, &requests, 10, true);
    // 100,000 requests of each of 50, who read nothing.
    let most = costs(&film, 50, &requests, 100, true);
    assert!(most <= 50 * 4 * MIB, "{} KiB a peer", most / 50 / 1024);
    // 5,000 requests for hashes a second, half of them nonsense.
    let piece = film.metainfo.layout().piece(0).expect("a piece");
    let root = film.metainfo.v2_piece_root(piece).expect("a root").0;
    let mut hashes = Vec::new();
    for number in 0..50u32 {
        Message::HashRequest(HashSpan {
            root: if number.is_multiple_of(2) {
                root
            } else {
                [number as u8; 32]
            },
            base_layer: 0,
            index: 0,
            length: 8,
            proof_layers: 0,
        })
        .encode(&mut hashes);
    }
    let most = costs(&film, 1, &hashes, 500, false);
    assert!(most <= 8 * MIB, "{} KiB", most / 1024);
}
