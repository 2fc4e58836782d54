//! Peers that lie, flood, babble or dawdle: the film comes whole, and the honest are left alone.

use std::collections::VecDeque;

use headwater_core::ids::ReaderId;
use headwater_core::metainfo::create::Version;
use headwater_core::peer::Fault;
use headwater_core::swarm::{Event, PeerStats};
use headwater_core::time::{Duration, Instant};
use headwater_core::wire::extended::{ExtendedHandshake, MetadataMessage};
use headwater_core::wire::{Features, Frame, HashSpan, Message};
use headwater_sim::{Evil, Film, Line, Link, NodeId, Player, Sim, secs};

const PIECE: u32 = 128 * 1024;
const MIB: usize = 1 << 20;

/// What a scripted peer says when it is asked or of itself; every scenario has its own.
struct Script<F> {
    film: Film,
    features: Features,
    name: u64,
    asked: VecDeque<(u32, u32, u32)>,
    act: F,
}

/// A moment in which a scripted peer may say something.
enum Moment<'a, 'b> {
    Opened,
    Heard(&'a Frame<'b>),
    Ticked,
}

impl<F> std::fmt::Debug for Script<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

type Asked = VecDeque<(u32, u32, u32)>;

impl<F: FnMut(&mut Line, &Film, &mut Asked, Moment<'_, '_>)> Evil for Script<F> {
    fn opened(&mut self, line: &mut Line) {
        line.greet(&self.film, self.features, self.name);
        (self.act)(line, &self.film, &mut self.asked, Moment::Opened);
    }

    fn heard(&mut self, line: &mut Line, frame: &Frame<'_>) {
        match *frame {
            Frame::Message(Message::Request {
                piece,
                begin,
                length,
            }) => {
                self.asked.push_back((piece, begin, length));
            }
            Frame::Message(Message::Cancel {
                piece,
                begin,
                length,
            }) => {
                self.asked.retain(|asked| *asked != (piece, begin, length));
            }
            _ => {}
        }
        (self.act)(line, &self.film, &mut self.asked, Moment::Heard(frame));
    }

    fn ticked(&mut self, line: &mut Line) {
        (self.act)(line, &self.film, &mut self.asked, Moment::Ticked);
    }
}

/// A peer of `film`'s swarm that does as `act` says.
fn script<F: FnMut(&mut Line, &Film, &mut Asked, Moment<'_, '_>)>(
    film: &Film,
    name: u64,
    act: F,
) -> impl Evil + use<F> {
    Script {
        film: film.clone(),
        features: Features::ALL,
        name,
        asked: VecDeque::new(),
        act,
    }
}

/// A viewer with three honest seeders, and what an evil peer makes of it.
struct Scene {
    sim: Sim,
    viewer: NodeId,
    evil: NodeId,
    reader: ReaderId,
}

fn scene(film: &Film, seed: u64, evil: impl Evil + 'static) -> Scene {
    let mut sim = Sim::seeded(seed);
    let honest: Vec<NodeId> = (0..3).map(|_| sim.seeder(film, Link::HOME)).collect();
    let evil = sim.stranger(film, Link::FAST, evil);
    let viewer = sim.viewer(film, Link::FAST);
    sim.connect(viewer, evil);
    honest.iter().for_each(|peer| sim.connect(viewer, *peer));
    let reader = sim.watch_all(viewer);
    Scene {
        sim,
        viewer,
        evil,
        reader,
    }
}

impl Scene {
    fn film_comes_whole(&mut self, film: &Film) {
        self.sim.run_while(secs(120), |sim| {
            sim.node(self.viewer).watches[&self.reader].ended.is_none()
        });
        let node = self.sim.node(self.viewer);
        assert!(node.read(self.reader) == film.files[0], "not whole");
    }

