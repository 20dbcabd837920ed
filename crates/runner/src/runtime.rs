//! The seam between deciding what should run and running it.

use std::path::PathBuf;

pub use crate::cgroup::{Limits, Unlimited};
use crate::mounts::Space;
use crate::rights::Rights;
use crate::text::Text;

use futures_core::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use windlass_fate::Part;

pub use crate::exec::{End, Exec, ExecError, MAX_ARGUMENTS, Output, Session};
pub use crate::input::Input;

/// One run of one container of one pod. Starting the same key twice starts it once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Key {
    /// The pod's uid.
    pub pod: String,
    /// The container's name.
    pub container: String,
    /// 0 for the first run, counted up by each restart.
    pub attempt: u32,
}

/// A process to start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Start {
    /// Which run this is.
    pub key: Key,
    /// Program and arguments. The program is looked up in `PATH` of `env`, as a shell would.
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, Text)>,
    /// Where it starts; `/` if none.
    pub cwd: Option<PathBuf>,
    /// What it sees beside the host's files, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<Box<Space>>,
    /// The file its output goes to, in the CRI line format. The parent directory is made (0700).
    pub log: PathBuf,
    /// About so many bytes of it are kept, times included and before they are packed: past it the oldest go.
    #[serde(default = "log_limit")]
    pub log_limit: u64,
    /// What its stdin is, and whether it has a terminal.
    #[serde(default)]
    pub stdio: Stdio,
    /// What it may do less than its user; none: nothing less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rights: Option<Box<Rights>>,
    /// It is not run but played like this ([`crate::fate`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<Box<Part>>,
    /// What it may take at most; none: as much as there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// What a process reads from, and whether its streams are a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Stdio {
    /// Its stdin.
    pub stdin: Stdin,
    /// A terminal of its own, which controls it, is its stdin (whatever [`Stdio::stdin`] says), stdout and stderr.
    /// Its output is one stream: stdout.
    pub tty: bool,
}

/// What a process reads from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Stdin {
    /// `/dev/null`.
    #[default]
    Null,
    /// A pipe that ends when the first [`Input`] of the run is dropped. A terminal does not end so.
    Once,
    /// A pipe that never ends.
    Open,
}

/// What is kept of a log if nobody says otherwise: 64 MiB.
pub const LOG_LIMIT: u64 = 64 << 20;

fn log_limit() -> u64 {
    LOG_LIMIT
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ended {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Ended {
    /// The code as Kubernetes reports it: 128+n for signal n.
    #[must_use]
    pub fn exit_code(self) -> i32 {
        match self {
            Ended::Code(code) => code,
            Ended::Signal(signal) => 128 + signal,
        }
    }
}

/// Why a run never began.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StartFailure {
    /// There is no such program (a shell's 127).
    NotFound,
    /// It may not be executed (a shell's 126).
    NotExecutable,
    /// The working directory is not there.
    NoDirectory,
    /// Anything else: no processes, no memory, no descriptors.
    Other,
}

/// What happened to a run. Events of one key come in order; after a new engine's start they may be repeated.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// It runs.
    Started {
        /// Which run.
        key: Key,
        /// Its process id.
        pid: i32,
        /// When.
        at: Timestamp,
        /// Its limits that are not enforced, if there are such.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unlimited: Option<Box<Unlimited>>,
    },
    /// It never began.
    Failed {
        /// Which run.
        key: Key,
        /// The class of the cause.
        failure: StartFailure,
        /// The cause in words.
        message: String,
        /// When.
        at: Timestamp,
    },
    /// It ended; its log is complete.
    Exited {
        /// Which run.
        key: Key,
        /// How.
        ended: Ended,
        /// When it began.
        started_at: Timestamp,
        /// When it ended.
        finished_at: Timestamp,
        /// CPU time of it and its waited-for children (with limits: of all its descendants), microseconds.
        cpu_us: u64,
        /// Peak resident memory, bytes.
        peak_bytes: u64,
        /// What its log takes, before it is packed, bytes.
        #[serde(default)]
        log_bytes: u64,
        /// Whether the kernel killed a process of it for lack of memory. Known of runs with a memory limit that is
        /// enforced; of others never true.
        #[serde(default)]
        out_of_memory: bool,
        /// As it was told with its start, which nobody may have been there to hear.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unlimited: Option<Box<Unlimited>>,
    },
    /// What became of it cannot be known (its shim died, or the machine was restarted). Nothing of it runs any more.
    Lost {
        /// Which run.
        key: Key,
        /// What is known, in words.
        message: String,
        /// When it was noticed.
        at: Timestamp,
    },
}

impl Event {
    /// The run it speaks of.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Event::Started { key, .. }
            | Event::Failed { key, .. }
            | Event::Exited { key, .. }
            | Event::Lost { key, .. } => key,
        }
    }
}

/// Something that runs processes. All calls return at once; what they cause comes back as events.
pub trait Runtime: Send + Sync {
    /// Starts processes. The intent must be durable before this is called.
    fn start(&self, starts: Vec<Start>);
    /// Sends a signal to a run and all its descendants. Unknown or ended runs are ignored. A signal that this run was
    /// sent before is not sent again (SIGKILL is), so that a plan may ask for it as often as it is made.
    fn signal(&self, key: &Key, signal: i32);
    /// The run's end is recorded elsewhere: the ledger may drop it.
    fn forget(&self, keys: Vec<Key>);
    /// The next events, at least one; pending until there are some. An error means that the runtime is gone and was not able to come back.
    fn events(&self) -> BoxFuture<'_, Result<Vec<Event>, RuntimeGone>>;
    /// Opens the way into a run that runs and has a stdin or a terminal. Needs a tokio runtime with I/O around it.
    fn input<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Input, InputError>>;
    /// Runs a program beside the process of a run that runs. Needs a tokio runtime with I/O around it.
    fn exec(&self, exec: Exec) -> BoxFuture<'_, Result<Session, ExecError>>;
}

/// Why there is no way into a run.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It has not begun, has ended, or is unknown.
    #[error("it does not run")]
    NotRunning,
    /// It reads from `/dev/null`.
    #[error("it has no stdin")]
    NoStdin,
    /// Its stdin has ended ([`Stdin::Once`]).
    #[error("its stdin has ended")]
    Ended,
    /// Too many ways into runs are open.
    #[error("too many are attached already")]
    TooMany,
    /// The process that runs it does not give it.
    #[error("the process that runs the containers does not open their stdin: {0}")]
    Broken(std::io::Error),
}

/// The runtime cannot be reached any more.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the process that runs the containers is gone: {0}")]
pub struct RuntimeGone(pub String);
