//! The one function that makes a Job: a base, then the edits in their order.

use serde_json::Value;
use windlass_model::{JobName, Problems, Stem, SubmissionId};

use crate::{Base, Edit};

/// A Job before it has the name and the marks of a submission. The same content is the same value.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    job: Value,
    naming: Naming,
}

/// Where the job's name comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Naming {
    /// Somebody chose it.
    Exact(JobName),
    /// Derived from a readable stem and the submission's id.
    Derived(Stem),
}

/// Makes the Job of a base and edits. Deterministic; what no edit names stays untouched.
///
/// # Errors
/// Every problem of base and edits, with its path.
pub fn make(base: &Base, edits: &[Edit]) -> Result<Manifest, Problems> {
    todo!("{base:?} {edits:?}")
}

impl Manifest {
    /// The Job as JSON, without name (unless it was chosen) and without the marks of a submission.
    pub fn job(&self) -> &Value {
        &self.job
    }

    /// The namespace that the manifest itself names.
    pub fn namespace(&self) -> Option<&str> {
        todo!()
    }

    /// Where the name comes from.
    pub fn naming(&self) -> &Naming {
        &self.naming
    }

    /// Whether its pods are processes of the host (runtime class `windlass-host`).
    pub fn is_host(&self) -> bool {
        todo!()
    }

    /// Digest of the content: the same for the same base and edits, whatever the submission.
    pub fn content_hash(&self) -> String {
        todo!()
    }

    /// The name under which this submission's job is created. `attempt` counts from 0; a chosen name is the same
    /// for every attempt.
    pub fn name_for(&self, id: &SubmissionId, attempt: u32) -> JobName {
        todo!("{id} {attempt}")
    }

    /// The Job to create: name and the marks of this submission added.
    pub fn sealed(&self, id: &SubmissionId, submitter: Option<&str>, attempt: u32) -> Value {
        todo!("{id} {submitter:?} {attempt}")
    }
}