    /// Whom the viewer dropped for a fault, and for which.
    fn dropped(&self) -> Vec<(String, Fault)> {
        let events = &self.sim.node(self.viewer).events;
        let fault = |event: &Event| match event {
            Event::PeerClosed {
                name,
                fault: Some(fault),
                ..
            } => Some((name.clone(), *fault)),
            _ => None,
        };
        events.iter().filter_map(fault).collect()
    }

    fn evil_name(&self) -> String {
        format!("node {}", self.evil.0)
    }

    /// The evil one as the viewer sees it.
    fn evil_peer(&self) -> Option<PeerStats> {
        let peers = self.sim.node(self.viewer).swarm.peers(self.sim.now());
        peers.into_iter().find(|peer| peer.name == self.evil_name())
    }
}

/// Answers the oldest request with the film's bytes, one of them wrong if `bad`.
fn answer(line: &mut Line, film: &Film, asked: &mut Asked, bad: bool) {
    if let Some((piece, begin, length)) = asked.pop_front() {
        let index = film.metainfo.layout().piece(piece).expect("a piece");
        let mut data = film.piece(index)[begin as usize..(begin + length) as usize].to_vec();
        if bad {
            data[7] ^= 1;
        }
        let data = &data;
        line.say(&Message::Piece { piece, begin, data });
    }
}

fn promises_all(line: &mut Line) {
    line.say(&Message::HaveAll);
    line.say(&Message::Unchoke);
}

#[test]
fn a_poisoner_of_v1_pieces_is_barred_within_three() {
    for seed in 0..5 {
        let film = Film::single(Version::V1, PIECE, 12 * MIB);
        let evil = script(&film, 1, |line, film, asked, moment| match moment {
            Moment::Opened => promises_all(line),
            Moment::Heard(_) => answer(line, film, asked, true),
            Moment::Ticked => {}
        });
        let mut scene = scene(&film, seed, evil);
        scene.film_comes_whole(&film);
        let dropped = scene.dropped();
        assert_eq!(
            dropped,
            [(scene.evil_name(), Fault::BadBytes)],
            "seed {seed}"
        );
        let stats = scene.sim.node(scene.viewer).swarm.stats(scene.sim.now());
        let again = stats.refused + stats.wasted;
        assert!(
            again <= 12 * MIB as u64 / 20,
            "seed {seed}: {again} bytes twice"
        );
        let refused = |event: &&Event| matches!(event, Event::PieceRefused { .. });
        let pieces = scene.sim.node(scene.viewer).events.iter().filter(refused);
        assert!(pieces.count() <= 3, "seed {seed}");
    }
}

#[test]
fn a_poisoner_of_v2_blocks_is_named_by_the_first_and_costs_only_that() {
    for seed in 0..5 {
        let film = Film::single(Version::V2, PIECE, 12 * MIB);
        // It leaves the hashes to others.
        let evil = script(&film, 1, |line, film, asked, moment| match moment {
            Moment::Opened => promises_all(line),
            Moment::Heard(Frame::Message(Message::HashRequest(span))) => {
                line.say(&Message::HashReject(*span));
            }
            Moment::Heard(_) => answer(line, film, asked, true),
            Moment::Ticked => {}
        });
        let mut scene = scene(&film, seed, evil);
        scene.film_comes_whole(&film);
        assert_eq!(
            scene.dropped(),
            [(scene.evil_name(), Fault::BadBytes)],
            "seed {seed}"
        );
        let stats = scene.sim.node(scene.viewer).swarm.stats(scene.sim.now());
        // What it sent before the proof was there is all bad; of the honest nothing is.
        assert!(
            stats.refused <= 16 * 16384,
            "seed {seed}: {}",
            stats.refused
        );
    }
}

