//! Server-side apply as clients meet it, and what the engine's own writes leave of it.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use windlass_apiserver::registry::{Object, object_of};

use crate::support::{Answer, Api, CONFIG_MAPS, JOBS, config_map, job, kind};

async fn apply(api: &Api, path: &str, query: &str, body: Value) -> Answer {
    api.call(Method::PATCH, &format!("{path}?{query}"), "application/apply-patch+yaml", body.to_string())
        .await
}

fn managers(object: &Value) -> Vec<(&str, &str, &str)> {
    let entries = object["metadata"]["managedFields"].as_array().map_or(&[][..], Vec::as_slice);
    entries
        .iter()
        .map(|entry| {
            let part = |key: &str| entry[key].as_str().unwrap_or_default();
            (part("manager"), part("operation"), part("subresource"))
        })
        .collect()
}

#[tokio::test]
async fn what_is_not_there_is_created_and_what_is_there_is_merged() {
    let api = Api::new().await;
    let path = format!("{CONFIG_MAPS}/c");
    let tried = apply(&api, &path, "fieldManager=one&dryRun=All", config_map("c", json!({}))).await;
    assert_eq!((tried.code, api.get(&path).await.code), (201, 404));
    let made = apply(&api, &path, "fieldManager=one", config_map("c", json!({"l": "1"}))).await;
    assert_eq!(made.code, 201, "{made:?}");
    let more =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"x": "y"}});
    let merged = apply(&api, &path, "fieldManager=two", more.clone()).await;
    assert_eq!((merged.code, &merged.json()["data"]), (200, &json!({"a": "b", "x": "y"})));
    let again = apply(&api, &path, "fieldManager=two", more).await.json();
    assert_eq!(again["metadata"]["resourceVersion"], merged.json()["metadata"]["resourceVersion"]);
    assert_eq!(managers(&again), [("one", "Apply", ""), ("two", "Apply", "")]);
}

#[tokio::test]
async fn a_second_apply_later_makes_no_new_version() {
    let api = Api::new().await;
    let path = format!("{CONFIG_MAPS}/c");
    let made = apply(&api, &path, "fieldManager=one", config_map("c", json!({}))).await.json();
    api.world.seconds.fetch_add(60, std::sync::atomic::Ordering::SeqCst);
    let again = apply(&api, &path, "fieldManager=one", config_map("c", json!({}))).await;
    assert_eq!(again.json(), made);
}

#[tokio::test]
async fn an_object_that_nobody_applied_has_no_managers() {
    let api = Api::new().await;
    let made = api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    let path = format!("{CONFIG_MAPS}/c?fieldManager=cli");
    let changed = api.merge(&path, json!({"data": {"a": "c"}})).await.json();
    for object in [made, changed] {
        assert_eq!(object["metadata"].get("managedFields"), None);
    }
}

#[tokio::test]
async fn every_write_after_an_apply_is_told() {
    let api = Api::new().await;
    let path = format!("{JOBS}/pi");
    let made = apply(&api, &path, "fieldManager=one", job("pi")).await;
    assert_eq!(made.code, 201, "{made:?}");
    let request = Request::builder().method(Method::PATCH).uri(&path).header("user-agent", "robot/1.2 (x)");
    let request = request.header("content-type", "application/merge-patch+json");
    let body = json!({"metadata": {"labels": {"a": "b"}}}).to_string();
    let patched = api.ask(request.body(Body::from(body)).unwrap()).await.json();
    assert_eq!(managers(&patched), [("one", "Apply", ""), ("robot", "Update", "")]);
    let status =
        api.merge(&format!("{path}/status?fieldManager=boss"), json!({"status": {"active": 1}})).await;
    assert!(managers(&status.json()).contains(&("boss", "Update", "status")));
    let conflict = apply(&api, &path, "fieldManager=one", {
        let mut job = job("pi");
        job["metadata"]["labels"] = json!({"a": "c"});
        job
    });
    let conflict = conflict.await;
    assert_eq!(conflict.code, 409);
    assert_eq!(
        conflict.message(),
        "Apply failed with 1 conflict: conflict with \"robot\" using batch/v1: .metadata.labels.a"
    );
}

#[tokio::test]
async fn the_engines_writes_are_its_controllers() {
    let api = Api::new().await;
    let path = format!("{JOBS}/pi");
    apply(&api, &path, "fieldManager=one", job("pi")).await;
    let jobs = kind("batch/v1", "Job");
    let entry = api.registry.entry(jobs, Some("default"), "pi").unwrap();
    let mut object = Object::from(object_of(&entry).unwrap());
    for active in 1..3 {
        object.set_status(json!({"active": active, "ready": 0}));
        let mut transaction = api.registry.transaction();
        transaction.replace(jobs, &entry.key, &object);
        let done = transaction.commit().await.unwrap();
        // As the engine goes on: with what it wrote, not with what was stored.
        object = object.at(done.entries[0].as_ref().unwrap().modified);
    }
    let stored = api.get(&path).await.json();
    assert_eq!(managers(&stored), [("one", "Apply", ""), ("kube-controller-manager", "Update", "status")]);
    assert_eq!(stored["status"]["active"], 2);
}

#[tokio::test]
async fn forgotten_managers_stay_forgotten() {
    let api = Api::new().await;
    let path = format!("{CONFIG_MAPS}/c");
    apply(&api, &path, "fieldManager=one", config_map("c", json!({}))).await;
    let forgotten = api.merge(&path, json!({"metadata": {"managedFields": []}})).await;
    assert_eq!((forgotten.code, managers(&forgotten.json())), (200, vec![]));
    assert_eq!(managers(&api.merge(&path, json!({"data": {"x": "y"}})).await.json()), []);
    let applied = apply(&api, &path, "fieldManager=two&force=true", config_map("c", json!({"l": "1"}))).await;
    assert_eq!(managers(&applied.json()), [("two", "Apply", ""), ("before-first-apply", "Update", "")]);
}

#[tokio::test]
async fn what_cannot_be_applied_is_refused_and_changes_nothing() {
    let api = Api::new().await;
    let path = format!("{JOBS}/pi");
    let nameless = apply(&api, &path, "", job("pi")).await;
    assert_eq!(nameless.code, 422);
    assert!(nameless.message().ends_with("fieldManager: Required value: is required for apply patch"));
    assert_eq!(apply(&api, &format!("{path}/status"), "fieldManager=one", job("pi")).await.code, 404);
    assert_eq!(apply(&api, &path, "fieldManager=one", job("other")).await.code, 400);
    assert_eq!(apply(&api, &path, "fieldManager=one", config_map("pi", json!({}))).await.code, 400);
    assert_eq!(apply(&api, &path, "fieldManager=one", json!([1])).await.code, 400);
    let mut wrong = job("pi");
    wrong["spec"]["bogus"] = 1.into();
    let refused = apply(&api, &path, "fieldManager=one", wrong).await;
    assert!(
        refused.message().ends_with(".spec.bogus: field not declared in schema"),
        "{}",
        refused.message()
    );
    let mut invalid = job("pi");
    invalid["spec"]["parallelism"] = (-1).into();
    assert_eq!(apply(&api, &path, "fieldManager=one", invalid).await.code, 422);
    assert_eq!(api.get(&path).await.code, 404);
    let force = api.merge(&format!("{path}?force=true"), json!({})).await;
    assert!(force.message().ends_with("force: Forbidden: may not be specified for non-apply patch"));
}
