//! GPUs: found on the machine or declared, each pod's its own, told to its processes, and kept over an engine's end.

use std::path::Path;

use crate::support::{Cluster, pod_phase};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use windlass_engine::{Engine, StopPods, StoreKind};

const ASSIGNED: &str = "devices.windlass.dev/assigned";

/// Directories that tell of two GPUs.
fn plant(root: &Path) {
    for (minor, address) in ["0000:3b:00.0", "0000:5e:00.0"].iter().enumerate() {
        let place = root.join("proc/driver/nvidia/gpus").join(address);
        std::fs::create_dir_all(&place).expect("made");
        let text = format!("GPU UUID: \t GPU-{minor}{minor}\nDevice Minor: \t {minor}\n");
        std::fs::write(place.join("information"), text).expect("written");
        std::fs::create_dir_all(root.join("dev")).expect("made");
        std::fs::write(root.join(format!("dev/nvidia{minor}")), "").expect("written");
    }
}

/// A pod that tells what it was told, and stays until it is deleted.
#[expect(clippy::needless_pass_by_value, reason = "made by json! where it is used")]
fn pod(name: &str, requests: Value) -> Value {
    let script = r#"echo "${CUDA_VISIBLE_DEVICES-unset} ${ROCR_VISIBLE_DEVICES-unset}" && exec sleep 1000"#;
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "runtimeClassName": "windlass-host", "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "main", "image": "host", "command": ["sh", "-c", script], "resources": {"limits": requests},
            }],
        },
    })
}

