//! Situations of Jobs: what they become, what is refused and in which words, how they are shown.
#![expect(clippy::needless_pass_by_value, reason = "rows read best as literals")]

mod refused;
mod status;
mod updates;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::KIND;

const UID: &str = "6a5bd5a0-0000-4000-8000-000000000001";

/// A Job as the generic part hands it to `prepare_create`.
fn named(mut job: Value) -> Value {
    job["metadata"]["name"] = "pi".into();
    job["metadata"]["uid"] = UID.into();
    (KIND.default)(&mut job);
    (KIND.prepare_create)(&mut job);
    (KIND.default)(&mut job);
    job
}

fn spec(spec: Value) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "spec": spec})
}

/// A Job with one container and, in its spec, what the row adds.
fn job(extra: Value) -> Value {
    let mut base = json!({"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}],
    }}});
    for (key, value) in extra.as_object().into_iter().flatten() {
        base[key] = value.clone();
    }
    named(spec(base))
}

/// The whole texts of what is refused.
fn shown(errors: &crate::field::Errors) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// Sets a value at a JSON pointer, whose parents must be there.
fn put(object: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[key] = value;
}

#[test]
fn smallest_job_is_filled_as_upstream_fills_it() {
    let labels = json!({
        "batch.kubernetes.io/controller-uid": UID, "batch.kubernetes.io/job-name": "pi",
        "controller-uid": UID, "job-name": "pi",
    });
    let expect = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "pi", "uid": UID, "generation": 1, "labels": labels},
        "spec": {
            "backoffLimit": 6, "completionMode": "NonIndexed", "completions": 1, "manualSelector": false,
            "parallelism": 1, "podReplacementPolicy": "TerminatingOrFailed", "suspend": false,
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": UID}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [{
                        "name": "c", "image": "busybox", "imagePullPolicy": "Always", "resources": {},
                        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                    }],
                    "dnsPolicy": "ClusterFirst", "restartPolicy": "Never", "schedulerName": "default-scheduler",
                    "securityContext": {}, "terminationGracePeriodSeconds": 30,
                },
            },
        },
        "status": {},
    });
    assert_eq!(job(json!({})), expect);
}

#[test]
fn defaulting_twice_changes_nothing() {
    let once = job(
        json!({"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "X"}]}]}}),
    );
    let mut twice = once.clone();
    (KIND.default)(&mut twice);
    assert_eq!(once, twice);
    assert_eq!(once["spec"]["podReplacementPolicy"], "Failed");
    assert_eq!(once["spec"]["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["status"], "True");
}

#[test]
fn what_is_given_decides_what_is_filled() {
    for (given, field, filled) in [
        (json!({"parallelism": 3}), "completions", Value::Null),
        (json!({"completions": 3}), "parallelism", json!(1)),
        (json!({"backoffLimitPerIndex": 1}), "backoffLimit", json!(2_147_483_647)),
        (json!({"backoffLimitPerIndex": 1, "backoffLimit": 2}), "backoffLimit", json!(2)),
    ] {
        assert_eq!(job(given.clone())["spec"][field], filled, "{given}");
    }
}

#[test]
fn labels_of_the_template_are_the_jobs_too_with_the_generated_ones() {
    let given = spec(json!({"template": {"metadata": {"labels": {"app": "x"}}, "spec": {}}}));
    let job = named(given);
    assert_eq!(job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]);
    assert_eq!(job["metadata"]["labels"].as_object().unwrap().len(), 5);
}

#[test]
fn own_labels_are_kept_and_own_selector_is_not_extended() {
    let mut own = spec(json!({
        "manualSelector": true, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {}},
    }));
    own["metadata"] = json!({"labels": {"mine": "yes"}});
    let own = named(own);
    assert_eq!(own["metadata"]["labels"], json!({"mine": "yes"}));
    assert_eq!(own["spec"]["selector"], json!({"matchLabels": {"a": "b"}}));
    assert_eq!(own["spec"]["template"]["metadata"]["labels"], json!({"a": "b"}));
}

#[test]
fn rows_tell_how_far_a_job_is() {
    let now: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
    let condition = |kind: &str| json!([{"type": kind, "status": "True"}]);
    for (status, expect) in [
        (json!({}), ["Running", "0/1", ""]),
        (json!({"startTime": "2026-01-01T00:57:55Z", "active": 1}), ["Running", "0/1", "2m5s"]),
        (
            json!({"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:07Z",
                   "succeeded": 1, "conditions": condition("Complete")}),
            ["Complete", "1/1", "7s"],
        ),
        (json!({"conditions": condition("Failed")}), ["Failed", "0/1", ""]),
        (json!({"conditions": condition("FailureTarget")}), ["FailureTarget", "0/1", ""]),
        (json!({"conditions": condition("SuccessCriteriaMet")}), ["SuccessCriteriaMet", "0/1", ""]),
        (json!({"conditions": condition("Suspended")}), ["Suspended", "0/1", ""]),
    ] {
        let mut job = job(json!({}));
        job["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
        job["status"] = status;
        let cells = (KIND.cells)(&job, now);
        assert_eq!(cells[0], "pi");
        assert_eq!(cells[1..4], expect.map(Value::from));
        assert_eq!(
            cells[4..],
            ["60m", "c", "busybox", &format!("batch.kubernetes.io/controller-uid={UID}")].map(Value::from)
        );
        assert_eq!(cells.len(), KIND.columns.len());
    }
    for (extra, completions) in [
        (json!({"completions": 5}), "0/5"),
        (json!({"parallelism": 1}), "0/1"),
        (json!({"parallelism": 4}), "0/1 of 4"),
    ] {
        assert_eq!((KIND.cells)(&job(extra), now)[2], completions);
    }
}
