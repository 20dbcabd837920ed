//! Watch and wait: the truth about one job until it ends, through disconnects and expired revisions.

use std::time::Duration;

use futures::stream::BoxStream;
use windlass_manifest::{Cause, JobStatus};
use windlass_model::ExitCode;

use crate::{JobManager, Result};

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Name of the job.
    pub name: String,
    /// Why it ended.
    pub cause: Cause,
    /// The exit code of whoever waited.
    pub exit: ExitCode,
    /// The last status that was seen.
    pub status: JobStatus,
}

impl JobManager {
    /// The job's status, and again whenever it changed, until it has ended or is gone. The last item of a stream
    /// without error is final. Lost connections are made again; only what no retry mends is an error.
    pub fn watch(&self, name: &str) -> BoxStream<'static, Result<JobStatus>> {
        todo!("{name}")
    }

    /// Waits until the job has ended. Right also when it ended before, or is deleted meanwhile
    /// (`Cause::Deleted`).
    ///
    /// # Errors
    /// `NotFound` if it is not there at the beginning, `TimedOut` after `timeout`, and what every call may answer.
    pub async fn wait(&self, name: &str, timeout: Option<Duration>) -> Result<Outcome> {
        todo!("{name} {timeout:?}")
    }
}
