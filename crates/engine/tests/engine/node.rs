//! What is done to the node: cordoned, drained, tainted, as kubectl does it.

use crate::kubectl::by_kubectl;
use crate::support::{Cluster, finished, job, pod_phase};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

#[expect(clippy::needless_pass_by_value, reason = "made by json! where it is used")]
fn pod(name: &str, tolerations: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "runtimeClassName": "windlass-host", "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": "host", "command": ["sleep", "1000"]}], "tolerations": tolerations,
        },
    })
}

async fn make(cluster: &Cluster, pod: Value) {
    let pod = serde_json::from_value(pod).expect("a Pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("the pod is created");
}

/// A pod is there that says why it waits.
fn waits(why: &'static str) -> impl Fn(Option<&Pod>) -> bool {
    move |pod: Option<&Pod>| {
        let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
        let scheduled = conditions.into_iter().flatten().find(|one| one.type_ == "PodScheduled");
        scheduled.and_then(|one| one.message.as_deref()).is_some_and(|message| message.contains(why))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drained_node_has_no_pods_until_it_is_opened_again() {
    let cluster = Cluster::start().await;
    let go = cluster.home.path().join("go");
    let script = format!("test -e {} || exec sleep 1000", go.display());
    let mut wanted = job("work", &["sh", "-c", &script]);
    wanted["spec"]["backoffLimit"] = json!(5);
    wanted["spec"]["podFailurePolicy"] = json!({"rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]});
    wanted["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(0);
    cluster.create(wanted).await;
    make(&cluster, pod("bare", json!([]))).await;
    cluster.wait_pod("bare", pod_phase("Running")).await;
    cluster
        .wait_job("work", |job: Option<&k8s_openapi::api::batch::v1::Job>| {
            job.and_then(|job| job.status.as_ref()?.ready).is_some_and(|ready| ready == 1)
        })
        .await;
    by_kubectl(&cluster, move |kubectl| {
        let refused = kubectl.fails("drain windlass --timeout=120s");
        assert!(refused.contains("declare no controller") && refused.contains("default/bare"), "{refused}");
        let said = kubectl.ok("drain windlass --force --timeout=180s");
        assert!(said.contains("pod/bare evicted") && said.contains("node/windlass drained"), "{said}");
        let nodes = kubectl.ok("get nodes");
        assert!(nodes.contains("Ready,SchedulingDisabled"), "{nodes}");
        std::fs::write(&go, "").expect("written");
        assert!(kubectl.ok("uncordon windlass").contains("node/windlass uncordoned"));
    })
    .await;
    let done = cluster.wait_job("work", finished()).await;
    let status = done.status.expect("a status");
    assert_eq!((status.succeeded, status.failed), (Some(1), None), "an eviction is no failure to this Job");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_that_is_bound_here_and_not_for_this_node_has_failed() {
    let cluster = Cluster::start().await;
    let fails = |name: &'static str, spec: Value| {
        let cluster = &cluster;
        async move {
            let mut wrong = pod(name, json!([]));
            wrong["spec"].as_object_mut().expect("a spec").extend(spec.as_object().cloned().expect("fields"));
            make(cluster, wrong).await;
            let ended = cluster.wait_pod(name, pod_phase("Failed")).await.expect("the pod");
            let status = ended.status.expect("a status");
            let events = cluster.events_about(name).await;
            let told = events
                .iter()
                .any(|event| event.reason == status.reason && event.type_.as_deref() == Some("Warning"));
            assert!(told, "{events:#?}");
            (status.reason.unwrap_or_default(), status.message.unwrap_or_default())
        }
    };
    let told = fails("choosy", json!({"nodeName": "windlass", "nodeSelector": {"gpu": "yes"}})).await;
    let why =
        "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
    assert_eq!(told, ("NodeAffinity".to_owned(), why.to_owned()));
    // Upstream's scheduler does not ask for which system a pod is: the node does.
    let windows = json!({"name": "windows"});
    for (name, spec) in
        [("scheduled", json!({"os": windows})), ("bound", json!({"os": windows, "nodeName": "windlass"}))]
    {
        let told = fails(name, spec).await;
        let why = "Pod was rejected: Failed to admit pod as the OS field doesn't match node OS";
        assert_eq!(told, ("PodOSNotSupported".to_owned(), why.to_owned()));
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gated_pod_goes_where_it_says_when_its_gates_are_gone() {
    let cluster = Cluster::start().await;
    for (name, node) in [("elsewhere", "another"), ("here", "windlass")] {
        let mut held = pod(name, json!([]));
        held["spec"]["schedulingGates"] = json!([{"name": "example.com/held"}]);
        make(&cluster, held).await;
        let on = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [node]});
        let terms = json!({"nodeSelectorTerms": [{"matchExpressions": [on]}]});
        let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}});
        for change in [json!({"affinity": affinity}), json!({"schedulingGates": null})] {
            let change = Patch::Merge(json!({"spec": change}));
            cluster.pods().patch(name, &PatchParams::default(), &change).await.expect("patched");
        }
    }
    cluster.wait_pod("elsewhere", waits("1 node(s) didn't match Pod's node affinity/selector")).await;
    cluster.wait_pod("here", pod_phase("Running")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cordoned_node_takes_none_but_those_that_tolerate_it() {
    let cluster = Cluster::start().await;
    by_kubectl(&cluster, |kubectl| drop(kubectl.ok("cordon windlass"))).await;
    make(&cluster, pod("waits", json!([]))).await;
    cluster.wait_pod("waits", waits("1 node(s) were unschedulable")).await;
    let tolerates = json!([{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]);
    make(&cluster, pod("comes", tolerates)).await;
    cluster.wait_pod("comes", pod_phase("Running")).await;
    by_kubectl(&cluster, |kubectl| drop(kubectl.ok("uncordon windlass"))).await;
    cluster.wait_pod("waits", pod_phase("Running")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn taints_keep_pods_out_and_drive_them_out() {
    let cluster = Cluster::start().await;
    by_kubectl(&cluster, |kubectl| drop(kubectl.ok("taint nodes windlass gpu=only:NoSchedule"))).await;
    make(&cluster, pod("waits", json!([]))).await;
    cluster.wait_pod("waits", waits("1 node(s) had untolerated taint(s)")).await;
    make(&cluster, pod("comes", json!([{"key": "gpu", "value": "only"}]))).await;
    cluster.wait_pod("comes", pod_phase("Running")).await;
    by_kubectl(&cluster, |kubectl| drop(kubectl.ok("taint nodes windlass gpu-"))).await;
    cluster.wait_pod("waits", pod_phase("Running")).await;
    make(&cluster, pod("stays", json!([{"operator": "Exists"}]))).await;
    let brief =
        json!([{"key": "broken", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}]);
    make(&cluster, pod("leaves-soon", brief)).await;
    for name in ["stays", "leaves-soon"] {
        cluster.wait_pod(name, pod_phase("Running")).await;
    }
    by_kubectl(&cluster, |kubectl| drop(kubectl.ok("taint nodes windlass broken:NoExecute"))).await;
    for name in ["waits", "comes", "leaves-soon"] {
        cluster.wait_pod(name, |pod: Option<&Pod>| pod.is_none()).await;
    }
    let events = cluster.events_about("waits").await;
    let told =
        |event: &k8s_openapi::api::core::v1::Event| event.reason.as_deref() == Some("TaintManagerEviction");
    assert!(events.iter().any(told), "{events:#?}");
    let stays = cluster.pods().get("stays").await.expect("the pod");
    assert_eq!(stays.status.and_then(|status| status.phase).as_deref(), Some("Running"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_with_a_taint_begins_when_the_pod_comes() {
    let cluster = crate::clock::start().await;
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let taint = Patch::Merge(json!({"spec": {"taints": [{"key": "maint", "effect": "NoExecute"}]}}));
    nodes.patch("windlass", &PatchParams::default(), &taint).await.expect("tainted");
    crate::clock::advance(&cluster, "2h").await;
    let hour =
        json!([{"key": "maint", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3600}]);
    make(&cluster, pod("comes-late", hour)).await;
    cluster.wait_pod("comes-late", pod_phase("Running")).await;
    crate::clock::advance(&cluster, "30m").await;
    let there = cluster.pods().get("comes-late").await.expect("the pod");
    assert!(there.metadata.deletion_timestamp.is_none(), "{there:?}");
    crate::clock::advance(&cluster, "31m").await;
    cluster.wait_pod("comes-late", |pod: Option<&Pod>| pod.is_none()).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_goes_on_when_another_taint_comes_and_ends_with_the_last() {
    let cluster = crate::clock::start().await;
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let tainted = async |keys: &[&str]| {
        let taints: Vec<_> = keys.iter().map(|key| json!({"key": key, "effect": "NoExecute"})).collect();
        let patch = Patch::Merge(json!({"spec": {"taints": taints}}));
        nodes.patch("windlass", &PatchParams::default(), &patch).await.expect("tainted");
    };
    let hour = json!([{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3600}]);
    make(&cluster, pod("patient", hour)).await;
    cluster.wait_pod("patient", pod_phase("Running")).await;
    tainted(&["maint"]).await;
    crate::clock::advance(&cluster, "30m").await;
    tainted(&[]).await;
    // It is told once the node is as it was.
    let events: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(cluster.client.clone(), "default");
    let selected = kube::runtime::watcher::Config::default()
        .fields("involvedObject.name=patient,reason=TaintManagerEviction");
    let cancelled = async {
        use futures::TryStreamExt;
        use kube::runtime::watcher::Event::{Apply, InitApply};
        let mut told = std::pin::pin!(kube::runtime::watcher(events, selected));
        loop {
            if let Apply(event) | InitApply(event) = told.try_next().await.expect("a watch").expect("no end")
            {
                return event.message.unwrap_or_default();
            }
        }
    };
    let message = tokio::time::timeout(crate::support::PATIENCE, cancelled).await.expect("in time");
    assert_eq!(message, "Cancelling deletion of Pod default/patient");
    tainted(&["maint"]).await;
    crate::clock::advance(&cluster, "40m").await;
    let there = cluster.pods().get("patient").await.expect("the pod");
    assert!(there.metadata.deletion_timestamp.is_none(), "it began anew: {there:?}");
    tainted(&["maint", "broken"]).await;
    crate::clock::advance(&cluster, "21m").await;
    cluster.wait_pod("patient", |pod: Option<&Pod>| pod.is_none()).await;
    cluster.stop().await;
}
