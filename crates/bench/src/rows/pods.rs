//! Pods through the engine, beside plain processes: no-ops, a line each, one-shot Jobs, the command line.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, PropagationPolicy};
use kube::runtime::wait::{await_condition, conditions};

use super::{Row, Sizes, cpu_table, job, table};
use crate::cpu::Cpu;
use crate::subject::Subject;
use crate::yardstick;

/// Connections of the client that submits one-shot jobs.
pub(super) const CONNECTIONS: usize = 32;
/// A job that takes longer than this is a failure of the measurement.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// How long until it is looked again whether what was deleted has gone.
const GLANCE: Duration = Duration::from_millis(200);

/// Takes the figures; returns the tables as text.
pub(super) async fn measure(subject: &Subject, sizes: &Sizes) -> Result<Vec<String>> {
    let client = subject.client().await?;
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    let pods: Api<Pod> = Api::default_namespaced(client);
    let engine = subject.engine_pid()?;
    let mut parts = Vec::new();
    let mut silent = Row::new("one Job of no-op completions, 64 at a time", "pods/s", "≥ 0.6, then 0.8");
    let mut speaking = Row::new("the same, each printing one line", "pods/s", "≥ 0.45, then 0.6");
    let mut separate = Row::new("separate one-shot Jobs, 32 connections", "jobs/s", "≥ 0.3, then 0.5");
    let mut command = Row::new("`windlass run -- true`, whole process", "ms", "≤ 20 spawns");
    let mut crowded = Row::new("the same, beside what the rows above left", "ms", "≤ 20 spawns");
    for run in 0..sizes.runs {
        let millis = commands(subject, sizes.commands)? * 1e3;
        command.push(millis, yardstick::seconds_per_spawn(sizes.yardstick / 4)? * 1e3);

        let before = Cpu::read(engine, subject.home.path())?;
        let rate = completions(&jobs, &format!("silent-{run}"), sizes.completions, &["/bin/true"]).await?;
        let after = Cpu::read(engine, subject.home.path())?;
        parts = after.per_pod(&before, sizes.completions);
        silent.push(rate, yardstick::spawns_per_second(sizes.yardstick, &["/bin/true"])?);

        let rate =
            completions(&jobs, &format!("speaking-{run}"), sizes.completions, &["/bin/echo", "done"]).await?;
        speaking.push(rate, yardstick::spawns_per_second(sizes.yardstick, &["/bin/echo", "done"])?);

        let rate = one_shots(subject, run, sizes.one_shot).await?;
        separate.push(rate, yardstick::spawns_per_second(sizes.yardstick, &["/bin/true"])?);

        let millis = commands(subject, sizes.commands)? * 1e3;
        crowded.push(millis, yardstick::seconds_per_spawn(sizes.yardstick / 4)? * 1e3);
        clean(&jobs, &pods).await?;
    }
    Ok(vec![
        table(&[silent, speaking, separate, command, crowded])?,
        cpu_table("CPU of a no-op pod by part", &parts)?,
    ])
}

/// Pods a second of one Job, from its creation to its completion.
#[expect(clippy::disallowed_methods, reason = "this program measures time")]
async fn completions(jobs: &Api<Job>, name: &str, count: usize, argv: &[&str]) -> Result<f64> {
    let began = Instant::now();
    jobs.create(&PostParams::default(), &job(name, count, 64, argv)?).await?;
    let done = await_condition(jobs.clone(), name, conditions::is_job_completed());
    tokio::time::timeout(PATIENCE, done).await.with_context(|| format!("{name} did not complete"))??;
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

/// Jobs a second, created one after another on each of the connections until the time is up, until all are complete.
async fn one_shots(subject: &Subject, run: usize, time: Duration) -> Result<f64> {
    let (count, seconds) = shoot(subject, run, |_, since| since < time).await?;
    Ok(count as f64 / seconds)
}

/// Creates one-shot jobs on each of the connections as long as `more` (asked with how many this connection has made,
/// and the time since the first) and waits until all are complete; how many, and the seconds it took.
#[expect(clippy::disallowed_methods, reason = "this program measures time")]
pub(super) async fn shoot(
    subject: &Subject,
    run: usize,
    more: impl Fn(usize, Duration) -> bool + Copy,
) -> Result<(usize, f64)> {
    let mut apis: Vec<Api<Job>> = Vec::new();
    for _ in 0..CONNECTIONS {
        apis.push(Api::default_namespaced(subject.client().await?));
    }
    let began = Instant::now();
    let create = |(connection, api): (usize, Api<Job>)| async move {
        let mut created = 0usize;
        while more(created, began.elapsed()) {
            let name = format!("shot-{run}-{connection}-{created}");
            api.create(&PostParams::default(), &job(&name, 1, 1, &["/bin/true"])?).await?;
            created += 1;
        }
        anyhow::Ok(created)
    };
    let connections =
        futures::stream::iter(apis.iter().cloned().enumerate().map(create)).buffer_unordered(CONNECTIONS);
    let created: Vec<usize> = connections.try_collect().await?;
    let count: usize = created.iter().sum();
    wait_for_all(&apis[0], run, count).await?;
    Ok((count, began.elapsed().as_secs_f64()))
}

/// Waits until no one-shot Job of this run is open. Asked of the server's own field selector, one item a page.
async fn wait_for_all(jobs: &Api<Job>, run: usize, count: usize) -> Result<()> {
    let prefix = format!("shot-{run}-");
    let wait = async {
        let stream = kube::runtime::watcher(
            jobs.clone(),
            kube::runtime::watcher::Config::default().labels("bench=windlass"),
        );
        let mut stream = std::pin::pin!(stream);
        let mut done = std::collections::HashSet::new();
        while let Some(event) = stream.next().await {
            use kube::runtime::watcher::Event;
            let (Event::Apply(job) | Event::InitApply(job)) = event? else { continue };
            let name = job.metadata.name.clone().unwrap_or_default();
            let complete = job.status.as_ref().and_then(|s| s.succeeded).unwrap_or(0) > 0;
            if complete && name.starts_with(&prefix) && done.insert(name) && done.len() == count {
                break;
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, wait).await.context("the one-shot jobs did not complete")?
}

/// Seconds that a whole `windlass run -- true` takes on a running engine.
#[expect(clippy::disallowed_methods, reason = "this program measures time")]
fn commands(subject: &Subject, count: usize) -> Result<f64> {
    let began = Instant::now();
    for _ in 0..count {
        let mut command = subject.command(&["run", "--", "true"]);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        ensure!(status.success(), "windlass run -- true: {status}");
    }
    Ok(began.elapsed().as_secs_f64() / count as f64)
}

/// Takes the jobs away, so that the next run starts as this one did.
async fn clean(jobs: &Api<Job>, pods: &Api<Pod>) -> Result<()> {
    let delete =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() };
    jobs.delete_collection(&delete, &ListParams::default()).await?;
    let gone = async {
        while !pods.list_metadata(&ListParams::default().limit(1)).await?.items.is_empty() {
            tokio::time::sleep(GLANCE).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, gone).await.context("the pods of deleted jobs stayed")?
}
