//! What a job is, in our own nouns, and the decisions that need no cluster.
//!
//! Nothing here knows Kubernetes objects, a clock, a thread or a socket: every function is total and
//! deterministic, and what is random is passed in.

pub mod batch;
pub mod cron;
pub mod digest;
pub mod duration;
pub mod exit;
pub mod label;
pub mod name;
pub mod problem;
pub mod quantity;
pub mod request;
pub mod submission;

pub use batch::{Batch, BatchLimits, BatchPlan, LeftOut, TaskState};
pub use exit::ExitCode;
pub use name::{JobName, Stem};
pub use problem::{Problem, Problems};
pub use request::{CompletionMode, JobRequest, Place};
pub use submission::SubmissionId;
