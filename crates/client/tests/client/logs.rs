//! Logs: from the first byte, without loss or repetition, and never a reason for the job's result.

use std::time::Duration;

use futures::StreamExt;
use futures::channel::oneshot;
use serde_json::{Value, json};
use windlass::manifest::{Base, make};
use windlass::model::{JobRequest, Place};
use windlass::{FollowEvent, LogEvent, LogOptions, LogStream, SubmitOptions};

use crate::support::{End, Reply, Server, complete, event, failed, job, list, merge, pod, refusal, running};

pub(crate) const GET_JOB: &str = "GET /apis/batch/v1/namespaces/lab/jobs/train";
pub(crate) const LIST_JOBS: &str = "GET /apis/batch/v1/namespaces/lab/jobs";
pub(crate) const WATCH_JOBS: &str = "GET /apis/batch/v1/namespaces/lab/jobs?watch";
pub(crate) const LIST_PODS: &str = "GET /api/v1/namespaces/lab/pods";
pub(crate) const WATCH_PODS: &str = "GET /api/v1/namespaces/lab/pods?watch";
const LOG: &str = "GET /api/v1/namespaces/lab/pods/train-0/log";
const STDOUT: &str = "GET /api/v1/namespaces/lab/pods/train-0/log?Stdout";
const STDERR: &str = "GET /api/v1/namespaces/lab/pods/train-0/log?Stderr";

pub(crate) fn version(minor: &str) -> Reply {
    Reply::Json(200, json!({ "major": "1", "minor": minor }))
}

fn ended() -> Value {
    pod(8, "Succeeded", json!({ "terminated": { "exitCode": 0, "startedAt": "2026-11-20T10:00:00Z" } }))
}

/// A server whose job has ended with one pod.
fn with_ended_job() -> Server {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job(1, complete())));
    server.on(LIST_PODS, list(1, &[ended()]));
    server.on("GET /version", version("36"));
    server
}

pub(crate) async fn read(server: &Server, options: LogOptions) -> Vec<LogEvent> {
    server.manager().logs("train", options).map(Result::unwrap).collect().await
}

/// The bytes of one stream.
fn text(events: &[LogEvent], stream: LogStream) -> String {
    let chunks = events.iter().filter_map(|event| match event {
        LogEvent::Chunk(chunk) if chunk.stream == stream => Some(String::from_utf8_lossy(&chunk.bytes)),
        _ => None,
    });
    chunks.collect()
}

pub(crate) fn gaps(events: &[LogEvent]) -> Vec<&str> {
    let reasons = events.iter().filter_map(|event| match event {
        LogEvent::Gap { reason, .. } => Some(reason.as_str()),
        _ => None,
    });
    reasons.collect()
}

#[tokio::test(start_paused = true)]
async fn the_two_streams_are_told_apart_and_times_are_taken_off() {
    let server = with_ended_job();
    server.on(
        STDOUT,
        Reply::Text(
            "2026-11-20T10:00:00.5Z out\n2026-11-20T10:00:01Z \n2026-11-20T10:00:01Z end",
            End::Close,
        ),
    );
    server.on(STDERR, Reply::Text("2026-11-20T10:00:00Z err\n", End::Close));
    let events = read(&server, LogOptions::default()).await;
    assert_eq!(text(&events, LogStream::Stdout), "out\n\nend");
    assert_eq!(text(&events, LogStream::Stderr), "err\n");
    assert!(!server.asked(STDOUT)[0].query.contains_key("follow"), "an ended log is not followed");
}

