//! Attaching to containers that run, as kube-rs does it over TLS: their stdin, their terminal, their output.

use crate::support::{Cluster, PATIENCE, config, has_condition, job, pod_phase};
use futures::SinkExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams, AttachedProcess, LogParams, PostParams, TerminalSize};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use windlass_engine::{Engine, StopPods, StoreKind};

fn pod(name: &str, container: &Value, script: &str) -> Pod {
    let mut main = json!({"name": "main", "image": "host", "command": ["sh", "-c", script]});
    for (field, value) in container.as_object().unwrap() {
        main[field] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"runtimeClassName": "windlass-host", "restartPolicy": "Never",
                 "terminationGracePeriodSeconds": 1, "containers": [main]},
    }))
    .expect("a Pod")
}

fn once() -> Value {
    json!({"stdin": true, "stdinOnce": true})
}

/// A client that goes through the listener: only a connection can be handed over.
async fn over_tls(cluster: &Cluster) -> Api<Pod> {
    let kubeconfig = Kubeconfig::read_from(cluster.home.path().join("home/kubeconfig")).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Api::default_namespaced(Client::try_from(config).unwrap())
}

async fn runs(cluster: &Cluster, pod: &Pod) -> String {
    let name = pod.metadata.name.clone().unwrap();
    cluster.pods().create(&PostParams::default(), pod).await.expect("the pod is created");
    cluster.wait_pod(&name, pod_phase("Running")).await;
    name
}

async fn all(mut stream: impl tokio::io::AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    read.expect("it ends in time").expect("it is read");
    bytes
}

async fn until(stream: &mut (impl tokio::io::AsyncRead + Unpin), text: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        let byte = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
        seen.push(
            byte.expect("it comes in time")
                .unwrap_or_else(|_| panic!("{:?}", String::from_utf8_lossy(&seen))),
        );
    }
    String::from_utf8_lossy(&seen).into_owned()
}

async fn status(attached: &mut AttachedProcess) -> Option<String> {
    let status = attached.take_status().expect("it is asked once");
    tokio::time::timeout(PATIENCE, status).await.expect("it comes in time")?.status
}

