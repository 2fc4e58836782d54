//! The one place that builds, tests and measures: `cargo xtask`.

fn main() {}
