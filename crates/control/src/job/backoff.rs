//! Back-off: when the next pod may be created after failures.
//!
//! What it goes by is a [`Past`]: the failures since the last success, seen on pods and kept when the pods go. Upstream
//! (`pkg/controller/job/backoff_utils.go`) keeps a number and a time; here each failure is known by its pod, so that a
//! pod that is seen twice fails once, and what is still there when an engine begins anew is taken in again.

use jiff::{SignedDuration, Timestamp};

use super::claim;
use super::count::{Tally, index_count, is_failed, is_indexed, is_terminal, is_tracked};
use super::indexed::index_of;
use crate::planted::{Bug, is_planted};
use crate::view::{ContainerStatus, Job, Pod};

/// The wait after the first failure; it doubles with each further one.
const FIRST_DELAY_S: i64 = 10;
/// The longest wait.
const LONGEST_DELAY_S: i64 = 600;
/// So many failures in a row give the longest wait: no more are remembered.
const FAILURES_THAT_MATTER: usize = 7;

/// What back-off remembers of a Job's pods, whether or not they are still there. Small: seven failures at most.
///
/// Source: upstream `backoffRecord`; like that it lives as long as the controller, and no longer than the Job runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Past {
    /// When a pod last succeeded.
    succeeded: Option<Timestamp>,
    /// The failures since then, the last first: when, and the pod's uid.
    failed: Vec<(Timestamp, String)>,
}

impl Past {
    /// The same with these pods. Taken in again they change nothing.
    pub(super) fn with(&self, job: &Job, own: &[&Pod]) -> Past {
        if job.spec.backoff_limit_per_index.is_some() {
            return Past::default(); // What is known of an index's failures is written on its pods.
        }
        let mut past = if is_planted(Bug::ForgetsFailures) { Past::default() } else { self.clone() };
        for pod in own {
            past.take_in(pod, job);
        }
        past.failed.retain(|(at, _)| past.succeeded.is_none_or(|success| *at > success));
        past
    }

    fn take_in(&mut self, pod: &Pod, job: &Job) {
        // One that is let go before its end fails for nobody; of one that has ended nobody knows whether it was.
        let is_not_let_go = || is_tracked(pod) || pod.metadata.deletion_timestamp.is_none();
        let is_its_end = || is_not_let_go() && is_in_place(pod, job);
        let uid = &pod.metadata.uid;
        if pod.status.phase == "Succeeded" {
            self.succeeded = self.succeeded.max(is_its_end().then(|| finished_at(pod)));
        } else if is_failed(pod, job) && is_its_end() && !self.failed.iter().any(|(_, known)| known == uid) {
            let failure = (finished_at(pod), uid.clone());
            let place = self.failed.partition_point(|other| *other > failure);
            self.failed.insert(place, failure);
            self.failed.truncate(FAILURES_THAT_MATTER);
        }
    }

    /// Until when nothing may be created, if that is after `now`.
    pub(super) fn holds_until(&self, job: &Job, tally: &Tally<'_>, now: Timestamp) -> Option<Timestamp> {
        let (last_failure, _) = self.failed.first()?;
        let mut count = self.failed.len();
        if self.succeeded.is_none() && job.status.succeeded == 0 {
            // Nothing has ever succeeded, so the counter knows also of failures before this controller's time.
            count = count.max(usize::try_from(tally.failed).unwrap_or(0));
        }
        last_failure.checked_add(delay(count)).ok().filter(|&until| until > now)
    }
}

/// The wait after so many failures in a row.
pub(super) fn delay(failures: usize) -> SignedDuration {
    let doublings = failures.clamp(1, FAILURES_THAT_MATTER) - 1;
    SignedDuration::from_secs((FIRST_DELAY_S << doublings).min(LONGEST_DELAY_S))
}

/// Of an Indexed Job only pods of its indexes count.
fn is_in_place(pod: &Pod, job: &Job) -> bool {
    !is_indexed(job) || index_of(pod).is_some_and(|index| index < index_count(job))
}

/// When the pod ended: its last container's end (sidecars end after the others), else when it stopped being ready, else
/// when its deletion was asked for, else its creation.
///
/// Source: upstream `getFinishedTime`, `getFinishTimeFromContainers`.
pub(super) fn finished_at(pod: &Pod) -> Timestamp {
    let sidecars = pod.status.init_container_statuses.iter();
    let sidecars = sidecars.filter(|status| pod.spec.sidecars.contains(&status.name));
    last_end(last_end(None, &pod.status.container_statuses), sidecars)
        .or_else(|| {
            let ready = pod.status.conditions.iter().find(|condition| condition.kind == "Ready")?;
            (ready.status == "False").then_some(ready.last_transition_time)?
        })
        .or_else(|| {
            let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
            pod.metadata.deletion_timestamp?.checked_sub(SignedDuration::from_secs(grace)).ok()
        })
        .or(pod.metadata.creation_timestamp)
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The latest of an earlier end and those of all these containers, if all have one.
fn last_end<'a>(
    earlier: Option<Timestamp>,
    statuses: impl IntoIterator<Item = &'a ContainerStatus>,
) -> Option<Timestamp> {
    statuses.into_iter().try_fold(earlier, |latest, status| {
        let end = status.state.terminated.as_ref()?.finished_at?;
        Some(Some(latest.map_or(end, |latest| latest.max(end))))
    })?
}

/// The uids of those pods of a Job that no later plan of it needs to be given.
///
/// That is the contract of [`plan`](super::plan): finished pods without the tracking finalizer are in the counters, in
/// `completedIndexes` and in the [`Past`] of the plan that was given them, and may be left out of the next ones, until they
/// change themselves (a label that no longer matches is still acted upon).
#[must_use]
pub fn forgettable<'a>(job: &Job, pods: impl IntoIterator<Item = &'a Pod>) -> Vec<&'a str> {
    let counted =
        pods.into_iter().filter(|pod| is_terminal(pod) && !is_tracked(pod) && claim::is_own(job, pod));
    counted.map(|pod| pod.metadata.uid.as_str()).collect()
}
