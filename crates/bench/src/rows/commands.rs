//! `windlass list` beside `kubectl get jobs`: time and memory of whole processes.

use anyhow::Result;
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::PostParams;

use super::{Row, Sizes, job};
use crate::subject::Subject;
use crate::usage::{self, Usage};

pub(super) async fn measure(subject: &Subject, sizes: &Sizes) -> Result<Vec<Row>> {
    let Some(kubectl) = usage::kubectl() else {
        return Ok(vec![Row::new("`windlass list` (no kubectl on this machine to compare with)", "", "–")]);
    };
    let jobs: Api<Job> = Api::default_namespaced(subject.client().await?);
    for n in 0..sizes.listed {
        let mut job = job(&format!("listed-{n}"), 1, 1, &["/bin/true"])?;
        if let Some(spec) = &mut job.spec {
            spec.suspend = Some(true);
        }
        jobs.create(&PostParams::default(), &job).await?;
    }
    let mut time =
        Row::new(format!("`windlass list` beside `kubectl get jobs`, {} jobs", sizes.listed), "ms", "≤ 0.25");
    let mut memory = Row::new("the same, peak memory", "MB", "≤ 0.25");
    let kubeconfig = subject.windlass(&["kubeconfig", "--path"])?;
    for _ in 0..sizes.runs * 2 {
        let ours: Usage = usage::of(&subject.command(&["list"]))?;
        let mut other = std::process::Command::new(&kubectl);
        other.args(["get", "jobs", "--kubeconfig", kubeconfig.trim()]);
        let theirs = usage::of(&other)?;
        time.push(ours.seconds * 1e3, theirs.seconds * 1e3);
        memory.push(ours.peak_bytes / 1e6, theirs.peak_bytes / 1e6);
    }
    Ok(vec![time, memory])
}
