//! The two values in which every way of writing a job ends: a base, and a closed set of edits.

use std::time::Duration;

use serde_json::Value;
use windlass_model::{CompletionMode, JobRequest};

use crate::array::Array;
use crate::files::File;

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
    /// Adds a volume to the pod template and mounts it in its first container.
    Mount(Mount),
    /// Gives the first container a small file of the submitter's; it travels in a ConfigMap that belongs to the job.
    File(File),
    /// Makes the Job an array. Whatever its place among the edits, it comes after all others; there is at most one.
    Tasks(Array),
}

/// A volume and where it is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What the volume is made of.
    pub source: VolumeSource,
    /// The absolute path at which the container sees it; what was mounted there before is replaced.
    pub path: String,
    /// The container may only read it.
    pub read_only: bool,
    /// What the volume is called in the pod. `None`: `volume-N`, and one that has the same source is used again. A
    /// name that another source has is a problem.
    pub volume: Option<String>,
}

/// How [`Mount::parse`]'s text is written, for a message.
pub const MOUNT_FORMS: &str = "write /DIR:PATH, claim/NAME:PATH, configmap/NAME:PATH, secret/NAME:PATH or empty:PATH, \
                               with :ro for reading only";

impl Mount {
    /// `SOURCE:PATH[:ro]`, as Docker writes it; Kubernetes' objects as `kind/NAME`. A directory of the host may be
    /// relative (it begins with `./` or `../` then): to what, its reader knows.
    ///
    /// # Errors
    /// What is wrong with the text, as the rest of a sentence about it.
    pub fn parse(text: &str) -> Result<Mount, &'static str> {
        let (rest, read_only) = match text.strip_suffix(":ro") {
            Some(rest) => (rest, true),
            None => (text.strip_suffix(":rw").unwrap_or(text), false),
        };
        let (source, path) = rest.rsplit_once(':').ok_or("has no path to be seen at")?;
        if !path.starts_with('/') {
            return Err("is not seen at an absolute path");
        }
        let source = match source.split_once('/') {
            None if source == "empty" => VolumeSource::Empty,
            Some(("" | "." | "..", _)) => VolumeSource::Host(source.to_owned()),
            Some((_, name)) if !windlass_model::label::is_subdomain(name) => return Err("names no object"),
            Some(("claim" | "pvc", name)) => VolumeSource::Claim(name.to_owned()),
            Some(("configmap" | "cm", name)) => VolumeSource::ConfigMap(name.to_owned()),
            Some(("secret", name)) => VolumeSource::Secret(name.to_owned()),
            _ => return Err("has no source that is known"),
        };
        Ok(Mount { source, path: path.to_owned(), read_only, volume: None })
    }
}

/// What a volume is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeSource {
    /// A directory or file of the node, by its absolute path.
    Host(String),
    /// A claim of the job's namespace.
    Claim(String),
    /// A ConfigMap of the job's namespace.
    ConfigMap(String),
    /// A Secret of the job's namespace.
    Secret(String),
    /// An empty directory that lives as long as the pod.
    Empty,
}

/// When the node asks the registry for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// At every start.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Not at all.
    Never,
}

impl PullPolicy {
    /// The word of `imagePullPolicy`.
    pub fn as_str(self) -> &'static str {
        match self {
            PullPolicy::Always => "Always",
            PullPolicy::IfNotPresent => "IfNotPresent",
            PullPolicy::Never => "Never",
        }
    }
}

/// What can be changed on the Job.
#[derive(Clone, Debug, PartialEq)]
pub enum JobEdit {
    /// `metadata.name`; removes `generateName`.
    Name(String),
    /// `metadata.generateName`, the readable part of a derived name; removes `name`.
    Stem(String),
    /// `metadata.namespace`.
    Namespace(String),
    /// One of `metadata.labels`.
    Label(String, String),
    /// One of `metadata.annotations`.
    Annotation(String, String),
    /// `spec.backoffLimit`; `spec.backoffLimitPerIndex` of a Job that has one.
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
    /// One of `spec.imagePullSecrets`.
    PullSecret(String),
    /// `spec.priorityClassName`.
    PriorityClass(String),
    /// One of `spec.nodeSelector`.
    NodeSelector(String, String),
    /// `spec.terminationGracePeriodSeconds`, rounded up to a second.
    Grace(Duration),
    /// One of `spec.tolerations`, once.
    Toleration(Toleration),
    /// `spec.restartPolicy`.
    RestartPolicy(RestartPolicy),
}

/// A taint of nodes that the pods put up with. Empty fields are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toleration {
    /// The taint's key; none for every key (then `operator` is `Exists`).
    pub key: Option<String>,
    /// `Equal` (the default of Kubernetes) or `Exists`.
    pub operator: Option<String>,
    /// The taint's value.
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`; none for every effect.
    pub effect: Option<String>,
}

/// What becomes of a container that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// The pod ends with it; the job makes a new pod.
    Never,
    /// One that failed is started again in its pod.
    OnFailure,
}

impl RestartPolicy {
    /// The word of `restartPolicy`.
    pub fn as_str(self) -> &'static str {
        match self {
            RestartPolicy::Never => "Never",
            RestartPolicy::OnFailure => "OnFailure",
        }
    }
}

/// What can be changed on a container.
#[derive(Clone, Debug, PartialEq)]
pub enum ContainerEdit {
    /// `name`.
    Name(String),
    /// `image`.
    Image(String),
    /// `imagePullPolicy`.
    PullPolicy(PullPolicy),
    /// `command`, literally; removes `args`.
    Command(Vec<String>),
    /// `args`, literally.
    Args(Vec<String>),
    /// `args`, literally; removes `command`, so that the image's own program gets them.
    Entrypoint(Vec<String>),
    /// One of `env`, its value literally.
    Env(String, String),
    /// One of `env`, its value from somewhere else.
    EnvFrom(String, EnvSource),
    /// Every key of an object as a variable (`envFrom`), once.
    EnvOf(EnvObject),
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

/// Where a variable's value comes from when the container starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvSource {
    /// A key of a Secret.
    Secret {
        /// The Secret.
        name: String,
        /// The key in it.
        key: String,
    },
    /// A key of a ConfigMap.
    ConfigMap {
        /// The ConfigMap.
        name: String,
        /// The key in it.
        key: String,
    },
    /// A field of the pod, such as `metadata.name`.
    Field(String),
}

/// An object whose keys become variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvObject {
    /// A Secret's name.
    Secret(String),
    /// A ConfigMap's name.
    ConfigMap(String),
}
