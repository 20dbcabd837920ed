//! CronJobs on a cluster that serves them, and on one that does not.

use serde_json::{Value, json};
use windlass::manifest::cron::{CronBase, CronManifest, CronOptions, make_cron};
use windlass::{Error, SubmitOptions};

use crate::support::{JOBS, Reply, Server, job, list, refusal};

const CRONS: &str = "/apis/batch/v1/namespaces/lab/cronjobs";

fn object() -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": { "name": "nightly", "namespace": "lab", "uid": "c1" },
        "spec": { "schedule": "0 2 * * *", "jobTemplate": {
            "metadata": { "labels": { "team": "ops" }, "annotations": { "note": "kept" } },
            "spec": { "backoffLimit": 1, "template": { "spec": {
                "restartPolicy": "Never", "containers": [{ "name": "main", "image": "i" }] } } } } },
    })
}

fn manifest() -> CronManifest {
    make_cron(&CronBase::Manifest(object()), &CronOptions::default(), &[]).unwrap()
}

/// A server with the CronJob `nightly`.
fn server() -> Server {
    let server = Server::new();
    server.on(&format!("GET {CRONS}/nightly"), Reply::Json(200, object()));
    let kinds =
        json!({ "resources": [{ "name": "jobs" }, { "name": "cronjobs", "verbs": ["create", "get"] }] });
    server.on("GET /apis/batch/v1", Reply::Json(200, kinds));
    server
}

#[tokio::test]
async fn one_is_created_with_strict_validation_and_its_submitter() {
    let server = server();
    server.on(&format!("POST {CRONS}"), Reply::Warned(object(), "a label is recommended"));
    let created = server.manager().create_cron(&manifest(), Some("ada"), true).await.unwrap();
    assert_eq!(created.warnings, ["a label is recommended"]);
    let sent = &server.asked(&format!("POST {CRONS}"))[0];
    assert_eq!((sent.query["fieldValidation"].as_str(), sent.query["dryRun"].as_str()), ("Strict", "All"));
    assert_eq!(sent.body["metadata"]["annotations"]["windlass.dev/submitter"], "ada");
    assert_eq!(sent.body["spec"]["jobTemplate"]["metadata"]["labels"]["windlass.dev/managed-by"], "windlass");
}

#[tokio::test]
async fn one_that_is_there_is_told_and_so_is_what_the_server_refuses() {
    for (code, reason, expected) in [
        (409, "AlreadyExists", "windlass cron delete nightly"),
        (422, "Invalid", "the server refused CronJob \"nightly\": no"),
    ] {
        let server = server();
        server.on(&format!("POST {CRONS}"), refusal(code, reason, "no"));
        let error = server.manager().create_cron(&manifest(), None, false).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn it_is_suspended_resumed_and_deleted_as_the_one_that_was_meant() {
    let server = server();
    let route = format!("PATCH {CRONS}/nightly");
    server.on(&route, Reply::Json(200, object()));
    server.on(&format!("DELETE {CRONS}/nightly"), Reply::Json(200, json!({})));
    let manager = server.manager();
    manager.suspend_cron("nightly", true).await.unwrap();
    manager.suspend_cron("cronjob/nightly", false).await.unwrap();
    manager.delete_cron("cj/nightly").await.unwrap();
    let bodies: Vec<Value> = server.asked(&route).into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, [json!({ "spec": { "suspend": true } }), json!({ "spec": { "suspend": false } })]);
    let deleted = &server.asked(&format!("DELETE {CRONS}/nightly"))[0].body;
    assert_eq!(deleted["preconditions"]["uid"], "c1");
}

#[tokio::test]
async fn it_is_run_at_once_as_kubectl_does() {
    let server = server();
    server.on(&format!("POST {JOBS}"), Reply::Json(201, job(1, json!({}))));
    let manager = server.manager();
    let manifest = manager.job_of_cron("nightly", None).await.unwrap();
    manager.submit(&manifest, &SubmitOptions::default()).await.unwrap();
    let sent = &server.asked(&format!("POST {JOBS}"))[0].body;
    let metadata = &sent["metadata"];
    assert!(metadata["name"].as_str().unwrap().starts_with("nightly-"), "{metadata}");
    assert_eq!(metadata["annotations"]["cronjob.kubernetes.io/instantiate"], "manual");
    assert_eq!(metadata["annotations"]["note"], "kept");
    assert_eq!(metadata["labels"]["team"], "ops");
    let owner = json!([{ "apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": "c1", "controller": true }]);
    assert_eq!(metadata["ownerReferences"], owner);
    assert_eq!(sent["spec"]["backoffLimit"], 1);
    let named = manager.job_of_cron("nightly", Some("now")).await.unwrap();
    assert_eq!(named.job()["metadata"]["name"], "now");
}

#[tokio::test]
async fn a_list_is_selected_by_the_server() {
    let server = server();
    server.on(&format!("GET {CRONS}"), list(1, &[object()]));
    let crons = server.manager().crons(Some("team=ops"), false).await.unwrap();
    assert_eq!((crons.len(), &crons[0]["kind"]), (1, &json!("CronJob")));
    assert_eq!(server.asked(&format!("GET {CRONS}"))[0].query["labelSelector"], "team=ops");
}

#[tokio::test]
async fn a_cluster_without_cron_jobs_says_so_and_one_without_this_one_too() {
    let error = server().manager().cron("other").await.unwrap_err();
    assert!(matches!(&error, Error::NoCronJob { cron, .. } if cron == "other"), "{error}");
    let server = Server::new();
    server.on(
        "GET /apis/batch/v1",
        Reply::Json(200, json!({ "resources": [{ "name": "cronjobs", "verbs": ["list"] }] })),
    );
    server.on(&format!("POST {CRONS}"), refusal(405, "MethodNotAllowed", "not allowed"));
    server.on("GET /apis/batch/v1/cronjobs", list(1, &[]));
    let manager = server.manager();
    for error in [
        manager.cron("nightly").await.err(),
        manager.crons(None, true).await.err(),
        manager.create_cron(&manifest(), None, false).await.err(),
        manager.delete_cron("nightly").await.err(),
    ] {
        assert!(matches!(error, Some(Error::NoCronJobs { .. })), "{error:?}");
    }
}
