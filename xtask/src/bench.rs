//! Builds the release binary and the program that measures it, and runs the one on the other.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

/// `arguments` go to the measuring program.
pub(crate) fn bench(root: &Path, arguments: impl Iterator<Item = String>) -> Result<()> {
    let cargo = |more: &[&str]| -> Result<()> {
        let status = Command::new("cargo").args(more).current_dir(root).status()?;
        ensure!(status.success(), "cargo {more:?}: {status}");
        Ok(())
    };
    cargo(&["build", "--release", "--package", "windlass-cli", "--package", "windlass-bench"])?;
    let target = target(root)?;
    let status = Command::new(target.join("release/windlass-bench"))
        .arg(target.join("release/windlass"))
        .args(arguments)
        .status()?;
    ensure!(status.success(), "windlass-bench: {status}");
    Ok(())
}

/// The target folder that cargo uses here.
pub(crate) fn target(root: &Path) -> Result<std::path::PathBuf> {
    let mut metadata = Command::new("cargo");
    metadata.args(["metadata", "--no-deps", "--format-version", "1", "--offline"]).current_dir(root);
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.output()?.stdout)?;
    Ok(metadata["target_directory"].as_str().unwrap_or("target").into())
}
