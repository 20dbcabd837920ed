//! A job as a person asks for it: one command, where it runs, and how often it is tried.
//!
//! Knows nothing of Kubernetes' objects; `manifest` turns a [`JobRequest`] into one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{JobName, Problems, label, quantity};

/// The most pods at a time of an Indexed job (upstream `pkg/apis/batch/validation`).
pub const MAX_INDEXED_PARALLELISM: u32 = 100_000;

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
    /// CPU that a pod asks for, as a Kubernetes quantity (`500m`, `2`). `None`: one for a host process, nothing for a
    /// container.
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
    /// All [`Problems`] found: an empty command, NUL bytes, a bad name, bad labels, impossible counts.
    pub fn check(&self) -> Result<(), Problems> {
        let mut found = Problems::new();
        self.check_command(&mut found);
        self.check_place(&mut found);
        if let Some(name) = &self.name {
            found.keep(JobName::parse(name));
        }
        for (key, value) in &self.labels {
            label::check(&format!("labels[{key}]"), key, value, &mut found);
        }
        self.check_counts(&mut found);
        for (path, text) in [("cpu", &self.cpu), ("memory", &self.memory)] {
            if let Some(Err(problem)) = text.as_deref().map(quantity::check) {
                found.add(path, problem.message);
            }
        }
        found.or(())
    }

    fn check_command(&self, found: &mut Problems) {
        if self.command.first().is_none_or(String::is_empty) {
            found.add("command", "is empty; write the program and its arguments");
        }
        for (index, word) in self.command.iter().enumerate() {
            if word.contains('\0') {
                found.add(format!("command[{index}]"), "holds a NUL byte, which no argument can");
            }
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                found.add(format!("env[{name}]"), "is no name of an environment variable");
            } else if value.contains('\0') {
                found.add(format!("env[{name}]"), "holds a NUL byte, which no environment variable can");
            }
        }
    }

    fn check_place(&self, found: &mut Problems) {
        if let Place::Image(image) = &self.place
            && (image.is_empty() || image.contains(char::is_whitespace))
        {
            found.add("image", format!("{image:?} is no image's name"));
        }
        if let Some(dir) = &self.working_dir {
            if self.place == Place::Host && !dir.starts_with('/') {
                found.add(
                    "workingDir",
                    format!("{dir:?} is not an absolute path, which a host process needs"),
                );
            } else if dir.is_empty() || dir.contains('\0') {
                found.add("workingDir", "is no path");
            }
        }
    }

    fn check_counts(&self, found: &mut Problems) {
        let indexed = self.completion_mode == Some(CompletionMode::Indexed);
        if indexed && self.completions.is_none() {
            found.add("completions", "is missing; an Indexed job needs the number of its indexes");
        }
        if indexed && self.parallelism.is_some_and(|wanted| wanted > MAX_INDEXED_PARALLELISM) {
            found.add(
                "parallelism",
                format!("is more than {MAX_INDEXED_PARALLELISM}, the most of an Indexed job"),
            );
        }
        let counts = [
            ("retries", Some(self.retries)),
            ("parallelism", self.parallelism),
            ("completions", self.completions),
        ];
        for (path, count) in counts {
            if count.is_some_and(|count| count > i32::MAX as u32) {
                found.add(path, format!("is more than {}", i32::MAX));
            }
        }
        if self.deadline.is_some_and(|deadline| deadline.is_zero()) {
            found.add("deadline", "is 0, which would end the job before it starts");
        }
        if self.ttl.is_some_and(|ttl| ttl.as_secs() > i32::MAX as u64) {
            found.add("ttl", format!("is more than {} seconds", i32::MAX));
        }
    }
}
