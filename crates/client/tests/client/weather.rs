//! Single spells of bad weather, each with what must come of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use windlass::manifest::{Base, Cause, Manifest, make};
use windlass::model::{JobRequest, Place, SubmissionId};
use windlass::{CancelEffect, DeleteOptions, Error, JobManager, Known, Source, SubmitOptions, connect};

use crate::support::{
    End, JOBS, Reply, Server, complete, event, failed, job, list, merge, pod, refusal, running, status,
    with_running_job,
};

const GET_JOB: &str = "GET /apis/batch/v1/namespaces/lab/jobs/train";
const LIST_JOBS: &str = "GET /apis/batch/v1/namespaces/lab/jobs";
const WATCH_JOBS: &str = "GET /apis/batch/v1/namespaces/lab/jobs?watch";
const LIST_PODS: &str = "GET /api/v1/namespaces/lab/pods";
const DELETE_JOB: &str = "DELETE /apis/batch/v1/namespaces/lab/jobs/train";
const PATCH_JOB: &str = "PATCH /apis/batch/v1/namespaces/lab/jobs/train";

fn image_job() -> Manifest {
    let request = JobRequest::new(vec!["train".to_owned()], Place::Image("busybox".to_owned()));
    make(&Base::Request(Box::new(request)), &[]).unwrap()
}

/// A manager of a cluster that is known to be there.
fn known(server: &Server) -> JobManager {
    server.manager().knowing(Known { has_answered: true, ..Known::default() })
}

