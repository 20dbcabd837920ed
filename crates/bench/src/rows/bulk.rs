//! `windlass submit` of many jobs from one file, beside a plain client that creates the same Jobs one after the other.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, PropagationPolicy};

use super::{Row, Sizes, job};
use crate::subject::Subject;

/// The rates of both. The jobs are suspended: what is measured is the way to the cluster.
#[expect(clippy::disallowed_methods, reason = "this program measures time")]
pub(super) async fn measure(subject: &Subject, sizes: &Sizes) -> Result<Row> {
    let count = sizes.listed;
    let what = format!("`windlass submit` of {count} jobs from one file, beside a loop of single creates");
    let mut row = Row::new(what, "jobs/s", "≥ 2");
    let jobs: Api<Job> = Api::default_namespaced(subject.client().await?);
    let file = subject.home.path().join("bulk.yaml");
    for run in 0..sizes.runs {
        clean(&jobs).await?;
        let mut text = String::new();
        for n in 0..count {
            writeln!(text, "---\n{}", serde_json::to_string(&held(&format!("bulk-{run}-{n}"))?)?)?;
        }
        std::fs::write(&file, text)?;
        let began = Instant::now();
        let file = file.to_str().context("a home whose name is not UTF-8")?;
        let names = subject.windlass(&["submit", "-f", file])?;
        let ours = count as f64 / began.elapsed().as_secs_f64();
        ensure!(names.lines().count() == count, "not all {count} names were printed");
        clean(&jobs).await?;
        let began = Instant::now();
        for n in 0..count {
            jobs.create(&PostParams::default(), &held(&format!("single-{run}-{n}"))?).await?;
        }
        row.push(ours, count as f64 / began.elapsed().as_secs_f64());
    }
    clean(&jobs).await?;
    Ok(row)
}

fn held(name: &str) -> Result<Job> {
    let mut job = job(name, 1, 1, &["/bin/true"])?;
    if let Some(spec) = &mut job.spec {
        spec.suspend = Some(true);
    }
    Ok(job)
}

async fn clean(jobs: &Api<Job>) -> Result<()> {
    let delete =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() };
    jobs.delete_collection(&delete, &ListParams::default()).await?;
    Ok(())
}
