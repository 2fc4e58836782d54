//! What `packaging/` promises: its commands, flags and files are there.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use headwater::cli::Cli;
use support::{Folder, text};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// The rest of the lines that begin so.
fn after<'a>(text: &'a str, begin: &str) -> Vec<&'a str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(begin));
    lines.map(str::trim).collect()
}

fn assert_is_understood(args: &[String]) {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if let Err(e) = Cli::try_parse_from(&args) {
        panic!("{args:?}: {e}");
    }
}

#[test]
fn the_images_command_is_one_that_headwater_understands() {
    let dockerfile = read("packaging/Dockerfile");
    let list = |begin| -> Vec<String> {
        let line = after(&dockerfile, begin)[0];
        serde_json::from_str(line).expect("a JSON list")
    };
    assert_is_understood(&[list("ENTRYPOINT"), list("CMD")].concat());
}

#[test]
fn the_image_is_built_by_commands_that_are_there() {
    let dockerfile = read("packaging/Dockerfile");
    let package: serde_json::Value = serde_json::from_str(&read("web/package.json")).expect("JSON");
    let xtask = read("xtask/src/main.rs");
    let mut known = 0;
    for command in after(&dockerfile, "RUN ") {
        let words: Vec<&str> = command.split(' ').collect();
        known += match words[..] {
            ["cargo", "xtask", name, ..] => {
                assert!(xtask.contains(&format!("\"{name}\" =>")), "{command}");
                1
            }
            ["cargo", "build", .., "--package", name] => {
                assert!(read("seeder/Cargo.toml").contains(&format!("name = \"{name}\"")));
                assert!(root().join("Cargo.lock").exists(), "--locked");
                1
            }
            ["npm", "ci", "--prefix", folder] => {
                assert!(root().join(folder).join("package-lock.json").exists());
                1
            }
            ["npm", "run", script, "--prefix", "web"] => {
                assert!(package["scripts"][script].is_string(), "{command}");
                1
            }
            _ => 0,
        };
    }
    assert_eq!(known, 4, "each is looked at");
}

#[test]
fn the_units_command_is_one_that_headwater_understands() {
    let unit = read("packaging/headwater-seed.service");
    let start: Vec<String> = after(&unit, "ExecStart=")[0]
        .split(' ')
        .map(str::to_owned)
        .collect();
    assert_is_understood(&start);
}

/// Where there is no systemd nobody installs the unit either.
#[test]
fn systemd_finds_no_fault_with_the_unit() {
    let folder = Folder::new();
    let unit = read("packaging/headwater-seed.service");
    // The program must be there, too.
    let unit = unit.replace("/usr/local/bin/headwater", env!("CARGO_BIN_EXE_headwater"));
    let path = folder.path("headwater-seed.service");
    fs::write(&path, unit).expect("write");
    let verify = Command::new("systemd-analyze")
        .args(["verify", text(&path)])
        .output();
    let Ok(output) = verify else { return };
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours: Vec<&str> = words
        .lines()
        .filter(|line| line.contains("headwater"))
        .collect();
    assert!(ours.is_empty(), "{ours:?}");
}
