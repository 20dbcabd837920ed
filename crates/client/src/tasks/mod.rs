//! Tasks: every one of a job with numbered completions, and why those that failed did.
//!
//! Pods are read page by page and folded: of 100,000 tasks a row each is kept, and no pod.

use std::collections::BTreeMap;

use futures::future::{self, Either};
use futures::stream::{self, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;
use serde_json::Value;
use windlass_manifest::tasks::{FailedPod, Numbering, Task, TaskEvidence, TaskTable, task_count};
use windlass_manifest::{Array, Right, TaskMap};
use windlass_model::Problem;

use crate::pages::Step;
use crate::slim::SlimPod;
use crate::transport::{Call, Fault, segment};
use crate::view::{owner, pod_selector};
use crate::{JobManager, Result, limits};

/// The tasks of one job.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tasks {
    /// Name of the job.
    pub job: String,
    /// What the tasks' values are called; empty where they have none.
    pub names: Vec<String>,
    /// All of them, in the order of their indexes.
    pub tasks: Vec<Task>,
    /// The values are no longer there, or may not be read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lacks_values: bool,
    /// What could not be looked at: without pods a task has its state alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Right>,
}

impl JobManager {
    /// Every task of a job with numbered completions: its number, its values, where it stands and how it ended, as
    /// far as the Job and its pods tell.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/engine.inc"));
    /// # fn main() { with_engine(async |jobs, _folder| {
    /// use windlass::SubmitOptions;
    /// use windlass::manifest::tasks::TaskState;
    /// use windlass::manifest::{Base, make};
    /// use windlass::model::{CompletionMode, JobRequest, Place};
    ///
    /// let command = ["sh", "-c", "exit $((JOB_COMPLETION_INDEX == 1))"].map(str::to_owned).to_vec();
    /// let mut request = JobRequest::new(command, Place::Host);
    /// (request.completions, request.completion_mode) = (Some(2), Some(CompletionMode::Indexed));
    /// let job = jobs.submit(&make(&Base::Request(Box::new(request)), &[])?, &SubmitOptions::default()).await?;
    ///
    /// jobs.wait(&job.name, None).await?;
    /// let tasks = jobs.tasks(&job.name).await?;
    /// assert_eq!(tasks.tasks[1].state, TaskState::Failed);
    /// assert_eq!(tasks.tasks[1].exit_code, Some(1));
    /// # Ok(()) }); }
    /// ```
    ///
    /// # Errors
    /// `Argument` if its completions are not numbered, or are more than 1,000,000; `NotFound`, and what every call may
    /// answer.
    pub async fn tasks(&self, name: &str) -> Result<Tasks> {
        let job = self.job(name).await?;
        self.tasks_of(&job).await
    }

    /// As [`JobManager::tasks`], of a job that was just read.
    ///
    /// # Errors
    /// As there.
    pub async fn tasks_of(&self, job: &Job) -> Result<Tasks> {
        let name = job.metadata.name.clone().unwrap_or_default();
        match task_count(job) {
            None => {
                return Err(Problem::new("job", "is not Indexed: its tasks have no numbers").into());
            }
            Some(count) if count > limits::TASKS => {
                let text = format!("has {count} tasks; no more than {} are told one by one", limits::TASKS);
                return Err(Problem::new("job", text).into());
            }
            Some(_) => {}
        }
        let mut table = TaskTable::new(job);
        let missing = match self.fold_pods(job, &mut table).await {
            Ok(()) => Vec::new(),
            Err(fault) if fault.is_forbidden() => {
                table.clear();
                vec![Right::Pods]
            }
            Err(fault) => return Err(self.error(&name, fault)),
        };
        let numbering = Numbering::of(job);
        let mut values = self.task_values(&numbering).await;
        let lacks_values = values.is_none();
        let of = |index| values.as_mut().and_then(|values| values.remove(&index)).unwrap_or_default();
        let tasks = table.tasks(&numbering, of);
        let names = numbering.names().to_vec();
        Ok(Tasks { job: name, names, tasks, lacks_values, missing })
    }

