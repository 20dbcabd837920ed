//! Events, and what they come to.

use serde_json::{Value, json};

use super::*;

fn event(kind: &str, name: &str, reason: &str, message: &str) -> Event {
    at(0, kind, name, reason, message)
}

/// An event of some second after the container's start.
fn at(second: u32, kind: &str, name: &str, reason: &str, message: &str) -> Event {
    let object = json!({ "kind": kind, "name": name, "uid": name });
    serde_json::from_value(json!({ "metadata": {}, "involvedObject": object, "reason": reason,
        "message": message, "lastTimestamp": format!("2026-01-01T00:01:{second:02}Z") }))
    .unwrap()
}

fn of_container(mut event: Event, container: &str) -> Event {
    event.involved_object.field_path = Some(format!("spec.containers{{{container}}}"));
    event
}

fn pod(hooked: &[&str]) -> Pod {
    let hook = json!({ "postStart": { "exec": { "command": ["x"] } } });
    let container = |name: &str| match hooked.contains(&name) {
        true => json!({ "name": name, "lifecycle": hook }),
        false => json!({ "name": name }),
    };
    let spec = json!({ "containers": [container("main"), container("proxy")] });
    serde_json::from_value(json!({ "metadata": { "name": "p" }, "spec": spec })).unwrap()
}

fn end(code: i32) -> ContainerStateTerminated {
    serde_json::from_value(json!({ "exitCode": code, "startedAt": "2026-01-01T00:01:00Z" })).unwrap()
}

fn job(extra: &Value) -> Job {
    let mut spec = json!({ "containers": [{ "name": "main" }], "restartPolicy": "Never" });
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let failed = json!([{ "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded" }]);
    serde_json::from_value(json!({ "metadata": { "name": "job", "uid": "job" },
        "spec": { "template": { "spec": spec } }, "status": { "conditions": failed } }))
    .unwrap()
}

fn liveness() -> Event {
    event("Pod", "p", "Killing", "Container main failed liveness probe, will be restarted")
}

#[test]
fn a_probe_that_ended_a_container_is_told_with_its_answer() {
    let events = [
        event("Pod", "p", "Unhealthy", "Readiness probe failed: no"),
        event("Pod", "p", "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500\n"),
        liveness(),
    ];
    let told = ended_for(&events, &pod(&[]), "main", &end(137));
    assert_eq!(told.as_deref(), Some("its liveness probe failed: HTTP probe failed with statuscode: 500"));
    assert_eq!(ended_for(&events, &pod(&[]), "proxy", &end(137)), None);
    let mut other = pod(&[]);
    other.metadata.name = Some("q".to_owned());
    assert_eq!(ended_for(&events, &other, "main", &end(137)), None);
}

#[test]
fn what_ended_an_earlier_run_is_not_what_ended_this_one() {
    let mut now = end(137);
    now.started_at =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time("2026-01-01T00:01:01Z".parse().unwrap()));
    assert_eq!(ended_for(&[liveness()], &pod(&[]), "main", &now), None);
    // In the same second: a code of its own is its own.
    assert_eq!(ended_for(&[liveness()], &pod(&[]), "main", &end(3)), None);
    // A command may end with a code of its own when it is told to.
    let later = at(5, "Pod", "p", "Killing", "Container main failed liveness probe, will be restarted");
    assert!(ended_for(&[later], &pod(&[]), "main", &end(1)).is_some());
}

#[test]
fn a_hook_that_failed_is_told_of_its_own_container_only() {
    let hook = || event("Pod", "p", "FailedPostStartHook", "PostStartHook failed");
    let told = |event: Event, pod: &Pod| ended_for(&[event], pod, "main", &end(143)).is_some();
    assert!(told(hook(), &pod(&["main"])));
    assert!(!told(hook(), &pod(&["proxy"])));
    assert!(!told(hook(), &pod(&["main", "proxy"])), "nobody says whose it was");
    assert!(told(of_container(hook(), "main"), &pod(&["main", "proxy"])));
    assert!(!told(of_container(hook(), "proxy"), &pod(&["main", "proxy"])));
}

