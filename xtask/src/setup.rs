//! What building, testing and measuring need, installed where it is missing.
//!
//! Quick when everything is there. Installs system packages only as root on
//! Debian; elsewhere it says what to install and stops.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::sh;

/// Debian's compiler for the browser and its library, where rustup offers no such target.
const WASM_PACKAGES: &[&str] = &["rust-web-src", "rustc-web"];
const BROWSER_PACKAGES: &[&str] = &["chromium", "firefox-esr", "iproute2"];
/// What reads over HTTP as players do.
const PLAYER_PACKAGES: &[&str] = &["curl", "ffmpeg"];
/// What Firefox decodes H.264 with, whichever version this Debian has.
const DECODER_PACKAGE: &str = "^libavcodec[0-9]+$";
/// Other people's clients, to be met.
const PEER_PACKAGES: &[&str] = &["aria2", "transmission-cli", "transmission-daemon"];
/// What trackers share their swarms through.
const CLUSTER_PACKAGE: &str = "redis-server";
const OLDEST_NODE: u32 = 20;
const LIBTORRENT: &str = "2.1.1";

/// Everything that `cargo xtask test` needs.
pub(crate) fn everything() -> Result<()> {
    browsers()?;
    packages(PLAYER_PACKAGES)?;
    python()?;
    packages(PEER_PACKAGES)?;
    packages(&[CLUSTER_PACKAGE])?;
    npm("tests/e2e")?;
    // WebTorrent and its tracker.
    npm("tests/bench/webtorrent")?;
    to_build()
}

/// What a build of the page and of the binary needs.
pub(crate) fn to_build() -> Result<()> {
    node()?;
    if !has_wasm_target() {
        packages(WASM_PACKAGES)?;
    }
    npm("web")
}

/// What the benches need beyond [`everything`].
pub(crate) fn to_bench() -> Result<()> {
    everything()?;
    npm("tests/bench/webtorrent")
}

/// The interpreter that has libtorrent.
pub(crate) fn venv_python() -> std::path::PathBuf {
    sh::cache().join("venv/bin/python")
}

/// Whether the toolchain in use can build for wasm32 by itself.
fn has_wasm_target() -> bool {
    let sysroot = sh::output(&mut sh::command("rustc", ["--print", "sysroot"])).unwrap_or_default();
    Path::new(&sysroot)
        .join("lib/rustlib/wasm32-unknown-unknown/lib")
        .is_dir()
}

fn node() -> Result<()> {
    let version = sh::output(&mut sh::command("node", ["--version"])).unwrap_or_default();
    let major = version
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|m| m.parse().ok());
    match major {
        Some(major) if OLDEST_NODE <= major => Ok(()),
        _ => bail!(
            "Node.js {OLDEST_NODE} or newer is needed (found: {}); install it and run this again",
            if version.is_empty() { "none" } else { &version },
        ),
    }
}

fn browsers() -> Result<()> {
    packages(BROWSER_PACKAGES)?;
    let libraries = sh::output(&mut sh::command("/sbin/ldconfig", ["-p"])).unwrap_or_default();
    match libraries.contains("libavcodec.so") {
        true => Ok(()),
        false => packages(&[DECODER_PACKAGE]),
    }
}

fn packages(names: &[&str]) -> Result<()> {
    let missing: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !is_installed(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = format!("'{}'", missing.join("' '"));
    let by_hand = format!("apt-get update && apt-get install -y --no-install-recommends {names}");
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("these are needed and this is no Debian, so install what matches them: {names}");
    }
    if !is_root() {
        bail!("missing: {names}; run as root:\n  {by_hand}");
    }
    println!("installing {names}");
    sh::run(sh::command("sh", ["-c", &by_hand]).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Whether we may install and make networks.
pub(crate) fn is_root() -> bool {
    sh::output(&mut sh::command("id", ["-u"])).as_deref() == Some("0")
}

fn is_installed(package: &str) -> bool {
    let query = ["-W", "-f", "${db:Status-Status}", package];
    sh::output(&mut sh::command("dpkg-query", query)).as_deref() == Some("installed")
}

/// Installs the locked npm packages of a folder unless they are there already.
pub(crate) fn npm(folder: &str) -> Result<()> {
    let folder = sh::root().join(folder);
    let locked = fs::read(folder.join("package-lock.json"))
        .with_context(|| format!("no package-lock.json in {}", folder.display()))?;
    let stamp = folder.join("node_modules/.installed-lock.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == locked) {
        return Ok(());
    }
    let args = [
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ];
    sh::run(sh::command("npm", args).current_dir(&folder))?;
    Ok(fs::write(stamp, locked)?)
}

/// A Python environment of our own, with libtorrent to compare with.
fn python() -> Result<()> {
    let python = venv_python();
    let check =
        format!("import libtorrent; assert libtorrent.__version__.startswith('{LIBTORRENT}')");
    if sh::succeeds(&mut sh::command(&python, ["-c", &check])) {
        return Ok(());
    }
    let venv = sh::cache().join("venv");
    let make = || sh::succeeds(sh::command("python3", ["-m", "venv", "--clear"]).arg(&venv));
    if !make() {
        packages(&["python3-venv"])?;
        if !make() {
            bail!("`python3 -m venv` fails; is Python 3 there?");
        }
    }
    let wanted = format!("libtorrent=={LIBTORRENT}");
    let args = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        &wanted,
    ];
    sh::run(&mut sh::command(&python, args))
}
