//! Jobs from definitions: templates with arguments, under a signature of one's own, as k8s-jobs has them.
//!
//! A [`JobManagerFactory`] makes a [`DefinitionManager`], which creates, lists, tells and deletes the jobs of its
//! signature alone. [`Definitions`] reads the templates; how they become Jobs is
//! [`definition`]. Deleting what has ended is [`crate::retention`].

mod config_map;
mod factory;
mod kept;
mod logs;
mod register;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use serde_json::Value;
use windlass_manifest::formats::definition::{self, Arguments, Definition, Template};
use windlass_manifest::{Base, Edit, JobEdit, JobStatus, Seen, make, observe};
use windlass_model::{Problem, Problems, label};

use crate::retention::Retention;
use crate::{Error, JobManager, JobPage, ListFilter, Result, SubmitOptions, Submitted};

pub(crate) use factory::check_signature;
pub use factory::{JOB_DEFINITIONS_CONFIG_PATH, JOB_NAMESPACE, JOB_SIGNATURE, JobManagerFactory};
pub use logs::{JobLogs, LINES};
pub use register::Definitions;

/// Where a job stands, in the three words of k8s-jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Neither of the others: also one that waits, or is suspended.
    Running,
    /// It has the condition `Complete`.
    Complete,
    /// It has the condition `Failed`.
    Failed,
}

impl JobState {
    /// Of a Job: its first condition that is true and one of the two.
    pub fn of(job: &Job) -> Self {
        let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let mut ended = conditions.filter(|condition| condition.status == "True");
        ended
            .find_map(|condition| match condition.type_.as_str() {
                "Complete" => Some(JobState::Complete),
                "Failed" => Some(JobState::Failed),
                _ => None,
            })
            .unwrap_or(JobState::Running)
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            JobState::Running => "Running",
            JobState::Complete => "Complete",
            JobState::Failed => "Failed",
        }
    }
}

/// Which jobs of a signature to list. Every page is selected by all of it.
#[derive(Clone, Debug, Default)]
pub struct DefinitionFilter {
    /// Only those of this definition.
    pub definition: Option<String>,
    /// Only those with these labels.
    pub labels: BTreeMap<String, String>,
    /// At most so many on a page; 0 is 500.
    pub limit: u32,
    /// The token of the next page, from the page before.
    pub continue_token: Option<String>,
}

/// The jobs of one signature in one namespace.
#[derive(Clone)]
pub struct DefinitionManager {
    jobs: JobManager,
    signature: String,
    definitions: Arc<Definitions>,
}

impl DefinitionManager {
    /// Creates a job of a definition.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/engine.inc"));
    /// # fn main() { with_engine(async |jobs, folder| {
    /// use windlass::definitions::{JobManagerFactory, JobState};
    ///
    /// let file = folder.join("definitions.yaml");
    /// std::fs::write(&file, r#"
    /// - name: greet
    ///   spec: |
    ///     apiVersion: batch/v1
    ///     kind: Job
    ///     metadata:
    ///       name: greet
    ///     spec:
    ///       backoffLimit: {{ retries | default(0) }}
    ///       template:
    ///         spec:
    ///           runtimeClassName: windlass-host
    ///           restartPolicy: Never
    ///           containers:
    ///           - name: main
    ///             image: host
    ///             command: [echo, "hello {{ who }}"]
    /// "#)?;
    /// let manager = JobManagerFactory::from_vars("docs", "default", &file)?.manager(&jobs);
    ///
    /// let arguments = [("who".to_owned(), "world: 1".into())].into();
    /// let job = manager.create_job("greet", &arguments, |_job| ()).await?;
    /// jobs.wait(&job.name, None).await?;
    ///
    /// assert_eq!(manager.job_status(&job.name).await?.0, JobState::Complete);
    /// let logs = manager.job_logs(&job.name, windlass::definitions::LINES).await?;
    /// assert!(logs.values().all(|pod| pod["main"] == ["hello world: 1"]));
    /// # Ok(()) }); }
    /// ```
    ///
    /// `pre_create` may change the Job (its name and its signature excepted) before it is sent.
    ///
    /// # Errors
    /// `NoDefinition`, `Template` (a missing or left-over argument among it), and what [`JobManager::submit`] may
    /// answer.
    pub async fn create_job(
        &self,
        definition: &str,
        arguments: &Arguments,
        pre_create: impl FnOnce(&mut Value),
    ) -> Result<Submitted> {
        self.create_job_with(definition, arguments, pre_create, SubmitOptions::default()).await
    }

