//! A viewer's swarm in a storm: peers that say anything at any time, readers that come and go,
//! time that jumps. Whatever happens, only the film's own bytes leave, and no number is exceeded.

use std::collections::BTreeMap;

use headwater_core::ids::{PeerId, PeerKey, ReaderId};
use headwater_core::metainfo::create::Version;
use headwater_core::peer::Transport;
use headwater_core::rng::Rng;
use headwater_core::swarm::{Config, Input, Output, Source, Swarm};
use headwater_core::time::{Duration, Instant};
use headwater_core::wire::{Decoder, Features, Frame, Handshake, HashSpan, Message};
use headwater_sim::Film;

const WINDOW: u64 = 1 << 20;
const PIECE: u32 = 64 * 1024;
const MAX_PEERS: usize = 6;

/// The other end of a connection: it knows what it was asked for, and may answer.
struct Stranger {
    decoder: Decoder,
    requests: Vec<(u32, u32, u32)>,
    hash_requests: Vec<HashSpan>,
    room: usize,
    greeted: bool,
}

struct Storm {
    film: Film,
    swarm: Swarm,
    rng: Rng,
    now: Instant,
    strangers: BTreeMap<PeerKey, Stranger>,
    readers: BTreeMap<ReaderId, u64>,
    next: u64,
    delivered: u64,
}

impl Storm {
    fn new(version: Version, seed: u64) -> Self {
        let film = Film::single(version, PIECE, 3 * (1 << 20) + 777);
        let mut config = Config::new(PeerId(*b"-HW0001-storm-viewer"), seed);
        config.window_bytes = WINDOW;
        config.max_peers = MAX_PEERS;
        let source = Source::Metainfo(Box::new(film.metainfo.clone()));
        Self {
            film,
            swarm: Swarm::new(config, source),
            rng: Rng::seeded(seed),
            now: Instant::START,
            strangers: BTreeMap::new(),
            readers: BTreeMap::new(),
            next: 1,
            delivered: 0,
        }
    }

    fn step(&mut self) {
        match self.rng.below(100) {
            0..2 => self.open(),
            2 => {
                if let Some(key) = self.any_stranger() {
                    self.strangers.remove(&key);
                    self.swarm.handle_input(self.now, Input::Closed(key));
                }
            }
            3..6 => self.open_reader(),
            6 => {
                if let Some(reader) = self.any_reader() {
                    self.readers.remove(&reader);
                    self.swarm
                        .handle_input(self.now, Input::ReaderClosed(reader));
                }
            }
            7..30 => {
                if let Some(reader) = self.any_reader() {
                    let bytes = self.rng.below(200_000) as usize;
                    self.swarm
                        .handle_input(self.now, Input::Pulled(reader, bytes));
                }
            }
            30..38 => {
                let jump =
                    [1, 1, 10, 1000, 50_000, 400_000, 20_000_000][self.rng.below(7) as usize];
                self.now += Duration::from_micros(jump);
                self.swarm.handle_input(self.now, Input::TimedOut);
            }
            38..45 => {
                if let Some(key) = self.any_stranger() {
                    let room = self.rng.below(300_000) as usize;
                    if let Some(stranger) = self.strangers.get_mut(&key) {
                        stranger.room = room;
                    }
                    self.swarm.handle_input(
                        self.now,
                        Input::Writable {
                            peer: key,
                            room,
                            queued: 0,
                        },
                    );
                }
            }
            45..80 => self.answer(),
            _ => self.babble(),
        }
        self.turn();
        let stats = self.swarm.stats(self.now);
        assert!(
            stats.window_used <= WINDOW,
            "{} bytes reserved",
            stats.window_used
        );
        assert!(stats.outstanding as usize <= 512 * MAX_PEERS);
        let due = self.swarm.poll_timeout();
        assert!(
            due.is_none_or(|due| due > self.now),
            "a timer stuck at {due:?}"
        );
    }

    fn open(&mut self) {
        if self.strangers.len() > MAX_PEERS {
            return;
        }
        let peer = PeerKey(self.next);
        self.next += 1;
        let stranger = Stranger {
            decoder: Decoder::new(),
            requests: Vec::new(),
            hash_requests: Vec::new(),
            room: 0,
            greeted: false,
        };
        self.strangers.insert(peer, stranger);
        let dialled = self.rng.chance(1, 2);
        let name = format!("stranger {}", peer.0);
        self.swarm.handle_input(
            self.now,
            Input::Opened {
                peer,
                transport: Transport::WebRtc,
                dialled,
                name,
            },
        );
        if self.rng.chance(9, 10) {
            let id = if self.rng.chance(1, 20) {
                7
            } else {
                self.rng.next_u64()
            };
            let mut peer_id = *b"-HW0001-stranger0000";
            peer_id[12..].copy_from_slice(&id.to_be_bytes());
            let hashes = self.film.metainfo.info_hashes();
            let swarm = match hashes.v2() {
                Some(v2) if self.rng.chance(1, 2) => v2.into(),
                _ => hashes.announced(),
            };
            let mut bytes = Vec::new();
            Handshake {
                features: Features::ALL,
                swarm,
                peer_id: PeerId(peer_id),
            }
            .encode(&mut bytes);
            let mut say = |message: Message<'_>| message.encode(&mut bytes);
            match self.rng.below(3) {
                0 => say(Message::HaveAll),
                1 => say(Message::HaveNone),
                _ => {}
            }
            if self.rng.chance(4, 5) {
                say(Message::Unchoke);
            }
            if let Some(stranger) = self.strangers.get_mut(&peer) {
                stranger.greeted = true;
            }
            self.say(peer, &bytes);
        }
    }

