//! Patches in their forms, and the doors beside an object: status, log, eviction, binding.

use crate::support::{Answer, Api, CONFIG_MAPS, JOBS, PODS, config_map, job, pod};
use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};

async fn patch(api: &Api, path: &str, media: &str, body: Value) -> Answer {
    api.call(Method::PATCH, path, &format!("application/{media}"), body.to_string()).await
}

#[tokio::test]
async fn each_form_of_patch_does_what_it_says() {
    let api = Api::new().await;
    api.make(JOBS, job("pi")).await;
    let path = format!("{JOBS}/pi");
    let replace = json!([{"op": "test", "path": "/metadata/name", "value": "pi"}, {"op": "replace", "path": "/spec/parallelism", "value": 2}]);
    assert_eq!(patch(&api, &path, "json-patch+json", replace).await.json()["spec"]["parallelism"], 2);
    let merge = json!({"spec": {"parallelism": 3, "backoffLimit": null}});
    let merged = patch(&api, &path, "merge-patch+json", merge).await.json();
    assert_eq!((&merged["spec"]["parallelism"], &merged["spec"]["backoffLimit"]), (&json!(3), &json!(6)));
    let labels = json!({"metadata": {"labels": {"a": "b"}, "$retainKeys": ["labels", "name", "namespace"]}});
    assert_eq!(patch(&api, &path, "strategic-merge-patch+json", labels).await.code, 200);
}

