//! Waiting and watching: right whatever happens to job and connection.

use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use windlass::manifest::{Cause, Phase};
use windlass::{Error, JobManager, Outcome};

use crate::support::{
    End, Reply, Server, complete, event, failed, job, list, merge, pod, refusal, running, status,
    with_running_job,
};

const GET_JOB: &str = "GET /apis/batch/v1/namespaces/lab/jobs/train";
const LIST_JOBS: &str = "GET /apis/batch/v1/namespaces/lab/jobs";
const WATCH_JOBS: &str = "GET /apis/batch/v1/namespaces/lab/jobs?watch";
const LIST_PODS: &str = "GET /api/v1/namespaces/lab/pods";
const WATCH_PODS: &str = "GET /api/v1/namespaces/lab/pods?watch";

async fn wait(manager: &JobManager) -> Outcome {
    manager.wait("train", None).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_job_that_has_ended_needs_no_watch() {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job(1, complete())));
    let outcome = wait(&server.manager()).await;
    assert_eq!((outcome.cause, outcome.exit.code()), (Cause::Succeeded, 0));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_job_gives_its_pods_code() {
    let server = with_running_job();
    server.on(WATCH_JOBS, Reply::Watch(vec![event("MODIFIED", &job(2, failed()))], End::Hang));
    let outcome = wait(&server.manager()).await;
    assert_eq!(outcome.exit.code(), 3);
    assert_eq!(outcome.status.phase, Phase::Failed);
    let asked = &server.asked(LIST_JOBS)[0].query;
    assert_eq!(asked["fieldSelector"], "metadata.name=train", "the server filters");
    assert_eq!(server.asked(LIST_PODS)[0].query["labelSelector"], "batch.kubernetes.io/controller-uid=j1");
}

