//! The same words to ours and to other trackers, one after the other: how many announces one core
//! bears, what each costs, and how long an offer takes at half of that.
//!
//! The tracker has the first core and the crowd the second. Which of the two was busy all the time
//! is among the figures: where the tracker was not, more could have been borne than is said.

use std::io;
use std::time::{Duration, Instant};

use crate::crowd::{Crowd, Outcome};
use crate::process::{self, Cores, Tracker};

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

/// Where what threads add is looked at.
const THREADS: &str = "threads, 5000 sockets, 100 swarms";

const RATE: &str = "announces answered";
const CPU: &str = "CPU per announce";
const CROWD_CPU: &str = "CPU per announce, the crowd's";
const BUSY: &str = "core in use, the tracker's";
const OFFERS: &str = "offers answered per announce";
const GIVEN_UP: &str = "announces not answered in 2 s";
const MEDIAN: &str = "offer relay at half load, p50";
const SLOWEST: &str = "offer relay at half load, p99";
const MEMORY: &str = "RSS per idle socket";
const SHARE: &str = "work of the busiest thread";

/// What we are to reach beside each of the others.
const AIMS: [(&str, &str); 4] = [
    (RATE, "2.2 of bittorrent-tracker, 2 of aquatic_ws"),
    (CPU, "75"),
    (SLOWEST, "10"),
    (MEMORY, "4"),
];

/// A figure, by its name and unit.
#[derive(Clone, Copy)]
struct Figure(&'static str, &'static str, f64);

/// Measure the cases that are wanted, all if none is named.
pub(crate) fn measure(is_wanted: impl Fn(&str) -> bool) -> io::Result<()> {
    for (sockets, swarms) in CASES {
        let case = format!("{sockets} sockets, {swarms} swarms");
        if is_wanted(&case) {
            process::keep_to(Cores::Second)?;
            compare(&case, &process::trackers(), |tracker| {
                on_one_core(tracker, sockets, swarms)
            })?;
        }
    }
    if is_wanted(THREADS) {
        process::keep_to(Cores::All)?;
        compare(THREADS, &process::ours_by_threads(), on_all_cores)?;
    }
    Ok(())
}

/// The first of them is ours, and is printed beside each of the others.
fn compare(
    case: &str,
    trackers: &[Tracker],
    measured: impl Fn(&Tracker) -> io::Result<Vec<Figure>>,
) -> io::Result<()> {
    eprintln!("{case}");
    let mut ours = Vec::new();
    for tracker in trackers {
        let figures = measured(tracker)?;
        for Figure(metric, unit, value) in &figures {
            eprintln!("  {:<20} {metric:<32} {value:>9.1} {unit}", tracker.name);
        }
        let case = format!("{case}, against {}", tracker.name);
        for (own, theirs) in ours.iter().zip(&figures) {
            print(&case, "ours", own);
            print(&case, "theirs", theirs);
        }
        if ours.is_empty() {
            ours = figures;
        }
    }
    Ok(())
}

fn print(case: &str, side: &str, Figure(metric, unit, value): &Figure) {
    let aim = AIMS.iter().find(|(of, _)| of == metric);
    let aim = aim.map_or("", |(_, aim)| aim);
    println!(
        r#"{{"case":"{case}","metric":"{metric}","unit":"{unit}","side":"{side}","value":{value},"aim":"{aim}"}}"#
    );
}

fn on_one_core(tracker: &Tracker, sockets: usize, swarms: usize) -> io::Result<Vec<Figure>> {
    let running = tracker.start()?;
    let before = running.memory();
    let mut crowd = Crowd::connect(running.address, sockets, swarms)?;
    let idle = (running.memory() - before) / sockets as f64;
    // Warm, then full, then half.
    crowd.load(LOADED / 3, AT_ONCE, None)?;
    let (begun, spent, own) = (Instant::now(), running.cpu(), process::own_cpu());
    let full = crowd.load(LOADED, AT_ONCE, None)?;
    let (took, spent, own) = (
        begun.elapsed(),
        running.cpu() - spent,
        process::own_cpu() - own,
    );
    let announces = full.answered.max(1) as f64;
    let mut half = crowd.load(LOADED, AT_ONCE * 4, Some(full.rate() / 2.0))?;
    half.relays.sort_unstable();
    Ok(vec![
        Figure(RATE, "1/s", full.rate()),
        Figure(CPU, "us", each(&full, spent)),
        Figure(CROWD_CPU, "us", each(&full, own)),
        Figure(BUSY, "%", 100.0 * spent.as_secs_f64() / took.as_secs_f64()),
        Figure(OFFERS, "", full.offers as f64 / announces),
        Figure(GIVEN_UP, "%", 100.0 * full.given_up as f64 / announces),
        Figure(MEDIAN, "ms", percentile(&half.relays, 50)),
        Figure(SLOWEST, "ms", percentile(&half.relays, 99)),
        Figure(MEMORY, "KiB", idle / 1024.0),
    ])
}

/// What is left of two cores by the crowd is the tracker's, so that threads cannot double the rate
/// here; that they share the work, and that sharing costs nothing, can be seen.
fn on_all_cores(tracker: &Tracker) -> io::Result<Vec<Figure>> {
    let running = tracker.start()?;
    let mut crowd = Crowd::connect(running.address, 5000, 100)?;
    crowd.load(LOADED / 3, AT_ONCE, None)?;
    let spent = running.cpu_by_thread();
    let full = crowd.load(LOADED, AT_ONCE, None)?;
    let by_thread = running.cpu_by_thread();
    let by_thread = by_thread.iter().zip(spent).map(|(now, then)| *now - then);
    let by_thread: Vec<Duration> = by_thread.collect();
    let spent: Duration = by_thread.iter().sum();
    let busiest = by_thread.into_iter().max().unwrap_or_default();
    Ok(vec![
        Figure(RATE, "1/s", full.rate()),
        Figure(CPU, "us", each(&full, spent)),
        Figure(
            SHARE,
            "%",
            100.0 * busiest.as_secs_f64() / spent.as_secs_f64(),
        ),
    ])
}

/// Microseconds of an announce.
fn each(outcome: &Outcome, spent: Duration) -> f64 {
    spent.as_secs_f64() * 1e6 / outcome.answered.max(1) as f64
}

/// Milliseconds that so many in a hundred did not take longer than.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    let relay = sorted.get(at);
    relay.map_or(f64::NAN, |relay| relay.as_secs_f64() * 1e3)
}
