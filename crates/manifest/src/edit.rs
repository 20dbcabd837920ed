//! The two values in which every way of writing a job ends: a base, and a closed set of edits.

use std::time::Duration;

use serde_json::Value;
use windlass_model::{CompletionMode, JobRequest};

/// What the job is made from.
#[derive(Clone, Debug, PartialEq)]
pub enum Base {
    /// Generated from a request.
    Request(Box<JobRequest>),
    /// A Job that somebody wrote, as JSON. Whatever no edit names stays as it is.
    Manifest(Value),
}

/// One change, with the place that it changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Changes the Job itself.
    Job(JobEdit),
    /// Changes the pod template.
    Pod(PodEdit),
    /// Changes the first container of the pod template.
    FirstContainer(ContainerEdit),
    /// Changes every container of the pod template, but no init container.
    AllContainers(ContainerEdit),
}

/// What can be changed on the Job.
#[derive(Clone, Debug, PartialEq)]
pub enum JobEdit {
    /// `metadata.name`; removes `generateName`.
    Name(String),
    /// `metadata.namespace`.
    Namespace(String),
    /// One of `metadata.labels`.
    Label(String, String),
    /// One of `metadata.annotations`.
    Annotation(String, String),
    /// `spec.backoffLimit`.
    Retries(u32),
    /// `spec.activeDeadlineSeconds`, rounded up to a second.
    Deadline(Duration),
    /// `spec.parallelism`.
    Parallelism(u32),
    /// `spec.completions`.
    Completions(u32),
    /// `spec.completionMode`.
    CompletionMode(CompletionMode),
    /// `spec.ttlSecondsAfterFinished`, rounded up to a second.
    Ttl(Duration),
    /// `spec.suspend`.
    Suspend(bool),
}

/// What can be changed on the pod template.
#[derive(Clone, Debug, PartialEq)]
pub enum PodEdit {
    /// One of `metadata.labels`.
    Label(String, String),
    /// One of `metadata.annotations`.
    Annotation(String, String),
    /// `spec.runtimeClassName`.
    RuntimeClass(String),
    /// `spec.serviceAccountName`.
    ServiceAccount(String),
    /// One of `spec.nodeSelector`.
    NodeSelector(String, String),
    /// `spec.terminationGracePeriodSeconds`, rounded up to a second.
    Grace(Duration),
}

/// What can be changed on a container.
#[derive(Clone, Debug, PartialEq)]
pub enum ContainerEdit {
    /// `image`.
    Image(String),
    /// `command`, literally; removes `args`.
    Command(Vec<String>),
    /// `args`, literally.
    Args(Vec<String>),
    /// One of `env`, its value literally.
    Env(String, String),
    /// `workingDir`.
    WorkingDir(String),
    /// `stdin`.
    Stdin {
        /// `stdinOnce`: it ends with the first client that was attached.
        once: bool,
    },
    /// `tty`: a terminal of its own.
    Terminal,
    /// One of `resources.requests`.
    Request(String, String),
    /// One of `resources.limits`.
    Limit(String, String),
}
