//! The jobs of a batch's tasks, as they were last seen.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use windlass_manifest::{Seen, marks, observe, observe_gone};
use windlass_model::TaskState;

use super::{BatchEvent, BatchTask, FoundTask};
use crate::feed::{has_ended, has_succeeded};
use crate::watch::is_older;
use crate::{Outcome, Submitted};

/// What is known of a batch's jobs.
pub(super) struct Jobs {
    /// Where each task stands.
    pub(super) states: Vec<TaskState>,
    by_id: BTreeMap<String, usize>,
    seen: BTreeMap<usize, Job>,
    /// Names of jobs that were sent and that no watch has shown.
    sent: BTreeMap<usize, String>,
    has_changed: bool,
}

impl Jobs {
    pub(super) fn new(tasks: &[BatchTask]) -> Jobs {
        let by_id = tasks.iter().enumerate().map(|(number, task)| (task.id.to_string(), number)).collect();
        Jobs {
            states: vec![TaskState::Unsent; tasks.len()],
            by_id,
            seen: BTreeMap::new(),
            sent: BTreeMap::new(),
            has_changed: true,
        }
    }

    /// Whether a task stands elsewhere than when this was asked before.
    pub(super) fn has_changed(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// Something else has changed by which more can be told.
    pub(super) fn plan_again(&mut self) {
        self.has_changed = true;
    }

    pub(super) fn set(&mut self, task: usize, state: TaskState) {
        self.has_changed |= self.states[task] != state;
        self.states[task] = state;
    }

    /// The task whose job it is.
    pub(super) fn task_of(&self, job: &Job) -> Option<usize> {
        let id = job.metadata.labels.as_ref()?.get(marks::SUBMISSION)?;
        self.by_id.get(id).copied()
    }

    /// Takes what a list tells.
    pub(super) fn take(&mut self, job: Job) {
        if let Some(task) = self.task_of(&job) {
            self.look(task, job);
        }
    }

    /// Looks at a task's job; what has just ended.
    pub(super) fn look(&mut self, task: usize, job: Job) -> Option<(TaskState, String, Box<Job>)> {
        self.sent.remove(&task);
        let version = |job: &Job| job.metadata.resource_version.clone();
        let known = self.seen.get(&task).filter(|known| known.metadata.uid == job.metadata.uid);
        // An end is told once, and nothing comes after it.
        if known.is_some_and(|known| {
            has_ended(known) || is_older(version(&job).as_deref(), version(known).as_deref())
        }) {
            return None;
        }
        let state = match (has_ended(&job), has_succeeded(&job)) {
            (true, true) => TaskState::Succeeded,
            (true, false) => TaskState::Failed,
            (false, _) => TaskState::Active,
        };
        self.set(task, state);
        self.seen.insert(task, job.clone());
        let name = job.metadata.name.clone().unwrap_or_default();
        (state != TaskState::Active).then(|| (state, name, Box::new(job)))
    }

    pub(super) fn was_sent(&mut self, task: usize, submitted: &Submitted) {
        if !self.seen.contains_key(&task) {
            self.sent.insert(task, submitted.name.clone());
        }
    }

    /// A job is gone: the task that has failed by it, and the job's name. One that had ended keeps its end.
    pub(super) fn lost(&mut self, job: &Job) -> Option<(usize, String)> {
        let task = self.task_of(job)?;
        let known = self.seen.get(&task);
        let is_other = known.is_some_and(|known| known.metadata.uid != job.metadata.uid);
        if is_other || self.states[task] != TaskState::Active {
            return None;
        }
        // What is told of it last may be its end.
        let state = if has_succeeded(job) { TaskState::Succeeded } else { TaskState::Failed };
        self.seen.insert(task, job.clone());
        self.sent.remove(&task);
        self.set(task, state);
        Some((task, job.metadata.name.clone().unwrap_or_default()))
    }

    /// Tasks that have a job and are not among those that are there.
    pub(super) fn absent(&self, is_there: impl Fn(usize) -> bool) -> Vec<(usize, String)> {
        let name = |job: &Job| job.metadata.name.clone().unwrap_or_default();
        let seen = self.seen.iter().map(|(task, job)| (*task, name(job)));
        let sent = self.sent.iter().map(|(task, name)| (*task, name.clone()));
        let is_open = |task: usize| self.states[task] == TaskState::Active && !is_there(task);
        seen.chain(sent).filter(|(task, _)| is_open(*task)).collect()
    }

    /// What is told of a job that is gone.
    pub(super) fn gone(&self, task: usize, name: &str) -> Option<BatchEvent> {
        let mut job = self.seen.get(&task).cloned().unwrap_or_default();
        job.metadata.name.get_or_insert_with(|| name.to_owned());
        let outcome = Outcome::of(observe_gone(&job, Seen::NotAsked))?;
        Some(BatchEvent::Ended(task, Box::new(outcome)))
    }

    /// The tasks that have a job.
    pub(super) fn found(&self, tasks: &[BatchTask]) -> Vec<FoundTask> {
        let found = |(task, job): (&usize, &Job)| {
            let content = job.metadata.annotations.as_ref().and_then(|marks| marks.get(marks::CONTENT));
            FoundTask {
                task: *task,
                job: job.metadata.name.clone().unwrap_or_default(),
                state: self.states[*task],
                is_same: content == Some(&tasks[*task].manifest.content_hash()),
            }
        };
        self.seen.iter().map(found).collect()
    }
}

/// What is told of a job that succeeded.
pub(super) fn success(task: usize, job: &Job) -> Option<BatchEvent> {
    let outcome = Outcome::of(observe(job, Seen::NotAsked, Seen::NotAsked))?;
    Some(BatchEvent::Ended(task, Box::new(outcome)))
}
