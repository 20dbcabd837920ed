//! Situations of a Job and what its plan wants.

use jiff::Timestamp;
use serde_json::json;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn job(spec: serde_json::Value) -> Job {
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels": {"job": "j"}});
    spec["template"] = json!({
        "metadata": {"labels": {"job": "j"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i", "x-unknown": 1}]},
    });
    serde_json::from_value(json!({"metadata": {"name": "j", "namespace": "n", "uid": "J"}, "spec": spec}))
        .unwrap()
}

#[test]
fn one_shot_job_starts_one_pod() {
    let plan = plan(&job(json!({"parallelism": 1, "completions": 1})), &[], at(0));
    assert_eq!(plan.actions.len(), 1);
    let status = plan.status.unwrap();
    assert_eq!((status.active, status.ready, status.terminating), (1, Some(0), Some(0)));
    assert_eq!(status.start_time, Some(at(0)));
}
