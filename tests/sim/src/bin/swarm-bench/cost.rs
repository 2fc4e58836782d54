//! What scheduling costs: time of one message in a swarm alone, by pieces and peers.
//!
//! No step may be O(pieces) a message: the figures for 100,000 pieces stand beside those for 4,000.

use headwater_core::ids::{PeerId, PeerKey, ReaderId};
use headwater_core::metainfo::create::Version;
use headwater_core::peer::Transport;
use headwater_core::rng::Rng;
use headwater_core::swarm::{Config, Input, Output, Source, Swarm};
use headwater_core::time::{Duration, Instant};
use headwater_core::wire::{Decoder, Features, Frame, Handshake, Message};
use headwater_sim::Film;

use crate::sheet::{Case, Figure};

const BLOCK: u32 = 16 * 1024;
/// Pieces of 64 KiB ahead of the reader.
const WINDOW: u64 = 256;
const HAVES: u32 = 20_000;
const BLOCKS: u32 = 2_000;

pub(crate) fn cases() -> Vec<Case> {
    let case = Case::new(
        "cost",
        "one message in a swarm of 50 or 500, with 4,000 or 100,000 pieces",
        |_| costs(),
    );
    vec![Case {
        seeds: 3,
        alone: true,
        ..case
    }]
}

/// A viewer's swarm and the requests it sent to each peer.
struct Bench {
    swarm: Swarm,
    now: Instant,
    asked: Vec<Vec<(u32, u32, u32)>>,
    decoders: Vec<Decoder>,
}

impl Bench {
    fn new(film: &Film, peers: u64) -> Self {
        let mut config = Config::new(PeerId(*b"-HW0001-cost-of-this"), 1);
        config.max_peers = peers as usize;
        config.window_bytes = WINDOW * 65536 * 4 / 3;
        let source = Source::Metainfo(Box::new(film.metainfo.clone()));
        let mut bench = Self {
            swarm: Swarm::new(config, source),
            now: Instant::START,
            asked: vec![Vec::new(); peers as usize],
            decoders: (0..peers).map(|_| Decoder::new()).collect(),
        };
        let pieces = film.metainfo.layout().piece_count();
        let mut luck = Rng::seeded(7);
        for peer in 0..peers {
            let key = PeerKey(peer);
            let opened = Input::Opened {
                peer: key,
                transport: Transport::WebRtc,
                dialled: false,
                name: String::new(),
            };
            bench.swarm.handle_input(bench.now, opened);
            bench.swarm.handle_input(
                bench.now,
                Input::Writable {
                    peer: key,
                    room: 1 << 30,
                    queued: 0,
                },
            );
            let mut hello = Vec::new();
            let mut peer_id = *b"-HW0001-000000000000";
            peer_id[12..].copy_from_slice(&peer.to_be_bytes());
            let handshake = Handshake {
                features: Features::ALL,
                swarm: film.metainfo.info_hashes().announced(),
                peer_id: PeerId(peer_id),
            };
            handshake.encode(&mut hello);
            // Each has half of the pieces, by luck.
            let mut bits = vec![0; pieces.div_ceil(8) as usize];
            luck.fill(&mut bits);
            let spare = bits.len() as u32 * 8 - pieces;
            if let Some(last) = bits.last_mut() {
                *last &= 0xff << spare;
            }
            Message::Bitfield(&bits).encode(&mut hello);
            Message::Unchoke.encode(&mut hello);
            bench.hear(peer, &hello);
        }
        let length = film.length();
        let file = film.metainfo.layout().file(0).expect("a file");
        let reader = ReaderId(1);
        let opened = Input::ReaderOpened {
            reader,
            file,
            range: 0..length,
        };
        bench.swarm.handle_input(bench.now, opened);
        bench.pull();
        bench
    }

    fn pull(&mut self) {
        self.swarm
            .handle_input(self.now, Input::Pulled(ReaderId(1), 1 << 20));
        self.turn();
    }

    fn hear(&mut self, peer: u64, bytes: &[u8]) {
        self.swarm
            .handle_input(self.now, Input::Received(PeerKey(peer), bytes));
        self.turn();
    }

    fn turn(&mut self) {
        while let Some(output) = self.swarm.poll_output() {
            if let Output::Send(peer, bytes) = output {
                let (mut rest, at) = (&bytes[..], peer.0 as usize);
                let decoder = &mut self.decoders[at];
                while let Ok(Some(frame)) = decoder.next(&mut rest) {
                    if let Frame::Message(Message::Request {
                        piece,
                        begin,
                        length,
                    }) = frame
                    {
                        self.asked[at].push((piece, begin, length));
                    }
                }
                self.swarm.handle_input(
                    self.now,
                    Input::Writable {
                        peer,
                        room: 1 << 30,
                        queued: 0,
                    },
                );
            }
        }
    }

    /// Microseconds of one `have`.
    fn have(&mut self, pieces: u32) -> f64 {
        let mut luck = Rng::seeded(3);
        let peers = self.decoders.len() as u32;
        let start = cpu_seconds();
        for _ in 0..HAVES {
            let mut bytes = Vec::with_capacity(16);
            Message::Have(luck.below(pieces)).encode(&mut bytes);
            self.now += Duration::from_micros(50);
            self.hear(luck.below(peers).into(), &bytes);
        }
        (cpu_seconds() - start) * 1e6 / f64::from(HAVES)
    }

    /// Microseconds of one block: it is taken, hashed and read, and the next is asked for.
    fn block(&mut self) -> f64 {
        let data = vec![0; BLOCK as usize];
        let mut done = 0;
        let mut peer = 0;
        let mut idle = 0;
        let start = cpu_seconds();
        while done < BLOCKS && idle < 2 * self.asked.len() {
            peer = (peer + 1) % self.asked.len();
            idle += 1;
            if let Some((piece, begin, length)) = self.asked[peer].pop() {
                let mut bytes = Vec::with_capacity(data.len() + 16);
                let data = &data[..length as usize];
                Message::Piece { piece, begin, data }.encode(&mut bytes);
                self.now += Duration::from_micros(500);
                self.hear(peer as u64, &bytes);
                done += 1;
                idle = 0;
                if done % 16 == 0 {
                    self.pull();
                }
            }
        }
        assert!(done > BLOCKS / 2, "only {done} blocks were asked for");
        (cpu_seconds() - start) * 1e6 / f64::from(done)
    }
}

/// Seconds this thread has run, whoever else is on the machine.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_ascii_whitespace().next();
    nanos
        .and_then(|nanos| nanos.parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1e9
}

fn costs() -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut measured = Vec::new();
    for peers in [50, 500] {
        for pieces in [4_000, 100_000] {
            let film = Film::zeros(Version::V1, 65536, pieces);
            let mut bench = Bench::new(&film, peers);
            let have = bench.have(pieces);
            let block = bench.block();
            let row = format!("{peers} peers, {pieces} pieces");
            figures.push(Figure::new("a have", "µs", have).of(&row));
            figures.push(Figure::new("a block", "µs", block).of(&row));
            measured.push((have, block));
        }
        if let [.., few, many] = measured[..] {
            let row = format!("{peers} peers");
            let growth = Figure::new("a have, 25 times the pieces", "times", many.0 / few.0);
            figures.push(growth.of(&row).aim("<= 2"));
            let growth = Figure::new("a block, 25 times the pieces", "times", many.1 / few.1);
            figures.push(growth.of(&row).aim("<= 2"));
        }
    }
    figures
}
