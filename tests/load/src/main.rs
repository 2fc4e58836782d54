//! What a tracker of WebRTC peers bears: announces with five offers, each relayed and answered.
//!
//! The same words to ours, to npm's bittorrent-tracker and to crates.io's aquatic_ws, one after
//! the other, each in a process of its own on a core of its own. Prints measurements for
//! `cargo xtask bench tracker`; `soak` is a step of `cargo xtask test`, `thousand` a bench of its own.

mod compare;
mod crowd;
mod graph;
mod joins;
mod process;
mod soak;
mod strangers;
mod thousand;
mod words;

use std::env;
use std::io;

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
    let is_wanted =
        |case: &str| wanted.is_empty() || wanted.iter().any(|one| case.starts_with(one));
    for run in 0..runs.unwrap_or(1) {
        eprintln!("run {}", run + 1);
        if is_wanted("join") {
            joins::measure();
        }
        if run == 0 && is_wanted("graph") {
            graph::measure();
        }
        compare::measure(is_wanted)?;
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
