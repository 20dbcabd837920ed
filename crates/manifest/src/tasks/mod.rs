//! The tasks of a Job with numbered completions: where each stands, by the Job's own lists of indexes and by its pods.
//!
//! The Job's `status.completedIndexes` and `failedIndexes` decide; pods tell the rest, and are folded in one by one, so
//! that 100,000 of them need not be held at once. What pods that are gone would have told is unknown, never guessed.

mod failures;
mod numbering;
mod ranges;
mod retry;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerState, Pod};
use serde::Serialize;

pub(crate) use failures::Failures;
pub use failures::{FailedPod, FailureGroup, TaskEvidence};
pub use numbering::Numbering;
pub(crate) use ranges::Indexes;
pub use ranges::ranges;
pub use retry::{CannotRetry, again_tasks};

use crate::{Cause, cause, facts};

/// How often an index failed before a pod was made for it (upstream `pkg/apis/batch/types.go`, KEP 3850).
const FAILURES: [&str; 2] =
    ["batch.kubernetes.io/job-index-failure-count", "batch.kubernetes.io/job-index-ignored-failure-count"];
/// The longest message of a cause that is kept, bytes.
const MESSAGE: usize = 400;

/// One task of a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// What its submitter calls it.
    pub number: u32,
    /// What Kubernetes calls it: its completion index.
    pub index: u32,
    /// Its values, in the order of the array's names; empty where there are none, or where they are gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Where it stands.
    pub state: TaskState,
    /// How often it was started; `None` where the pods that would tell are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The code of its last attempt that has ended; `None` while none has, or where its pod is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What its last attempt failed of, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The pod of its last attempt, while it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// When its last attempt began to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When its last attempt ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

impl Task {
    /// How long its last attempt ran, or has been running.
    pub fn duration(&self, now: Timestamp) -> Option<SignedDuration> {
        let end = match self.state {
            TaskState::Running => self.ended.unwrap_or(now),
            _ => self.ended?,
        };
        Some(end.duration_since(self.started?).max(SignedDuration::ZERO))
    }
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// It has not started, or waits for its next attempt.
    Waiting,
    /// It runs.
    Running,
    /// It has succeeded.
    Succeeded,
    /// It has failed for good.
    Failed,
    /// Its job ended before it did.
    Unfinished,
}

impl TaskState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskState::Waiting => "waiting",
            TaskState::Running => "running",
            TaskState::Succeeded => "succeeded",
            TaskState::Failed => "failed",
            TaskState::Unfinished => "unfinished",
        }
    }
}

/// How many numbered tasks a Job has; `None` if its completions are not numbered.
pub fn task_count(job: &Job) -> Option<u32> {
    let spec = facts::spec(job)?;
    let count = spec.completions.and_then(|count| u32::try_from(count).ok())?;
    (spec.completion_mode.as_deref() == Some("Indexed")).then_some(count)
}

/// How many numbered tasks a Job has, of one that has several.
pub(crate) fn several(job: &Job) -> Option<u32> {
    task_count(job).filter(|count| *count > 1)
}

/// How many tasks the Job itself calls failed for good; only a Job whose back-off is counted by index tells.
pub(crate) fn failed_count(job: &Job) -> Option<u32> {
    let told = facts::status(job)?.failed_indexes.as_deref()?;
    u32::try_from(Indexes::parse(told).count()).ok()
}

/// What is known of a job's tasks, as its pods are told one by one.
#[derive(Debug)]
pub struct TaskTable<'a> {
    job: &'a Job,
    last: BTreeMap<u32, Attempt>,
    /// Pods that were told, whatever their task.
    pods: u64,
}

/// The newest attempt of a task.
#[derive(Debug)]
struct Attempt {
    pod: String,
    stage: Stage,
    created: Option<Timestamp>,
    /// The cluster was ending it.
    is_deleted: bool,
    exit_code: Option<i32>,
    cause: Option<Cause>,
    /// Why it failed, as a verb: `ended with code 3`.
    verb: Option<String>,
    /// The container that failed, and what it left as its last words.
    failed: Option<(String, Option<String>)>,
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
    /// Attempts before this pod, where the pod itself knows.
    before: Option<u32>,
    /// Attempts inside this pod before the last.
    restarts: u32,
    /// Attempts of the older pods that were told.
    older: u32,
}