fn both() -> AttachParams {
    AttachParams::default().stdin(true).stdout(true).stderr(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn stdin_comes_through_whole_and_output_comes_back() {
    let cluster = Cluster::start().await;
    let name = runs(&cluster, &pod("cat", &once(), "cat; echo over >&2; exit 3")).await;
    let mut attached = over_tls(&cluster).await.attach(&name, &both()).await.expect("it attaches");
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut stdin, stdout, stderr) =
        (attached.stdin().unwrap(), attached.stdout().unwrap(), attached.stderr().unwrap());
    let give = async {
        stdin.write_all(&bytes).await.unwrap();
        stdin.shutdown().await.unwrap();
    };
    let ((), stdout, stderr) = tokio::join!(give, all(stdout), all(stderr));
    assert!(stdout == bytes, "{} bytes came back", stdout.len());
    assert_eq!(stderr, b"over\n");
    assert_eq!(status(&mut attached).await.as_deref(), Some("Success"));
    cluster.wait_pod(&name, pod_phase("Failed")).await;
    let begin = LogParams { limit_bytes: Some(3), ..LogParams::default() };
    let log = cluster.pods().logs(&name, &begin).await.unwrap();
    assert_eq!(log.as_bytes(), &bytes[..3], "the log has it too");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_seen_from_the_moment_of_attaching() {
    let cluster = Cluster::start().await;
    let script = "echo before; read x; echo after";
    let name = runs(&cluster, &pod("late", &json!({"stdin": true}), script)).await;
    let logs = LogParams { follow: true, ..LogParams::default() };
    let mut lines = cluster.pods().log_stream(&name, &logs).await.unwrap();
    let mut first = [0; 7];
    futures::AsyncReadExt::read_exact(&mut lines, &mut first).await.unwrap();
    assert_eq!(&first, b"before\n");
    let mut attached = over_tls(&cluster).await.attach(&name, &both()).await.unwrap();
    let (mut stdin, stdout) = (attached.stdin().unwrap(), attached.stdout().unwrap());
    drop(attached.stderr());
    let (written, stdout) = tokio::join!(stdin.write_all(b"\n"), all(stdout));
    written.unwrap();
    assert_eq!(stdout, b"after\n");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_goes_away_ends_a_stdin_for_one_and_no_other() {
    let cluster = Cluster::start().await;
    let pods = over_tls(&cluster).await;
    for (name, container) in [("one", once()), ("many", json!({"stdin": true}))] {
        runs(&cluster, &pod(name, &container, "read a; echo got $a; read b; echo got $b")).await;
        let mut attached = pods.attach(name, &both()).await.unwrap();
        let mut stdout = attached.stdout().unwrap();
        attached.stdin().unwrap().write_all(b"first\n").await.unwrap();
        until(&mut stdout, "got first\n").await;
        attached.abort();
    }
    cluster.wait_pod("one", pod_phase("Succeeded")).await;
    assert_eq!(cluster.log("one").await, "got first\ngot\n");
    let mut attached = pods.attach("many", &both()).await.expect("it still takes");
    attached.stdin().unwrap().write_all(b"second\n").await.unwrap();
    cluster.wait_pod("many", pod_phase("Succeeded")).await;
    assert_eq!(cluster.log("many").await, "got first\ngot second\n");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stdin_that_stays_open_outlives_the_engine() {
    let mut cluster = Cluster::with(|config| config.store = StoreKind::Durable).await;
    let name = runs(&cluster, &pod("patient", &json!({"stdin": true}), "read a; echo got $a")).await;
    cluster.engine.take().unwrap().stop(StopPods::Leave).await;
    let mut again = config(&cluster.home);
    again.store = StoreKind::Durable;
    let engine = Engine::start(again).await.unwrap();
    (cluster.client, cluster.engine) = (engine.client(), Some(engine));
    let mut attached = over_tls(&cluster).await.attach(&name, &both()).await.unwrap();
    let mut stdin = attached.stdin().unwrap();
    stdin.write_all(b"it\n").await.unwrap();
    assert_eq!(all(attached.stdout().unwrap()).await, b"got it\n");
    cluster.wait_pod(&name, pod_phase("Succeeded")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terminal_echoes_and_knows_its_size() {
    let cluster = Cluster::start().await;
    // A signal would end the shell's `read`, so it looks by itself.
    let script = "read line; echo \"<$line>\"; until stty size | grep '33 101'; do sleep 0.05; done; read line || exit 5";
    let name = runs(&cluster, &pod("shell", &json!({"stdin": true, "tty": true}), script)).await;
    let params = AttachParams::default().stdin(true).stdout(true).stderr(false).tty(true);
    let mut attached = over_tls(&cluster).await.attach(&name, &params).await.unwrap();
    let (mut stdin, mut stdout) = (attached.stdin().unwrap(), attached.stdout().unwrap());
    stdin.write_all(b"hello\r").await.unwrap();
    assert_eq!(until(&mut stdout, ">\r\n").await, "hello\r\n<hello>\r\n");
    let mut size = attached.terminal_size().unwrap();
    size.send(TerminalSize { width: 101, height: 33 }).await.unwrap();
    until(&mut stdout, "33 101\r\n").await;
    stdin.write_all(b"\x04").await.unwrap();
    cluster.wait_pod(&name, pod_phase("Failed")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_does_not_read_holds_nothing_up() {
    let cluster = Cluster::start().await;
    let name = runs(&cluster, &pod("loud", &once(), "read x; seq 1000000")).await;
    let mut attached = over_tls(&cluster).await.attach(&name, &both()).await.unwrap();
    let mut stdin = attached.stdin().unwrap();
    stdin.write_all(b"\n").await.unwrap();
    cluster.wait_pod(&name, pod_phase("Succeeded")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stdin_that_is_not_read_stops_its_writer() {
    let cluster = Cluster::start().await;
    let name = runs(&cluster, &pod("deaf", &once(), "exec sleep 600")).await;
    let mut attached = over_tls(&cluster).await.attach(&name, &both()).await.unwrap();
    let mut stdin = attached.stdin().unwrap();
    let bytes = vec![0; 1 << 20];
    let mut taken = 0;
    let endless = async {
        loop {
            stdin.write_all(&bytes).await.unwrap();
            taken += 1;
        }
    };
    cluster.create(job("meanwhile", &["sleep", "1"])).await;
    tokio::select! {
        () = endless => {}
        _ = cluster.wait_job("meanwhile", has_condition("Complete")) => {}
    }
    // What is taken is what the kernel holds on the way.
    assert!(taken < 40, "{taken} MiB");
    cluster.pods().delete(&name, &kube::api::DeleteParams::default()).await.unwrap();
    assert_eq!(status(&mut attached).await.as_deref(), Some("Success"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_run_cannot_be_attached_to() {
    let cluster = Cluster::start().await;
    let pods = over_tls(&cluster).await;
    let name = runs(&cluster, &pod("brief", &once(), "read x")).await;
    drop(pods.attach(&name, &both()).await.unwrap());
    cluster.wait_pod(&name, pod_phase("Failed")).await;
    let refused = pods.attach(&name, &both()).await.err().expect("it has ended").to_string();
    assert!(refused.contains("it has ended"), "{refused}");
    let mut waiting = pod("waiting", &once(), "true");
    waiting.spec.as_mut().unwrap().runtime_class_name = None;
    cluster.pods().create(&PostParams::default(), &waiting).await.unwrap();
    let refused = pods.attach("waiting", &both()).await.err().expect("it waits").to_string();
    assert!(refused.contains("does not have a host assigned"), "{refused}");
    let inside = cluster.pods().attach(&name, &both()).await.err().expect("there is no connection");
    assert!(inside.to_string().contains("Upgrade request required"), "{inside}");
    cluster.stop().await;
}
