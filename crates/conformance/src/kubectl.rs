//! kubectl as a client that people know: what it prints, with what differs from run to run evened out.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail};
use regex::Regex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::cluster::Cluster;
use crate::wire::PATIENCE;

/// The version whose output is recorded.
pub(crate) const PROGRAM: &str = "kubectl.1.33";
/// Where distributions put it, beside the search path's usual folders.
const FOLDERS: [&str; 4] =
    ["/usr/local/bin", "/usr/bin", "/usr/lib/google-cloud-sdk/bin", "/opt/homebrew/bin"];

/// Where the recorded version is; none if it is not installed.
pub(crate) fn find() -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(PROGRAM)).find(|file| file.is_file())
}

/// kubectl in one namespace, with a home of its own for its caches and for the file `input.yaml`.
pub(crate) struct Kubectl {
    kubeconfig: PathBuf,
    namespace: String,
    home: TempDir,
}

impl Kubectl {
    pub(crate) fn new(cluster: &Cluster, namespace: &str) -> Result<Kubectl> {
        Ok(Kubectl {
            kubeconfig: cluster.kubeconfig.clone(),
            namespace: namespace.to_owned(),
            home: tempfile::tempdir()?,
        })
    }

    /// Runs a command line; `input` is what the file `input.yaml` holds.
    pub(crate) async fn run(&self, line: &str, input: Option<String>) -> Result<Value> {
        let Some(program) = find() else { bail!("{PROGRAM} is not installed") };
        if let Some(input) = input {
            std::fs::write(self.home.path().join("input.yaml"), input)?;
        }
        let mut command = Command::new(program);
        command.args(["--namespace", &self.namespace]).args(words(line)).current_dir(self.home.path());
        command.env_clear().env("HOME", self.home.path()).env("KUBECONFIG", &self.kubeconfig);
        command.env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.with_context(|| format!("kubectl {line} did not end"))??;
        Ok(json!({
            "exit": output.status.code(),
            "stdout": lines(&output.stdout),
            "stderr": lines(&output.stderr),
        }))
    }
}

/// Splits at spaces; single quotes keep words together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in line.split('\'').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

static AGE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(^|\s)(\d+[smhdy]){1,2}(\s|$)").expect("a constant pattern"));
static GAP: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\S) {2,}").expect("a constant pattern"));

/// Lines without ages and without the padding that follows from them.
fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.lines()
        .map(|line| {
            let line = AGE.replace_all(line, "${1}<age>${3}");
            GAP.replace_all(line.trim_end(), "${1}  ").into_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_padding_do_not_tell_two_runs_apart() {
        assert_eq!(
            lines(b"work  Running   0/1    3s         3s\n"),
            lines(b"work  Running   0/1    12m5s      15m\n")
        );
        assert_eq!(lines(b"  Type    Reason\n"), ["  Type  Reason"]);
    }

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(words("patch job a -p '{\"a\": 1}'"), ["patch", "job", "a", "-p", "{\"a\": 1}"]);
    }
}
