//! What a tracker of WebRTC peers bears: announces with five offers, each relayed and answered.
//!
//! The same words to ours, to npm's bittorrent-tracker and to crates.io's aquatic_ws, one after
//! the other, each in a process of its own on a core of its own. Prints measurements for
//! `cargo xtask bench tracker`; `soak` is a step of `cargo xtask test`, `thousand` a bench of its own.

mod crowd;
mod graph;
mod joins;
mod process;
mod soak;
mod strangers;
mod thousand;

use std::env;
use std::io;
use std::time::Duration;

use crowd::{Crowd, Outcome};
use process::Tracker;

/// How long the tracker is loaded to find what it bears, and then at half of that.
const LOADED: Duration = Duration::from_secs(3);

/// Announces under way at once when it is loaded fully.
const AT_ONCE: usize = 64;

/// Sockets and the swarms they are in.
const CASES: [(usize, usize); 6] = [
    (1000, 1),
    (1000, 100),
    (5000, 1),
    (5000, 100),
    (10_000, 1),
    (10_000, 100),
];

fn main() -> io::Result<()> {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runs = env::var("RUNS").ok().and_then(|runs| runs.parse().ok());
    let wanted: Vec<String> = env::args().skip(1).filter(|arg| arg != "--case").collect();
    if wanted.iter().any(|one| one == "soak") {
        return soak();
    }
    match wanted.split_first() {
        Some((word, rest)) if word == "viewers" => return thousand::viewers::main(rest),
        Some((word, _)) if word == "thousand" => return thousand::run(runs.unwrap_or(1)),
        _ => {}
    }
    for run in 0..runs.unwrap_or(1) {
        if wanted.is_empty() || wanted.iter().any(|one| one.starts_with("join")) {
            eprintln!("run {}: joins", run + 1);
            joins::measure();
        }
        if run == 0 && (wanted.is_empty() || wanted.iter().any(|one| one.starts_with("graph"))) {
            eprintln!("graphs");
            graph::measure();
        }
        for (sockets, swarms) in CASES {
            let case = format!("{sockets} sockets, {swarms} swarms");
            if !wanted.is_empty() && !wanted.iter().any(|one| case.starts_with(one)) {
                continue;
            }
            eprintln!("run {}: {case}", run + 1);
            let mut ours: Option<Vec<(&str, &str, f64)>> = None;
            for tracker in process::trackers() {
                let measured = measure(&tracker, sockets, swarms)?;
                for (metric, unit, value) in measured {
                    eprintln!("  {:<20} {metric:<32} {value:>9.1} {unit}", tracker.name);
                    let side = |side, against: &str, value| {
                        print(&case, against, metric, unit, side, value)
                    };
                    match &ours {
                        // The first is ours, and is compared with each of the others.
                        None => {}
                        Some(ours) => {
                            let same = |(name, _, _): &&(&str, &str, f64)| *name == metric;
                            if let Some((.., own)) = ours.iter().find(same) {
                                side("ours", tracker.name, *own);
                                side("theirs", tracker.name, value);
                            }
                        }
                    }
                }
                ours.get_or_insert(measured.to_vec());
            }
        }
    }
    Ok(())
}

/// What the tracker promises, or an error.
fn soak() -> io::Result<()> {
    let ours = &process::trackers()[0];
    soak::run(&ours.start()?)?;
    let strange = strangers::swarms_nobody_heard_of(&ours.start()?)?;
    println!("a million swarms nobody heard of: {strange}");
    let flood = strangers::offers_without_end(&process::ours_by_default().start()?)?;
    println!("one client that offers without end: {flood}");
    Ok(())
}

fn hold(is_held: bool, what: &str) -> io::Result<()> {
    match is_held {
        true => Ok(()),
        false => Err(io::Error::other(what.to_owned())),
    }
}

fn print(case: &str, against: &str, metric: &str, unit: &str, side: &str, value: f64) {
    println!(
        r#"{{"case":"{case}, against {against}","metric":"{metric}","unit":"{unit}","side":"{side}","value":{value}}}"#
    );
}

type Measured = [(&'static str, &'static str, f64); 6];

fn measure(tracker: &Tracker, sockets: usize, swarms: usize) -> io::Result<Measured> {
    let running = tracker.start()?;
    let before = running.memory();
    let mut crowd = Crowd::connect(running.address, sockets, swarms)?;
    let idle = (running.memory() - before) / sockets as f64;
    // Warm, then full, then half.
    crowd.load(LOADED / 3, AT_ONCE, None)?;
    let spent = running.cpu();
    let full = crowd.load(LOADED, AT_ONCE, None)?;
    let spent = running.cpu() - spent;
    let half = crowd.load(LOADED, AT_ONCE * 4, Some(full.rate() / 2.0))?;
    let announces = full.answered.max(1) as f64;
    Ok([
        ("announces answered", "1/s", full.rate()),
        (
            "CPU per announce",
            "us",
            spent.as_secs_f64() * 1e6 / announces,
        ),
        (
            "offers answered per announce",
            "",
            full.offers as f64 / announces,
        ),
        ("offer relay at half load, p50", "ms", percentile(&half, 50)),
        ("offer relay at half load, p99", "ms", percentile(&half, 99)),
        ("RSS per idle socket", "KiB", idle / 1024.0),
    ])
}

fn percentile(outcome: &Outcome, percent: usize) -> f64 {
    let mut relays: Vec<Duration> = outcome.relays.clone();
    relays.sort_unstable();
    let at = (relays.len() * percent / 100).min(relays.len().saturating_sub(1));
    relays
        .get(at)
        .map_or(f64::NAN, |relay| relay.as_secs_f64() * 1e3)
}