#[test]
fn a_flood_of_hash_requests_leaves_the_honest_four_fifths() {
    let film = Film::single(Version::V2, PIECE, 24 * MIB);
    let root = film
        .metainfo
        .v2_piece_root(film.metainfo.layout().piece(0).expect("a piece"));
    let root = root.expect("a v2 torrent").0;
    let time = |flood: bool| {
        let mut sim = Sim::seeded(1);
        let seeder = sim.seeder(&film, Link::HOME);
        let mut number = 0u32;
        let evil = script(&film, 1, move |line, _, _, moment| match moment {
            Moment::Opened => line.say(&Message::HaveNone),
            Moment::Ticked if flood => {
                // 5,000 a second, every other one nonsense.
                for _ in 0..50 {
                    number = number.wrapping_add(1);
                    line.say(&Message::HashRequest(HashSpan {
                        root: if number.is_multiple_of(2) {
                            root
                        } else {
                            [number as u8; 32]
                        },
                        base_layer: 0,
                        index: (number % 8) & !1,
                        length: 2,
                        proof_layers: 2,
                    }));
                }
            }
            _ => {}
        });
        let evil = sim.stranger(&film, Link::FAST, evil);
        sim.connect(evil, seeder);
        let viewer = sim.viewer(&film, Link::FAST);
        sim.connect(viewer, seeder);
        let reader = sim.watch_all(viewer);
        sim.run_while(secs(200), |sim| {
            sim.node(viewer).watches[&reader].ended.is_none()
        });
        assert!(sim.node(viewer).read(reader) == film.files[0]);
        sim.now().as_micros() as f64
    };
    let (calm, flooded) = (time(false), time(true));
    assert!(
        calm / flooded >= 0.8,
        "{calm} µs, in the flood {flooded} µs"
    );
}

#[test]
fn hashes_nobody_asked_for_and_hashes_that_are_wrong_are_the_end_of_it() {
    let film = Film::single(Version::V2, PIECE, 8 * MIB);
    let unsolicited = |line: &mut Line, film: &Film, _: &mut Asked, moment: Moment<'_, '_>| {
        if let Moment::Opened = moment {
            promises_all(line);
            let piece = film.metainfo.layout().piece(3).expect("a piece");
            let root = film.metainfo.v2_piece_root(piece).expect("a root").0;
            let span = HashSpan {
                root,
                base_layer: 0,
                index: 0,
                length: 8,
                proof_layers: 0,
            };
            line.say(&Message::Hashes {
                span,
                hashes: &[7; 8 * 32],
            });
        }
    };
    let wrong = |short: bool| {
        move |line: &mut Line, film: &Film, asked: &mut Asked, moment: Moment<'_, '_>| match moment
        {
            Moment::Opened => promises_all(line),
            Moment::Heard(Frame::Message(Message::HashRequest(span))) => {
                let length = if short { 16 } else { span.length as usize * 32 };
                let hashes = vec![9; length];
                line.say(&Message::Hashes {
                    span: *span,
                    hashes: &hashes,
                });
            }
            Moment::Heard(_) => answer(line, film, asked, false),
            Moment::Ticked => {}
        }
    };
    let mut scenes = [
        scene(&film, 1, script(&film, 1, unsolicited)),
        scene(&film, 2, script(&film, 1, wrong(true))),
        scene(&film, 3, script(&film, 1, wrong(false))),
    ];
    for (number, scene) in scenes.iter_mut().enumerate() {
        scene.film_comes_whole(&film);
        let dropped = scene.dropped();
        assert_eq!(dropped.len(), 1, "case {number}: {dropped:?}");
        assert_eq!(dropped[0].0, scene.evil_name(), "case {number}");
    }
}

#[test]
fn talk_of_hashes_in_a_v1_swarm_does_no_harm() {
    let film = Film::single(Version::V1, PIECE, 4 * MIB);
    let evil = script(&film, 1, |line, film, asked, moment| match moment {
        Moment::Opened => {
            promises_all(line);
            let span = HashSpan {
                root: [1; 32],
                base_layer: 0,
                index: 0,
                length: 2,
                proof_layers: 0,
            };
            line.say(&Message::HashRequest(span));
            line.say(&Message::HashReject(span));
            line.say(&Message::Hashes {
                span,
                hashes: &[0; 64],
            });
        }
        Moment::Heard(_) => answer(line, film, asked, false),
        Moment::Ticked => {}
    });
    let mut scene = scene(&film, 1, evil);
    scene.film_comes_whole(&film);
    assert!(
        scene
            .dropped()
            .iter()
            .all(|(name, _)| *name == scene.evil_name())
    );
}

