//! Builds the release binary and the programs that measure it, and runs them on it.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::upstream;

/// `arguments` go to the measuring program. With `--upstream` alone the fixture with a node is started for it, unless
/// it runs already, and the engine is measured beside it.
pub(crate) fn bench(root: &Path, arguments: impl Iterator<Item = String>) -> Result<()> {
    cargo(root, &["build", "--release", "--package", "windlass-cli", "--package", "windlass-bench"])?;
    cargo(root, &["build", "--release", "--package", "windlass-store", "--example", "commits"])?;
    let release = target(root)?.join("release");
    let mut program = Command::new(release.join("windlass-bench"));
    program.arg(release.join("windlass"));
    let arguments: Vec<String> = arguments.collect();
    if arguments == ["--upstream"] {
        let (kubeconfig, ready) = started(root)?;
        program.arg("--upstream").arg(kubeconfig);
        if let Some(seconds) = ready {
            program.args(["--ready", &seconds.to_string()]);
        }
    } else {
        program.arg("--store-commits").arg(release.join("examples/commits")).args(arguments);
    }
    // In this process's place: an interrupt reaches it, and it ends its engines.
    Err(program.exec()).context("windlass-bench")
}

/// The fixture with a node, and how many seconds it took to be ready if it was started now, all built before.
#[expect(clippy::disallowed_methods, reason = "this measures time")]
fn started(root: &Path) -> Result<(std::path::PathBuf, Option<f64>)> {
    if let Some(kubeconfig) = upstream::kubeconfig(root)? {
        return Ok((kubeconfig, None));
    }
    upstream::build(root, true)?;
    let began = Instant::now();
    let kubeconfig = upstream::ensure(root, true)?;
    Ok((kubeconfig, Some(began.elapsed().as_secs_f64())))
}

/// Runs cargo in the workspace.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    let status = Command::new("cargo").args(arguments).current_dir(root).status()?;
    ensure!(status.success(), "cargo {arguments:?}: {status}");
    Ok(())
}

/// The target folder that cargo uses here.
pub(crate) fn target(root: &Path) -> Result<std::path::PathBuf> {
    let mut metadata = Command::new("cargo");
    metadata.args(["metadata", "--no-deps", "--format-version", "1", "--offline"]).current_dir(root);
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.output()?.stdout)?;
    Ok(metadata["target_directory"].as_str().unwrap_or("target").into())
}