/// Kubernetes deletes a pod that it started again in its place too often. What it ran at last was ended, not what failed.
#[tokio::test(start_paused = true)]
async fn the_code_of_a_pod_that_was_started_again_too_often_outlives_it() {
    let starts_again = |version: u32, more: Value| {
        let mut job = job(version, more);
        job["spec"]["template"]["spec"]["restartPolicy"] = json!("OnFailure");
        job
    };
    let tried = |version: u32, state: Value| {
        let mut pod = pod(version, "Running", state);
        pod["spec"]["restartPolicy"] = json!("OnFailure");
        pod["status"]["containerStatuses"][0]["lastState"] = json!({ "terminated": { "exitCode": 3 } });
        pod
    };
    let mut ended = tried(10, json!({ "terminated": { "exitCode": 143 } }));
    ended["metadata"]["deletionTimestamp"] = json!("2026-11-20T10:00:30Z");
    for pods in [Vec::new(), vec![event("MODIFIED", &ended)], vec![event("DELETED", &ended)]] {
        let server = Server::new();
        server.on(GET_JOB, Reply::Json(200, starts_again(1, running())));
        server.on(LIST_JOBS, list(1, &[starts_again(1, running())]));
        server.on(LIST_PODS, list(9, &[tried(8, json!({ "running": {} }))]));
        server.on(LIST_PODS, list(11, &[]));
        server.on(WATCH_PODS, Reply::Watch(pods, End::Hang));
        server.on(WATCH_JOBS, Reply::Watch(vec![event("MODIFIED", &starts_again(2, failed()))], End::Hang));
        let outcome = wait(&server.manager()).await;
        assert_eq!(outcome.exit.code(), 3, "{:?}", outcome.cause);
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_not_there_is_an_error_at_once() {
    let server = Server::new();
    server.on(GET_JOB, refusal(404, "NotFound", "jobs.batch \"train\" not found"));
    let error = server.manager().wait("train", None).await.unwrap_err();
    assert!(error.to_string().starts_with("there is no job \"train\" in namespace \"lab\""), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_deleted_while_it_runs_is_an_outcome() {
    let server = with_running_job();
    server.on(WATCH_JOBS, Reply::Watch(vec![event("DELETED", &job(2, running()))], End::Hang));
    let outcome = wait(&server.manager()).await;
    assert_eq!((outcome.cause, outcome.exit.code()), (Cause::Deleted, 125));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_ended_while_nobody_looked_is_found_by_the_next_list() {
    let server = with_running_job();
    let expired =
        json!({ "type": "ERROR", "object": status(410, "Expired", "too old resource version: 1 (9)") });
    server.on(WATCH_JOBS, Reply::Watch(vec![expired], End::Close));
    server.on(LIST_JOBS, list(7, &[job(7, complete())]));
    assert_eq!(wait(&server.manager()).await.cause, Cause::Succeeded);
    assert_eq!(server.asked(LIST_JOBS).len(), 2, "410 is answered with a new list");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_went_while_nobody_looked_is_gone() {
    let server = with_running_job();
    server.on(WATCH_JOBS, refusal(410, "Expired", "too old"));
    server.on(LIST_JOBS, list(7, &[]));
    assert_eq!(wait(&server.manager()).await.cause, Cause::Deleted);
}

#[tokio::test(start_paused = true)]
async fn another_job_of_the_same_name_is_not_ours() {
    let server = with_running_job();
    let mut other = job(2, complete());
    merge(&mut other, json!({ "metadata": { "uid": "j2" } }));
    server.on(WATCH_JOBS, Reply::Watch(vec![event("ADDED", &other)], End::Hang));
    assert_eq!(wait(&server.manager()).await.cause, Cause::Deleted);
}

#[tokio::test(start_paused = true)]
async fn a_lost_watch_goes_on_where_it_was() {
    let server = with_running_job();
    server.on(WATCH_JOBS, Reply::Watch(vec![event("MODIFIED", &job(5, running()))], End::Break));
    server.on(WATCH_JOBS, Reply::Lost);
    server.on(WATCH_JOBS, refusal(503, "ServiceUnavailable", "restarting"));
    server.on(WATCH_JOBS, Reply::Watch(vec![event("MODIFIED", &job(6, complete()))], End::Hang));
    assert_eq!(wait(&server.manager()).await.cause, Cause::Succeeded);
    let watches = server.asked(WATCH_JOBS);
    assert_eq!(watches.len(), 4);
    assert_eq!(watches[3].query["resourceVersion"], "5");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_comes_back_is_given_up() {
    let server = with_running_job();
    server.on(WATCH_JOBS, Reply::Lost);
    let before = tokio::time::Instant::now();
    let error = server.manager().wait("train", None).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let minutes = before.elapsed().as_secs() / 60;
    assert!((5..15).contains(&minutes), "{minutes} minutes");
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_taken_away_ends_the_wait() {
    let server = with_running_job();
    server.on(WATCH_JOBS, refusal(403, "Forbidden", "cannot watch jobs"));
    let error = server.manager().wait("train", None).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn time_is_up_and_the_job_goes_on() {
    let server = with_running_job();
    server.on(WATCH_JOBS, Reply::Watch(Vec::new(), End::Hang));
    let error = server.manager().wait("train", Some(Duration::from_secs(90))).await.unwrap_err();
    assert_eq!(error.exit().code(), 124);
    assert_eq!(error.to_string(), "job \"train\" has not ended in 1m30s");
    assert!(server.seen().iter().all(|seen| seen.route.starts_with("GET")), "nothing was changed");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_no_answer() {
    let server = Server::new();
    server.on(GET_JOB, Reply::Text("", End::Hang));
    let error = server.manager().wait("train", None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the test's cluster does not answer: no answer in 20 s; check that it runs, or choose another cluster"
    );
}

#[tokio::test(start_paused = true)]
async fn watching_tells_each_change_once() {
    let server = with_running_job();
    let same = job(3, running());
    let (finish, end) = futures::channel::oneshot::channel();
    let events = vec![event("MODIFIED", &job(2, running())), event("MODIFIED", &same)];
    server.on(WATCH_JOBS, Reply::Watch(events, End::When(end)));
    server.on(WATCH_JOBS, Reply::Watch(vec![event("MODIFIED", &job(4, failed()))], End::Hang));
    server.on(LIST_PODS, list(1, &[]));
    let runs = pod(2, "Running", json!({ "running": {} }));
    server.on(WATCH_PODS, Reply::Watch(vec![event("ADDED", &runs)], End::Hang));
    let mut statuses = server.manager().watch("train");
    let mut phases = Vec::new();
    let mut finish = Some(finish);
    while let Some(status) = statuses.next().await {
        let status = status.unwrap();
        phases.push(status.phase);
        if status.phase == Phase::Running
            && let Some(finish) = finish.take()
        {
            finish.send(()).unwrap();
        }
    }
    assert_eq!(phases.last(), Some(&Phase::Failed));
    phases.dedup();
    assert!(phases.contains(&Phase::Running), "{phases:?}");
}

#[tokio::test(start_paused = true)]
async fn pods_that_may_not_be_read_shorten_the_verdict() {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job(1, running())));
    server.on(LIST_JOBS, list(1, &[job(1, running())]));
    server.on(WATCH_JOBS, Reply::Watch(vec![event("MODIFIED", &job(2, failed()))], End::Hang));
    server.on(LIST_PODS, refusal(403, "Forbidden", "cannot list pods"));
    let statuses: Vec<_> = server.manager().watch("train").map(Result::unwrap).collect().await;
    let last = statuses.last().unwrap();
    assert_eq!(last.exit_code, Some(125));
    assert_eq!(last.verdict.missing.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_shows_its_pods_and_events() {
    let server = Server::new();
    let pending = pod(2, "Pending", json!({ "waiting": { "reason": "ContainerCreating" } }));
    server.on(GET_JOB, Reply::Json(200, job(1, running())));
    let mut stranger = pod(3, "Running", json!({ "running": {} }));
    merge(&mut stranger, json!({ "metadata": { "name": "stranger", "ownerReferences": Value::Null } }));
    server.on(LIST_PODS, list(1, &[stranger, pending]));
    let event = |uid: &str, kind: &str, message: &str| {
        json!({ "metadata": { "name": message }, "type": "Warning", "message": message,
                "involvedObject": { "kind": kind, "uid": uid } })
    };
    server.on(
        "GET /api/v1/namespaces/lab/events",
        Reply::Of(Box::new(move |seen| match seen.query["fieldSelector"].as_str() {
            "involvedObject.kind=Job,involvedObject.name=train" => {
                list(1, &[event("j1", "Job", "made"), event("old", "Job", "of an earlier job")])
            }
            "involvedObject.kind=Pod,involvedObject.name=train-0" => {
                list(1, &[event("p1", "Pod", "no network")])
            }
            other => panic!("{other}"),
        })),
    );
    let view = server.manager().get("train").await.unwrap();
    assert_eq!(view.pods.len(), 1, "only the job's own");
    let messages: Vec<_> = view.events.iter().map(|event| event.message.clone().unwrap()).collect();
    assert_eq!(messages, ["made", "no network"]);
    assert_eq!(view.status.verdict.text, "waiting for its pod to be started: no network");
}

#[tokio::test(start_paused = true)]
async fn changes_of_many_pods_are_gathered_and_told_within_a_second() {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job(1, running())));
    server.on(LIST_JOBS, list(1, &[job(1, running())]));
    let pods: Vec<Value> = (0..2000).map(|n| named(n, "Pending", json!({ "waiting": {} }))).collect();
    server.on(LIST_PODS, list(9, &pods));
    let started = (0..2000).map(|n| event("MODIFIED", &named(n, "Running", json!({ "running": {} }))));
    server.on(WATCH_PODS, Reply::Watch(started.collect(), End::Hang));
    server.on(WATCH_JOBS, Reply::Watch(Vec::new(), End::Hang));
    let begin = tokio::time::Instant::now();
    let mut statuses = server.manager().watch("train");
    let mut told = 0;
    while statuses.next().await.unwrap().unwrap().phase != Phase::Running {
        told += 1;
    }
    assert!(told < 5, "{told} statuses before all pods ran");
    assert!(begin.elapsed().as_millis() <= 1000, "{:?}", begin.elapsed());
}

fn named(number: u32, phase: &str, state: Value) -> Value {
    let mut pod = pod(10 + number, phase, state);
    pod["metadata"]["name"] = format!("train-{number}").into();
    pod["metadata"]["uid"] = format!("p{number}").into();
    pod
}