#[test]
fn metadata_bombs_do_not_keep_the_honest_metadata_out() {
    let film = Film::single(Version::V2, 32 * 1024, 20 * MIB);
    let sizes = [0, 1, (1 << 31) - 1, u64::MAX >> 1, 9 << 20, 12_345];
    let mut sim = Sim::seeded(1);
    let viewer = sim.viewer_by_magnet(&film, Link::HOME);
    for (number, size) in sizes.into_iter().enumerate() {
        let evil = script(
            &film,
            number as u64,
            move |line, _, _, moment| match moment {
                Moment::Opened => {
                    let hello = ExtendedHandshake {
                        m: [(String::from("ut_metadata"), 3)].into(),
                        metadata_size: Some(size),
                        ..ExtendedHandshake::default()
                    };
                    let payload = hello.to_payload();
                    let payload = &payload;
                    line.say(&Message::Extended { id: 0, payload });
                    promises_all(line);
                }
                Moment::Heard(Frame::Message(Message::Extended { id: 3, payload })) => {
                    if let Ok(MetadataMessage::Request { block }) = MetadataMessage::parse(payload)
                    {
                        let junk = MetadataMessage::Data {
                            block,
                            total_size: size,
                            data: &[b'x'; 16384],
                        };
                        let payload = junk.to_payload();
                        let payload = &payload;
                        line.say(&Message::Extended { id: 1, payload });
                    }
                }
                _ => {}
            },
        );
        let evil = sim.stranger(&film, Link::FAST, evil);
        sim.connect(viewer, evil);
    }
    let honest = sim.seeder(&film, Link::HOME);
    sim.connect(viewer, honest);
    sim.run_while(secs(10), |sim| sim.node(viewer).swarm.metainfo().is_none());
    assert!(
        sim.node(viewer).swarm.metainfo().is_some(),
        "no metadata after {:?}",
        sim.now()
    );
}

#[test]
fn each_abuse_of_the_framing_has_its_result() {
    let film = Film::single(Version::V1, PIECE, 4 * MIB + 1);
    // 33 pieces: five bytes, seven spare bits.
    let block = [3; 16384];
    type Say<'a> = &'a dyn Fn(&mut Line);
    let cases: [(&str, Say<'_>, Option<Fault>); 8] = [
        (
            "a short bitfield",
            &|line| line.say(&Message::Bitfield(&[0; 4])),
            Some(Fault::BadMessage),
        ),
        (
            "a long bitfield",
            &|line| line.say(&Message::Bitfield(&[0; 6])),
            Some(Fault::BadMessage),
        ),
        (
            "spare bits",
            &|line| line.say(&Message::Bitfield(&[0xff; 5])),
            Some(Fault::BadMessage),
        ),
        (
            "a have out of range",
            &|line| line.say(&Message::Have(33)),
            Some(Fault::BadMessage),
        ),
        (
            "a request out of range",
            &|line| {
                line.say(&Message::Request {
                    piece: 33,
                    begin: 0,
                    length: 1,
                })
            },
            Some(Fault::BadMessage),
        ),
        (
            "an offset that overflows",
            &|line| {
                line.say(&Message::Request {
                    piece: 1,
                    begin: u32::MAX,
                    length: 16384,
                })
            },
            Some(Fault::BadMessage),
        ),
        (
            "a frame without end",
            &|line| line.say_bytes(&[0xff; 8]),
            Some(Fault::FrameTooLong),
        ),
        (
            "a block not asked for",
            &|line| {
                line.say(&Message::Piece {
                    piece: 5,
                    begin: 0,
                    data: &block,
                })
            },
            Some(Fault::BadMessage),
        ),
    ];
    for (name, say, expected) in cases {
        let mut sim = Sim::seeded(1);
        let viewer = sim.viewer(&film, Link::FAST);
        let mut first = Vec::new();
        let mut line_of = Recorder(&mut first);
        line_of.record(say);
        let bytes = first.clone();
        let evil = script(&film, 1, move |line, _, _, moment| {
            if let Moment::Opened = moment {
                line.say_bytes(&bytes);
            }
        });
        let evil = sim.stranger(&film, Link::FAST, evil);
        sim.connect(viewer, evil);
        sim.run_until(secs(3));
        let fault = sim
            .node(viewer)
            .events
            .iter()
            .find_map(|event| match event {
                Event::PeerClosed { fault, .. } => Some(*fault),
                _ => None,
            });
        assert_eq!(fault.flatten(), expected, "{name}");
    }
}

/// What would be said on a line, as bytes.
struct Recorder<'a>(&'a mut Vec<u8>);

