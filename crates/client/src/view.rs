//! Get and list: a job with what belongs to it, and pages of jobs.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use windlass_manifest::JobStatus;

use crate::{JobManager, Result};

/// A job with its pods and events.
#[derive(Clone, Debug)]
pub struct JobView {
    /// The job as the server has it.
    pub job: Job,
    /// Its pods, oldest first. Empty when the user may not list pods (`status.verdict.missing` says so).
    pub pods: Vec<Pod>,
    /// Events of the job and its pods, oldest first. Empty when the user may not list events.
    pub events: Vec<Event>,
    /// The projection of the three.
    pub status: JobStatus,
}

/// Which jobs to list. The server filters.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// A label selector in kubectl's language.
    pub labels: Option<String>,
    /// Of every namespace.
    pub all_namespaces: bool,
    /// Only those that Windlass submitted.
    pub only_ours: bool,
    /// At most so many on a page; 0 is 500.
    pub limit: u32,
    /// The token of the next page, from the page before.
    pub continue_token: Option<String>,
    /// Also read the pods of the listed jobs (one more list), for verdicts and exit codes.
    pub with_pods: bool,
}

/// A page of jobs, in the server's order (namespace, name).
#[derive(Clone, Debug)]
pub struct JobPage {
    /// Each job with its status.
    pub jobs: Vec<(Job, JobStatus)>,
    /// The token of the next page, if there is one.
    pub continue_token: Option<String>,
}

impl JobManager {
    /// A job by its exact name, with pods, events and status.
    ///
    /// # Errors
    /// `NotFound`, and what every call may answer.
    pub async fn get(&self, name: &str) -> Result<JobView> {
        todo!("{name}")
    }

    /// One page of jobs.
    ///
    /// # Errors
    /// What every call may answer.
    pub async fn list(&self, filter: &ListFilter) -> Result<JobPage> {
        todo!("{filter:?}")
    }
}
