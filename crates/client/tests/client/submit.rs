//! Submitting: one submission is one job, and a refusal says what to do.

use std::sync::{Arc, Mutex};

use crate::support::{JOBS, Reply, Server, job, list, refusal};
use serde_json::{Value, json};
use windlass::manifest::{Base, Edit, JobEdit, Manifest, make, marks};
use windlass::model::{JobRequest, Place, SubmissionId};
use windlass::world::{Real, World};
use windlass::{Error, SubmitOptions};

const HOST_CLASS: &str = "GET /apis/node.k8s.io/v1/runtimeclasses/windlass-host";

fn image_job(command: &str) -> Manifest {
    let request = JobRequest::new(vec![command.to_owned()], Place::Image("busybox".to_owned()));
    make(&Base::Request(Box::new(request)), &[]).unwrap()
}

fn with_id(id: &str) -> SubmitOptions {
    SubmitOptions { id: Some(SubmissionId::parse(id).unwrap()), ..SubmitOptions::default() }
}

/// A server that keeps jobs: creating one that is there is refused, labels select.
fn keeping() -> (Server, Arc<Mutex<Vec<Value>>>) {
    let (server, kept) = (Server::new(), Arc::new(Mutex::new(Vec::<Value>::new())));
    let jobs = kept.clone();
    server.on(
        &format!("POST {JOBS}"),
        Reply::Of(Box::new(move |seen| {
            let mut jobs = jobs.lock().unwrap();
            let name = seen.body["metadata"]["name"].clone();
            if jobs.iter().any(|job| job["metadata"]["name"] == name) {
                return refusal(409, "AlreadyExists", &format!("jobs.batch {name} already exists"));
            }
            jobs.push(seen.body.clone());
            Reply::Json(201, seen.body.clone())
        })),
    );
    let jobs = kept.clone();
    server.on(
        &format!("GET {JOBS}"),
        Reply::Of(Box::new(move |seen| {
            let selector = seen.query["labelSelector"].clone();
            let (key, value) = selector.split_once('=').unwrap();
            let fits = |job: &&Value| job["metadata"]["labels"][key] == value;
            list(1, &jobs.lock().unwrap().iter().filter(fits).cloned().collect::<Vec<_>>())
        })),
    );
    (server, kept)
}

