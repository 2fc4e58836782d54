//! `cargo xtask bench swarm`: the engine's crowds in virtual time, with an aim beside each figure.
//!
//! By itself it prints a table: `swarm-bench [--case NAME]... [--seeds N] [--list]`. With `--lines`
//! it prints one measurement a line for xtask. `PROGRESS=10` says every ten seconds of a crowd's own
//! time how far it is.

mod chaos;
mod cost;
mod crowd;
mod formula;
mod knee;
mod offload;
mod sheet;
mod slow;

use sheet::{Case, Sheet};

/// All cases, in the order of the table.
fn cases() -> Vec<Case> {
    let cases = [
        crowd::cases(),
        offload::cases(),
        slow::cases(),
        formula::cases(),
        knee::cases(),
        cost::cases(),
        chaos::cases(),
    ];
    cases.into_iter().flatten().collect()
}

fn main() {
    let mut sheet = Sheet::default();
    if let Some(runs) = std::env::var("RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok())
    {
        sheet.seeds = runs;
    }
    let mut chosen: Vec<String> = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().expect("a value after a flag");
        match arg.as_str() {
            "--case" => chosen.push(value()),
            "--seeds" => sheet.seeds = value().parse().expect("a number of seeds"),
            "--first" => sheet.first = value().parse().expect("a seed"),
            "--lines" => sheet.lines = true,
            "--schedule" => return chaos::replay(value().parse().expect("a seed")),
            "--svg" => formula::draw_to(value()),
            "--list" => {
                for case in cases() {
                    println!("{:<24} {}", case.name, case.about);
                }
                return;
            }
            other => panic!("what is {other}?"),
        }
    }
    let is_chosen = |case: &Case| {
        chosen.is_empty() || chosen.iter().any(|prefix| case.name.starts_with(prefix))
    };
    for case in cases().into_iter().filter(is_chosen) {
        sheet.run(&case);
    }
}
