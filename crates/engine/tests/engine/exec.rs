//! Programs beside containers that run, as kube-rs asks for them over TLS: their streams, their terminal, their end.

use crate::support::{Cluster, PATIENCE, pod_phase};
use futures::SinkExt;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{Api, AttachParams, AttachedProcess, DeleteParams, PostParams, TerminalSize};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A pod with two containers that run until they are ended, each in surroundings of its own.
fn pod(name: &str) -> Pod {
    let container = |name: &str, directory: &str| {
        json!({"name": name, "image": "host", "command": ["sleep", "600"], "workingDir": directory,
               "env": [{"name": "WHO", "value": name}]})
    };
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"runtimeClassName": "windlass-host", "restartPolicy": "Never",
                 "terminationGracePeriodSeconds": 1,
                 "containers": [container("main", "/usr"), container("side", "/etc")]},
    }))
    .expect("a Pod")
}

/// A client that goes through the listener: only a connection can be handed over.
async fn over_tls(cluster: &Cluster) -> Api<Pod> {
    let kubeconfig = Kubeconfig::read_from(cluster.home.path().join("home/kubeconfig")).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Api::default_namespaced(Client::try_from(config).unwrap())
}

async fn runs(cluster: &Cluster, name: &str) -> Api<Pod> {
    cluster.pods().create(&PostParams::default(), &pod(name)).await.expect("the pod is created");
    cluster.wait_pod(name, pod_phase("Running")).await;
    over_tls(cluster).await
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes in time")
}

async fn all(mut stream: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    in_time(stream.read_to_end(&mut bytes)).await.expect("it is read");
    String::from_utf8(bytes).expect("text")
}

async fn until(stream: &mut (impl tokio::io::AsyncRead + Unpin), text: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(text) {
        let byte = in_time(stream.read_u8()).await;
        seen.push(char::from(byte.unwrap_or_else(|_| panic!("no {text:?} in {seen:?}"))));
    }
    seen
}

/// The last word, and the exit code that it tells.
async fn end(process: &mut AttachedProcess) -> (Status, Option<i32>) {
    let status = process.take_status().expect("it is asked once");
    let status = in_time(status).await.expect("there is one");
    let causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
    let code = causes.filter(|cause| cause.reason.as_deref() == Some("ExitCode"));
    let code = code.filter_map(|cause| cause.message.as_ref()?.parse().ok()).next();
    (status, code)
}

fn of(container: &str) -> AttachParams {
    AttachParams::default().container(container).stdout(true).stderr(true)
}

fn sh(script: &str) -> [&str; 3] {
    ["sh", "-c", script]
}