#[tokio::test]
async fn the_same_submission_twice_is_one_job() {
    let (server, kept) = keeping();
    let manager = server.manager();
    let first = manager.submit(&image_job("train"), &with_id("nightly")).await.unwrap();
    let again = manager.submit(&image_job("train"), &with_id("nightly")).await.unwrap();
    assert_eq!((first.created, again.created), (true, false));
    assert_eq!(first.name, again.name);
    assert_eq!(kept.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_submission_with_other_content_is_a_conflict() {
    let (server, kept) = keeping();
    let manager = server.manager();
    manager.submit(&image_job("train"), &with_id("nightly")).await.unwrap();
    let error = manager.submit(&image_job("test"), &with_id("nightly")).await.unwrap_err();
    assert!(error.to_string().contains("exists already with other content"), "{error}");
    assert_eq!(kept.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_submission_that_is_sent_twice_at_once_is_one_job() {
    // The other one wins between our look and our create: AlreadyExists of our own object is success.
    let (server, _) = keeping();
    let there = server.manager().submit(&image_job("train"), &with_id("nightly")).await.unwrap();
    let late = Server::new();
    let job = serde_json::to_value(&there.job).unwrap();
    late.on(&format!("GET {JOBS}"), list(1, &[]));
    late.on(&format!("POST {JOBS}"), refusal(409, "AlreadyExists", "jobs.batch already exists"));
    late.on(&format!("GET {JOBS}/{}", there.name), Reply::Json(200, job));
    let again = late.manager().submit(&image_job("train"), &with_id("nightly")).await.unwrap();
    assert!(!again.created);
    let error = late.manager().submit(&image_job("train -v"), &with_id("nightly")).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
}

#[tokio::test]
async fn two_submissions_of_the_same_content_are_two_jobs() {
    let (server, kept) = keeping();
    let manager = server.manager();
    let first = manager.submit(&image_job("train"), &SubmitOptions::default()).await.unwrap();
    let second = manager.submit(&image_job("train"), &SubmitOptions::default()).await.unwrap();
    assert_ne!(first.name, second.name);
    assert_ne!(first.id, second.id);
    assert_eq!(kept.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_derived_name_that_a_stranger_has_is_given_up_for_another() {
    let id = SubmissionId::parse("nightly").unwrap();
    let taken = image_job("train").name_for(&id, 0);
    let server = Server::new();
    server.on(&format!("GET {JOBS}"), list(1, &[]));
    server.on(
        &format!("GET {JOBS}/{taken}"),
        Reply::Json(200, json!({ "metadata": { "name": taken.as_str() } })),
    );
    server.on(&format!("POST {JOBS}"), refusal(409, "AlreadyExists", "already exists"));
    server.on(&format!("POST {JOBS}"), Reply::Of(Box::new(|seen| Reply::Json(201, seen.body.clone()))));
    let submitted = server.manager().submit(&image_job("train"), &with_id("nightly")).await.unwrap();
    assert_eq!(submitted.name, image_job("train").name_for(&id, 1).to_string());
}

#[tokio::test]
async fn a_chosen_name_that_is_taken_is_a_conflict() {
    let base = Base::Request(Box::new(JobRequest::new(vec!["a".into()], Place::Image("b".into()))));
    let named = make(&base, &[Edit::Job(JobEdit::Name("train".into()))]).unwrap();
    let server = Server::new();
    server.on(&format!("POST {JOBS}"), refusal(409, "AlreadyExists", "already exists"));
    server.on(&format!("GET {JOBS}/train"), Reply::Json(200, json!({ "metadata": { "name": "train" } })));
    let error = server.manager().submit(&named, &SubmitOptions::default()).await.unwrap_err();
    assert!(
        error.to_string().contains("job \"train\" exists already and is another submission's"),
        "{error}"
    );
    assert_eq!(server.asked(&format!("POST {JOBS}")).len(), 1);
}

#[tokio::test]
async fn a_host_job_goes_nowhere_without_the_host_class() {
    let host =
        make(&Base::Request(Box::new(JobRequest::new(vec!["true".into()], Place::Host))), &[]).unwrap();
    let server = Server::new();
    server.on(HOST_CLASS, refusal(404, "NotFound", "runtimeclasses.node.k8s.io \"windlass-host\" not found"));
    let error = server.manager().submit(&host, &SubmitOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::NoHostClass { .. }));
    assert!(error.to_string().contains("--image"), "{error}");
    assert_eq!(server.seen().len(), 1, "nothing was created");
}

#[tokio::test]
async fn a_host_job_asks_for_the_host_class_once() {
    let host =
        make(&Base::Request(Box::new(JobRequest::new(vec!["true".into()], Place::Host))), &[]).unwrap();
    let (server, _) = keeping();
    server.on(HOST_CLASS, Reply::Json(200, json!({})));
    let manager = server.manager();
    manager.submit(&host, &SubmitOptions::default()).await.unwrap();
    manager.submit(&host, &SubmitOptions::default()).await.unwrap();
    assert_eq!(server.asked(HOST_CLASS).len(), 1);
}

#[tokio::test]
async fn the_server_validates_strictly_and_its_warnings_are_handed_out() {
    let server = Server::new();
    server.on(&format!("POST {JOBS}"), Reply::Warned(job(1, json!({})), "unknown field \\\"spec.foo\\\""));
    let options = SubmitOptions { submitter: Some("ada".into()), ..SubmitOptions::default() };
    let submitted = server.manager().submit(&image_job("train"), &options).await.unwrap();
    assert_eq!(submitted.warnings, ["unknown field \"spec.foo\""]);
    let sent = &server.asked(&format!("POST {JOBS}"))[0];
    assert_eq!(sent.query["fieldValidation"], "Strict");
    assert_eq!(sent.body["metadata"]["annotations"][marks::SUBMITTER], "ada");
    assert_eq!(sent.body["metadata"]["labels"][marks::SUBMISSION], submitted.id.as_str());
    assert!(!sent.query.contains_key("dryRun"));
}

#[tokio::test]
async fn a_dry_run_says_so_to_the_server() {
    let server = Server::new();
    server.on(&format!("POST {JOBS}"), Reply::Json(201, job(1, json!({}))));
    let options = SubmitOptions { dry_run: true, ..SubmitOptions::default() };
    server.manager().submit(&image_job("train"), &options).await.unwrap();
    assert_eq!(server.seen()[0].query["dryRun"], "All");
}

#[tokio::test]
async fn a_manifest_goes_to_the_namespace_that_it_names() {
    let base = Base::Request(Box::new(JobRequest::new(vec!["a".into()], Place::Image("b".into()))));
    let there = make(&base, &[Edit::Job(JobEdit::Namespace("other".into()))]).unwrap();
    let server = Server::new();
    server.on("POST /apis/batch/v1/namespaces/other/jobs", Reply::Json(201, job(1, json!({}))));
    let submitted = server.manager().submit(&there, &SubmitOptions::default()).await.unwrap();
    assert_eq!(submitted.namespace, "other");
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let quota = "jobs.batch \"x\" is forbidden: exceeded quota: small";
    let cases: [(u16, &str, &str, &str); 7] = [
        (422, "Invalid", "spec.backoffLimit: Invalid value: -1", "the server refused job"),
        (400, "BadRequest", "strict decoding error: unknown field \"spec.foo\"", "the server refused job"),
        (401, "Unauthorized", "Unauthorized", "does not accept the credentials"),
        (
            403,
            "Forbidden",
            "User \"ada\" cannot create jobs",
            "not allowed on the test's cluster: User \"ada\"",
        ),
        (403, "Forbidden", quota, "has no room for job"),
        (404, "NotFound", "namespaces \"lab\" not found", "there is no namespace \"lab\""),
        (500, "InternalError", "etcd is away", "the test's cluster failed: etcd is away"),
    ];
    for (code, reason, message, expected) in cases {
        let server = Server::new();
        server.on(&format!("POST {JOBS}"), refusal(code, reason, message));
        let error =
            server.manager().submit(&image_job("train"), &SubmitOptions::default()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{code} {message}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_submission_whose_answer_was_lost_is_sent_again_and_is_one_job() {
    let server = Server::new();
    let sent = Arc::new(Mutex::new(Value::Null));
    let object = sent.clone();
    // The job is made, and the answer is lost.
    server.on(
        &format!("POST {JOBS}"),
        Reply::Of(Box::new(move |seen| {
            let mut object = object.lock().unwrap();
            if object.is_null() {
                *object = seen.body.clone();
                return Reply::Lost;
            }
            refusal(409, "AlreadyExists", "already exists")
        })),
    );
    let id = SubmissionId::from_random([7; 16]);
    let name = image_job("train").name_for(&id, 0);
    server.on(
        &format!("GET {JOBS}/{name}"),
        Reply::Of(Box::new(move |_| Reply::Json(200, sent.lock().unwrap().clone()))),
    );
    let manager = server.manager().in_world(Arc::new(Sevens));
    let submitted = manager.submit(&image_job("train"), &SubmitOptions::default()).await.unwrap();
    assert!(submitted.created);
    assert_eq!((submitted.name.as_str(), &submitted.id), (name.as_str(), &id));
}

/// A world whose randomness is all sevens.
struct Sevens;

impl World for Sevens {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn sleep(&self, duration: std::time::Duration) -> futures::future::BoxFuture<'static, ()> {
        Real.sleep(duration)
    }

    fn random(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_does_not_answer_is_named() {
    let server = Server::new();
    server.on(&format!("POST {JOBS}"), Reply::Lost);
    let error = server.manager().submit(&image_job("train"), &SubmitOptions::default()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Uncertain { message, .. } if message == "connection refused"),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(text.starts_with("the test's cluster does not answer"), "{text}");
    // It may have been made: what was sent is named, so that it can be looked for, and sent again.
    let sent = &server.asked(&format!("POST {JOBS}"))[0].body["metadata"];
    let id = sent["labels"]["windlass.dev/submission"].as_str().unwrap();
    assert!(text.contains("windlass show train") && text.contains(&format!("--id {id}")), "{text}");
}
