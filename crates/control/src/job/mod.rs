//! The Job controller: what a Job and its pods ask for now. Cut into files as upstream's `pkg/controller/job` is.
//!
//! It knows neither store nor clock: the executor gives it the objects and the time, commits what the plan wants
//! in one transaction, and asks again as long as a plan wants something.
//!
//! Because a pod's finalizer and the Job's counters change in that one transaction, a finished pod is counted and
//! released by the same plan: `status.uncountedTerminatedPods` stays `{}`. Pods that another controller left there
//! are still counted, once. For the same reason there is no slow start of creations: upstream starts with one pod and
//! doubles so that a refusal (a quota) is met by few requests; here creations are writes of one transaction, and the
//! executor knows before it how many would be refused ([`plan_within`]).

use std::borrow::Borrow;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::event::Event;
use crate::planted::{Bug, is_planted};
use crate::view::{Job, JobStatus, Meta, Pod};

mod backoff;
mod claim;
mod count;
mod failure_policy;
mod finish;
mod indexed;
mod manage;
mod orphan;
mod per_index;
mod podspec;
mod success_policy;
mod suspend;

pub use backoff::{Past, forgettable};
pub(crate) use finish::finished_condition;
pub use finish::is_finished;
pub use orphan::orphans;
pub use podspec::owner;
pub use suspend::is_held;

/// The finalizer that keeps a pod until it is counted.
pub const TRACKING_FINALIZER: &str = "batch.kubernetes.io/job-tracking";
/// Annotation and label of a pod of an Indexed Job: its completion index.
pub const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// The value of `spec.managedBy` that names this controller.
pub const CONTROLLER_NAME: &str = "kubernetes.io/job-controller";
/// Pods created, deleted or counted by one plan at most; the rest is left to the next.
pub const MAX_PODS_PER_PLAN: usize = 500;

/// Bytes of pods that one plan creates, deletes or counts at most, but always a few pods: all of them are written in
/// one transaction, and one pod may be as large as a request's body.
const BYTES_PER_PLAN: usize = 16 << 20;
/// Pods that one plan may touch however large they are.
const FEW_PODS: usize = 4;

/// How many of so many pods of a Job one plan may touch.
fn at_once(job: &Job, wanted: usize) -> usize {
    if wanted <= FEW_PODS {
        return wanted;
    }
    let fitting = BYTES_PER_PLAN / weight(&job.spec.template).max(1);
    wanted.min(fitting.clamp(FEW_PODS, MAX_PODS_PER_PLAN))
}

/// About as many bytes as a value has as JSON.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 3,
        Value::Array(list) => list.iter().map(weight).sum::<usize>() + 3,
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + 4 + weight(value)).sum::<usize>() + 3,
        _ => 5,
    }
}

/// What to do for a Job now. The executor commits pods, finalizers and status in one transaction, then asks again.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// Changes to other objects, in order; at most one for a pod, and never creations with deletions.
    pub actions: Vec<Action>,
    /// The Job's new status, if it differs from the one it has.
    pub status: Option<JobStatus>,
    /// Events to record about the Job. For every `CreatePod` there is one `SuccessfulCreate`, in the same order and
    /// with an empty message: the executor writes `Created pod: NAME`, because it makes the name.
    pub events: Vec<Event>,
    /// Look again at this time even if nothing happens.
    pub wake_at: Option<Timestamp>,
    /// What the Job's next plan is to be given as its past once this one is carried out, if that differs from what this one
    /// was given.
    pub past: Option<Past>,
}

impl Plan {
    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.actions.is_empty() && self.status.is_none() && self.events.is_empty()
    }
}

/// A change to a pod of the Job.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Create a pod. The manifest is whole but for the name: the executor appends five random characters to `metadata.generateName`.
    CreatePod {
        /// The manifest; pods that are alike share it.
        pod: Arc<Value>,
    },
    /// Delete a pod, by the API's rules (grace, then removal).
    DeletePod {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
        /// Take the tracking finalizer off in the same write: the pod is counted by this plan, or is not to be counted.
        release: bool,
    },
    /// Take the tracking finalizer off: the pod is counted.
    Release {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
    },
    /// Make the Job the pod's controller, and add the finalizer.
    Adopt {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
    },
    /// Drop the Job from the pod's owners, and the finalizer with it: its labels no longer match.
    Disown {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
    },
}

