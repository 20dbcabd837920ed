//! The tasks of a job, page by page, with what cannot be had said as such.

use serde_json::{Value, json};
use windlass::Error;
use windlass::manifest::Right;
use windlass::manifest::tasks::TaskState;

use crate::support::{PODS, Reply, Server, job, merge, pod, refusal};

const GET_JOB: &str = "GET /apis/batch/v1/namespaces/lab/jobs/train";
const ITEMS: &str = "GET /api/v1/namespaces/lab/configmaps/train-tasks";

/// An array of three: 5 has succeeded, 7 has failed, 9 runs.
fn array() -> Value {
    let map = json!({ "names": ["item"], "numbers": "5-9:2", "count": 3, "configMap": "train-tasks" });
    job(
        3,
        json!({
            "metadata": { "annotations": { "windlass.dev/tasks": map.to_string() } },
            "spec": { "completions": 3, "completionMode": "Indexed", "backoffLimitPerIndex": 0 },
            "status": { "succeeded": 1, "failed": 1, "active": 1, "completedIndexes": "0", "failedIndexes": "1" },
        }),
    )
}

/// A pod of an index, as one page of a list with more behind it or not.
fn page(index: u32, phase: &str, state: Value, token: &str) -> Value {
    let mut pod = pod(1, phase, state);
    merge(
        &mut pod,
        json!({ "metadata": { "name": format!("train-{index}-x"), "annotations": {
            "batch.kubernetes.io/job-completion-index": index.to_string(),
            "batch.kubernetes.io/job-index-failure-count": "0" } } }),
    );
    json!({ "metadata": { "resourceVersion": "9", "continue": token }, "items": [pod] })
}

fn ended(code: i32) -> Value {
    json!({ "terminated": { "exitCode": code, "startedAt": "2026-11-20T10:00:01Z", "finishedAt": "2026-11-20T10:00:04Z" } })
}

fn items(text: &str) -> Reply {
    Reply::Json(200, json!({ "data": { "items": text } }))
}

/// Three pages, of which the second expires once.
fn server() -> Server {
    let server = Server::new();
    let mut has_expired = false;
    server.on(GET_JOB, Reply::Json(200, array()));
    let pages = move |seen: &crate::support::Seen| match seen.query.get("continue").map(String::as_str) {
        None => Reply::Json(200, page(0, "Succeeded", ended(0), "second")),
        Some("second") if !std::mem::replace(&mut has_expired, true) => refusal(410, "Expired", "too old"),
        Some("second") => Reply::Json(200, page(1, "Failed", ended(3), "third")),
        _ => Reply::Json(200, page(2, "Running", json!({ "running": {} }), "")),
    };
    server.on(&format!("GET {PODS}"), Reply::Of(Box::new(pages)));
    server
}

fn states(tasks: &windlass::Tasks) -> Vec<(u32, TaskState, Option<u32>)> {
    tasks.tasks.iter().map(|task| (task.number, task.state, task.attempts)).collect()
}

#[tokio::test(start_paused = true)]
async fn tasks_are_read_page_by_page_and_each_pod_counts_once() {
    let server = server();
    let text = windlass::manifest::Array {
        names: vec!["item".into()],
        tasks: [5, 7, 9]
            .map(|number| windlass::manifest::Task { number, values: vec![format!("a/{number}")] })
            .into(),
    };
    server.on(ITEMS, items(&text.items()));
    let tasks = server.manager().tasks("train").await.unwrap();
    use TaskState::{Failed, Running, Succeeded};
    assert_eq!(states(&tasks), [(5, Succeeded, Some(1)), (7, Failed, Some(1)), (9, Running, Some(1))]);
    assert_eq!((&tasks.names[..], &tasks.tasks[1].values[..]), (&["item".into()][..], &["a/7".into()][..]));
    assert_eq!((tasks.tasks[1].exit_code, tasks.lacks_values, tasks.missing.len()), (Some(3), false, 0));
}

#[tokio::test(start_paused = true)]
async fn without_pods_and_values_states_are_known_and_the_rest_is_said_to_be_unknown() {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, array()));
    server.on(&format!("GET {PODS}"), refusal(403, "Forbidden", "no"));
    let tasks = server.manager().tasks("train").await.unwrap();
    use TaskState::{Failed, Succeeded, Waiting};
    assert_eq!(states(&tasks), [(5, Succeeded, None), (7, Failed, None), (9, Waiting, None)]);
    assert_eq!((tasks.lacks_values, &tasks.missing[..]), (true, &[Right::Pods][..]));
}

#[tokio::test(start_paused = true)]
async fn a_job_without_numbers_and_one_with_too_many_have_no_table() {
    for (spec, text) in [
        (json!({ "completions": 3 }), "not Indexed"),
        (json!({ "completions": 2_000_000, "completionMode": "Indexed" }), "no more than 1000000"),
    ] {
        let server = Server::new();
        server.on(GET_JOB, Reply::Json(200, job(1, json!({ "spec": spec }))));
        match server.manager().tasks("train").await {
            Err(Error::Argument(problem)) => assert!(problem.message.contains(text), "{problem}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_with_failed_tasks_is_got_with_their_last_lines_by_cause() {
    let server = server();
    server.on(ITEMS, refusal(404, "NotFound", "gone"));
    server.on("GET /api/v1/namespaces/lab/events", crate::support::list(1, &[]));
    server.on(
        "GET /api/v1/namespaces/lab/pods/train-1-x/log",
        Reply::Text("one\nbad\n", crate::support::End::Close),
    );
    let status = server.manager().get("train").await.unwrap().status;
    let [group] = &status.verdict.failures[..] else { panic!("{status:?}") };
    assert_eq!((group.what.as_str(), group.tasks.as_str(), group.count), ("ended with code 3", "7", 1));
    assert_eq!(group.last_lines, ["one", "bad"]);
}