/// How far a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Running,
    Succeeded,
    Failed,
}

impl<'a> TaskTable<'a> {
    /// Nothing but what the Job says.
    pub fn new(job: &'a Job) -> Self {
        TaskTable { job, last: BTreeMap::new(), pods: 0 }
    }

    /// Forgets all pods: they are told again.
    pub fn clear(&mut self) {
        self.last.clear();
        self.pods = 0;
    }

    /// Takes notice of one of the job's pods; each once, in any order.
    pub fn see(&mut self, pod: &Pod) {
        let Some(index) = facts::index(pod) else { return };
        self.pods += 1;
        let mut new = Attempt::of(self.job, pod);
        match self.last.get_mut(&index) {
            Some(known) if known.is_newer_than(&new) => known.older += new.restarts + 1,
            Some(known) => {
                new.older = known.older + known.restarts + 1;
                *known = new;
            }
            None => _ = self.last.insert(index, new),
        }
    }

    /// Every task in the order of the indexes. `values` are those of an index.
    pub fn tasks(&self, numbering: &Numbering, mut values: impl FnMut(u32) -> Vec<String>) -> Vec<Task> {
        let view = self.view();
        let count = task_count(self.job).unwrap_or(0);
        (0..count).map(|index| view.task(index, numbering.number(index), values(index))).collect()
    }

    /// The pods of the tasks that failed for good, the first of them: those whose last words say why.
    pub fn failed_pods(&self, most: usize) -> Vec<FailedPod> {
        let view = self.view();
        let failed = self
            .last
            .iter()
            .filter(|(index, attempt)| view.state(**index, Some(attempt)) == TaskState::Failed);
        let pods = failed.filter_map(|(index, attempt)| {
            let (container, left) = attempt.failed.as_ref()?;
            let (pod, container) = (attempt.pod.clone(), container.clone());
            Some(FailedPod { index: *index, pod, container, has_left_words: left.is_some() })
        });
        pods.take(most).collect()
    }

    fn view(&self) -> View<'_> {
        let status = facts::status(self.job);
        let list = |text: Option<&String>| Indexes::parse(text.map_or("", String::as_str));
        let count = |count: Option<i32>| u64::try_from(count.unwrap_or(0)).unwrap_or(0);
        let counted = status.map_or(0, |status| count(status.succeeded) + count(status.failed));
        View {
            table: self,
            completed: list(status.and_then(|status| status.completed_indexes.as_ref())),
            failed: list(status.and_then(|status| status.failed_indexes.as_ref())),
            has_ended: cause::of_job(self.job, &[]).is_some(),
            is_whole: self.pods >= counted,
        }
    }
}

/// The Job's own words beside the pods.
struct View<'a> {
    table: &'a TaskTable<'a>,
    completed: Indexes,
    failed: Indexes,
    has_ended: bool,
    /// No pod that the Job counts is missing.
    is_whole: bool,
}

impl View<'_> {
    fn task(&self, index: u32, number: u32, values: Vec<String>) -> Task {
        let attempt = self.table.last.get(&index);
        let state = self.state(index, attempt);
        Task {
            number,
            index,
            values,
            state,
            attempts: self.attempts(state, attempt),
            exit_code: match state {
                // A pod that succeeds has no container that ended with anything else.
                TaskState::Succeeded => Some(0),
                _ => attempt.and_then(|attempt| attempt.exit_code),
            },
            cause: attempt.and_then(|attempt| attempt.cause.clone()),
            pod: attempt.map(|attempt| attempt.pod.clone()),
            started: attempt.and_then(|attempt| attempt.started),
            ended: attempt.and_then(|attempt| attempt.ended),
        }
    }

    fn state(&self, index: u32, attempt: Option<&Attempt>) -> TaskState {
        if self.completed.contains(index) {
            return TaskState::Succeeded;
        }
        if self.failed.contains(index) {
            return TaskState::Failed;
        }
        match attempt {
            Some(attempt) if attempt.stage == Stage::Succeeded => TaskState::Succeeded,
            // What the job's end took with it has not failed by itself.
            Some(attempt) if self.has_ended && attempt.stage == Stage::Failed && !attempt.is_deleted => {
                TaskState::Failed
            }
            _ if self.has_ended => TaskState::Unfinished,
            Some(attempt) if attempt.stage == Stage::Running => TaskState::Running,
            _ => TaskState::Waiting,
        }
    }

    fn attempts(&self, state: TaskState, attempt: Option<&Attempt>) -> Option<u32> {
        let Some(attempt) = attempt else {
            let never = matches!(state, TaskState::Waiting | TaskState::Unfinished) && self.is_whole;
            return never.then_some(0);
        };
        let of_pod =
            attempt.restarts + u32::from(attempt.started.is_some() || attempt.stage != Stage::Waiting);
        match attempt.before {
            Some(before) => Some(before.saturating_add(of_pod)),
            None if self.is_whole => Some(attempt.older.saturating_add(of_pod)),
            None => None,
        }
    }
}

