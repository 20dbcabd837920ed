//! Whose log is read when: the attempts of a task one after the other, and a bounded number of tasks at a time.

use std::time::Duration;

use futures::StreamExt;
use futures::channel::oneshot;
use serde_json::{Value, json};
use windlass::{LogEvent, LogOptions};

use crate::logs::{GET_JOB, LIST_JOBS, LIST_PODS, WATCH_JOBS, WATCH_PODS, gaps, read, version};
use crate::support::{End, Reply, Server, event, failed, job, list, merge, pod, refusal, running};

/// A pod of index 3 by another name, made at a second.
fn attempt(name: &str, second: u32, phase: &str, state: Value) -> Value {
    let mut pod = pod(8, phase, state);
    let created = format!("2026-11-20T10:00:{second:02}Z");
    let labels = json!({ "batch.kubernetes.io/job-completion-index": "3" });
    merge(
        &mut pod,
        json!({ "metadata": { "name": name, "uid": name, "creationTimestamp": created, "labels": labels } }),
    );
    pod
}

fn log_of(pod: &str) -> String {
    format!("GET /api/v1/namespaces/lab/pods/{pod}/log")
}

/// The pods whose output came, in its order.
fn pods_of(events: &[LogEvent]) -> Vec<&str> {
    let pods = events.iter().filter_map(|event| match event {
        LogEvent::Chunk(chunk) => Some(chunk.pod.as_str()),
        _ => None,
    });
    pods.collect()
}

#[tokio::test(start_paused = true)]
async fn the_attempts_of_a_task_are_read_in_their_order() {
    let server = Server::new();
    let over = json!({ "terminated": { "exitCode": 3, "startedAt": "2026-11-20T10:00:00Z" } });
    let attempts = [("train-a", 9), ("train-b", 30), ("train-c", 1)];
    let pods = attempts.map(|(name, second)| attempt(name, second, "Failed", over.clone()));
    server.on(GET_JOB, Reply::Json(200, job(1, failed())));
    server.on(LIST_PODS, list(1, &pods));
    server.on("GET /version", version("30"));
    for (name, _) in attempts {
        // Long enough to come in several pieces.
        let text: String =
            (0..4_000).map(|line| format!("2026-11-20T10:00:00Z line {line} of many\n")).collect();
        server.on(&log_of(name), Reply::Text(text.leak(), End::Close));
    }
    let events = read(&server, LogOptions::default()).await;
    let mut pods = pods_of(&events);
    pods.dedup();
    assert_eq!(pods, ["train-c", "train-a", "train-b"]);
    let LogEvent::Chunk(last) = &events[events.len() - 1] else { panic!("{events:?}") };
    assert_eq!(last.pods_before, 2);
}

#[tokio::test(start_paused = true)]
async fn a_pod_out_of_reach_does_not_hold_up_its_tasks_next_attempt_for_ever() {
    let (server, finish) = with_running_pods(&[
        attempt("train-a", 1, "Running", json!({ "running": {} })),
        attempt("train-b", 9, "Running", json!({ "running": {} })),
    ]);
    server.on(&log_of("train-a"), Reply::Of(Box::new(|_| Reply::Text("", End::Hang))));
    server.on(&log_of("train-b"), Reply::Text("2026-11-20T10:00:09Z new\n", End::Hang));
    let mut events = server.manager().logs("train", LogOptions { follow: true, ..LogOptions::default() });
    let before = tokio::time::Instant::now();
    loop {
        if let LogEvent::Chunk(chunk) = events.next().await.unwrap().unwrap() {
            assert_eq!(chunk.pod, "train-b");
            break;
        }
    }
    assert_eq!(before.elapsed().as_secs(), 45);
    drop(finish);
}

#[tokio::test(start_paused = true)]
async fn a_pod_out_of_reach_does_not_cost_the_next_attempts_log_at_the_jobs_end() {
    let over = json!({ "terminated": { "exitCode": 3, "startedAt": "2026-11-20T10:00:00Z" } });
    let pods =
        [("train-a", 1), ("train-b", 9)].map(|(name, second)| attempt(name, second, "Failed", over.clone()));
    let (server, finish) = with_running_pods(&pods);
    server.on(&log_of("train-a"), refusal(502, "BadGateway", "no route to host"));
    server.on(&log_of("train-b"), Reply::Text("2026-11-20T10:00:09Z new\n", End::Close));
    drop(finish);
    let events = read(&server, LogOptions { follow: true, ..LogOptions::default() }).await;
    assert_eq!(pods_of(&events), ["train-b"]);
    assert!(gaps(&events).iter().any(|gap| gap.contains("the rest did not come")), "{events:?}");
}

/// A server without separate streams whose job runs with these pods, and ends when the sender is used or dropped.
fn with_running_pods(pods: &[Value]) -> (Server, oneshot::Sender<()>) {
    let server = Server::new();
    let (finish, end) = oneshot::channel();
    server.on(GET_JOB, Reply::Json(200, job(1, running())));
    server.on(LIST_JOBS, list(1, &[job(1, running())]));
    server.on(WATCH_JOBS, Reply::Watch(Vec::new(), End::When(end)));
    server.on(WATCH_JOBS, Reply::Watch(vec![event("MODIFIED", &job(2, failed()))], End::Hang));
    server.on(LIST_PODS, list(1, pods));
    server.on(WATCH_PODS, Reply::Of(Box::new(|_| Reply::Watch(Vec::new(), End::Hang))));
    server.on("GET /version", version("30"));
    (server, finish)
}

#[tokio::test(start_paused = true)]
async fn more_running_tasks_than_are_read_at_a_time_are_said_to_wait() {
    let pods: Vec<Value> = (0..70)
        .map(|index| {
            let mut pod = attempt(&format!("train-{index}"), 1, "Running", json!({ "running": {} }));
            let labels = json!({ "batch.kubernetes.io/job-completion-index": index.to_string() });
            merge(&mut pod, json!({ "metadata": { "labels": labels } }));
            pod
        })
        .collect();
    let (server, finish) = with_running_pods(&pods);
    for index in 0..70 {
        server.on(&log_of(&format!("train-{index}")), Reply::Of(Box::new(|_| Reply::Text("", End::Hang))));
    }
    let mut events = server.manager().logs("train", LogOptions { follow: true, ..LogOptions::default() });
    let mut said = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(120), events.next()).await {
        said.extend(Some(event.unwrap()).filter(|event| *event != LogEvent::StreamsMerged));
    }
    let expected = LogEvent::Crowded { pod: "train-64".into(), index: Some(64), readers: 64 };
    assert_eq!(said, [expected], "once, and of the first that waits");
    drop(finish);
}
