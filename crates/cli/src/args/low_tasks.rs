//! The words about a job's tasks and their output, as clap reads them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::low::Which;

/// What `run` shows of the output of several tasks.
#[derive(Args, Debug, Default)]
pub(crate) struct TaskOutput {
    /// Print the output of every task, each line with its number [default: not of an array]
    #[arg(long, conflicts_with = "detach")]
    pub logs: bool,
    /// Write the output of each task to a file of its own: DIR/NUMBER.log
    #[arg(long, value_name = "DIR", conflicts_with = "detach")]
    pub log_dir: Option<PathBuf>,
}

/// `windlass results`
#[derive(Args, Debug)]
pub(crate) struct Results {
    /// Name, submission id, unique beginning of either, or `last`
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Format of the table
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: ResultsFormat,
}

/// How results are printed.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResultsFormat {
    /// A table
    Table,
    /// Comma-separated values with a line of headings
    Csv,
    /// JSON
    Json,
}

/// `windlass retry`
#[derive(Args, Debug)]
pub(crate) struct Retry {
    /// Which; with -l only those that did not succeed
    #[command(flatten)]
    pub which: Which,
    /// Only the tasks that failed or never finished, each under its own number
    #[arg(long)]
    pub failed: bool,
    /// Wait until the new jobs have ended, exit with their code
    #[arg(long)]
    pub wait: bool,
}

/// `windlass logs`
#[derive(Args, Debug)]
pub(crate) struct Logs {
    #[command(flatten)]
    pub which: Which,
    /// Follow until the job has ended
    #[arg(short, long)]
    pub follow: bool,
    /// Only this container
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
    /// Only the task of this number
    #[arg(long, value_name = "N")]
    pub task: Option<u32>,
    /// Only the pod of this completion index
    #[arg(long, value_name = "N", conflicts_with = "task")]
    pub index: Option<u32>,
    /// Only the last lines of each pod; stderr comes among them on stdout
    #[arg(long, value_name = "N")]
    pub tail: Option<u32>,
    /// Only what was written since, e.g. 5m
    #[arg(long, value_name = "DURATION")]
    pub since: Option<String>,
    /// Begin each line with its time
    #[arg(long)]
    pub timestamps: bool,
    /// Only the attempt before the newest, of containers that were started again
    #[arg(short, long, conflicts_with = "follow")]
    pub previous: bool,
    /// Begin each line with [POD/CONTAINER]; several pods always are told apart
    #[arg(long)]
    pub prefix: bool,
}
