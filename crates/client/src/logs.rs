//! Logs as a record: every container and attempt of a job, from the first byte, without loss or repetition.

use std::time::Duration;

use futures::stream::BoxStream;

use crate::{JobManager, Result};

/// Which logs to read.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// Goes on until the job has ended; otherwise what there is now.
    pub follow: bool,
    /// Only this container.
    pub container: Option<String>,
    /// Only the pod of this completion index.
    pub index: Option<u32>,
    /// Only the last lines of each container.
    pub tail: Option<u32>,
    /// Only what is younger than this.
    pub since: Option<Duration>,
    /// Each line begins with its time.
    pub timestamps: bool,
}

/// Which of a process's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogStream {
    /// Standard output; also everything, where the server cannot tell the two apart.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Whole lines of one container's stream (the last may lack its line end when the container ended so).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogChunk {
    /// Name of the pod.
    pub pod: String,
    /// The pod's completion index, of an Indexed job.
    pub index: Option<u32>,
    /// Name of the container.
    pub container: String,
    /// The container's attempt inside this pod, from 0 (its restart count).
    pub attempt: u32,
    /// Which stream.
    pub stream: LogStream,
    /// The bytes as the process wrote them.
    pub bytes: Vec<u8>,
}

/// What reading logs gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// Bytes.
    Chunk(LogChunk),
    /// Something is missing here, and why. Never a reason for the job's result.
    Gap {
        /// Name of the pod.
        pod: String,
        /// Name of the container.
        container: String,
        /// Why.
        reason: String,
    },
    /// Said once: the server does not tell stdout and stderr apart, all goes to stdout.
    StreamsMerged,
}

impl JobManager {
    /// The logs of all pods of a job. The stream ends when all is read; with `follow`, when the job has ended and
    /// all is read.
    pub fn logs(&self, name: &str, options: LogOptions) -> BoxStream<'static, Result<LogEvent>> {
        todo!("{name} {options:?}")
    }
}