async fn cause(server: &Server) -> Cause {
    server.manager().wait("train", None).await.unwrap().cause
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_looked_after_and_begins_again_with_a_list() {
    let server = with_running_job();
    server.on(WATCH_JOBS, Reply::Watch(Vec::new(), End::Hang));
    server.on(LIST_JOBS, list(7, &[job(7, complete())]));
    let before = tokio::time::Instant::now();
    assert_eq!(cause(&server).await, Cause::Succeeded);
    assert!(before.elapsed() < Duration::from_secs(300), "{:?}", before.elapsed());
    assert_eq!(server.asked(LIST_JOBS).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_keep_a_quiet_watch_alive_and_say_where_to_go_on() {
    let server = with_running_job();
    let bookmark = event("BOOKMARK", &json!({ "metadata": { "resourceVersion": "44" } }));
    server.on(WATCH_JOBS, Reply::Watch(vec![bookmark], End::Break));
    server.on(WATCH_JOBS, Reply::Watch(vec![event("MODIFIED", &job(50, complete()))], End::Hang));
    assert_eq!(cause(&server).await, Cause::Succeeded);
    assert_eq!(server.asked(WATCH_JOBS)[1].query["resourceVersion"], "44");
    assert_eq!(server.asked(LIST_JOBS).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_as_soon_as_it_begins_is_not_asked_for_again_and_again() {
    let server = with_running_job();
    server.on(WATCH_JOBS, Reply::Of(Box::new(|_| Reply::Watch(Vec::new(), End::Close))));
    let manager = server.manager();
    let error = manager.wait("train", Some(Duration::from_secs(60))).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    let asked = server.asked(WATCH_JOBS).len();
    assert!((10..40).contains(&asked), "{asked} times in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_was_cut_is_no_event() {
    let server = with_running_job();
    server.on(WATCH_JOBS, Reply::Text("{\"type\":\"MODIFIED\",\"object\":{\"meta", End::Break));
    server.on(WATCH_JOBS, Reply::Watch(vec![event("MODIFIED", &job(5, complete()))], End::Hang));
    assert_eq!(cause(&server).await, Cause::Succeeded);
    assert_eq!(server.asked(WATCH_JOBS)[1].query["resourceVersion"], "1");
}

#[tokio::test(start_paused = true)]
async fn late_and_repeated_events_change_nothing() {
    let server = with_running_job();
    let mut older = job(0, complete());
    merge(&mut older, json!({ "metadata": { "uid": "j0" } }));
    let late = [
        // Of a job that had the name before.
        event("DELETED", &older),
        event("MODIFIED", &job(5, running())),
        event("MODIFIED", &job(5, running())),
        event("MODIFIED", &job(3, running())),
        event("MODIFIED", &job(8, failed())),
    ];
    server.on(WATCH_JOBS, Reply::Watch(late.to_vec(), End::Hang));
    let outcome = server.manager().wait("train", None).await.unwrap();
    assert_eq!(outcome.exit.code(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_restored_from_a_backup_is_listed_anew() {
    let server = with_running_job();
    let ahead = refusal(504, "Timeout", "Timeout: Too large resource version: 9000, current: 7");
    server.on(WATCH_JOBS, ahead);
    server.on(LIST_JOBS, list(7, &[job(7, complete())]));
    server.on(WATCH_JOBS, Reply::Watch(Vec::new(), End::Hang));
    assert_eq!(cause(&server).await, Cause::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured() {
    let server = Server::new();
    let mut busy = status(429, "TooManyRequests", "too many requests");
    busy["details"] = json!({ "retryAfterSeconds": 7 });
    server.on(GET_JOB, Reply::Json(429, busy));
    server.on(GET_JOB, Reply::Json(200, job(1, complete())));
    let before = tokio::time::Instant::now();
    assert_eq!(cause(&server).await, Cause::Succeeded);
    assert_eq!(before.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_an_hour_is_not_waited_for() {
    let server = Server::new();
    let mut busy = status(429, "TooManyRequests", "come back later");
    busy["details"] = json!({ "retryAfterSeconds": 3600 });
    server.on(GET_JOB, Reply::Json(429, busy));
    let error = server.manager().wait("train", None).await.unwrap_err();
    assert!(matches!(&error, Error::Server { status: 429, .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_restarts_is_waited_for_once_it_has_answered() {
    let server = Server::new();
    for _ in 0..8 {
        server.on(GET_JOB, Reply::Lost);
    }
    server.on(GET_JOB, Reply::Json(200, job(1, complete())));
    let error = server.manager().wait("train", None).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "one that never answered is not: {error}");
    assert_eq!(server.seen().len(), 1);
    assert_eq!(known(&server).wait("train", None).await.unwrap().cause, Cause::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_list_whose_pages_expire_is_read_from_the_first_again() {
    let server = with_running_job();
    server.on(GET_JOB, Reply::Json(200, job(1, failed())));
    let first = json!({ "metadata": { "continue": "2", "resourceVersion": "9" }, "items": [] });
    server.on(LIST_PODS, Reply::Json(200, first.clone()));
    let replies = Mutex::new(vec![
        list(9, &[pod(8, "Failed", json!({ "terminated": { "exitCode": 3 } }))]),
        refusal(410, "Expired", "the continue token is too old"),
        Reply::Json(200, first),
    ]);
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job(1, failed())));
    server.on(LIST_PODS, Reply::Of(Box::new(move |_| replies.lock().unwrap().pop().unwrap())));
    let outcome = server.manager().wait("train", None).await.unwrap();
    assert_eq!(outcome.exit.code(), 3);
    assert_eq!(server.asked(LIST_PODS).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_page_token_that_is_too_old_says_so() {
    let server = Server::new();
    server.on(LIST_JOBS, refusal(410, "Expired", "too old"));
    let error = server.manager().statuses(&windlass::ListFilter::default()).await.unwrap_err();
    assert!(matches!(error, Error::Expired { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_was_answered_with_a_failure_after_it_was_done_is_one_job() {
    for lost in
        [refusal(500, "InternalError", "etcdserver: leader changed"), refusal(504, "Timeout", "too slow")]
    {
        let server = Server::new();
        let kept = Arc::new(Mutex::new(Value::Null));
        let (object, mut lost) = (kept.clone(), Some(lost));
        server.on(
            &format!("POST {JOBS}"),
            Reply::Of(Box::new(move |seen| match lost.take() {
                Some(lost) => {
                    *object.lock().unwrap() = seen.body.clone();
                    lost
                }
                None => refusal(409, "AlreadyExists", "already exists"),
            })),
        );
        let id = SubmissionId::parse("nightly").unwrap();
        let name = image_job().name_for(&id, 0);
        server.on(LIST_JOBS, list(1, &[]));
        server.on(
            &format!("GET {JOBS}/{name}"),
            Reply::Of(Box::new(move |_| Reply::Json(200, kept.lock().unwrap().clone()))),
        );
        let options = SubmitOptions { id: Some(id), ..SubmitOptions::default() };
        let submitted = server.manager().submit(&image_job(), &options).await.unwrap();
        assert_eq!(submitted.name, name.as_str());
        assert_eq!(server.asked(&format!("POST {JOBS}")).len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_made_and_deleted_before_its_answer_came_is_not_made_again() {
    let server = Server::new();
    server.on(&format!("POST {JOBS}"), Reply::Lost);
    server.on(&format!("POST {JOBS}"), refusal(409, "AlreadyExists", "already exists"));
    let error = server.manager().submit(&image_job(), &SubmitOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::Gone { .. }), "{error}");
    assert_eq!(server.asked(&format!("POST {JOBS}")).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_whose_answer_was_lost_is_recognised() {
    let server = Server::new();
    let kept = Arc::new(Mutex::new(job(1, running())));
    let (read, changed) = (kept.clone(), kept);
    server.on(GET_JOB, Reply::Of(Box::new(move |_| Reply::Json(200, read.lock().unwrap().clone()))));
    server.on(
        PATCH_JOB,
        Reply::Of(Box::new(move |seen| {
            merge(&mut changed.lock().unwrap(), seen.body.clone());
            Reply::Lost
        })),
    );
    let effect = server.manager().cancel("train", "me", None).await.unwrap();
    assert_eq!(effect, CancelEffect::Stopping);
    assert_eq!(server.asked(PATCH_JOB).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_repeated_and_meets_no_other_job() {
    let server = with_running_job();
    server.on(DELETE_JOB, Reply::Lost);
    server.on(DELETE_JOB, refusal(409, "Conflict", "the uid in the precondition does not match"));
    server.manager().delete("train", &DeleteOptions::default()).await.unwrap();
    let asked = server.asked(DELETE_JOB);
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|seen| seen.body["preconditions"]["uid"] == "j1"));
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_being_deleted_is_named() {
    let server = Server::new();
    let message = "jobs.batch is forbidden: unable to create new content in namespace lab because it is being terminated";
    server.on(&format!("POST {JOBS}"), refusal(403, "Forbidden", message));
    let error = server.manager().submit(&image_job(), &SubmitOptions::default()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "namespace \"lab\" on the test's cluster is being deleted; choose another with -n"
    );
}

#[tokio::test(start_paused = true)]
async fn many_jobs_are_waited_for_with_one_list_and_one_watch() {
    let server = Server::new();
    let named = |name: &str, version: u32, more: Value| {
        let mut job = job(version, more);
        merge(&mut job, json!({ "metadata": { "name": name, "uid": format!("uid-{name}") } }));
        job
    };
    let names: Vec<String> = (0..30).map(|number| format!("job-{number:02}")).collect();
    let there: Vec<Value> = names.iter().map(|name| named(name, 1, running())).collect();
    let ends: Vec<Value> = names.iter().map(|name| event("MODIFIED", &named(name, 2, complete()))).collect();
    server.on(LIST_JOBS, list(1, &there));
    server.on(WATCH_JOBS, Reply::Watch(ends, End::Hang));
    let ends: Vec<_> = server.manager().wait_all(names).collect().await;
    assert_eq!(ends.len(), 30);
    assert!(ends.iter().all(|(_, end)| end.as_ref().unwrap().cause == Cause::Succeeded));
    assert_eq!(server.seen().len(), 2, "{:?}", server.seen());
}

#[tokio::test(start_paused = true)]
async fn credentials_that_lapse_in_the_middle_of_a_watch_end_it_with_the_way_out() {
    let server = with_running_job();
    server.on(WATCH_JOBS, Reply::Watch(Vec::new(), End::Close));
    server.on(WATCH_JOBS, refusal(401, "Unauthorized", "the token has expired"));
    let error = server.manager().wait("train", None).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
    let said = error.to_string();
    assert!(said.contains("does not accept the credentials: the token has expired; "), "{said}");
    assert!(said.ends_with("or choose another context"), "{said}");
    assert!(server.asked(WATCH_JOBS).len() <= 3, "it does not go on asking");
}

/// An HTTP server that takes one token, answers `GET` with an empty list, and counts its requests.
async fn guarded(token: Arc<Mutex<String>>) -> (std::net::SocketAddr, Arc<Mutex<Vec<String>>>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let log = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (token, log) = (token.clone(), log.clone());
            tokio::spawn(async move {
                let mut request = vec![0; 16 << 10];
                while let Ok(1..) = stream.read(&mut request).await {
                    let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
                    let given = text.split("bearer ").nth(1).and_then(|rest| rest.split("\r\n").next());
                    let given = given.unwrap_or_default().trim().to_owned();
                    let (code, body) = match given == *token.lock().unwrap() {
                        true => ("200 OK", json!({ "metadata": {}, "items": [] })),
                        false => ("401 Unauthorized", status(401, "Unauthorized", "the token has expired")),
                    };
                    log.lock().unwrap().push(given);
                    let body = body.to_string();
                    let answer = format!("HTTP/1.1 {code}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        break;
                    }
                    request.fill(0);
                }
            });
        }
    });
    (address, seen)
}

fn kubeconfig(address: std::net::SocketAddr, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
         contexts: [{{name: here, context: {{cluster: c, user: u, namespace: lab}}}}]\n\
         clusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}]\nusers: [{{name: u, user: {user}}}]\n"
    )
}

/// Lists with a token that is renewed after the first answer; gives what the server saw.
async fn renewed(folder: &tempfile::TempDir, user: &str, renew: impl FnOnce(&str)) -> (Vec<String>, Error) {
    let token = Arc::new(Mutex::new("first".to_owned()));
    let (address, seen) = guarded(token.clone()).await;
    let file = folder.path().join("config");
    std::fs::write(&file, kubeconfig(address, user)).unwrap();
    let connection = connect(&Source::Files { paths: vec![file.clone()], context: None }).await.unwrap();
    let manager = JobManager::of(&connection);
    let filter = windlass::ListFilter::default();
    manager.statuses(&filter).await.unwrap();
    *token.lock().unwrap() = "second".to_owned();
    renew("second");
    if user.contains("token: first") {
        std::fs::write(&file, kubeconfig(address, "{token: second}")).unwrap();
    }
    manager.statuses(&filter).await.unwrap();
    // Nobody renews it any more.
    *token.lock().unwrap() = "third".to_owned();
    let error = manager.statuses(&filter).await.unwrap_err();
    let seen = seen.lock().unwrap().clone();
    (seen, error)
}

#[tokio::test]
async fn a_token_file_is_read_again_when_its_token_has_expired() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first").unwrap();
    let user = format!("{{tokenFile: {}}}", file.display());
    let (seen, error) = renewed(&folder, &user, |token| std::fs::write(&file, token).unwrap()).await;
    assert_eq!(seen, ["first", "first", "second", "second", "second"]);
    let expected = format!(
        "here does not accept the credentials: the token has expired; renew the token in {}, or choose another context",
        file.display()
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn an_exec_plugin_is_run_again_when_its_token_has_expired() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first").unwrap();
    let text = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"'$(cat TOKEN)'"}}"#;
    let script = format!("echo '{}'", text.replace("TOKEN", &file.display().to_string()));
    let exec = json!({ "exec": { "apiVersion": "client.authentication.k8s.io/v1", "command": "sh",
        "args": ["-c", script], "interactiveMode": "Never" } });
    let (seen, error) =
        renewed(&folder, &exec.to_string(), |token| std::fs::write(&file, token).unwrap()).await;
    assert_eq!(seen, ["first", "first", "second", "second", "second"]);
    assert!(error.to_string().contains("renew the login behind `sh`"), "{error}");
}

#[tokio::test]
async fn a_token_of_the_kubeconfig_is_read_again_when_it_has_expired() {
    let folder = tempfile::tempdir().unwrap();
    let (seen, error) = renewed(&folder, "{token: first}", |_| {}).await;
    assert_eq!(seen, ["first", "first", "second", "second", "second"]);
    assert!(error.to_string().contains("put a new token into"), "{error}");
}
