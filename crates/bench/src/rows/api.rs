//! The API: creates beside a route that stores nothing, and how soon many watchers hear of a write.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, PropagationPolicy, WatchEvent, WatchParams};
use tokio::sync::mpsc;

use super::pods::{CONNECTIONS, PATIENCE};
use super::{Row, Sizes, job};
use crate::subject::Subject;

/// A route that authenticates, reads a body and answers it, and touches no store.
const TRIVIAL: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const REVIEW: &str = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;

pub(super) async fn measure(subject: &Subject, sizes: &Sizes) -> Result<Vec<Row>> {
    let mut creates = Row::new("API creates of suspended Jobs, 32 in flight, TLS", "/s", "≥ 0.5");
    let clients: Vec<kube::Client> =
        futures::stream::iter(0..CONNECTIONS).then(|_| subject.client()).try_collect().await?;
    for run in 0..sizes.runs {
        let created = rate(&clients, sizes.creates, |client, n| create(client, run, n)).await?;
        let answered = rate(&clients, sizes.creates, |client, _| review(client)).await?;
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
    Ok(vec![creates, latency, middle])
}

/// Requests a second, one after another on each of the connections.
#[expect(clippy::disallowed_methods, reason = "this program measures time")]
async fn rate<F: Future<Output = Result<()>>>(
    clients: &[kube::Client],
    count: usize,
    request: impl Fn(kube::Client, usize) -> F + Copy,
) -> Result<f64> {
    let each = count / clients.len();
    let began = Instant::now();
    let connection = |(at, client): (usize, &kube::Client)| {
        let client = client.clone();
        async move {
            for n in 0..each {
                request(client.clone(), at * each + n).await?;
            }
            anyhow::Ok(())
        }
    };
    let all = futures::stream::iter(clients.iter().enumerate().map(connection));
    all.buffer_unordered(clients.len()).try_collect::<()>().await?;
    Ok((each * clients.len()) as f64 / began.elapsed().as_secs_f64())
}

async fn create(client: kube::Client, run: usize, n: usize) -> Result<()> {
    let mut job = job(&format!("held-{run}-{n}"), 1, 1, &["/bin/true"])?;
    if let Some(spec) = &mut job.spec {
        spec.suspend = Some(true);
    }
    Api::<Job>::default_namespaced(client).create(&PostParams::default(), &job).await?;
    Ok(())
}

async fn review(client: kube::Client) -> Result<()> {
    let request = http::Request::post(TRIVIAL)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(REVIEW.as_bytes().to_vec())?;
    client.request_text(request).await.context("the route that the creates are compared with")?;
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
