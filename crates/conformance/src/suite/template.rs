//! The Jobs of the cases: what upstream's `NewTestJob` offers, for a shell and nothing else.

use serde_json::{Value, json};

use super::stage::Stage;

/// What a Job's container does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Does {
    /// It ends well.
    Succeed,
    /// It fails with 1.
    Fail,
    /// It fails with 1 where the index is odd.
    FailOdd,
    /// It runs until it is asked to end.
    Stay,
}

impl Does {
    fn script(self) -> &'static str {
        match self {
            Does::Succeed => "exit 0",
            Does::Fail => "exit 1",
            Does::FailOdd => "exit $((JOB_COMPLETION_INDEX % 2))",
            Does::Stay => STAY,
        }
    }
}

/// A container's first process hears no SIGTERM that it does not ask for.
pub(super) const STAY: &str = "trap 'exit 0' TERM; sleep 1000000 & wait";

/// Fails with 1 unless a file says that it did before.
pub(super) const FAIL_ONCE: &str = "if [ -r /data/done ]; then exit 0; fi; touch /data/done; exit 1";

/// Fails with 42 once for each index.
pub(super) const FAIL_ONCE_PER_INDEX: &str =
    "f=/data/done-$JOB_COMPLETION_INDEX; if [ -r $f ]; then exit 0; fi; touch $f; exit 42";

/// Stays once for each index, and ends well when it has stayed before.
pub(super) const STAY_ONCE_PER_INDEX: &str =
    "f=/data/done-$JOB_COMPLETION_INDEX; if [ -r $f ]; then exit 0; fi; touch $f; sleep 1000000 & wait";

/// A Job with restartPolicy Never and the default backoffLimit.
pub(super) fn job(name: &str, does: Does, parallelism: i64, completions: i64) -> Value {
    scripted(name, does.script(), parallelism, completions)
}

/// The same with a script of its own.
pub(super) fn scripted(name: &str, script: &str, parallelism: i64, completions: i64) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {
            "parallelism": parallelism, "completions": completions, "backoffLimit": 6, "manualSelector": false,
            "template": {
                "metadata": {"labels": {"job": name}},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "c", "command": ["/bin/sh", "-c", script]}],
                },
            },
        },
    })
}

/// Makes it Indexed.
pub(super) fn indexed(mut job: Value) -> Value {
    job["spec"]["completionMode"] = "Indexed".into();
    job
}

/// Puts a volume at `/data` of its container.
pub(super) fn with_volume(mut job: Value, volume: Value) -> Value {
    let pod = &mut job["spec"]["template"]["spec"];
    pod["volumes"] = Value::Array(vec![volume]);
    pod["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    job
}

/// On one node, with a folder of that node at `/data`, so that a pod finds what the one before it has left.
pub(super) fn on_node(stage: &Stage, job: Value, node: &str) -> Value {
    let mut job = with_volume(job, stage.host_volume());
    let pod = &mut job["spec"]["template"]["spec"];
    pod["nodeSelector"] = json!({"kubernetes.io/hostname": node});
    if stage.has_images() {
        // Where SELinux is in force, others may not write to the host's folders.
        pod["containers"][0]["securityContext"] = json!({"privileged": true});
    }
    job
}
