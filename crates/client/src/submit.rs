//! Submit: one submission is one job, however often it is sent.

use k8s_openapi::api::batch::v1::Job;
use windlass_manifest::Manifest;
use windlass_model::SubmissionId;

use crate::{JobManager, Result};

/// How to submit.
#[derive(Clone, Debug, Default)]
pub struct SubmitOptions {
    /// The submission's id; `None` makes a new one.
    pub id: Option<SubmissionId>,
    /// Who submits, for the record.
    pub submitter: Option<String>,
    /// The server checks and defaults the job, and keeps nothing.
    pub dry_run: bool,
}

/// A submission that the cluster has accepted.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// Name of the job.
    pub name: String,
    /// Namespace of the job.
    pub namespace: String,
    /// The submission's id.
    pub id: SubmissionId,
    /// Whether this call made it; false when it was there already, with the same content.
    pub created: bool,
    /// The job as the server has it.
    pub job: Job,
    /// What the server warned of.
    pub warnings: Vec<String>,
}

impl JobManager {
    /// Creates the job of a manifest, in the manifest's own namespace if it names one, else in the manager's.
    ///
    /// # Errors
    /// `NoHostClass`, `Conflict`, `Invalid`, `OverQuota`, and what every call may answer.
    pub async fn submit(&self, manifest: &Manifest, options: &SubmitOptions) -> Result<Submitted> {
        todo!("{manifest:?} {options:?}")
    }
}
