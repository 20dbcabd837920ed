//! An engine whose shim is older than it is.

use crate::support::{Cluster, told};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use windlass_runner::runtime::Key;
use windlass_runner::testing::OlderShim;

/// An engine whose shim is of former days, and runs something, so that it stays.
async fn with_older_shim() -> (Cluster, OlderShim) {
    let mut older = None;
    let cluster = Cluster::with(|config| {
        let shim = OlderShim::listen(&config.home.root().join("shim")).expect("a shim of former days");
        shim.has_run(&Key { pod: "of-nobody".to_owned(), container: "main".to_owned(), attempt: 0 });
        older = Some(shim);
    })
    .await;
    (cluster, older.expect("it was made"))
}

async fn make(cluster: &Cluster, name: &str, lifecycle: Value, limits: Value) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"runtimeClassName": "windlass-host", "restartPolicy": "Never", "containers": [{
            "name": "main", "image": "host", "command": ["sleep", "600"],
            "lifecycle": lifecycle, "resources": {"limits": limits},
        }]},
    });
    let pod = serde_json::from_value(pod).expect("a Pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("the pod is created");
}

fn reason(pod: &Pod) -> Option<&str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let told = conditions.iter().find(|one| one.type_ == "windlass.dev/LimitsEnforced")?;
    told.reason.as_deref().filter(|_| told.status == "False")
}

fn runs(pod: Option<&Pod>) -> bool {
    pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref()) == Some("Running")
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_hooks_that_an_older_shim_knows_nothing_of_are_told_of() {
    let (cluster, _older) = with_older_shim().await;
    let hook = json!({"exec": {"command": ["true"]}});
    make(&cluster, "waits", json!({"postStart": hook}), json!({"memory": "32Mi"})).await;
    let is_told = |pod: Option<&Pod>| pod.and_then(reason) == Some("OlderShim");
    cluster.wait_pod("waits", is_told).await;
    told(&cluster, "waits", "FailedPostStartHook", "PostStartHook waits: ").await;
    told(&cluster, "waits", "LimitsNotEnforced", "windlass down --force").await;

    make(&cluster, "ends", json!({"preStop": hook}), Value::Null).await;
    let running = cluster.wait_pod("ends", runs).await.expect("it is there");
    assert_eq!(reason(&running), None, "it has no limits");
    cluster.pods().delete("ends", &DeleteParams::default().grace_period(600)).await.expect("it is deleted");
    told(&cluster, "ends", "FailedPreStopHook", "PreStopHook is left out: ").await;
    let is_gone = |pod: Option<&Pod>| pod.is_none();
    cluster.wait_pod("ends", is_gone).await;
    cluster.pods().delete("waits", &DeleteParams::default().grace_period(0)).await.expect("it is deleted");
    cluster.wait_pod("waits", is_gone).await;
    cluster.stop().await;
}
