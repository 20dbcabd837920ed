//! The word, the counts and the restarts that `kubectl get pods` shows.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{KIND, pod};

const THEN: &str = "2026-01-01T00:55:00Z";

/// Ready, Status and Restarts.
fn check(extra: Value, status: Value, deleted: bool, expect: [&str; 3]) {
    let now: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
    let mut pod = pod(extra);
    pod["status"] = status.clone();
    if deleted {
        pod["metadata"]["deletionTimestamp"] = THEN.into();
    }
    let cells = (KIND.cells)(&pod, now);
    assert_eq!(cells.len(), KIND.columns.len());
    assert_eq!(cells[1..4], expect.map(Value::from), "{status}");
}

fn container(state: Value) -> Value {
    json!({"name": "c", "restartCount": 0, "ready": state.get("running").is_some(), "state": state})
}

#[test]
fn one_container_tells_what_it_does() {
    let ended = |more: Value| {
        let mut end = json!({"exitCode": 0});
        for (key, value) in more.as_object().into_iter().flatten() {
            end[key] = value.clone();
        }
        container(json!({"terminated": end}))
    };
    for (phase, container, expect) in [
        (
            "Pending",
            container(json!({"waiting": {"reason": "ContainerCreating"}})),
            ["0/1", "ContainerCreating", "0"],
        ),
        ("Running", container(json!({"running": {}})), ["1/1", "Running", "0"]),
        ("Succeeded", ended(json!({"reason": "Completed"})), ["0/1", "Completed", "0"]),
        ("Failed", ended(json!({"reason": "Error", "exitCode": 1})), ["0/1", "Error", "0"]),
        ("Failed", ended(json!({"exitCode": 3})), ["0/1", "ExitCode:3", "0"]),
        ("Failed", ended(json!({"exitCode": 137, "signal": 9})), ["0/1", "Signal:9", "0"]),
    ] {
        check(json!({}), json!({"phase": phase, "containerStatuses": [container]}), false, expect);
    }
}

#[test]
fn the_pod_itself_may_have_the_word() {
    check(json!({}), json!({"phase": "Pending"}), false, ["0/1", "Pending", "0"]);
    check(
        json!({}),
        json!({"phase": "Failed", "reason": "DeadlineExceeded"}),
        false,
        ["0/1", "DeadlineExceeded", "0"],
    );
    check(json!({}), json!({"phase": "Running"}), true, ["0/1", "Terminating", "0"]);
    check(json!({}), json!({"phase": "Succeeded"}), true, ["0/1", "Succeeded", "0"]);
    check(json!({}), json!({"phase": "Running", "reason": "NodeLost"}), true, ["0/1", "Unknown", "0"]);
    let gated = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]);
    check(
        json!({}),
        json!({"phase": "Pending", "conditions": gated}),
        false,
        ["0/1", "SchedulingGated", "0"],
    );
}

#[test]
fn a_finished_container_next_to_a_running_one_is_not_the_pods_word() {
    let two = json!({"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]});
    let done = json!({"name": "c", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
    let runs = json!({"name": "d", "ready": true, "state": {"running": {}}});
    let of = |conditions: Value| json!({"phase": "Running", "containerStatuses": [done, runs], "conditions": conditions});
    check(two.clone(), of(json!([])), false, ["1/2", "NotReady", "0"]);
    check(two, of(json!([{"type": "Ready", "status": "True"}])), false, ["1/2", "Running", "0"]);
}

#[test]
fn init_containers_have_the_word_first() {
    let spec = json!({"initContainers": [{"name": "a", "image": "i"}, {"name": "s", "image": "i", "restartPolicy": "Always"}]});
    let done = json!({"name": "a", "restartCount": 0, "state": {"terminated": {"exitCode": 0}}});
    let sidecar = json!({"name": "s", "started": true, "ready": true, "state": {"running": {}}});
    for (statuses, expect) in [
        (json!([{"name": "a", "state": {"running": {}}}]), ["0/2", "Init:0/2", "0"]),
        (
            json!([{"name": "a", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 2}]),
            ["0/2", "Init:CrashLoopBackOff", "2"],
        ),
        (json!([{"name": "a", "state": {"terminated": {"exitCode": 2}}}]), ["0/2", "Init:ExitCode:2", "0"]),
        (
            json!([{"name": "a", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]),
            ["0/2", "Init:Error", "0"],
        ),
        (
            json!([done.clone(), {"name": "s", "state": {"waiting": {"reason": "PodInitializing"}}}]),
            ["0/2", "Init:1/2", "0"],
        ),
        (json!([done, sidecar]), ["1/2", "Pending", "0"]),
    ] {
        check(spec.clone(), json!({"phase": "Pending", "initContainerStatuses": statuses}), false, expect);
    }
}

#[test]
fn restarts_tell_when_the_last_one_was() {
    let mut again = container(json!({"waiting": {"reason": "CrashLoopBackOff"}}));
    again["restartCount"] = 3.into();
    check(
        json!({}),
        json!({"phase": "Running", "containerStatuses": [again]}),
        false,
        ["0/1", "CrashLoopBackOff", "3"],
    );
    again["lastState"] = json!({"terminated": {"exitCode": 1, "finishedAt": THEN}});
    check(
        json!({}),
        json!({"phase": "Running", "containerStatuses": [again]}),
        false,
        ["0/1", "CrashLoopBackOff", "3 (5m ago)"],
    );
}
