//! Volumes of pods, seen by a plain Kubernetes client and by the processes that mount them.

#![expect(clippy::needless_pass_by_value, reason = "made by json! where they are used")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::support::{Cluster, Heard, Standing, pod_phase};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, Secret};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::wait::Condition;
use serde_json::{Value, json};

pub(crate) fn pod(name: &str, volumes: Value, containers: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "v"}},
        "spec": {
            "runtimeClassName": "windlass-host", "restartPolicy": "Never", "volumes": volumes,
            "containers": containers,
        },
    })
}

pub(crate) fn container(name: &str, script: &str, mounts: Value) -> Value {
    json!({"name": name, "image": "host", "command": ["sh", "-c", script], "volumeMounts": mounts})
}

pub(crate) async fn make(cluster: &Cluster, pod: Value) -> Pod {
    let pod = serde_json::from_value(pod).expect("a Pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("the pod is created")
}

async fn make_config(cluster: &Cluster) {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    let map = json!({"metadata": {"name": "settings"}, "data": {"a.conf": "from the map\n", "b.conf": "b"}});
    let map = serde_json::from_value(map).expect("a ConfigMap");
    maps.create(&PostParams::default(), &map).await.expect("created");
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), "default");
    let secret = json!({"metadata": {"name": "key"}, "stringData": {"token": "hunter2\n"}});
    let secret = serde_json::from_value(secret).expect("a Secret");
    secrets.create(&PostParams::default(), &secret).await.expect("created");
}

/// The reason and message of the first container that waits.
fn waiting(pod: Option<&Pod>) -> Option<(String, String)> {
    let states = pod?.status.as_ref()?.container_statuses.as_ref()?;
    let waiting = states.iter().find_map(|one| one.state.as_ref()?.waiting.clone())?;
    Some((waiting.reason?, waiting.message?))
}

fn is_told() -> impl Condition<Pod> {
    |pod: Option<&Pod>| waiting(pod).is_some()
}

/// The machine may not let this user mount; then the pod says so, and the test goes no further.
pub(crate) async fn runs(cluster: &Cluster, name: &str) -> bool {
    let over = pod_phase("Succeeded").or(pod_phase("Failed")).or(is_told());
    let pod = cluster.wait_pod(name, over).await;
    match waiting(pod.as_ref()) {
        Some((_, message))
            if message.contains("namespaces of their own") || message.contains("CAP_SYS_ADMIN") =>
        {
            skip(&message);
            false
        }
        Some(waits) => panic!("{name} waits: {waits:?}"),
        None => true,
    }
}

