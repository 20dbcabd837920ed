//! The end of a Job: whether it is over, why, and its conditions in their two steps.
//!
//! The interim condition (SuccessCriteriaMet, FailureTarget) and the final one (Complete, Failed) are never written by
//! one plan: the second comes when a plan finds the first, nothing left to count and no pod left to end.
//!
//! Source: upstream `syncJob`, `enactJobFinished`; KEP-3329, KEP-3939.

use jiff::{SignedDuration, Timestamp};

use super::count::{Tally, index_count, is_failed, is_terminal, is_tracked};
use super::failure_policy::{Judgement, judge};
use super::manage::Managed;
use super::suspend::is_suspended;
use super::{Draft, Event, success_policy};
use crate::planted::{Bug, is_planted};
use crate::view::{Condition, Job, JobStatus, Pod};

/// How a Job ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// SuccessCriteriaMet, then Complete.
    Success,
    /// FailureTarget, then Failed.
    Failure,
}

impl Target {
    fn interim(self) -> &'static str {
        match self {
            Self::Success => "SuccessCriteriaMet",
            Self::Failure => "FailureTarget",
        }
    }

    fn terminal(self) -> &'static str {
        match self {
            Self::Success => "Complete",
            Self::Failure => "Failed",
        }
    }
}

/// That the Job is over, and why.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Verdict {
    /// How it ends.
    pub target: Target,
    reason: String,
    message: String,
    /// Whether the Job's status says so already.
    recorded: bool,
}

impl Verdict {
    pub(super) fn new(target: Target, reason: &str, message: impl Into<String>) -> Self {
        Self { target, reason: reason.to_owned(), message: message.into(), recorded: false }
    }

    fn failure(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Target::Failure, reason, message)
    }
}

/// Whether the Job has its final condition.
#[must_use]
pub fn is_finished(status: &JobStatus) -> bool {
    finished_condition(status).is_some()
}

/// The final condition, if the Job has one.
pub(crate) fn finished_condition(status: &JobStatus) -> Option<&Condition> {
    ["Complete", "Failed"].into_iter().find_map(|kind| find(status, kind))
}

/// The condition of that type, if it is true.
fn find<'a>(status: &'a JobStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.kind == kind && condition.status == "True")
}

