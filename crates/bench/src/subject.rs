//! The engine that is measured: started by its binary in a home of its own, reached by a plain client.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tempfile::TempDir;

use crate::ending;

pub(crate) struct Subject {
    pub(crate) binary: PathBuf,
    pub(crate) home: TempDir,
}

/// Memory of the engine's process, in bytes.
pub(crate) struct Memory {
    /// Resident pages that no file backs.
    pub(crate) anonymous: f64,
}

impl Subject {
    pub(crate) async fn start(binary: PathBuf) -> Result<Subject> {
        let binary = binary.canonicalize().with_context(|| binary.display().to_string())?;
        let subject = Subject::of(binary)?;
        subject.up()?;
        Ok(subject)
    }

    /// Another home, on which nothing runs yet.
    pub(crate) fn elsewhere(&self) -> Result<Subject> {
        Subject::of(self.binary.clone())
    }

    fn of(binary: PathBuf) -> Result<Subject> {
        let home = tempfile::tempdir()?;
        ending::begun(home.path(), &binary);
        Ok(Subject { binary, home })
    }

    /// Starts the engine; the seconds until the command has returned.
    #[expect(clippy::disallowed_methods, reason = "this program measures time")]
    pub(crate) fn up(&self) -> Result<f64> {
        let _starting = ending::starting();
        let began = Instant::now();
        self.windlass(&["up"])?;
        Ok(began.elapsed().as_secs_f64())
    }

    /// The engine's process.
    pub(crate) fn engine_pid(&self) -> Result<u32> {
        let status: serde_json::Value = serde_json::from_str(&self.windlass(&["status", "-o", "json"])?)?;
        let pid = status["pid"].as_u64().context("`status -o json` tells no pid")?;
        Ok(u32::try_from(pid)?)
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.engine_pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib: f64 = line.and_then(|l| l.split_whitespace().next()?.parse().ok()).context("no RssAnon")?;
        Ok(Memory { anonymous: kib * 1024.0 })
    }

    /// Bytes on disk below the home.
    pub(crate) fn disk(&self) -> Result<f64> {
        let output = Command::new("du").arg("-sk").arg(self.home.path()).output()?;
        let text = String::from_utf8(output.stdout)?;
        let kib: f64 = text.split_whitespace().next().and_then(|word| word.parse().ok()).context("no du")?;
        Ok(kib * 1024.0)
    }

    /// Runs the binary on this home; returns what it printed on stdout.
    pub(crate) fn windlass(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "windlass {arguments:?}: {}\n{stderr}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .env("WINDLASS_HOME", self.home.path())
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null());
        command
    }

    /// A client with its own connection.
    pub(crate) async fn client(&self) -> Result<kube::Client> {
        client(Path::new(self.windlass(&["kubeconfig", "--path"])?.trim())).await
    }

    /// Ends the engine and what it runs.
    pub(crate) fn stop(&self) -> Result<()> {
        self.windlass(&["down", "--force"])?;
        Ok(())
    }

    /// Ends the engine; its pods go on.
    pub(crate) fn leave(&self) -> Result<()> {
        self.windlass(&["down", "--leave"])?;
        Ok(())
    }
}

impl Drop for Subject {
    /// Also where a measurement has failed.
    fn drop(&mut self) {
        ending::end(self.home.path());
    }
}

/// A client of the cluster that a kubeconfig names, with its own connection.
pub(crate) async fn client(kubeconfig: &Path) -> Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}