    fn open_reader(&mut self) {
        if self.readers.len() >= 4 {
            return;
        }
        let reader = ReaderId(self.next);
        self.next += 1;
        let length = self.film.files[0].len() as u64;
        let start = u64::from(self.rng.below(length as u32 + 1));
        let end = start + u64::from(self.rng.below((length - start) as u32 + 1));
        let file = self.film.metainfo.layout().file(0).expect("a file");
        self.readers.insert(reader, start);
        self.swarm.handle_input(
            self.now,
            Input::ReaderOpened {
                reader,
                file,
                range: start..end,
            },
        );
    }

    /// A stranger answers what it was asked, mostly well.
    fn answer(&mut self) {
        let Some(key) = self.any_stranger() else {
            return;
        };
        let Some(stranger) = self.strangers.get_mut(&key) else {
            return;
        };
        let mut bytes = Vec::new();
        if !stranger.hash_requests.is_empty() && self.rng.chance(1, 2) {
            let span = stranger.hash_requests.remove(0);
            let leaves = self.leaves(&span);
            match self.rng.below(20) {
                0 => Message::HashReject(span).encode(&mut bytes),
                1 => Message::Hashes {
                    span,
                    hashes: &leaves[..leaves.len() / 2],
                }
                .encode(&mut bytes),
                _ => Message::Hashes {
                    span,
                    hashes: &leaves,
                }
                .encode(&mut bytes),
            }
        } else if !stranger.requests.is_empty() {
            let at = self.rng.below(stranger.requests.len() as u32) as usize;
            let (piece, begin, length) = stranger.requests.remove(at);
            let index = self
                .film
                .metainfo
                .layout()
                .piece(piece)
                .expect("asked for a piece that is");
            let whole = self.film.piece(index);
            let mut data = whole[begin as usize..(begin + length) as usize].to_vec();
            match self.rng.below(40) {
                0 => data[0] ^= 0x80,
                1 => data.truncate(data.len() / 2),
                2 => {
                    Message::RejectRequest {
                        piece,
                        begin,
                        length,
                    }
                    .encode(&mut bytes);
                    return self.say(key, &bytes);
                }
                _ => {}
            }
            Message::Piece {
                piece,
                begin,
                data: &data,
            }
            .encode(&mut bytes);
        }
        self.say(key, &bytes);
    }

    fn leaves(&self, span: &HashSpan) -> Vec<u8> {
        let film = &self.film.files[0];
        let leaves = (span.index..span.index + span.length).map(|leaf| {
            let start = leaf as usize * 16384;
            if start >= film.len() {
                [0; 32]
            } else {
                headwater_core::merkle::leaf(&film[start..film.len().min(start + 16384)]).0
            }
        });
        leaves.flatten().collect()
    }

    /// A stranger says anything.
    fn babble(&mut self) {
        let Some(key) = self.any_stranger() else {
            return;
        };
        let rng = &mut self.rng;
        let mut number = |most: u32| {
            if rng.chance(1, 30) {
                rng.next_u64() as u32
            } else {
                rng.below(most)
            }
        };
        let (piece, begin, length) = (
            number(50),
            number(4).wrapping_mul(16384),
            number(3).wrapping_mul(8192),
        );
        let junk = self.rng.next_u64().to_be_bytes();
        let span = HashSpan {
            root: [piece as u8; 32],
            base_layer: piece & 3,
            index: begin,
            length,
            proof_layers: piece,
        };
        let message = match self.rng.below(60) {
            0 => Message::AllowedFast(piece),
            1 => Message::Bitfield(&junk[..7]),
            2 => Message::Cancel {
                piece,
                begin,
                length,
            },
            3..6 => Message::Choke,
            6 => Message::Extended {
                id: 0,
                payload: b"d1:md11:lt_donthavei3e11:ut_metadatai2ee4:reqqi9ee",
            },
            7 => Message::Extended {
                id: piece as u8 & 7,
                payload: &junk,
            },
            8 => Message::HashReject(span),
            9 => Message::HashRequest(span),
            10 => Message::Hashes {
                span,
                hashes: &[7; 64],
            },
            11..20 => Message::Have(piece),
            20 => Message::HaveAll,
            21 => Message::HaveNone,
            22..30 => Message::Interested,
            30 => Message::NotInterested,
            31 => Message::Piece {
                piece,
                begin,
                data: &junk,
            },
            32 => Message::RejectRequest {
                piece,
                begin,
                length,
            },
            33..45 => Message::Request {
                piece,
                begin,
                length,
            },
            45 => Message::Suggest(piece),
            46 => Message::Extended {
                id: 2,
                payload: &piece.to_be_bytes(),
            },
            47 => Message::Unknown(200),
            _ => Message::Unchoke,
        };
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        if self.rng.chance(1, 200) {
            bytes = junk.to_vec();
        }
        self.say(key, &bytes);
    }

