//! The flash crowd: everybody comes at once, one seed has it, nobody's uplink is more than half the seed's.

use std::sync::OnceLock;

use headwater_core::metainfo::create::Version;
use headwater_core::rng::Rng;
use headwater_core::swarm::Order;
use headwater_core::time::{Duration, Instant};
use headwater_sim::{Film, Link, Report, Sim, secs};

use crate::sheet::{Case, Figure};

/// Bytes of a piece.
pub(crate) const PIECE: u32 = 256 * 1024;
/// Bytes a second of a viewer's uplink.
pub(crate) const UP: u64 = 1_250_000;
/// Offers in a page's announce.
pub(crate) const OFFERS: usize = 5;
/// Within this they all come.
const RUSH: Duration = Duration::from_millis(500);

/// A viewer at home: 10 Mbit/s out, four times as much in, 20 ms from another, give or take.
pub(crate) const VIEWER: Link = Link {
    up: UP,
    down: 4 * UP,
    jitter: Duration::from_millis(4),
    ..Link::HOME
};

/// A flash crowd.
pub(crate) struct Crowd {
    pub viewers: usize,
    pub pieces: u64,
    pub window: u64,
    pub order: Order,
}

pub(crate) fn cases() -> Vec<Case> {
    const DEFAULT: Crowd = Crowd {
        viewers: 40,
        pieces: 160,
        window: 16,
        order: Order::Rarest,
    };
    let large = Case::new(
        "thousand",
        "1 seed + 1,000 viewers, 400 pieces, window of 16",
        |seed| {
            let crowd = Crowd {
                viewers: 1000,
                pieces: 400,
                ..DEFAULT
            };
            crowd.figures(seed, ">= 0.75")
        },
    );
    vec![
        Case::new(
            "crowd-16",
            "1 seed + 40 viewers, 160 pieces, window of 16",
            |seed| DEFAULT.figures(seed, ">= 0.80"),
        ),
        Case::new("crowd-32", "the same, window of 32", |seed| {
            Crowd {
                window: 32,
                ..DEFAULT
            }
            .figures(seed, ">= 0.85")
        }),
        Case::new(
            "crowd-whole",
            "the same, whole file: rarest first, to compare with",
            |seed| {
                Crowd {
                    window: 160,
                    ..DEFAULT
                }
                .figures(seed, "")
            },
        ),
        Case::new(
            "crowd-strict-16",
            "the same in strict order, window of 16, to compare with",
            |seed| {
                Crowd {
                    order: Order::Strict,
                    ..DEFAULT
                }
                .figures(seed, "")
            },
        ),
        Case::new(
            "crowd-strict-whole",
            "the same in strict order, whole file, to compare with",
            |seed| {
                Crowd {
                    order: Order::Strict,
                    window: 160,
                    ..DEFAULT
                }
                .figures(seed, "")
            },
        ),
        Case {
            seeds: 1,
            alone: true,
            ..large
        },
    ]
}

/// A film of so many pieces, made once.
pub(crate) fn film(pieces: u64) -> &'static Film {
    static FILMS: OnceLock<std::sync::Mutex<Vec<(u64, &'static Film)>>> = OnceLock::new();
    let mut films = FILMS
        .get_or_init(Default::default)
        .lock()
        .expect("no thread died");
    if let Some((_, film)) = films.iter().find(|(of, _)| *of == pieces) {
        return film;
    }
    let length = (pieces * u64::from(PIECE)) as usize;
    let film: &'static Film = Box::leak(Box::new(Film::single(Version::V2, PIECE, length)));
    films.push((pieces, film));
    film
}

impl Crowd {
    /// Lets it happen: what it did.
    pub fn run(&self, seed: u64) -> Report {
        let film = film(self.pieces);
        let mut luck = Rng::seeded(seed ^ 0xc0de);
        let mut sim = Sim::seeded(seed).forgetful();
        // A film that needs four fifths of an uplink: what a crowd can just carry.
        sim.reckon_steady(UP * 4 / 5);
        let source = Link {
            up: 2 * UP,
            ..VIEWER
        };
        let seeder = sim.seeder_with(film, source, |config| config.max_peers = 200);
        sim.join(seeder, 0);
        let mut arrivals: Vec<u64> = (0..self.viewers)
            .map(|_| luck.below(RUSH.as_micros() as u32).into())
            .collect();
        arrivals.sort_unstable();
        let mut viewers = Vec::new();
        for at in arrivals {
            sim.run_until(Instant::from_micros(at));
            let viewer = sim.viewer_with(film, VIEWER, |config| {
                // Three quarters of it lie ahead.
                config.window_bytes = self.window * u64::from(PIECE) * 4 / 3;
                config.order = self.order;
            });
            sim.join(viewer, OFFERS);
            viewers.push((viewer, sim.watch_all(viewer)));
        }
        sim.run_until_ended(secs(4000));
        Report::of(&sim, film.length(), &viewers)
    }

    fn figures(&self, seed: u64, aim: &str) -> Vec<Figure> {
        let report = self.run(seed);
        let length = self.pieces * u64::from(PIECE);
        let start = 1.5 * self.window as f64 * f64::from(PIECE) / UP as f64;
        let one_copy = 1.1 * length as f64 / (2 * UP) as f64;
        // To compare with, not to be met.
        let aim_if = |wanted: String| {
            if aim.is_empty() {
                String::new()
            } else {
                wanted
            }
        };
        let mut figures = vec![
            Figure::new("unfinished", "", report.unfinished as f64).aim("0"),
            Figure::new("efficiency", "", report.efficiency).aim(aim),
            Figure::new("last", "s", report.last),
            Figure::new("start-up", "s", report.steady_after).aim(aim_if(format!("<= {start:.1}"))),
            Figure::new("first byte", "s", report.first_byte),
            Figure::new("duplicates", "%", report.duplicates * 100.0).aim(aim_if("<= 3".into())),
            Figure::new("control bytes", "%", report.control * 100.0),
            Figure::new("offload", "%", report.offload * 100.0),
            Figure::new("copies sent by the seed", "", report.seed_copies),
        ];
        if let Some(one) = report.one_copy {
            // Through a window it cannot come before the viewers do.
            let time = if self.window == self.pieces {
                format!("<= {one_copy:.1}")
            } else {
                String::new()
            };
            figures.push(Figure::new("one copy after", "s", one.secs).aim(time));
            let sent = Figure::new("one copy, seed sent", "", one.seed_copies);
            figures.push(sent.aim(aim_if("<= 1.10".into())));
        }
        if let Some(two) = report.two_copies {
            figures.push(Figure::new("two copies after", "s", two.secs));
            figures.push(Figure::new("two copies, seed sent", "", two.seed_copies));
        }
        figures
    }
}
