//! The engine that is measured: started by its binary in a home of its own, reached by a plain client.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tempfile::TempDir;

pub(crate) struct Subject {
    pub(crate) binary: PathBuf,
    pub(crate) home: TempDir,
    pub(crate) engine_pid: u32,
}

impl Subject {
    pub(crate) async fn start(binary: PathBuf) -> Result<Subject> {
        let binary = binary.canonicalize().with_context(|| binary.display().to_string())?;
        let home = tempfile::tempdir()?;
        let subject = Subject { binary, home, engine_pid: 0 };
        subject.windlass(&["up"])?;
        let status: serde_json::Value = serde_json::from_str(&subject.windlass(&["status", "-o", "json"])?)?;
        let pid = status["pid"].as_u64().context("`status -o json` tells no pid")?;
        Ok(Subject { engine_pid: u32::try_from(pid)?, ..subject })
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
        let path = self.windlass(&["kubeconfig", "--path"])?;
        let kubeconfig = Kubeconfig::read_from(Path::new(path.trim()))?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(kube::Client::try_from(config)?)
    }

    pub(crate) fn stop(&self) -> Result<()> {
        self.windlass(&["down", "--force"])?;
        Ok(())
    }
}
