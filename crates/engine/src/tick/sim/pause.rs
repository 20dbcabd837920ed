//! Back-off as anybody sees it: after failures no pod is made for ten seconds, twice as long for each further one up to
//! ten minutes, unless something has succeeded since, or the engine that saw them is gone. It counts only those failures
//! whose end it can read.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::check::Seen;
use super::mirror::{Mirror, Version};
use super::read::*;
use super::transaction::job_of;

/// How the pods of a Job have ended under the present engine.
#[derive(Default)]
pub(super) struct Ends {
    succeeded: Option<Timestamp>,
    /// By uid.
    failed: BTreeMap<String, Timestamp>,
}

impl Ends {
    /// Until when no pod is to be made.
    fn hold_until(&self) -> Option<Timestamp> {
        let since = || self.failed.values().filter(|at| self.succeeded.is_none_or(|success| **at > success));
        let doublings = since().count().clamp(1, 7) - 1;
        Some(*since().max()? + SignedDuration::from_secs((10 << doublings).min(600)))
    }
}

impl Seen {
    /// What a transaction of the engine lets go of, and what it makes.
    pub(super) fn pauses(
        &mut self,
        mirror: &Mirror,
        versions: &[Version],
        now: Timestamp,
    ) -> Result<(), String> {
        let pods = || versions.iter().filter(|version| version.is_of("/pods/"));
        for version in pods() {
            self.ends(mirror, version, now);
        }
        for pod in pods().filter(|pod| pod.before.is_none()).filter_map(|pod| pod.after.as_ref()) {
            let seen = owner(pod).and_then(|uid| self.jobs.get(uid)).filter(|job| !job.is_meddled_with);
            if let Some(until) = seen.and_then(|job| job.ends.hold_until()).filter(|until| *until > now) {
                return Err(format!("pod {} is made, and back-off lasts until {until}", called(pod)));
            }
        }
        Ok(())
    }

    /// The next engine knows only of the failed pods that are there.
    pub(super) fn forget_ends(&mut self) {
        self.jobs.values_mut().for_each(|job| job.ends.failed.clear());
    }

    fn ends(&mut self, mirror: &Mirror, version: &Version, now: Timestamp) {
        let Some(before) = &version.before else { return };
        let Some(seen) = owner(before).and_then(|uid| self.jobs.get_mut(uid)) else { return };
        let Some(after) = &version.after else {
            // Nobody saw how it ended: it may have succeeded.
            if !is_terminal(before) {
                seen.ends.succeeded = seen.ends.succeeded.max(Some(now));
            }
            return;
        };
        let at = finished_at(after);
        if after["status"]["phase"] == "Succeeded" {
            seen.ends.succeeded = seen.ends.succeeded.max(at.or(Some(now)));
        } else if let (Some(at), Some(job)) = (at, owner(after).and_then(|uid| job_of(mirror, uid)))
            && is_let_go_as_failed(job, before, after)
        {
            seen.ends.failed.insert(text(after, "uid").to_owned(), at);
        }
    }
}

/// Whether its Job is done with a pod because it has failed, and not because it is no longer wanted.
fn is_let_go_as_failed(job: &Value, before: &Value, after: &Value) -> bool {
    let is_let_go = is_tracked(before) && !is_tracked(after) && owner(before) == owner(after);
    let is_its_own_end = is_going(before) || !is_going(after);
    let size = u64::try_from(int(&job["spec"]["completions"])).unwrap_or(0);
    let is_in_place = !is_indexed(job) || index(after).is_some_and(|index| index < size);
    let is_of_all = job["spec"]["backoffLimitPerIndex"].is_null();
    is_let_go && is_its_own_end && is_in_place && is_of_all && after["status"]["phase"] == "Failed"
}

/// When the last container ended, if all have.
fn finished_at(pod: &Value) -> Option<Timestamp> {
    let statuses = pod["status"]["containerStatuses"].as_array()?;
    let at = |status: &Value| status["state"]["terminated"]["finishedAt"].as_str()?.parse().ok();
    statuses.iter().map(at).collect::<Option<Vec<Timestamp>>>()?.into_iter().max()
}
