//! What once went wrong, or would: other writers, odd objects, deletions in every form.

use crate::support::{Cluster, PATIENCE, has_condition, job, pod_phase};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::{Value, json};
use windlass_engine::StopPods;

fn pod(name: &str, argv: &[&str]) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"runtimeClassName": "windlass-host", "restartPolicy": "Never",
                 "terminationGracePeriodSeconds": 1,
                 "containers": [{"name": "main", "image": "host", "command": argv}]},
    })
}

async fn create_pod(cluster: &Cluster, pod: Value) -> Pod {
    let pod = serde_json::from_value(pod).expect("a Pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("the pod is created")
}

fn ready(job: Option<&Job>) -> bool {
    job.and_then(|j| j.status.as_ref()).and_then(|s| s.ready).is_some_and(|n| n > 0)
}

/// The engine still does its work.
async fn is_well(cluster: &Cluster) {
    cluster.create(job("well", &["true"])).await;
    cluster.wait_job("well", has_condition("Complete")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orphaning_a_running_job_leaves_its_pods_alone() {
    let cluster = Cluster::start().await;
    let mut spec = job("parent", &["sleep", "1000"]);
    spec["spec"]["parallelism"] = json!(3);
    let uid = cluster.create(spec).await.metadata.uid.expect("a uid");
    cluster.wait_job("parent", ready).await;
    let orphan =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    cluster.jobs().delete("parent", &orphan).await.expect("deleted");
    let gone = await_condition(cluster.jobs(), "parent", conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("it goes").expect("a watch");
    let pods = cluster.pods_of("parent").await;
    assert_eq!(pods.len(), 3);
    assert!(pods.iter().all(|p| p.metadata.owner_references.is_none() && p.metadata.finalizers.is_none()));
    is_well(&cluster).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreground_deletion_takes_the_pods_first() {
    let cluster = Cluster::start().await;
    let mut spec = job("parent", &["sleep", "1000"]);
    spec["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(0);
    let uid = cluster.create(spec).await.metadata.uid.expect("a uid");
    cluster.wait_job("parent", ready).await;
    cluster.jobs().delete("parent", &DeleteParams::foreground()).await.expect("deleted");
    let gone = await_condition(cluster.jobs(), "parent", conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("it goes").expect("a watch");
    assert!(cluster.pods_of("parent").await.is_empty());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bare_pod_runs_and_keeps_its_log() {
    let cluster = Cluster::start().await;
    create_pod(&cluster, pod("bare", &["echo", "alone"])).await;
    cluster.wait_pod("bare", pod_phase("Succeeded")).await;
    assert_eq!(cluster.log("bare").await, "alone\n");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn naming_the_node_does_not_get_an_image_past_the_scheduler() {
    let cluster = Cluster::start().await;
    let marker = cluster.home.path().join("ran");
    let mut spec = pod("sly", &["touch", &marker.display().to_string()]);
    spec["spec"]["nodeName"] = json!("windlass");
    spec["spec"].as_object_mut().expect("a spec").remove("runtimeClassName");
    create_pod(&cluster, spec).await;
    let refused = |pod: Option<&Pod>| {
        let conditions = pod.and_then(|p| p.status.as_ref()).and_then(|s| s.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "PodScheduled" && c.status == "False"))
    };
    cluster.wait_pod("sly", refused).await;
    is_well(&cluster).await;
    assert!(!marker.exists());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_that_somebody_calls_failed_is_ended() {
    let cluster = Cluster::start().await;
    let marker = cluster.home.path().join("gone");
    // The shell's trap is not run by SIGKILL: the marker is made by a child that waits for its parent's end.
    let script = format!(
        "(while kill -0 $PPID_OF 2>/dev/null; do sleep 0.05; done; touch {}) & wait",
        marker.display()
    );
    create_pod(&cluster, pod("accused", &["sh", "-c", &format!("PPID_OF=$$$$ ; export PPID_OF; {script}")]))
        .await;
    cluster.wait_pod("accused", pod_phase("Running")).await;
    let failed = Patch::Merge(json!({"status": {"phase": "Failed"}}));
    cluster.pods().patch_status("accused", &PatchParams::default(), &failed).await.expect("a patch");
    is_well(&cluster).await;
    // Nothing of it runs any more, so stopping has nothing to wait for.
    cluster.stop().await;
    assert!(!marker.exists(), "the descendants were ended with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_that_ignores_sigterm_is_killed_after_its_grace() {
    let cluster = Cluster::start().await;
    create_pod(&cluster, pod("deaf", &["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"]))
        .await;
    cluster.wait_pod("deaf", pod_phase("Running")).await;
    let uid = cluster.pods().get("deaf").await.expect("the pod").metadata.uid.expect("a uid");
    cluster.pods().delete("deaf", &DeleteParams::default()).await.expect("deleted");
    let gone = await_condition(cluster.pods(), "deaf", conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("it goes").expect("a watch");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_pods_that_ignore_sigterm() {
    let mut cluster = Cluster::start().await;
    create_pod(&cluster, pod("deaf", &["sh", "-c", "trap '' TERM; while :; do sleep 1; done"])).await;
    cluster.wait_pod("deaf", pod_phase("Running")).await;
    let engine = cluster.engine.take().expect("it runs");
    tokio::time::timeout(PATIENCE, engine.stop(StopPods::End)).await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn job_near_the_size_limit_does_not_stop_the_others() {
    let cluster = Cluster::start().await;
    let mut spec = job("fat", &["true"]);
    spec["spec"]["template"]["metadata"] = json!({"annotations": {"pad": "x".repeat(250 * 1024)}});
    spec["metadata"]["annotations"] = json!({"pad": "x".repeat(250 * 1024)});
    spec["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["y".repeat(2_400_000)]);
    cluster.create(spec).await;
    is_well(&cluster).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cordoned_node_takes_no_new_pods_until_it_is_free_again() {
    let cluster = Cluster::start().await;
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let set = |value: bool| Patch::Merge(json!({"spec": {"unschedulable": value}}));
    nodes.patch("windlass", &PatchParams::default(), &set(true)).await.expect("cordoned");
    create_pod(&cluster, pod("waits", &["true"])).await;
    let refused = |pod: Option<&Pod>| {
        let conditions = pod.and_then(|p| p.status.as_ref()).and_then(|s| s.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "PodScheduled" && c.status == "False"))
    };
    cluster.wait_pod("waits", refused).await;
    nodes.patch("windlass", &PatchParams::default(), &set(false)).await.expect("uncordoned");
    cluster.wait_pod("waits", pod_phase("Succeeded")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_namespace_has_is_made_again() {
    let cluster = Cluster::start().await;
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), "default");
    let exists = |account: Option<&ServiceAccount>| account.is_some();
    let there = await_condition(accounts.clone(), "default", exists);
    tokio::time::timeout(PATIENCE, there).await.expect("it is made").expect("a watch");
    let uid = accounts.get("default").await.expect("it is there").metadata.uid.expect("a uid");
    accounts.delete("default", &DeleteParams::default()).await.expect("deleted");
    let gone = await_condition(accounts.clone(), "default", conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("it goes").expect("a watch");
    let again = await_condition(accounts, "default", exists);
    tokio::time::timeout(PATIENCE, again).await.expect("it comes back").expect("a watch");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn namespace_with_running_pods_empties_itself() {
    let cluster = Cluster::start().await;
    let spaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(cluster.client.clone());
    let space = serde_json::from_value(json!({"metadata": {"name": "busy"}})).expect("a Namespace");
    let space = spaces.create(&PostParams::default(), &space).await.expect("created");
    let jobs: Api<Job> = Api::namespaced(cluster.client.clone(), "busy");
    let mut spec = job("long", &["sleep", "1000"]);
    spec["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(1);
    jobs.create(&PostParams::default(), &serde_json::from_value(spec).expect("a Job"))
        .await
        .expect("created");
    let running = await_condition(jobs, "long", ready);
    tokio::time::timeout(PATIENCE, running).await.expect("it runs").expect("a watch");
    spaces.delete("busy", &DeleteParams::default()).await.expect("deleted");
    let uid = space.metadata.uid.expect("a uid");
    let gone = await_condition(spaces, "busy", conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("it goes").expect("a watch");
    is_well(&cluster).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_on_every_pod_do_not_keep_a_job_from_its_end() {
    let cluster = Cluster::start().await;
    let mut spec = job("busy", &["true"]);
    spec["spec"]["completions"] = json!(60);
    spec["spec"]["parallelism"] = json!(20);
    cluster.create(spec).await;
    let pods = cluster.pods();
    let label = async {
        loop {
            for pod in cluster.pods_of("busy").await {
                let patch = Patch::Merge(json!({"metadata": {"annotations": {"seen": "yes"}}}));
                let name = pod.metadata.name.expect("a name");
                pods.patch(&name, &PatchParams::default(), &patch).await.expect("a patch");
            }
        }
    };
    tokio::select! {
        () = label => {}
        done = cluster.wait_job("busy", has_condition("Complete")) => {
            assert_eq!(done.status.and_then(|s| s.succeeded), Some(60));
        }
    }
    assert_eq!(cluster.pods_of("busy").await.len(), 60);
    cluster.stop().await;
}
