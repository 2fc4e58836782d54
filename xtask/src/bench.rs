//! `cargo xtask bench NAME`: what we measure, always beside something to compare with.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::report::Report;
use anyhow::{Context as _, Result, bail};

use crate::sh;
use crate::{setup, steps};

/// A program whose lines of output are measurements; see [`Report`].
struct Bench {
    name: &'static str,
    about: &'static str,
    runs: usize,
    prepare: fn() -> Result<()>,
    command: fn() -> Command,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "crowd",
        about: "a native seeder and eight pages that all want the same 32 MiB: Headwater, WebTorrent",
        runs: 3,
        prepare: prepare_pages,
        command: || sh::command("node", ["tests/bench/crowd.mjs"]),
    },
    Bench {
        name: "idle",
        about: "500 torrents that nobody wants just now: start-up from what is remembered, memory, processor",
        runs: 3,
        prepare: prepare_native,
        command: || sh::command("node", ["tests/bench/idle.mjs"]),
    },
    Bench {
        name: "native",
        about: "the native peer: 10 GiB to standard output through 64 MiB of memory, and to a file",
        runs: 3,
        prepare: prepare_native,
        command: || sh::command("node", ["tests/bench/native.mjs"]),
    },
    Bench {
        name: "peers",
        about: "natives among themselves over TCP and WebRTC, beside libtorrent; hashing beside sha256sum",
        runs: 5,
        prepare: prepare_pages,
        command: || sh::command(setup::venv_python(), ["tests/bench/peers.py"]),
    },
    Bench {
        name: "play",
        about: "a film in a page opened cold, first frame and seek: Headwater, WebTorrent, a web server",
        runs: 5,
        prepare: prepare_pages,
        command: || sh::command("node", ["tests/bench/play.mjs"]),
    },
    Bench {
        name: "swarm",
        about: "crowds in virtual time: efficiency, start-up, offload, each with its aim",
        runs: 20,
        prepare: prepare_swarm,
        command: || {
            let program = sh::target().join("release/swarm-bench");
            sh::command(program, ["--lines", "--svg", "docs/throughput.svg"])
        },
    },
    Bench {
        name: "distance",
        about: "a native seeder and a page with a long round trip between them, against the link",
        runs: 3,
        prepare: prepare_distance,
        command: || sh::command("node", ["tests/bench/distance.mjs"]),
    },
    Bench {
        name: "sources",
        about: "a fast seeder and a slow one beside it, against the fast one alone",
        runs: 5,
        prepare: prepare_pages,
        command: || sh::command("node", ["tests/bench/sources.mjs"]),
    },
    Bench {
        name: "thousand",
        about: "1,000 viewers with WebRTC, one tracker, one seeder; and one viewer's start beside plain HTTP",
        runs: 1,
        prepare: prepare_tracker,
        command: || {
            let program = sh::target().join("release/headwater-load");
            sh::command(program, ["thousand"])
        },
    },
    Bench {
        name: "tracker",
        about: "announces with offers and answers, what a join costs, whom it meets: Headwater, bittorrent-tracker, aquatic_ws",
        runs: 3,
        prepare: prepare_tracker,
        command: || sh::command(sh::target().join("release/headwater-load"), [""; 0]),
    },
    Bench {
        name: "transfer",
        about: "256 MiB from a native seeder into a page: Headwater, WebTorrent, the bare channel",
        runs: 5,
        prepare: prepare_transfer,
        command: || sh::command("node", ["tests/bench/transfer.mjs"]),
    },
];

pub(crate) fn main(args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == options.name) else {
        BENCHES
            .iter()
            .for_each(|bench| println!("{:<12} {}", bench.name, bench.about));
        return match options.name.as_str() {
            "" => Ok(()),
            other => bail!("no such bench: {other}"),
        };
    };
    (bench.prepare)()?;
    let report = measure(bench, options.runs.unwrap_or(bench.runs), &options.cases)?;
    println!("\n{}", report.table());
    match options.json {
        Some(path) => report.write_json(&path),
        None => Ok(()),
    }
}

#[derive(Default)]
struct Options {
    name: String,
    json: Option<PathBuf>,
    runs: Option<usize>,
    /// Cases that a bench is held to, if it has several.
    cases: Vec<String>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} wants a value"));
            match arg.as_str() {
                "--json" => options.json = Some(PathBuf::from(value()?)),
                "--runs" => {
                    let runs = value()?.parse();
                    options.runs = Some(runs.context("--runs wants a number")?);
                }
                "--case" => options
                    .cases
                    .extend(["--case".to_owned(), value()?.clone()]),
                "--list" => {}
                name => options.name = name.to_owned(),
            }
        }
        Ok(options)
    }
}

fn measure(bench: &Bench, runs: usize, cases: &[String]) -> Result<Report> {
    let mut report = Report::new(bench.name);
    let mut command = (bench.command)();
    command
        .args(cases)
        .env("RUNS", runs.to_string())
        .env("HEADWATER", sh::target().join("release/headwater"))
        .env("RELEASE", sh::target().join("release"))
        .stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let stdout = child.stdout.take().context("no output to read")?;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        if !report.take(&line) {
            println!("{line}");
        }
    }
    match child.wait()?.success() {
        true => Ok(report),
        false => bail!("the bench {} failed", bench.name),
    }
}

/// For a bench of pages and the seeder's binary.
fn prepare_pages() -> Result<()> {
    setup::to_bench()?;
    steps::build_release()
}

fn prepare_distance() -> Result<()> {
    prepare_pages()?;
    example("delay_relay")
}

fn prepare_native() -> Result<()> {
    setup::to_build()?;
    steps::build_release()
}

fn prepare_transfer() -> Result<()> {
    prepare_pages()?;
    example("raw_channel")
}

/// Builds a program of ours that only benches need.
fn example(name: &str) -> Result<()> {
    let package = ["--package", "headwater"];
    sh::run(sh::cargo(["build", "--release", "--example", name]).args(package))
}

/// aquatic_ws takes long to build, so who wants it in the table installs it; see tests/bench/README.md.
fn prepare_tracker() -> Result<()> {
    prepare_pages()?;
    let build = ["build", "--release", "--package", "headwater-load"];
    sh::run(&mut sh::cargo(build))
}

fn prepare_swarm() -> Result<()> {
    let build = ["build", "--release", "--package", "headwater-sim"];
    sh::run(&mut sh::cargo(build))
}
