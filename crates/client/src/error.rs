//! What can go wrong with jobs. Each message says the place, the cause and the way out.

use windlass_manifest::ReadError;
use windlass_model::{ExitCode, Problem, Problems};

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The cluster does not answer.
    #[error("{context} does not answer: {message}; check that it runs, or choose another cluster")]
    Unreachable {
        /// The cluster's name.
        context: String,
        /// What the connection said.
        message: String,
    },
    /// The cluster did not say what became of a submission: the job may have been made.
    #[error(
        "{context} does not answer: {message}; job {job:?} may have been made all the same, which `windlass show \
         {job}` tells; submitted again with --id {id} it is made once"
    )]
    Uncertain {
        /// The cluster's name.
        context: String,
        /// The name that the job has if it was made.
        job: String,
        /// The submission's id, with which it can be sent again.
        id: windlass_model::SubmissionId,
        /// What the connection said.
        message: String,
    },
    /// The cluster does not know who asks.
    #[error("{context} does not accept the credentials: {message}; {login}, or choose another context")]
    Unauthorized {
        /// The cluster's name.
        context: String,
        /// What the server said.
        message: String,
        /// How to renew the login: what the kubeconfig's credentials come from.
        login: String,
    },
    /// The user may not do it.
    #[error("not allowed on {context}: {message}; {}", way_to(.message))]
    Forbidden {
        /// The cluster's name.
        context: String,
        /// What the server said, which names the verb and the resource.
        message: String,
    },
    /// There is no such job.
    #[error("there is no job {job:?} in namespace {namespace:?}; `windlass list` shows those that are there")]
    NotFound {
        /// What was asked for.
        job: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// The cluster has no CronJobs.
    #[error("{context} does not serve CronJobs; choose a cluster that does: --context NAME")]
    NoCronJobs {
        /// The cluster's name.
        context: String,
    },
    /// The cluster has no clock that can be moved.
    #[error(
        "{context} has no clock that can be set forward; an engine that lives for one command has: windlass up --ephemeral \
         -- COMMAND"
    )]
    NoClock {
        /// The cluster's name.
        context: String,
    },
    /// A clock was asked to go where it does not.
    #[error("{message}")]
    ClockRefused {
        /// What the server said.
        message: String,
    },
    /// There is no such CronJob.
    #[error(
        "there is no CronJob {cron:?} in namespace {namespace:?}; `windlass cron list` shows those that are there"
    )]
    NoCronJob {
        /// What was asked for.
        cron: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// There is a CronJob of this name.
    #[error(
        "CronJob {cron:?} exists already; choose another name, or delete it first: windlass cron delete {cron}"
    )]
    CronExists {
        /// Its name.
        cron: String,
    },
    /// The server refused the CronJob.
    #[error("the server refused CronJob {cron:?}: {message}")]
    CronRefused {
        /// Its name.
        cron: String,
        /// What the server said, which names the fields.
        message: String,
    },
    /// The namespace does not exist.
    #[error("there is no namespace {namespace:?} on {context}; create it, or choose another with -n")]
    NoNamespace {
        /// What was asked for.
        namespace: String,
        /// The cluster's name.
        context: String,
    },
    /// The namespace is being deleted, and takes nothing new.
    #[error("namespace {namespace:?} on {context} is being deleted; choose another with -n")]
    NamespaceEnding {
        /// What was asked for.
        namespace: String,
        /// The cluster's name.
        context: String,
    },
    /// The token of a next page is too old: the list has to be read from its first page again.
    #[error("{context} no longer knows the list that was begun; list again from the first page")]
    Expired {
        /// The cluster's name.
        context: String,
    },
    /// A prefix that fits several jobs.
    #[error("{prefix:?} is the beginning of several jobs: {}; write more of the name", .jobs.join(", "))]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// Some of the jobs that fit.
        jobs: Vec<String>,
    },
    /// A job of this name, or of this submission id, exists with other content.
    #[error(
        "job {job:?} exists already {difference}; choose another name or submission id, or delete it first"
    )]
    Conflict {
        /// The job that exists.
        job: String,
        /// How it differs: `with other content`, `and is not of this submission`.
        difference: &'static str,
    },
    /// The server refused the object.
    #[error("the server refused job {job:?}: {message}")]
    Invalid {
        /// The job's name.
        job: String,
        /// What the server said, which names the fields.
        message: String,
    },
    /// A limit of the cluster is reached (quota).
    #[error("{context} has no room for job {job:?}: {message}")]
    OverQuota {
        /// The cluster's name.
        context: String,
        /// The job's name.
        job: String,
        /// What the server said.
        message: String,
    },
    /// The cluster cannot run host processes.
    #[error(
        "{context} cannot run a command as a process of the host: it has no runtime class \"windlass-host\"; \
         name an image (--image), or use the embedded engine (--local)"
    )]
    NoHostClass {
        /// The cluster's name.
        context: String,
    },
    /// The cluster would end a whole job with its first failed task.
    #[error(
        "{context} is Kubernetes {major}.{minor}, which ends a whole job when one of its tasks fails: arrays need 1.29 \
         or later; use another cluster, or the embedded engine (--local)"
    )]
    NoArrays {
        /// The cluster's name.
        context: String,
        /// Its version's first number.
        major: u32,
        /// Its version's second number.
        minor: u32,
    },
    /// The ConfigMap of this submission's tasks or files is there with other ones, and no job that has it.
    #[error(
        "ConfigMap {config_map:?} exists already with other tasks or files than job {job:?} has now, and there is no such \
         job; choose another name or submission id, or delete that ConfigMap first"
    )]
    OtherTasks {
        /// The ConfigMap that exists.
        config_map: String,
        /// The job that was to be.
        job: String,
    },
    /// The cluster does not let anybody attach to the job's pod.
    #[error("cannot attach to the pod of job {job:?}: {message}")]
    Attach {
        /// The job.
        job: String,
        /// What the cluster said.
        message: String,
    },
    /// The job was deleted while it was waited for.
    #[error("job {job:?} was deleted before it ended")]
    Gone {
        /// The job's name.
        job: String,
    },
    /// The time to wait is over; the job goes on.
    #[error("job {job:?} has not ended in {}", windlass_model::duration::format(*.after))]
    TimedOut {
        /// The job's name.
        job: String,
        /// How long it was waited for.
        after: std::time::Duration,
    },
    /// There is no definition of this name.
    #[error("{place} has no definition {name:?}; it has: {}", .known.join(", "))]
    NoDefinition {
        /// What was asked for.
        name: String,
        /// The definitions' file.
        place: String,
        /// Those that are there.
        known: Vec<String>,
    },
    /// Definitions or a template, or the arguments of one, are wrong: all of it, each with file and line.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Template(Vec<ReadError>),
    /// A file or ConfigMap with definitions or a template cannot be read.
    #[error("{path}: {message}")]
    File {
        /// Which.
        path: String,
        /// Why.
        message: String,
    },
    /// An argument is wrong.
    #[error(transparent)]
    Argument(#[from] Problem),
    /// Several things are wrong with the job.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// The server failed, or answered what cannot be understood.
    #[error("{context} failed: {message}")]
    Server {
        /// The cluster's name.
        context: String,
        /// What it said.
        message: String,
        /// The HTTP status; 0 if there was none.
        status: u16,
    },
}

