//! Many finished jobs, and many running ones beside them: memory, disk, lists, restarts.

use std::time::Instant;

use anyhow::{Context, Result};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::json;

use super::pods::{CONNECTIONS, PATIENCE, shoot};
use super::{Row, Sizes, job, watch};
use crate::subject::Subject;

/// Jobs on the page that is listed.
const PAGE: u32 = 500;
/// Lists that are timed.
const LISTS: usize = 20;

pub(super) async fn measure(subject: &Subject, sizes: &Sizes) -> Result<Vec<Row>> {
    let count = sizes.finished;
    let idle = subject.memory()?;
    let client = subject.client().await?;
    few(&client).await?;
    let each = count / CONNECTIONS;
    let (made, seconds) = shoot(subject, 0, |made, _| made < each).await?;
    let mut rate = Row::new(format!("{made} one-shot Jobs in one go"), "jobs/s", "–");
    rate.alone(made as f64 / seconds);

    let full = subject.memory()?;
    let mut memory =
        Row::new("anonymous resident memory per finished Job with its pod and events", "KB", "≤ 10 KB");
    memory.alone((full.anonymous - idle.anonymous) / made as f64 / 1e3);
    let mut disk = Row::new("disk per finished Job", "KB", "≤ 20 KB");
    disk.alone(subject.disk()? / made as f64 / 1e3);

    let mut lists = Row::new(format!("listing {PAGE} of {made} jobs, beside {PAGE} of {PAGE}"), "ms", "≤ 2");
    let many: Api<Job> = Api::default_namespaced(client.clone());
    let few: Api<Job> = Api::namespaced(client.clone(), FEW);
    for _ in 0..LISTS {
        lists.push(list(&many).await? * 1e3, list(&few).await? * 1e3);
    }

    let mut restart =
        Row::new(format!("`windlass up` beside {made} finished jobs, whole process"), "ms", "≤ 2 s");
    let mut kept = Row::new("anonymous resident memory after it, per finished Job", "KB", "≤ 10 KB");
    for _ in 0..sizes.runs {
        subject.leave()?;
        restart.alone(subject.up()? * 1e3);
        kept.alone(subject.memory()?.anonymous / made as f64 / 1e3);
    }

    let client = subject.client().await?;
    run_many(&client, sizes.running).await?;
    let mut crowded = Row::new(format!("the same, {} pods running too", sizes.running), "ms", "–");
    let mut busy = Row::new("anonymous resident memory then", "MB", "–");
    for _ in 0..sizes.runs {
        subject.leave()?;
        crowded.alone(subject.up()? * 1e3);
        busy.alone(subject.memory()?.anonymous / 1e6);
    }

    let client = subject.client().await?;
    let mut beside =
        Row::new(format!("listing {PAGE} of {made} jobs then, beside {PAGE} of {PAGE}"), "ms", "≤ 2");
    let many: Api<Job> = Api::default_namespaced(client.clone());
    let few: Api<Job> = Api::namespaced(client, FEW);
    for _ in 0..LISTS {
        beside.push(list(&many).await? * 1e3, list(&few).await? * 1e3);
    }
    let mut told =
        Row::new(format!("write to event then, p99, {} watchers", sizes.watchers), "ms", "≤ 10 ms");
    for run in 0..sizes.runs {
        told.alone(watch::late(&watch::delays(subject, sizes, run).await?, 99));
    }
    many.delete("crowd", &DeleteParams::foreground()).await?;
    Ok(vec![rate, memory, disk, lists, restart, kept, crowded, busy, beside, told])
}

const FEW: &str = "few";

/// A namespace with one page of jobs.
async fn few(client: &kube::Client) -> Result<()> {
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": FEW}}))?;
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    let jobs: Api<Job> = Api::namespaced(client.clone(), FEW);
    for n in 0..PAGE {
        let mut job = job(&format!("few-{n}"), 1, 1, &["/bin/true"])?;
        if let Some(spec) = &mut job.spec {
            spec.suspend = Some(true);
        }
        jobs.create(&PostParams::default(), &job).await?;
    }
    Ok(())
}

/// Seconds that one page takes, as the bytes come: what a client makes of them is not the server's.
#[expect(clippy::disallowed_methods, reason = "this program measures time")]
async fn list(jobs: &Api<Job>) -> Result<f64> {
    let began = Instant::now();
    let page = jobs.list(&ListParams::default().limit(PAGE)).await?;
    anyhow::ensure!(page.items.len() == PAGE as usize, "a page of {} jobs", page.items.len());
    Ok(began.elapsed().as_secs_f64())
}

/// One job of as many sleepers; returns when all of them run.
async fn run_many(client: &kube::Client, count: usize) -> Result<()> {
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    let mut crowd = job("crowd", count, count, &["/bin/sleep", "3600"])?;
    crowd.metadata.labels = None;
    jobs.create(&PostParams::default(), &crowd).await?;
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let running = ListParams::default().labels("job-name=crowd").fields("status.phase=Running");
    let all = async {
        while pods.list_metadata(&running).await?.items.len() < count {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, all).await.context("the crowd did not start")?
}
