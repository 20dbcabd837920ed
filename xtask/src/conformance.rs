//! `cargo xtask conformance`: upstream's end-to-end cases on the engine or on a cluster, and their matrix. It knows
//! which cluster is meant and what its containers run; the cases are `windlass-conformance`'s.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

const USAGE: &str = "cargo xtask conformance [--upstream | --cluster] [--image IMAGE] [--at-once N] [--record] [--list] [CASE...]
  without a cluster: on the engine, in process and over TCP; root also runs them as an ordinary user
  --upstream: on the upstream fixture with its node, which is built and started if none runs
  --cluster: on the cluster that KUBECONFIG names, which must hold one file";

/// The image of the fixture's node that has a shell.
const IMAGE: &str = "windlass.dev/upstream/shell:1";

/// Runs the cases; an error if one went worse than it is recorded.
pub(crate) fn run(root: &Path, arguments: impl Iterator<Item = String>) -> Result<()> {
    let mut words: Vec<String> = Vec::new();
    for word in arguments {
        match word.as_str() {
            "--help" | "-h" => bail!("usage: {USAGE}"),
            "--upstream" => {
                let kubeconfig = crate::upstream::ensure(root, true)?;
                words.extend(["--cluster".to_owned(), kubeconfig.display().to_string()]);
                words.extend(["--image".to_owned(), IMAGE.to_owned()]);
            }
            "--cluster" => words.extend([word, named()?]),
            _ => words.push(word),
        }
    }
    let mut program = Command::new("cargo");
    program.current_dir(root).args(["run", "--quiet", "--package", "windlass-conformance", "--", "suite"]);
    let status = program.args(words).status().context("cargo cannot be run")?;
    ensure!(status.success(), "conformance: {status}");
    Ok(())
}

/// The file that KUBECONFIG names.
#[expect(clippy::disallowed_methods, reason = "the entry point of this chore")]
fn named() -> Result<String> {
    let named = std::env::var("KUBECONFIG").unwrap_or_default();
    ensure!(!named.is_empty(), "--cluster: KUBECONFIG names no cluster; usage: {USAGE}");
    ensure!(Path::new(&named).is_file(), "--cluster: KUBECONFIG is {named:?}, which is no file");
    Ok(named)
}