/// Decides. `pods` are all pods that the Job controls, but for those that are [`forgettable`], and those without a
/// controller in its namespace; `past` is what its last plan said of it, nothing for the first. Costs what the pods given
/// cost, not what the Job has had.
///
/// Source: upstream `syncJob` in `pkg/controller/job/job_controller.go`.
#[must_use]
pub fn plan(job: &Job, pods: &[impl Borrow<Pod>], past: &Past, now: Timestamp) -> Plan {
    plan_within(job, pods, past, now, usize::MAX)
}

/// The same where no more than so many pods may be created now: the rest is left to a later plan.
#[must_use]
pub fn plan_within(job: &Job, pods: &[impl Borrow<Pod>], past: &Past, now: Timestamp, most: usize) -> Plan {
    let pods: Vec<&Pod> = pods.iter().map(Borrow::borrow).collect();
    decide(job, &pods, past, now, most)
}

fn decide(job: &Job, pods: &[&Pod], known: &Past, now: Timestamp, most: usize) -> Plan {
    if managed_elsewhere(job) || finish::is_finished(&job.status) {
        return Plan::default();
    }
    if !matches!(job.spec.completion_mode.as_deref(), None | Some("NonIndexed" | "Indexed")) {
        return unknown_mode(job);
    }
    // The API keeps whole seconds; what is compared later must be what was written.
    let second = whole_second(now);
    let claim::Claimed { own, actions } = claim::claim(job, pods);
    if !actions.is_empty() {
        // Whose the pods are comes first and alone, so that no pod is counted before it carries the finalizer.
        return Plan { actions, ..Plan::default() };
    }

    let mut draft = Draft::new(job, second);
    let tally = count::tally(job, &own);
    let past = known.with(job, &own);
    suspend::start(&mut draft);
    let verdict = finish::verdict(&mut draft, &tally, &own, now);
    let managed = match &verdict {
        Some(_) if !is_planted(Bug::GoesOnAfterTheEnd) => manage::end_all(job, &tally),
        _ if job.metadata.deletion_timestamp.is_some() => manage::Managed::default(),
        _ => manage::manage(job, &tally, &past, now, most),
    };
    draft.wake(managed.wake_at);
    let verdict = verdict.or_else(|| finish::completed(job, &tally, &managed));
    if verdict.is_none() && job.metadata.deletion_timestamp.is_none() {
        suspend::record(&mut draft);
    }
    count::account(&mut draft, &tally, &managed, verdict.as_ref());
    draft.perform(managed);
    finish::record(&mut draft, verdict);
    draft.plan.past = (past != *known).then_some(past);
    draft.into_plan()
}

fn managed_elsewhere(job: &Job) -> bool {
    let names_another = job.spec.managed_by.as_deref().is_some_and(|name| name != CONTROLLER_NAME);
    names_another && !is_planted(Bug::MeddlesWithManaged)
}

/// The API refuses such a Job; one that got past it is told about once, and left alone.
fn unknown_mode(job: &Job) -> Plan {
    if job.status.uncounted_terminated_pods.is_some() {
        return Plan::default();
    }
    let status = JobStatus { uncounted_terminated_pods: Some(json!({})), ..job.status.clone() };
    let message = "Skipped Job sync because completion mode is unknown";
    let events = vec![Event::warning("UnknownCompletionMode", message)];
    Plan { status: Some(status), events, ..Plan::default() }
}

fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// A plan in the making.
struct Draft<'a> {
    job: &'a Job,
    /// Now, in whole seconds: what is written.
    second: Timestamp,
    status: JobStatus,
    plan: Plan,
}

impl<'a> Draft<'a> {
    fn new(job: &'a Job, second: Timestamp) -> Self {
        Self { job, second, status: job.status.clone(), plan: Plan::default() }
    }

    fn wake(&mut self, at: Option<Timestamp>) {
        self.plan.wake_at = match (self.plan.wake_at, at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    fn act(&mut self, action: Action) {
        self.plan.actions.push(action);
    }

    fn tell(&mut self, event: Event) {
        self.plan.events.push(event);
    }

    /// Turns what was managed into actions and events.
    fn perform(&mut self, managed: manage::Managed<'_>) {
        for pod in managed.delete {
            let Meta { name, uid, .. } = &*pod.metadata;
            self.tell(Event::normal("SuccessfulDelete", format!("Deleted pod: {name}")));
            self.act(Action::DeletePod { name: name.clone(), uid: uid.clone(), release: true });
        }
        for pod in managed.create {
            self.tell(Event::normal("SuccessfulCreate", ""));
            self.act(Action::CreatePod { pod });
        }
    }

    fn into_plan(self) -> Plan {
        let mut plan = self.plan;
        plan.status = (self.status != self.job.status).then_some(self.status);
        plan
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
