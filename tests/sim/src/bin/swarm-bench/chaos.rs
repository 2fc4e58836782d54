//! Ten thousand random schedules; a seed that fails is printed, and replays.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use headwater_sim::Chaos;

use crate::sheet::{Case, Figure};

const SCHEDULES: u64 = 10_000;

pub(crate) fn cases() -> Vec<Case> {
    let case = Case::new(
        "chaos",
        "10,000 random schedules with closes, pauses, seeks, liars, deaths",
        |_| all(),
    );
    vec![Case { seeds: 1, ..case }]
}

/// Runs one schedule again: `swarm-bench --schedule SEED`.
pub(crate) fn replay(seed: u64) {
    match Chaos::default().run(seed) {
        Ok(at) => println!("schedule {seed}: all had it at {at:?}"),
        Err(what) => println!("schedule {seed} failed: {what}"),
    }
}

fn all() -> Vec<Figure> {
    let (chaos, start) = (Chaos::default(), Instant::now());
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SCHEDULES {
                        break;
                    }
                    let what = match std::panic::catch_unwind(|| chaos.run(seed)) {
                        Ok(Ok(_)) => continue,
                        Ok(Err(what)) => what,
                        Err(_) => "it panicked".to_owned(),
                    };
                    failed.fetch_add(1, Ordering::Relaxed);
                    eprintln!("schedule {seed} failed: {what:.600}");
                }
            });
        }
    });
    let failed = failed.load(Ordering::Relaxed) as f64;
    vec![
        Figure::new("schedules that failed", "", failed).aim("0"),
        Figure::new("schedules run", "", SCHEDULES as f64).aim(">= 10000"),
        Figure::new("time for all", "s", start.elapsed().as_secs_f64()),
    ]
}
