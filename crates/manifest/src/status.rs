//! A job's status in our words: what CLI, library, server and dashboard show.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use windlass_model::ExitCode;

use crate::marks::Cancellation;
use crate::tasks::FailureGroup;

/// The one projection of a Job, its pods and its events. Serialised form is frozen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    /// Name of the Job.
    pub name: String,
    /// Namespace of the Job.
    pub namespace: String,
    /// UID of the Job.
    pub uid: String,
    /// The submission's id, on jobs of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submission: Option<String>,
    /// Where it stands.
    pub phase: Phase,
    /// How many pods are where.
    pub counts: Counts,
    /// When what happened.
    pub times: Times,
    /// Why it stands there, in plain words.
    pub verdict: Verdict,
    /// How it ended; `None` while it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The exit code for whoever waits for it; `None` while it has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// How its payload ended, while other containers keep its pod running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<PayloadEnd>,
    /// What its containers used, where the cluster tells it: the embedded engine does, of containers that have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The limits that its pods are not held to, why, and the way out, in the words of the cluster: of the embedded engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlimited: Option<String>,
    /// Whether one of its pods runs, whatever the others wait for.
    #[serde(skip)]
    pub runs: bool,
}

/// A payload that has ended for good: the first container of a job's only pod, whose other containers run on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PayloadEnd {
    /// How it ended.
    pub cause: Cause,
    /// Its pod.
    pub pod: String,
    /// Its container.
    pub container: String,
    /// The containers that keep the pod running.
    pub still_running: Vec<String>,
}

/// What a job's containers used: of each the last run that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// CPU time of all of them together, milliseconds.
    pub cpu_ms: u64,
    /// The most resident memory of one process, bytes.
    pub peak_memory_bytes: u64,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Phase {
    /// Accepted; no container runs yet.
    Pending,
    /// Suspended before or while it ran.
    Suspended,
    /// At least one pod has started.
    Running,
    /// Its end is decided (failed, cancelled, or deleted); its pods are still being ended.
    Ending,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Ended because somebody cancelled it.
    Cancelled,
}

impl Phase {
    /// Whether nothing more will happen to the job.
    pub fn is_final(self) -> bool {
        matches!(self, Phase::Succeeded | Phase::Failed | Phase::Cancelled)
    }
}

/// Pods of a job by state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Pods that are pending or running.
    pub active: u32,
    /// Active pods that are ready.
    pub ready: u32,
    /// Pods that succeeded.
    pub succeeded: u32,
    /// Pods that failed.
    pub failed: u32,
    /// Pods that are being ended.
    pub terminating: u32,
    /// Tasks that failed for good, of a job that counts failures by index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_tasks: Option<u32>,
    /// Successes that the job needs; `None` when any success ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<u32>,
}

/// When what happened to a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// Created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// By the submitter's clock, finer than `created`; only of jobs that Windlass submitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted: Option<Timestamp>,
    /// First taken up by the controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// Its first pod was placed on a node. Only told of pods that are still there, as [`Times::running`] is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Timestamp>,
    /// The first container of a pod began to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<Timestamp>,
    /// Ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// The cluster deletes it, because its time to live after its end is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Asked to be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Timestamp>,
}

impl Times {
    /// Orders jobs by age, oldest first: by the server's clock, within its whole second by the submitter's.
    pub fn age(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.created, self.submitted)
    }
}

/// From one moment to another; clocks differ: never less than nothing.
fn between(begin: Timestamp, end: Timestamp) -> SignedDuration {
    end.duration_since(begin).max(SignedDuration::ZERO)
}

/// Why a job stands where it stands, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// One sentence in plain words: `waiting for ...`, `blocked by ...`, `failed because ...`.
    pub text: String,
    /// What will come of it without anybody's doing.
    pub outlook: Outlook,
    /// What a person can do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
    /// The last lines of what failed: its termination message, else the end of its log where that was read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// Of a job with several tasks those that failed, by cause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureGroup>,
    /// What could not be looked at; the sentence may be shorter for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Right>,
}

