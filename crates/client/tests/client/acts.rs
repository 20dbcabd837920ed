//! Finding, listing, cancelling, deleting, connecting.

use std::path::PathBuf;

use serde_json::{Value, json};
use windlass::{CancelEffect, ConnectError, DeleteOptions, Error, JobManager, ListFilter, Source, connect};

use crate::support::{JOBS, PODS, Reply, Server, complete, job, list, merge, pod, refusal, running};

const GET_JOB: &str = "GET /apis/batch/v1/namespaces/lab/jobs/train";
const PATCH_JOB: &str = "PATCH /apis/batch/v1/namespaces/lab/jobs/train";

fn named(name: &str, submission: &str, created: &str) -> Value {
    let mut job = job(1, json!({}));
    merge(
        &mut job,
        json!({ "metadata": { "name": name, "creationTimestamp": created,
                "labels": { "windlass.dev/submission": submission, "windlass.dev/managed-by": "windlass" } } }),
    );
    job
}

fn three_jobs() -> Server {
    let server = Server::new();
    let jobs = [
        named("train-aaaaa", "first", "2026-11-20T10:00:00Z"),
        named("train-bbbbb", "second", "2026-11-20T12:00:00Z"),
        named("report-ccccc", "third", "2026-11-20T11:00:00Z"),
    ];
    server.on(&format!("GET {JOBS}/train-aaaaa"), Reply::Json(200, jobs[0].clone()));
    server.on(
        &format!("GET {JOBS}"),
        Reply::Of(Box::new(move |seen| {
            let selector = seen.query.get("labelSelector").cloned().unwrap_or_default();
            let fits = |job: &&Value| match selector.split_once('=') {
                Some((key, value)) => job["metadata"]["labels"][key] == value,
                None => true,
            };
            list(1, &jobs.iter().filter(fits).cloned().collect::<Vec<_>>())
        })),
    );
    server
}

#[tokio::test]
async fn a_job_is_found_by_name_id_prefix_and_last() {
    let manager = three_jobs().manager();
    for (text, name) in [
        ("train-aaaaa", "train-aaaaa"),
        ("job/train-aaaaa", "train-aaaaa"),
        ("second", "train-bbbbb"),
        ("rep", "report-ccccc"),
        ("thi", "report-ccccc"),
        ("last", "train-bbbbb"),
    ] {
        assert_eq!(manager.resolve(text).await.unwrap(), name, "{text}");
    }
}

#[tokio::test]
async fn what_fits_several_jobs_or_none_is_refused() {
    let manager = three_jobs().manager();
    let error = manager.resolve("train").await.unwrap_err();
    assert!(error.to_string().contains("train-aaaaa, train-bbbbb"), "{error}");
    for text in ["nothing", "", "No such name", "../jobs"] {
        let error = manager.resolve(text).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{text}: {error}");
    }
}

#[tokio::test]
async fn last_without_any_job_is_not_found() {
    let server = Server::new();
    server.on(&format!("GET {JOBS}"), list(1, &[]));
    assert!(matches!(server.manager().resolve("last").await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn lists_are_filtered_and_paged_by_the_server() {
    let server = Server::new();
    let page =
        json!({ "metadata": { "resourceVersion": "1", "continue": "token" }, "items": [job(1, complete())] });
    server.on("GET /apis/batch/v1/jobs", Reply::Json(200, page));
    let filter = ListFilter {
        labels: Some("team=a b".into()),
        all_namespaces: true,
        only_ours: true,
        limit: 7,
        continue_token: Some("x=".into()),
        with_pods: false,
    };
    let page = server.manager().list(&filter).await.unwrap();
    assert_eq!(page.continue_token.as_deref(), Some("token"));
    assert_eq!(page.jobs[0].1.exit_code, Some(0));
    let query = &server.seen()[0].query;
    assert_eq!(query["labelSelector"], "team=a b,windlass.dev/managed-by=windlass");
    assert_eq!((query["limit"].as_str(), query["continue"].as_str()), ("7", "x="));
}

#[tokio::test]
async fn a_list_with_pods_knows_exit_codes() {
    let server = Server::new();
    server.on(&format!("GET {JOBS}"), list(1, &[job(1, crate::support::failed())]));
    server
        .on(&format!("GET {PODS}"), list(1, &[pod(1, "Failed", json!({ "terminated": { "exitCode": 3 } }))]));
    let filter = ListFilter { with_pods: true, ..ListFilter::default() };
    let page = server.manager().list(&filter).await.unwrap();
    assert_eq!(page.jobs[0].1.exit_code, Some(3));
}

#[tokio::test]
async fn a_started_job_is_cancelled_by_its_deadline() {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job(4, running())));
    server.on(PATCH_JOB, Reply::Json(200, job(5, running())));
    let effect = server.manager().cancel("train", "ada", Some("wrong data")).await.unwrap();
    assert_eq!(effect, CancelEffect::Stopping);
    let patch = &server.asked(PATCH_JOB)[0].body;
    assert_eq!(patch["spec"], json!({ "activeDeadlineSeconds": 1 }));
    assert_eq!(patch["metadata"]["resourceVersion"], "4");
    let record: Value =
        serde_json::from_str(patch["metadata"]["annotations"]["windlass.dev/cancel"].as_str().unwrap())
            .unwrap();
    assert_eq!((record["who"].as_str(), record["why"].as_str()), (Some("ada"), Some("wrong data")));
}

#[tokio::test]
async fn a_job_that_has_not_started_never_will() {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job(4, json!({ "spec": { "suspend": true } }))));
    server.on(PATCH_JOB, Reply::Json(200, job(5, json!({}))));
    assert_eq!(server.manager().cancel("train", "ada", None).await.unwrap(), CancelEffect::NeverStarts);
    let spec = &server.asked(PATCH_JOB)[0].body["spec"];
    assert_eq!(*spec, json!({ "suspend": true, "parallelism": 0, "activeDeadlineSeconds": 1 }));
}

