//! The API: creates beside a route that stores nothing.
//!
//! Both routes are asked in the same way: bodies that were made before, connections that are open, answers read as text.
//! What a client makes of objects is not the server's. The yardstick begins when the controllers are done with the
//! creates before it. Jobs that somebody else's controller manages are created too: what they cost is the API's own,
//! because the engine's controllers write nothing about them. The second yardstick stores, too: the least object that
//! there is, which no controller looks at.

use std::time::Instant;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PropagationPolicy};
use kube::runtime::wait::await_condition;

use super::pods::{CONNECTIONS, PATIENCE};
use super::{Row, Sizes, cpu_table, job, table};
use crate::cpu::Cpu;
use crate::subject::Subject;

/// A route that authenticates, reads a body and answers it, and touches no store.
const TRIVIAL: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const REVIEW: &str = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
/// How many answers of the trivial route for each create: it is so quick that as many would take no time to measure.
const YARDSTICK: usize = 4;
/// A controller that the engine does not have.
const ANOTHER: &str = "example.com/another";
/// Where the least object is created.
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Where Jobs are created.
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

/// Takes the figures; returns the tables as text.
pub(super) async fn measure(subject: &Subject, sizes: &Sizes) -> Result<Vec<String>> {
    let mut creates = Row::new("API creates of suspended Jobs, 32 in flight, TLS", "/s", "≥ 0.5");
    let clients: Vec<kube::Client> =
        futures::stream::iter(0..CONNECTIONS).then(|_| subject.client()).try_collect().await?;
    let engine = subject.engine_pid()?;
    let reviews = vec![REVIEW.as_bytes().to_vec(); YARDSTICK * sizes.creates];
    let mut foreign = Row::new("the same, of Jobs that another controller manages", "/s", "–");
    let mut stored = Row::new("suspended Jobs, beside creates of empty ConfigMaps", "/s", "–");
    let (mut parts, mut whole, mut trivial) = (Vec::new(), Vec::new(), Vec::new());
    let used = || Cpu::read(engine, subject.home.path())?.with_client()?.with_idle();
    rate(&clients, TRIVIAL, &reviews[..CONNECTIONS]).await?;
    for run in 0..sizes.runs {
        let sent = bodies(run, sizes.creates, None)?;
        let before = used()?;
        let created = rate(&clients, JOBS, &sent).await?;
        parts = used()?.per_pod(&before, sizes.creates);
        settled(&clients[0], run, sizes.creates).await?;
        whole = used()?.per_pod(&before, sizes.creates);
        let before = used()?;
        let answered = rate(&clients, TRIVIAL, &reviews).await?;
        trivial = used()?.per_pod(&before, reviews.len());
        creates.push(created, answered);
        clean(&clients[0]).await?;
        let created = rate(&clients, JOBS, &bodies(run, sizes.creates, Some(ANOTHER))?).await?;
        foreign.push(created, answered);
        clean(&clients[0]).await?;
        let (sent, least) = (bodies(run, sizes.creates, None)?, maps(run, sizes.creates));
        let least = rate(&clients, MAPS, &least).await?;
        stored.push(rate(&clients, JOBS, &sent).await?, least);
        settled(&clients[0], run, sizes.creates).await?;
        clean(&clients[0]).await?;
    }
    Ok(vec![
        table(&[creates, foreign, stored])?,
        cpu_table("CPU of a create by part, until all are answered", &parts)?,
        cpu_table("the same, until the controllers are done", &whole)?,
        cpu_table("CPU of an answer of the trivial route", &trivial)?,
    ])
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

/// Suspended Jobs as a client sends them.
fn bodies(run: usize, count: usize, manager: Option<&str>) -> Result<Vec<Vec<u8>>> {
    let body = |n| {
        let mut job = job(&name(run, n), 1, 1, &["/bin/true"])?;
        if let Some(spec) = &mut job.spec {
            spec.suspend = Some(true);
            spec.managed_by = manager.map(str::to_owned);
        }
        Ok(serde_json::to_vec(&job)?)
    };
    (0..count).map(body).collect()
}

/// Empty ConfigMaps as a client sends them.
fn maps(run: usize, count: usize) -> Vec<Vec<u8>> {
    let body =
        |n| format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{}"}}}}"#, name(run, n));
    (0..count).map(|n| body(n).into_bytes()).collect()
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
