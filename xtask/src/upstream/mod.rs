//! `cargo xtask upstream`: a real Kubernetes on loopback, built from `tests/upstream` and started beside the
//! workspace's target folder. It knows how to build, start, find and end it; what runs inside is that program's.
mod build;
mod state;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};

use state::Fixture;

const USAGE: &str = "cargo xtask upstream up [--node] | restart COMPONENT | down | env | diff [TOPIC...] | record [TOPIC...] | goldens";

/// Builds and starts the fixture, ends it, prints what a shell needs to use it, or compares the engine with it.
pub(crate) fn run(root: &Path, mut arguments: impl Iterator<Item = String>) -> Result<()> {
    match arguments.next().as_deref() {
        Some("up") => {
            let node = match arguments.next().as_deref() {
                None => false,
                Some("--node") => true,
                Some(other) => bail!("`up` does not know {other:?}; usage: {USAGE}"),
            };
            let kubeconfig = ensure(root, node)?;
            say(&kubeconfig.display().to_string());
            Ok(())
        }
        Some("down") => {
            let fixture = Fixture::of(root)?;
            let _alone = fixture.lock()?;
            fixture.down()
        }
        Some("restart") => {
            let Some(component) = arguments.next() else {
                bail!("name a component, such as kubelet; usage: {USAGE}")
            };
            Fixture::of(root)?.restart(&component)
        }
        Some("env") => match kubeconfig(root)? {
            Some(path) => {
                say(&format!("export KUBECONFIG={}", quoted(&path)));
                Ok(())
            }
            None => bail!("no upstream fixture runs here; start it with `cargo xtask upstream up`"),
        },
        Some(command @ ("diff" | "record" | "goldens")) => conformance(root, command, arguments),
        Some(other) => bail!("no command {other:?}; usage: {USAGE}"),
        None => bail!("usage: {USAGE}"),
    }
}

/// Runs the differential test (`diff`), records upstream's answers for it (`record`), or shows upstream what the readers
/// make (`goldens`), with the fixture.
fn conformance(root: &Path, command: &str, topics: impl Iterator<Item = String>) -> Result<()> {
    let kubeconfig = ensure(root, false)?;
    let mut program = Command::new("cargo");
    program.current_dir(root).args(["run", "--quiet", "--package", "windlass-conformance", "--", command]);
    let status = program.arg("--upstream").arg(kubeconfig).args(topics).status()?;
    ensure!(status.success(), "{command}: {status}");
    Ok(())
}

/// The kubeconfig of a running fixture, which is built and started first if there is none. With `node`, it has a
/// node; one that runs without cannot get it later, and that is an error.
pub(crate) fn ensure(root: &Path, node: bool) -> Result<PathBuf> {
    let fixture = Fixture::of(root)?;
    let _alone = fixture.lock()?;
    if let Some(running) = fixture.kubeconfig()? {
        if node && !fixture.has_node() {
            bail!("the upstream fixture runs without a node; end it first: cargo xtask upstream down");
        }
        return Ok(running);
    }
    build(root, node)?;
    fixture.up(node)
}

/// Builds what the fixture needs, and its node's images.
pub(crate) fn build(root: &Path, node: bool) -> Result<()> {
    let fixture = Fixture::of(root)?;
    build::build(root, &fixture.program())?;
    if node {
        build::images(root, &fixture.images())?;
    }
    Ok(())
}

/// The administrator's kubeconfig of the fixture that runs for this workspace, if one does.
pub(crate) fn kubeconfig(root: &Path) -> Result<Option<PathBuf>> {
    Fixture::of(root)?.kubeconfig()
}

/// A path as one word of a POSIX shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[expect(clippy::print_stdout, reason = "the answer of this chore")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_quote_stays_one_word() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
