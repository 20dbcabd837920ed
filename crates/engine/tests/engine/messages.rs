//! Termination messages, written by real processes.

#![expect(clippy::needless_pass_by_value, reason = "made by json! where they are used")]

use crate::support::{Cluster, pod_phase};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use kube::api::PostParams;
use kube::runtime::wait::Condition;
use serde_json::{Value, json};

async fn run(cluster: &Cluster, name: &str, containers: Value) -> Option<Pod> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"runtimeClassName": "windlass-host", "restartPolicy": "Never", "containers": containers},
    });
    let pod = serde_json::from_value(pod).expect("a Pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("the pod is created");
    let over = pod_phase("Succeeded").or(pod_phase("Failed")).or(is_refused());
    cluster.wait_pod(name, over).await.filter(|pod| waiting(Some(pod)).is_none())
}

fn container(name: &str, script: &str, more: Value) -> Value {
    let mut container = json!({"name": name, "image": "host", "command": ["sh", "-c", script]});
    for (field, value) in more.as_object().expect("fields") {
        container[field] = value.clone();
    }
    container
}

fn waiting(pod: Option<&Pod>) -> Option<String> {
    let states = pod?.status.as_ref()?.container_statuses.as_ref()?;
    states.iter().find_map(|one| one.state.as_ref()?.waiting.as_ref()?.message.clone())
}

/// The machine may not let this user mount; then the pod says so.
fn is_refused() -> impl Condition<Pod> {
    |pod: Option<&Pod>| {
        let words = ["namespaces of their own", "CAP_SYS_ADMIN"];
        waiting(pod).is_some_and(|message| words.iter().any(|word| message.contains(word)))
    }
}

fn ends(pod: &Pod) -> Vec<ContainerStateTerminated> {
    let statuses =
        pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()).expect("statuses");
    let end = |status: &k8s_openapi::api::core::v1::ContainerStatus| status.state.clone()?.terminated;
    statuses.iter().map(|status| end(status).expect("an end")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn container_finds_a_file_for_its_last_words_and_they_are_in_its_status() {
    let cluster = Cluster::start().await;
    let own =
        container("own", "echo chosen > /windlass-why", json!({"terminationMessagePath": "/windlass-why"}));
    let usual = container("usual", "echo out of luck > /dev/termination-log; exit 3", json!({}));
    let script = "head -c 5000 /dev/zero | tr '\\0' x > $PLACE; printf end >> $PLACE; test -c /dev/null";
    let long =
        container("long", script, json!({"env": [{"name": "PLACE", "value": "/dev/termination-log"}]}));
    if let Some(pod) = run(&cluster, "words", json!([own, usual, long])).await {
        let ends = ends(&pod);
        assert_eq!((ends[0].exit_code, ends[0].message.as_deref()), (0, Some("chosen\n")));
        assert_eq!((ends[1].exit_code, ends[1].message.as_deref()), (3, Some("out of luck\n")));
        let long = ends[2].message.as_deref().expect("a message");
        assert_eq!((ends[2].exit_code, long.len(), &long[4090..]), (0, 4096, "xxxend"));
    }
    for path in ["/windlass-why", "/dev/termination-log"] {
        assert!(!std::path::Path::new(path).exists(), "{path}: nothing is made on the host");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn log_stands_in_for_a_message_only_of_a_container_that_failed() {
    let cluster = Cluster::start().await;
    let fallback = json!({"terminationMessagePolicy": "FallbackToLogsOnError"});
    let many = container("many", "seq 1 5000 | sed 's/^/a line of some length: /'; exit 1", fallback.clone());
    let lines = container("lines", "seq 1 100; exit 1", fallback.clone());
    let fine = container("fine", "echo all is well", fallback);
    let silent = container("silent", "echo not asked; exit 1", json!({}));
    let pod = run(&cluster, "logs", json!([many, lines, fine, silent])).await.expect("no mount is needed");
    let messages: Vec<_> = ends(&pod).into_iter().map(|end| end.message).collect();
    let many = messages[0].as_deref().expect("the end of the log");
    assert_eq!((many.len(), many.ends_with(": 4999\na line of some length: 5000\n")), (2048, true));
    let lines = messages[1].as_deref().expect("the end of the log");
    assert!(lines.starts_with("21\n22\n") && lines.ends_with("\n100\n"), "{lines}");
    assert_eq!((messages[2].as_deref(), messages[3].as_deref()), (None, None));
    cluster.stop().await;
}
