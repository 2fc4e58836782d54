//! What is measured: cases run over seeds on all cores, figures printed as they come.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use headwater_sim::median;

/// One thing to measure.
pub(crate) struct Case {
    pub name: &'static str,
    pub about: &'static str,
    /// Most seeds that are worth running.
    pub seeds: u64,
    /// Whether two seeds may run at a time: not where time or much memory is what is measured.
    pub alone: bool,
    pub run: fn(u64) -> Vec<Figure>,
}

impl Case {
    /// A case over as many seeds as are asked for.
    pub const fn new(name: &'static str, about: &'static str, run: fn(u64) -> Vec<Figure>) -> Self {
        Self {
            name,
            about,
            seeds: u64::MAX,
            alone: false,
            run,
        }
    }
}

/// One measurement.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Of which row; empty for the case's own.
    pub of: String,
    pub metric: &'static str,
    pub unit: &'static str,
    pub value: f64,
    pub aim: String,
}

impl Figure {
    pub const fn new(metric: &'static str, unit: &'static str, value: f64) -> Self {
        Self {
            of: String::new(),
            metric,
            unit,
            value,
            aim: String::new(),
        }
    }

    /// What it should be.
    #[must_use]
    pub fn aim(mut self, aim: impl Into<String>) -> Self {
        self.aim = aim.into();
        self
    }

    /// Which row of its case it belongs to.
    #[must_use]
    pub fn of(mut self, row: impl Into<String>) -> Self {
        self.of = row.into();
        self
    }
}

/// How to run and print.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub seeds: u64,
    pub first: u64,
    pub lines: bool,
}

impl Default for Sheet {
    fn default() -> Self {
        Self {
            seeds: 5,
            first: 0,
            lines: false,
        }
    }
}

impl Sheet {
    pub fn run(&self, case: &Case) {
        let start = Instant::now();
        let seeds = self.first..self.first + self.seeds.min(case.seeds);
        let threads = match case.alone {
            true => 1,
            false => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let next = AtomicU64::new(seeds.start);
        let results: Mutex<BTreeMap<u64, Vec<Figure>>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds.end {
                            break;
                        }
                        let figures = (case.run)(seed);
                        results
                            .lock()
                            .expect("no thread died")
                            .insert(seed, figures);
                    }
                });
            }
        });
        let results = results.into_inner().expect("no thread died");
        if self.lines {
            results
                .values()
                .flatten()
                .for_each(|figure| line(case, figure));
        } else {
            table(case, &results, start.elapsed().as_secs_f64());
        }
    }
}

fn row_name(case: &Case, figure: &Figure) -> String {
    match figure.of.as_str() {
        "" => case.name.to_owned(),
        of => format!("{} {of}", case.name),
    }
}

fn line(case: &Case, figure: &Figure) {
    println!(
        r#"{{"case":"{}","metric":"{}","unit":"{}","side":"ours","value":{},"aim":"{}"}}"#,
        row_name(case, figure),
        figure.metric,
        figure.unit,
        figure.value,
        figure.aim
    );
}

fn table(case: &Case, results: &BTreeMap<u64, Vec<Figure>>, took: f64) {
    println!(
        "\n{}: {} ({} seeds in {took:.1} s)",
        case.name,
        case.about,
        results.len()
    );
    let mut rows: Vec<(&Figure, Vec<f64>)> = Vec::new();
    for figure in results.values().flatten() {
        let same =
            |row: &&mut (&Figure, Vec<f64>)| row.0.of == figure.of && row.0.metric == figure.metric;
        match rows.iter_mut().find(same) {
            Some(row) => row.1.push(figure.value),
            None => rows.push((figure, vec![figure.value])),
        }
    }
    let wide = rows.iter().map(|(figure, _)| figure.of.len()).max();
    let wide = wide.unwrap_or(0);
    println!(
        "  {:wide$}  {:<28} {:>9} {:>9} {:>9}  {:<5} aim",
        "", "", "median", "least", "most", "unit"
    );
    for (figure, values) in rows {
        let values: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        println!(
            "  {:wide$}  {:<28} {:>9.3} {:>9.3} {:>9.3}  {:<5} {}",
            figure.of,
            figure.metric,
            median(values),
            least,
            most,
            figure.unit,
            figure.aim
        );
    }
}
