//! The door behind `/log`: the engine implements it, this crate only asks.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde_json::Value;

use crate::error::ApiError;

/// Which of a container's outputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stream {
    /// Both, in the order they were read.
    #[default]
    All,
    /// Standard output only.
    Stdout,
    /// Standard error only.
    Stderr,
}

/// What of a container's log is asked for (`PodLogOptions`).
#[derive(Clone, PartialEq, Debug)]
pub struct LogRequest {
    /// The container; `None` if the pod has only one. The implementor answers 400 in upstream's words otherwise.
    pub container: Option<String>,
    /// Go on until the container ends.
    pub follow: bool,
    /// The container's run before the present one.
    pub previous: bool,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Only the last lines.
    pub tail_lines: Option<u64>,
    /// At most so many bytes.
    pub limit_bytes: Option<u64>,
    /// An RFC 3339 time before each line.
    pub timestamps: bool,
    /// Which output.
    pub stream: Stream,
}

/// Where the logs of pods are.
pub trait LogSource: Send + Sync {
    /// Opens a log. `pod` is the object as stored. An error becomes the answer; after the first bytes a fault ends the stream.
    fn open(
        &self,
        pod: Value,
        request: LogRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, std::io::Result<Bytes>>, ApiError>>;
}
