//! The proof that the core needs no `std`: it compiles for a target that has none.

use anyhow::Result;

use crate::sh;
use crate::toolchain::Toolchain;

/// A target without an operating system, threads, or `std`, not even a stub of it.
const TARGET: &str = "wasm32v1-none";

/// Compiles the core, and all it depends on, for a target without `std`.
///
/// # Errors
/// If it does not compile, or there is no compiler for that target.
pub(crate) fn check() -> Result<()> {
    let mut cargo = Toolchain::find(TARGET)?.cargo("check", TARGET, "core,alloc");
    sh::run(cargo.args(["--package", "headwater-core", "--lib"]))
}
