//! Throughput of one peer against the published formula, over round trips, rates and processors.
//!
//! X = min(ηB, W/RTT, 1/c): the link, the channel's window, the processor's time for a block. The
//! engine sets the number of requests itself. η is 1 here: a simulated link has no packet headers
//! but for the few bytes of the protocol.

use std::fmt::Write as _;
use std::sync::OnceLock;

use headwater_core::time::{Duration, Instant};
use headwater_sim::{Link, Sim};

use crate::crowd::film;
use crate::sheet::{Case, Figure};

/// Bytes of a block: L of the formula.
const BLOCK: f64 = 16384.0;
/// A channel's window.
const WINDOW: usize = 1 << 20;
const MEGABIT: u64 = 125_000;
const RATES: [u64; 6] = [1, 2, 5, 10, 30, 100];
const TRIPS: [u64; 6] = [0, 5, 20, 50, 100, 200];
/// Microseconds of processor a block: none, and what makes 66 and 13 Mbit/s.
const COSTS: [u64; 3] = [0, 2_000, 10_000];

static SVG: OnceLock<String> = OnceLock::new();

/// Where the plot goes.
pub(crate) fn draw_to(path: String) {
    SVG.set(path).expect("one plot");
}

pub(crate) fn cases() -> Vec<Case> {
    let once = |name, about, run| Case {
        seeds: 1,
        ..Case::new(name, about, run)
    };
    vec![
        once(
            "formula",
            "one peer, over RTT 0-200 ms, 1-100 Mbit/s, 0-10 ms a block",
            |_| grid(),
        ),
        once(
            "start",
            "one peer: the first MiB, and how soon the rate is reached",
            |_| starts(),
        ),
    ]
}

#[derive(Clone, Copy)]
struct Cell {
    trip: u64,
    rate: u64,
    cost: u64,
}

/// What one transfer did.
struct Run {
    /// Bytes a second, once it ran.
    steady: f64,
    /// Requests out, once it ran.
    requests: f64,
    /// Bytes that had come, each 50 ms.
    curve: Vec<u64>,
    /// From the channel's opening to the first MiB, in seconds.
    first_mebibyte: f64,
}

impl Cell {
    fn run(self, span: u64, window: usize) -> Run {
        let film = film(400);
        let mut sim = Sim::seeded(1).forgetful();
        let link = Link {
            up: self.rate * MEGABIT,
            down: 10 * self.rate * MEGABIT,
            delay: Duration::from_micros(self.trip * 250),
            window,
            buffer: 1 << 20,
            block_cpu: Duration::from_micros(self.cost),
            ..Link::FAST
        };
        // The receiver's processor counts, not the sender's.
        let source = Link {
            block_cpu: Duration::ZERO,
            ..link
        };
        let seeder = sim.seeder(film, source);
        let viewer = sim.viewer(film, link);
        sim.connect(viewer, seeder);
        let opened = Instant::START + link.delay * 2;
        let reader = sim.watch_all(viewer);
        let (mut curve, mut requests, mut first) = (Vec::new(), 0, f64::NAN);
        let mut samples = 0;
        for step in 0..span * 20 {
            sim.run_until(Instant::from_micros(step * 50_000));
            curve.push(sim.node(viewer).watches[&reader].had());
            if step >= span * 10 {
                requests += sim.node(viewer).swarm.stats(sim.now()).outstanding;
                samples += 1;
            }
        }
        if let Some(at) = sim.node(viewer).watches[&reader].first_mebibyte {
            first = at.since(opened).as_secs_f64();
        }
        let half = curve.len() / 2;
        let steady = (curve[curve.len() - 1] - curve[half]) as f64
            / ((curve.len() - 1 - half) as f64 * 0.05);
        Run {
            steady,
            requests: f64::from(requests) / f64::from(samples.max(1)),
            curve,
            first_mebibyte: first,
        }
    }

    fn predicted(self) -> f64 {
        let link = (self.rate * MEGABIT) as f64;
        let window = match self.trip {
            0 => f64::INFINITY,
            trip => WINDOW as f64 / (trip as f64 / 1000.0),
        };
        let processor = match self.cost {
            0 => f64::INFINITY,
            cost => BLOCK / (cost as f64 / 1e6),
        };
        link.min(window).min(processor)
    }

    /// Q*: requests that just fill the pipe, X·(RTT + L/B + c)/L; without a processor, B·RTT/L + 1.
    fn knee(self) -> f64 {
        let wire = BLOCK / (self.rate * MEGABIT) as f64;
        let time = self.trip as f64 / 1e3 + wire + self.cost as f64 / 1e6;
        (self.predicted() * time / BLOCK).ceil()
    }
}

/// Seconds that fit the film at this rate.
fn span(rate: u64) -> u64 {
    (800 / rate).clamp(6, 20)
}