async fn make(cluster: &Cluster, pod: Value) {
    let pod = serde_json::from_value(pod).expect("a Pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("the pod is created");
}

async fn runs(cluster: &Cluster, name: &str) -> Pod {
    cluster.wait_pod(name, pod_phase("Running")).await.expect("the pod")
}

fn assigned(pod: &Pod) -> &str {
    pod.metadata.annotations.as_ref().and_then(|all| all.get(ASSIGNED)).map_or("", String::as_str)
}

/// The first line of a pod that runs on, once it is there.
async fn says(cluster: &Cluster, name: &str) -> String {
    use futures::{AsyncBufReadExt, TryStreamExt};
    runs(cluster, name).await;
    let follow = kube::api::LogParams { follow: true, ..Default::default() };
    let mut lines = cluster.pods().log_stream(name, &follow).await.expect("a log").lines();
    let line =
        tokio::time::timeout(crate::support::PATIENCE, lines.try_next()).await.expect("it speaks in time");
    line.expect("a log").expect("a line")
}

async fn remove(cluster: &Cluster, name: &str) {
    cluster.pods().delete(name, &DeleteParams::default().grace_period(0)).await.expect("deleted");
}

fn one() -> Value {
    json!({"nvidia.com/gpu": 1})
}

#[tokio::test(flavor = "multi_thread")]
async fn each_pod_has_gpus_of_its_own_and_the_next_one_those_that_are_given_back() {
    let machine = tempfile::tempdir().expect("a temporary directory");
    plant(machine.path());
    let cluster = Cluster::with(|config| config.devices = machine.path().to_owned()).await;
    make(&cluster, pod("before", json!({}))).await;
    assert_eq!(says(&cluster, "before").await, "unset unset", "nobody was promised anything");
    make(&cluster, pod("first", one())).await;
    assert_eq!(assigned(&runs(&cluster, "first").await), "nvidia.com/gpu=0000:3b:00.0");
    assert_eq!(says(&cluster, "first").await, "GPU-00 unset");
    make(&cluster, pod("none", json!({}))).await;
    assert_eq!(says(&cluster, "none").await, "GPU-11 unset", "it is told what is left");
    let events = cluster.events_about("none").await;
    let hidden = events.iter().find(|event| event.reason.as_deref() == Some("DevicesHidden"));
    assert_eq!(
        hidden.and_then(|event| event.message.as_deref()),
        Some(
            "1 of 2 nvidia.com/gpu were given to other pods, and are hidden from this one, which asked for none"
        )
    );
    make(&cluster, pod("second", one())).await;
    assert_eq!(says(&cluster, "second").await, "GPU-11 unset");
    make(&cluster, pod("third", one())).await;
    let mut own = pod("own", json!({}));
    own["spec"]["containers"][0]["env"] = json!([{"name": "CUDA_VISIBLE_DEVICES", "value": "7"}]);
    own["metadata"]["annotations"] = json!({ASSIGNED: "nvidia.com/gpu=0000:3b:00.0", "other": "stays"});
    make(&cluster, own).await;
    assert_eq!(says(&cluster, "own").await, "7 unset", "what a container sets itself wins");
    let own = cluster.pods().get("own").await.expect("the pod");
    assert_eq!(
        (assigned(&own), own.metadata.annotations.as_ref().map(std::collections::BTreeMap::len)),
        ("", Some(1))
    );
    remove(&cluster, "second").await;
    assert_eq!(assigned(&runs(&cluster, "third").await), "nvidia.com/gpu=0000:5e:00.0");
    assert_eq!(says(&cluster, "third").await, "GPU-11 unset");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn next_engine_knows_who_has_what_and_counts_the_gpus_anew() {
    let machine = tempfile::tempdir().expect("a temporary directory");
    plant(machine.path());
    let mut cluster = Cluster::with(|config| {
        config.store = StoreKind::Durable;
        config.devices = machine.path().to_owned();
    })
    .await;
    for name in ["first", "second"] {
        make(&cluster, pod(name, one())).await;
        runs(&cluster, name).await;
    }
    remove(&cluster, "first").await;
    cluster.wait_pod("first", |pod: Option<&Pod>| pod.is_none()).await;
    cluster.engine.take().expect("it runs").stop(StopPods::Leave).await;
    let restart = |devices: &Path| {
        let mut config = crate::support::config(&cluster.home);
        config.store = StoreKind::Durable;
        config.devices = devices.to_owned();
        config
    };
    let engine = Engine::start(restart(machine.path())).await.expect("the engine starts again");
    (cluster.client, cluster.engine) = (engine.client(), Some(engine));
    make(&cluster, pod("third", one())).await;
    assert_eq!(assigned(&runs(&cluster, "third").await), "nvidia.com/gpu=0000:3b:00.0");
    cluster.engine.take().expect("it runs").stop(StopPods::End).await;

    let bare = tempfile::tempdir().expect("a temporary directory");
    let engine = Engine::start(restart(bare.path())).await.expect("the engine starts again");
    let nodes: Api<Node> = Api::all(engine.client());
    let status = nodes.get("windlass").await.expect("the node").status.expect("a status");
    assert!(!status.capacity.expect("a capacity").contains_key("nvidia.com/gpu"), "they were taken out");
    engine.stop(StopPods::End).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_devices_are_numbers_and_containers_share_what_their_pod_has() {
    let cluster = Cluster::start().await;
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let declared = json!({"nvidia.com/gpu": "2", "amd.com/gpu": "2", "example.com/widget": "1"});
    let patch = json!({"status": {"capacity": declared, "allocatable": declared}});
    nodes.patch_status("windlass", &PatchParams::default(), &Patch::Merge(patch)).await.expect("patched");
    let mut both = pod("both", json!({"nvidia.com/gpu": 1, "amd.com/gpu": 2, "example.com/widget": 1}));
    let mut second = both["spec"]["containers"][0].clone();
    second["name"] = json!("other");
    second["resources"] = json!({"limits": {"nvidia.com/gpu": 1}});
    both["spec"]["containers"].as_array_mut().expect("a list").push(second);
    let script =
        "echo $CUDA_VISIBLE_DEVICES,$CUDA_DEVICE_ORDER,$NVIDIA_VISIBLE_DEVICES/$ROCR_VISIBLE_DEVICES";
    for container in both["spec"]["containers"].as_array_mut().expect("a list") {
        container["command"] = json!(["sh", "-c", script]);
    }
    make(&cluster, both).await;
    let done = cluster.wait_pod("both", pod_phase("Succeeded")).await.expect("the pod");
    assert_eq!(assigned(&done), "amd.com/gpu=0,1;example.com/widget=0;nvidia.com/gpu=0,1");
    let mut logs = Vec::new();
    for container in ["main", "other"] {
        let of = kube::api::LogParams { container: Some(container.to_owned()), ..Default::default() };
        logs.push(cluster.pods().logs("both", &of).await.expect("a log"));
    }
    assert_eq!(logs, ["0,PCI_BUS_ID,0/0,1\n", "1,PCI_BUS_ID,1/\n"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_in_an_allocation_gives_and_shows_no_gpus_but_those_of_the_allocation() {
    let machine = tempfile::tempdir().expect("a temporary directory");
    plant(machine.path());
    let cluster = Cluster::with(|config| {
        config.devices = machine.path().to_owned();
        config.allotted = [("CUDA_VISIBLE_DEVICES".to_owned(), "1".to_owned())].into();
    })
    .await;
    make(&cluster, pod("none", json!({}))).await;
    assert_eq!(says(&cluster, "none").await, "GPU-11 unset", "the other one is somebody else's");
    make(&cluster, pod("first", one())).await;
    assert_eq!(assigned(&runs(&cluster, "first").await), "nvidia.com/gpu=0000:5e:00.0");
    assert_eq!(says(&cluster, "first").await, "GPU-11 unset");
    let node = Api::<Node>::all(cluster.client.clone()).get("windlass").await.expect("the node");
    let all = node.status.and_then(|status| status.allocatable).expect("allocatable");
    assert_eq!(all["nvidia.com/gpu"].0, "1");
    make(&cluster, pod("late", json!({}))).await;
    assert_eq!(says(&cluster, "late").await, " unset", "nothing is left");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_whose_gpu_is_gone_is_told_so_and_runs_on() {
    use futures::TryStreamExt;
    use kube::runtime::watcher::Event::{Apply, InitApply};
    let machine = tempfile::tempdir().expect("a temporary directory");
    plant(machine.path());
    let mut cluster = Cluster::with(|config| {
        config.store = StoreKind::Durable;
        config.devices = machine.path().to_owned();
    })
    .await;
    make(&cluster, pod("first", one())).await;
    runs(&cluster, "first").await;
    cluster.engine.take().expect("it runs").stop(StopPods::Leave).await;
    std::fs::remove_dir_all(machine.path().join("proc/driver/nvidia/gpus/0000:3b:00.0")).expect("removed");
    let mut config = crate::support::config(&cluster.home);
    config.store = StoreKind::Durable;
    config.devices = machine.path().to_owned();
    let engine = Engine::start(config).await.expect("the engine starts again");
    (cluster.client, cluster.engine) = (engine.client(), Some(engine));
    let events: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(cluster.client.clone(), "default");
    let about =
        kube::runtime::watcher::Config::default().fields("involvedObject.name=first,reason=DeviceGone");
    let told = async {
        let mut told = std::pin::pin!(kube::runtime::watcher(events, about));
        loop {
            if let Apply(event) | InitApply(event) = told.try_next().await.expect("a watch").expect("no end")
            {
                return event.message.unwrap_or_default();
            }
        }
    };
    let message = tokio::time::timeout(crate::support::PATIENCE, told).await.expect("it is told in time");
    assert_eq!(
        message,
        "the device 0000:3b:00.0 (nvidia.com/gpu) that this pod was given is not on the node any more; what runs goes \
         on, and is not started again without it"
    );
    runs(&cluster, "first").await;
    cluster.stop().await;
}
