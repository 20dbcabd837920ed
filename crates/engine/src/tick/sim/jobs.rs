//! The objects that clients of a history make: of every feature something.

use serde_json::{Value, json};

use super::meddling::TAINT;
use super::rng::Rng;
use super::transaction::ROUND;

/// The exit code that policies ignore.
pub(super) const IGNORED: i32 = 3;
/// How long a pod has to end.
pub(super) const GRACE_S: i64 = 5;
/// Who has the Jobs that the engine is to leave alone.
const ELSEWHERE: &str = "example.com/elsewhere";
/// Fates that end well some day: what nobody can change must not keep a history from its rest.
const FATES: [&str; 8] = [
    "run: 20s",
    "{run: 30s, exit: [1, 0]}",
    "exit: [3, 3, 0]",
    "{run: 5s, exit: [OOMKilled, 0]}",
    "{run: 40s, exit: [Evicted, 0]}",
    "{run: 40s, exit: [NodeLost, 0]}",
    "{run: 60s, term: ignore}",
    "stuck: {reason: ErrImagePull, for: 40s}",
];

/// A Job of a name, as a client writes it.
pub(super) fn job(name: &str, rng: &mut Rng) -> Value {
    let template = template(rng);
    let restart = template["spec"]["restartPolicy"].clone();
    let is_never = restart == "Never";
    let mut spec = json!({"template": template, "parallelism": rng.below(4), "backoffLimit": rng.below(4)});
    let indexed = rng.chance(40);
    if indexed || rng.chance(70) {
        spec["completions"] = json!(rng.below(5));
    }
    if indexed {
        spec["completionMode"] = json!("Indexed");
        if rng.chance(40) {
            // As many at once as there are: such a Job may be made larger and smaller.
            spec["parallelism"] = spec["completions"].clone();
        }
        if is_never && rng.chance(50) {
            spec["backoffLimitPerIndex"] = json!(rng.below(2));
            if rng.chance(50) {
                spec["maxFailedIndexes"] = json!(rng.below(3));
            }
        }
        if rng.chance(20) && spec["completions"].as_u64() > Some(0) {
            spec["successPolicy"] = json!({"rules": [{"succeededCount": 1}]});
        }
    }
    if is_never && rng.chance(30) {
        spec["podFailurePolicy"] = failure_policy(!spec["backoffLimitPerIndex"].is_null(), rng);
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
    if rng.chance(15) {
        spec["suspend"] = json!(true);
    }
    if rng.chance(6) {
        spec["managedBy"] = json!(ELSEWHERE);
    }
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec})
}

/// What is said of failures: of disruptions, of an exit code, or of both.
fn failure_policy(per_index: bool, rng: &mut Rng) -> Value {
    let mut action = || match rng.below(4) {
        0 | 1 => "Ignore",
        2 if per_index => "FailIndex",
        2 => "Count",
        _ => "FailJob",
    };
    let codes = json!({"operator": "In", "values": [IGNORED]});
    let by_code = json!({"action": action(), "onExitCodes": codes});
    let conditions = json!([{"type": "DisruptionTarget", "status": "True"}]);
    let by_condition = json!({"action": action(), "onPodConditions": conditions});
    match rng.below(3) {
        0 => json!({"rules": [by_code]}),
        1 => json!({"rules": [by_condition]}),
        _ => json!({"rules": [by_condition, by_code]}),
    }
}

/// What a pod is made of.
pub(super) fn template(rng: &mut Rng) -> Value {
    let command = *rng.pick(&["/any", "/any", "/any", "/any", "/good", "/bad"]).unwrap_or(&"/any");
    let restart = if rng.chance(15) { "OnFailure" } else { "Never" };
    let mut container = json!({"name": "main", "image": "none", "command": [command]});
    if rng.chance(10) {
        container["resources"] = json!({"requests": {"cpu": (1 + rng.below(5)).to_string()}});
    }
    let mut template = json!({
        "metadata": {"annotations": {ROUND: "0"}},
        "spec": {"restartPolicy": restart, "terminationGracePeriodSeconds": GRACE_S, "containers": [container]},
    });
    if rng.chance(10) {
        let fate = *rng.pick(&FATES).unwrap_or(&"exit: 0");
        template["metadata"]["annotations"]["fate.windlass.dev/pod"] = json!(fate);
    }
    if rng.chance(25) {
        let mut toleration = json!({"key": TAINT, "operator": "Exists", "effect": "NoExecute"});
        if rng.chance(50) {
            toleration["tolerationSeconds"] = json!(rng.below(60));
        }
        template["spec"]["tolerations"] = json!([toleration]);
    }
    template
}

/// What becomes of a Job that is due while another one runs.
pub(super) fn policy(rng: &mut Rng) -> &'static str {
    rng.pick(&["Allow", "Forbid", "Replace"]).copied().unwrap_or("Allow")
}

/// A CronJob of a name.
pub(super) fn cron_job(name: &str, rng: &mut Rng) -> Value {
    let mut template = job(name, rng);
    template["spec"]["parallelism"] = json!(1);
    let mut spec = json!({
        "schedule": "*/10 * * * *",
        "concurrencyPolicy": policy(rng),
        "jobTemplate": {"spec": template["spec"].take()},
    });
    if rng.chance(30) {
        spec["startingDeadlineSeconds"] = json!(30 + rng.below(600));
    }
    json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": spec})
}