/// How one comes by a right. The embedded engine names the role that has it, and its roles hold in every namespace.
fn way_to(message: &str) -> String {
    let role =
        ["the role \"read\" may", "the role \"submit\" may"].iter().find(|words| message.contains(*words));
    match role.and_then(|words| words.split('"').nth(1)) {
        Some(role) => {
            format!("whoever owns the engine gives such a credential: windlass kubeconfig --role {role}")
        }
        None if message.contains("only \"admin\" may") => "whoever owns the engine may do it".to_owned(),
        None => "ask for this right, or choose another namespace".to_owned(),
    }
}

impl Error {
    /// Whether the cluster has said no to a submission: nothing was made.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Error::Unauthorized { .. }
                | Error::Forbidden { .. }
                | Error::NoNamespace { .. }
                | Error::NamespaceEnding { .. }
                | Error::Conflict { .. }
                | Error::Invalid { .. }
                | Error::OverQuota { .. }
        )
    }

    /// Whether the next job would meet the same fault: the cluster does not answer, does not know who asks, or cannot
    /// run such jobs.
    pub fn is_of_the_cluster(&self) -> bool {
        use Error::{NoHostClass, Unauthorized, Uncertain, Unreachable};
        matches!(self, Unreachable { .. } | Uncertain { .. } | Unauthorized { .. } | NoHostClass { .. })
    }

    /// Whether every other job in the same namespace would meet the same fault: there is no such namespace, it is being
    /// deleted, or jobs may not be made in it. A policy's refusal of one job is none of these.
    pub fn is_of_the_namespace(&self) -> bool {
        match self {
            Error::NoNamespace { .. } | Error::NamespaceEnding { .. } => true,
            // The words of Kubernetes' own authorization.
            Error::Forbidden { message, .. } => message.contains("cannot create resource \"jobs\""),
            _ => false,
        }
    }

    /// The exit code of a command that ends with this error: 124 for `TimedOut`, otherwise 125.
    pub fn exit(&self) -> ExitCode {
        match self {
            Error::TimedOut { .. } => ExitCode::TimedOut,
            _ => ExitCode::Windlass,
        }
    }
}