impl Recorder<'_> {
    fn record(&mut self, say: &dyn Fn(&mut Line)) {
        let mut line = Line::unconnected();
        say(&mut line);
        self.0.extend_from_slice(line.said());
    }
}

#[test]
fn a_hundred_thousand_keep_alives_cost_next_to_nothing() {
    let film = Film::single(Version::V1, PIECE, MIB);
    let mut sim = Sim::seeded(1);
    let viewer = sim.viewer(&film, Link::FAST);
    let evil = script(&film, 1, |line, _, _, moment| match moment {
        Moment::Opened => line.say(&Message::HaveNone),
        // 100,000 a second.
        Moment::Ticked => line.say_bytes(&[0; 4000]),
        Moment::Heard(_) => {}
    });
    let evil = sim.stranger(&film, Link::FAST, evil);
    sim.connect(viewer, evil);
    let start = std::time::Instant::now();
    sim.run_until(secs(5));
    let took = start.elapsed();
    // A tenth of a core for five seconds; an idle machine needs a hundredth.
    assert!(took.as_millis() < 500, "{took:?} for five seconds");
    assert_eq!(sim.node(viewer).swarm.peers(sim.now()).len(), 1);
}

/// A way to be slow.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// A byte a second.
    Drips,
    /// The last hundredth of each block comes a minute later.
    Holds,
    /// It never comes: the next block's first bytes stand in its place.
    Skips,
}

#[test]
fn those_who_dawdle_do_not_make_the_player_stand() {
    let film = Film::single(Version::V2, PIECE, 16 * MIB);
    let rate = 400_000;

    let dawdler = |film: &Film, name: u64, way: Way| {
        let mut said: VecDeque<u8> = VecDeque::new();
        let mut held = Instant::START;
        let mut ticks = 0;
        script(film, name, move |line, film, asked, moment| match moment {
            Moment::Opened => promises_all(line),
            Moment::Heard(_) => {}
            Moment::Ticked => {
                ticks += 1;
                if said.is_empty()
                    && let Some((piece, begin, length)) = asked.pop_front()
                {
                    let index = film.metainfo.layout().piece(piece).expect("a piece");
                    let range = begin as usize..(begin + length) as usize;
                    let data = &film.piece(index)[range];
                    let mut bytes = Vec::new();
                    Message::Piece { piece, begin, data }.encode(&mut bytes);
                    said = bytes.into();
                    if way != Way::Drips {
                        let most = said.len() * 99 / 100;
                        let most: Vec<u8> = said.drain(..most).collect();
                        line.say_bytes(&most);
                        held = line.now;
                    }
                }
                let now = match way {
                    Way::Drips => ticks % 100 == 0,
                    Way::Holds => line.now.since(held) > Duration::from_secs(60),
                    Way::Skips => {
                        said.clear();
                        false
                    }
                };
                if now {
                    let most = if way == Way::Drips {
                        said.len().min(1)
                    } else {
                        said.len()
                    };
                    let most: Vec<u8> = said.drain(..most).collect();
                    line.say_bytes(&most);
                }
            }
        })
    };
    for seed in 0..3 {
        let mut sim = Sim::seeded(seed);
        let line = Link {
            up: 3 * rate,
            ..Link::HOME
        };
        let honest = sim.seeder(&film, line);
        let viewer = sim.viewer(&film, Link::FAST);
        for name in 0..2 {
            for (way, number) in [(Way::Drips, 0), (Way::Holds, 10), (Way::Skips, 20)] {
                let slow = dawdler(&film, number + name, way);
                let slow = sim.stranger(&film, Link::HOME, slow);
                sim.connect(viewer, slow);
            }
        }
        sim.connect(viewer, honest);
        let reader = sim.play(viewer, 0, 0..film.length(), Player::of_rate(rate));
        sim.run_while(secs(200), |sim| {
            sim.node(viewer).watches[&reader].ended.is_none()
        });
        let watch = &sim.node(viewer).watches[&reader];
        let playing = watch.playing.as_ref().expect("a player");
        assert!(watch.ended.is_some(), "seed {seed}: never ended");
        assert!(
            playing.stalled <= Duration::from_secs(3),
            "seed {seed}: stood for {:?} in {} stalls",
            playing.stalled,
            playing.stalls
        );
        let startup = playing.startup.expect("it began");
        assert!(
            startup <= Duration::from_secs(5),
            "seed {seed}: {startup:?}"
        );
    }
}

