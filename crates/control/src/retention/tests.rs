//! Situations of a Job that may expire.

use serde_json::{Value, json};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn job(ttl: Option<i64>, conditions: &Value) -> Job {
    let object = json!({"spec": {"ttlSecondsAfterFinished": ttl}, "status": {"conditions": conditions}});
    serde_json::from_value(object).unwrap()
}

fn ended(kind: &str) -> Value {
    json!([{"type": kind, "status": "True", "lastTransitionTime": at(100)}])
}

#[test]
fn finished_job_without_ttl_is_kept() {
    assert_eq!(expires(&job(None, &ended("Complete")), at(1_000_000)), Expiry::Never);
}

#[test]
fn finished_job_expires_so_many_seconds_after_its_end() {
    for kind in ["Complete", "Failed"] {
        let job = job(Some(60), &ended(kind));
        assert_eq!(expires(&job, at(159)), Expiry::At(at(160)));
        assert_eq!(expires(&job, at(160)), Expiry::Now);
    }
    assert_eq!(expires(&job(Some(0), &ended("Complete")), at(100)), Expiry::Now);
}

#[test]
fn job_that_has_not_finished_is_kept() {
    for conditions in [json!([]), ended("SuccessCriteriaMet"), ended("FailureTarget"), ended("Suspended")] {
        assert_eq!(expires(&job(Some(0), &conditions), at(1_000_000)), Expiry::Never);
    }
    let untrue = json!([{"type": "Complete", "status": "False", "lastTransitionTime": at(100)}]);
    assert_eq!(expires(&job(Some(0), &untrue), at(1_000_000)), Expiry::Never);
}

#[test]
fn job_that_is_being_deleted_does_not_expire_again() {
    let mut job = job(Some(0), &ended("Complete"));
    job.metadata.deletion_timestamp = Some(at(1));
    assert_eq!(expires(&job, at(1_000_000)), Expiry::Never);
}

#[test]
fn ttl_beyond_time_itself_is_never() {
    assert_eq!(expires(&job(Some(i64::MAX), &ended("Complete")), at(200)), Expiry::Never);
}
