//! The `headwater` command.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use headwater::cli::{Cli, Command, LogFormat};
use headwater::commands;
use headwater::config;
use headwater::error::Result;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.verbose, cli.log_format);
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("headwater: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Create(args) => commands::create::run(&config::Create::new(args)?),
        Command::Get(args) => commands::get::run(&config::Get::new(args)?),
        Command::Inspect(args) => commands::inspect::run(&args),
        Command::Seed(args) => commands::seed::run(&config::Seed::new(args)?),
        Command::Track(args) => commands::track::run(&config::Track::new(args)?),
    }
}

fn log_to_stderr(verbose: u8, format: LogFormat) {
    let level = match verbose {
        0 => "warn",
        1 => "warn,headwater=info",
        2 => "info,headwater=debug",
        _ => "debug,headwater=trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A log that nobody reads any more is no reason to stop.
        .log_internal_errors(false);
    match format {
        LogFormat::Json => log.json().init(),
        LogFormat::Text => log
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .without_time()
            .init(),
    }
}
