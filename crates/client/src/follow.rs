//! Follow: status and logs of one job in one stream that ends with its outcome.

use futures::stream::BoxStream;
use windlass_manifest::JobStatus;

use crate::{JobManager, LogEvent, LogOptions, Outcome, Result};

/// What happens while a job is followed.
#[derive(Clone, Debug, PartialEq)]
pub enum FollowEvent {
    /// The status changed.
    Status(Box<JobStatus>),
    /// Something of the logs.
    Log(LogEvent),
    /// The job has ended and all its logs were handed out. The last event.
    Ended(Box<Outcome>),
}

impl JobManager {
    /// Follows a job to its end. The stream ends after `Ended`, or after an error.
    pub fn follow(&self, name: &str, options: LogOptions) -> BoxStream<'static, Result<FollowEvent>> {
        todo!("{name} {options:?}")
    }
}
