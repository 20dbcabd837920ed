//! How real processes are told to end, and in which order.

use std::path::Path;
use std::sync::Arc;

use crate::support::{Cluster, Heard, Standing, pod_phase, told};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

/// Says `up` when it is there, and its name when it is told to end.
fn container(name: &str, place: &Path) -> Value {
    let script = format!(
        "trap 'echo {name} > {place}; exit' TERM; echo up > {place}; while :; do sleep 1000 & wait; done",
        place = place.display()
    );
    json!({"name": name, "image": "host", "command": ["sh", "-c", script]})
}

async fn make(cluster: &Cluster, name: &str, spec: Value) {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
    pod["spec"]["runtimeClassName"] = json!("windlass-host");
    let pod: Pod = serde_json::from_value(pod).expect("a Pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("the pod is created");
    cluster.wait_pod(name, pod_phase("Running")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sidecar_of_a_deleted_pod_ends_after_its_container_and_events_name_both() {
    let cluster = Cluster::start().await;
    let place = cluster.home.path().join("said");
    let mut heard = Heard::at(&place);
    let mut side = container("side", &place);
    side["restartPolicy"] = json!("Always");
    make(&cluster, "both", json!({"initContainers": [side], "containers": [container("main", &place)]}))
        .await;
    assert_eq!([heard.next().await, heard.next().await], ["up", "up"]);
    cluster.pods().delete("both", &DeleteParams::default().grace_period(600)).await.expect("it is deleted");
    assert_eq!([heard.next().await, heard.next().await], ["main", "side"]);
    told(&cluster, "both", "Killing", "Stopping container side").await;
    let events: Api<Event> = Api::namespaced(cluster.client.clone(), "default");
    for (field, name) in [("spec.initContainers{side}", "side"), ("spec.containers{main}", "main")] {
        let list = ListParams::default().fields(&format!("involvedObject.fieldPath={field}"));
        let list = events.list(&list).await.expect("a list").items;
        let said: Vec<_> = list.iter().filter_map(|event| event.message.clone()).collect();
        for message in ["Container created", "Container started", &format!("Stopping container {name}")] {
            assert!(said.iter().any(|said| said == message), "{field}: {said:?}");
        }
        let source = list[0].source.clone().expect("a source");
        assert_eq!(
            (source.component.as_deref(), source.host.as_deref()),
            (Some("kubelet"), Some("windlass"))
        );
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_that_is_gone_at_once_is_told_to_end_all_the_same() {
    // Its clock stands still: however slowly the shell runs, it is not killed before it has spoken.
    let cluster = Cluster::with(|config| config.world = Arc::new(Standing::default())).await;
    let place = cluster.home.path().join("said");
    let mut heard = Heard::at(&place);
    for (name, grace, delete) in
        [("forced", 600, DeleteParams::default().grace_period(0)), ("hasty", 0, DeleteParams::default())]
    {
        let containers = json!([container(name, &place)]);
        make(&cluster, name, json!({"containers": containers, "terminationGracePeriodSeconds": grace})).await;
        assert_eq!(heard.next().await, "up");
        cluster.pods().delete(name, &delete).await.expect("it is deleted");
        assert!(cluster.pods().get_opt(name).await.expect("an answer").is_none(), "nobody waits for its end");
        assert_eq!(heard.next().await, name);
    }
    cluster.stop().await;
}
