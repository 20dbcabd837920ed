//! The node's room: what does not fit waits, says why, and comes in when others leave.

use std::io::Write;

use crate::support::{Cluster, PATIENCE, finished, job, pod_phase};
use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, LogParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::Condition;
use serde_json::{Value, json};
use windlass_engine::StopPods;

fn pod(name: &str, cpu: &str, argv: &[&str]) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "runtimeClassName": "windlass-host", "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "main", "image": "host", "command": argv, "resources": {"requests": {"cpu": cpu}},
            }],
        },
    })
}

async fn make(cluster: &Cluster, pod: Value) -> Pod {
    let pod = serde_json::from_value(pod).expect("a Pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("the pod is created")
}

/// The CPUs of the node, as the API says it.
async fn cpus(cluster: &Cluster) -> String {
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let node = nodes.get("windlass").await.expect("the node");
    let allocatable = node.status.and_then(|status| status.allocatable).expect("allocatable");
    for name in ["cpu", "memory", "ephemeral-storage", "pods"] {
        assert!(allocatable.contains_key(name), "{name} is not in {allocatable:?}");
    }
    allocatable["cpu"].0.clone()
}

fn unschedulable(pod: Option<&Pod>) -> Option<String> {
    let conditions = pod?.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions.iter().find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    (scheduled.reason.as_deref() == Some("Unschedulable")).then(|| scheduled.message.clone())?
}

fn is_unschedulable() -> impl Condition<Pod> {
    |pod: Option<&Pod>| unschedulable(pod).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_that_does_not_fit_waits_with_upstreams_words_and_runs_when_room_comes() {
    let cluster = Cluster::start().await;
    let all = cpus(&cluster).await;
    make(&cluster, pod("first", &all, &["sleep", "1000"])).await;
    cluster.wait_pod("first", pod_phase("Running")).await;
    make(&cluster, pod("second", "1", &["true"])).await;
    let waits = cluster.wait_pod("second", is_unschedulable()).await;
    assert_eq!(
        unschedulable(waits.as_ref()).as_deref(),
        Some(
            "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are \
             available: 1 No preemption victims found for incoming pod."
        )
    );
    let events = cluster.events_about("second").await;
    assert!(events.iter().any(|event| event.reason.as_deref() == Some("FailedScheduling")), "{events:#?}");
    make(&cluster, pod("free", "0", &["true"])).await;
    cluster.wait_pod("free", pod_phase("Succeeded")).await;
    cluster.pods().delete("first", &DeleteParams::default().grace_period(0)).await.expect("deleted");
    cluster.wait_pod("second", pod_phase("Succeeded")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_runs_as_many_pods_as_the_node_has_room_for() {
    let cluster = Cluster::start().await;
    let script =
        "mkdir -p $TMPDIR/run; mkdir $TMPDIR/run/$$$$; ls $TMPDIR/run | wc -l; rmdir $TMPDIR/run/$$$$";
    let mut spec = job("greedy", &["sh", "-c", script]);
    spec["spec"]["completions"] = json!(20);
    spec["spec"]["parallelism"] = json!(20);
    let all = cpus(&cluster).await;
    spec["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": all}});
    cluster.create(spec).await;
    let done = cluster.wait_job("greedy", finished()).await;
    assert_eq!(done.status.and_then(|s| s.succeeded), Some(20));
    for pod in cluster.pods_of("greedy").await {
        let name = pod.metadata.name.expect("a name");
        assert_eq!(cluster.log(&name).await.trim(), "1", "{name} ran beside another");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_does_not_have_is_named_and_may_be_counted_by_its_owner() {
    let cluster = Cluster::start().await;
    let mut gpu = pod("gpu", "0", &["true"]);
    gpu["spec"]["containers"][0]["resources"] = json!({"limits": {"nvidia.com/gpu": 1}});
    make(&cluster, gpu).await;
    let waits = cluster.wait_pod("gpu", is_unschedulable()).await;
    let message = unschedulable(waits.as_ref()).unwrap_or_default();
    assert!(message.contains("1 Insufficient nvidia.com/gpu. "), "{message}");
    assert!(message.contains("Preemption is not helpful"), "{message}");
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let capacity = json!({"status": {"capacity": {"nvidia.com/gpu": "1"}}});
    nodes.patch_status("windlass", &PatchParams::default(), &Patch::Merge(capacity)).await.expect("patched");
    cluster.wait_pod("gpu", pod_phase("Succeeded")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_wait_for_room_do_not_keep_an_engine_that_is_to_end_its_pods() {
    let mut cluster = Cluster::start().await;
    let signal = cluster.home.path().join("signal");
    assert!(std::process::Command::new("mkfifo").arg(&signal).status().expect("mkfifo").success());
    // Open for both, nobody waits for the other end, and what is written stays until it is read.
    let mut told = std::fs::OpenOptions::new().read(true).write(true).open(&signal).expect("the pipe");
    let all = cpus(&cluster).await;
    make(&cluster, pod("first", &all, &["sleep", "1000"])).await;
    let script = format!(
        "trap 'read -r line < {}; exit' TERM; echo set; while :; do sleep 1000 & wait; done",
        signal.display()
    );
    let mut second = pod("second", "0", &["sh", "-c", &script]);
    second["spec"]["terminationGracePeriodSeconds"] = json!(600);
    make(&cluster, second).await;
    for name in ["first", "second"] {
        cluster.wait_pod(name, pod_phase("Running")).await;
    }
    // A shell without its trap yet would end at once, and the engine with it.
    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut lines = cluster.pods().log_stream("second", &follow).await.expect("a log").lines();
    let said = tokio::time::timeout(PATIENCE, lines.try_next()).await.expect("it speaks in time");
    assert_eq!(said.expect("a line").as_deref(), Some("set"));
    make(&cluster, pod("waits", "1", &["true"])).await;
    cluster.wait_pod("waits", is_unschedulable()).await;
    let engine = cluster.engine.take().expect("it runs");
    let stopping = tokio::spawn(engine.stop(StopPods::End));
    // The room of the first is free now, and the second still goes on.
    cluster.wait_pod("first", pod_phase("Failed")).await;
    told.write_all(b"\n").expect("told");
    tokio::time::timeout(PATIENCE, stopping).await.expect("it stops").expect("it ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_that_names_the_node_itself_and_does_not_fit_is_turned_away() {
    let cluster = Cluster::start().await;
    let mut greedy = pod("greedy", "100k", &["true"]);
    greedy["spec"]["nodeName"] = json!("windlass");
    make(&cluster, greedy).await;
    let failed = cluster.wait_pod("greedy", pod_phase("Failed")).await.and_then(|pod| pod.status);
    let status = failed.expect("a status");
    assert_eq!(status.reason.as_deref(), Some("OutOfcpu"));
    let message = status.message.unwrap_or_default();
    let words =
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 100000000, used: 0, capacity: ";
    assert!(message.starts_with(words), "{message}");
    assert!(
        status
            .container_statuses
            .unwrap_or_default()
            .iter()
            .all(|one| one.state.as_ref().is_none_or(|s| s.running.is_none()))
    );
    // One that waits for room is bound by somebody else all the same.
    make(&cluster, pod("bound", "100k", &["true"])).await;
    cluster.wait_pod("bound", is_unschedulable()).await;
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "bound"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "windlass"},
    });
    let (pods, params) = (cluster.pods(), PostParams::default());
    let bind = pods.create_subresource::<Value, Value>("binding", "bound", &params, &binding);
    bind.await.expect("bound");
    let failed = cluster.wait_pod("bound", pod_phase("Failed")).await.and_then(|pod| pod.status);
    assert_eq!(failed.expect("a status").reason.as_deref(), Some("OutOfcpu"));
    let mut modest = pod("modest", "1", &["true"]);
    modest["spec"]["nodeName"] = json!("windlass");
    make(&cluster, modest).await;
    cluster.wait_pod("modest", pod_phase("Succeeded")).await;
    cluster.stop().await;
}
