//! Builds the fixture's program with Go. Where Go or the modules cannot be had, the error says what is missing and
//! that nothing else needs it.
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

const WITHOUT: &str = "Everything else of Windlass builds and is tested without the upstream fixture.";

/// Builds `tests/upstream` to `program`. Go's own cache makes a second build quick.
pub(crate) fn build(root: &Path, program: &Path) -> Result<()> {
    let source = root.join("tests/upstream");
    let modules = source.join("go.mod");
    let modules =
        std::fs::read_to_string(&modules).with_context(|| format!("cannot read {}", modules.display()))?;
    let status = Command::new("go")
        .current_dir(&source)
        .env("CGO_ENABLED", "0")
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags"])
        .arg(linker_flags(&modules)?)
        .arg("-o")
        .args([program, Path::new(".")])
        .status();
    match status {
        Ok(status) => {
            ensure!(
                status.success(),
                "`go build` in {} failed ({status}): Go or the modules that go.mod names cannot be had. {WITHOUT}",
                source.display()
            );
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!(
                "Go is not on PATH; install it from https://go.dev/dl/ (go.mod names the version). {WITHOUT}"
            )
        }
        Err(error) => Err(error).context("cannot run `go build`"),
    }
}

/// Makes the archives of the node's images that are not there yet.
pub(crate) fn images(root: &Path, folder: &Path) -> Result<()> {
    let script = root.join("tests/upstream/images/make");
    // stdout is for this chore's answer.
    let output = Command::new(&script)
        .arg(folder)
        .output()
        .with_context(|| format!("cannot run {}", script.display()))?;
    ensure!(
        output.status.success(),
        "{} failed ({}): the packages cannot be had here. {WITHOUT}\n{}",
        script.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}

/// Upstream's release tooling stamps the version in while linking; without it `/version` would say v0.0.0.
fn linker_flags(modules: &str) -> Result<String> {
    let version = modules
        .lines()
        .find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "))
        .context("tests/upstream/go.mod does not require k8s.io/kubernetes")?
        .trim();
    let mut parts = version.trim_start_matches('v').split('.');
    let (Some(major), Some(minor)) = (parts.next(), parts.next()) else {
        bail!("tests/upstream/go.mod requires k8s.io/kubernetes {version}, which is no release");
    };
    let stamps = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].map(|package| {
        format!(
            "-X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
        )
    });
    Ok(format!("-s -w {}", stamps.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_go_mod_is_stamped_in() {
        let flags =
            linker_flags("require (\n\tk8s.io/client-go v0.36.3\n\tk8s.io/kubernetes v1.36.3\n)\n").unwrap();
        assert!(flags.contains("-X k8s.io/component-base/version.gitVersion=v1.36.3"), "{flags}");
        assert!(flags.contains("-X k8s.io/client-go/pkg/version.gitMinor=36"), "{flags}");
    }

    #[test]
    fn a_go_mod_without_kubernetes_is_refused() {
        assert!(linker_flags("module windlass.dev/upstream\n").is_err());
    }
}
