//! Probes and lifecycle hooks of real processes.

#![expect(clippy::needless_pass_by_value, reason = "made by json! where they are used")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::support::{Cluster, PATIENCE, pod_phase, told};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{DeleteParams, PostParams};
use kube::runtime::wait::Condition;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use windlass_engine::StopPods;

/// A server that answers with the status that it has now.
async fn server(status: u16) -> (u16, Arc<AtomicU16>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let status = Arc::new(AtomicU16::new(status));
    let now = Arc::clone(&status);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.is_ok_and(|n| n > 0)
            {
            }
            let answer = format!("HTTP/1.1 {} Said\r\nContent-Length: 0\r\n\r\n", now.load(Ordering::SeqCst));
            // A client that gave up is no loss.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, status)
}

async fn make(cluster: &Cluster, name: &str, spec: Value) {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"runtimeClassName": "windlass-host", "restartPolicy": "Never"},
    });
    for (field, value) in spec.as_object().expect("fields") {
        pod["spec"][field] = value.clone();
    }
    let pod = serde_json::from_value(pod).expect("a Pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("the pod is created");
}

fn container(script: &str, more: Value) -> Value {
    let mut container = json!({"name": "main", "image": "host", "command": ["sh", "-c", script]});
    for (field, value) in more.as_object().expect("fields") {
        container[field] = value.clone();
    }
    container
}

fn status(pod: Option<&Pod>) -> Option<&ContainerStatus> {
    pod?.status.as_ref()?.container_statuses.as_ref()?.first()
}

fn is_ready(wanted: bool) -> impl Condition<Pod> {
    move |pod: Option<&Pod>| {
        let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
        let ready = conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready");
        ready.is_some_and(|ready| (ready.status == "True") == wanted)
            && status(pod).is_some_and(|status| status.ready == wanted && status.restart_count == 0)
    }
}

