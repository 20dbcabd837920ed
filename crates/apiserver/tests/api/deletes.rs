//! Deleting: grace, finalizers, propagation, preconditions, namespaces.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use windlass_apiserver::kinds::priority_class;

use crate::support::{Api, CONFIG_MAPS, JOBS, PODS, config_map, job, pod};

#[tokio::test]
async fn a_deleted_object_without_finalizers_is_gone_and_named() {
    let api = Api::new().await;
    let made = api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    let answer = api.delete(&format!("{CONFIG_MAPS}/c")).await;
    let status = answer.json();
    assert_eq!((answer.code, &status["status"]), (200, &json!("Success")));
    assert_eq!(status["details"], json!({"name": "c", "kind": "configmaps", "uid": made["metadata"]["uid"]}));
    assert!(answer.warnings().is_empty());
    let again = api.delete(&format!("{CONFIG_MAPS}/c")).await;
    assert_eq!((again.code, again.message()), (404, "configmaps \"c\" not found".to_owned()));
}

#[tokio::test]
async fn a_job_deleted_without_a_policy_orphans_its_pods_and_warns() {
    let api = Api::new().await;
    api.make(JOBS, job("pi")).await;
    let answer = api.delete(&format!("{JOBS}/pi")).await;
    assert_eq!(
        answer.warnings(),
        [
            "299 - \"child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning\""
        ]
    );
    let left = answer.json();
    assert_eq!(left["metadata"]["finalizers"], json!(["orphan"]));
    assert_eq!(left["metadata"]["deletionTimestamp"], "2027-01-15T08:00:00Z");
    assert_eq!(left["metadata"]["generation"], 2);
    let background = api.delete(&format!("{JOBS}/pi?propagationPolicy=Background")).await;
    assert_eq!(background.json()["status"], "Success");
    assert!(background.warnings().is_empty());
}

#[tokio::test]
async fn propagation_comes_from_the_body_or_the_query() {
    let api = Api::new().await;
    for name in ["a", "b", "c"] {
        api.make(JOBS, job(name)).await;
    }
    let body = json!({"propagationPolicy": "Foreground"}).to_string();
    let left = api.call(Method::DELETE, &format!("{JOBS}/a"), "application/json", body).await.json();
    assert_eq!(left["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let orphaned = api.delete(&format!("{JOBS}/b?orphanDependents=True")).await.json();
    assert_eq!(orphaned["metadata"]["finalizers"], json!(["orphan"]));
    assert_eq!(api.delete(&format!("{JOBS}/c?propagationPolicy=Sideways")).await.code, 422);
    let both = api.delete(&format!("{JOBS}/c?propagationPolicy=Orphan&orphanDependents=true")).await;
    assert_eq!(both.code, 422);
}

#[tokio::test]
async fn preconditions_protect_the_object_that_was_not_meant() {
    let api = Api::new().await;
    api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    for preconditions in [json!({"uid": "other"}), json!({"resourceVersion": "1"})] {
        let body =
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}).to_string();
        let answer = api.call(Method::DELETE, &format!("{CONFIG_MAPS}/c"), "application/json", body).await;
        assert_eq!((answer.code, answer.json()["reason"].clone()), (409, json!("Conflict")));
    }
    assert_eq!(api.get(&format!("{CONFIG_MAPS}/c")).await.code, 200);
}

#[tokio::test]
async fn preconditions_come_from_the_query_where_there_is_no_body() {
    let api = Api::new().await;
    let made = api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    let (uid, version) =
        (made["metadata"]["uid"].as_str().unwrap(), made["metadata"]["resourceVersion"].as_str().unwrap());
    let path = format!("{CONFIG_MAPS}/c");
    let answer = api.delete(&format!("{path}?uid=abc")).await;
    assert_eq!(
        (answer.code, answer.message()),
        (
            409,
            format!(
                "Operation cannot be fulfilled on ConfigMap \"c\": the UID in the precondition (abc) does not match \
                 the UID in record ({uid}). The object might have been deleted and then recreated"
            )
        )
    );
    assert_eq!(api.delete(&format!("{path}?resourceVersion=1")).await.code, 409);
    assert_eq!(api.delete(&format!("{CONFIG_MAPS}?resourceVersion=1")).await.code, 409);
    assert_eq!(api.delete(&format!("{CONFIG_MAPS}?uid=abc")).await.code, 409);
    assert_eq!(api.get(&path).await.code, 200);
    let right = format!("{path}?uid={uid}&resourceVersion={version}&dryRun=All");
    assert_eq!(api.delete(&right).await.code, 200);
    assert_eq!(api.delete(&format!("{path}?dryRun=Some")).await.code, 422);
    let body = json!({"propagationPolicy": "Background"}).to_string();
    let with_body = api.call(Method::DELETE, &format!("{path}?uid=abc"), "application/json", body).await;
    assert_eq!(with_body.code, 200, "a body is all of the options");
}

