//! concepts/workloads/controllers/job and ttlafterfinished.

use kube::api::{DeleteParams, PropagationPolicy};
use serde_json::json;

use super::{Reader, because, owned_by, pairs, read, suspended};
use crate::support::{has_condition, pod_phase};

#[tokio::test(flavor = "multi_thread")]
async fn first_job_computes_and_its_pod_is_found_by_its_labels() {
    let reader = Reader::start().await;
    let (job, status) = reader.run("job").await;
    assert_eq!((status.succeeded, status.failed, status.active), (Some(1), None, None));
    assert!(status.start_time.is_some() && status.completion_time.is_some());
    let pod = reader.pod_of("pi").await;
    let labels = pod.metadata.labels.expect("labels");
    let uid = job.metadata.uid.expect("a uid");
    for (name, value) in [("job-name", "pi"), ("controller-uid", uid.as_str())] {
        assert_eq!(labels.get(name).map(String::as_str), Some(value));
        assert_eq!(labels.get(&format!("batch.kubernetes.io/{name}")).map(String::as_str), Some(value));
    }
    assert_eq!(pod.spec.expect("a spec").restart_policy.as_deref(), Some("Never"));
    assert_eq!(reader.said("pi").await, pairs([("", "3.1415926\n")]));
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deadline_ends_a_job_whatever_its_back_off_limit() {
    let reader = Reader::start().await;
    reader.submit("timeout").await;
    reader.wait("with-timeout", |status| status.ready == Some(1)).await;
    reader.pass(10_001).await;
    let (_, status) = reader.finish("with-timeout").await;
    assert_eq!(because(&status, "Failed").as_deref(), Some("DeadlineExceeded"));
    assert!(status.active.is_none() && status.succeeded.is_none(), "{status:?}");
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_job_is_cleaned_up_when_its_time_has_passed_and_not_before() {
    let reader = Reader::start().await;
    let (job, _) = reader.run("ttl").await;
    let pod = reader.pod_of("with-ttl").await;
    reader.pass(5000).await;
    assert!(reader.cluster.jobs().get("with-ttl").await.is_ok());
    reader.pass(5001).await;
    reader.until_gone(&job).await;
    reader.until_pod_gone(&pod).await;
    // The page on its own: the field may be set on a Job that has finished, and zero is at once.
    let (job, _) = reader.run("job").await;
    reader.pass(100_000).await;
    assert!(reader.cluster.jobs().get("pi").await.is_ok());
    reader.patch("pi", json!({"spec": {"ttlSecondsAfterFinished": 0}})).await;
    reader.until_gone(&job).await;
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_index_has_a_back_off_limit_of_its_own() {
    let reader = Reader::start().await;
    let (_, status) = reader.run("backoff-per-index").await;
    assert_eq!(because(&status, "Failed").as_deref(), Some("FailedIndexes"));
    assert_eq!(status.failed_indexes.as_deref(), Some("0,2,4,6,8"));
    assert_eq!(status.completed_indexes.as_deref(), Some("1,3,5,7,9"));
    assert_eq!((status.succeeded, status.failed), (Some(5), Some(10)));
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn success_policy_ends_what_goes_on_once_enough_has_succeeded() {
    let reader = Reader::start().await;
    let (_, status) = reader.run("success-policy").await;
    assert_eq!(because(&status, "Complete").as_deref(), Some("SuccessPolicy"));
    assert_eq!(because(&status, "SuccessCriteriaMet").as_deref(), Some("SuccessPolicy"));
    assert_eq!((status.succeeded, status.completed_indexes.as_deref()), (Some(1), Some("2")));
    assert!(status.active.is_none() && status.terminating.unwrap_or_default() == 0, "{status:?}");
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_is_suspended_and_resumed_and_its_pods_come_and_go() {
    let reader = Reader::start().await;
    reader.submit("suspended").await;
    let job = reader.cluster.wait_job("myjob", has_condition("Suspended")).await;
    assert!(job.status.expect("a status").start_time.is_none());
    assert!(reader.cluster.pods_of("myjob").await.is_empty());
    // What decides where pods go may change while none has been.
    let directives = json!({"spec": {"template": {"metadata": {"labels": {"queue": "night"}}}}});
    reader.patch("myjob", directives).await;
    reader.patch("myjob", suspended(false)).await;
    let job = reader.wait("myjob", |status| status.ready == Some(1)).await;
    let status = job.status.expect("a status");
    assert!(status.start_time.is_some() && because(&status, "Suspended").is_none(), "{status:?}");
    let pod = reader.pod_of("myjob").await;
    assert_eq!(pod.metadata.labels.as_ref().expect("labels").get("queue").map(String::as_str), Some("night"));
    reader.patch("myjob", suspended(true)).await;
    let status = reader.cluster.wait_job("myjob", has_condition("Suspended")).await.status.expect("a status");
    assert_eq!(because(&status, "Suspended").as_deref(), Some("JobSuspended"));
    reader.until_pod_gone(&pod).await;
    let status = reader.wait("myjob", |s| s.terminating.unwrap_or_default() == 0).await.status;
    let status = status.expect("a status");
    assert!(status.failed.is_none() && status.active.is_none(), "{status:?}");
    let told = reader.cluster.events_about("myjob").await;
    let told: Vec<_> = told.iter().filter_map(|event| event.reason.as_deref()).collect();
    assert!(told.contains(&"Suspended") && told.contains(&"Resumed"), "{told:?}");
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_with_a_selector_of_its_own_takes_over_the_pods_that_another_left() {
    let reader = Reader::start().await;
    let [old, mut new] = <[_; 2]>::try_from(read("own-selector")).expect("two Jobs");
    let old = reader.cluster.create(old).await;
    let uid = old.metadata.uid.clone().expect("a uid");
    reader.wait("old", |status| status.ready == Some(1)).await;
    let pod = reader.pod_of("old").await.metadata.name.expect("a name");
    let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..Default::default() };
    reader.cluster.jobs().delete("old", &orphan).await.expect("it is deleted");
    reader.until_gone(&old).await;
    let text = new.to_string().replace("UID-OF-OLD", &uid);
    new = serde_json::from_str(&text).expect("JSON");
    let new = reader.cluster.create(new).await;
    let mine = new.metadata.uid.expect("a uid");
    reader.cluster.wait_pod(&pod, owned_by(&mine)).await;
    reader.wait("new", |status| status.ready == Some(1)).await;
    let all = reader.cluster.pods().list(&Default::default()).await.expect("a list").items;
    assert_eq!(all.len(), 1, "none is made beside the one that runs");
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_is_replaced_when_it_has_ended_and_not_while_it_ends() {
    let reader = Reader::start().await;
    reader.submit("replacement").await;
    reader.wait("patient", |status| status.ready == Some(1)).await;
    let pod = reader.pod_of("patient").await.metadata.name.expect("a name");
    reader.until_said(&pod, "trapped").await;
    reader.cluster.pods().delete(&pod, &DeleteParams::default()).await.expect("it is told to end");
    let status = reader.wait("patient", |status| status.terminating == Some(1)).await.status;
    assert!(status.expect("a status").active.is_none());
    assert_eq!(reader.cluster.pods_of("patient").await.len(), 1);
    reader.open();
    let (_, status) = reader.finish("patient").await;
    assert_eq!((status.succeeded, status.failed), (Some(1), Some(1)), "{status:?}");
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_of_another_controller_is_left_alone() {
    let reader = Reader::start().await;
    reader.submit("managed-by").await;
    // The engine takes what comes in its order: when the other has ended it has seen the first.
    reader.run("job").await;
    let theirs = reader.cluster.jobs().get("theirs").await.expect("the Job");
    assert!(theirs.status.is_none_or(|status| status == Default::default()));
    assert!(reader.cluster.pods_of("theirs").await.is_empty());
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexed_job_grows_and_shrinks() {
    let reader = Reader::start().await;
    reader.submit("elastic").await;
    reader.wait("elastic", |status| status.ready == Some(2)).await;
    reader.patch("elastic", json!({"spec": {"completions": 4, "parallelism": 4}})).await;
    reader.wait("elastic", |status| status.ready == Some(4)).await;
    reader.patch("elastic", json!({"spec": {"completions": 1, "parallelism": 1}})).await;
    reader.wait("elastic", |s| s.ready == Some(1) && s.terminating.unwrap_or_default() == 0).await;
    let pod = reader.pod_of("elastic").await;
    let labels = pod.metadata.labels.as_ref().expect("labels");
    assert_eq!(labels["batch.kubernetes.io/job-completion-index"], "0");
    let name = pod.metadata.name.as_deref().expect("a name");
    reader.cluster.wait_pod(name, pod_phase("Running")).await;
    reader.open();
    let (_, status) = reader.finish("elastic").await;
    assert_eq!((status.succeeded, status.completed_indexes.as_deref()), (Some(1), Some("0")));
    reader.cluster.stop().await;
}