/// What will come of a job's state without anybody's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outlook {
    /// It goes on.
    Proceeds,
    /// It waits for something that may come by itself.
    ResolvesItself,
    /// It waits for something that never comes unless somebody acts.
    NeedsAction,
    /// It has ended.
    Final,
}

/// A right to read that the user lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Right {
    /// To read jobs: those of a CronJob.
    Jobs,
    /// To list pods.
    Pods,
    /// To list events.
    Events,
    /// To list nodes: what the largest has.
    Nodes,
    /// To list Kueue's Workloads: why a queue does not admit the job.
    Workloads,
    /// To read logs: the last lines of what failed.
    Logs,
}

impl Right {
    /// The right in words, as RBAC writes it.
    pub fn words(self) -> &'static str {
        match self {
            Right::Jobs => "get jobs",
            Right::Pods => "list pods",
            Right::Events => "list events",
            Right::Nodes => "list nodes",
            Right::Workloads => "list workloads.kueue.x-k8s.io",
            Right::Logs => "get pods/log",
        }
    }
}

/// How a job ended. The closed set of reasons, each with its exit code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Cause {
    /// All that it needed succeeded.
    Succeeded,
    /// The command ended with a code other than 0.
    Exited {
        /// The code, 1 to 255.
        code: i32,
        /// The pod.
        pod: String,
        /// The container.
        container: String,
    },
    /// A signal ended the command.
    Signalled {
        /// The signal's number.
        signal: u8,
        /// The pod.
        pod: String,
        /// The container.
        container: String,
        /// Whether the kernel ended it for lack of memory.
        out_of_memory: bool,
    },
    /// The command could not be started: not found, or not executable.
    NotStarted {
        /// 127 if it was not found, 126 if it could not be executed, else the runtime's own code.
        code: i32,
        /// The runtime's words.
        message: String,
        /// The pod.
        pod: String,
        /// The container.
        container: String,
    },
    /// The job's deadline passed.
    DeadlineExceeded,
    /// Somebody cancelled it.
    Cancelled {
        /// By whom, when and why.
        by: Cancellation,
    },
    /// It was deleted before it ended.
    Deleted,
    /// Any other reason of the Job's Failed condition.
    Failed {
        /// The condition's reason: `PodFailurePolicy`, `BackoffLimitExceeded`...
        reason: String,
        /// The condition's message.
        message: String,
    },
}

impl JobStatus {
    /// How long it waited for a place: from its creation until its first pod was placed on a node, or until now.
    /// `None` of a job whose pods are gone, or were not seen.
    pub fn queued(&self, now: Timestamp) -> Option<SignedDuration> {
        let waits = matches!(self.phase, Phase::Pending | Phase::Suspended);
        let end = self.times.scheduled.or_else(|| waits.then_some(now))?;
        Some(between(self.times.created?, end))
    }

    /// How long it took to start, once it had a place: images, volumes, init containers.
    pub fn starting(&self, now: Timestamp) -> Option<SignedDuration> {
        let end = self.times.running.or(self.times.finished).unwrap_or(now);
        Some(between(self.times.scheduled?, end))
    }

    /// How long it ran, from the start of its first container.
    pub fn ran(&self, now: Timestamp) -> Option<SignedDuration> {
        Some(between(self.times.running?, self.times.finished.unwrap_or(now)))
    }

    /// The exit code for whoever waits; `None` while the job has not ended.
    pub fn exit(&self) -> Option<ExitCode> {
        self.cause.as_ref().map(Cause::exit)
    }
}

impl Cause {
    /// The row of the exit-code table.
    pub fn exit(&self) -> ExitCode {
        match self {
            Cause::Succeeded => ExitCode::Success,
            Cause::Exited { code, .. } => ExitCode::of_container(*code),
            Cause::Signalled { signal, .. } => ExitCode::Signal(*signal),
            Cause::NotStarted { code: 127, .. } => ExitCode::NotFound,
            Cause::NotStarted { code: 126, .. } => ExitCode::CannotExecute,
            Cause::NotStarted { .. } | Cause::Deleted | Cause::Failed { .. } => ExitCode::Windlass,
            Cause::DeadlineExceeded => ExitCode::TimedOut,
            Cause::Cancelled { .. } => ExitCode::Cancelled,
        }
    }
}