#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn skip(why: &str) {
    eprintln!("left out: {why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_share_a_pods_volumes_at_their_mount_paths() {
    let cluster = Cluster::start().await;
    make_config(&cluster).await;
    let host = cluster.home.path().join("data");
    std::fs::create_dir(&host).expect("a directory");
    let volumes = json!([
        {"name": "work", "emptyDir": {"sizeLimit": "1Gi"}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
        {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "key", "secret": {"secretName": "key", "defaultMode": 0o644}},
        {"name": "about", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"name": "data", "hostPath": {"path": host, "type": "Directory"}},
    ]);
    let first = container(
        "first",
        "echo shared > /work/file; echo in memory > /memory/file; mkdir /work/sub; echo part > /work/sub/part",
        json!([{"name": "work", "mountPath": "/work"}, {"name": "memory", "mountPath": "/memory"}]),
    );
    let script = "cat /work/file /memory/file /etc/app/a.conf /one.conf /run/secrets/key/token /about/labels /part/part; \
                  echo; stat -L -c %a /run/secrets/key/token; echo x 2>/dev/null > /etc/app/new || echo read-only; \
                  echo result > /data/result; stat -f -c %T /memory";
    let main = container(
        "main",
        script,
        json!([
            {"name": "work", "mountPath": "/work", "readOnly": true},
            {"name": "memory", "mountPath": "/memory"},
            {"name": "settings", "mountPath": "/etc/app"},
            {"name": "settings", "mountPath": "/one.conf", "subPath": "b.conf"},
            {"name": "key", "mountPath": "/run/secrets/key"},
            {"name": "about", "mountPath": "/about"},
            {"name": "work", "mountPath": "/part", "subPath": "sub"},
            {"name": "data", "mountPath": "/data"},
        ]),
    );
    let mut all = pod("all", volumes, json!([main]));
    all["spec"]["initContainers"] = json!([first]);
    make(&cluster, all).await;
    if runs(&cluster, "all").await {
        assert_eq!(
            cluster.log("all").await,
            "shared\nin memory\nfrom the map\nbhunter2\napp=\"v\"part\n\n644\nread-only\ntmpfs\n"
        );
        assert_eq!(std::fs::read_to_string(host.join("result")).expect("the host has it"), "result\n");
    }
    assert!(!Path::new("/one.conf").exists() && !Path::new("/about").exists(), "nothing is made on the host");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_whose_volume_is_not_there_waits_and_starts_when_it_comes() {
    let cluster = Cluster::start().await;
    let volumes = json!([{"name": "settings", "configMap": {"name": "settings"}}]);
    let mounts = json!([{"name": "settings", "mountPath": "/etc/app"}]);
    make(&cluster, pod("late", volumes, json!([container("main", "cat /etc/app/b.conf", mounts)]))).await;
    let waits = cluster.wait_pod("late", is_told()).await;
    let message = "MountVolume.SetUp failed for volume \"settings\" : configmap \"settings\" not found";
    assert_eq!(waiting(waits.as_ref()), Some(("ContainerCreating".to_owned(), message.to_owned())));
    let events: Vec<Event> = cluster.events_about("late").await;
    let told = events.iter().find(|event| event.reason.as_deref() == Some("FailedMount")).expect("an event");
    assert_eq!(told.message.as_deref(), Some(message));
    make_config(&cluster).await;
    let over = cluster.wait_pod("late", pod_phase("Succeeded").or(is_refused())).await;
    if waiting(over.as_ref()).is_none() {
        assert_eq!(cluster.log("late").await, "b");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_map_change_all_at_once_while_the_pod_runs_and_one_that_is_mounted_alone_does_not() {
    let cluster = Cluster::start().await;
    make_config(&cluster).await;
    let ready = cluster.home.path().join("ready");
    let mut heard = Heard::at(&ready);
    let script = format!(
        "cat /etc/app/b.conf; echo read > {}; until grep -qs new /etc/app/a.conf; do sleep 0.1; done; \
         cat /etc/app/b.conf /one.conf; readlink /etc/app/a.conf; ls /etc/app",
        ready.display()
    );
    let volumes = json!([{"name": "settings", "configMap": {"name": "settings"}}]);
    let mounts = json!([
        {"name": "settings", "mountPath": "/etc/app"},
        {"name": "settings", "mountPath": "/one.conf", "subPath": "b.conf"},
    ]);
    make(&cluster, pod("reader", volumes, json!([container("main", &script, mounts)]))).await;
    let pod = cluster.wait_pod("reader", pod_phase("Running").or(is_refused())).await;
    if let Some((_, message)) = waiting(pod.as_ref()) {
        return skip(&message);
    }
    assert_eq!(heard.next().await, "read");
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    let patch = Patch::Merge(json!({"data": {"a.conf": "new", "b.conf": "changed"}}));
    maps.patch("settings", &PatchParams::default(), &patch).await.expect("patched");
    cluster.wait_pod("reader", pod_phase("Succeeded")).await;
    assert_eq!(cluster.log("reader").await, "bchangedb..data/a.conf\na.conf\nb.conf\n");
    cluster.stop().await;
}

fn is_refused() -> impl Condition<Pod> {
    |pod: Option<&Pod>| waiting(pod).is_some_and(|(reason, _)| reason == "CreateContainerConfigError")
}

#[tokio::test(flavor = "multi_thread")]
async fn volume_that_cannot_be_mounted_is_refused_with_the_reason() {
    let cluster = Cluster::start().await;
    let file = cluster.home.path().join("file");
    std::fs::write(&file, "x").expect("a file");
    for (name, source, path, words) in [
        (
            "nfs",
            json!({"nfs": {"server": "s", "path": "/"}}),
            "/mnt",
            "nfs is not among the volumes of a host process",
        ),
        ("kernel", json!({"emptyDir": {}}), "/proc/x", "nothing can be mounted at /proc/x"),
        ("kind", json!({"hostPath": {"path": file, "type": "Directory"}}), "/mnt", "is not a directory"),
    ] {
        let mut volume = json!({"name": "v"});
        volume.as_object_mut().expect("a map").extend(source.as_object().expect("a map").clone());
        let mounts = json!([{"name": "v", "mountPath": path}]);
        make(&cluster, pod(name, json!([volume]), json!([container("main", "true", mounts)]))).await;
        let waits = cluster.wait_pod(name, is_told()).await;
        let (reason, message) = waiting(waits.as_ref()).expect("it waits");
        if message.contains("namespaces of their own") || message.contains("CAP_SYS_ADMIN") {
            skip(&message);
            break;
        }
        assert!(message.contains(words), "{name}: {reason}: {message}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_that_fills_an_empty_directory_beyond_its_limit_is_evicted_and_one_that_does_not_stays() {
    let clock = Arc::new(Standing::default());
    let cluster = Cluster::with(|config| config.world = clock.clone()).await;
    let volume = json!([{"name": "cache", "emptyDir": {"sizeLimit": "1Mi"}}]);
    let mounts = json!([{"name": "cache", "mountPath": "/windlass-cache"}]);
    let ready = cluster.home.path().join("ready");
    let mut heard = Heard::at(&ready);
    for (name, blocks) in [("modest", 100), ("greedy", 2000)] {
        let script = format!(
            "dd if=/dev/zero of=/windlass-cache/file bs=1k count={blocks} 2> /dev/null; echo {name} > {}; exec sleep 1000",
            ready.display()
        );
        make(&cluster, pod(name, volume.clone(), json!([container("main", &script, mounts.clone())]))).await;
        let pod = cluster.wait_pod(name, pod_phase("Running").or(is_told())).await;
        if let Some((_, message)) = waiting(pod.as_ref()) {
            return skip(&message);
        }
        assert_eq!(heard.next().await, name);
    }
    // Whatever happens makes the controllers look at the clock.
    clock.ahead.store(11, Ordering::Relaxed);
    make_config(&cluster).await;
    let gone =
        cluster.wait_pod("greedy", pod_phase("Failed")).await.and_then(|pod| pod.status).expect("a status");
    let message = "Usage of EmptyDir volume \"cache\" exceeds the limit \"1Mi\". ";
    assert_eq!((gone.reason.as_deref(), gone.message.as_deref()), (Some("Evicted"), Some(message)));
    let events = cluster.events_about("greedy").await;
    assert!(events.iter().any(|event| event.reason.as_deref() == Some("Evicted")), "{events:#?}");
    let modest = cluster.pods().get("modest").await.expect("a pod").status.expect("a status");
    assert_eq!(modest.phase.as_deref(), Some("Running"));
    cluster.stop().await;
}
