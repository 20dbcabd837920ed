//! The objects that every reader of jobs makes, shown to a cluster: each golden file of the crate `manifest` is sent as a
//! dry run, with strict checks of its fields. What a reader makes and no Kubernetes takes is a mistake of the reader.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use http::Method;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::script::folder;
use crate::wire::{Ask, send};

/// Fewer files than this are a sign that they were moved.
const FEWEST: usize = 20;
/// A field that a user's manifest has from a Kubernetes of the future: it must pass through the readers, and a server of
/// today knows nothing of it.
const FUTURE: &str = "futureField";
/// What stands in the golden files for what differs with who built the program (its architecture, the helper that it
/// takes along), and something that a server takes in its place.
const PLACEHOLDERS: [(&str, &str); 2] = [("the helper's", "amd64"), ("task: the helper", "task: aGVscGVy")];

/// What a cluster made of them.
#[derive(Debug, Default)]
pub struct Shown {
    /// Objects that it takes.
    pub taken: usize,
    /// The others, a line each: file, code and reason.
    pub refused: Vec<String>,
}

/// Shows them all.
///
/// # Errors
/// If the files cannot be read, or the cluster cannot be reached.
pub async fn show(cluster: &Cluster) -> Result<Shown> {
    let root = folder().join("../manifest/tests");
    let mut files = Vec::new();
    for set in ["formats", "golden"] {
        find(&root.join(set), &mut files)?;
    }
    ensure!(files.len() >= FEWEST, "only {} golden files below {}", files.len(), root.display());
    files.sort();
    let mut shown = Shown::default();
    for file in files {
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        let text = PLACEHOLDERS.iter().fold(text, |text, (holder, real)| text.replace(holder, real));
        for document in text.split("\n---\n") {
            let mut object: Value = serde_saphyr::from_str(document).with_context(|| name.clone())?;
            // The namespaces of their users are not there.
            object["metadata"]["namespace"] = "default".into();
            let answer = send(&cluster.client, dry_run(&object)?).await?;
            match answer["code"].as_u64() {
                Some(201) => shown.taken += 1,
                code => {
                    let code = code.unwrap_or_default();
                    shown.refused.push(format!("{name}: {code} {}", answer["body"]["message"]));
                }
            }
        }
    }
    Ok(shown)
}

/// All files `job.yaml` below a folder.
fn find(below: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(below).with_context(|| below.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.file_name().is_some_and(|name| name == "job.yaml") {
            files.push(path);
        }
    }
    Ok(())
}

fn dry_run(object: &Value) -> Result<Ask> {
    let collection = match object["kind"].as_str() {
        Some("Job") => "/apis/batch/v1/namespaces/default/jobs",
        Some("CronJob") => "/apis/batch/v1/namespaces/default/cronjobs",
        Some("ConfigMap") => "/api/v1/namespaces/default/configmaps",
        other => anyhow::bail!("nobody expects {other:?} in a golden file"),
    };
    let body = serde_json::to_vec(object)?;
    let validation = if object.to_string().contains(FUTURE) { "Warn" } else { "Strict" };
    let mut ask = Ask::get(format!("{collection}?dryRun=All&fieldValidation={validation}"));
    (ask.method, ask.body) = (Method::POST, Some(body.into()));
    Ok(ask)
}
