//! `cargo xtask test`: the steps that CI runs, each by name.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::{licences, no_std, setup, sh, wasm};

/// One step and the steps whose results it uses.
struct Step {
    name: &'static str,
    needs: &'static [&'static str],
    run: fn() -> Result<()>,
}

/// This program is compiled once, in a profile of its own.
const ALL_BUT_OURSELVES: [&str; 3] = ["--workspace", "--exclude", "xtask"];

const STEPS: &[Step] = &[
    Step {
        name: "setup",
        needs: &[],
        run: setup::everything,
    },
    Step {
        name: "fmt",
        needs: &[],
        run: fmt,
    },
    Step {
        name: "web",
        needs: &["setup"],
        run: web,
    },
    Step {
        name: "clippy",
        needs: &[],
        run: clippy,
    },
    Step {
        name: "unit",
        needs: &["setup"],
        run: unit,
    },
    Step {
        name: "no-std",
        needs: &["setup"],
        run: no_std::check,
    },
    Step {
        name: "docs",
        needs: &[],
        run: docs,
    },
    Step {
        name: "licences",
        needs: &[],
        run: licences::check,
    },
    Step {
        name: "build",
        needs: &["web"],
        run: build,
    },
    Step {
        name: "package",
        needs: &["web"],
        run: package,
    },
    Step {
        name: "interop",
        needs: &["build"],
        run: interop,
    },
    Step {
        name: "soak",
        needs: &["build"],
        run: soak,
    },
    Step {
        name: "e2e-chromium",
        needs: &["build"],
        run: e2e_chromium,
    },
    Step {
        name: "e2e-firefox",
        needs: &["build"],
        run: e2e_firefox,
    },
    Step {
        name: "examples",
        needs: &["build"],
        run: examples,
    },
    Step {
        name: "e2e-big",
        needs: &["build"],
        run: e2e_big,
    },
];

/// Runs the steps named, with what they need, or all of them.
///
/// The last line printed is `N passed, N failed`, in steps.
pub(crate) fn main(args: &[String]) -> Result<()> {
    if args.iter().any(|arg| arg == "--list") {
        STEPS.iter().for_each(|step| println!("{}", step.name));
        return Ok(());
    }
    let chosen = chosen(args)?;
    let mut failed = Vec::new();
    for (index, step) in chosen.iter().enumerate() {
        println!("\n=== {} ({} of {})", step.name, index + 1, chosen.len());
        let start = Instant::now();
        let outcome = (step.run)();
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("=== {} passed in {seconds:.1} s", step.name),
            Err(error) => {
                println!("=== {} FAILED after {seconds:.1} s: {error:#}", step.name);
                failed.push(step.name);
            }
        }
    }
    if !failed.is_empty() {
        println!("\nfailed: {}", failed.join(", "));
    }
    println!(
        "{} passed, {} failed",
        chosen.len() - failed.len(),
        failed.len()
    );
    match failed.is_empty() {
        true => Ok(()),
        false => std::process::exit(1),
    }
}

/// In the order of the list, each once.
fn chosen(names: &[String]) -> Result<Vec<&'static Step>> {
    let mut wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    if wanted.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    let mut next = 0;
    while let Some(name) = wanted.get(next).copied() {
        let step = STEPS.iter().find(|step| step.name == name);
        let step = step.with_context(|| format!("no step {name}; `--list` names them"))?;
        wanted.extend(step.needs);
        next += 1;
    }
    Ok(STEPS
        .iter()
        .filter(|step| wanted.contains(&step.name))
        .collect())
}

