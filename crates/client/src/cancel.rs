//! Cancel: a record of who, when and why, and the means that Kubernetes has.

use crate::{JobManager, Result};

/// What cancelling did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelEffect {
    /// The job had started: its deadline is one second now, its pods are ended with their grace.
    Stopping,
    /// The job had not started: it is suspended, with parallelism 0, and never starts.
    NeverStarts,
    /// The job had ended before; nothing was changed.
    AlreadyEnded,
    /// Somebody cancelled it before; nothing was changed.
    AlreadyCancelled,
}

impl JobManager {
    /// Cancels a job.
    ///
    /// # Errors
    /// `NotFound`, and what every call may answer.
    pub async fn cancel(&self, name: &str, who: &str, why: Option<&str>) -> Result<CancelEffect> {
        todo!("{name} {who} {why:?}")
    }

    /// Ends the running pods of a job now, without their grace. For a job that [`JobManager::cancel`] is ending
    /// too slowly.
    ///
    /// # Errors
    /// What every call may answer. A pod that is gone is no error.
    pub async fn kill(&self, name: &str) -> Result<()> {
        todo!("{name}")
    }
}
