//! Pods that insist on others beside them, or on none: they wait for those to come or go, and say so.

use crate::support::{Cluster, finished, job, pod_phase};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::Condition;
use serde_json::{Value, json};

const NODE: &str = "kubernetes.io/hostname";

/// A pod that runs until it is ended.
#[expect(clippy::needless_pass_by_value, reason = "made by json! where it is used")]
fn pod(name: &str, app: &str, spec: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}},
        "spec": {
            "runtimeClassName": "windlass-host", "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": "host", "command": ["sleep", "100000"]}],
        },
    });
    let fields = pod["spec"].as_object_mut().expect("a spec");
    fields.extend(spec.as_object().expect("an object").clone());
    pod
}

fn term(which: &str, app: &str) -> Value {
    let term = json!([{"topologyKey": NODE, "labelSelector": {"matchLabels": {"app": app}}}]);
    json!({"affinity": {which: {"requiredDuringSchedulingIgnoredDuringExecution": term}}})
}

async fn make(cluster: &Cluster, pod: Value) {
    let pod = serde_json::from_value(pod).expect("a Pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("the pod is created");
}

async fn remove(cluster: &Cluster, name: &str) {
    cluster.pods().delete(name, &DeleteParams::default()).await.expect("deleted");
}

/// That its condition says why it waits.
fn waits(words: &'static str) -> impl Condition<Pod> {
    move |pod: Option<&Pod>| {
        let conditions =
            pod.and_then(|pod| pod.status.as_ref()).and_then(|status| status.conditions.as_ref());
        let mut conditions = conditions.into_iter().flatten();
        conditions.any(|one| {
            one.type_ == "PodScheduled"
                && one.reason.as_deref() == Some("Unschedulable")
                && one.message.as_ref().is_some_and(|message| message.contains(words))
        })
    }
}

const APART: &str = "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.";
const REPELLED: &str = "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.";
const MISSING: &str = "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.";
const PORTS: &str = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
const SPREAD: &str = "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints.";

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_insist_on_being_apart_come_one_after_the_other() {
    let cluster = Cluster::start().await;
    make(&cluster, pod("first", "train", term("podAntiAffinity", "train"))).await;
    cluster.wait_pod("first", pod_phase("Running")).await;
    make(&cluster, pod("second", "train", term("podAntiAffinity", "train"))).await;
    cluster.wait_pod("second", waits(APART)).await;
    make(&cluster, pod("other", "web", json!({}))).await;
    cluster.wait_pod("other", pod_phase("Running")).await;
    let told = cluster.events_about("second").await;
    assert!(told.iter().any(|event| event.reason.as_deref() == Some("FailedScheduling")), "{told:#?}");
    remove(&cluster, "first").await;
    cluster.wait_pod("second", pod_phase("Running")).await;
    make(&cluster, pod("plain", "train", json!({}))).await;
    cluster.wait_pod("plain", waits(REPELLED)).await;
    // One that is called otherwise is no reason any more.
    let renamed = Patch::Merge(json!({"metadata": {"labels": {"app": "web"}}}));
    cluster.pods().patch("plain", &PatchParams::default(), &renamed).await.expect("patched");
    cluster.wait_pod("plain", pod_phase("Running")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_that_insists_on_another_waits_until_it_is_there() {
    let cluster = Cluster::start().await;
    make(&cluster, pod("web", "web", term("podAffinity", "db"))).await;
    cluster.wait_pod("web", waits(MISSING)).await;
    make(&cluster, pod("db", "db", json!({}))).await;
    cluster.wait_pod("web", pod_phase("Running")).await;
    make(&cluster, pod("flock", "sheep", term("podAffinity", "sheep"))).await;
    cluster.wait_pod("flock", pod_phase("Running")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn host_port_is_one_pods_at_a_time_also_of_a_job() {
    let cluster = Cluster::start().await;
    let port = json!([{"containerPort": 80, "hostPort": 8080}]);
    let mut holder = pod("holder", "a", json!({}));
    holder["spec"]["containers"][0]["ports"] = port.clone();
    make(&cluster, holder.clone()).await;
    cluster.wait_pod("holder", pod_phase("Running")).await;
    let mut server = job("server", &["true"]);
    server["spec"]["parallelism"] = json!(3);
    server["spec"]["completions"] = json!(6);
    server["spec"]["template"]["spec"]["containers"][0]["ports"] = port;
    cluster.create(server).await;
    let listed = ListParams::default().labels("batch.kubernetes.io/job-name=server");
    for pod in cluster.pods().list(&listed).await.expect("a list").items {
        cluster.wait_pod(&pod.metadata.name.expect("a name"), waits(PORTS)).await;
    }
    // Who names the node is not scheduled: the node turns it away.
    holder["metadata"]["name"] = json!("insists");
    holder["spec"]["nodeName"] = json!("windlass");
    make(&cluster, holder).await;
    let turned_away = cluster.wait_pod("insists", pod_phase("Failed")).await.expect("it stays");
    let status = turned_away.status.expect("a status");
    assert_eq!(status.reason.as_deref(), Some("NodePorts"), "{status:?}");
    remove(&cluster, "holder").await;
    cluster.wait_job("server", finished()).await;
    let ended = cluster.jobs().get("server").await.expect("the Job").status.expect("a status");
    assert_eq!(ended.succeeded, Some(6), "{ended:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spread_over_more_nodes_than_there_are_lets_in_as_many_as_its_skew() {
    let cluster = Cluster::start().await;
    let constraint = json!({"topologySpreadConstraints": [{
        "maxSkew": 1, "minDomains": 2, "topologyKey": NODE, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "w"}}}]});
    make(&cluster, pod("first", "w", constraint.clone())).await;
    cluster.wait_pod("first", pod_phase("Running")).await;
    make(&cluster, pod("second", "w", constraint)).await;
    cluster.wait_pod("second", waits(SPREAD)).await;
    remove(&cluster, "first").await;
    cluster.wait_pod("second", pod_phase("Running")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_insist_on_being_alone_all_come_in_the_end() {
    let cluster = Cluster::start().await;
    let mut alone = job("alone", &["true"]);
    alone["spec"]["parallelism"] = json!(40);
    alone["spec"]["completions"] = json!(40);
    alone["spec"]["template"]["metadata"] = json!({"labels": {"app": "alone"}});
    let affinity = term("podAntiAffinity", "alone")["affinity"].clone();
    alone["spec"]["template"]["spec"]["affinity"] = affinity;
    cluster.create(alone).await;
    let ended = cluster.wait_job("alone", finished()).await.status.expect("a status");
    assert_eq!(ended.succeeded, Some(40), "{ended:?}");
    cluster.stop().await;
}