#[tokio::test]
async fn patches_that_cannot_be_applied_say_why() {
    let api = Api::new().await;
    let made = api.make(JOBS, job("pi")).await;
    let path = format!("{JOBS}/pi");
    let test = json!([{"op": "test", "path": "/metadata/name", "value": "other"}]);
    let failed = patch(&api, &path, "json-patch+json", test).await;
    assert_eq!(failed.code, 422);
    assert!(failed.message().starts_with("the server rejected our request due to an error in our request"));
    assert_eq!(patch(&api, &path, "json-patch+json", json!({"op": "add"})).await.code, 400);
    assert_eq!(patch(&api, &path, "merge-patch+json", json!([1])).await.code, 400);
    assert_eq!(patch(&api, &path, "merge-patch+json", json!({"kind": "Pod"})).await.code, 422);
    assert_eq!(patch(&api, &path, "merge-patch+json", json!({"spec": {"parallelism": "x"}})).await.code, 422);
    assert_eq!(patch(&api, &path, "merge-patch+json", json!({"spec": {"parallelism": -1}})).await.code, 422);
    assert_eq!(patch(&api, &path, "merge-patch+json", json!({"spec": {"completions": 9}})).await.code, 422);
    assert_eq!(patch(&api, &path, "something+json", json!({})).await.code, 415);
    assert_eq!(patch(&api, &format!("{JOBS}/none"), "merge-patch+json", json!({})).await.code, 404);
    let operations: Vec<Value> = (0..10_001).map(|_| json!({"op": "test", "path": "", "value": 1})).collect();
    assert_eq!(patch(&api, &path, "json-patch+json", json!(operations)).await.code, 413);
    assert_eq!(patch(&api, &path, "apply-patch+yaml", job("pi")).await.code, 422);
    assert_eq!(api.get(&path).await.json(), made);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_before_options_are() {
    let api = Api::new().await;
    api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    let path = format!("{CONFIG_MAPS}/c");
    for (method, path, query, media, code) in [
        (Method::PATCH, &*path, "fieldManager=x&force=false", "application/apply-patch+cbor", 415),
        (Method::PATCH, &path, "force=true", "text/plain", 415),
        (Method::PATCH, &path, "dryRun=bad", "text/plain", 415),
        (Method::PATCH, &path, "dryRun=bad", "application/merge-patch+json", 422),
        (Method::POST, CONFIG_MAPS, "dryRun=bad", "application/cbor", 415),
        (Method::POST, CONFIG_MAPS, "dryRun=bad", "application/json; charset=utf-8", 422),
        (Method::PUT, &path, "dryRun=bad", "application/cbor", 422),
    ] {
        let answer = api.call(method.clone(), &format!("{path}?{query}"), media, "{}").await;
        assert_eq!(answer.code, code, "{method} {query} {media}: {answer:?}");
    }
}

#[tokio::test]
async fn copies_of_copies_do_not_fill_the_memory() {
    let api = Api::new().await;
    api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    let copies: Vec<Value> =
        (0..200).map(|n| json!({"op": "copy", "from": "", "path": format!("/data/k{n}")})).collect();
    let answer = patch(&api, &format!("{CONFIG_MAPS}/c"), "json-patch+json", json!(copies)).await;
    assert_eq!((answer.code, &answer.json()["reason"]), (413, &json!("RequestEntityTooLarge")));
}

#[tokio::test]
async fn nothing_is_written_whose_answer_the_client_cannot_read() {
    let api = Api::new().await;
    let request = Request::post(CONFIG_MAPS).header("accept", "text/html");
    let answer = api.ask(request.body(Body::from(config_map("c", json!({})).to_string())).unwrap()).await;
    assert_eq!(answer.code, 406);
    assert_eq!(api.get(&format!("{CONFIG_MAPS}/c")).await.code, 404);
}

#[tokio::test]
async fn moves_do_not_nest_deeper_than_a_body_may() {
    let api = Api::new().await;
    api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    let path = format!("{CONFIG_MAPS}/c");
    let inside = "/a".repeat(90);
    let deep = (0..90).fold(json!({}), |inner, _| json!({"a": inner}));
    // Each round puts what there is 90 levels deeper; dropping what they would leave takes more stack than there is.
    let mut rounds = vec![json!({"op": "add", "path": "/x", "value": {}})];
    for _ in 0..2500 {
        rounds.push(json!({"op": "add", "path": "/y", "value": deep}));
        rounds.push(json!({"op": "move", "from": "/x", "path": format!("/y{inside}/a")}));
        rounds.push(json!({"op": "move", "from": "/y", "path": "/x"}));
    }
    let refused = patch(&api, &path, "json-patch+json", json!(rounds)).await;
    assert_eq!((refused.code, &refused.json()["reason"]), (422, &json!("Invalid")));
    assert!(refused.message().contains("nested deeper than 100 levels"), "{}", refused.message());
    let onto = |op: &str| {
        json!([
            {"op": "add", "path": "/x", "value": deep},
            {"op": "add", "path": "/y", "value": deep},
            {"op": op, "from": "/x", "path": format!("/y{inside}/a"), "value": deep},
        ])
    };
    for op in ["add", "copy", "move"] {
        let refused = patch(&api, &path, "json-patch+json", onto(op)).await;
        assert!(refused.message().contains("nested deeper"), "{op}: {}", refused.message());
    }
    let renamed = json!([{"op": "move", "from": "/data/a", "path": "/data/b"}]);
    assert_eq!(patch(&api, &path, "json-patch+json", renamed).await.json()["data"], json!({"b": "b"}));
}

#[tokio::test]
async fn a_patch_fails_on_the_revision_only_if_it_names_one() {
    let api = Api::new().await;
    let first = api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    let path = format!("{CONFIG_MAPS}/c");
    assert_eq!(api.merge(&path, json!({"data": {"a": "2"}})).await.code, 200);
    let old =
        json!({"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "data": {"a": "3"}});
    assert_eq!(api.merge(&path, old).await.code, 409);
}

#[tokio::test]
async fn unknown_fields_in_a_patch_are_told() {
    let api = Api::new().await;
    api.make(JOBS, job("pi")).await;
    let body = || json!({"spec": {"bogus": 1}});
    let warned = api.merge(&format!("{JOBS}/pi"), body()).await;
    assert_eq!(warned.warnings(), ["299 - \"unknown field \\\"spec.bogus\\\"\""]);
    let strict = api.merge(&format!("{JOBS}/pi?fieldValidation=Strict"), body()).await;
    assert_eq!((strict.code, strict.json()["details"]["causes"][0]["field"].clone()), (422, json!("patch")));
    assert!(strict.message().ends_with("strict decoding error: unknown field \"spec.bogus\""));
}

#[tokio::test]
async fn the_status_door_changes_status_labels_and_annotations_alone() {
    let api = Api::new().await;
    let made = api.make(JOBS, job("pi")).await;
    let path = format!("{JOBS}/pi/status");
    let body =
        json!({"metadata": {"annotations": {"a": "b"}}, "spec": {"parallelism": 5}, "status": {"active": 2}});
    let stored = api.merge(&path, body).await.json();
    assert_eq!(stored["metadata"]["annotations"]["a"], "b");
    assert_eq!((&stored["spec"], &stored["status"]["active"]), (&made["spec"], &json!(2)));
    assert_eq!(api.get(&path).await.json(), stored);
    let mut whole = stored;
    whole["status"] = json!({"active": 3, "conditions": [{"type": "Mine", "status": "True"}]});
    let put = api.put(&path, whole).await.json();
    assert_eq!(
        (&put["status"]["active"], &put["status"]["conditions"][0]["type"]),
        (&json!(3), &json!("Mine"))
    );
}

#[tokio::test]
async fn a_log_is_opened_with_what_was_asked() {
    let api = Api::new().await;
    api.make(PODS, pod("p")).await;
    let answer = api.get(&format!("{PODS}/p/log?tailLines=7")).await;
    assert_eq!(answer.headers["content-type"], "text/plain");
    assert_eq!(answer.bytes, "\"p\" Some(7) All\n");
    let one = api.get(&format!("{PODS}/p/log?stream=Stderr&sinceSeconds=5&limitBytes=10")).await;
    assert_eq!(one.bytes, "\"p\" None Stderr\n");
    assert_eq!(api.get(&format!("{PODS}/none/log")).await.code, 404);
    for query in [
        "tailLines=-1",
        "limitBytes=0",
        "sinceSeconds=0",
        "sinceSeconds=1&sinceTime=2020-01-01T00:00:00Z",
        "stream=Stdin",
        "stream=Stdout&tailLines=1",
    ] {
        assert_eq!(api.get(&format!("{PODS}/p/log?{query}")).await.code, 422, "{query}");
    }
    assert_eq!(api.get(&format!("{PODS}/p/log?sinceTime=yesterday")).await.code, 400);
}

#[tokio::test]
async fn a_followed_log_comes_at_once_and_ends_with_the_server() {
    let api = Api::new().await;
    api.make(PODS, pod("p")).await;
    let request = Request::get(format!("{PODS}/p/log?follow=true")).body(Body::empty()).unwrap();
    let mut body = api.send(request).await.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "\"p\" None All\n");
    api.server.stop().await;
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_followed_log_says_that_it_is_complete_and_one_that_was_cut_does_not() {
    let api = Api::new().await;
    api.make(PODS, pod("over")).await;
    for (query, is_complete) in [("follow=true", true), ("follow=true&limitBytes=3", false), ("", false)] {
        let request = Request::get(format!("{PODS}/over/log?{query}")).body(Body::empty()).unwrap();
        let body = api.send(request).await.into_body().collect().await.unwrap();
        let says = body.trailers().is_some_and(|said| said.contains_key("windlass-log-complete"));
        assert_eq!(says, is_complete, "{query}");
    }
}

#[tokio::test]
async fn an_evicted_pod_is_marked_and_deleted() {
    let api = Api::new().await;
    let mut wanted = pod("p");
    wanted["spec"]["nodeName"] = json!("here");
    api.make(PODS, wanted).await;
    let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    let answer = api.post(&format!("{PODS}/p/eviction"), body.clone()).await;
    assert_eq!((answer.code, &answer.json()["status"]), (201, &json!("Success")));
    let left = api.get(&format!("{PODS}/p")).await.json();
    assert_eq!(left["metadata"]["deletionGracePeriodSeconds"], 30);
    let conditions = left["status"]["conditions"].as_array().unwrap();
    let marked = conditions.iter().find(|c| c["type"] == "DisruptionTarget").unwrap();
    assert_eq!(marked["reason"], "EvictionByEvictionAPI");
    assert_eq!(api.post(&format!("{PODS}/other/eviction"), body).await.code, 400);
}

#[tokio::test]
async fn an_eviction_of_another_pod_than_there_is_leaves_no_mark() {
    let api = Api::new().await;
    let mut wanted = pod("p");
    wanted["spec"]["nodeName"] = json!("here");
    let made = api.make(PODS, wanted).await;
    let evict = async |preconditions: Value| {
        let options = json!({"preconditions": preconditions});
        let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}, "deleteOptions": options});
        api.post(&format!("{PODS}/p/eviction"), body).await.code
    };
    for wrong in [json!({"uid": "another"}), json!({"resourceVersion": "1"})] {
        assert_eq!(evict(wrong).await, 409);
        assert_eq!(api.get(&format!("{PODS}/p")).await.json(), made);
    }
    let right =
        json!({"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]});
    assert_eq!(evict(right).await, 201);
    let left = api.get(&format!("{PODS}/p")).await.json();
    assert_eq!(left["metadata"]["deletionGracePeriodSeconds"], 30);
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let api = Api::new().await;
    api.make(PODS, pod("p")).await;
    let path = format!("{PODS}/p/binding");
    let body = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "here"}});
    assert_eq!(api.post(&path, body.clone()).await.code, 201);
    let bound = api.get(&format!("{PODS}/p")).await.json();
    assert_eq!(bound["spec"]["nodeName"], "here");
    let again = api.post(&path, body).await;
    assert_eq!(again.code, 409);
    assert!(again.message().ends_with("pod p is already assigned to node \"here\""));
    let nowhere = api.post(&path, json!({"metadata": {"name": "p"}, "target": {"kind": "Pod"}})).await;
    assert_eq!((nowhere.code, nowhere.json()["details"]["causes"].as_array().unwrap().len()), (422, 2));
}