#[test]
fn one_who_asks_for_everything_and_reads_nothing_holds_up_nobody() {
    let film = Film::single(Version::V1, PIECE, 12 * MIB);
    let mut sim = Sim::seeded(1);
    let line = Link {
        window: 256 * 1024,
        ..Link::FAST
    };
    let seeder = sim.seeder_with(&film, line, |config| config.max_peers = 80);
    let viewer = sim.viewer(&film, Link::FAST);
    let mut deaf = Vec::new();
    for name in 0..50 {
        let mut next = 0;
        let glutton = script(&film, name, move |line, _, _, moment| match moment {
            Moment::Opened => {
                line.say(&Message::HaveNone);
                line.say(&Message::Interested);
            }
            // 100,000 requests in ten seconds.
            Moment::Ticked => {
                for _ in 0..100 {
                    next = (next + 1) % 768;
                    let (piece, begin) = (next / 8, next % 8 * 16384);
                    line.say(&Message::Request {
                        piece,
                        begin,
                        length: 16384,
                    });
                }
            }
            Moment::Heard(_) => {}
        });
        let glutton = sim.stranger(&film, Link::FAST, glutton);
        sim.connect(glutton, seeder);
        deaf.push(glutton);
    }
    sim.run_until(Instant::from_micros(200_000));
    deaf.iter().for_each(|node| sim.go_deaf(*node));
    sim.connect(viewer, seeder);
    let reader = sim.watch_all(viewer);
    let mut worst = 0;
    sim.run_while(secs(60), |sim| {
        let peers = sim.node(seeder).swarm.peers(sim.now());
        worst = worst.max(peers.iter().map(|peer| peer.queued).max().unwrap_or(0));
        sim.node(viewer).watches[&reader].ended.is_none()
    });
    assert!(sim.node(viewer).read(reader) == film.files[0]);
    assert!(worst <= 512, "{worst} requests queued");
    // Alone it would take one second; half of the slots go to the deaf until the first round is over.
    assert!(sim.now() <= secs(30), "{:?}", sim.now());
}

#[test]
fn a_peer_that_says_it_has_all_and_gives_nothing_is_not_waited_for() {
    let film = Film::single(Version::V2, PIECE, 8 * MIB);
    let evil = script(&film, 1, |line, _, _, moment| {
        if let Moment::Opened = moment {
            promises_all(line);
        }
    });
    let mut scene = scene(&film, 1, evil);
    scene.film_comes_whole(&film);
    let took = scene.sim.now();
    assert!(took <= secs(12), "{took:?}");
    let _ = scene.evil_peer();
}
