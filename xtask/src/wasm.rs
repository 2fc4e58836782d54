//! Builds what pages download: `web/wasm-pkg/headwater_wasm{.js,_bg.wasm,.d.ts}`, the engine, and beside
//! it what makes torrents, `headwater_making`.
//!
//! cargo compiles, wasm-bindgen writes the glue, binaryen's `wasm-opt` (from npm, where the
//! web part's packages are installed) makes it faster and smaller, and its names are made short.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::toolchain::{Toolchain, target_dir};
use crate::{sh, short_names};

const TARGET: &str = "wasm32-unknown-unknown";

/// The modules, as cargo names their packages and as it names what it makes of them.
const MODULES: [(&str, &str); 2] = [
    ("headwater-wasm", "headwater_wasm"),
    ("headwater-making", "headwater_making"),
];

/// SIMD: Chrome 91, Firefox 89, Safari 16.4. SHA-256 is a sixth faster with it.
const RUST_FLAGS: &str = "-C target-feature=+simd128";

/// Where std is built along: a fault of our own traps at once, with nothing formatted, and no line
/// of source is named. A twelfth smaller.
const SMALL_STD_FLAGS: &str =
    " -Z unstable-options -C panic=immediate-abort -Z location-detail=none";

/// What rustc's WebAssembly may use, for `wasm-opt` must know.
const FEATURES: [&str; 7] = [
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// What `wasm-opt` is to do: it helps to know that memory begins as zeros and that nothing is at its
/// very start, where the stack would end; and control flow taken apart and put together again makes
/// what is downloaded smaller by a hundredth.
const OPTIMISATIONS: [&str; 8] = [
    "--low-memory-unused",
    "--zero-filled-memory",
    "-Os",
    "--flatten",
    "--rereloop",
    "-Os",
    "-Os",
    "--strip-target-features",
];

/// How the engine is to be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As pages download it.
    Shipped,
    /// With debug assertions and overflow checks, for tests.
    Checked,
}

impl Profile {
    const fn cargo_name(self) -> &'static str {
        match self {
            Self::Shipped => "wasm",
            Self::Checked => "wasm-checked",
        }
    }
}

/// Where the web part's bundler finds the engine.
pub(crate) fn package_dir() -> PathBuf {
    sh::root().join("web/wasm-pkg")
}

/// `cargo xtask wasm`.
pub(crate) fn main(args: &[String]) -> Result<()> {
    match args {
        [] => build(Profile::Shipped),
        [flag] if flag == "--checked" => build(Profile::Checked),
        _ => bail!("usage: cargo xtask wasm [--checked]"),
    }
}

/// Builds all modules into [`package_dir`]; does nothing for those that are up to date.
///
/// # Errors
/// If there is no compiler for WebAssembly, or a step fails. An older build is then left as it was.
pub(crate) fn build(profile: Profile) -> Result<()> {
    let toolchain = Toolchain::find(TARGET)?;
    let mut cargo = toolchain.cargo("build", TARGET, "std,panic_abort");
    let mut flags = rust_flags();
    if matches!(toolchain, Toolchain::FromSource { .. }) && profile == Profile::Shipped {
        flags.push_str(SMALL_STD_FLAGS);
        cargo.args(["-Z", "build-std-features=optimize_for_size"]);
    }
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags);
    for (package, _) in MODULES {
        cargo.args(["--package", package]);
    }
    sh::run(cargo.args(["--profile", profile.cargo_name()]))?;
    for (_, name) in MODULES {
        pack(name, profile)?;
    }
    Ok(())
}

/// Makes of a compiled module what a page loads, unless that is there.
fn pack(name: &str, profile: Profile) -> Result<()> {
    let compiled = target_dir()
        .join(TARGET)
        .join(profile.cargo_name())
        .join(format!("{name}.wasm"));
    let stamp = stamp(&compiled)?;
    let stamp_file = package_dir().join(format!(".{name}.stamp"));
    if fs::read_to_string(&stamp_file).is_ok_and(|old| old == stamp) {
        return Ok(());
    }
    let made = target_dir().join("wasm-pkg");
    let (wasm, glue) = (
        made.join(format!("{name}_bg.wasm")),
        made.join(format!("{name}.js")),
    );
    bind(&compiled, &made)?;
    optimise(&wasm, profile)?;
    shorten_names(&wasm, &glue)?;
    fs::create_dir_all(package_dir())?;
    let _ = fs::remove_file(&stamp_file);
    for end in [".js", ".d.ts", "_bg.wasm", "_bg.wasm.d.ts"] {
        let file = format!("{name}{end}");
        fs::copy(made.join(&file), package_dir().join(&file))
            .with_context(|| format!("cannot copy {file} to {}", package_dir().display()))?;
    }
    fs::write(stamp_file, stamp)?;
    Ok(())
}

/// The same bytes wherever it is built: no path of this machine in them.
fn rust_flags() -> String {
    let mut flags = format!(
        "{RUST_FLAGS} --remap-path-prefix={}=.",
        sh::root().display()
    );
    if let Some(home) = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
    {
        flags.push_str(&format!(" --remap-path-prefix={}=cargo", home.display()));
    }
    flags
}

/// Writes the glue for `compiled` into `dir`.
fn bind(compiled: &Path, dir: &Path) -> Result<()> {
    Bindgen::new()
        .input_path(compiled)
        .web(true)?
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(dir)
        .context("wasm-bindgen failed")
}

/// Has `wasm-opt` rewrite `wasm`, if it is installed; the engine is right without, only slower.
fn optimise(wasm: &Path, profile: Profile) -> Result<()> {
    let Some(wasm_opt) = wasm_opt() else {
        eprintln!(
            "no wasm-opt in web/node_modules (npm install there brings it): the engine is not optimised further"
        );
        return Ok(());
    };
    if profile == Profile::Checked {
        return Ok(());
    }
    let optimised = wasm.with_extension("opt.wasm");
    let mut command = sh::command(wasm_opt, OPTIMISATIONS);
    sh::run(command.arg("-o").arg(&optimised).arg(wasm).args(FEATURES))?;
    fs::rename(optimised, wasm)?;
    Ok(())
}

fn shorten_names(wasm: &Path, glue: &Path) -> Result<()> {
    let (short_wasm, short_glue) =
        short_names::shorten(&fs::read(wasm)?, &fs::read_to_string(glue)?)?;
    fs::write(wasm, short_wasm)?;
    fs::write(glue, short_glue)?;
    Ok(())
}

fn wasm_opt() -> Option<PathBuf> {
    [
        "web/node_modules/.bin/wasm-opt",
        "node_modules/.bin/wasm-opt",
    ]
    .into_iter()
    .map(|path| sh::root().join(path))
    .find(|path| path.exists())
}

/// What the package was made from: this compiled module, and what `wasm-opt` did to it.
fn stamp(compiled: &Path) -> Result<String> {
    let metadata =
        fs::metadata(compiled).with_context(|| format!("no module at {}", compiled.display()))?;
    let modified = metadata.modified()?.duration_since(std::time::UNIX_EPOCH)?;
    let optimisations = wasm_opt().map(|_| OPTIMISATIONS);
    Ok(format!(
        "{} {} {modified:?} {optimisations:?}\n",
        compiled.display(),
        metadata.len(),
    ))
}
