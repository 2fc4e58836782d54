//! `cargo xtask demo`: from a clone to a playing film.

use anyhow::{Result, bail};

use crate::sh;
use crate::{setup, steps};

const SAMPLE: &str = "tests/sample/headwater-sample.mp4";

/// Builds the binary with the page in it and seeds the sample until it is stopped.
pub(crate) fn main(args: &[String]) -> Result<()> {
    let port = match args {
        [] => "8080".to_owned(),
        [flag, port] if flag == "--port" => port.clone(),
        _ => bail!("usage: cargo xtask demo [--port N]"),
    };
    setup::to_build()?;
    steps::build_release()?;
    let binary = sh::target().join("release/headwater");
    let listen = format!("127.0.0.1:{port}");
    sh::run(&mut sh::command(
        binary,
        ["seed", SAMPLE, "--listen", &listen],
    ))
}
