//! How soon many watchers hear of a write.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ListParams, PostParams, WatchEvent, WatchParams};
use tokio::sync::mpsc;

use super::pods::PATIENCE;
use super::{Row, Sizes};
use crate::subject::Subject;

/// Takes the figures.
pub(super) async fn measure(subject: &Subject, sizes: &Sizes) -> Result<Vec<Row>> {
    let mut latency = Row::new(format!("write to event, p99, {} watchers", sizes.watchers), "ms", "≤ 10 ms");
    let mut middle = Row::new("the same, median", "ms", "–");
    for run in 0..sizes.runs {
        let delays = delays(subject, sizes, run).await?;
        latency.alone(late(&delays, 99));
        middle.alone(late(&delays, 50));
    }
    Ok(vec![latency, middle])
}

/// Milliseconds that so many of a hundred delays, which are sorted, do not exceed.
pub(super) fn late(delays: &[Duration], part: usize) -> f64 {
    delays[(delays.len() * part / 100).min(delays.len() - 1)].as_secs_f64() * 1e3
}

/// How long each watcher waited for each write, from before the write was sent; the shortest first.
#[expect(clippy::disallowed_methods, reason = "this program measures time")]
pub(super) async fn delays(subject: &Subject, sizes: &Sizes, run: usize) -> Result<Vec<Duration>> {
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
    delays.sort();
    Ok(delays)
}
