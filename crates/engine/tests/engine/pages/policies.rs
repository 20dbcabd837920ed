//! tasks/job/pod-failure-policy.

use kube::api::{DeleteParams, EvictParams, Patch, PatchParams};
use serde_json::json;

use super::{Reader, because};

#[tokio::test(flavor = "multi_thread")]
async fn exit_code_that_no_retry_can_mend_fails_the_job_at_once() {
    let reader = Reader::start().await;
    let (job, status) = reader.run("policy-fail-job").await;
    assert_eq!(because(&status, "Failed").as_deref(), Some("PodFailurePolicy"));
    let failed = job.status.and_then(|s| s.conditions).unwrap_or_default();
    let message =
        failed.iter().find(|c| c.type_ == "Failed").and_then(|c| c.message.clone()).unwrap_or_default();
    assert!(message.contains("with exit code 42 matching FailJob rule at index 0"), "{message}");
    // Both that ran at once may have failed; none was tried again.
    assert!(status.failed <= Some(2) && status.succeeded.is_none(), "{status:?}");
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disruption_counts_as_no_failure() {
    let reader = Reader::start().await;
    reader.submit("policy-ignore").await;
    reader.wait("ignore", |status| status.ready == Some(2)).await;
    let pod = reader.cluster.pods_of("ignore").await.remove(0);
    let name = pod.metadata.name.as_deref().expect("a name");
    reader.cluster.pods().evict(name, &EvictParams::default()).await.expect("it is evicted");
    reader.until_pod_gone(&pod).await;
    reader.open();
    let (_, status) = reader.finish("ignore").await;
    assert_eq!((status.succeeded, status.failed), (Some(4), None), "{status:?}");
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_that_can_never_start_fails_the_job_once_it_is_marked_and_deleted() {
    let reader = Reader::start().await;
    reader.submit("policy-config-issue").await;
    reader.wait("configissue", |status| status.active == Some(2)).await;
    let pod = reader.cluster.pods_of("configissue").await.remove(0);
    let name = pod.metadata.name.as_deref().expect("a name");
    let mark = json!({"status": {"conditions": [{
        "type": "ConfigIssue", "status": "True", "reason": "NonExistingImage",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}});
    let patch = Patch::Strategic(mark);
    let marked = reader.cluster.pods().patch_status(name, &PatchParams::default(), &patch).await;
    marked.expect("it is marked");
    reader.cluster.pods().delete(name, &DeleteParams::default()).await.expect("it is deleted");
    let (_, status) = reader.finish("configissue").await;
    assert_eq!(because(&status, "Failed").as_deref(), Some("PodFailurePolicy"));
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn index_whose_exit_code_says_so_is_not_tried_again() {
    let reader = Reader::start().await;
    let (_, status) = reader.run("policy-fail-index").await;
    assert_eq!(because(&status, "Failed").as_deref(), Some("FailedIndexes"));
    assert_eq!(status.failed_indexes.as_deref(), Some("0,1"));
    assert_eq!(status.completed_indexes.as_deref(), Some("2,3"));
    // Twice of index 0, once of index 1.
    assert_eq!((status.succeeded, status.failed), (Some(2), Some(3)), "{status:?}");
    reader.cluster.stop().await;
}
