//! kube-rs over TLS, as operators use it: discovery, pages, both ways of watching, patches, apply by two, a reflector.

use std::collections::BTreeSet;

use crate::support::{Cluster, PATIENCE, finished};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, ListParams, LogParams, Patch, PatchParams, PostParams,
    PropagationPolicy,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{GroupVersionKind, PartialObjectMeta};
use kube::discovery::{Discovery, Scope, verbs};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

pub(crate) async fn client(cluster: &Cluster) -> Client {
    let file = Kubeconfig::read_from(cluster.home.path().join("home/kubeconfig")).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("a configuration")).expect("a client")
}

fn map(name: &str, data: &Value) -> ConfigMap {
    let object = json!({"metadata": {"name": name, "labels": {"part": "map"}}, "data": data});
    serde_json::from_value(object).expect("a ConfigMap")
}

async fn create_maps(maps: &Api<ConfigMap>, names: &[&str]) {
    for name in names {
        maps.create(&PostParams::default(), &map(name, &json!({"a": "1"}))).await.expect("it is made");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_are_discovered_and_used_without_their_types() {
    let cluster = Cluster::images_on_host().await;
    let client = client(&cluster).await;
    assert_eq!(client.apiserver_version().await.expect("a version").minor, "36");
    for discovery in [
        Discovery::new(client.clone()).run().await.expect("groups"),
        Discovery::new(client.clone()).run_aggregated().await.expect("groups"),
    ] {
        let job = GroupVersionKind::gvk("batch", "v1", "Job");
        let (resource, can) = discovery.resolve_gvk(&job).expect("Jobs");
        assert_eq!((resource.plural.as_str(), &can.scope), ("jobs", &Scope::Namespaced));
        assert!(can.supports_operation(verbs::WATCH) && can.supports_operation(verbs::PATCH));
    }
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("batch", "v1", "Job"));
    let jobs: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &resource);
    let mut object = DynamicObject::new("dynamic", &resource);
    object.data = json!({"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [
        {"name": "main", "image": "any", "command": ["sh", "-c", "echo said"]},
    ]}}}});
    jobs.create(&PostParams::default(), &object).await.expect("it is made");
    cluster.wait_job("dynamic", finished()).await;
    let done = jobs.get_status("dynamic").await.expect("a status");
    assert_eq!(done.data["status"]["succeeded"], 1);
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let found = pods.list(&ListParams::default().labels("job-name=dynamic")).await.expect("a list");
    let name = found.items[0].metadata.name.as_deref().expect("a name");
    let all = LogParams { follow: true, tail_lines: Some(1), ..LogParams::default() };
    assert_eq!(pods.logs(name, &all).await.expect("a log"), "said\n");
    let params =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() };
    assert!(jobs.delete("dynamic", &params).await.expect("deleted").is_right());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_that_list_and_watchers_that_stream_see_the_same() {
    let cluster = Cluster::start().await;
    let client = client(&cluster).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    create_maps(&maps, &["one", "two"]).await;
    let listing = watcher::Config::default().labels("part=map").page_size(1);
    for config in [listing, watcher::Config::default().labels("part=map").streaming_lists()] {
        let mut events = watcher(maps.clone(), config.clone()).boxed();
        let mut seen = BTreeSet::new();
        let story = async {
            while let Some(event) = events.try_next().await.expect("a watch") {
                match event {
                    Event::InitApply(map) => _ = seen.insert(map.metadata.name.expect("a name")),
                    Event::InitDone => create_maps(&maps, &["three"]).await,
                    Event::Apply(map) => {
                        assert_eq!(map.metadata.name.as_deref(), Some("three"));
                        maps.delete("three", &DeleteParams::default()).await.expect("it is deleted");
                    }
                    Event::Delete(map) => return map,
                    Event::Init => {}
                }
            }
            panic!("the watch ended")
        };
        let gone = tokio::time::timeout(PATIENCE, story).await.expect("all of it is told in time");
        assert_eq!(gone.metadata.name.as_deref(), Some("three"));
        assert_eq!(seen, ["one", "two"].map(ToOwned::to_owned).into());
        let bare: Api<PartialObjectMeta<ConfigMap>> = Api::default_namespaced(client.clone());
        let mut names = watcher(bare, config).applied_objects().boxed();
        let first = tokio::time::timeout(PATIENCE, names.try_next()).await.expect("in time");
        assert!(first.expect("a watch").expect("an object").metadata.labels.is_some());
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reflector_keeps_what_there_is() {
    let cluster = Cluster::images_on_host().await;
    let jobs: Api<Job> = Api::default_namespaced(client(&cluster).await);
    let (reader, writer) = reflector::store();
    let mut told = watcher(jobs, watcher::Config::default()).default_backoff().reflect(writer).boxed();
    let mut one = crate::support::job("kept", &["true"]);
    one["metadata"]["labels"] = json!({"kept": "yes"});
    cluster.create(one).await;
    // What a first list says is kept at its end: the store is asked, not the event.
    let name = reflector::ObjectRef::new("kept").within("default");
    let story = async {
        while told.try_next().await.expect("a watch").is_some() {
            let kept = reader.get(&name);
            let succeeded = |job: &Job| job.status.as_ref()?.succeeded;
            if let Some(kept) = kept.filter(|job| succeeded(job) == Some(1)) {
                return kept;
            }
        }
        panic!("the watch ended")
    };
    let kept = tokio::time::timeout(PATIENCE, story).await.expect("it is kept in time");
    assert_eq!(kept.metadata.labels.as_ref().expect("labels")["kept"], "yes");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_cascade_in_three_ways_and_ports_are_refused() {
    let cluster = Cluster::start().await;
    let client = client(&cluster).await;
    let (jobs, pods): (Api<Job>, Api<Pod>) =
        (Api::default_namespaced(client.clone()), Api::default_namespaced(client));
    for policy in [PropagationPolicy::Foreground, PropagationPolicy::Background, PropagationPolicy::Orphan] {
        cluster.create(crate::support::job("parent", &["true"])).await;
        let job = cluster.wait_job("parent", finished()).await;
        let [pod] = &cluster.pods_of("parent").await[..] else { panic!("one pod") };
        let orphaned = policy == PropagationPolicy::Orphan;
        let params = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
        jobs.delete("parent", &params).await.expect("it is deleted");
        let gone = conditions::is_deleted(job.metadata.uid.as_deref().expect("a uid"));
        let gone = await_condition(jobs.clone(), "parent", gone);
        tokio::time::timeout(PATIENCE, gone).await.expect("it goes in time").expect("a watch");
        let name = pod.metadata.name.as_deref().expect("a name");
        if orphaned {
            let left = pods.get(name).await.expect("its pod stays");
            assert_eq!(left.metadata.owner_references.unwrap_or_default(), []);
        } else {
            let gone = conditions::is_deleted(pod.metadata.uid.as_deref().expect("a uid"));
            let gone = await_condition(pods.clone(), name, gone);
            tokio::time::timeout(PATIENCE, gone).await.expect("it goes in time").expect("a watch");
        }
    }
    let Err(refused) = pods.portforward("any", &[80]).await else { panic!("a port was forwarded") };
    assert!(format!("{refused:?}").contains("405"), "{refused:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_of_four_forms_and_two_owners() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&cluster).await);
    create_maps(&maps, &["patched"]).await;
    let plain = PatchParams::default();
    let operation = json!([{"op": "add", "path": "/data/b", "value": "2"}]);
    let operation = Patch::Json::<()>(serde_json::from_value(operation).expect("a patch"));
    maps.patch("patched", &plain, &operation).await.expect("a JSON patch");
    maps.patch("patched", &plain, &Patch::Merge(json!({"data": {"a": null}}))).await.expect("a merge patch");
    let strategic = Patch::Strategic(json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/y"]}}));
    maps.patch("patched", &plain, &strategic).await.expect("a strategic merge patch");
    let applied = |data: Value| {
        Patch::Apply(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "patched"}, "data": data}),
        )
    };
    maps.patch("patched", &PatchParams::apply("one"), &applied(json!({"c": "1"}))).await.expect("applied");
    let refused = maps.patch("patched", &PatchParams::apply("two"), &applied(json!({"c": "2"}))).await;
    let Err(kube::Error::Api(refused)) = refused else { panic!("two owners of one field") };
    assert_eq!(refused.code, 409);
    assert!(refused.message.contains("conflict with \"one\": .data.c"), "{}", refused.message);
    let forced = PatchParams::apply("two").force();
    let found = maps.patch("patched", &forced, &applied(json!({"c": "2"}))).await.expect("taken over");
    assert_eq!(json!(found.data), json!({"b": "2", "c": "2"}));
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    maps.patch("patched", &dry, &Patch::Merge(json!({"data": {"z": "1"}}))).await.expect("tried");
    // Who writes an old version is told so.
    let mut old = maps.get("patched").await.expect("the ConfigMap");
    assert!(!old.data.as_ref().expect("data").contains_key("z"));
    old.data = None;
    maps.patch("patched", &plain, &Patch::Merge(json!({"data": {"y": "1"}}))).await.expect("changed");
    let Err(kube::Error::Api(refused)) = maps.replace("patched", &PostParams::default(), &old).await else {
        panic!("an old version was taken")
    };
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    cluster.stop().await;
}
