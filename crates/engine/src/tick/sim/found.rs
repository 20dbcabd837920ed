//! What histories have found, one situation each.

use serde_json::json;
use windlass_apiserver::kind::Propagation;
use windlass_apiserver::registry::DeleteOptions;

use super::clients::kind_of;
use super::read::*;
use super::{Kill, Sim, Told};

/// Rounds until nothing is left to do.
async fn settle(sim: &mut Sim) {
    while sim.round(Kill::Never, false).await {}
    sim.check().expect("nothing is wrong");
}

async fn begin() -> Sim {
    let mut sim = Sim::new(1, Told::default()).await;
    settle(&mut sim).await;
    sim
}

async fn create(sim: &mut Sim, prefix: &str, namespace: Option<&str>, object: serde_json::Value) {
    let made = sim.create(kind_of(prefix), namespace, object).await;
    assert!(made.is_some(), "it is refused");
    sim.check().expect("nothing is wrong");
}

fn job(more: &serde_json::Value) -> serde_json::Value {
    let container = json!({"name": "main", "image": "none", "command": ["/good"]});
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [container]}});
    let mut spec = json!({"template": template, "completions": 1});
    for (name, value) in more.as_object().expect("fields") {
        spec[name] = value.clone();
    }
    json!({"metadata": {"name": "one"}, "spec": spec})
}

#[tokio::test]
async fn pod_that_is_deleted_before_it_has_a_node_is_replaced_by_a_job_that_waits_for_its_end() {
    let mut sim = begin().await;
    sim.cordon().await;
    create(&mut sim, "/jobs.batch/", Some("default"), job(&json!({"podReplacementPolicy": "Failed"}))).await;
    settle(&mut sim).await;
    sim.delete_one("/pods/").await;
    settle(&mut sim).await;
    sim.rest().await.expect("it ends");
    let job = sim.mirror.get("/jobs.batch/default/one").expect("the job").clone();
    assert_eq!((ended(&job), int(&job["status"]["failed"])), (Some("Complete"), 1));
}

#[tokio::test]
async fn job_in_a_namespace_that_goes_makes_no_pods() {
    let mut sim = begin().await;
    create(&mut sim, "/namespaces/", None, json!({"metadata": {"name": "team-0"}})).await;
    settle(&mut sim).await;
    create(&mut sim, "/jobs.batch/", Some("team-0"), job(&json!({}))).await;
    sim.delete("/namespaces/team-0", &Default::default()).await;
    settle(&mut sim).await;
    assert!(sim.seen.pods.is_empty(), "no pod was ever made");
    sim.rest().await.expect("it goes");
    assert!(sim.mirror.get("/namespaces/team-0").is_none());
}

#[tokio::test]
async fn failed_pod_that_is_kept_for_its_index_goes_with_a_job_that_goes() {
    let mut sim = begin().await;
    let indexed = json!({"completionMode": "Indexed", "backoffLimitPerIndex": 1, "parallelism": 1});
    let mut job = job(&indexed);
    job["spec"]["template"]["spec"]["containers"][0]["command"] = json!(["/bad"]);
    create(&mut sim, "/jobs.batch/", Some("default"), job).await;
    settle(&mut sim).await;
    // Its index waits for its back-off, and nobody deletes what is being deleted already.
    sim.delete_one("/pods/").await;
    settle(&mut sim).await;
    assert!(sim.any("/pods/").is_some_and(|(_, pod)| is_going(&pod) && is_tracked(&pod)));
    sim.delete("/jobs.batch/default/one", &Default::default()).await;
    settle(&mut sim).await;
    assert!(sim.any("/pods/").is_none(), "it is kept for nobody");
}

/// A ConfigMap with owners, each a kind, a name and whether it waits for this one; and its uid.
async fn map(sim: &mut Sim, namespace: &str, name: &str, owners: &[serde_json::Value]) -> String {
    let metadata = json!({"name": name, "ownerReferences": owners, "finalizers": ["example.com/hold"]});
    create(sim, "/configmaps/", Some(namespace), json!({"metadata": metadata})).await;
    let made = sim.mirror.get(&format!("/configmaps/{namespace}/{name}")).expect("it is there").clone();
    text(&made, "uid").to_owned()
}

