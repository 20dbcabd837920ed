//! The same cases as an ordinary user: root runs this program again as `nobody`, on engines of that user's own.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::record::{Column, Place};

/// `nobody` on Linux.
const ORDINARY: u32 = 65_534;

/// Whether this process is root's.
#[must_use]
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Runs the cases that `words` name as an ordinary user: both columns. `program` is `windlass-conformance`.
pub fn columns(program: &Path, words: &[String]) -> Result<BTreeMap<Place, Column>> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary)?;
    chown(&temporary, Some(ORDINARY), Some(ORDINARY)).context("giving a folder to an ordinary user")?;
    let mut reachable = program.to_owned();
    if !anybody_reaches(program) {
        reachable = folder.path().join("windlass-conformance");
        fs::copy(program, &reachable)?;
        fs::set_permissions(&reachable, Permissions::from_mode(0o755))?;
    }
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={ORDINARY}"), &format!("--regid={ORDINARY}"), "--clear-groups"]);
    command.arg(reachable).args(["suite", "--columns"]).args(words);
    command.env("TMPDIR", &temporary).env("HOME", &temporary).current_dir("/");
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.context("setpriv (of util-linux) cannot be run")?;
    ensure!(output.status.success(), "the suite as an ordinary user: {}", output.status);
    serde_json::from_slice(&output.stdout).context("the columns of an ordinary user")
}

/// Whether others may pass all folders above a program and run it.
fn anybody_reaches(program: &Path) -> bool {
    let open = |path: &Path| fs::metadata(path).is_ok_and(|one| one.mode() & 0o001 != 0);
    program.is_absolute() && program.ancestors().all(open)
}
