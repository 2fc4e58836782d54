//! The flash crowd: everybody comes at once, one seed has it, and everybody reads as fast as it comes.

use std::sync::{Mutex, OnceLock};

use headwater_core::ids::ReaderId;
use headwater_core::metainfo::create::Version;
use headwater_core::rng::Rng;
use headwater_core::swarm::{Config, Order};
use headwater_core::time::{Duration, Instant};

use crate::{Film, Link, NodeId, Report, Sim};

/// Bytes a second of a viewer's uplink.
pub const UP: u64 = 1_250_000;
/// Offers in a page's announce.
pub const OFFERS: usize = 8;
/// A viewer at home: 10 Mbit/s out, four times as much in, 20 ms from another, give or take.
pub const VIEWER: Link = Link {
    up: UP,
    down: 4 * UP,
    jitter: Duration::from_millis(4),
    ..Link::HOME
};
/// Within this they all come.
const RUSH: Duration = Duration::from_millis(500);

/// Between two announces.
const ANNOUNCE: Duration = Duration::from_secs(120);
/// After this it is given up.
const LONGEST: Duration = Duration::from_secs(1200);

/// A flash crowd around one seed.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// A viewer's connection.
    pub viewer: Link,
    /// Bytes a second of the seed's uplink.
    pub seed_up: u64,
    /// Whether it is the seed that keeps to that, on a link like a viewer's.
    pub limited: bool,
    /// How many come.
    pub viewers: usize,
    /// Pieces of the film.
    pub pieces: u64,
    /// Bytes of a piece.
    pub piece: u32,
    /// Pieces ahead of a viewer.
    pub window: u64,
    /// In which order they fetch.
    pub order: Order,
    /// What kind of torrent it is.
    pub version: Version,
}

/// How far a crowd is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Since the first of them came.
    pub at: Duration,
    /// Pieces that each has read, in rising order.
    pub pieces: Vec<u64>,
    /// Bytes of payload that the seed has sent.
    pub seed_sent: u64,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = |share: usize| self.pieces[(self.pieces.len() - 1) * share / 100];
        write!(
            f,
            "after {:?}: pieces read by the last {}, at 2 % {}, 10 % {}, 50 % {}, by the first {}; \
             the seed sent {} MB",
            self.at,
            part(0),
            part(2),
            part(10),
            part(50),
            part(100),
            self.seed_sent / 1_000_000
        )
    }
}

/// A film of so many pieces, made once.
pub fn film_of(pieces: u64, piece: u32) -> &'static Film {
    film_as(Version::V2, pieces, piece)
}

fn film_as(version: Version, pieces: u64, piece: u32) -> &'static Film {
    type Films = Vec<((Version, u64, u32), &'static Film)>;
    static FILMS: OnceLock<Mutex<Films>> = OnceLock::new();
    let films = FILMS.get_or_init(Mutex::default);
    let mut films = films.lock().expect("no thread died");
    if let Some((_, film)) = films.iter().find(|(of, _)| *of == (version, pieces, piece)) {
        return film;
    }
    let length = (pieces * u64::from(piece)) as usize;
    let film: &'static Film = Box::leak(Box::new(Film::single(version, piece, length)));
    films.push(((version, pieces, piece), film));
    film
}

impl Crowd {
    /// Bytes of the film.
    pub const fn length(&self) -> u64 {
        self.pieces * self.piece as u64
    }

    /// Lets it happen: what it did.
    pub fn run(&self, seed: u64) -> Report {
        self.run_told(seed, ANNOUNCE, |_| {})
    }

    /// The same, and says all so many seconds of its time how far everybody is.
    pub fn run_told(&self, seed: u64, every: Duration, tell: impl Fn(&Progress)) -> Report {
        let film = film_as(self.version, self.pieces, self.piece);
        let mut luck = Rng::seeded(seed ^ 0xc0de);
        let mut sim = Sim::seeded(seed).forgetful();
        // A film that needs four fifths of an uplink: what a crowd can just carry.
        sim.reckon_steady(self.viewer.up.min(self.seed_up) * 4 / 5);
        let mut source = self.viewer;
        if !self.limited {
            source.up = self.seed_up;
        }
        let seeder = sim.seeder_with(film, source, |config| config.max_peers = 200);
        if self.limited {
            sim.limit_upload(seeder, self.seed_up);
        }
        sim.join(seeder, 0);
        let mut arrivals: Vec<u64> = (0..self.viewers)
            .map(|_| luck.below(RUSH.as_micros() as u32).into())
            .collect();
        arrivals.sort_unstable();
        let mut viewers = Vec::new();
        for at in arrivals {
            sim.run_until(Instant::from_micros(at));
            let viewer = sim.viewer_with(film, self.viewer, |config| self.set(config));
            sim.join(viewer, OFFERS);
            viewers.push((viewer, sim.watch_all(viewer)));
        }
        let (mut until, mut announces) = (every, ANNOUNCE);
        while !sim.run_until_ended(Instant::START + until.min(announces)) && announces < LONGEST {
            if until <= announces {
                tell(&self.progress(&sim, seeder, &viewers, until));
                until += every;
            } else {
                // Who has not had it all announces itself again, as a page does.
                announces += ANNOUNCE;
                let waits = |(viewer, reader): &&(NodeId, ReaderId)| {
                    sim.node(*viewer).watches[reader].ended.is_none()
                };
                let waiting: Vec<_> = viewers.iter().filter(waits).map(|(it, _)| *it).collect();
                for viewer in waiting {
                    sim.join(viewer, OFFERS);
                }
            }
        }
        Report::of(&sim, film.length(), &viewers)
    }

    fn progress(
        &self,
        sim: &Sim,
        seeder: NodeId,
        viewers: &[(NodeId, ReaderId)],
        at: Duration,
    ) -> Progress {
        let had = |(viewer, reader): &(NodeId, ReaderId)| sim.node(*viewer).watches[reader].had();
        let mut had: Vec<u64> = viewers.iter().map(had).collect();
        had.sort_unstable();
        Progress {
            at,
            pieces: had.iter().map(|had| had / u64::from(self.piece)).collect(),
            seed_sent: sim.node(seeder).swarm.stats(sim.now()).sent,
        }
    }

    fn set(&self, config: &mut Config) {
        // Three quarters of it lie ahead, to a byte no less.
        config.window_bytes = (self.window * u64::from(self.piece)).div_ceil(3) * 4;
        config.order = self.order;
    }
}