#[tokio::test]
async fn a_job_that_starts_while_it_is_cancelled_is_looked_at_again() {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job(4, json!({}))));
    server.on(GET_JOB, Reply::Json(200, job(5, running())));
    server.on(PATCH_JOB, refusal(409, "Conflict", "the object has been modified"));
    server.on(PATCH_JOB, Reply::Json(200, job(6, running())));
    assert_eq!(server.manager().cancel("train", "ada", None).await.unwrap(), CancelEffect::Stopping);
}

#[tokio::test]
async fn a_job_that_has_ended_or_was_cancelled_is_left_alone() {
    let cancelled = json!({ "metadata": { "annotations":
        { "windlass.dev/cancel": "{\"who\":\"eve\",\"when\":\"2026-11-20T10:00:00Z\"}" } } });
    for (job, effect) in [
        (job(1, complete()), CancelEffect::AlreadyEnded),
        (job(1, cancelled), CancelEffect::AlreadyCancelled),
    ] {
        let server = Server::new();
        server.on(GET_JOB, Reply::Json(200, job));
        assert_eq!(server.manager().cancel("train", "ada", None).await.unwrap(), effect);
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn killing_ends_the_pods_that_run_and_no_other() {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job(1, running())));
    let mut done = pod(1, "Succeeded", json!({ "terminated": { "exitCode": 0 } }));
    merge(&mut done, json!({ "metadata": { "name": "done" } }));
    server.on(&format!("GET {PODS}"), list(1, &[pod(1, "Running", json!({ "running": {} })), done]));
    server.on(&format!("DELETE {PODS}/train-0"), Reply::Json(200, json!({})));
    server.manager().kill("train").await.unwrap();
    let sent = &server.asked(&format!("DELETE {PODS}/train-0"))[0].body;
    assert_eq!(*sent, json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": "p1" } }));
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_job_is_deleted_with_its_pods_in_the_background() {
    let delete = format!("DELETE {JOBS}/train");
    let server = Server::new();
    server.on(&delete, Reply::Json(200, json!({})));
    server.on(GET_JOB, Reply::Json(200, job(1, running())));
    server.manager().delete("train", &DeleteOptions::default()).await.unwrap();
    let uid = DeleteOptions { uid: Some("j1".into()) };
    server.manager().delete("train", &uid).await.unwrap();
    let sent: Vec<Value> = server.asked(&delete).into_iter().map(|seen| seen.body).collect();
    let expected = json!({ "propagationPolicy": "Background", "preconditions": { "uid": "j1" } });
    assert_eq!(sent, [expected.clone(), expected]);
}

#[tokio::test]
async fn deleting_another_job_of_the_same_name_is_a_conflict() {
    let server = Server::new();
    server.on(
        &format!("DELETE {JOBS}/train"),
        refusal(409, "Conflict", "the UID in the precondition does not match"),
    );
    let uid = DeleteOptions { uid: Some("old".into()) };
    let error = server.manager().delete("train", &uid).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
}

fn kubeconfig(server: &str, proxy: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
         contexts: [{{name: here, context: {{cluster: c, user: u, namespace: lab}}}}]\n\
         clusters: [{{name: c, cluster: {{server: '{server}'{proxy}}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\n"
    )
}

fn yaml(text: String, context: Option<&str>) -> Source {
    Source::Yaml { text, context: context.map(str::to_owned) }
}

#[tokio::test]
async fn a_dead_cluster_answers_within_seconds() {
    // A port that nobody listens on, and that nobody else gets meanwhile.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = taken.local_addr().unwrap();
    // The proxy does not exist: this machine is reached without it.
    let text = kubeconfig(&format!("http://{address}"), ", proxy-url: 'http://proxy.invalid:1'");
    let connection = connect(&yaml(text, None)).await.unwrap();
    assert_eq!((connection.context.as_str(), connection.namespace.as_str()), ("here", "lab"));
    let error = JobManager::of(&connection).get("train").await.unwrap_err();
    assert!(
        matches!(&error, Error::Unreachable { context, message } if context == "here" && message.contains("refused")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_context_that_is_not_there_names_those_that_are() {
    let source = yaml(kubeconfig("http://127.0.0.1:1", ""), Some("there"));
    let error = connect(&source).await.err().unwrap();
    assert!(error.to_string().ends_with("has no context \"there\"; it has: here"), "{error}");
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing: PathBuf = folder.path().join("config");
    let source = Source::Files { paths: vec![missing.clone()], context: None };
    let error = connect(&source).await.err().unwrap();
    assert!(
        matches!(&error, ConnectError::Kubeconfig { place, .. } if *place == missing.display().to_string()),
        "{error}"
    );
    std::fs::write(&missing, "contexts: [").unwrap();
    assert!(connect(&source).await.is_err());
    std::fs::write(&missing, kubeconfig("http://127.0.0.1:1", "")).unwrap();
    assert_eq!(connect(&source).await.unwrap().context, "here");
}
