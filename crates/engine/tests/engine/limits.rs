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
        let killed = run(&cluster, "killed", "kill -9 $$$$", json!({"memory": "32Mi"})).await;
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

/// What its container's status says.
fn told(pod: &Pod, field: &str) -> Value {
    let status = serde_json::to_value(pod).expect("a pod");
    status["status"]["containerStatuses"][0][field].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_what_the_process_has_of_what_was_asked_for() {
    let cluster = Cluster::start().await;
    let asked = json!({"memory": "64Mi", "cpu": "500m"});
    let limited = run(&cluster, "limited", "true", asked.clone()).await;
    assert_eq!(told(&limited, "allocatedResources"), asked, "requests are the limits where none are said");
    let expected = match not_enforced(&limited) {
        Some(_) => json!({"requests": asked}),
        None => json!({"limits": asked, "requests": asked}),
    };
    assert_eq!(told(&limited, "resources"), expected);
    let free = run(&cluster, "free", "true", json!({})).await;
    for field in ["resources", "allocatedResources", "user"] {
        assert_eq!(told(&free, field), Value::Null, "{field}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_the_user_and_the_groups_that_the_process_found_itself_with() {
    let cluster = Cluster::start().await;
    // A group that whoever runs this is in: nobody else's can be had without being root.
    let group = nix::unistd::getgid().as_raw();
    let script = "echo $(id -u) $(id -g) $(sed -n 's/^Groups://p' /proc/self/status) > /dev/termination-log";
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "known"},
        "spec": {
            "runtimeClassName": "windlass-host", "restartPolicy": "Never",
            "securityContext": {"runAsGroup": group},
            "containers": [{"name": "main", "image": "host", "command": ["sh", "-c", script]}],
        },
    });
    let pod = serde_json::from_value(pod).expect("a Pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("the pod is created");
    let waits =
        |pod: Option<&Pod>| pod.is_some_and(|pod| told(pod, "state")["waiting"]["message"].is_string());
    let over = pod_phase("Succeeded").or(pod_phase("Failed")).or(waits);
    let pod = cluster.wait_pod("known", over).await.expect("the pod is there");
    // Where the machine does not let this user mount, there are no last words.
    if told(&pod, "state")["waiting"].is_null() {
        let user = told(&pod, "user")["linux"].clone();
        let words = told(&pod, "state")["terminated"]["message"].as_str().expect("its words").to_owned();
        let mut said = vec![user["uid"].to_string(), user["gid"].to_string()];
        said.extend(user["supplementalGroups"].as_array().expect("groups").iter().map(Value::to_string));
        assert_eq!(words.split_whitespace().collect::<Vec<_>>(), said);
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_a_secret_reach_the_process_as_they_are() {
    let cluster = Cluster::start().await;
    let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> =
        kube::Api::namespaced(cluster.client.clone(), "default");
    let secret = json!({"metadata": {"name": "raw"}, "data": {"key": "/2H+"}});
    let secret = serde_json::from_value(secret).expect("a Secret");
    secrets.create(&PostParams::default(), &secret).await.expect("created");
    let script = "test \"$(printf %s \"$RAW\" | od -An -tx1)\" = ' ff 61 fe'";
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "reader"},
        "spec": {"runtimeClassName": "windlass-host", "restartPolicy": "Never", "containers": [{
            "name": "main", "image": "host", "command": ["sh", "-c", script],
            "env": [{"name": "RAW", "valueFrom": {"secretKeyRef": {"name": "raw", "key": "key"}}}],
        }]},
    });
    let pod = serde_json::from_value(pod).expect("a Pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("the pod is created");
    let over = pod_phase("Succeeded").or(pod_phase("Failed"));
    let pod = cluster.wait_pod("reader", over).await.expect("the pod is there");
    assert_eq!(end(&pod), (0, "Completed".to_owned()));
    cluster.stop().await;
}
