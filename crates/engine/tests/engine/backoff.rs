//! Back-off of Jobs whose failed pods go: what has failed delays what comes next all the same, as upstream.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::clock::{advance, job, start};
use crate::support::{Cluster, finished};

/// How many pods a Job has made in the last hour, or a little longer: so long events are kept.
async fn made(cluster: &Cluster, job: &str) -> i32 {
    let events = cluster.events_about(job).await.into_iter();
    let made = events.filter(|event| event.reason.as_deref() == Some("SuccessfulCreate"));
    made.map(|event| event.count.unwrap_or(1)).sum()
}

fn created(pod: &Pod) -> i64 {
    pod.metadata.creation_timestamp.as_ref().expect("a time").0.as_second()
}

#[tokio::test]
async fn job_whose_pods_are_all_lost_with_their_node_makes_ever_fewer() {
    let cluster = start().await;
    let ignore = json!([{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]);
    cluster.create(job("lost", "exit: NodeLost", &json!({"podFailurePolicy": {"rules": ignore}}))).await;
    advance(&cluster, "1h").await;
    // At 0, 10, 30, 70, 150, 310 and 630 s, then each ten minutes.
    let at_first = made(&cluster, "lost").await;
    assert!((9..=12).contains(&at_first), "{at_first} pods in the first hour");
    advance(&cluster, "10h").await;
    let later = made(&cluster, "lost").await;
    assert!((4..=12).contains(&later), "{later} in the last one");
    let status = cluster.jobs().get("lost").await.unwrap().status.unwrap();
    assert_eq!((status.failed.unwrap_or(0), status.conditions), (0, None), "none of them counts");
    cluster.stop().await;
}

#[tokio::test]
async fn failed_pod_that_somebody_deletes_is_replaced_when_its_back_off_is_over() {
    let cluster = start().await;
    cluster.create(job("cleared", "exit: 1", &json!({"backoffLimit": 3}))).await;
    let failed = |job: Option<&Job>| job.and_then(|job| job.status.as_ref()?.failed) >= Some(1);
    cluster.wait_job("cleared", failed).await;
    let first = cluster.pods_of("cleared").await.remove(0);
    cluster.pods().delete(first.metadata.name.as_deref().unwrap(), &Default::default()).await.unwrap();
    advance(&cluster, "10m").await;
    cluster.wait_job("cleared", finished()).await;
    let mut made: Vec<i64> = cluster.pods_of("cleared").await.iter().chain([&first]).map(created).collect();
    made.sort_unstable();
    let waits: Vec<i64> = made.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.len() == 3 && waits[0] >= 9 && waits[1] >= 19 && waits[2] >= 39, "{waits:?}");
    cluster.stop().await;
}