    async fn fold_pods(&self, job: &Job, table: &mut TaskTable<'_>) -> Result<(), Fault> {
        let Some(selector) = pod_selector(job) else { return Ok(()) };
        let uid = job.metadata.uid.as_deref();
        let take = |step: Step<SlimPod>| match step {
            Step::Begin => table.clear(),
            Step::Page(pods) => {
                pods.iter().filter(|SlimPod(pod)| owner(pod) == uid).for_each(|SlimPod(pod)| table.see(pod));
            }
        };
        let selector = Some(("labelSelector", selector.as_str()));
        self.each_of(&self.core_path("pods"), selector, take).await.map(|_| ())
    }

    /// The values of a job's tasks by their indexes; `None` if there should be some and they cannot be had.
    async fn task_values(&self, numbering: &Numbering) -> Option<BTreeMap<u32, Vec<String>>> {
        let Some(name) = numbering.config_map() else { return Some(BTreeMap::new()) };
        let text = self.task_items(name).await.unwrap_or_else(|fault| {
            tracing::debug!(code = fault.code, message = fault.message, name, "no values of tasks");
            None
        });
        let array = Array::of_items(&text?)?;
        let tasks = array.tasks.into_iter().zip(0..);
        Some(tasks.map(|(task, index)| (index, task.values)).collect())
    }

    /// The text of a ConfigMap with tasks' values; `None` if it is gone.
    async fn task_items(&self, config_map: &str) -> Result<Option<String>, Fault> {
        let call = Call::get(format!("{}/{}", self.core_path("configmaps"), segment(config_map)));
        match self.ask::<Value>(call).await {
            Ok(mut answer) => Ok(match answer.value["data"][TaskMap::ITEMS].take() {
                Value::String(text) => Some(text),
                _ => None,
            }),
            Err(fault) if fault.is_not_found() => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// What a job's tasks have for values, as its ConfigMap holds them (`Array::of_items` reads it); `None` if it has
    /// no such ConfigMap, or it is gone.
    ///
    /// # Errors
    /// What every call may answer.
    pub async fn items_of(&self, job: &Job) -> Result<Option<String>> {
        let numbering = Numbering::of(job);
        let Some(name) = numbering.config_map() else { return Ok(None) };
        self.task_items(name).await.map_err(|fault| self.error("", fault))
    }

    /// What says why a job's tasks failed beside their pods; `None` if none did. What takes too long is left out.
    pub(crate) async fn task_evidence(&self, job: &Job, pods: &[Pod]) -> Option<TaskEvidence> {
        task_count(job).filter(|count| *count > 1)?;
        let mut table = TaskTable::new(job);
        pods.iter().for_each(|pod| table.see(pod));
        let failed = table.failed_pods(limits::FAILED_LOGS);
        let mut evidence = TaskEvidence::default();
        if !failed.is_empty() {
            let numbering = Numbering::of(job);
            let work = self.add_evidence(&mut evidence, &numbering, &failed);
            let sleep = self.world.sleep(limits::EVIDENCE);
            if let Either::Right(_) = future::select(std::pin::pin!(work), sleep).await {
                tracing::debug!("the cluster takes too long to say why tasks failed");
            }
        }
        Some(evidence)
    }

    async fn add_evidence(&self, evidence: &mut TaskEvidence, numbering: &Numbering, failed: &[FailedPod]) {
        if let Some(mut values) = self.task_values(numbering).await {
            let of = |one: &FailedPod| Some((one.index, values.remove(&one.index)?));
            evidence.values = failed.iter().filter_map(of).collect();
        }
        let wanted = failed.iter().filter(|one| !one.has_left_words);
        let reads = wanted
            .map(|one| async move { (one.pod.clone(), self.last_lines(&one.pod, &one.container).await) });
        let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(limits::ENDS);
        while let Some((pod, lines)) = reads.next().await {
            match lines {
                Ok(lines) => _ = evidence.lines.insert(pod, lines),
                Err(fault) => {
                    tracing::debug!(code = fault.code, message = fault.message, pod, "no last lines");
                }
            }
        }
    }
}
