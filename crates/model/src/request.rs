//! A job as a person asks for it: one command, where it runs, and how often it is tried.
//!
//! Knows nothing of Kubernetes' objects; `manifest` turns a [`JobRequest`] into one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Problem, Problems, name};

/// What `run` and `submit` ask for. Everything but the command has a default: see [`JobRequest::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct JobRequest {
    /// The program and its arguments, literally: nothing in it is expanded by anyone on the way.
    pub command: Vec<String>,
    /// The exact name of the job. `None` derives it from the command and the submission's id.
    pub name: Option<String>,
    /// Host process or container.
    pub place: Place,
    /// Where the command starts. For a host process an absolute path of the host.
    pub working_dir: Option<String>,
    /// The command's environment, values literally.
    pub env: BTreeMap<String, String>,
    /// How often a failed command is tried again (the Job's back-off limit). 0 for a command's job.
    pub retries: u32,
    /// How long the job may take from its start, over all attempts (`activeDeadlineSeconds`).
    pub deadline: Option<Duration>,
    /// How many pods may run at a time. `None` is Kubernetes' default, 1.
    pub parallelism: Option<u32>,
    /// How many pods must succeed. `None` is Kubernetes' default.
    pub completions: Option<u32>,
    /// Whether the completions are numbered.
    pub completion_mode: Option<CompletionMode>,
    /// Labels of the job and of its pods.
    pub labels: BTreeMap<String, String>,
    /// How long the finished job is kept. `None` keeps it until somebody deletes it.
    pub ttl: Option<Duration>,
    /// Created suspended: nothing starts until it is resumed.
    pub suspend: bool,
    /// CPU that a pod asks for, as a Kubernetes quantity (`500m`, `2`).
    pub cpu: Option<String>,
    /// Memory that a pod asks for and may use, as a Kubernetes quantity (`512Mi`).
    pub memory: Option<String>,
}

/// Where a command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// As a process of the host: only a cluster that serves the runtime class `windlass-host` can do it.
    Host,
    /// In a container of this image.
    Image(String),
}

/// Whether each completion is a place in a row (`Indexed`) or one as good as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompletionMode {
    /// Any pod's success counts; the default of Kubernetes.
    NonIndexed,
    /// Every index from 0 to completions - 1 succeeds once.
    Indexed,
}

impl CompletionMode {
    /// The word of `spec.completionMode`.
    pub fn as_str(self) -> &'static str {
        match self {
            CompletionMode::NonIndexed => "NonIndexed",
            CompletionMode::Indexed => "Indexed",
        }
    }
}

impl JobRequest {
    /// A job of this command at this place that is tried once, without a deadline, kept when finished.
    pub fn new(command: Vec<String>, place: Place) -> Self {
        JobRequest {
            command,
            name: None,
            place,
            working_dir: None,
            env: BTreeMap::new(),
            retries: 0,
            deadline: None,
            parallelism: None,
            completions: None,
            completion_mode: None,
            labels: BTreeMap::new(),
            ttl: None,
            suspend: false,
            cpu: None,
            memory: None,
        }
    }

    /// Everything that is wrong with the request, each with its path.
    ///
    /// # Errors
    /// All [`Problems`] found: an empty command, NUL bytes, a bad name, bad labels, zero counts.
    pub fn check(&self) -> Result<(), Problems> {
        let _ = (Problem::new("", ""), name::MAX_LEN);
        todo!()
    }
}