fn fmt() -> Result<()> {
    sh::run(&mut sh::cargo(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    let args = ["clippy", "--workspace", "--all-targets"];
    sh::run(sh::cargo(args).args(["--quiet", "--", "-D", "warnings"]))
}

fn docs() -> Result<()> {
    let args = ["doc", "--no-deps", "--workspace", "--quiet"];
    sh::run(sh::cargo(args).env("RUSTDOCFLAGS", "-D warnings"))
}

fn unit() -> Result<()> {
    sh::run(&mut sh::cargo([
        "test",
        "--quiet",
        "--package",
        "xtask",
        "--profile",
        "xtask",
    ]))?;
    if sh::succeeds(&mut sh::cargo(["nextest", "--version"])) {
        let args = ["nextest", "run", "--no-fail-fast", "--status-level", "slow"];
        sh::run(sh::cargo(args).args(ALL_BUT_OURSELVES))?;
        return sh::run(sh::cargo(["test", "--doc", "--quiet"]).args(ALL_BUT_OURSELVES));
    }
    sh::run(sh::cargo(["test", "--no-fail-fast", "--quiet"]).args(ALL_BUT_OURSELVES))
}

fn web() -> Result<()> {
    build_web()?;
    sh::run(sh::command("npm", ["test", "--silent"]).current_dir(sh::root().join("web")))
}

/// Builds the web part, and the release binary with it inside.
pub(crate) fn build_release() -> Result<()> {
    build_web()?;
    sh::run(&mut sh::cargo([
        "build",
        "--release",
        "--package",
        "headwater",
    ]))
}

/// The engine, the npm package and the demo page.
pub(crate) fn build_web() -> Result<()> {
    wasm::build(wasm::Profile::Shipped)?;
    sh::run(sh::command("npm", ["run", "build", "--silent"]).current_dir(sh::root().join("web")))
}

/// All binaries in one go, from the very crates that `unit` has compiled: asked for one package at a time,
/// cargo compiles half of the dependencies again, with fewer features.
fn build() -> Result<()> {
    sh::run(sh::cargo(["build", "--quiet", "--bins"]).args(ALL_BUT_OURSELVES))
}

/// Scripts of `interop` at once: others' clients look at their peers every few seconds, and wait in between.
const SCRIPTS_AT_ONCE: usize = 3;

/// Against libtorrent and players; every script that ends in success has passed.
fn interop() -> Result<()> {
    let mut scripts = files("tests/interop", ".py")?;
    // As long as half of the others together, so it is first.
    scripts.sort_by_key(|script| !script.ends_with("transmission.py"));
    let stories = scripts.into_iter().map(|script| {
        let mut story = sh::command(setup::venv_python(), [script]);
        story
            .env("HEADWATER", debug("headwater"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        story
    });
    sh::run_side_by_side(stories.collect(), SCRIPTS_AT_ONCE)
}

/// Ten thousand sockets at the tracker.
fn soak() -> Result<()> {
    sh::run(sh::command(debug("headwater-load"), ["soak"]).env("HEADWATER", debug("headwater")))
}

fn e2e_chromium() -> Result<()> {
    let tests = [tests("")?, tests("chromium")?].concat();
    sh::run(&mut browser_tests("chromium", &tests))
}

/// Firefox offers no loopback address to its peers, so it gets a network of
/// its own with one ordinary address.
fn e2e_firefox() -> Result<()> {
    let tests = [tests("")?, tests("examples")?].concat();
    let node = browser_tests("firefox", &tests);
    let mut unshare = sh::command("unshare", ["--net"]);
    if !setup::is_root() {
        unshare.arg("--map-root-user");
    }
    unshare.args(["sh", "-euc"]).arg(
        "ip link set lo up
         ip link add veth0 type veth peer name veth1
         ip addr add 10.99.0.1/24 dev veth0
         ip link set veth0 up
         ip link set veth1 up
         ip route add default via 10.99.0.1
         exec \"$@\"",
    );
    unshare
        .arg("sh")
        .arg(node.get_program())
        .args(node.get_args());
    for (key, value) in node.get_envs() {
        unshare.env(key, value.unwrap_or_default());
    }
    sh::run(unshare.env("HEADWATER_ADDRESS", "10.99.0.1"))
}

/// What npm would publish, looked at from outside; and the reference made from its types.
fn package() -> Result<()> {
    setup::npm("web/checks")?;
    sh::run(&mut sh::command(
        "node",
        [
            "--test",
            "--test-reporter=spec",
            "web/checks/packed.test.mjs",
        ],
    ))?;
    sh::run(
        sh::command("npm", ["run", "reference", "--silent"])
            .current_dir(sh::root().join("web/checks")),
    )
}

/// Each example under `web/examples`, from the packed package.
fn examples() -> Result<()> {
    sh::run(&mut browser_tests("chromium", &tests("examples")?))
}

fn e2e_big() -> Result<()> {
    sh::run(&mut browser_tests("chromium", &tests("big")?))
}

fn tests(under: &str) -> Result<Vec<PathBuf>> {
    files(&format!("tests/e2e/{under}"), ".test.mjs")
}

fn browser_tests(browser: &str, files: &[PathBuf]) -> std::process::Command {
    let mut node = sh::command("node", ["--test-reporter=spec", "tests/e2e/all.mjs"]);
    node.args(files)
        .env("HEADWATER", debug("headwater"))
        .env("BROWSER", browser);
    node.env("HEADWATER_BIN", sh::target().join("debug"));
    node
}

fn debug(binary: &str) -> PathBuf {
    sh::target().join("debug").join(binary)
}

/// The files of a folder whose names end so, in order.
fn files(folder: &str, end: &str) -> Result<Vec<PathBuf>> {
    let folder = sh::root().join(folder);
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    found.retain(|path| path.to_string_lossy().ends_with(end));
    found.sort();
    Ok(found)
}