fn reference(name: &str, uid: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "blockOwnerDeletion": true})
}

async fn free(sim: &mut Sim, key: &str) {
    sim.update(key, |old: &serde_json::Value| {
        let mut new = old.clone();
        new["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
        if !is_going(old) {
            new["metadata"].as_object_mut().expect("an object").remove("finalizers");
        }
        Ok(new)
    })
    .await;
}

#[tokio::test]
async fn owner_of_a_kind_that_is_not_known_here_keeps_what_it_owns() {
    let mut sim = begin().await;
    let workflow = json!({"apiVersion": "example.com/v1", "kind": "Workflow", "name": "a", "uid": "1"});
    map(&mut sim, "default", "kept", &[workflow]).await;
    settle(&mut sim).await;
    let kept = sim.mirror.get("/configmaps/default/kept").expect("it stays").clone();
    assert!(!is_going(&kept));
}

#[tokio::test]
async fn dependent_of_an_owner_in_another_namespace_has_none_and_is_told_so() {
    let mut sim = begin().await;
    let uid = map(&mut sim, "default", "owner", &[]).await;
    map(&mut sim, "kube-public", "stray", &[reference("owner", &uid)]).await;
    settle(&mut sim).await;
    let stray = sim.mirror.get("/configmaps/kube-public/stray").expect("held").clone();
    assert!(is_going(&stray));
    let mut told = false;
    sim.registry.store.scan("/events/kube-public/stray.", &mut |_, _, _, _| told = true);
    assert!(told, "an event says why");
}

#[tokio::test]
async fn owner_that_waits_goes_when_what_it_waits_for_no_longer_blocks_it() {
    for (how, names_it) in [("does not block", true), ("does not name it", false)] {
        let mut sim = begin().await;
        let uid = map(&mut sim, "default", "owner", &[]).await;
        map(&mut sim, "default", "held", &[reference("owner", &uid)]).await;
        let options = DeleteOptions { propagation: Some(Propagation::Foreground), ..Default::default() };
        sim.delete("/configmaps/default/owner", &options).await;
        free(&mut sim, "/configmaps/default/owner").await;
        settle(&mut sim).await;
        assert!(sim.mirror.get("/configmaps/default/owner").is_some(), "it waits");
        let free = move |old: &serde_json::Value| {
            let mut new = old.clone();
            let owners = &mut new["metadata"]["ownerReferences"];
            match names_it {
                true => owners[0]["blockOwnerDeletion"] = json!(false),
                false => *owners = json!([]),
            }
            Ok(new)
        };
        assert!(sim.update("/configmaps/default/held", free).await);
        settle(&mut sim).await;
        assert!(sim.mirror.get("/configmaps/default/owner").is_none(), "{how}: it waits for ever");
    }
}

#[tokio::test]
async fn owner_that_waits_goes_when_another_owner_keeps_what_it_waits_for() {
    let mut sim = begin().await;
    let (going, staying) =
        (map(&mut sim, "default", "going", &[]).await, map(&mut sim, "default", "staying", &[]).await);
    map(&mut sim, "default", "both", &[reference("going", &going), reference("staying", &staying)]).await;
    let options = DeleteOptions { propagation: Some(Propagation::Foreground), ..Default::default() };
    sim.delete("/configmaps/default/going", &options).await;
    free(&mut sim, "/configmaps/default/going").await;
    settle(&mut sim).await;
    assert!(sim.mirror.get("/configmaps/default/going").is_none(), "it waits for ever");
    assert!(sim.mirror.get("/configmaps/default/both").is_some_and(|both| !is_going(both)));
}

#[tokio::test]
async fn whom_pods_trust_is_written_again_whoever_wrote_something_else() {
    let mut sim = begin().await;
    let key = "/configmaps/default/kube-root-ca.crt";
    let given = sim.mirror.get(key).expect("every namespace has it")["data"].clone();
    let change = |old: &serde_json::Value| {
        let mut new = old.clone();
        new["data"]["ca.crt"] = json!("nobody");
        Ok(new)
    };
    assert!(sim.update(key, change).await);
    settle(&mut sim).await;
    assert_eq!(sim.mirror.get(key).expect("it stays")["data"], given);
}
