//! `cargo xtask demo`: from a clone to a playing film.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::sh;
use crate::{setup, steps};

/// Small, and in the repository: what is shown where there is no ffmpeg.
const SAMPLE: &str = "tests/sample/headwater-sample.mp4";

/// Long enough for a window to move, and for viewers to be at different places.
const FILM_SECONDS: &str = "180";

/// Builds the binary with the page in it and seeds a film until it is stopped.
pub(crate) fn main(args: &[String]) -> Result<()> {
    let (mut port, mut film) = ("8080".to_owned(), None);
    let mut args = args.iter();
    while let Some(flag) = args.next() {
        match (flag.as_str(), args.next()) {
            ("--port", Some(value)) => port.clone_from(value),
            ("--film", Some(value)) => film = Some(PathBuf::from(value)),
            _ => bail!("usage: cargo xtask demo [--port N] [--film FILE]"),
        }
    }
    setup::to_build()?;
    steps::build_release()?;
    let film = match film {
        Some(film) => film,
        None => made()?,
    };
    let listen = format!("127.0.0.1:{port}");
    sh::run(
        sh::command(sh::target().join("release/headwater"), ["seed"])
            .arg(film)
            .args(["--listen", &listen, "--demo-controls"]),
    )
}

/// A film of our own, made once; the sample where it cannot be made.
fn made() -> Result<PathBuf> {
    let film = sh::cache().join("demo/headwaters.mp4");
    if film.exists() {
        return Ok(film);
    }
    if !sh::succeeds(&mut sh::command("ffmpeg", ["-version"])) {
        println!(
            "showing the small sample; with ffmpeg, or with --film FILE, there is more to see"
        );
        return Ok(sh::root().join(SAMPLE));
    }
    println!("making a film to show, once: {FILM_SECONDS} seconds");
    std::fs::create_dir_all(sh::cache().join("demo"))?;
    sh::run(sh::command(sh::root().join("tests/sample/film.sh"), [&film]).arg(FILM_SECONDS))?;
    Ok(film)
}