fn grid() -> Vec<Figure> {
    let mut points = Vec::new();
    let (mut near, mut near_knee, mut slim, mut all) = (0, 0, 0, 0);
    let (mut full, mut able) = (0, 0);
    for cost in COSTS {
        for trip in TRIPS {
            for rate in RATES {
                let cell = Cell { trip, rate, cost };
                let run = cell.run(span(rate), WINDOW);
                let ratio = run.steady / cell.predicted();
                all += 1;
                near += u32::from((ratio - 1.0).abs() <= 0.10);
                let knee = run.requests / cell.knee();
                near_knee += u32::from((knee - 1.0).abs() <= 0.25);
                slim += u32::from(run.requests <= 1.5 * cell.knee() + 2.0);
                if cost == 0 && trip >= 5 && cell.predicted() >= (rate * MEGABIT) as f64 {
                    able += 1;
                    full += u32::from(ratio >= 0.9);
                }
                if std::env::var_os("CELLS").is_some() {
                    eprintln!(
                        "{trip:>3} ms {rate:>3} Mbit/s {cost:>5} µs: {ratio:.3} of the formula, {:.1} requests, Q* {}",
                        run.requests,
                        cell.knee()
                    );
                }
                points.push((cell, run.steady));
            }
        }
    }
    if let Some(path) = SVG.get() {
        std::fs::write(path, plot(&points)).expect("a file to write the plot to");
    }
    let share = |part: u32, of: u32| 100.0 * f64::from(part) / f64::from(of);
    vec![
        Figure::new("cells within 10 % of the formula", "%", share(near, all)).aim(">= 90"),
        Figure::new("cells at 90 % of the link", "%", share(full, able)).aim("100"),
        Figure::new(
            "cells whose requests are Q* ± 25 %",
            "%",
            share(near_knee, all),
        ),
        Figure::new("cells with at most 1.5 Q* + 2 out", "%", share(slim, all)).aim("100"),
    ]
}

fn starts() -> Vec<Figure> {
    let mut figures = Vec::new();
    for rate in [10, 100] {
        let cell = Cell {
            trip: 100,
            rate,
            cost: 0,
        };
        let run = cell.run(6, usize::MAX);
        let full = (rate * MEGABIT) as f64;
        // Over four steps of 50 ms.
        let reached = run
            .curve
            .windows(5)
            .position(|steps| (steps[4] - steps[0]) as f64 / 0.2 >= 0.95 * full);
        let row = format!("{rate} Mbit/s, 100 ms");
        let trips = Figure::new("first MiB", "RTT", run.first_mebibyte / 0.1);
        let reached = reached.map_or(f64::INFINITY, |step| (step + 4) as f64 * 0.05);
        let ramp = Figure::new("95 % of the rate after", "s", reached);
        if rate == 100 {
            figures.push(trips.of(&row).aim("<= 4"));
            figures.push(ramp.of(&row).aim("<= 2"));
        } else {
            figures.push(trips.of(&row));
            figures.push(ramp.of(&row));
        }
    }
    figures
}

/// Predicted across, measured upwards, both in Mbit/s on a scale of tens.
fn plot(points: &[(Cell, f64)]) -> String {
    let at = |bytes: f64| ((bytes * 8.0 / 1e6).max(0.5).log10() + 0.3) / 2.4;
    let (side, edge) = (400.0, 50.0);
    let x = |bytes: f64| edge + side * at(bytes);
    let y = |bytes: f64| edge + side * (1.0 - at(bytes));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        side + 2.0 * edge
    );
    for mbit in [1.0, 3.0, 10.0, 30.0, 100.0] {
        let bytes = mbit * 1e6 / 8.0;
        let (low, high) = (edge, edge + side);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {low}V{high}M{low} {y:.1}H{high}\" stroke=\"#ddd\"/><text x=\"{x:.1}\" y=\"{under}\" text-anchor=\"middle\">{mbit}</text><text x=\"{left}\" y=\"{y:.1}\" text-anchor=\"end\">{mbit}</text>",
            x = x(bytes),
            y = y(bytes),
            under = high + 16.0,
            left = low - 6.0
        );
    }
    let ends = [0.6e6 / 8.0, 120e6 / 8.0];
    for (factor, dash) in [
        (1.0, ""),
        (0.9, " stroke-dasharray=\"3\""),
        (1.1, " stroke-dasharray=\"3\""),
    ] {
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"#888\"{dash}/>",
            x(ends[0]),
            y(ends[0] * factor),
            x(ends[1]),
            y(ends[1] * factor)
        );
    }
    for (cell, measured) in points {
        let colour = ["#1b6", "#36c", "#c33"][COSTS
            .iter()
            .position(|cost| *cost == cell.cost)
            .unwrap_or(0)];
        let radius = 2.0 + cell.trip as f64 / 80.0;
        let _ = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\" fill=\"none\" stroke=\"{colour}\"/>",
            x(cell.predicted()),
            y(*measured)
        );
    }
    let middle = edge + side / 2.0;
    let _ = writeln!(
        svg,
        "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">predicted, Mbit/s (larger: RTT 0 to 200 ms; green, blue, red: 0, 2, 10 ms of processor a block)</text>",
        edge + side + 36.0
    );
    let _ = writeln!(
        svg,
        "<text x=\"14\" y=\"{middle}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {middle})\">measured, Mbit/s</text>\n</svg>"
    );
    svg
}