    /// The same; sent again with the same id it finds the job that is there.
    ///
    /// # Errors
    /// As [`DefinitionManager::create_job`].
    pub async fn create_job_with(
        &self,
        definition: &str,
        arguments: &Arguments,
        pre_create: impl FnOnce(&mut Value),
        options: SubmitOptions,
    ) -> Result<Submitted> {
        let definition = self.definitions.get(definition)?;
        let template = self.template(&definition).await?;
        let written = definition.render(&template, arguments).map_err(Error::Template)?;
        let Base::Manifest(mut job) = written.base else { return Err(Problem::new("", "is no Job").into()) };
        pre_create(&mut job);
        self.check_namespace(&job)?;
        let id = options.id.clone().unwrap_or_else(|| self.jobs.new_id());
        let name = definition.job_name(&job, &id)?;
        let mut edits = definition.marks(Some(&self.signature));
        edits.push(Edit::Job(JobEdit::Name(name.to_string())));
        let manifest = make(&Base::Manifest(job), &edits)?;
        self.jobs.submit(&manifest, &SubmitOptions { id: Some(id), ..options }).await
    }

    /// One page of the jobs, each with its status.
    ///
    /// # Errors
    /// `Expired` when the page's token is too old, `Argument` for a label that is none, and what every call may answer.
    pub async fn list_jobs(&self, filter: &DefinitionFilter) -> Result<JobPage> {
        let list = ListFilter {
            labels: Some(self.selector(filter)?),
            limit: filter.limit,
            continue_token: filter.continue_token.clone(),
            ..ListFilter::default()
        };
        self.jobs.list(&list).await
    }

    /// Every job of every page, with its status. Begins again when the pages expire meanwhile.
    ///
    /// # Errors
    /// As [`DefinitionManager::list_jobs`].
    pub async fn fetch_jobs(&self, filter: &DefinitionFilter) -> Result<Vec<(Job, JobStatus)>> {
        let selector = self.selector(filter)?;
        let jobs: Result<Vec<Job>, _> =
            self.jobs.selected(&self.jobs.jobs_path(), "labelSelector", &selector).await;
        let jobs = jobs.map_err(|fault| self.jobs.error("", fault))?;
        let told = jobs.into_iter().map(|job| {
            let status = observe(&job, Seen::NotAsked, Seen::NotAsked);
            (job, status)
        });
        Ok(told.collect())
    }

    /// A job's state, and all that Windlass knows of it.
    ///
    /// # Errors
    /// `NotFound`, and what every call may answer.
    pub async fn job_status(&self, name: &str) -> Result<(JobState, JobStatus)> {
        let view = self.jobs.get(name).await?;
        Ok((JobState::of(&view.job), view.status))
    }

    /// Deletes a job of this signature once its pods are gone (propagation `Foreground`).
    ///
    /// # Errors
    /// `NotFound` (also for a job that others signed), and what every call may answer.
    pub async fn delete_job(&self, name: &str) -> Result<()> {
        let job = self.jobs.job(name).await?;
        let signature = job.metadata.labels.as_ref().and_then(|labels| labels.get(definition::SIGNATURE));
        if signature != Some(&self.signature) {
            let namespace = self.jobs.namespace().to_owned();
            return Err(Error::NotFound { job: format!("{name} signed {}", self.signature), namespace });
        }
        self.jobs.delete_exactly(name, job.metadata.uid.as_deref(), None).await
    }

    /// The definitions.
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// The manager of all jobs of the namespace.
    pub fn jobs(&self) -> &JobManager {
        &self.jobs
    }

    /// Deletes what has ended, of this signature.
    pub fn retention(&self) -> Retention {
        Retention::of(&self.jobs, format!("{}={}", definition::SIGNATURE, self.signature))
    }

    /// A definition's template; from a ConfigMap each time anew.
    ///
    /// # Errors
    /// `File`, `Template`, and what every call may answer.
    pub async fn template(&self, definition: &Definition) -> Result<Template> {
        self.jobs.template(&self.definitions, definition).await
    }

    fn check_namespace(&self, job: &Value) -> Result<(), Problem> {
        let named = job["metadata"]["namespace"].as_str().filter(|name| !name.is_empty());
        match named {
            Some(name) if name != self.jobs.namespace() => {
                let ours = self.jobs.namespace();
                let message = format!("is {name:?}; the jobs of this manager are in {ours:?}: leave it out");
                Err(Problem::new("metadata.namespace", message))
            }
            _ => Ok(()),
        }
    }

    fn selector(&self, filter: &DefinitionFilter) -> Result<String, Problems> {
        let definition = filter.definition.iter().map(|name| (definition::DEFINITION, name));
        let signed = [(definition::SIGNATURE, &self.signature)].into_iter().chain(definition);
        let labels = filter.labels.iter().map(|(key, value)| (key.as_str(), value));
        let (mut problems, mut parts) = (Problems::new(), Vec::new());
        for (key, value) in signed.chain(labels) {
            label::check("labels", key, value, &mut problems);
            parts.push(format!("{key}={value}"));
        }
        problems.or(parts.join(","))
    }
}
