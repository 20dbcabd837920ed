//! Owners of more dependents than are read at once.

use crate::support::{Cluster, PATIENCE};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, PropagationPolicy};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::json;

/// More than one look reads (`control::garbage::MAX_EDITS`), twice.
const MANY: usize = 1100;

/// An owner of many; answers its uid.
async fn family(maps: &Api<ConfigMap>, name: &str, blocks: bool) -> String {
    let owner = serde_json::from_value(json!({"metadata": {"name": name}})).expect("a ConfigMap");
    let owner = maps.create(&PostParams::default(), &owner).await.expect("created");
    let uid = owner.metadata.uid.expect("a uid");
    let reference = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "blockOwnerDeletion": blocks});
    let children = stream::iter(0..MANY).map(|n| {
        let metadata =
            json!({"name": format!("{name}-{n}"), "labels": {"of": name}, "ownerReferences": [reference]});
        let child = serde_json::from_value(json!({"metadata": metadata})).expect("a ConfigMap");
        async move { maps.create(&PostParams::default(), &child).await.expect("created") }
    });
    assert_eq!(children.buffer_unordered(32).count().await, MANY);
    uid
}

async fn delete(maps: &Api<ConfigMap>, name: &str, uid: &str, how: PropagationPolicy) -> Vec<ConfigMap> {
    let how = DeleteParams { propagation_policy: Some(how), ..DeleteParams::default() };
    maps.delete(name, &how).await.expect("deleted");
    let gone = await_condition(maps.clone(), name, conditions::is_deleted(uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("it goes in time").expect("a watch");
    maps.list(&ListParams::default().labels(&format!("of={name}"))).await.expect("a list").items
}

#[tokio::test(flavor = "multi_thread")]
async fn owner_of_many_waits_for_all_that_block_it_and_lets_go_of_all_that_it_orphans() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    let uid = family(&maps, "blocked", true).await;
    assert_eq!(delete(&maps, "blocked", &uid, PropagationPolicy::Foreground).await.len(), 0);
    let uid = family(&maps, "orphaning", false).await;
    let left = delete(&maps, "orphaning", &uid, PropagationPolicy::Orphan).await;
    assert_eq!(left.len(), MANY);
    assert!(left.iter().all(|map| map.metadata.owner_references.is_none()));
    cluster.stop().await;
}