fn has_run_again() -> impl Condition<Pod> {
    |pod: Option<&Pod>| status(pod).is_some_and(|status| status.restart_count > 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_is_ready_while_its_server_says_so() {
    let cluster = Cluster::start().await;
    let (port, answer) = server(500).await;
    let probe = json!({"httpGet": {"port": port, "path": "/ready"}, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 30});
    make(
        &cluster,
        "server",
        json!({"containers": [container("exec sleep 600", json!({"readinessProbe": probe}))]}),
    )
    .await;
    told(&cluster, "server", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500")
        .await;
    cluster.wait_pod("server", is_ready(false).and(pod_phase("Running"))).await;
    answer.store(200, Ordering::SeqCst);
    cluster.wait_pod("server", is_ready(true)).await;
    answer.store(503, Ordering::SeqCst);
    cluster.wait_pod("server", is_ready(false)).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn container_that_is_not_alive_is_started_again() {
    let cluster = Cluster::start().await;
    let (port, _) = server(500).await;
    let probe =
        json!({"httpGet": {"port": port}, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 30});
    let main = container("exec sleep 600", json!({"livenessProbe": probe}));
    make(&cluster, "hung", json!({"restartPolicy": "Always", "containers": [main]})).await;
    cluster.wait_pod("hung", has_run_again()).await;
    told(&cluster, "hung", "Killing", "Container main failed liveness probe, will be restarted").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_begins_when_the_sidecar_has_come_up() {
    let cluster = Cluster::start().await;
    let (port, answer) = server(500).await;
    let probe = json!({"httpGet": {"port": port}, "periodSeconds": 1, "failureThreshold": 1000, "timeoutSeconds": 30});
    let sidecar = json!({
        "name": "proxy", "image": "host", "command": ["sleep", "600"], "restartPolicy": "Always", "startupProbe": probe,
    });
    let spec = json!({"initContainers": [sidecar], "containers": [container("echo worked", json!({}))]});
    make(&cluster, "beside", spec).await;
    told(&cluster, "beside", "Unhealthy", "Startup probe failed").await;
    let waits = cluster.pods().get("beside").await.expect("the pod");
    assert_eq!(waits.status.and_then(|status| status.phase).as_deref(), Some("Pending"));
    answer.store(200, Ordering::SeqCst);
    cluster.wait_pod("beside", pod_phase("Succeeded")).await;
    assert_eq!(cluster.log("beside").await, "worked\n");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_ends_with_its_container_whatever_its_probes_say() {
    let cluster = Cluster::start().await;
    // Nobody ever answers here.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let probe = json!({"httpGet": {"port": port}, "timeoutSeconds": 3600});
    let main =
        container("true", json!({"readinessProbe": probe, "livenessProbe": probe, "startupProbe": probe}));
    make(&cluster, "short", json!({"containers": [main]})).await;
    cluster.wait_pod("short", pod_phase("Succeeded")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn container_that_cannot_be_reached_after_its_start_is_ended() {
    let cluster = Cluster::start().await;
    // Taken, and nobody listens there.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let port = socket.local_addr().expect("an address").port();
    let hook = json!({"postStart": {"httpGet": {"port": port, "path": "/"}}});
    make(
        &cluster,
        "lonely",
        json!({"containers": [container("exec sleep 600", json!({"lifecycle": hook}))]}),
    )
    .await;
    let pod = cluster.wait_pod("lonely", pod_phase("Failed")).await;
    let state = status(pod.as_ref()).and_then(|status| status.state.clone()?.terminated).expect("an end");
    assert_eq!(state.exit_code, 143);
    told(&cluster, "lonely", "FailedPostStartHook", "PostStartHook failed").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_is_told_before_its_container_ends() {
    let cluster = Cluster::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let hook = json!({"preStop": {"httpGet": {"port": port, "path": "/bye"}}});
    make(
        &cluster,
        "polite",
        json!({"containers": [container("exec sleep 600", json!({"lifecycle": hook}))]}),
    )
    .await;
    cluster.wait_pod("polite", is_ready(true)).await;
    cluster.pods().delete("polite", &DeleteParams::default().grace_period(600)).await.expect("it is deleted");
    let (mut stream, _) = tokio::time::timeout(PATIENCE, listener.accept())
        .await
        .expect("it is told in time")
        .expect("a connection");
    let mut request = [0; 14];
    stream.read_exact(&mut request).await.expect("a request");
    assert_eq!(&request, b"GET /bye HTTP/");
    let still = cluster.pods().get("polite").await.expect("it waits for the answer");
    assert!(status(Some(&still)).and_then(|status| status.state.as_ref()?.running.as_ref()).is_some());
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("an answer");
    let is_gone = |pod: Option<&Pod>| pod.is_none();
    cluster.wait_pod("polite", is_gone).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probe_of_a_kind_that_is_left_out_is_refused() {
    let cluster = Cluster::start().await;
    make(
        &cluster,
        "grpc",
        json!({"containers": [container("true", json!({"livenessProbe": {"grpc": {"port": 1}}}))]}),
    )
    .await;
    let waits = |pod: Option<&Pod>| {
        let waiting = status(pod).and_then(|status| status.state.as_ref()?.waiting.as_ref());
        waiting.is_some_and(|waiting| {
            waiting.reason.as_deref() == Some("CreateContainerConfigError")
                && waiting.message.as_deref().is_some_and(|text| text.contains("a livenessProbe of gRPC"))
        })
    };
    cluster.wait_pod("grpc", waits).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn program_beside_a_container_says_how_it_is() {
    let cluster = Cluster::start().await;
    let sign = cluster.home.path().join("sign");
    let script = "test \"$OWN\" = variable || exit 9; test -e \"$SIGN\" || { echo no sign; exit 1; }";
    let env = json!([{"name": "SIGN", "value": sign}, {"name": "OWN", "value": "variable"}]);
    let exec = json!({"command": ["sh", "-c", script]});
    let probe = json!({"exec": exec, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 60});
    let main = container("exec sleep 600", json!({"readinessProbe": probe, "env": env}));
    make(&cluster, "asked", json!({"containers": [main]})).await;
    told(&cluster, "asked", "Unhealthy", "Readiness probe failed: no sign").await;
    std::fs::write(&sign, "").expect("a file");
    cluster.wait_pod("asked", is_ready(true)).await;
    std::fs::remove_file(&sign).expect("it goes");
    cluster.wait_pod("asked", is_ready(false)).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn program_that_does_not_end_in_time_is_a_no_and_one_that_is_not_there_no_answer() {
    let cluster = Cluster::start().await;
    let slow = json!({"exec": {"command": ["sleep", "600"]}, "periodSeconds": 1, "timeoutSeconds": 1});
    let missing = json!({"exec": {"command": ["windlass-no-such-program"]}, "periodSeconds": 1, "failureThreshold": 1,
        "timeoutSeconds": 60});
    let main = container("exec sleep 600", json!({"readinessProbe": slow, "livenessProbe": missing}));
    make(&cluster, "slow", json!({"containers": [main]})).await;
    told(&cluster, "slow", "Unhealthy", "Readiness probe failed: command timed out").await;
    told(&cluster, "slow", "Unhealthy", "Liveness probe errored and resulted in unknown state").await;
    let pod = cluster.pods().get("slow").await.expect("the pod");
    assert_eq!(status(Some(&pod)).map(|status| status.restart_count), Some(0), "no answer ends nothing");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_run_beside_their_container_before_it_is_there_and_before_it_ends() {
    let cluster = Cluster::start().await;
    let place = cluster.home.path().join("place");
    std::fs::create_dir(&place).expect("a directory");
    let hooks = json!({
        "postStart": {"exec": {"command": ["sh", "-c", "echo begun >> \"$PLACE/begun\""]}},
        "preStop": {"exec": {"command": ["sh", "-c", "echo ends >> \"$PLACE/ends\""]}},
    });
    let script = "trap 'test -e \"$PLACE/ends\" && exit 7' TERM; while :; do sleep 1 & wait; done";
    let more = json!({"lifecycle": hooks, "env": [{"name": "PLACE", "value": place}]});
    let spec = json!({"containers": [container(script, more)], "activeDeadlineSeconds": 3600});
    make(&cluster, "hooked", spec).await;
    cluster.wait_pod("hooked", is_ready(true)).await;
    assert_eq!(std::fs::read_to_string(place.join("begun")).expect("the hook ran before"), "begun\n");
    assert!(!place.join("ends").exists());
    cluster.pods().delete("hooked", &DeleteParams::default().grace_period(600)).await.expect("it is deleted");
    let is_gone = |pod: Option<&Pod>| pod.is_none();
    cluster.wait_pod("hooked", is_gone).await;
    assert_eq!(std::fs::read_to_string(place.join("ends")).expect("the hook ran"), "ends\n");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn container_whose_hook_fails_is_ended() {
    let cluster = Cluster::start().await;
    let hooks = json!({"postStart": {"exec": {"command": ["false"]}}});
    make(
        &cluster,
        "failing",
        json!({"containers": [container("exec sleep 600", json!({"lifecycle": hooks}))]}),
    )
    .await;
    cluster.wait_pod("failing", pod_phase("Failed")).await;
    told(&cluster, "failing", "FailedPostStartHook", "PostStartHook failed").await;
    told(&cluster, "failing", "Killing", "FailedPostStartHook").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_that_ends_its_pods_runs_their_hooks_first() {
    let mut cluster = Cluster::start().await;
    let place = cluster.home.path().join("stopped");
    std::fs::create_dir(&place).expect("a directory");
    let hook = json!({"preStop": {"exec": {"command": ["sh", "-c", "echo hook >> \"$PLACE/said\""]}}});
    let script = "trap 'echo signal >> \"$PLACE/said\"; exit 0' TERM; echo > \"$PLACE/up\"; while :; do sleep 1 & wait; done";
    let probe = json!({"exec": {"command": ["sh", "-c", "test -e \"$PLACE/up\""]}, "periodSeconds": 1, "timeoutSeconds": 60});
    let more =
        json!({"lifecycle": hook, "readinessProbe": probe, "env": [{"name": "PLACE", "value": place}]});
    let spec = json!({"containers": [container(script, more)], "terminationGracePeriodSeconds": 600});
    make(&cluster, "hooked", spec).await;
    cluster.wait_pod("hooked", is_ready(true)).await;
    let engine = cluster.engine.take().expect("it runs");
    tokio::time::timeout(PATIENCE, engine.stop(StopPods::End)).await.expect("it stops");
    assert_eq!(std::fs::read_to_string(place.join("said")).expect("both said so"), "hook\nsignal\n");
}
