//! Claims and their volumes, seen by a plain Kubernetes client and by the pods that use them.

use crate::support::{Cluster, PATIENCE, pod_phase};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{Condition, await_condition, conditions};
use serde_json::{Value, json};
use windlass_engine::{Engine, StopPods, StoreKind};

struct Storage {
    cluster: Cluster,
    claims: Api<PersistentVolumeClaim>,
    volumes: Api<PersistentVolume>,
}

impl Storage {
    async fn start() -> Storage {
        let cluster = Cluster::start().await;
        let claims = Api::namespaced(cluster.client.clone(), "default");
        let volumes = Api::all(cluster.client.clone());
        Storage { cluster, claims, volumes }
    }

    async fn claim(&self, name: &str, spec: Value) -> PersistentVolumeClaim {
        let mut whole =
            json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        whole.as_object_mut().expect("a map").extend(spec.as_object().expect("a map").clone());
        let claim =
            serde_json::from_value(json!({"metadata": {"name": name}, "spec": whole})).expect("a claim");
        self.claims.create(&PostParams::default(), &claim).await.expect("created")
    }

    async fn volume(&self, name: &str, spec: Value) -> PersistentVolume {
        let mut whole = json!({
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": self.directory(name)},
        });
        whole.as_object_mut().expect("a map").extend(spec.as_object().expect("a map").clone());
        let volume =
            serde_json::from_value(json!({"metadata": {"name": name}, "spec": whole})).expect("a volume");
        self.volumes.create(&PostParams::default(), &volume).await.expect("created")
    }

    fn directory(&self, name: &str) -> String {
        let path = self.cluster.home.path().join(name);
        std::fs::create_dir_all(&path).expect("a directory");
        path.display().to_string()
    }

    async fn pod(&self, name: &str, claim: &str, script: &str) -> Pod {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {
                "runtimeClassName": "windlass-host", "restartPolicy": "Never",
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
                "containers": [{
                    "name": "main", "image": "host", "command": ["sh", "-c", script],
                    "volumeMounts": [{"name": "data", "mountPath": "/windlass-claim"}],
                }],
            },
        });
        let pod = serde_json::from_value(pod).expect("a Pod");
        self.cluster.pods().create(&PostParams::default(), &pod).await.expect("created")
    }

    async fn bound(&self, name: &str) -> PersistentVolumeClaim {
        let waiting = Box::pin(await_condition(self.claims.clone(), name, claim_phase("Bound")));
        let claim = tokio::time::timeout(PATIENCE, waiting).await.expect("it is bound in time");
        claim.expect("a watch").expect("the claim is there")
    }

    async fn comes(&self, name: &str, phase: &'static str) {
        let waiting = Box::pin(await_condition(self.volumes.clone(), name, volume_phase(phase)));
        let last = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(last.is_ok(), "{name} never was {phase}: {:?}", self.volumes.get(name).await);
    }
}

fn claim_phase(phase: &'static str) -> impl Condition<PersistentVolumeClaim> {
    move |claim: Option<&PersistentVolumeClaim>| {
        claim.and_then(|c| c.status.as_ref()).and_then(|s| s.phase.as_deref()) == Some(phase)
    }
}

fn volume_phase(phase: &'static str) -> impl Condition<PersistentVolume> {
    move |volume: Option<&PersistentVolume>| {
        volume.and_then(|v| v.status.as_ref()).and_then(|s| s.phase.as_deref()) == Some(phase)
    }
}