    fn say(&mut self, key: PeerKey, bytes: &[u8]) {
        let greeted = self
            .strangers
            .get(&key)
            .is_some_and(|stranger| stranger.greeted);
        if greeted {
            let cut = self.rng.below(bytes.len() as u32 + 1) as usize;
            self.swarm
                .handle_input(self.now, Input::Received(key, &bytes[..cut]));
            self.swarm
                .handle_input(self.now, Input::Received(key, &bytes[cut..]));
        }
    }

    fn turn(&mut self) {
        while let Some(output) = self.swarm.poll_output() {
            match output {
                Output::Close(key, _) => {
                    self.strangers.remove(&key);
                }
                Output::Data {
                    reader,
                    offset,
                    bytes,
                } => {
                    let head = self
                        .readers
                        .get_mut(&reader)
                        .expect("data for somebody who is there");
                    assert_eq!(*head, offset);
                    let film = &self.film.files[0][offset as usize..][..bytes.len()];
                    assert!(
                        film == &bytes[..],
                        "wrong bytes left the engine at {offset}"
                    );
                    *head += bytes.len() as u64;
                    self.delivered += bytes.len() as u64;
                }
                Output::Ended(_) | Output::Event(_) | Output::Introduction(_) => {}
                Output::CancelFetch(_) | Output::Fetch { .. } => panic!("a viewer has no origin"),
                Output::Load(_) | Output::LoadLeaves(_) | Output::Store(..) => {
                    panic!("a viewer has no storage")
                }
                Output::Send(key, bytes) => {
                    let stranger = self
                        .strangers
                        .get_mut(&key)
                        .expect("a message for somebody who is there");
                    assert!(
                        bytes.len() <= stranger.room
                            && bytes.len() <= 64 * 1024
                            && !bytes.is_empty()
                    );
                    stranger.room -= bytes.len();
                    stranger.hear(&bytes);
                }
            }
        }
    }

    fn any_stranger(&mut self) -> Option<PeerKey> {
        let at = self.rng.below(self.strangers.len() as u32) as usize;
        self.strangers.keys().nth(at).copied()
    }

    fn any_reader(&mut self) -> Option<ReaderId> {
        let at = self.rng.below(self.readers.len() as u32) as usize;
        self.readers.keys().nth(at).copied()
    }
}

impl Stranger {
    fn hear(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self
            .decoder
            .next(&mut bytes)
            .expect("what we say is well formed")
        {
            match frame {
                Frame::Message(Message::Request {
                    piece,
                    begin,
                    length,
                }) => {
                    assert!(length <= 16384);
                    self.requests.push((piece, begin, length));
                }
                Frame::Message(Message::Cancel {
                    piece,
                    begin,
                    length,
                }) => {
                    self.requests
                        .retain(|request| *request != (piece, begin, length));
                }
                Frame::Message(Message::HashRequest(span)) => self.hash_requests.push(span),
                _ => {}
            }
        }
        assert!(self.requests.len() <= 1024);
    }
}

fn storm(version: Version, seeds: std::ops::Range<u64>, steps: u32) {
    let mut delivered = 0;
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| {
            let mut storm = Storm::new(version, seed);
            for _ in 0..steps {
                storm.step();
            }
            storm.delivered
        });
        delivered += outcome.unwrap_or_else(|_| panic!("{version:?}: seed {seed}, as above"));
    }
    assert!(
        delivered > 10 << 20,
        "{version:?}: the storm let only {delivered} bytes through"
    );
}

#[test]
fn nothing_but_the_film_leaves_a_v1_swarm_in_a_storm() {
    storm(Version::V1, 0..20, 20_000);
}

#[test]
fn nothing_but_the_film_leaves_a_v2_swarm_in_a_storm() {
    storm(Version::V2, 100..120, 20_000);
}

#[test]
fn nothing_but_the_film_leaves_a_hybrid_swarm_in_a_storm() {
    storm(Version::Hybrid, 200..220, 20_000);
}
