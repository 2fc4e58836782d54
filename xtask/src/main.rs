//! The one place that builds, tests and measures: `cargo xtask`.

mod bench;
mod demo;
mod licences;
mod no_std;
mod report;
mod setup;
mod sh;
mod short_names;
mod steps;
mod toolchain;
mod wasm;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask demo [--port N] [--film FILE]
                                       build everything, seed a film, print the page to open
cargo xtask test [STEP…]               what CI runs; `--list` names the steps
cargo xtask setup                      install what building and testing need
cargo xtask bench NAME [--json FILE] [--runs N]
                                       measure; `--list` names the benches
cargo xtask wasm [--checked]           build the engine alone, or with its assertions on";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<()> {
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", args),
    };
    match command {
        "bench" => bench::main(rest),
        "demo" => demo::main(rest),
        "setup" => setup::everything(),
        "test" => steps::main(rest),
        "wasm" => wasm::main(rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("no such command: {other}\n\n{USAGE}"),
    }
}
