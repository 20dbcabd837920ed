//! What histories have found, one situation each.

use serde_json::json;

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
