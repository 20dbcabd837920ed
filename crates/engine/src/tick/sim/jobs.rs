//! The Jobs that clients of a history make: of every feature something.

use serde_json::{Value, json};

use super::rng::Rng;

/// The exit code that policies ignore.
pub(super) const IGNORED: i32 = 3;

/// A Job of a name, as a client writes it.
pub(super) fn job(name: &str, rng: &mut Rng) -> Value {
    let command = *rng.pick(&["/any", "/any", "/any", "/any", "/good", "/bad"]).unwrap_or(&"/any");
    let restart = if rng.chance(15) { "OnFailure" } else { "Never" };
    let container = json!({"name": "main", "image": "none", "command": [command]});
    let mut spec = json!({
        "template": {"spec": {
            "restartPolicy": restart,
            "terminationGracePeriodSeconds": 5,
            "containers": [container],
        }},
        "parallelism": rng.below(4),
        "backoffLimit": rng.below(4),
    });
    let indexed = rng.chance(40);
    if indexed || rng.chance(70) {
        spec["completions"] = json!(rng.below(5));
    }
    if indexed {
        spec["completionMode"] = json!("Indexed");
        if restart == "Never" && rng.chance(50) {
            spec["backoffLimitPerIndex"] = json!(rng.below(2));
            if rng.chance(50) {
                spec["maxFailedIndexes"] = json!(rng.below(3));
            }
        }
        if rng.chance(20) && spec["completions"].as_u64() > Some(0) {
            spec["successPolicy"] = json!({"rules": [{"succeededCount": 1}]});
        }
    }
    if restart == "Never" && rng.chance(30) {
        let per_index = !spec["backoffLimitPerIndex"].is_null();
        let action = match rng.below(3) {
            0 => "Ignore",
            1 if per_index => "FailIndex",
            1 => "Count",
            _ => "FailJob",
        };
        let codes = json!({"operator": "In", "values": [IGNORED]});
        spec["podFailurePolicy"] = json!({"rules": [{"action": action, "onExitCodes": codes}]});
        spec["podReplacementPolicy"] = json!("Failed");
    } else if rng.chance(30) {
        spec["podReplacementPolicy"] = json!("Failed");
    }
    if rng.chance(15) {
        spec["activeDeadlineSeconds"] = json!(30 + rng.below(600));
    }
    if rng.chance(20) {
        spec["ttlSecondsAfterFinished"] = json!(rng.below(600));
    }
    if rng.chance(10) {
        spec["suspend"] = json!(true);
    }
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec})
}

/// A CronJob of a name.
pub(super) fn cron_job(name: &str, rng: &mut Rng) -> Value {
    let policy = *rng.pick(&["Allow", "Forbid", "Replace"]).unwrap_or(&"Allow");
    let mut template = job(name, rng);
    template["spec"]["parallelism"] = json!(1);
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name},
        "spec": {
            "schedule": "*/10 * * * *",
            "concurrencyPolicy": policy,
            "jobTemplate": {"spec": template["spec"].take()},
        },
    })
}
