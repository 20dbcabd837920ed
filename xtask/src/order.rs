//! Makes the list by which the linker lays out what commands run: `crates/cli/functions.order`.
//!
//! The names in it carry hashes of the packages and of the compiler. After a change of either the list is made anew:
//! the linker leaves out what it does not find, and commands slowly take as much memory as without a list.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::bench::{cargo, target};

const LIST: &str = "crates/cli/functions.order";
/// So many of a hundred names must be in the program: less, and its memory tells that they are not.
const FRESH: usize = 95;

/// Makes the list, or looks with `--check` whether the program still has the functions that are on it.
pub(crate) fn order(root: &Path, mut arguments: impl Iterator<Item = String>) -> Result<()> {
    cargo(root, &["build", "--release", "--package", "windlass-cli", "--package", "windlass-bench"])?;
    let release = target(root)?.join("release");
    let (program, list) = (release.join("windlass"), root.join(LIST));
    match arguments.next().as_deref() {
        Some("--check") => check(&program, &list),
        Some(other) => bail!("order takes --check, not {other:?}"),
        None => {
            let recorder = Command::new(release.join("windlass-bench"))
                .arg(program)
                .arg("--order")
                .arg(list)
                .status()?;
            ensure!(recorder.success(), "windlass-bench --order: {recorder}");
            Ok(())
        }
    }
}

fn check(program: &Path, list: &Path) -> Result<()> {
    let output = Command::new("nm")
        .args(["--defined-only", "--format=just-symbols"])
        .arg(program)
        .output()
        .context("nm")?;
    ensure!(output.status.success(), "nm: {}", String::from_utf8_lossy(&output.stderr));
    let symbols = String::from_utf8(output.stdout)?;
    let symbols: BTreeSet<&str> = symbols.lines().collect();
    let text = std::fs::read_to_string(list).with_context(|| list.display().to_string())?;
    let names: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let found = names.iter().filter(|name| symbols.contains(*name)).count();
    ensure!(
        found * 100 >= names.len() * FRESH,
        "the program has {found} of the {} functions of {LIST}: make it anew with `cargo xtask order`",
        names.len()
    );
    Ok(())
}
