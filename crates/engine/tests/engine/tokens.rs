//! Tokens of service accounts in pods that ask for one: what lies there, what can be done with it, and that it is renewed.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::support::{Ahead, Cluster, pod_phase};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use kube::runtime::wait::Condition;
use serde_json::{Value, json};

const PLACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

async fn account(cluster: &Cluster, name: &str, role: Option<&str>) {
    let labels = role.map(|role| json!({"windlass.dev/role": role}));
    let account = json!({"metadata": {"name": name, "labels": labels}});
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), "default");
    let account = serde_json::from_value(account).expect("a ServiceAccount");
    accounts.create(&PostParams::default(), &account).await.expect("created");
}

async fn make(cluster: &Cluster, name: &str, more: Value, script: &str) {
    let container = json!({"name": "main", "image": "host", "command": ["sh", "-c", script]});
    let mut spec =
        json!({"runtimeClassName": "windlass-host", "restartPolicy": "Never", "containers": [container]});
    let container = more["volumeMounts"].clone();
    spec.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    spec["containers"][0]["volumeMounts"] = container;
    spec.as_object_mut().expect("a map").remove("volumeMounts");
    let pod = json!({"metadata": {"name": name}, "spec": spec});
    let pod = serde_json::from_value(pod).expect("a Pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("the pod is created");
}

/// Whether the pod waits because this machine lets it mount nothing.
fn is_refused(pod: Option<&Pod>) -> bool {
    let states = pod.and_then(|pod| pod.status.as_ref()?.container_statuses.as_ref());
    let mut waiting = states.into_iter().flatten().filter_map(|one| one.state.as_ref()?.waiting.as_ref());
    waiting
        .any(|waiting| waiting.message.as_deref().is_some_and(|why| why.contains("nothing can be mounted")))
}

/// What a pod says; none if this machine lets it mount nothing, or has no kubectl.
async fn says(cluster: &Cluster, name: &str) -> Option<String> {
    let over = cluster.wait_pod(name, pod_phase("Succeeded").or(pod_phase("Failed")).or(is_refused)).await;
    if is_refused(over.as_ref()) {
        return None;
    }
    Some(cluster.log(name).await)
}

fn has_kubectl() -> bool {
    Command::new("kubectl").arg("version").arg("--client").output().is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_that_asks_finds_token_authority_and_namespace_and_one_that_does_not_finds_nothing() {
    let cluster = Cluster::start().await;
    let script = format!(
        "cd {PLACE} && ls; cat namespace; stat -L -c ' %a' token; head -c 27 ca.crt; echo $KUBERNETES_SERVICE_HOST"
    );
    make(&cluster, "asks", json!({"automountServiceAccountToken": true}), &script).await;
    if let Some(log) = says(&cluster, "asks").await {
        let expected = "ca.crt\nnamespace\ntoken\ndefault 600\n-----BEGIN CERTIFICATE-----127.0.0.1\n";
        assert_eq!(log, expected);
    }
    let script = format!("ls {PLACE} 2> /dev/null; env | grep KUBERNETES_; echo nothing");
    make(&cluster, "silent", json!({}), &script).await;
    assert_eq!(says(&cluster, "silent").await.as_deref(), Some("nothing\n"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_submitted_from_inside_needs_a_role_and_is_never_a_process_of_the_host() {
    if !has_kubectl() {
        return;
    }
    let cluster = Cluster::start().await;
    account(&cluster, "submitter", Some("submit")).await;
    account(&cluster, "nobody", None).await;
    let marker = cluster.home.path().join("ran");
    let on_host = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "on-host"}, "spec": {
        "template": {"spec": {"runtimeClassName": "windlass-host", "restartPolicy": "Never",
            "containers": [{"name": "c", "image": "host", "command": ["touch", marker]}]}}}});
    let script = format!(
        "kubectl auth whoami -o jsonpath='{{.status.userInfo.username}}'; echo
         kubectl create job $HOSTNAME --image=busybox -- true 2>&1
         echo '{on_host}' | kubectl create -f - 2>&1; true"
    );
    for (name, account) in [("can", "submitter"), ("cannot", "nobody")] {
        let asks = json!({"automountServiceAccountToken": true, "serviceAccountName": account});
        make(&cluster, name, asks, &script).await;
    }
    if let Some(log) = says(&cluster, "can").await {
        let mut lines = log.lines();
        assert_eq!(lines.next(), Some("system:serviceaccount:default:submitter"), "{log}");
        assert_eq!(lines.next(), Some("job.batch/can created"), "{log}");
        assert!(log.contains("is forbidden") && log.contains("processes of the host"), "{log}");
        assert!(cluster.jobs().get("can").await.is_ok());
        let log = says(&cluster, "cannot").await.expect("as the other");
        assert!(!log.contains("created") && log.matches("is forbidden").count() == 2, "{log}");
    }
    assert!(cluster.jobs().get("cannot").await.is_err());
    assert!(cluster.jobs().get("on-host").await.is_err());
    assert!(!marker.exists());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn token_of_a_running_pod_is_renewed_before_it_ends_also_by_the_next_engine() {
    let ahead = Arc::new(Ahead::default());
    let mut cluster = Cluster::with(|config| {
        config.world = ahead.clone();
        config.store = windlass_engine::StoreKind::Durable;
    })
    .await;
    let token = json!({"serviceAccountToken": {"path": "mine/token", "expirationSeconds": 600}});
    let volume = json!({"name": "api", "projected": {"sources": [token]}});
    let script = "cd /windlass-token; for round in 1 2; do
        old=$(cat mine/token); echo go; while test \"$old\" = \"$(cat mine/token)\"; do sleep 0.02; done; done; ls -A mine";
    let more =
        json!({"volumes": [volume], "volumeMounts": [{"name": "api", "mountPath": "/windlass-token"}]});
    make(&cluster, "long", more, script).await;
    let pod = cluster.wait_pod("long", pod_phase("Running").or(is_refused)).await;
    if is_refused(pod.as_ref()) {
        return;
    }
    cluster.says_so_often("long", "go", 1).await;
    // Whatever happens makes the controllers look at the clock.
    ahead.0.store(500, Ordering::Relaxed);
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    let map = serde_json::from_value(json!({"metadata": {"name": "stir"}})).expect("a ConfigMap");
    maps.create(&PostParams::default(), &map).await.expect("created");
    cluster.says_so_often("long", "go", 2).await;
    let engine = cluster.engine.take().expect("an engine");
    engine.stop(windlass_engine::StopPods::Leave).await;
    let mut config = crate::support::config(&cluster.home);
    config.world = ahead.clone();
    config.store = windlass_engine::StoreKind::Durable;
    let engine = windlass_engine::Engine::start(config).await.expect("the next engine");
    (cluster.client, cluster.engine) = (engine.client(), Some(engine));
    assert_eq!(says(&cluster, "long").await.as_deref(), Some("go\ngo\ntoken\n"));
    cluster.stop().await;
}

impl Cluster {
    /// Follows a pod's log until it has said something so often.
    async fn says_so_often(&self, pod: &str, words: &str, count: usize) {
        use futures::AsyncBufReadExt;
        use futures::TryStreamExt;
        let follow = kube::api::LogParams { follow: true, ..kube::api::LogParams::default() };
        let mut lines = self.pods().log_stream(pod, &follow).await.expect("a log").lines();
        let reading = async {
            for _ in 0..count {
                assert_eq!(lines.try_next().await.expect("a line").as_deref(), Some(words));
            }
        };
        tokio::time::timeout(crate::support::PATIENCE, reading).await.expect("it speaks in time");
    }
}
