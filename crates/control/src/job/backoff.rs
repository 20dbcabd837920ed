//! Back-off: when the next pod may be created after failures. A pure function of pods and counters.
//!
//! Upstream (`pkg/controller/job/backoff_utils.go`) keeps failures since the last success in memory and loses them
//! with a restart. Here they are read off the pods that are still there, so a restart changes nothing, and who deletes
//! a failed pod asks for its replacement now.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};

use super::claim;
use super::count::{Tally, is_terminal, is_tracked};
use super::finish::is_finished;
use crate::view::{ContainerStatus, Job, Pod};

/// The wait after the first failure; it doubles with each further one.
const FIRST_DELAY_S: i64 = 10;
/// The longest wait.
const LONGEST_DELAY_S: i64 = 600;
/// So many failures in a row give the longest wait: the number need not be known beyond.
const FAILURES_THAT_MATTER: usize = 7;

/// Until when nothing may be created, if that is after `now`.
pub(super) fn hold_until(job: &Job, own: &[&Pod], tally: &Tally<'_>, now: Timestamp) -> Option<Timestamp> {
    let failures = || own.iter().filter(|pod| delays(pod)).map(|pod| finished_at(pod));
    failures().next()?;
    let last_success =
        own.iter().filter(|pod| pod.status.phase == "Succeeded").map(|pod| finished_at(pod)).max();
    let since_success = || failures().filter(|&at| last_success.is_none_or(|success| at > success));
    let last_failure = since_success().max()?;
    let mut count = since_success().count();
    if last_success.is_none() && job.status.succeeded == 0 {
        // Nothing has ever succeeded, so the counter knows of failed pods that are gone.
        count = count.max(usize::try_from(tally.failed).unwrap_or(0));
    }
    last_failure.checked_add(delay(count)).ok().filter(|&until| until > now)
}

/// The wait after so many failures in a row.
pub(super) fn delay(failures: usize) -> SignedDuration {
    let doublings = failures.clamp(1, FAILURES_THAT_MATTER) - 1;
    SignedDuration::from_secs((FIRST_DELAY_S << doublings).min(LONGEST_DELAY_S))
}

/// A failed pod holds its replacement back, unless someone wants it gone.
fn delays(pod: &Pod) -> bool {
    pod.status.phase == "Failed" && pod.metadata.deletion_timestamp.is_none()
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
/// That is the contract of [`plan`](super::plan): finished pods without the tracking finalizer are in the counters and
/// in `completedIndexes`, and may be left out, but for what back-off reads while the Job goes on: the pod that
/// succeeded last, and the failed ones since then (the last seven). Leaving the others out changes no plan, until they
/// change themselves (a label that no longer matches is still acted upon). Leaving out more shortens or lengthens
/// delays: without its failed pods a Job is retried at once.
#[must_use]
pub fn forgettable<'a>(job: &Job, pods: impl IntoIterator<Item = &'a Pod>) -> Vec<&'a str> {
    let counted =
        pods.into_iter().filter(|pod| is_terminal(pod) && !is_tracked(pod) && claim::is_own(job, pod));
    let mut counted: Vec<&Pod> = counted.collect();
    if !is_finished(&job.status) {
        counted.sort_by_cached_key(|pod| Reverse(finished_at(pod)));
        let mut newest = Newest::default();
        counted.retain(|pod| !newest.needs(pod));
    }
    counted.into_iter().map(|pod| pod.metadata.uid.as_str()).collect()
}

/// What was seen of finished pods, the newest first.
#[derive(Default)]
struct Newest {
    success: bool,
    failures: usize,
}

impl Newest {
    /// Whether back-off reads the next older pod.
    fn needs(&mut self, pod: &Pod) -> bool {
        if self.success {
            return false;
        }
        if pod.status.phase == "Succeeded" {
            self.success = true;
            return true;
        }
        self.failures += usize::from(delays(pod));
        delays(pod) && self.failures <= FAILURES_THAT_MATTER
    }
}