#[tokio::test(start_paused = true)]
async fn the_two_streams_of_an_ended_container_come_in_the_order_of_their_times() {
    let server = with_ended_job();
    server.on(
        STDOUT,
        Reply::Text("2026-11-20T10:00:00Z a\n2026-11-20T10:00:00.2Z c\n2026-11-20T10:00:03Z e", End::Close),
    );
    server.on(STDERR, Reply::Text("2026-11-20T10:00:00.15Z b\n2026-11-20T10:00:02Z d\n", End::Close));
    let events = read(&server, LogOptions::default()).await;
    let row: Vec<(LogStream, String)> = events
        .into_iter()
        .map(|event| match event {
            LogEvent::Chunk(chunk) => (chunk.stream, String::from_utf8(chunk.bytes).unwrap()),
            other => panic!("{other:?}"),
        })
        .collect();
    let (out, err) = (LogStream::Stdout, LogStream::Stderr);
    let expected = [(out, "a\n"), (err, "b\n"), (out, "c\n"), (err, "d\n"), (out, "e")];
    assert_eq!(row, expected.map(|(stream, text)| (stream, text.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn times_are_kept_when_they_are_asked_for() {
    let server = with_ended_job();
    server.on(STDOUT, Reply::Text("2026-11-20T10:00:00.5Z out\n", End::Close));
    server.on(STDERR, Reply::Text("", End::Close));
    let events = read(&server, LogOptions { timestamps: true, ..LogOptions::default() }).await;
    assert_eq!(text(&events, LogStream::Stdout), "2026-11-20T10:00:00.5Z out\n");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_to_tell_them_apart_is_asked_once() {
    let server = with_ended_job();
    server.on(STDOUT, refusal(422, "Invalid", "stream: Forbidden: may not be specified"));
    server.on(STDERR, refusal(422, "Invalid", "stream: Forbidden: may not be specified"));
    server.on(LOG, Reply::Text("2026-11-20T10:00:00Z both\n", End::Close));
    let manager = server.manager();
    for _ in 0..2 {
        let events: Vec<_> = manager.logs("train", LogOptions::default()).map(Result::unwrap).collect().await;
        assert_eq!(events[0], LogEvent::StreamsMerged);
        assert_eq!(text(&events, LogStream::Stdout), "both\n");
        assert_eq!(events.len(), 2);
    }
    assert_eq!(server.asked(STDOUT).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_would_ignore_the_question_is_not_asked() {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job(1, complete())));
    server.on(LIST_PODS, list(1, &[ended()]));
    server.on("GET /version", version("31+"));
    server.on(LOG, Reply::Text("2026-11-20T10:00:00Z both\n", End::Close));
    let events = read(&server, LogOptions::default()).await;
    assert_eq!(text(&events, LogStream::Stdout), "both\n");
    assert_eq!(server.asked(STDOUT).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_broken_log_goes_on_without_loss_or_repetition() {
    let server = with_ended_job();
    let first = "2026-11-20T10:00:00.1Z a\n2026-11-20T10:00:00.2Z b\n2026-11-20T10:00:00.2Z b\n2026-11-20T10:00:00.3Z half of";
    let second = "2026-11-20T10:00:00.1Z a\n2026-11-20T10:00:00.2Z b\n2026-11-20T10:00:00.2Z b\n2026-11-20T10:00:00.2Z b\n\
                  2026-11-20T10:00:00.3Z half of a line\n";
    server.on(STDOUT, Reply::Text(first, End::Break));
    server.on(STDOUT, Reply::Lost);
    server.on(STDOUT, Reply::Text(second, End::Close));
    server.on(STDERR, Reply::Text("", End::Close));
    let events = read(&server, LogOptions::default()).await;
    assert_eq!(text(&events, LogStream::Stdout), "a\nb\nb\nb\nhalf of a line\n");
    let asked = server.asked(STDOUT);
    assert_eq!(asked.len(), 3);
    assert!(!asked[2].query.contains_key("sinceTime"), "a short log is read from its beginning");
    assert!(gaps(&events).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_long_log_goes_on_from_the_second_that_was_reached() {
    let server = with_ended_job();
    let line = |number: u32| {
        format!("2026-11-20T10:00:{:02}Z {}\n", number / 10, "x".repeat(9_000 + number as usize))
    };
    let whole: String = (0..60).map(line).collect();
    let whole: &'static str = whole.leak();
    server.on(STDOUT, Reply::Text(&whole[..450_000], End::Break));
    server.on(STDOUT, Reply::Text(&whole[whole.find("10:00:04").unwrap() - 11..], End::Close));
    server.on(STDERR, Reply::Text("", End::Close));
    let events = read(&server, LogOptions::default()).await;
    let written: String = (0..60).map(|number| line(number).split_off(21)).collect();
    assert!(text(&events, LogStream::Stdout) == written);
    assert_eq!(server.asked(STDOUT)[1].query["sinceTime"], "2026-11-20T10:00:04Z");
    assert!(gaps(&events).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_part_that_the_server_has_thrown_away_is_a_gap() {
    let server = with_ended_job();
    server.on(STDOUT, Reply::Text("2026-11-20T10:00:00Z a\n", End::Break));
    server.on(STDOUT, Reply::Text("2026-11-20T10:00:07Z f\n2026-11-20T10:00:08Z g\n", End::Close));
    server.on(STDERR, Reply::Text("", End::Close));
    let events = read(&server, LogOptions::default()).await;
    assert_eq!(gaps(&events), ["the server has thrown away a part of it"]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_gone_is_a_gap() {
    let server = with_ended_job();
    server.on(STDOUT, refusal(404, "NotFound", "pods \"train-0\" not found"));
    server.on(STDERR, Reply::Text("2026-11-20T10:00:00Z err\n", End::Close));
    let events = read(&server, LogOptions::default()).await;
    assert_eq!(gaps(&events), ["pods \"train-0\" not found"]);
    assert_eq!(text(&events, LogStream::Stderr), "err\n");
}

#[tokio::test(start_paused = true)]
async fn pods_that_may_not_be_listed_are_a_gap() {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job(1, complete())));
    server.on(LIST_PODS, refusal(403, "Forbidden", "cannot list pods"));
    assert_eq!(gaps(&read(&server, LogOptions::default()).await).len(), 1);
    let follow = LogOptions { follow: true, ..LogOptions::default() };
    assert_eq!(gaps(&read(&server, follow).await).len(), 1, "also to somebody who follows");
}

#[tokio::test(start_paused = true)]
async fn the_pods_of_a_running_job_that_may_not_be_listed_are_a_gap() {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job(1, running())));
    server.on(LIST_JOBS, list(1, &[job(1, running())]));
    let (finish, end) = oneshot::channel();
    server.on(WATCH_JOBS, Reply::Watch(Vec::new(), End::When(end)));
    server.on(WATCH_JOBS, Reply::Watch(vec![event("MODIFIED", &job(2, complete()))], End::Hang));
    server.on(LIST_PODS, refusal(403, "Forbidden", "cannot list pods"));
    let mut events = server.manager().follow("train", LogOptions::default());
    let (mut finish, mut seen) = (Some(finish), Vec::new());
    while let Some(event) = events.next().await {
        if let (Ok(FollowEvent::Log(_)), Some(finish)) = (&event, finish.take()) {
            finish.send(()).unwrap();
        }
        seen.push(event.unwrap());
    }
    let gaps = seen.iter().filter(|event| matches!(event, FollowEvent::Log(LogEvent::Gap { .. }))).count();
    assert_eq!(gaps, 1, "{seen:?}");
    assert!(matches!(seen.last(), Some(FollowEvent::Ended(outcome)) if outcome.exit.code() == 0));
}

#[tokio::test(start_paused = true)]
async fn a_last_line_without_an_end_is_handed_out_when_its_pod_is_gone() {
    let (server, finish) = with_running_job(complete());
    server.on(STDOUT, Reply::Text("2026-11-20T10:00:00Z first\n2026-11-20T10:00:01Z last", End::Close));
    server.on(STDOUT, refusal(404, "NotFound", "pods \"train-0\" not found"));
    drop(finish);
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let events = read(&server, options).await;
    assert_eq!(text(&events, LogStream::Stdout), "first\nlast");
    assert!(gaps(&events).is_empty(), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_had_no_end_yet_is_handed_out_once() {
    let (server, finish) = with_running_job(complete());
    server.on(STDOUT, Reply::Text("2026-11-20T10:00:00Z begun", End::Close));
    server.on(STDOUT, Reply::Text("2026-11-20T10:00:00Z begun and ended\n", End::Close));
    drop(finish);
    let options = LogOptions { follow: true, ..LogOptions::default() };
    assert_eq!(text(&read(&server, options).await, LogStream::Stdout), "begun and ended\n");
}

#[tokio::test(start_paused = true)]
async fn the_time_that_is_asked_for_does_not_move_with_each_connection() {
    let server = with_ended_job();
    server.on(STDOUT, Reply::Lost);
    server.on(STDOUT, Reply::Text("2026-11-20T10:00:00Z x\n", End::Close));
    server.on(STDERR, Reply::Text("", End::Close));
    let since = Some(std::time::Duration::from_secs(10));
    read(&server, LogOptions { since, ..LogOptions::default() }).await;
    let asked = server.asked(STDOUT);
    let seconds = |at: usize| asked[at].query["sinceSeconds"].parse::<u64>().unwrap();
    assert_eq!(asked.len(), 2);
    assert!(seconds(0) == 10 && seconds(1) > 10, "the same moment is longer ago now");
}

#[tokio::test(start_paused = true)]
async fn a_restarted_container_gives_the_attempts_that_are_kept() {
    let server = Server::new();
    let mut restarted = pod(8, "Running", json!({ "running": {} }));
    merge(&mut restarted, json!({ "spec": { "restartPolicy": "OnFailure" } }));
    let status = &mut restarted["status"]["containerStatuses"][0];
    merge(status, json!({ "restartCount": 2, "lastState": { "terminated": { "exitCode": 1 } } }));
    server.on(GET_JOB, Reply::Json(200, job(1, running())));
    server.on(LIST_PODS, list(1, &[restarted]));
    server.on("GET /version", version("30"));
    server.on(
        LOG,
        Reply::Of(Box::new(|seen| match seen.query.contains_key("previous") {
            true => Reply::Text("2026-11-20T10:00:00Z one\n", End::Close),
            false => Reply::Text("2026-11-20T10:00:09Z two\n", End::Close),
        })),
    );
    let events = read(&server, LogOptions::default()).await;
    assert_eq!(gaps(&events), ["attempts 0 to 0 are no longer kept"]);
    let attempts: Vec<u32> = events
        .iter()
        .filter_map(|event| match event {
            LogEvent::Chunk(chunk) => Some(chunk.attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [1, 2]);
    assert_eq!(text(&events, LogStream::Stdout), "one\ntwo\n");
}

#[tokio::test(start_paused = true)]
async fn only_what_is_asked_for_is_read() {
    let server = with_ended_job();
    server.on(LOG, Reply::Text("2026-11-20T10:00:00Z x\n", End::Close));
    let tail = LogOptions { tail: Some(1), ..LogOptions::default() };
    read(&server, tail).await;
    assert_eq!(server.asked(LOG)[0].query["tailLines"], "1");
}

#[tokio::test]
async fn what_the_job_cannot_have_is_an_error() {
    let server = with_ended_job();
    let container = LogOptions { container: Some("sidecar".into()), ..LogOptions::default() };
    let index = LogOptions { index: Some(3), ..LogOptions::default() };
    for (options, text) in [(container, "no container \"sidecar\"; it has main"), (index, "not Indexed")] {
        let events: Vec<_> = server.manager().logs("train", options.clone()).collect().await;
        assert!(matches!(&events[..], [Err(error)] if error.to_string().contains(text)), "{events:?}");
        let events: Vec<_> =
            server.manager().logs("train", LogOptions { follow: true, ..options }).collect().await;
        assert!(matches!(&events[..], [Err(error)] if error.to_string().contains(text)), "{events:?}");
    }
}

/// A server whose job runs with one pod, and ends when `end` is used.
fn with_running_job(last: Value) -> (Server, oneshot::Sender<()>) {
    let server = Server::new();
    let (finish, end) = oneshot::channel();
    let runs = pod(2, "Running", json!({ "running": {} }));
    server.on(GET_JOB, Reply::Json(200, job(1, running())));
    server.on(LIST_JOBS, list(1, &[job(1, running())]));
    server.on(WATCH_JOBS, Reply::Watch(Vec::new(), End::When(end)));
    server.on(WATCH_JOBS, Reply::Watch(vec![event("MODIFIED", &job(2, last))], End::Hang));
    server.on(LIST_PODS, list(1, std::slice::from_ref(&runs)));
    server.on(LIST_PODS, list(9, &[ended()]));
    server.on(WATCH_PODS, Reply::Watch(Vec::new(), End::Hang));
    server.on("GET /version", version("36"));
    server.on(STDERR, Reply::Text("", End::Close));
    (server, finish)
}

#[tokio::test(start_paused = true)]
async fn a_followed_job_hands_out_all_its_logs_before_its_end() {
    let (server, finish) = with_running_job(complete());
    let (close, closed) = oneshot::channel();
    server.on(STDOUT, Reply::Text("2026-11-20T10:00:00Z first\n", End::When(closed)));
    server.on(STDOUT, Reply::Text("2026-11-20T10:00:00Z first\n2026-11-20T10:00:01Z last\n", End::Close));
    let mut events = server.manager().follow("train", LogOptions::default());
    let (mut seen, mut signals) = (Vec::new(), Some((finish, close)));
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        if matches!(event, FollowEvent::Log(_))
            && let Some((finish, close)) = signals.take()
        {
            // The job ends first; its log is still open then.
            finish.send(()).unwrap();
            close.send(()).unwrap();
        }
        seen.push(event);
    }
    let Some(FollowEvent::Ended(outcome)) = seen.pop() else { panic!("no end") };
    assert_eq!(outcome.exit.code(), 0);
    let logs: Vec<LogEvent> = seen
        .into_iter()
        .filter_map(|event| match event {
            FollowEvent::Log(event) => Some(event),
            _ => None,
        })
        .collect();
    assert_eq!(text(&logs, LogStream::Stdout), "first\nlast\n");
    assert!(gaps(&logs).is_empty(), "{logs:?}");
    assert_eq!(server.asked(STDOUT)[0].query["follow"], "true");
}

#[tokio::test(start_paused = true)]
async fn a_log_of_which_the_server_says_that_it_is_complete_is_not_asked_for_again() {
    let (server, finish) = with_running_job(complete());
    server.on(STDOUT, Reply::Text("2026-11-20T10:00:00Z all", End::Complete));
    let mut events = server.manager().follow("train", LogOptions::default());
    let (mut logs, mut finish) = (Vec::new(), Some(finish));
    while let Some(event) = events.next().await {
        if let FollowEvent::Log(event) = event.unwrap() {
            logs.push(event);
            if let Some(finish) = finish.take() {
                finish.send(()).unwrap();
            }
        }
    }
    assert_eq!(text(&logs, LogStream::Stdout), "all");
    assert!(gaps(&logs).is_empty(), "{logs:?}");
    assert_eq!(server.asked(STDOUT).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_log_changes_no_result() {
    let (server, finish) = with_running_job(complete());
    server.on(STDOUT, refusal(403, "Forbidden", "cannot get pods/log"));
    let mut events = server.manager().follow("train", LogOptions::default());
    let mut finish = Some(finish);
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        if let (Ok(FollowEvent::Log(_)), Some(finish)) = (&event, finish.take()) {
            finish.send(()).unwrap();
        }
        seen.push(event.unwrap());
    }
    assert!(seen.iter().any(|event| matches!(event, FollowEvent::Log(LogEvent::Gap { reason, .. }) if reason == "cannot get pods/log")));
    assert!(matches!(seen.last(), Some(FollowEvent::Ended(outcome)) if outcome.exit.code() == 0));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_never_ends_is_given_up_and_marked() {
    let (server, finish) = with_running_job(failed());
    server.on(STDOUT, Reply::Text("", End::Hang));
    server.on(STDOUT, Reply::Of(Box::new(|_| Reply::Text("", End::Hang))));
    drop(finish);
    let events: Vec<_> =
        server.manager().follow("train", LogOptions::default()).map(Result::unwrap).collect().await;
    assert!(matches!(&events[events.len() - 2], FollowEvent::Log(LogEvent::Gap { .. })), "{events:?}");
    assert!(matches!(events.last(), Some(FollowEvent::Ended(_))));
}

/// In real time: a clock that moves when nothing else is to be done would stand still.
#[tokio::test]
async fn a_job_that_never_stops_writing_is_seen_to_end() {
    let (server, finish) = with_running_job(complete());
    server.on(STDOUT, Reply::Text("", End::Flood("2026-11-20T10:00:00Z more and more\n")));
    let mut events = server.manager().follow("train", LogOptions::default());
    let mut finish = Some(finish);
    let end = async {
        loop {
            match events.next().await.unwrap().unwrap() {
                FollowEvent::Log(_) => drop(finish.take().map(|finish| finish.send(()))),
                FollowEvent::Status(status) if status.phase.is_final() => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), end).await.expect("nobody looked at the job");
}

#[tokio::test(start_paused = true)]
async fn following_a_job_that_has_ended_reads_its_logs() {
    let server = with_ended_job();
    server.on(STDOUT, Reply::Text("2026-11-20T10:00:00Z out\n", End::Close));
    server.on(STDERR, Reply::Text("", End::Close));
    let events = read(&server, LogOptions { follow: true, ..LogOptions::default() }).await;
    assert_eq!(text(&events, LogStream::Stdout), "out\n");
}

#[tokio::test(start_paused = true)]
async fn following_a_job_that_is_not_there_is_an_error() {
    let server = Server::new();
    let events: Vec<_> = server.manager().follow("train", LogOptions::default()).collect().await;
    assert!(matches!(events[..], [Err(windlass::Error::NotFound { .. })]));
}

#[tokio::test(start_paused = true)]
async fn a_submitted_job_is_followed_without_asking_for_it_again() {
    let (server, finish) = with_running_job(complete());
    server.on("POST /apis/batch/v1/namespaces/lab/jobs", Reply::Json(201, job(1, json!({}))));
    server.on(STDOUT, Reply::Text("2026-11-20T10:00:00Z out\n", End::Close));
    drop(finish);
    let request = JobRequest::new(vec!["true".into()], Place::Image("busybox".into()));
    let manifest = make(&Base::Request(Box::new(request)), &[]).unwrap();
    let submitted = server.manager().submit(&manifest, &SubmitOptions::default()).await.unwrap();
    let events = server.manager().follow_submitted(&submitted, LogOptions::default());
    let events: Vec<_> = events.map(Result::unwrap).collect().await;
    assert!(matches!(events.last(), Some(FollowEvent::Ended(outcome)) if outcome.exit.code() == 0));
    assert_eq!(server.asked(GET_JOB).len(), 0);
}
