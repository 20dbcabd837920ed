//! The API: creates beside a route that stores nothing, and how soon many watchers hear of a write.
//!
//! Both routes are asked in the same way: bodies that were made before, connections that are open, answers read as text.
//! What a client makes of objects is not the server's. The yardstick begins when the controllers are done with the
//! creates before it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, PropagationPolicy, WatchEvent, WatchParams};
use kube::runtime::wait::await_condition;
use tokio::sync::mpsc;

use super::pods::{CONNECTIONS, PATIENCE};
use super::{Row, Sizes, cpu_table, job, table};
use crate::cpu::Cpu;
use crate::subject::Subject;

/// A route that authenticates, reads a body and answers it, and touches no store.
const TRIVIAL: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const REVIEW: &str = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
/// How many answers of the trivial route for each create: it is so quick that as many would take no time to measure.
const YARDSTICK: usize = 4;
/// Where Jobs are created.
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

/// Takes the figures; returns the tables as text.
pub(super) async fn measure(subject: &Subject, sizes: &Sizes) -> Result<Vec<String>> {
    let mut creates = Row::new("API creates of suspended Jobs, 32 in flight, TLS", "/s", "≥ 0.5");
    let clients: Vec<kube::Client> =
        futures::stream::iter(0..CONNECTIONS).then(|_| subject.client()).try_collect().await?;
    let engine = subject.engine_pid()?;
    let reviews = vec![REVIEW.as_bytes().to_vec(); YARDSTICK * sizes.creates];
    let mut parts = Vec::new();
    rate(&clients, TRIVIAL, &reviews[..CONNECTIONS]).await?;
    for run in 0..sizes.runs {
        let bodies: Vec<Vec<u8>> = (0..sizes.creates).map(|n| held(run, n)).collect::<Result<_>>()?;
        let before = Cpu::read(engine, subject.home.path())?.with_client()?;
        let created = rate(&clients, JOBS, &bodies).await?;
        settled(&clients[0], run, sizes.creates).await?;
        parts = Cpu::read(engine, subject.home.path())?.with_client()?.per_pod(&before, sizes.creates);
        let answered = rate(&clients, TRIVIAL, &reviews).await?;
        creates.push(created, answered);
        clean(&clients[0]).await?;
    }
    let mut latency = Row::new(format!("write to event, p99, {} watchers", sizes.watchers), "ms", "≤ 10 ms");
    let mut middle = Row::new("the same, median", "ms", "–");
    for run in 0..sizes.runs {
        let mut delays = delays(subject, sizes, run).await?;
        delays.sort();
        let at = |part: usize| delays[(delays.len() * part / 100).min(delays.len() - 1)].as_secs_f64() * 1e3;
        latency.alone(at(99));
        middle.alone(at(50));
    }
    Ok(vec![table(&[creates, latency, middle])?, cpu_table("CPU of a create by part", &parts)?])
}

/// Answers a second to these bodies, sent one after another on each of the connections.
#[expect(clippy::disallowed_methods, reason = "this program measures time")]
async fn rate(clients: &[kube::Client], path: &str, bodies: &[Vec<u8>]) -> Result<f64> {
    let share = bodies.len().div_ceil(clients.len());
    let began = Instant::now();
    let connection = |(client, bodies): (&kube::Client, &[Vec<u8>])| {
        let (client, bodies) = (client.clone(), bodies.to_vec());
        async move {
            for body in bodies {
                let request = http::Request::post(path)
                    .header(http::header::CONTENT_TYPE, "application/json")
                    .body(body)?;
                client.request_text(request).await.with_context(|| path.to_owned())?;
            }
            anyhow::Ok(())
        }
    };
    let all = futures::stream::iter(clients.iter().zip(bodies.chunks(share)).map(connection));
    all.buffer_unordered(clients.len()).try_collect::<()>().await?;
    Ok(bodies.len() as f64 / began.elapsed().as_secs_f64())
}

/// The name of a Job of a run.
fn name(run: usize, n: usize) -> String {
    format!("held-{run}-{n}")
}

/// A suspended Job as a client sends it.
fn held(run: usize, n: usize) -> Result<Vec<u8>> {
    let mut job = job(&name(run, n), 1, 1, &["/bin/true"])?;
    if let Some(spec) = &mut job.spec {
        spec.suspend = Some(true);
    }
    Ok(serde_json::to_vec(&job)?)
}

/// Waits until the controllers have said of the last Job of each connection that it is suspended.
async fn settled(client: &kube::Client, run: usize, count: usize) -> Result<()> {
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    let is_held = |job: Option<&Job>| {
        let conditions = job.and_then(|job| job.status.as_ref()?.conditions.as_deref());
        conditions.unwrap_or_default().iter().any(|condition| condition.type_ == "Suspended")
    };
    let share = count.div_ceil(CONNECTIONS);
    for n in (0..count).step_by(share) {
        let name = name(run, count.min(n + share) - 1);
        let held = await_condition(jobs.clone(), &name, is_held);
        tokio::time::timeout(PATIENCE, held).await.with_context(|| format!("{name} was not held"))??;
    }
    Ok(())
}

async fn clean(client: &kube::Client) -> Result<()> {
    let delete =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() };
    Api::<Job>::default_namespaced(client.clone()).delete_collection(&delete, &ListParams::default()).await?;
    Ok(())
}

/// How long each watcher waited for each write, from before the write was sent.
#[expect(clippy::disallowed_methods, reason = "this program measures time")]
async fn delays(subject: &Subject, sizes: &Sizes, run: usize) -> Result<Vec<Duration>> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let maps: Api<ConfigMap> = Api::default_namespaced(subject.client().await?);
    let from = maps.list_metadata(&ListParams::default().limit(1)).await?.metadata.resource_version;
    let from = from.context("a list without a resourceVersion")?;
    for _ in 0..sizes.watchers {
        let api: Api<ConfigMap> = Api::default_namespaced(subject.client().await?);
        let stream = api.watch_metadata(&WatchParams::default(), &from).await?;
        let tell = tell.clone();
        tokio::spawn(async move {
            let mut stream = std::pin::pin!(stream);
            while let Some(Ok(event)) = stream.next().await {
                let WatchEvent::Added(map) = event else { continue };
                if tell.send((map.metadata.name.unwrap_or_default(), Instant::now())).is_err() {
                    break;
                }
            }
        });
    }
    drop(tell);
    let mut delays = Vec::new();
    for n in 0..sizes.watched_writes {
        let name = format!("news-{run}-{n}");
        let metadata = kube::api::ObjectMeta { name: Some(name.clone()), ..Default::default() };
        let map = ConfigMap { metadata, data: Some(BTreeMap::new()), ..Default::default() };
        let sent = Instant::now();
        maps.create(&PostParams::default(), &map).await?;
        for _ in 0..sizes.watchers {
            let next = tokio::time::timeout(PATIENCE, told.recv()).await;
            let (seen, at) =
                next.context("a watcher did not hear of a write")?.context("the watches ended")?;
            anyhow::ensure!(seen == name, "a watcher saw {seen} when {name} was written");
            delays.push(at.duration_since(sent));
        }
    }
    Ok(delays)
}