fn waits_for(words: &'static str) -> impl Condition<Pod> {
    move |pod: Option<&Pod>| {
        let conditions = pod.and_then(|p| p.status.as_ref()).and_then(|s| s.conditions.as_ref());
        conditions.into_iter().flatten().any(|c| c.message.as_deref().is_some_and(|m| m.contains(words)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_of_the_local_class_gets_a_directory_when_a_pod_uses_it_and_loses_it_with_the_claim() {
    let storage = Storage::start().await;
    let classes: Api<StorageClass> = Api::all(storage.cluster.client.clone());
    let class = classes.get("local").await.expect("the class");
    assert_eq!(class.provisioner, "windlass.dev/local");
    let made = storage.claim("data", json!({})).await;
    let spec = made.spec.expect("a spec");
    assert_eq!(spec.storage_class_name.as_deref(), Some("local"), "it is the default");
    storage.pod("first", "data", "echo kept > /windlass-claim/file").await;
    let bound = storage.bound("data").await;
    let volume = bound.spec.and_then(|spec| spec.volume_name).expect("a volume");
    let refused = |pod: Option<&Pod>| {
        let states = pod.and_then(|p| p.status.as_ref()).and_then(|s| s.container_statuses.as_ref());
        states.into_iter().flatten().any(|one| {
            let waiting =
                one.state.as_ref().and_then(|s| s.waiting.as_ref()).and_then(|w| w.reason.as_deref());
            waiting == Some("CreateContainerConfigError")
        })
    };
    let over = storage.cluster.wait_pod("first", pod_phase("Succeeded").or(refused)).await;
    if !refused(over.as_ref()) {
        storage.pod("second", "data", "cat /windlass-claim/file").await;
        storage.cluster.wait_pod("second", pod_phase("Succeeded")).await;
        assert_eq!(storage.cluster.log("second").await, "kept\n");
    }
    let found = storage.volumes.get(&volume).await.expect("the volume");
    let path = found.spec.and_then(|spec| spec.host_path).expect("a directory").path;
    assert!(path.contains("/home/volumes/pvc-"), "{path}");
    for pod in ["first", "second"] {
        let _ = storage.cluster.pods().delete(pod, &DeleteParams::default()).await;
    }
    storage.claims.delete("data", &DeleteParams::default()).await.expect("deleted");
    let uid = found.metadata.uid.expect("a uid");
    let gone = await_condition(storage.volumes.clone(), &volume, conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("the volume goes with its claim").expect("a watch");
    storage.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn host_directory_is_bound_to_a_claim_without_a_class_and_kept() {
    let storage = Storage::start().await;
    storage.pod("early", "shared", "cat /windlass-claim/file").await;
    storage.cluster.wait_pod("early", waits_for("persistentvolumeclaim \"shared\" not found")).await;
    storage.claim("shared", json!({"storageClassName": ""})).await;
    storage.cluster.wait_pod("early", waits_for("pod has unbound immediate PersistentVolumeClaims")).await;
    storage.volume("disk", json!({"storageClassName": ""})).await;
    std::fs::write(storage.directory("disk") + "/file", "on disk\n").expect("written");
    let bound = storage.bound("shared").await;
    assert_eq!(bound.spec.and_then(|spec| spec.volume_name).as_deref(), Some("disk"));
    storage.comes("disk", "Bound").await;
    let scheduled = |pod: Option<&Pod>| {
        pod.and_then(|p| p.spec.as_ref()).and_then(|s| s.node_name.as_deref()) == Some("windlass")
    };
    storage.cluster.wait_pod("early", scheduled).await;
    storage.claims.delete("shared", &DeleteParams::default()).await.expect("deleted");
    let pods = storage.cluster.pods();
    pods.delete("early", &DeleteParams::default().grace_period(0)).await.expect("deleted");
    storage.comes("disk", "Released").await;
    assert!(std::path::Path::new(&(storage.directory("disk") + "/file")).exists(), "what it holds is kept");
    storage.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_of_a_pod_that_waits_for_room_gets_its_volume_only_when_the_pod_fits() {
    let storage = Storage::start().await;
    let cluster = &storage.cluster;
    let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(cluster.client.clone());
    let node = nodes.get("windlass").await.expect("the node");
    let all = node.status.and_then(|status| status.allocatable).expect("allocatable")["cpu"].0.clone();
    let pod = |name: &str, argv: &[&str], cpu: &str, volumes: Value| {
        let resources = json!({"requests": {"cpu": cpu}});
        let main = json!({"name": "main", "image": "host", "command": argv, "resources": resources});
        let spec = json!({"runtimeClassName": "windlass-host", "restartPolicy": "Never", "volumes": volumes,
            "terminationGracePeriodSeconds": 0, "containers": [main]});
        serde_json::from_value::<Pod>(json!({"metadata": {"name": name}, "spec": spec})).expect("a Pod")
    };
    let create = PostParams::default();
    let first = pod("first", &["sleep", "1000"], &all, json!([]));
    cluster.pods().create(&create, &first).await.expect("created");
    cluster.wait_pod("first", pod_phase("Running")).await;
    storage.claim("data", json!({})).await;
    let data = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    let second = pod("second", &["true"], "1", data);
    cluster.pods().create(&create, &second).await.expect("created");
    cluster.wait_pod("second", waits_for("1 Insufficient cpu")).await;
    let claim = storage.claims.get("data").await.expect("the claim");
    assert_eq!(claim.status.and_then(|status| status.phase).as_deref(), Some("Pending"));
    assert!(storage.volumes.list(&ListParams::default()).await.expect("a list").items.is_empty());
    cluster.pods().delete("first", &DeleteParams::default().grace_period(0)).await.expect("deleted");
    storage.bound("data").await;
    cluster.wait_pod("second", pod_phase("Succeeded")).await;
    storage.cluster.stop().await;
}

fn is_placed(pod: Option<&Pod>) -> bool {
    pod.and_then(|p| p.spec.as_ref()).and_then(|s| s.node_name.as_deref()) == Some("windlass")
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_for_one_pod_at_a_time_keeps_the_second_waiting() {
    let storage = Storage::start().await;
    storage.claim("mutex", json!({"accessModes": ["ReadWriteOncePod"]})).await;
    storage.pod("first", "mutex", "sleep 1000").await;
    storage.cluster.wait_pod("first", is_placed).await;
    storage.pod("second", "mutex", "true").await;
    let words = "1 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod";
    storage.cluster.wait_pod("second", waits_for(words)).await;
    let pods = storage.cluster.pods();
    pods.delete("first", &DeleteParams::default().grace_period(0)).await.expect("deleted");
    storage.cluster.wait_pod("second", is_placed).await;
    storage.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_one_job_take_turns_with_a_claim_for_one_pod() {
    let storage = Storage::start().await;
    storage.claim("mutex", json!({"accessModes": ["ReadWriteOncePod"]})).await;
    let mut spec = crate::support::job("turns", &["sleep", "1000"]);
    spec["spec"]["parallelism"] = json!(2);
    spec["spec"]["completions"] = json!(2);
    spec["spec"]["template"]["spec"]["volumes"] =
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": "mutex"}}]);
    storage.cluster.create(spec).await;
    storage.bound("mutex").await;
    let waits = |job: Option<&k8s_openapi::api::batch::v1::Job>| {
        job.and_then(|j| j.status.as_ref()).and_then(|s| s.ready).is_some_and(|n| n > 0)
    };
    storage.cluster.wait_job("turns", waits).await;
    let pods = storage.cluster.pods_of("turns").await;
    assert_eq!(pods.iter().filter(|pod| is_placed(Some(pod))).count(), 1, "{pods:#?}");
    storage.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_that_is_being_deleted_takes_no_new_pods() {
    let storage = Storage::start().await;
    storage.claim("data", json!({})).await;
    storage.pod("first", "data", "sleep 1000").await;
    storage.bound("data").await;
    storage.cluster.wait_pod("first", is_placed).await;
    storage.claims.delete("data", &DeleteParams::default()).await.expect("deleted");
    storage.pod("second", "data", "true").await;
    storage.cluster.wait_pod("second", waits_for("persistentvolumeclaim \"data\" is being deleted")).await;
    let pods = storage.cluster.pods();
    pods.delete("first", &DeleteParams::default().grace_period(0)).await.expect("deleted");
    storage.cluster.wait_pod("second", waits_for("persistentvolumeclaim \"data\" not found")).await;
    storage.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_that_only_an_annotation_calls_ours_is_kept() {
    let mut storage = Storage::start().await;
    let path = storage.directory("precious");
    std::fs::write(format!("{path}/file"), "mine").expect("written");
    let volume = json!({
        "metadata": {"name": "copied", "annotations": {"pv.kubernetes.io/provisioned-by": "windlass.dev/local"}},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": path},
            "storageClassName": "", "persistentVolumeReclaimPolicy": "Delete",
        },
    });
    let volume = serde_json::from_value(volume).expect("a volume");
    storage.volumes.create(&PostParams::default(), &volume).await.expect("created");
    storage.claim("data", json!({"storageClassName": "", "volumeName": "copied"})).await;
    storage.bound("data").await;
    storage.claims.delete("data", &DeleteParams::default()).await.expect("deleted");
    storage.comes("copied", "Failed").await;
    let engine = storage.cluster.engine.take().expect("it runs");
    engine.stop(windlass_engine::StopPods::End).await;
    assert!(std::path::Path::new(&path).join("file").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_that_a_dying_engine_was_about_to_give_up_goes_with_the_next_one_unless_its_volume_stayed()
{
    let durable = |config: &mut windlass_engine::Config| config.store = StoreKind::Durable;
    let mut cluster = Cluster::with(durable).await;
    let volume = json!({
        "metadata": {"name": "stayed"},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/tmp"}},
    });
    let volumes: Api<PersistentVolume> = Api::all(cluster.client.clone());
    let volume = serde_json::from_value(volume).expect("a volume");
    volumes.create(&PostParams::default(), &volume).await.expect("created");
    cluster.engine.take().expect("it runs").stop(StopPods::Leave).await;

    let place = cluster.home.path().join("home/volumes");
    for name in ["went", "stayed", "retained"] {
        std::fs::create_dir_all(place.join(name).join("inside")).expect("made");
    }
    for note in [".going-went", ".going-stayed", ".going-never-mounted"] {
        std::fs::write(place.join(note), "").expect("noted");
    }
    let mut config = crate::support::config(&cluster.home);
    durable(&mut config);
    let engine = Engine::start(config).await.expect("the engine starts again");
    engine.stop(StopPods::End).await;
    let mut left: Vec<String> = std::fs::read_dir(&place)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        // What is given up has another name, and is removed at leisure.
        .filter(|name| name != ".gone-went")
        .collect();
    left.sort();
    assert_eq!(left, ["retained", "stayed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn volume_that_is_deleted_before_its_claim_takes_its_directory_along() {
    let mut storage = Storage::start().await;
    storage.claim("data", json!({})).await;
    storage.pod("first", "data", "sleep 1000").await;
    let bound = storage.bound("data").await;
    let name = bound.spec.and_then(|spec| spec.volume_name).expect("a volume");
    let volume = storage.volumes.get(&name).await.expect("the volume");
    let path = volume.spec.and_then(|spec| spec.host_path).expect("a directory").path;
    std::fs::create_dir_all(format!("{path}/inside")).expect("made");
    storage.volumes.delete(&name, &DeleteParams::default()).await.expect("deleted");
    storage.claims.delete("data", &DeleteParams::default()).await.expect("deleted");
    let pods = storage.cluster.pods();
    pods.delete("first", &DeleteParams::default().grace_period(0)).await.expect("deleted");
    let uid = volume.metadata.uid.expect("a uid");
    let gone = await_condition(storage.volumes.clone(), &name, conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("the volume goes with its claim").expect("a watch");
    // What is given up has another name when the engine has stopped at the latest; it is removed at leisure.
    let engine = storage.cluster.engine.take().expect("it runs");
    engine.stop(windlass_engine::StopPods::End).await;
    assert!(!std::path::Path::new(&path).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn volume_of_other_nodes_is_bound_and_its_pod_waits_until_this_node_is_one_of_them() {
    let storage = Storage::start().await;
    let rack = json!({"key": "rack", "operator": "In", "values": ["b"]});
    let affinity = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [rack]}]}});
    storage.volume("disk", json!({"storageClassName": "", "nodeAffinity": affinity})).await;
    storage.claim("data", json!({"storageClassName": ""})).await;
    storage.bound("data").await;
    storage.pod("user", "data", "true").await;
    let words = "0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity.";
    storage.cluster.wait_pod("user", waits_for(words)).await;
    let mut forced = storage.cluster.pods().get("user").await.expect("the pod");
    forced.metadata = serde_json::from_value(json!({"name": "forced"})).expect("metadata");
    forced.status = None;
    forced.spec.as_mut().expect("a spec").node_name = Some("windlass".to_owned());
    storage.cluster.pods().create(&PostParams::default(), &forced).await.expect("created");
    let words = "MountVolume.NodeAffinity check failed for volume \"disk\" : no matching NodeSelectorTerms";
    crate::support::told(&storage.cluster, "forced", "FailedMount", words).await;
    let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(storage.cluster.client.clone());
    let label = Patch::Merge(json!({"metadata": {"labels": {"rack": "b"}}}));
    nodes.patch("windlass", &PatchParams::default(), &label).await.expect("labelled");
    storage.cluster.wait_pod("user", is_placed).await;
    let refused = |pod: Option<&Pod>| waiting(pod).as_deref() == Some("CreateContainerConfigError");
    storage.cluster.wait_pod("forced", pod_phase("Succeeded").or(refused)).await;
    storage.cluster.stop().await;
}

/// Why a pod's container waits.
fn waiting(pod: Option<&Pod>) -> Option<String> {
    let statuses = pod?.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find_map(|one| one.state.as_ref()?.waiting.as_ref()?.reason.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_with_a_data_source_waits_and_says_that_nobody_fills_its_volume() {
    let storage = Storage::start().await;
    let source = json!({"kind": "PersistentVolumeClaim", "name": "results"});
    storage.claim("copy", json!({"dataSource": source})).await;
    storage.pod("reader", "copy", "ls /windlass-claim").await;
    let words = "1 node(s) didn't find available persistent volumes to bind";
    storage.cluster.wait_pod("reader", waits_for(words)).await;
    let words = "Only CSI plugin can provision a claim with a datasource";
    crate::support::told(&storage.cluster, "copy", "ProvisioningFailed", words).await;
    assert!(storage.volumes.list(&ListParams::default()).await.expect("a list").items.is_empty());
    storage.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_whose_claims_wait_come_when_the_missing_class_or_a_volume_of_it_comes() {
    let storage = Storage::start().await;
    let classes: Api<StorageClass> = Api::all(storage.cluster.client.clone());
    let class = async |name: &str, provisioner: &str| {
        let class = json!({
            "metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer",
        });
        let class = serde_json::from_value(class).expect("a class");
        classes.create(&PostParams::default(), &class).await.expect("created");
    };
    storage.claim("late", json!({"storageClassName": "late"})).await;
    storage.pod("first", "late", "true").await;
    storage.cluster.wait_pod("first", waits_for("pod has unbound immediate PersistentVolumeClaims")).await;
    class("late", "windlass.dev/local").await;
    storage.cluster.wait_pod("first", is_placed).await;

    class("by-hand", "kubernetes.io/no-provisioner").await;
    storage.claim("disk", json!({"storageClassName": "by-hand"})).await;
    storage.pod("second", "disk", "true").await;
    let words = "1 node(s) didn't find available persistent volumes to bind";
    storage.cluster.wait_pod("second", waits_for(words)).await;
    storage.volume("spare", json!({"storageClassName": "by-hand"})).await;
    storage.cluster.wait_pod("second", is_placed).await;
    storage.cluster.stop().await;
}