/// Whether the Job is over, but for having all its completions. Asks to be woken at the deadline.
pub(super) fn verdict(
    draft: &mut Draft<'_>,
    tally: &Tally<'_>,
    own: &[&Pod],
    now: Timestamp,
) -> Option<Verdict> {
    let job = draft.job;
    if let Some(recorded) = recorded(&job.status) {
        return Some(recorded);
    }
    if let Some(message) = fatal(job, own) {
        return Some(Verdict::failure("PodFailurePolicy", message));
    }
    let early = i32::from(is_planted(Bug::GivesUpEarly));
    if tally.failed.saturating_add(early) > backoff_limit(job) || restarts_exceed(job, own) {
        return Some(Verdict::failure("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
    }
    let deadline = deadline(draft);
    if deadline.is_some_and(|deadline| now >= deadline) {
        return Some(Verdict::failure("DeadlineExceeded", "Job was active longer than specified deadline"));
    }
    let verdict = index_verdict(job, tally);
    if verdict.is_none() {
        draft.wake(deadline);
    }
    verdict
}

/// What the policy says of a pod whose failure ends the Job.
fn fatal(job: &Job, own: &[&Pod]) -> Option<String> {
    job.spec.pod_failure_policy.as_ref()?;
    let failed = own.iter().filter(|pod| is_tracked(pod) && is_failed(pod, job));
    failed.into_iter().find_map(|pod| match judge(job, pod) {
        Judgement::FailJob(message) => Some(message),
        _ => None,
    })
}

/// What the indexes that failed, or those that are done, say about the whole.
fn index_verdict(job: &Job, tally: &Tally<'_>) -> Option<Verdict> {
    let failed = tally.per_index.as_ref().map_or(0, |per_index| per_index.failed.total());
    if tally.per_index.is_some() && job.spec.max_failed_indexes.is_some_and(|most| failed > most) {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        return Some(Verdict::failure("MaxFailedIndexesExceeded", message));
    }
    if failed > 0 && failed.saturating_add(tally.succeeded) >= job.spec.completions.unwrap_or(0) {
        return Some(Verdict::failure("FailedIndexes", "Job has failed indexes"));
    }
    let place = success_policy::met(job.spec.success_policy.as_ref()?, &tally.completed, index_count(job))?;
    Some(Verdict::new(Target::Success, "SuccessPolicy", format!("Matched rules at index {place}")))
}

/// What an earlier plan decided.
fn recorded(status: &JobStatus) -> Option<Verdict> {
    [Target::Success, Target::Failure].into_iter().find_map(|target| {
        let condition = find(status, target.interim())?;
        let (reason, message) = (condition.reason.clone(), condition.message.clone());
        Some(Verdict { target, reason, message, recorded: true })
    })
}

fn backoff_limit(job: &Job) -> i32 {
    job.spec.backoff_limit.unwrap_or(if job.spec.backoff_limit_per_index.is_some() { i32::MAX } else { 6 })
}

/// With restartPolicy OnFailure the restarts in place are limited too, those of pods that have not ended.
fn restarts_exceed(job: &Job, own: &[&Pod]) -> bool {
    let statuses = own.iter().filter(|pod| !is_terminal(pod)).map(|pod| &pod.status);
    let restarts: i64 = statuses
        .flat_map(|status| status.init_container_statuses.iter().chain(&status.container_statuses))
        .map(|container| i64::from(container.restart_count))
        .sum();
    // The template is asked last: of most Jobs nobody ever reads it.
    restarts >= i64::from(backoff_limit(job)).max(1)
        && job.spec.template["spec"]["restartPolicy"] == "OnFailure"
}

fn deadline(draft: &Draft<'_>) -> Option<Timestamp> {
    if is_suspended(draft.job) {
        return None;
    }
    let allowed = SignedDuration::from_secs(draft.job.spec.active_deadline_seconds?);
    draft.status.start_time?.checked_add(allowed).ok()
}

/// Whether the Job has what it asked for: all completions, or for a work queue one success and no pod left.
pub(super) fn completed(job: &Job, tally: &Tally<'_>, managed: &Managed<'_>) -> Option<Verdict> {
    let enough = match job.spec.completions {
        None => tally.succeeded > 0 && !is_planted(Bug::NeverEndsQueues),
        Some(completions) => tally.succeeded >= completions,
    };
    let idle = tally.active.len() == managed.delete.len() && managed.create.is_empty();
    (enough && idle).then(|| {
        Verdict::new(Target::Success, "CompletionsReached", "Reached expected number of succeeded pods")
    })
}

/// Writes the interim condition or, when all is counted and ended, the final one.
pub(super) fn record(draft: &mut Draft<'_>, verdict: Option<Verdict>) {
    let Some(verdict) = verdict else { return };
    let second = draft.second;
    if !verdict.recorded {
        ensure(
            &mut draft.status,
            verdict.target.interim(),
            "True",
            &verdict.reason,
            &verdict.message,
            second,
        );
        return;
    }
    if !is_settled(draft) {
        return;
    }
    ensure(&mut draft.status, verdict.target.terminal(), "True", &verdict.reason, &verdict.message, second);
    let start = *draft.status.start_time.get_or_insert(second);
    match verdict.target {
        Target::Success => {
            draft.status.completion_time = Some(second.max(start));
            if draft.job.spec.completions.is_some_and(|completions| draft.status.succeeded > completions) {
                let message = "Too many succeeded pods running after completion count reached";
                draft.tell(Event::warning("TooManySucceededPods", message));
            }
            draft.tell(Event::normal("Completed", "Job completed"));
        }
        Target::Failure => draft.tell(Event::warning(event_reason(&verdict.reason), verdict.message)),
    }
}

/// Whether this plan found nothing to count and no pod that has not ended.
fn is_settled(draft: &Draft<'_>) -> bool {
    if is_planted(Bug::EndsTooSoon) {
        return true;
    }
    let (before, after) = (&draft.job.status, &draft.status);
    draft.plan.actions.is_empty()
        && (before.succeeded, before.failed) == (after.succeeded, after.failed)
        && after.active == 0
        && after.terminating == Some(0)
}

/// The reasons with which this controller ends Jobs, for events.
fn event_reason(reason: &str) -> &'static str {
    const KNOWN: [&str; 5] = [
        "BackoffLimitExceeded",
        "DeadlineExceeded",
        "PodFailurePolicy",
        "MaxFailedIndexesExceeded",
        "FailedIndexes",
    ];
    KNOWN.into_iter().find(|known| *known == reason).unwrap_or("Failed")
}

/// Appends or changes a condition; one that would start out False is not added. Returns whether the list changed.
pub(super) fn ensure(
    status: &mut JobStatus,
    kind: &str,
    value: &str,
    reason: &str,
    message: &str,
    at: Timestamp,
) -> bool {
    let present = status.conditions.iter().position(|condition| condition.kind == kind);
    let wanted = Condition {
        kind: kind.to_owned(),
        status: value.to_owned(),
        last_probe_time: Some(at),
        last_transition_time: Some(at),
        reason: reason.to_owned(),
        message: message.to_owned(),
        rest: present.map(|place| status.conditions[place].rest.clone()).unwrap_or_default(),
    };
    match present.map(|place| &mut status.conditions[place]) {
        Some(condition) => {
            let same = (&condition.status, &condition.reason, &condition.message)
                == (&wanted.status, &wanted.reason, &wanted.message);
            if !same {
                *condition = wanted;
            }
            !same
        }
        None if value == "False" => false,
        None => {
            status.conditions.push(wanted);
            true
        }
    }
}