#[tokio::test]
async fn a_collection_with_a_limit_goes_a_page_at_a_time() {
    let api = Api::new().await;
    for name in ["a", "b", "c"] {
        api.make(CONFIG_MAPS, config_map(name, json!({}))).await;
    }
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = api.delete(&format!("{CONFIG_MAPS}?limit=2")).await.json();
    assert_eq!(
        (names(&first), &first["metadata"]["remainingItemCount"]),
        (vec!["a".into(), "b".into()], &json!(1))
    );
    assert_eq!(names(&api.get(CONFIG_MAPS).await.json()), ["c"]);
    let next = first["metadata"]["continue"].as_str().unwrap();
    for (query, code) in [
        (format!("continue={next}&resourceVersion=7"), 400),
        ("continue=none".to_owned(), 400),
        ("limit=few".to_owned(), 400),
        ("timeoutSeconds=long".to_owned(), 400),
        ("resourceVersionMatch=Exact".to_owned(), 422),
        ("resourceVersion=99999".to_owned(), 504),
    ] {
        assert_eq!(api.delete(&format!("{CONFIG_MAPS}?{query}")).await.code, code, "{query}");
    }
    let rest = api.delete(&format!("{CONFIG_MAPS}?limit=2&continue={next}")).await.json();
    assert_eq!((names(&rest), &rest["metadata"]["continue"]), (vec!["c".into()], &Value::Null));
}

#[tokio::test]
async fn namespaces_go_one_by_one() {
    let api = Api::new().await;
    for path in ["/api/v1/namespaces", "/api/v1/namespaces?labelSelector=a"] {
        let answer = api.delete(path).await;
        assert_eq!((answer.code, answer.json()["reason"].clone()), (405, json!("MethodNotAllowed")));
    }
    assert_eq!(api.get("/api/v1/namespaces/default").await.json()["status"]["phase"], "Active");
}

