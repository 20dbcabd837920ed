//! Causes that are easily taken for one another: whose deadline it was, which pod it was, who ended a container, who waits.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::{Value, json};
use windlass_manifest::cron::{CronEvidence, Due, observe_cron};
use windlass_manifest::{Evidence, JobStatus, Right, Seen, observe, observe_all};

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A Job of several tasks, or of one.
fn job(spec: &Value, status: &Value) -> Job {
    let mut job = json!({
        "metadata": { "name": "fit", "namespace": "lab", "uid": "j", "creationTimestamp": "2026-01-01T10:00:00Z" },
        "spec": { "parallelism": 1, "completions": 1, "backoffLimit": 0,
            "template": { "spec": { "containers": [{ "name": "main" }], "activeDeadlineSeconds": 60 } } },
        "status": status,
    });
    job["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    read(job)
}

fn failed(reason: &str, count: u32) -> Value {
    json!({ "startTime": "2026-01-01T10:00:00Z", "failed": count, "conditions": [
        { "type": "Failed", "status": "True", "reason": reason, "message": "Job has failed" }] })
}

fn pod(name: &str, spec: Value, status: Value) -> Pod {
    let mut pod = json!({ "metadata": { "name": name, "uid": name } });
    (pod["spec"], pod["status"]) = (spec, status);
    read(pod)
}

fn container(name: &str, state: &Value, restarts: u32) -> Value {
    json!({ "name": name, "image": "", "imageID": "", "ready": false, "restartCount": restarts, "state": state })
}

fn ended(code: i32) -> Value {
    json!({ "terminated": { "exitCode": code, "startedAt": "2026-01-01T10:00:01Z", "finishedAt": "2026-01-01T10:00:09Z" } })
}

fn event(kind: &str, name: &str, uid: &str, reason: &str, message: &str) -> Event {
    read(
        json!({ "metadata": {}, "involvedObject": { "kind": kind, "name": name, "uid": uid }, "reason": reason,
        "message": message, "lastTimestamp": "2026-01-01T10:00:05Z" }),
    )
}

fn see(job: &Job, pods: &[Pod]) -> JobStatus {
    observe(job, Seen::All(pods), Seen::All(&[]))
}

#[test]
fn the_deadline_of_a_tasks_pod_is_not_the_jobs() {
    let spec =
        json!({ "completionMode": "Indexed", "completions": 3, "parallelism": 3, "backoffLimitPerIndex": 0 });
    let mut status = failed("FailedIndexes", 3);
    status["failedIndexes"] = "0-2".into();
    let of = |index: u32, mut status: Value| {
        status["phase"] = "Failed".into();
        let mut pod = pod(&format!("fit-{index}"), json!({ "containers": [{ "name": "main" }] }), status);
        let label = ("batch.kubernetes.io/job-completion-index".to_owned(), index.to_string());
        pod.metadata.labels = Some([label].into());
        pod
    };
    let late =
        json!({ "reason": "DeadlineExceeded", "containerStatuses": [container("main", &ended(137), 0)] });
    let bad = json!({ "containerStatuses": [container("main", &ended(3), 0)] });
    let seen = see(&job(&spec, &status), &[of(0, bad.clone()), of(1, late), of(2, bad)]);
    let text = &seen.verdict.text;
    assert!(text.contains("3 of 3 tasks failed"), "{text}");
    assert!(
        text.contains("2 ended with code 3 (0, 2); 1 ran longer than the pod's deadline allows (1)"),
        "{text}"
    );
}

#[test]
fn more_time_is_given_to_what_had_too_little() {
    let late = json!({ "phase": "Failed", "reason": "DeadlineExceeded" });
    let pods = [pod("fit-a", json!({ "containers": [{ "name": "main" }] }), late)];
    let of_pod = see(&job(&json!({}), &failed("BackoffLimitExceeded", 1)), &pods).verdict;
    assert_eq!(of_pod.text, "failed because its pod's deadline of 60 s passed");
    assert!(
        of_pod.next_step.as_ref().unwrap().starts_with("raise activeDeadlineSeconds of its pod"),
        "{of_pod:?}"
    );
    let again = see(&job(&json!({ "backoffLimit": 1 }), &failed("BackoffLimitExceeded", 2)), &pods).verdict;
    assert!(again.text.ends_with("passed, the last of 2 failed attempts (back-off limit 1)"), "{again:?}");
    let of_job = job(&json!({ "activeDeadlineSeconds": 9 }), &failed("DeadlineExceeded", 1));
    let of_job = see(&of_job, &pods).verdict;
    assert_eq!(of_job.text, "failed because its deadline of 9 s passed");
    assert!(of_job.next_step.as_ref().unwrap().starts_with("give it more time (--deadline)"), "{of_job:?}");
}

#[test]
fn a_pod_that_is_left_is_not_said_to_be_gone() {
    let two = job(&json!({ "parallelism": 2, "completions": 2 }), &failed("BackoffLimitExceeded", 1));
    let good = pod("fit-a", json!({}), json!({ "phase": "Succeeded" }));
    let text = see(&two, &[good]).verdict.text;
    assert!(text.contains("one of its pods failed or was deleted"), "{text}");
    let silent = pod("fit-b", json!({}), json!({ "phase": "Failed" }));
    let text = see(&two, &[silent]).verdict.text;
    assert!(text.contains("its pod fit-b failed, and does not tell of what"), "{text}");
}

#[test]
fn a_probe_that_ended_an_earlier_try_is_not_blamed_for_this_one() {
    let one = job(&json!({}), &failed("BackoffLimitExceeded", 1));
    let state = ended(3);
    let failed = |started: &str| {
        let mut state = state.clone();
        state["terminated"]["startedAt"] = started.into();
        let status = json!({ "phase": "Failed", "containerStatuses": [container("main", &state, 1)] });
        pod("fit-a", json!({ "containers": [{ "name": "main" }] }), status)
    };
    let killed =
        event("Pod", "fit-a", "fit-a", "Killing", "Container main failed liveness probe, will be restarted");
    let told =
        |pod: Pod| observe(&one, Seen::All(&[pod]), Seen::All(std::slice::from_ref(&killed))).verdict.text;
    let later = told(failed("2026-01-01T10:00:07Z"));
    assert!(later.contains("ended with code 3"), "{later}");
    let same = told(failed("2026-01-01T10:00:01Z"));
    assert!(same.contains("its liveness probe failed"), "{same}");
}

fn running(counts: &Value) -> Value {
    let mut status = json!({ "startTime": "2026-01-01T10:00:00Z" });
    status.as_object_mut().unwrap().extend(counts.as_object().unwrap().clone());
    status
}

#[test]
fn a_sidecar_without_a_startup_probe_is_not_said_to_have_one() {
    let of = |sidecar: Value| {
        let spec = json!({ "containers": [{ "name": "main" }], "initContainers": [sidecar] });
        let state = json!({ "running": { "startedAt": "2026-01-01T10:00:01Z" } });
        let status = json!({ "phase": "Pending", "initContainerStatuses": [container("proxy", &state, 0)] });
        see(&job(&json!({}), &running(&json!({ "active": 1 }))), &[pod("fit-a", spec, status)]).verdict.text
    };
    let plain = of(json!({ "name": "proxy", "restartPolicy": "Always" }));
    assert_eq!(plain, "running: its command waits for sidecar \"proxy\" to be started");
    let probed = of(json!({ "name": "proxy", "restartPolicy": "Always", "startupProbe": {} }));
    assert!(probed.ends_with("whose startup probe has not succeeded yet"), "{probed}");
}

#[test]
fn a_sidecar_beside_the_command_is_told_of_as_one_before_it() {
    let of = |end: Value, phase: &str| {
        let spec = json!({ "containers": [{ "name": "main" }],
            "initContainers": [{ "name": "proxy", "restartPolicy": "Always" }] });
        let mut proxy = container("proxy", &json!({ "waiting": { "reason": "CrashLoopBackOff" } }), 2);
        proxy["lastState"] = json!({ "terminated": end });
        let main = container("main", &json!({ "running": { "startedAt": "2026-01-01T10:00:01Z" } }), 0);
        let status = json!({ "phase": phase, "initContainerStatuses": [proxy], "containerStatuses": [main] });
        see(&job(&json!({}), &running(&json!({ "active": 1, "ready": 1 }))), &[pod("fit-a", spec, status)])
            .verdict
            .text
    };
    let well = of(json!({ "exitCode": 0 }), "Running");
    assert!(well.contains("has ended 3 times, the last time with code 0, and is started again"), "{well}");
    let short = of(json!({ "exitCode": 137, "reason": "OOMKilled" }), "Running");
    assert!(short.contains("has failed 3 times for lack of memory"), "{short}");
    let no_start =
        of(json!({ "exitCode": 128, "reason": "StartError", "message": "no such file" }), "Running");
    assert!(no_start.contains("the last time before it started: no such file"), "{no_start}");
    assert!(!of(json!({ "exitCode": 1 }), "Failed").contains("proxy"), "its pod is over");
}

#[test]
fn a_quota_narrows_only_what_still_wants_pods() {
    let message = "Error creating: pods \"fit-\" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2";
    let events = [event("Job", "fit", "j", "FailedCreate", message)];
    let text = |spec: &Value, counts: &Value| {
        let run = json!({ "phase": "Running", "containerStatuses": [container("main", &json!({ "running": {} }), 0)] });
        let pods = [pod("fit-a", json!({ "containers": [{ "name": "main" }] }), run)];
        observe(&job(spec, &running(counts)), Seen::All(&pods), Seen::All(&events)).verdict.text
    };
    let queue = json!({ "parallelism": 3, "completions": null });
    let before = text(&queue, &json!({ "active": 2, "ready": 2 }));
    assert!(before.contains("1 more waiting for room in quota"), "{before}");
    let after = text(&queue, &json!({ "active": 1, "ready": 1, "succeeded": 1 }));
    assert!(!after.contains("quota"), "no more are made: {after}");
    let tasks =
        json!({ "parallelism": 3, "completions": 3, "completionMode": "Indexed", "backoffLimitPerIndex": 0 });
    let one_failed = text(&tasks, &json!({ "active": 2, "ready": 2, "failed": 1, "failedIndexes": "0" }));
    assert!(!one_failed.contains("quota"), "{one_failed}");
}

#[test]
fn a_taint_that_takes_a_pod_away_does_not_make_its_node_silent() {
    let mut taken = pod(
        "fit-a",
        json!({ "nodeName": "n", "containers": [{ "name": "main" }] }),
        json!({ "phase": "Running", "containerStatuses": [container("main", &json!({ "running": {} }), 0)],
            "conditions": [{ "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager" }] }),
    );
    taken.metadata.deletion_timestamp = read(json!("2026-01-01T10:00:00Z"));
    let pods = [taken];
    let text = |node: Value| {
        let others = [node];
        let mut evidence = Evidence::new(Seen::All(&pods), Seen::All(&[]));
        evidence.others = &others;
        observe_all(&job(&json!({ "backoffLimit": 3 }), &running(&json!({ "active": 1 }))), &evidence)
            .verdict
            .text
    };
    let node = |taint: &str, ready: &str| {
        json!({ "kind": "Node", "metadata": { "name": "n" }, "spec": { "taints": [{ "key": taint, "effect": "NoExecute" }] },
            "status": { "conditions": [{ "type": "Ready", "status": ready }] } })
    };
    let maintained = text(node("maintenance", "True"));
    assert!(
        maintained.contains("for a taint of node \"n\"") && !maintained.contains("answer"),
        "{maintained}"
    );
    for silent in [node("node.kubernetes.io/unreachable", "Unknown"), node("maintenance", "Unknown")] {
        assert!(text(silent).contains("node \"n\", which does not answer"));
    }
}

fn cron(
    spec: Value,
    status: Value,
    events: &[Event],
    jobs: &[JobStatus],
    lacking: &[Right],
) -> (String, usize) {
    let mut cron = json!({ "metadata": { "name": "nightly", "namespace": "lab", "uid": "c" } });
    (cron["spec"], cron["status"]) = (spec, status);
    let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    let due = Due::At { next: Some(now), open: Some(now) };
    let evidence = CronEvidence { events: Seen::All(events), jobs, lacking, due: &due };
    let verdict = observe_cron(&cron, &evidence, now).verdict;
    (verdict.text, verdict.missing.len())
}

/// A job whose command is done beside a container that lives on.
fn outlived(name: &str) -> JobStatus {
    let state = json!({ "running": { "startedAt": "2026-01-01T10:00:01Z" } });
    let status = json!({ "phase": "Running",
        "containerStatuses": [container("main", &ended(0), 0), container("proxy", &state, 0)] });
    let spec = json!({ "containers": [{ "name": "main" }, { "name": "proxy" }] });
    let mut job = job(&json!({}), &running(&json!({ "active": 1, "ready": 0 })));
    job.metadata.name = Some(name.to_owned());
    see(&job, &[pod("p", spec, status)])
}

#[test]
fn what_is_said_of_a_cron_jobs_job_is_a_sentence_of_its_own() {
    let jobs = [outlived("nightly-29453760")];
    let daily = || json!({ "schedule": "@daily", "concurrencyPolicy": "Forbid" });
    let last = json!({ "lastScheduleTime": "2026-01-01T00:00:00Z" });
    let (text, _) = cron(daily(), last.clone(), &[], &jobs, &[]);
    assert!(
        text.contains("that job: its command has ended with code 0, and container \"proxy\" keeps"),
        "{text}"
    );
    let (text, _) = cron(json!({ "schedule": "@daily" }), last, &[], &jobs, &[]);
    assert!(text.contains("its last job nightly-29453760: its command has ended"), "{text}");
}

#[test]
fn an_old_job_that_goes_on_is_not_called_the_last() {
    let last = json!({ "lastScheduleTime": "2026-01-01T00:00:00Z" });
    let (text, _) = cron(json!({ "schedule": "@daily" }), last, &[], &[outlived("nightly-29450000")], &[]);
    assert!(text.contains("; its job nightly-29450000: "), "{text}");
}

#[test]
fn a_cron_job_is_told_of_without_jobs_that_may_not_be_read() {
    let (text, missing) = cron(json!({ "schedule": "@daily" }), json!({}), &[], &[], &[Right::Jobs]);
    assert!(!text.contains("made no job") && missing == 1, "{text}");
}

#[test]
fn what_refuses_jobs_is_not_said_to_refuse_pods() {
    let message = "Error creating job: jobs.batch \"nightly-1\" is forbidden: not on Sundays";
    let refused = [event("CronJob", "nightly", "c", "FailedCreate", message)];
    let (text, _) = cron(json!({ "schedule": "@daily" }), json!({}), &refused, &[], &[]);
    assert!(text.contains("which refuses its jobs: not on Sundays"), "{text}");
}
