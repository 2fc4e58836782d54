//! The flash crowd by window, with orders to compare with.

use headwater_core::metainfo::create::Version;
use headwater_core::swarm::Order;
use headwater_core::time::Duration;
use headwater_sim::{Crowd, Film, Link, UP, VIEWER, film_of};

use crate::sheet::{Case, Figure};

/// Bytes of a piece.
pub(crate) const PIECE: u32 = 256 * 1024;

/// A film of so many pieces.
pub(crate) fn film(pieces: u64) -> &'static Film {
    film_of(pieces, PIECE)
}

pub(crate) fn cases() -> Vec<Case> {
    const DEFAULT: Crowd = Crowd {
        viewer: VIEWER,
        seed_up: 2 * UP,
        limited: false,
        viewers: 40,
        pieces: 160,
        piece: PIECE,
        window: 16,
        order: Order::Rarest,
        version: Version::V2,
    };
    // As pages on one machine are: nothing but the seed holds them up.
    const HELD: Crowd = Crowd {
        viewer: Link {
            up: 40 * UP,
            down: 40 * UP,
            delay: Duration::from_millis(1),
            ..VIEWER
        },
        seed_up: 2_000_000,
        limited: true,
        viewers: 8,
        pieces: 128,
        ..DEFAULT
    };
    const HELD_V1: Crowd = Crowd {
        version: Version::V1,
        ..HELD
    };
    let thousand = Case::new(
        "thousand-16",
        "1 seed + 1,000 viewers, 400 pieces, window of 16",
        |seed| {
            let crowd = Crowd {
                viewers: 1000,
                pieces: 400,
                ..DEFAULT
            };
            figures(&crowd, seed, ">= 0.75")
        },
    );
    let hundreds = Case::new(
        "hundreds-16",
        "1 seed + 250 viewers, 200 pieces, window of 16",
        |seed| {
            let crowd = Crowd {
                viewers: 250,
                pieces: 200,
                ..DEFAULT
            };
            figures(&crowd, seed, ">= 0.75")
        },
    );
    let wide = Case::new("thousand-32", "the same, window of 32", |seed| {
        let crowd = Crowd {
            viewers: 1000,
            pieces: 400,
            window: 32,
            ..DEFAULT
        };
        figures(&crowd, seed, ">= 0.75")
    });
    vec![
        Case::new(
            "held-16",
            "1 seed that holds itself to 2 MB/s + 8 viewers with fast links, 128 pieces, window of 16",
            |seed| figures(&HELD, seed, ">= 0.71"),
        ),
        Case::new("held-v1-16", "the same of a v1 torrent", |seed| {
            figures(&HELD_V1, seed, ">= 0.71")
        }),
        Case::new(
            "narrow-16",
            "1 seed with half a viewer's uplink + 40 viewers, 160 pieces, window of 16",
            |seed| {
                let crowd = Crowd {
                    seed_up: UP / 2,
                    ..DEFAULT
                };
                figures(&crowd, seed, ">= 0.80")
            },
        ),
        Case::new(
            "crowd-v1-16",
            "1 seed + 40 viewers, 160 pieces, window of 16, v1: pieces are passed on whole",
            |seed| {
                let crowd = Crowd {
                    version: Version::V1,
                    ..DEFAULT
                };
                figures(&crowd, seed, ">= 0.80")
            },
        ),
        Case::new(
            "crowd-16",
            "1 seed + 40 viewers, 160 pieces, window of 16",
            |seed| figures(&DEFAULT, seed, ">= 0.80"),
        ),
        Case::new("crowd-32", "the same, window of 32", |seed| {
            figures(
                &Crowd {
                    window: 32,
                    ..DEFAULT
                },
                seed,
                ">= 0.85",
            )
        }),
        Case::new(
            "crowd-whole",
            "the same, whole file: rarest first, to compare with",
            |seed| {
                figures(
                    &Crowd {
                        window: 160,
                        ..DEFAULT
                    },
                    seed,
                    "",
                )
            },
        ),
        Case::new(
            "crowd-strict-16",
            "the same in strict order, window of 16, to compare with",
            |seed| {
                figures(
                    &Crowd {
                        order: Order::Strict,
                        ..DEFAULT
                    },
                    seed,
                    "",
                )
            },
        ),
        Case::new(
            "crowd-strict-whole",
            "the same in strict order, whole file, to compare with",
            |seed| {
                figures(
                    &Crowd {
                        order: Order::Strict,
                        window: 160,
                        ..DEFAULT
                    },
                    seed,
                    "",
                )
            },
        ),
        Case {
            seeds: 3,
            ..hundreds
        },
        Case {
            seeds: 1,
            alone: true,
            ..thousand
        },
        Case {
            seeds: 1,
            alone: true,
            ..wide
        },
    ]
}

fn figures(crowd: &Crowd, seed: u64, aim: &str) -> Vec<Figure> {
    let report = match std::env::var("PROGRESS").map(|secs| secs.parse()) {
        Ok(Ok(secs)) => crowd.run_told(seed, Duration::from_secs(secs), |progress| {
            eprintln!("seed {seed}, {progress}");
        }),
        _ => crowd.run(seed),
    };
    let rate = crowd.viewer.up.min(crowd.seed_up) as f64;
    let start = 1.5 * crowd.window as f64 * f64::from(crowd.piece) / rate;
    let one_copy = 1.1 * crowd.length() as f64 / crowd.seed_up as f64;
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
        Figure::new("of the seed's", "%", report.seed_control * 100.0),
        Figure::new("offload", "%", report.offload * 100.0),
        Figure::new("copies sent by the seed", "", report.seed_copies),
    ];
    if let Some(one) = report.one_copy {
        // Where the seed has upload to spare, that goes into second copies; and through a window one
        // copy cannot come before the viewers do.
        let is_narrow =
            crowd.seed_up * (crowd.viewers as u64 - 1) <= crowd.viewer.up * crowd.viewers as u64;
        let aim_if = |wanted: String| {
            if is_narrow {
                aim_if(wanted)
            } else {
                String::new()
            }
        };
        let time = aim_if(format!("<= {one_copy:.1}"));
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
