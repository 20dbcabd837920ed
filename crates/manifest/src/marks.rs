//! Our labels and annotations: one table, all under `windlass.dev/`.
//!
//! | mark | where | what |
//! |---|---|---|
//! | `windlass.dev/managed-by` = `windlass` | label of job and pods | the ownership mark: bulk deletion and retention touch such objects only |
//! | `windlass.dev/submission` | label of job and pods | the submission's id |
//! | `windlass.dev/batch` | label of job and pods | the batch of submission-helper's tasks that it belongs to |
//! | `windlass.dev/content` | annotation of the job | digest of the content, for telling a repetition from a conflict |
//! | `windlass.dev/submitter` | annotation of the job | who submitted it |
//! | `windlass.dev/submitted` | annotation of the job | when it was submitted, finer than the server's whole seconds (RFC 3339) |
//! | `windlass.dev/retry-of` | annotation of the job | the job that it is another try of |
//! | `windlass.dev/tasks` | annotation of the job | the numbers and names of an array's tasks, as JSON ([`crate::array::TaskMap`]) |
//! | `windlass.dev/before-cancel` | annotation of the job | what cancelling changed of its spec, as it was, as JSON |
//! | `windlass.dev/quit.CONTAINER` = `PORT/PATH` | annotation of pods, the user's | where the container is asked to end once the command has |
//! | `windlass.dev/cancel` | annotation of the job | who cancelled it, when and why, as JSON |

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Label: the ownership mark's key.
pub const MANAGED_BY: &str = "windlass.dev/managed-by";
/// The ownership mark's value.
pub const WINDLASS: &str = "windlass";
/// Label: the submission's id.
pub const SUBMISSION: &str = "windlass.dev/submission";
/// Label: the batch of tasks.
pub const BATCH: &str = "windlass.dev/batch";
/// Annotation: the digest of the content.
pub const CONTENT: &str = "windlass.dev/content";
/// Annotation: who submitted it.
pub const SUBMITTER: &str = "windlass.dev/submitter";
/// Annotation: when it was submitted (RFC 3339, to the nanosecond): `creationTimestamp` has whole seconds only.
pub const SUBMITTED: &str = "windlass.dev/submitted";
/// Annotation: the [`Cancellation`] as JSON.
pub const CANCEL: &str = "windlass.dev/cancel";
/// Annotation: the fields of the spec that cancelling changes, as they were.
pub const BEFORE_CANCEL: &str = "windlass.dev/before-cancel";
/// Annotation: the name of the job that this one is another try of.
pub const RETRY_OF: &str = "windlass.dev/retry-of";
/// Annotation: the tasks of an array ([`crate::array::TaskMap`]) as JSON.
pub const TASKS: &str = "windlass.dev/tasks";
/// Annotation of a pod, before a container's name: the `PORT/PATH` to which a POST asks it to end.
pub const QUIT: &str = "windlass.dev/quit.";
/// Annotation of a pod, before a container's name: what the container used, as the engine tells it.
pub const USAGE: &str = "usage.windlass.dev/";
/// Condition of a pod: false where its limits are not held, as the engine tells it; true of none.
pub const LIMITS_ENFORCED: &str = "windlass.dev/LimitsEnforced";
/// Label of a job: the queue of Kueue that it waits in (Kueue `pkg/controller/constants`).
pub const QUEUE: &str = "kueue.x-k8s.io/queue-name";
/// The runtime class of host processes.
pub const HOST_CLASS: &str = "windlass-host";
/// The image of host processes: only a label for people.
pub const HOST_IMAGE: &str = "host";

/// Who submitted a job, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signature<'a> {
    /// The person or program, as it calls itself.
    pub who: Option<&'a str>,
    /// By the submitter's clock.
    pub when: Option<Timestamp>,
}

/// Who cancelled a job, when, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancellation {
    /// The person or program, as it calls itself.
    pub who: String,
    /// When it was asked for.
    pub when: Timestamp,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Every mark that a submission makes anew; a manifest that was exported from a cluster may carry old ones.
pub const OURS: [&str; 7] = [MANAGED_BY, SUBMISSION, CONTENT, SUBMITTER, SUBMITTED, CANCEL, BEFORE_CANCEL];

/// The label selector of all jobs that Windlass submitted.
pub fn selector() -> String {
    format!("{MANAGED_BY}={WINDLASS}")
}
