//! A real crowd: as many viewers as the machine carries, each with WebRTC of its own, one tracker and
//! one seeder. And one viewer alone, beside plain HTTP from the same seeder.
//!
//! Many viewers share a process and none shares anything else: each has a UDP port, a certificate, a
//! socket to the tracker and a window. Prints measurements for `cargo xtask bench thousand`.

mod programs;
mod start;
pub(crate) mod viewers;

use std::io;
use std::time::{Duration, Instant};

use programs::{Programs, Viewers};

/// Bytes of a mebibyte.
const MIB: u64 = 1 << 20;

/// What is to happen.
#[derive(Clone, Copy, Debug)]
struct Plan {
    viewers: usize,
    processes: usize,
    /// Within this they all come.
    over: Duration,
    /// Bytes of the film.
    film: u64,
    /// After this it is given up.
    limit: Duration,
}

impl Plan {
    /// From the environment, for the bench has no flags of its own to give.
    fn read() -> Self {
        let number = |name: &str, default: u64| {
            let set = std::env::var(name).ok();
            set.and_then(|text| text.parse().ok()).unwrap_or(default)
        };
        Self {
            viewers: number("VIEWERS", 1000) as usize,
            processes: number("PROCESSES", 4).max(1) as usize,
            over: Duration::from_secs(number("OVER", 20)),
            film: number("FILM_MIB", 8) * MIB,
            limit: Duration::from_secs(number("LIMIT", 900)),
        }
    }
}

/// Measures it, so many times.
pub(crate) fn run(runs: usize) -> io::Result<()> {
    let plan = Plan::read();
    for run in 0..runs {
        eprintln!("run {}: one viewer's start", run + 1);
        start::measure(&Programs::start(plan.film)?)?;
        eprintln!("run {}: {} viewers", run + 1, plan.viewers);
        crowd(&plan)?;
    }
    Ok(())
}

fn crowd(plan: &Plan) -> io::Result<()> {
    let programs = Programs::start(plan.film)?;
    let (cpu, told) = (programs.cpu(), programs.tracker_told()?);
    let begun = Instant::now();
    let mut viewers = Viewers::start(&programs, plan.viewers, plan.processes, plan.over)?;
    let mut done: Vec<f64> = Vec::new();
    let mut waits: Vec<[f64; 2]> = Vec::new();
    while done.len() < plan.viewers && begun.elapsed() < plan.limit {
        if let Some(wait) = viewers.next(Duration::from_millis(200))? {
            waits.push(wait);
            done.push(begun.elapsed().as_secs_f64());
        }
    }
    let viewers_spent = viewers.cpu();
    let memory = viewers.memory() / plan.viewers as f64 / MIB as f64;
    let spent = [0, 1].map(|one| (programs.cpu()[one] - cpu[one]).as_secs_f64());
    let heard = programs.tracker_told()?.since(&told);
    let film = plan.film as f64;
    let case = format!("{} viewers, {} MiB", plan.viewers, plan.film / MIB);
    let joins = plan.viewers as f64;
    let copies = programs.seed_sent()? as f64 / film;
    let column = |at: usize| waits.iter().map(|wait| wait[at]).collect::<Vec<f64>>();
    for (metric, unit, value) in [
        ("finished", "%", 100.0 * done.len() as f64 / joins),
        ("50 % done", "s", share(&done, plan.viewers, 50)),
        ("95 % done", "s", share(&done, plan.viewers, 95)),
        ("all done", "s", share(&done, plan.viewers, 100)),
        ("first byte after joining, median", "s", median(column(0))),
        ("all bytes after joining, median", "s", median(column(1))),
        ("copies sent by the seed", "", copies),
        ("tracker: messages a join", "", heard.messages() / joins),
        ("tracker: announces a join", "", heard.announces / joins),
        ("tracker: CPU a join", "ms", 1e3 * spent[0] / joins),
        ("tracker: CPU", "s", spent[0]),
        ("seeder: CPU", "s", spent[1]),
        ("viewers: CPU", "s", viewers_spent.as_secs_f64()),
        ("viewers: memory each", "MiB", memory),
    ] {
        eprintln!("  {metric:<34} {value:>9.2} {unit}");
        if value.is_finite() {
            print(&case, metric, unit, "ours", value);
        }
    }
    Ok(())
}

/// When so many in a hundred were done; never, if they were not.
fn share(done: &[f64], of: usize, percent: usize) -> f64 {
    let count = (of * percent).div_ceil(100).max(1);
    done.get(count - 1).copied().unwrap_or(f64::NAN)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn print(case: &str, metric: &str, unit: &str, side: &str, value: f64) {
    println!(
        r#"{{"case":"{case}","metric":"{metric}","unit":"{unit}","side":"{side}","value":{value}}}"#
    );
}
