//! Where the fixture of a workspace lies, whether it runs, and how it starts and ends. Its process outlives this one.
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The fixture of one workspace: `upstream/` in its target folder.
pub(crate) struct Fixture {
    folder: PathBuf,
}

impl Fixture {
    /// Of the workspace at `root`; nothing is started.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        Ok(Self { folder: crate::bench::target(root)?.join("upstream") })
    }

    /// Keeps other starts and ends of this fixture waiting until the lock is dropped: one that is starting looks like
    /// one that was killed.
    pub(crate) fn lock(&self) -> Result<File> {
        let path = self.folder.join("lock");
        let locked = fs::create_dir_all(&self.folder).and_then(|()| File::create(&path)).and_then(|file| {
            file.lock()?;
            Ok(file)
        });
        locked.with_context(|| format!("cannot lock {}", path.display()))
    }

    /// The built program.
    pub(crate) fn program(&self) -> PathBuf {
        self.folder.join("bin/upstream")
    }

    /// The archives of the node's images.
    pub(crate) fn images(&self) -> PathBuf {
        self.folder.join("images")
    }

    /// The administrator's kubeconfig, if the fixture runs and is ready.
    pub(crate) fn kubeconfig(&self) -> Result<Option<PathBuf>> {
        let path = self.data().join("kubeconfig");
        Ok((self.runs()? && path.exists()).then_some(path))
    }

    /// Whether the fixture that runs has a node.
    pub(crate) fn has_node(&self) -> bool {
        self.data().join("node").exists()
    }

    /// Starts the built program detached from this process and returns once it is ready.
    pub(crate) fn up(&self, node: bool) -> Result<PathBuf> {
        if self.data().exists() {
            self.down()?; // what a killed run left behind
        }
        let log = self.folder.join("up.log");
        let mut command = Command::new(self.program());
        command.args(["up", "--directory"]).arg(self.data()).stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(File::create(&log).with_context(|| format!("cannot write {}", log.display()))?);
        if node {
            command.args(["--node", "--images"]).arg(self.images());
        }
        // A terminal's Ctrl-C is not for it.
        let mut child = command.process_group(0).spawn().context("cannot start the upstream fixture")?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        match line.trim_end().strip_prefix("ready ") {
            Some(kubeconfig) => Ok(kubeconfig.into()),
            None => {
                let status = child.wait()?;
                bail!(
                    "the upstream fixture did not start ({status}):\n{}",
                    fs::read_to_string(&log)?.trim_end()
                )
            }
        }
    }

    /// Kills a component and starts it again; returns when its new process runs, ready or not.
    pub(crate) fn restart(&self, component: &str) -> Result<()> {
        ensure!(self.runs()?, "no upstream fixture runs here; start it with `cargo xtask upstream up`");
        let status = Command::new(self.program())
            .args(["restart", "--directory"])
            .arg(self.data())
            .arg(component)
            .status()
            .with_context(|| format!("cannot run {}", self.program().display()))?;
        ensure!(status.success(), "{component} could not be restarted ({status})");
        Ok(())
    }

    /// Ends the fixture by its recorded process and removes its data. Nothing there is no error.
    pub(crate) fn down(&self) -> Result<()> {
        if !self.data().exists() {
            return Ok(());
        }
        let status = Command::new(self.program())
            .args(["down", "--directory"])
            .arg(self.data())
            .status()
            .with_context(|| format!("cannot run {}", self.program().display()))?;
        ensure!(status.success(), "the upstream fixture could not be ended ({status})");
        Ok(())
    }

    /// What a run writes: certificates, etcd's data, logs.
    fn data(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// Whether the recorded process still is the one that was recorded.
    fn runs(&self) -> Result<bool> {
        let record = match fs::read_to_string(self.data().join("process")) {
            Ok(record) => record,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error).context("cannot read the fixture's record"),
        };
        let Some((id, started)) = record.trim().split_once(' ') else { return Ok(false) };
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        Ok(start_time(&stat) == Some(started))
    }
}

/// The start of a process in clock ticks since boot, from its `/proc/ID/stat`: the 22nd field, the 20th after the
/// command's name, which stands in parentheses and may hold anything.
fn start_time(stat: &str) -> Option<&str> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_parentheses_does_not_shift_the_start_time() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9 9";
        assert_eq!(start_time(stat), Some("4711"));
    }

    #[test]
    fn a_process_that_is_gone_has_no_start_time() {
        assert_eq!(start_time(""), None);
    }
}
