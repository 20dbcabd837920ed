//! Lays the functions that commands run side by side in the program's file (`functions.order`, made by `cargo xtask
//! order`). Linux maps 64 KB around each page that a process touches: of a program whose functions lie where the
//! compiler happened to put them, a command that runs a tenth has two thirds in memory.
//!
//! The linker is told only where it is known to understand: the one that Rust brings for Linux on x86-64. Elsewhere,
//! and for names that are not there, all stays as it is.

#![expect(clippy::disallowed_methods, reason = "cargo tells a build script everything in its environment")]

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=functions.order");
    println!("cargo::rerun-if-changed=build.rs");
    if is_release() && links_with_lld() {
        let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        let order = Path::new(&folder).join("functions.order");
        println!("cargo::rustc-link-arg-bins=-Wl,--symbol-ordering-file={}", order.display());
        println!("cargo::rustc-link-arg-bins=-Wl,--no-warn-symbol-ordering");
    }
}

/// Whether the profile is one that is optimised at once: elsewhere nobody measures.
fn is_release() -> bool {
    env::var("PROFILE").is_ok_and(|profile| profile == "release")
}

/// Whether the program is linked by the linker that Rust brings, which it does there by default.
fn links_with_lld() -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is_chosen = env::var_os("RUSTC_LINKER").is_some() || flags.contains("link");
    env::var("TARGET").is_ok_and(|target| target == "x86_64-unknown-linux-gnu") && !is_chosen
}