impl Attempt {
    fn of(job: &Job, pod: &Pod) -> Attempt {
        let stage = match facts::phase(pod) {
            "Succeeded" => Stage::Succeeded,
            "Failed" => Stage::Failed,
            _ if facts::has_started(pod) => Stage::Running,
            _ => Stage::Waiting,
        };
        let named = |name: &str| facts::containers(pod).find(|container| container.name == name);
        // A pod whose spec is not known has its first container.
        let payload = facts::payload(job, pod).and_then(named).or_else(|| facts::containers(pod).next());
        let states = payload.map(|one| [one.state.as_ref(), one.last_state.as_ref()]);
        let states = states.into_iter().flatten().flatten();
        let end = states.clone().find_map(|state| state.terminated.as_ref());
        // Of a container that did not start, kubelets say that it began in 1970.
        let time = |time: &Timestamp| time.as_second() > 0;
        let is_over = facts::is_over(pod);
        let cause = (stage == Stage::Failed).then(|| cause::of_pod(pod).map(shortened)).flatten();
        Attempt {
            pod: facts::pod_name(pod).to_owned(),
            stage,
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            is_deleted: pod.metadata.deletion_timestamp.is_some(),
            exit_code: end.map(cause::code),
            verb: cause.as_ref().map(|cause| failures::verb(job, pod, cause)),
            failed: cause.as_ref().and_then(|cause| failures::last_words(pod, cause)),
            cause,
            started: states.clone().find_map(begin).filter(time),
            ended: end
                .filter(|_| is_over)
                .and_then(|end| end.finished_at.as_ref())
                .map(|end| end.0)
                .filter(time),
            before: failures_before(pod),
            restarts: payload.map_or(0, |one| u32::try_from(one.restart_count).unwrap_or(0)),
            older: 0,
        }
    }

    /// Whether this is a later attempt than another; what runs or has succeeded comes after what failed.
    fn is_newer_than(&self, other: &Attempt) -> bool {
        let rank = |one: &Attempt| (one.before, one.stage != Stage::Failed, one.created, one.ended);
        rank(self) >= rank(other)
    }
}

/// When a container began to run.
fn begin(state: &ContainerState) -> Option<Timestamp> {
    let running = state.running.as_ref().and_then(|running| running.started_at.as_ref());
    running.or_else(|| state.terminated.as_ref()?.started_at.as_ref()).map(|time| time.0)
}

/// How often the index had failed before this pod was made, where its Job counts that: a Job with a back-off by index.
pub fn failures_before(pod: &Pod) -> Option<u32> {
    let annotations = pod.metadata.annotations.as_ref()?;
    let count = |key: &str| annotations.get(key)?.parse::<u32>().ok();
    let [failures, ignored] = FAILURES.map(count);
    Some(failures?.saturating_add(ignored.unwrap_or(0)))
}

/// The same cause with no more of the cluster's words than a table may keep.
fn shortened(mut cause: Cause) -> Cause {
    if let Cause::NotStarted { message, .. } | Cause::Failed { message, .. } = &mut cause
        && message.len() > MESSAGE
    {
        let end = (0..=MESSAGE).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.shrink_to_fit();
    }
    cause
}

#[cfg(test)]
mod tests;
