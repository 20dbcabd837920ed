//! The only place where Kubernetes' status becomes ours.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::Value;

use crate::facts::{self, condition};
use crate::tasks::{self, Failures, TaskEvidence};
use crate::verdict::{self, Scene};
use crate::{Cause, Counts, JobStatus, Phase, Right, Times, cause, marks, obstacle, sidecar, usage};

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

/// What belongs to a Job, as far as it could be read.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Its pods.
    pub pods: Seen<'a, Pod>,
    /// Events of the Job and its pods.
    pub events: Seen<'a, Event>,
    /// Other objects that say something of it, as the server sends them, each with its `kind`: Kueue's `Workload` of
    /// the Job, and the `Node`s.
    pub others: &'a [Value],
    /// The last lines of the logs of what failed.
    pub last_lines: &'a [String],
    /// What else was asked for and may not be read.
    pub lacking: &'a [Right],
    /// What was found out about its failed tasks: with it they are told by cause also while the job runs.
    pub tasks: Option<&'a TaskEvidence>,
}

impl<'a> Evidence<'a> {
    /// Pods and events, and nothing else.
    pub fn new(pods: Seen<'a, Pod>, events: Seen<'a, Event>) -> Self {
        Evidence { pods, events, others: &[], last_lines: &[], lacking: &[], tasks: None }
    }
}

/// Tells the truth about a job, whoever made it. Total: strange objects give a short verdict, never a panic.
pub fn observe(job: &Job, pods: Seen<'_, Pod>, events: Seen<'_, Event>) -> JobStatus {
    observe_all(job, &Evidence::new(pods, events))
}

/// As [`observe`], with all that could be found out.
pub fn observe_all(job: &Job, evidence: &Evidence<'_>) -> JobStatus {
    let pods = evidence.pods;
    let cause = cause::of_job(job, pods.items());
    let phase = phase(job, pods, cause.as_ref());
    let counts = counts(job);
    let payload = Some(phase)
        .filter(|phase| *phase == Phase::Running)
        .and_then(|_| sidecar::payload_end(job, pods.items()));
    let failures = Some(pods.items())
        .filter(|_| phase.is_final() || evidence.tasks.is_some())
        .and_then(|pods| Failures::of(job, pods, evidence.tasks));
    let scene = Scene {
        job,
        evidence,
        pods,
        phase,
        counts: &counts,
        cause: cause.as_ref(),
        payload: payload.as_ref(),
        failures: failures.as_ref(),
    };
    let verdict = verdict::of(&scene);
    JobStatus {
        name: facts::name(job).to_owned(),
        namespace: job.metadata.namespace.clone().unwrap_or_default(),
        uid: job.metadata.uid.clone().unwrap_or_default(),
        submission: job.metadata.labels.as_ref().and_then(|labels| labels.get(marks::SUBMISSION)).cloned(),
        phase,
        times: times(job, pods.items(), cause.as_ref()),
        counts,
        verdict,
        exit_code: cause.as_ref().map(|cause| cause.exit().code()),
        payload,
        usage: usage::of_pods(pods.items()),
        unlimited: pods.items().iter().find_map(facts::unlimited).map(str::to_owned),
        runs: pods.items().iter().any(|pod| obstacle::runs(pod, evidence.events.items())),
        cause,
    }
}

/// The status of a job that is no longer there: `job` is what was last seen of it.
///
/// One that had ended keeps its end, one that was being cancelled is cancelled; any other was deleted.
pub fn observe_gone(job: &Job, pods: Seen<'_, Pod>) -> JobStatus {
    let evidence = Evidence::new(pods, Seen::NotAsked);
    let mut status = observe_all(job, &evidence);
    // What was last seen of its pods is no more than that: they go with it.
    status.runs = false;
    if status.cause.is_some() {
        return status;
    }
    let (phase, cause) = match facts::cancellation(job) {
        Some(by) => (Phase::Cancelled, Cause::Cancelled { by }),
        None => (Phase::Failed, Cause::Deleted),
    };
    let counts = &status.counts;
    let scene = Scene {
        job,
        evidence: &evidence,
        pods,
        phase,
        counts,
        cause: Some(&cause),
        payload: None,
        failures: None,
    };
    status.verdict = verdict::of(&scene);
    status.phase = phase;
    status.exit_code = Some(cause.exit().code());
    status.cause = Some(cause);
    status.payload = None;
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
        failed_tasks: tasks::several(job).and_then(|_| tasks::failed_count(job)),
        wanted,
    }
}

fn times(job: &Job, pods: &[Pod], cause: Option<&Cause>) -> Times {
    let status = facts::status(job);
    let never_started = || match cause {
        Some(Cause::Cancelled { by }) => Some(by.when),
        _ => None,
    };
    Times {
        created: job.metadata.creation_timestamp.as_ref().map(|time| time.0),
        submitted: facts::submitted(job),
        started: status.and_then(|status| status.start_time.as_ref()).map(|time| time.0),
        scheduled: pods.iter().filter_map(scheduled).min(),
        running: pods.iter().filter_map(ran_since).min(),
        finished: facts::finished(job).or_else(never_started),
        expires: facts::expires(job),
        deleted: job.metadata.deletion_timestamp.as_ref().map(|time| time.0),
    }
}

/// When a pod was placed on a node.
fn scheduled(pod: &Pod) -> Option<Timestamp> {
    let condition = facts::pod_condition(pod, "PodScheduled").filter(|condition| condition.status == "True");
    condition?.last_transition_time.as_ref().map(|time| time.0)
}

/// When the first container of a pod began to run, init containers aside.
fn ran_since(pod: &Pod) -> Option<Timestamp> {
    let statuses = facts::pod_status(pod)?.container_statuses.as_deref()?;
    let states =
        statuses.iter().flat_map(|status| [status.state.as_ref(), status.last_state.as_ref()]).flatten();
    let begun = states.filter_map(|state| {
        let running = state.running.as_ref().and_then(|running| running.started_at.as_ref());
        running.or_else(|| state.terminated.as_ref()?.started_at.as_ref()).map(|time| time.0)
    });
    // Of a container that did not start, kubelets say that it began in 1970.
    begun.filter(|begun| begun.as_second() > 0).min()
}
