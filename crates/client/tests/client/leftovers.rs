//! What is left of submissions that were killed: which ConfigMaps go, and which never do.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use windlass::JobManager;
use windlass::retention::Leftovers;
use windlass::world::{Real, World};

use crate::support::{JOBS, PODS, Reply, Server, job, list, merge, refusal};

const MAPS: &str = "/api/v1/namespaces/lab/configmaps";
const AN_HOUR: Duration = Duration::from_secs(3600);

/// The time of these tests.
fn now() -> Timestamp {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

struct Still;

impl World for Still {
    fn now(&self) -> Timestamp {
        now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Real.sleep(duration)
    }

    fn random(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

fn manager(server: &Server) -> JobManager {
    server.manager().in_world(Arc::new(Still))
}

/// The ConfigMap of a job that never came to be, with more.
fn map(name: &str, more: Value) -> Value {
    let mut map = json!({ "metadata": { "name": name, "uid": format!("uid-{name}"), "resourceVersion": "7",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": { "windlass.dev/managed-by": "windlass", "windlass.dev/submission": "s1" } } });
    merge(&mut map, more);
    map
}

/// A server with these ConfigMaps, no job and no pod, that deletes what it is told to.
fn server(maps: &[Value]) -> Server {
    let server = Server::new();
    server.on(&format!("GET {MAPS}"), list(1, maps));
    server.on(&format!("GET {PODS}"), list(1, &[]));
    for map in maps {
        let name = map["metadata"]["name"].as_str().unwrap();
        server.on(&format!("DELETE {MAPS}/{name}"), Reply::Json(200, json!({})));
    }
    server
}

async fn clean(server: &Server) -> Leftovers {
    manager(server).clean_leftovers(Duration::ZERO, false).await.unwrap()
}

fn deletions(server: &Server) -> Vec<String> {
    let routes = server.seen().into_iter().map(|seen| seen.route);
    routes.filter_map(|route| route.strip_prefix(&format!("DELETE {MAPS}/")).map(str::to_owned)).collect()
}

#[tokio::test]
async fn what_a_killed_submission_left_goes_if_it_is_still_that() {
    let server = server(&[map("fit-tasks", json!({})), map("copy-files", json!({}))]);
    assert_eq!(clean(&server).await.deleted, ["fit-tasks", "copy-files"]);
    let body = &server.asked(&format!("DELETE {MAPS}/fit-tasks"))[0].body;
    assert_eq!(body["preconditions"], json!({ "uid": "uid-fit-tasks", "resourceVersion": "7" }));
    let selector = &server.asked(&format!("GET {MAPS}"))[0].query["labelSelector"];
    assert_eq!(selector, "windlass.dev/managed-by=windlass,windlass.dev/submission");
    assert_eq!(server.asked(&format!("GET {JOBS}/fit")).len(), 1);
    assert_eq!(server.asked(&format!("GET {PODS}"))[0].query["labelSelector"], "windlass.dev/submission=s1");
}

#[tokio::test]
async fn what_is_owned_or_new_or_named_otherwise_or_going_is_not_even_asked_about() {
    let owner = json!([{ "apiVersion": "batch/v1", "kind": "Job", "name": "fit", "uid": "gone" }]);
    let young = (now() - SignedDuration::from_mins(59)).to_string();
    let ahead = (now() + SignedDuration::from_hours(9)).to_string();
    let server = server(&[
        map("owned-tasks", json!({ "metadata": { "ownerReferences": owner } })),
        map("young-tasks", json!({ "metadata": { "creationTimestamp": young } })),
        map("ahead-tasks", json!({ "metadata": { "creationTimestamp": ahead } })),
        map("undated-tasks", json!({ "metadata": { "creationTimestamp": null } })),
        map("settings", json!({})),
        map("-tasks", json!({})),
        map("going-files", json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } })),
        // A server that takes no notice of the selector.
        map("theirs-tasks", json!({ "metadata": { "labels": { "windlass.dev/managed-by": "they" } } })),
        map("mine-tasks", json!({ "metadata": { "labels": null } })),
    ]);
    assert_eq!(clean(&server).await, Leftovers::default());
    assert_eq!(server.seen().len(), 1, "{:?}", server.seen());
}

#[tokio::test]
async fn those_of_a_job_that_is_there_stay_and_those_of_its_pods_too() {
    let maps = [map("train-tasks", json!({})), map("lost-tasks", json!({}))];
    let server = Server::new();
    server.on(&format!("GET {MAPS}"), list(1, &maps));
    server.on(&format!("GET {JOBS}/train"), Reply::Json(200, job(1, json!({}))));
    server.on(&format!("GET {PODS}"), list(1, &[json!({ "metadata": { "name": "lost-0" } })]));
    assert_eq!(clean(&server).await, Leftovers::default());
    assert_eq!(deletions(&server), Vec::<String>::new());
}

#[tokio::test]
async fn a_longer_age_keeps_more() {
    let old = (now() - SignedDuration::from_hours(2)).to_string();
    let server = server(&[map("fit-tasks", json!({ "metadata": { "creationTimestamp": old } }))]);
    let manager = manager(&server);
    assert_eq!(manager.clean_leftovers(3 * AN_HOUR, true).await.unwrap(), Leftovers::default());
    assert_eq!(manager.clean_leftovers(AN_HOUR, true).await.unwrap().deleted, ["fit-tasks"]);
    assert_eq!(deletions(&server), Vec::<String>::new(), "a dry run changes nothing");
}

#[tokio::test]
async fn who_submits_the_same_meanwhile_keeps_it() {
    let server = Server::new();
    server.on(&format!("GET {MAPS}"), list(1, &[map("a-tasks", json!({})), map("b-tasks", json!({}))]));
    server.on(&format!("GET {PODS}"), list(1, &[]));
    server.on(&format!("DELETE {MAPS}/a-tasks"), refusal(409, "Conflict", "the precondition does not hold"));
    assert_eq!(clean(&server).await, Leftovers::default());
    assert_eq!(deletions(&server), ["a-tasks", "b-tasks"]);
}

#[tokio::test]
async fn what_may_not_be_done_is_told_and_is_no_fault() {
    let server = Server::new();
    server.on(&format!("GET {MAPS}"), refusal(403, "Forbidden", "configmaps is forbidden"));
    assert_eq!(clean(&server).await, Leftovers { is_forbidden: true, ..Leftovers::default() });
    let server = Server::new();
    server.on(&format!("GET {MAPS}"), list(1, &[map("a-tasks", json!({})), map("b-tasks", json!({}))]));
    server.on(&format!("GET {PODS}"), refusal(403, "Forbidden", "cannot list pods"));
    server.on(&format!("GET {PODS}"), list(1, &[]));
    server.on(&format!("DELETE {MAPS}/b-tasks"), refusal(403, "Forbidden", "cannot delete configmaps"));
    let left = clean(&server).await;
    let expected = [("a-tasks", "cannot list pods"), ("b-tasks", "cannot delete configmaps")];
    assert_eq!(left.skipped, expected.map(|(name, why)| (name.to_owned(), why.to_owned())));
    assert_eq!((left.deleted.len(), left.is_forbidden), (0, false));
}

#[tokio::test]
async fn a_job_that_cannot_be_asked_for_keeps_its_values() {
    let server = server(&[map("fit-tasks", json!({}))]);
    server.on(&format!("GET {JOBS}/fit"), refusal(501, "NotImplemented", "broken"));
    assert!(manager(&server).clean_leftovers(AN_HOUR, false).await.is_err());
    assert_eq!(deletions(&server), Vec::<String>::new());
}
