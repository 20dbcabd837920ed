//! What the starter of an engine and the engine's process say to each other: one argument, one line of answer.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use windlass_engine::Images;

/// The engine's process gets this as its one argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Boot {
    /// Its home.
    pub home: PathBuf,
    /// Where it listens; where it did last, if none.
    pub listen: Option<SocketAddr>,
    /// What becomes of pods that name an image.
    pub images: Images,
    /// After how many seconds of idleness it leaves; never, if none.
    pub idle_exit_s: Option<u64>,
}

/// The engine's process writes this line to its stdout, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Answer {
    /// It serves.
    Ready,
    /// It will not, and why.
    Failed(String),
}
