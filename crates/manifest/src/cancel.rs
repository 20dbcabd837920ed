//! Cancelling, decided: a record of who, when and why, and the means that Kubernetes has.

use k8s_openapi::api::batch::v1::Job;
use serde_json::{Map, Value, json};

use crate::marks::{self, Cancellation};
use crate::{Phase, Seen, facts, observe};

/// What cancelling a job comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum CancelPlan {
    /// The job has started: this merge patch makes its deadline one second, so that its pods are ended with grace.
    Stop(Value),
    /// The job has not started: this merge patch suspends it, with parallelism 0 and the deadline, so that a later
    /// resume starts nothing.
    NeverStart(Value),
    /// It has ended, or its end is decided.
    Ended,
    /// It was cancelled before.
    Cancelled,
}

/// Decides how to cancel a job. The patch holds the job's revision: it fails if the job has changed since.
pub fn cancel(job: &Job, record: &Cancellation) -> CancelPlan {
    let status = observe(job, Seen::NotAsked, Seen::NotAsked);
    if facts::cancellation(job).is_some() {
        return CancelPlan::Cancelled;
    }
    let decided = facts::condition(job, "FailureTarget").or(facts::condition(job, "SuccessCriteriaMet"));
    if status.phase.is_final() || decided.is_some() {
        return CancelPlan::Ended;
    }
    let has_started = status.times.started.is_some() && status.phase != Phase::Suspended;
    let metadata = json!({
        "resourceVersion": job.metadata.resource_version,
        "annotations": {
            marks::CANCEL: json!(record).to_string(),
            marks::BEFORE_CANCEL: before(job).to_string(),
        },
    });
    if has_started {
        CancelPlan::Stop(json!({ "metadata": metadata, "spec": { "activeDeadlineSeconds": 1 } }))
    } else {
        let spec = json!({ "suspend": true, "parallelism": 0, "activeDeadlineSeconds": 1 });
        CancelPlan::NeverStart(json!({ "metadata": metadata, "spec": spec }))
    }
}

/// The fields that are about to change, for whoever submits the job again.
fn before(job: &Job) -> Value {
    let mut fields = Map::new();
    let mut keep =
        |name: &str, value: Option<Value>| fields.extend(value.map(|value| (name.to_owned(), value)));
    if let Some(spec) = facts::spec(job) {
        keep("activeDeadlineSeconds", spec.active_deadline_seconds.map(Value::from));
        keep("parallelism", spec.parallelism.map(Value::from));
        keep("suspend", spec.suspend.map(Value::from));
    }
    fields.into()
}
