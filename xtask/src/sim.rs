//! Plays histories of the simulated engine (`crates/engine/src/tick/sim/`): one seed again, or many.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

const USAGE: &str = "cargo xtask sim --seed N [--seeds COUNT]";

/// Plays `--seeds` histories (one, if none is said) from `--seed` on; the first that fails is told line by line.
pub(crate) fn sim(root: &Path, mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let (mut seed, mut seeds) = (None, 1);
    while let Some(option) = arguments.next() {
        let mut number = || -> Result<u64> {
            let value = arguments.next().with_context(|| format!("{option} takes a number: {USAGE}"))?;
            value.parse().with_context(|| format!("{option} takes a number, not {value:?}: {USAGE}"))
        };
        match option.as_str() {
            "--seed" => seed = Some(number()?),
            "--seeds" => seeds = number()?,
            _ => bail!("sim does not know {option:?}: {USAGE}"),
        }
    }
    let seed = seed.with_context(|| format!("which history? {USAGE}"))?;
    let status = Command::new(env!("CARGO"))
        .args(["test", "--quiet", "--package", "windlass-engine", "--lib", "whatever_fate_does"])
        .env("WINDLASS_SIM_SEED", seed.to_string())
        .env("WINDLASS_SIM_SEEDS", seeds.to_string())
        .current_dir(root)
        .status()
        .context("cargo cannot be started")?;
    ensure!(status.success(), "a history failed; it is told above");
    Ok(())
}
