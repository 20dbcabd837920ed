//! Retention: when a finished Job is deleted (ttlSecondsAfterFinished). It deletes nothing itself.
//!
//! Source: upstream `pkg/controller/ttlafterfinished/ttlafterfinished_controller.go`.

use jiff::{SignedDuration, Timestamp};

use crate::job::finished_condition;
use crate::planted::{Bug, is_planted};
use crate::view::Job;

/// When a Job's time is up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    /// It is: delete it, in the foreground (its pods go first) and with its uid as a precondition, so that a new Job of
    /// the same name is safe.
    Now,
    /// At this time, if nothing changes.
    At(Timestamp),
    /// Not by age: it has not finished, is to be kept, or is being deleted already.
    Never,
}

/// When a Job expires: so many seconds after it got its final condition.
#[must_use]
pub fn expires(job: &Job, now: Timestamp) -> Expiry {
    if job.metadata.deletion_timestamp.is_some() {
        return Expiry::Never;
    }
    let Some(expiry) = expiry(job) else { return Expiry::Never };
    if expiry <= now { Expiry::Now } else { Expiry::At(expiry) }
}

fn expiry(job: &Job) -> Option<Timestamp> {
    let seconds = job.spec.ttl_seconds_after_finished?;
    let mut finished = finished_condition(&job.status)?.last_transition_time?;
    if is_planted(Bug::ExpiresEarly) {
        finished = job.metadata.creation_timestamp?;
    }
    finished.checked_add(SignedDuration::from_secs(seconds.max(0))).ok()
}

#[cfg(test)]
mod tests;