#[tokio::test(flavor = "multi_thread")]
async fn program_runs_in_its_containers_surroundings_and_tells_its_exit_code() {
    let cluster = Cluster::start().await;
    let pods = runs(&cluster, "two").await;
    for (container, said) in [("main", "main /usr\n"), ("side", "side /etc\n")] {
        let script = sh("echo $WHO $PWD; echo err >&2; exit 3");
        let mut process = pods.exec("two", script, &of(container)).await.expect("it runs");
        let (stdout, stderr) = (process.stdout().unwrap(), process.stderr().unwrap());
        let (stdout, stderr) = tokio::join!(all(stdout), all(stderr));
        assert_eq!((stdout.as_str(), stderr.as_str()), (said, "err\n"));
        let (status, code) = end(&mut process).await;
        assert_eq!((status.reason.as_deref(), code), (Some("NonZeroExitCode"), Some(3)));
    }
    let mut process = pods.exec("two", ["true"], &of("main")).await.expect("it runs");
    assert_eq!(end(&mut process).await.0.status.as_deref(), Some("Success"));
    let mut process = pods.exec("two", sh("kill -9 $$"), &of("main")).await.expect("it runs");
    assert_eq!(end(&mut process).await.1, Some(137));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stdin_comes_through_whole_and_its_end_too() {
    let cluster = Cluster::start().await;
    let pods = runs(&cluster, "reader").await;
    let mut process = pods.exec("reader", ["cat"], &of("main").stdin(true)).await.expect("it runs");
    let text = "over the wire and back\n".repeat(200_000);
    let (mut stdin, stdout) = (process.stdin().unwrap(), process.stdout().unwrap());
    let give = async {
        stdin.write_all(text.as_bytes()).await.unwrap();
        stdin.shutdown().await.unwrap();
    };
    let ((), back) = tokio::join!(give, all(stdout));
    assert!(back == text, "{} bytes came back", back.len());
    assert_eq!(end(&mut process).await.0.status.as_deref(), Some("Success"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terminal_is_the_programs_own_and_knows_its_size() {
    let cluster = Cluster::start().await;
    let pods = runs(&cluster, "shell").await;
    let script = sh("trap 'stty size' WINCH; while read line; do echo \"<$line>\"; done; exit 5");
    let params = of("main").stdin(true).stderr(false).tty(true);
    let mut process = pods.exec("shell", script, &params).await.expect("it runs");
    let (mut stdin, mut stdout) = (process.stdin().unwrap(), process.stdout().unwrap());
    stdin.write_all(b"hello\r").await.unwrap();
    until(&mut stdout, "<hello>\r\n").await;
    let mut size = process.terminal_size().unwrap();
    size.send(TerminalSize { width: 101, height: 33 }).await.unwrap();
    // The shell runs its trap when it has read a line.
    stdin.write_all(b"again\r").await.unwrap();
    until(&mut stdout, "33 101\r\n").await;
    stdin.write_all(b"\x04").await.unwrap();
    assert_eq!(end(&mut process).await.1, Some(5));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn program_that_is_not_there_ends_as_in_a_shell() {
    let cluster = Cluster::start().await;
    let pods = runs(&cluster, "wrong").await;
    let mut process = pods.exec("wrong", ["windlass-absent"], &of("main")).await.expect("it is answered");
    let said = all(process.stderr().unwrap()).await;
    assert_eq!(said, "exec: \"windlass-absent\": executable file not found in $PATH\n");
    assert_eq!(end(&mut process).await.1, Some(127));
    let mut process = pods.exec("wrong", ["/etc/passwd"], &of("main")).await.expect("it is answered");
    assert!(all(process.stderr().unwrap()).await.contains("ermission denied"));
    assert_eq!(end(&mut process).await.1, Some(126));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn program_ends_with_its_client() {
    let cluster = Cluster::start().await;
    let pods = runs(&cluster, "left").await;
    let held = cluster.home.path().join("held");
    nix::unistd::mkfifo(&held, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = format!("exec 3> {}; echo up; sleep 600 & wait", held.display());
    let mut process = pods.exec("left", sh(&script), &of("main").stdin(true)).await.expect("it runs");
    let end = std::thread::spawn(move || std::fs::read(held).unwrap());
    until(&mut process.stdout().unwrap(), "up\n").await;
    process.abort();
    let end = tokio::task::spawn_blocking(move || end.join().unwrap());
    assert_eq!(in_time(end).await.unwrap(), b"", "nobody holds the fifo any more");
    let mut process = pods.exec("left", ["true"], &of("main")).await.expect("the container goes on");
    assert_eq!(self::end(&mut process).await.0.status.as_deref(), Some("Success"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn program_ends_with_its_pod() {
    let cluster = Cluster::start().await;
    let pods = runs(&cluster, "gone").await;
    let mut process = pods.exec("gone", sh("echo up; exec sleep 600"), &of("side")).await.expect("it runs");
    let mut stdout = process.stdout().unwrap();
    until(&mut stdout, "up\n").await;
    cluster.pods().delete("gone", &DeleteParams::default()).await.unwrap();
    assert_eq!(all(stdout).await, "");
    assert_eq!(end(&mut process).await.1, Some(137));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_beside_what_does_not_run() {
    let cluster = Cluster::start().await;
    let pods = runs(&cluster, "brief").await;
    let mut process = pods.exec("brief", ["true"], &of("main")).await.unwrap();
    end(&mut process).await;
    let mut short = pod("short");
    for container in &mut short.spec.as_mut().unwrap().containers {
        container.command = Some(vec!["true".to_owned()]);
    }
    cluster.pods().create(&PostParams::default(), &short).await.unwrap();
    cluster.wait_pod("short", pod_phase("Succeeded")).await;
    let refused = pods.exec("short", ["true"], &of("main")).await.err().expect("it has ended").to_string();
    assert!(refused.contains("container not found (\"main\"): it has ended"), "{refused}");
    let nobody = pods.exec("short", ["true"], &of("nobody")).await.err().expect("there is none").to_string();
    assert!(nobody.contains("container nobody is not valid for pod short"), "{nobody}");
    let long = "x".repeat(20_000);
    let mut words = vec!["echo"];
    words.extend([long.as_str(); 2]);
    let mut process = pods.exec("brief", words, &of("main")).await.expect("a long one is one");
    assert_eq!(all(process.stdout().unwrap()).await.len(), 40_002);
    end(&mut process).await;
    let inside = cluster.pods().exec("brief", ["true"], &of("main")).await.err().expect("no connection");
    assert!(inside.to_string().contains("Upgrade request required"), "{inside}");
    cluster.stop().await;
}
