//! Viewers at the film's own pace: what the crowd takes off the seed, by number and by distance.

use headwater_core::rng::Rng;
use headwater_core::time::{Duration, Instant};
use headwater_sim::{Film, Link, NodeId, OFFERS, Player, Report, Sim, UP, VIEWER};

use crate::crowd::{PIECE, film};
use crate::sheet::{Case, Figure};

/// Bytes a second of the film: four fifths of a viewer's uplink.
const RATE: u64 = UP * 4 / 5;
const PIECES: u64 = 160;
/// A seed that could serve a hundred viewers alone.
const SOURCE: Link = Link {
    up: 100 * RATE,
    ..VIEWER
};

pub(crate) fn cases() -> Vec<Case> {
    let crowd = Case::new(
        "offload-200",
        "200 viewers play the film at the same time",
        |seed| together(seed, 200),
    );
    let table = Case::new(
        "offload-spacing",
        "20 viewers play it, each so many pieces behind the one before, by total window",
        spacing,
    );
    vec![
        Case::new(
            "offload-8",
            "8 viewers play the film at the same time",
            |seed| together(seed, 8),
        ),
        Case::new(
            "offload-40",
            "40 viewers play the film at the same time",
            |seed| together(seed, 40),
        ),
        Case { seeds: 3, ..crowd },
        Case {
            seeds: 6,
            ..Case::new(
                "offload-coming",
                "20 viewers play a film twice as long, each five pieces behind the one before",
                coming,
            )
        },
        Case { seeds: 3, ..table },
    ]
}

/// Players that come one after the other, and leave when they have seen it.
fn play(seed: u64, film: &Film, viewers: usize, spacing: Duration, window: u64) -> Report {
    let mut luck = Rng::seeded(seed ^ 0xc0de);
    let mut sim = Sim::seeded(seed).forgetful();
    let seeder = sim.seeder_with(film, SOURCE, |config| config.max_peers = 200);
    sim.join(seeder, 0);
    let mut playing = Vec::new();
    for number in 0..viewers as u32 {
        let at = spacing * number + Duration::from_millis(luck.below(20).into());
        let at = Instant::START + at;
        run(&mut sim, at, &playing);
        let viewer = sim.viewer_with(film, VIEWER, |config| {
            config.window_bytes = window * u64::from(PIECE);
        });
        sim.join(viewer, OFFERS);
        let reader = sim.play(viewer, 0, 0..film.length(), Player::of_rate(RATE));
        playing.push((viewer, reader));
    }
    run(&mut sim, Instant::from_micros(4_000_000_000), &playing);
    Report::of(&sim, film.length(), &playing)
}

/// Lets time pass; who has seen it all leaves.
fn run(sim: &mut Sim, until: Instant, playing: &[(NodeId, headwater_core::ids::ReaderId)]) {
    loop {
        let over = |sim: &Sim| {
            playing.iter().find(|(node, reader)| {
                !sim.is_gone(*node) && sim.node(*node).watches[reader].is_over(sim.now())
            })
        };
        let mut turn = 0;
        let stopped = sim.run_while(until, |sim| {
            turn += 1;
            turn % 256 != 0 || over(sim).is_none()
        });
        match over(sim) {
            Some((node, _)) => sim.leave(*node),
            None if stopped => {}
            None => break,
        }
        if playing.iter().all(|(node, _)| sim.is_gone(*node)) && sim.now() >= until {
            break;
        }
    }
}

fn together(seed: u64, viewers: usize) -> Vec<Figure> {
    let report = play(seed, film(PIECES), viewers, Duration::from_millis(10), 64);
    let aim = 85.0 * (1.0 - 1.0 / viewers as f64);
    let mut figures = vec![
        Figure::new("offload", "%", report.offload * 100.0).aim(format!(">= {aim:.1}")),
        Figure::new("copies sent by the seed", "", report.seed_copies),
    ];
    figures.extend(comfort(&report));
    figures
}

fn coming(seed: u64) -> Vec<Figure> {
    let report = play(seed, film(2 * PIECES), 20, lasts(5), PIECES);
    let mut figures = vec![Figure::new("offload", "%", report.offload * 100.0)];
    figures.extend(comfort(&report));
    figures
}

/// How long so many pieces are played.
fn lasts(pieces: u32) -> Duration {
    Duration::from_micros(u64::from(PIECE) * 1_000_000 / RATE) * pieces
}

fn comfort(report: &Report) -> [Figure; 5] {
    [
        Figure::new("unfinished", "", report.unfinished as f64).aim("0"),
        Figure::new("start-up", "s", report.startup),
        Figure::new("stalls a viewer", "", report.stalls),
        Figure::new("stalled a viewer", "s", report.stalled),
        Figure::new("duplicates", "%", report.duplicates * 100.0).aim("<= 3"),
    ]
}

fn spacing(seed: u64) -> Vec<Figure> {
    let mut figures = Vec::new();
    for window in [21, 43, 80, PIECES] {
        for apart in [1, 5, 20, 60] {
            let report = play(seed, film(PIECES), 20, lasts(apart), window);
            let metric = match apart {
                1 => "offload, 1 piece apart",
                5 => "offload, 5 pieces apart",
                20 => "offload, 20 pieces apart",
                _ => "offload, 60 pieces apart",
            };
            let figure = Figure::new(metric, "%", report.offload * 100.0);
            figures.push(figure.of(format!("window of {window}")));
        }
    }
    figures
}
