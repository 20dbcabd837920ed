//! concepts/workloads/controllers/cron-jobs and tasks/job/automated-tasks-with-cron-jobs.

use std::sync::atomic::{AtomicI64, Ordering};

use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::Api;
use kube::api::{ListParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::Value;
use windlass_engine::World;

use super::{Reader, read};
use crate::support::{Ahead, PATIENCE};

const HOUR: i64 = 3600;

async fn make(reader: &Reader, page: &str) -> Api<CronJob> {
    let [cron] = <[Value; 1]>::try_from(read(page)).expect("one object");
    let crons: Api<CronJob> = Api::namespaced(reader.cluster.client.clone(), "default");
    let cron = serde_json::from_value(cron).expect("a CronJob");
    crons.create(&PostParams::default(), &cron).await.expect("it is made");
    crons
}

/// Waits until the CronJob was due after this time (seconds since 1970).
async fn until_scheduled(crons: &Api<CronJob>, name: &str, after: i64) -> i64 {
    let when = |cron: &CronJob| Some(cron.status.as_ref()?.last_schedule_time.as_ref()?.0.as_second());
    let due = |cron: Option<&CronJob>| cron.and_then(when).is_some_and(|time| time > after);
    let waiting = tokio::time::timeout(PATIENCE, await_condition(crons.clone(), name, due));
    let cron = waiting.await.expect("it is due in time").expect("a watch").expect("it is there");
    when(&cron).expect("a time")
}

async fn jobs_of(reader: &Reader, cron: &str) -> Vec<Job> {
    let all = reader.cluster.jobs().list(&ListParams::default()).await.expect("a list").items;
    let owned = |job: &Job| {
        job.metadata.owner_references.iter().flatten().any(|o| o.kind == "CronJob" && o.name == cron)
    };
    all.into_iter().filter(owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hello_is_said_every_minute() {
    let reader = Reader::start().await;
    let crons = make(&reader, "cron").await;
    let mut last = 0;
    for _ in 0..2 {
        reader.pass(60).await;
        last = until_scheduled(&crons, "hello", last).await;
        assert_eq!(last % 60, 0);
        // Its name ends with the minute that it is for.
        let name = format!("hello-{}", last / 60);
        reader.finish(&name).await;
        let said = reader.said(&name).await;
        assert_eq!(said[""].lines().last(), Some("Hello from the Kubernetes cluster"), "{said:?}");
    }
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_that_still_runs_is_replaced_by_the_next_one() {
    // Ten past: no hour begins but when the test says so.
    let clock = Ahead(AtomicI64::new(0));
    clock.0.store(600 - clock.now().as_second().rem_euclid(HOUR) + HOUR, Ordering::Relaxed);
    let reader = Reader::at(clock).await;
    let crons = make(&reader, "cron-policies").await;
    reader.pass(HOUR - 600).await;
    let first = until_scheduled(&crons, "policies", 0).await;
    let [job] = <[Job; 1]>::try_from(jobs_of(&reader, "policies").await).expect("one Job");
    let (name, uid) = (job.metadata.name.expect("a name"), job.metadata.uid.expect("a uid"));
    reader.wait(&name, |status| status.ready == Some(1)).await;
    reader.pass(HOUR).await;
    let second = until_scheduled(&crons, "policies", first).await;
    assert_eq!(second - first, HOUR);
    let gone = await_condition(reader.cluster.jobs(), &name, conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("it goes in time").expect("a watch");
    let [job] = <[Job; 1]>::try_from(jobs_of(&reader, "policies").await).expect("one Job");
    assert_ne!(job.metadata.name.as_deref(), Some(name.as_str()));
    reader.cluster.stop().await;
}
