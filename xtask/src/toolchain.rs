//! Which compiler builds for WebAssembly on this machine.
//!
//! The toolchain's own target if it is installed (`rustup target add`). Otherwise Debian's
//! `rustc-web`, which comes with the standard library's source, and builds that too.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::sh;

/// Where Debian's packages `rustc-web` and `rust-web-src` put the compiler and its library.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LIBRARY: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";

/// A way to build for one target.
#[derive(Clone, Debug)]
pub(crate) enum Toolchain {
    /// The library comes compiled with the toolchain.
    Installed,
    /// Debian's compiler, which builds its own library, linked by the toolchain's linker.
    FromSource {
        /// The toolchain's `rust-lld`, which links WebAssembly.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// The way to build for `target` here.
    ///
    /// # Errors
    /// If there is none; the message says what to install.
    pub(crate) fn find(target: &str) -> Result<Self> {
        let sysroot = PathBuf::from(rustc("--print=sysroot")?);
        if sysroot
            .join("lib/rustlib")
            .join(target)
            .join("lib")
            .is_dir()
        {
            return Ok(Self::Installed);
        }
        if !Path::new(DEBIAN_RUSTC).exists() || !Path::new(DEBIAN_LIBRARY).exists() {
            bail!(
                "no compiler for {target} here. Install it with `rustup target add {target}`, or on \
                 Debian with `apt-get install rustc-web rust-web-src`"
            );
        }
        let host = rustc("-vV")?
            .lines()
            .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
            .context("rustc -vV names no host")?;
        let linker = sysroot.join("lib/rustlib").join(host).join("bin/rust-lld");
        if !linker.exists() {
            bail!(
                "no rust-lld at {}; install a toolchain with rustup",
                linker.display()
            );
        }
        Ok(Self::FromSource { linker })
    }

    /// `cargo <subcommand> --target <target>`, in a target directory of its own, with `std` (the
    /// crates of the library that are needed) built from source where it must be.
    pub(crate) fn cargo(&self, subcommand: &str, target: &str, std: &str) -> Command {
        let mut cargo = sh::cargo([subcommand, "--target", target, "--target-dir"]);
        cargo.arg(target_dir());
        // A caller's flags are for its own target.
        cargo
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_RUSTFLAGS");
        if let Self::FromSource { linker } = self {
            let variable = format!(
                "CARGO_TARGET_{}_LINKER",
                target.to_uppercase().replace('-', "_")
            );
            cargo
                .env(variable, linker)
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1");
            cargo.arg("-Z").arg(format!("build-std={std}"));
        }
        cargo
    }
}

/// Where everything for WebAssembly is built, apart from native builds: the compiler may differ.
pub(crate) fn target_dir() -> PathBuf {
    sh::target().join("web")
}

/// What the toolchain's own compiler answers to `question`.
fn rustc(question: &str) -> Result<String> {
    sh::output(&mut sh::command("rustc", [question]))
        .with_context(|| format!("rustc does not answer {question}"))
}
