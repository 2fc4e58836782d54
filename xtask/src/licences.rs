//! What we build on may be shipped with us: every crate's licence, and no npm package at run time.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::sh;

/// Licences that ask for no more than to be named.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Fails with the names of those that may not.
pub(crate) fn check() -> Result<()> {
    let args = ["metadata", "--format-version", "1", "--locked"];
    let text = sh::output(&mut sh::cargo(args)).context("cargo metadata failed")?;
    let metadata: Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(is_allowed))
        .map(|package| format!("{} ({})", package["name"], package["license"]))
        .collect();
    if !refused.is_empty() {
        bail!("licences not allowed: {}", refused.join(", "));
    }
    println!("{} crates, all permissive", packages.len());
    npm_package_stands_alone()
}

fn npm_package_stands_alone() -> Result<()> {
    let text = std::fs::read_to_string(sh::root().join("web/package.json"))?;
    let package: Value = serde_json::from_str(&text)?;
    match package.get("dependencies") {
        Some(Value::Object(some)) if !some.is_empty() => {
            bail!("the npm package must depend on nothing at run time")
        }
        _ => Ok(()),
    }
}

/// Whether an SPDX expression can be met. `AND` and `OR` together: all of it must be allowed.
fn is_allowed(expression: &str) -> bool {
    let plain = expression
        .replace(['(', ')'], "")
        .replace('/', " OR ")
        .replace(" WITH LLVM-exception", "");
    let mut names = plain.split(" AND ").flat_map(|part| part.split(" OR "));
    let is_known = |name: &str| ALLOWED.contains(&name.trim());
    match plain.contains(" AND ") {
        true => names.all(is_known),
        false => names.any(is_known),
    }
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn one_of_several_licences_is_enough_where_there_is_a_choice() {
        assert!(is_allowed("MIT OR Apache-2.0 OR LGPL-2.1-or-later"));
        assert!(is_allowed("Unlicense/MIT"));
        assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!is_allowed("GPL-3.0-only"));
        assert!(!is_allowed("MIT AND GPL-3.0-only"));
    }
}