#[tokio::test]
async fn a_binding_is_of_the_pod_that_it_means_and_leaves_its_annotations() {
    let api = Api::new().await;
    let made = api.make(PODS, pod("p")).await;
    let bind = async |metadata: Value| {
        let body = json!({"metadata": metadata, "target": {"kind": "Node", "name": "here"}});
        api.post(&format!("{PODS}/p/binding"), body).await.code
    };
    for (metadata, code) in [
        (json!({}), 400),
        (json!({"name": "q"}), 400),
        (json!({"name": "p", "namespace": "elsewhere"}), 400),
        (json!({"name": "p", "uid": 5}), 400),
        (json!({"name": "p", "uid": "other"}), 409),
        (json!({"name": "p", "resourceVersion": "1"}), 409),
    ] {
        assert_eq!(bind(metadata.clone()).await, code, "{metadata}");
    }
    assert_eq!(api.get(&format!("{PODS}/p")).await.json(), made);
    let right =
        json!({"name": "p", "uid": made["metadata"]["uid"], "annotations": {"a": "b"}, "labels": {"c": "d"}});
    assert_eq!(bind(right).await, 201);
    let bound = api.get(&format!("{PODS}/p")).await.json();
    assert_eq!(
        (&bound["metadata"]["annotations"]["a"], &bound["metadata"]["labels"]["c"]),
        (&json!("b"), &json!("d"))
    );
}

#[tokio::test]
async fn doors_that_a_kind_does_not_have_are_no_paths() {
    let api = Api::new().await;
    api.make(JOBS, job("pi")).await;
    let missing = api.get(&format!("{JOBS}/pi/log")).await;
    assert_eq!((missing.code, missing.json()["reason"].clone()), (404, json!("NotFound")));
    assert_eq!(api.post(&format!("{JOBS}/pi/status"), json!({})).await.code, 405);
}