/// Upstream overrides only the deletion of one: a collection takes them with it.
#[tokio::test]
async fn the_systems_priority_classes_stay() {
    let api = Api::new().await;
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    for class in priority_class::system_classes() {
        api.make(classes, class).await;
    }
    api.make(classes, json!({"metadata": {"name": "mine"}, "value": 1})).await;
    for name in ["system-cluster-critical", "system-node-critical"] {
        let refused = api.delete(&format!("{classes}/{name}")).await;
        assert_eq!(
            (refused.code, refused.message()),
            (
                403,
                format!(
                    "priorityclasses.scheduling.k8s.io {name:?} is forbidden: this is a system priority class and \
                     cannot be deleted"
                )
            )
        );
        assert_eq!(api.get(&format!("{classes}/{name}")).await.code, 200);
    }
    assert_eq!(api.delete(&format!("{classes}/mine")).await.code, 200);
    assert_eq!(api.delete(classes).await.json()["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_object_with_finalizers_waits_until_the_last_is_removed() {
    let api = Api::new().await;
    let mut wanted = config_map("c", json!({}));
    wanted["metadata"]["finalizers"] = json!(["example.com/a"]);
    api.make(CONFIG_MAPS, wanted).await;
    let path = format!("{CONFIG_MAPS}/c");
    let waiting = api.delete(&path).await.json();
    assert_eq!(waiting["kind"], "ConfigMap");
    assert_eq!(waiting["metadata"]["deletionGracePeriodSeconds"], 0);
    let more =
        api.merge(&path, json!({"metadata": {"finalizers": ["example.com/a", "example.com/b"]}})).await;
    assert_eq!(more.code, 422);
    assert!(more.message().contains("no new finalizers can be added if the object is being deleted"));
    let again = api.delete(&path).await.json();
    assert_eq!(again, waiting, "a second delete changes nothing");
    assert_eq!(api.merge(&path, json!({"metadata": {"finalizers": null}})).await.code, 200);
    assert_eq!(api.get(&path).await.code, 404);
}

#[tokio::test]
async fn a_running_pod_gets_its_grace_which_only_shrinks() {
    let api = Api::new().await;
    let mut wanted = pod("p");
    wanted["spec"]["nodeName"] = json!("here");
    api.make(PODS, wanted).await;
    let path = format!("{PODS}/p");
    let leaving = api.delete(&path).await.json();
    assert_eq!(leaving["metadata"]["deletionTimestamp"], "2027-01-15T08:00:30Z");
    assert_eq!(leaving["metadata"]["deletionGracePeriodSeconds"], 30);
    api.world.seconds.fetch_add(5, Ordering::SeqCst);
    assert_eq!(api.delete(&format!("{path}?gracePeriodSeconds=60")).await.json(), leaving);
    let sooner = api.delete(&format!("{path}?gracePeriodSeconds=10")).await.json();
    assert_eq!(sooner["metadata"]["deletionTimestamp"], "2027-01-15T08:00:10Z");
    let gone = api.delete(&format!("{path}?gracePeriodSeconds=0")).await.json();
    assert_eq!((&gone["kind"], &gone["metadata"]["deletionGracePeriodSeconds"]), (&json!("Pod"), &json!(0)));
    assert_eq!(api.get(&path).await.code, 404);
}

#[tokio::test]
async fn pods_that_do_not_run_go_at_once_unless_a_finalizer_holds_them() {
    let api = Api::new().await;
    api.make(PODS, pod("unscheduled")).await;
    let gone = api.delete(&format!("{PODS}/unscheduled")).await.json();
    assert_eq!((&gone["kind"], &gone["metadata"]["deletionGracePeriodSeconds"]), (&json!("Pod"), &json!(0)));
    assert_eq!(api.get(&format!("{PODS}/unscheduled")).await.code, 404);
    let mut held = pod("held");
    held["metadata"]["finalizers"] = json!(["batch.kubernetes.io/job-tracking"]);
    held["spec"]["nodeName"] = json!("here");
    api.make(PODS, held).await;
    let path = format!("{PODS}/held");
    api.merge(&format!("{path}/status"), json!({"status": {"phase": "Succeeded"}})).await;
    let waiting = api.delete(&path).await.json();
    assert_eq!(waiting["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(api.merge(&path, json!({"metadata": {"finalizers": []}})).await.code, 200);
    assert_eq!(api.get(&path).await.code, 404);
}

#[tokio::test]
async fn a_namespace_terminates_takes_nothing_new_and_goes_when_it_is_finalized() {
    let api = Api::new().await;
    api.make("/api/v1/namespaces", json!({"metadata": {"name": "n"}})).await;
    let leaving = api.delete("/api/v1/namespaces/n").await.json();
    assert_eq!(leaving["status"]["phase"], "Terminating");
    assert!(leaving["metadata"]["deletionTimestamp"].is_string());
    let refused = api.post("/api/v1/namespaces/n/configmaps", config_map("c", json!({}))).await;
    let status = refused.json();
    assert_eq!((refused.code, &status["reason"]), (403, &json!("Forbidden")));
    assert_eq!(status["details"]["causes"][0]["reason"], "NamespaceTerminating");
    let mut done = leaving.clone();
    done["spec"]["finalizers"] = json!([]);
    assert_eq!(api.put("/api/v1/namespaces/n/finalize", done).await.code, 200);
    assert_eq!(api.get("/api/v1/namespaces/n").await.code, 404);
    let default = api.delete("/api/v1/namespaces/default").await;
    assert_eq!(default.message(), "namespaces \"default\" is forbidden: this namespace may not be deleted");
}

/// One field of a protobuf message: a length and bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    [&[(number << 3) | 2, length], bytes].concat()
}

#[tokio::test]
async fn typed_go_clients_send_their_options_as_protobuf() {
    let api = Api::new().await;
    api.make(JOBS, job("pi")).await;
    for (api_version, policy) in [("batch/v1", "Foreground"), ("v1", "Background")] {
        let kind = [field(1, api_version.as_bytes()), field(2, b"DeleteOptions")].concat();
        let options = field(4, policy.as_bytes());
        let body =
            [b"k8s\0".to_vec(), field(1, &kind), field(2, &options), field(3, b""), field(4, b"")].concat();
        let media = "application/vnd.kubernetes.protobuf";
        let answer = api.call(Method::DELETE, &format!("{JOBS}/pi"), media, Bytes::from(body)).await;
        assert_eq!(answer.code, 200, "{answer:?}");
        assert!(answer.warnings().is_empty());
        if policy == "Foreground" {
            assert_eq!(answer.json()["metadata"]["finalizers"], json!(["foregroundDeletion"]));
        }
    }
    assert_eq!(api.get(&format!("{JOBS}/pi")).await.code, 404);
}