#[test]
fn a_long_answer_of_a_probe_is_cut() {
    let long = format!("Liveness probe failed: {}\nsecond line", "ä".repeat(5000));
    let told = ended_for(&[event("Pod", "p", "Unhealthy", &long), liveness()], &pod(&[]), "main", &end(137));
    let told = told.unwrap();
    assert!(told.ends_with("ä...") && !told.contains('\n') && told.chars().count() < 250, "{told}");
}

#[test]
fn what_became_of_a_pod_that_is_gone_is_told_as_far_as_events_do() {
    let never = job(&json!({}));
    let made = || event("Job", "job", "SuccessfulCreate", "Created pod: p");
    let killed = || event("Pod", "p", "Killing", "Stopping container main");
    let taint = event("Pod", "p", "TaintManagerEviction", "Marking for deletion Pod lab/p");
    assert_eq!(gone(&never, &[made(), killed()]), "its pod p was deleted while it ran");
    assert!(gone(&never, &[made(), killed(), taint]).contains("a taint of its node"));
    let called_off = event("Pod", "p", "TaintManagerEviction", "Cancelling deletion of Pod lab/p");
    assert!(gone(&never, &[made(), killed(), called_off]).contains("was deleted while it ran"));
    let again = || event("Pod", "p", "BackOff", "Back-off restarting failed container main in pod p");
    let restarts = job(&json!({ "restartPolicy": "OnFailure" }));
    assert!(gone(&restarts, &[made(), killed(), again()]).contains("failed too often"));
    assert!(gone(&never, &[made(), again()]).contains("failed or was deleted"));
    assert!(gone(&never, &[]).contains("failed or was deleted"));
}

#[test]
fn an_image_that_could_not_be_pulled_is_no_command_that_failed_too_often() {
    let made = event("Job", "job", "SuccessfulCreate", "Created pod: p");
    let pull = event("Pod", "p", "BackOff", "Back-off pulling image \"example.com/x\"");
    for policy in ["Never", "OnFailure"] {
        let told = gone(&job(&json!({ "restartPolicy": policy })), &[made.clone(), pull.clone()]);
        assert!(told.contains("failed or was deleted"), "{told}");
    }
}

#[test]
fn the_end_of_a_sidecar_or_by_a_probe_is_no_deletion() {
    let made = event("Job", "job", "SuccessfulCreate", "Created pod: p");
    let sidecar = event("Pod", "p", "Killing", "Stopping container proxy");
    assert!(gone(&job(&json!({})), &[made, sidecar, liveness()]).contains("failed or was deleted"));
}

#[test]
fn of_several_pods_that_ran_at_once_and_are_gone_none_is_blamed() {
    let mut two = job(&json!({}));
    two.spec.as_mut().unwrap().parallelism = Some(2);
    let made =
        |second: u32, pod: &str| at(second, "Job", "job", "SuccessfulCreate", &format!("Created pod: {pod}"));
    let both = [made(1, "p"), made(2, "q")];
    let killed = event("Pod", "q", "Killing", "Stopping container main");
    assert!(gone(&two, &[&both[..], &[killed]].concat()).contains("failed or was deleted"));
    assert_eq!(lost_pod(&two, &[], &both), None);
    assert_eq!(lost_pod(&two, &[], &both[..1]), Some("p"));
    // One at a time: the last is the one. Of more than ten, events tell only the last.
    assert_eq!(lost_pod(&job(&json!({})), &[], &both), Some("q"));
    let many = [event("Job", "job", "SuccessfulCreate", "(combined from similar events): Created pod: p")];
    assert_eq!(lost_pod(&job(&json!({})), &[], &many), Some("p"));
    assert_eq!(lost_pod(&two, &[], &many), None);
}

#[test]
fn a_pod_is_lost_only_of_a_job_that_has_failed_and_has_none() {
    let made = [event("Job", "job", "SuccessfulCreate", "Created pod: p")];
    assert_eq!(lost_pod(&job(&json!({})), &[pod(&[])], &made), None);
    let mut runs = job(&json!({}));
    runs.status = None;
    assert_eq!(lost_pod(&runs, &[], &made), None);
}
