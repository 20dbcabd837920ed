//! Limits of real processes, as the API tells them: enforced, or with a condition that says why not.

use crate::support::{Cluster, pod_phase};
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use kube::api::PostParams;
use kube::runtime::wait::Condition;
use serde_json::{Value, json};

async fn run(cluster: &Cluster, name: &str, command: &str, limits: Value) -> Pod {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"runtimeClassName": "windlass-host", "restartPolicy": "Never", "containers": [{
            "name": "main", "image": "host", "command": ["sh", "-c", command], "resources": {"limits": limits},
        }]},
    });
    let pod = serde_json::from_value(pod).expect("a Pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("the pod is created");
    cluster.wait_pod(name, pod_phase("Succeeded").or(pod_phase("Failed"))).await.expect("the pod is there")
}

fn not_enforced(pod: &Pod) -> Option<&PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|one| one.type_ == "windlass.dev/LimitsEnforced")
}

/// The container's exit code and reason.
fn end(pod: &Pod) -> (i32, String) {
    let status =
        &pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()).expect("statuses")[0];
    let end = status.state.as_ref().and_then(|state| state.terminated.as_ref()).expect("an end");
    (end.exit_code, end.reason.clone().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_limit_ends_a_container_or_the_pod_says_that_it_does_not() {
    let cluster = Cluster::start().await;
    let small = run(&cluster, "small", "echo fine", json!({"memory": "32Mi", "cpu": "500m"})).await;
    assert_eq!(end(&small), (0, "Completed".to_owned()));
    let events: Vec<_> =
        cluster.events_about("small").await.into_iter().filter_map(|event| event.reason).collect();
    let told = events.iter().filter(|reason| *reason == "LimitsNotEnforced").count();
    if let Some(condition) = not_enforced(&small) {
        assert_eq!((condition.status.as_str(), told), ("False", 1));
        let message = condition.message.as_deref().expect("a message");
        assert!(message.contains("not enforced: ") && condition.reason.is_some(), "{message}");
    } else {
        assert_eq!(told, 0);
        let hog = run(&cluster, "hog", "tail /dev/zero", json!({"memory": "32Mi"})).await;
        assert_eq!(end(&hog).1, "OOMKilled");
        let killed = run(&cluster, "killed", "kill -9 $$", json!({"memory": "32Mi"})).await;
        assert_eq!(end(&killed), (137, "Error".to_owned()));
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_without_limits_has_neither_a_group_nor_a_condition() {
    let cluster = Cluster::start().await;
    let free = run(&cluster, "free", "cat /proc/self/cgroup", json!({})).await;
    assert_eq!(not_enforced(&free), None);
    assert!(!cluster.log("free").await.contains("/run-"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_may_bound_the_processes_of_every_container() {
    let cluster = Cluster::with(|config| config.pids = Some(12)).await;
    let script = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do sleep 1000 & done; echo all";
    let bomb = run(&cluster, "bomb", script, json!({})).await;
    match not_enforced(&bomb) {
        None => assert!(end(&bomb).0 != 0 && !cluster.log("bomb").await.contains("all")),
        Some(condition) => {
            assert!(condition.message.as_deref().expect("a message").contains("process limit"));
        }
    }
    cluster.stop().await;
}
