//! Builds the binary anew when the page inside it has changed.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A development build reads the page from the folder at run time: nothing to build anew.
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    for folder in ["../web/demo/dist", "../web/dist"] {
        // Naming a folder that is not there would mean to build anew every time, and is right:
        // that is how we learn that it has come.
        println!("cargo::rerun-if-changed={folder}");
        if !Path::new(folder).is_dir() {
            println!(
                "cargo::warning={folder} has not been built: the binary will have no page (`cargo xtask demo` builds it)"
            );
        }
    }
}
