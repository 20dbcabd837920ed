//! The only place where Kubernetes' status becomes ours.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};

use crate::facts::{self, condition};
use crate::verdict::{self, Scene};
use crate::{Cause, Counts, JobStatus, Phase, Times, cause, marks, usage};

/// Objects that belong to a job, or why there are none to look at.
#[derive(Debug)]
pub enum Seen<'a, T> {
    /// All of them were read.
    All(&'a [T]),
    /// Nobody asked for them (a listing): the verdict is short and says nothing of it.
    NotAsked,
    /// The user may not read them: the verdict names that.
    Forbidden,
}

impl<T> Clone for Seen<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Seen<'_, T> {}

impl<'a, T> Seen<'a, T> {
    /// What there is to look at.
    pub fn items(self) -> &'a [T] {
        match self {
            Seen::All(items) => items,
            Seen::NotAsked | Seen::Forbidden => &[],
        }
    }
}

/// Tells the truth about a job, whoever made it. Total: strange objects give a short verdict, never a panic.
pub fn observe(job: &Job, pods: Seen<'_, Pod>, events: Seen<'_, Event>) -> JobStatus {
    let cause = cause::of_job(job, pods.items());
    let phase = phase(job, pods, cause.as_ref());
    let counts = counts(job);
    let scene = Scene { job, pods, events, phase, counts: &counts, cause: cause.as_ref() };
    let verdict = verdict::of(&scene);
    JobStatus {
        name: facts::name(job).to_owned(),
        namespace: job.metadata.namespace.clone().unwrap_or_default(),
        uid: job.metadata.uid.clone().unwrap_or_default(),
        submission: job.metadata.labels.as_ref().and_then(|labels| labels.get(marks::SUBMISSION)).cloned(),
        phase,
        times: times(job, cause.as_ref()),
        counts,
        verdict,
        exit_code: cause.as_ref().map(|cause| cause.exit().code()),
        usage: usage::of_pods(pods.items()),
        cause,
    }
}

/// The status of a job that is no longer there: `job` is what was last seen of it.
///
/// One that had ended keeps its end, one that was being cancelled is cancelled; any other was deleted.
pub fn observe_gone(job: &Job, pods: Seen<'_, Pod>) -> JobStatus {
    let mut status = observe(job, pods, Seen::NotAsked);
    if status.cause.is_some() {
        return status;
    }
    let (phase, cause) = match facts::cancellation(job) {
        Some(by) => (Phase::Cancelled, Cause::Cancelled { by }),
        None => (Phase::Failed, Cause::Deleted),
    };
    let scene =
        Scene { job, pods, events: Seen::NotAsked, phase, counts: &status.counts, cause: Some(&cause) };
    status.verdict = verdict::of(&scene);
    status.phase = phase;
    status.exit_code = Some(cause.exit().code());
    status.cause = Some(cause);
    status
}

fn phase(job: &Job, pods: Seen<'_, Pod>, cause: Option<&Cause>) -> Phase {
    match cause {
        Some(Cause::Succeeded) => return Phase::Succeeded,
        Some(Cause::Cancelled { .. }) => return Phase::Cancelled,
        Some(_) => return Phase::Failed,
        None => {}
    }
    let decided = condition(job, "FailureTarget").is_some() || condition(job, "SuccessCriteriaMet").is_some();
    if decided || job.metadata.deletion_timestamp.is_some() || facts::cancellation(job).is_some() {
        Phase::Ending
    } else if facts::spec(job).is_some_and(|spec| spec.suspend == Some(true)) {
        Phase::Suspended
    } else if has_started(job, pods) {
        Phase::Running
    } else {
        Phase::Pending
    }
}

/// Whether anything of the job has run. Kubernetes counts a pending pod as active; without the pods themselves a
/// ready one is the sign, or any active one where the cluster does not count the ready ones.
fn has_started(job: &Job, pods: Seen<'_, Pod>) -> bool {
    if pods.items().iter().any(|pod| facts::has_started(pod) && !facts::is_over(pod)) {
        return true;
    }
    let Some(status) = facts::status(job) else { return false };
    let counted = |count: Option<i32>| count.unwrap_or(0) > 0;
    let told = match pods {
        // A pod that has ended and is not counted yet: nothing waits for a start.
        Seen::All(pods) => facts::uncounted(job, pods) > 0,
        Seen::NotAsked | Seen::Forbidden => counted(status.ready.or(status.active)),
    };
    told || counted(status.succeeded) && counted(status.active)
}

fn counts(job: &Job) -> Counts {
    let count = |count: Option<i32>| count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    let wanted =
        facts::spec(job).and_then(|spec| spec.completions).and_then(|wanted| u32::try_from(wanted).ok());
    let Some(status) = facts::status(job) else { return Counts { wanted, ..Counts::default() } };
    Counts {
        active: count(status.active),
        ready: count(status.ready),
        succeeded: count(status.succeeded),
        failed: count(status.failed),
        terminating: count(status.terminating),
        wanted,
    }
}

fn times(job: &Job, cause: Option<&Cause>) -> Times {
    let status = facts::status(job);
    let completed = status.and_then(|status| status.completion_time.as_ref()).map(|time| time.0);
    let failed = || condition(job, "Failed").and_then(facts::since);
    let never_started = || match cause {
        Some(Cause::Cancelled { by }) => Some(by.when),
        _ => None,
    };
    Times {
        created: job.metadata.creation_timestamp.as_ref().map(|time| time.0),
        submitted: facts::submitted(job),
        started: status.and_then(|status| status.start_time.as_ref()).map(|time| time.0),
        finished: completed.or_else(failed).or_else(never_started),
        deleted: job.metadata.deletion_timestamp.as_ref().map(|time| time.0),
    }
}
