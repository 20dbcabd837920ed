//! Start, suspension and resumption: startTime, the Suspended condition and their events. Pods are managed elsewhere.

use super::finish::ensure;
use super::{Draft, Event};
use crate::view::{Job, JobStatus};

/// Whether the Job is to be held.
pub(super) fn is_suspended(job: &Job) -> bool {
    job.spec.suspend == Some(true)
}

/// Whether all that there is to say of a suspended Job without pods is in this status: asked again with it, the plan
/// wants nothing until the Job changes.
#[must_use]
pub fn is_held(job: &Job, status: &JobStatus) -> bool {
    let said = |kind: &str| status.conditions.iter().any(|c| c.kind == kind && c.status == "True");
    let ending = ["FailureTarget", "SuccessCriteriaMet", "Failed", "Complete"];
    is_suspended(job) && said("Suspended") && !ending.into_iter().any(said)
}

/// Starts the clock of a Job that runs: at its first start, and anew when it is resumed, so that the time in which it
/// was held does not count towards its deadline.
pub(super) fn start(draft: &mut Draft<'_>) {
    let held =
        |condition: &crate::view::Condition| condition.kind == "Suspended" && condition.status == "True";
    let resumed = draft.status.conditions.iter().any(held);
    if !is_suspended(draft.job) && (resumed || draft.status.start_time.is_none()) {
        draft.status.start_time = Some(draft.second);
    }
}

/// Keeps the Suspended condition, and tells of its changes. A suspended Job has no start time (since 1.36).
pub(super) fn record(draft: &mut Draft<'_>) {
    let second = draft.second;
    if is_suspended(draft.job) {
        if ensure(&mut draft.status, "Suspended", "True", "JobSuspended", "Job suspended", second) {
            draft.status.start_time = None;
            draft.tell(Event::normal("Suspended", "Job suspended"));
        }
    } else if ensure(&mut draft.status, "Suspended", "False", "JobResumed", "Job resumed", second) {
        draft.tell(Event::normal("Resumed", "Job resumed"));
    }
}
