//! Orphans: pods that hold the tracking finalizer although no Job will ever count them.
//!
//! Source: upstream `handleSingleOrphanPod`.

use super::count::is_tracked;
use super::{Action, claim, finish, managed_elsewhere};
use crate::view::{Job, Owner, Pod};

/// The pods whose finalizer is to go: those whose Job is gone or finished, and those that no controller owns.
///
/// `job` finds the Job that an owner reference names, by uid. Pods that another kind controls, or whose Job another
/// controller manages, are left alone.
#[must_use]
pub fn orphans<'a>(
    pods: impl IntoIterator<Item = &'a Pod>,
    job: impl for<'o> Fn(&'o Owner) -> Option<&'a Job>,
) -> Vec<Action> {
    let pods = pods.into_iter().filter(|pod| is_tracked(pod) && is_orphan(pod, &job));
    pods.map(|pod| Action::Release { name: pod.metadata.name.clone(), uid: pod.metadata.uid.clone() })
        .collect()
}

fn is_orphan<'a>(pod: &Pod, job: impl for<'o> Fn(&'o Owner) -> Option<&'a Job>) -> bool {
    match claim::controller(&pod.metadata) {
        None => true,
        Some(owner) if owner.kind != "Job" || owner.api_version != "batch/v1" => false,
        Some(owner) => {
            job(owner).is_none_or(|job| !managed_elsewhere(job) && finish::is_finished(&job.status))
        }
    }
}
