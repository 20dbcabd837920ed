//! submission-helper's batches: a payload a line, or tasks that need one another.

use std::path::PathBuf;

use clap::Args;
use windlass_manifest::Edit;
use windlass_manifest::formats::submission_helper::SubmissionHelper;
use windlass_model::{BatchLimits, Problems};

use super::helper::{self, HEADING};
use super::low::{ObjectFormat, Submit};
use super::{Usage, high, job};
use crate::env::Env;
use crate::verbs::env_file::EnvFiles;

/// What the help of `submit` says of many jobs.
pub(super) const MANY: &str = "\
Many jobs: a file is read and checked as a whole first, and nothing of one with a mistake is submitted. Then several \
jobs are sent at a time. A job that the cluster refuses does not stop the others: it is named with its file and line, \
the names of those that were submitted are printed in the file's order, and the exit code is 125. Give --id, and the \
same command again submits only what is missing: the second job of the file has the id ID-2, and so on.";

/// The options of submission-helper for many payloads.
#[derive(Args, Debug, Default)]
pub(crate) struct BatchArgs {
    /// Submit a job for each line of these files that is not empty and no # comment, as IDENTIFIER_1, IDENTIFIER_2...; the
    /// same again submits only what has no job yet
    #[arg(long, help_heading = HEADING, value_name = "FILE", num_args = 0.., requires = "k8s_image")]
    pub file_lines: Option<Vec<PathBuf>>,
    /// Submit the tasks of this file, each as soon as those that it depends on have succeeded
    #[arg(long, help_heading = HEADING, value_name = "FILE", requires = "k8s_image", conflicts_with = "file_lines")]
    pub task_file: Option<PathBuf>,
    /// Stop after so many jobs were submitted
    #[arg(long, help_heading = HEADING, value_name = "N", allow_negative_numbers = true)]
    pub ntest: Option<i64>,
    /// Have at most so many jobs of the batch active at a time, and submit more as they end
    #[arg(long, visible_alias = "maxConcurrent", help_heading = HEADING, value_name = "N", allow_negative_numbers = true)]
    pub max_concurrent: Option<i64>,
    /// Submit nothing; list the tasks that are not done
    #[arg(long, visible_alias = "checkmissing", help_heading = HEADING, conflicts_with_all = ["wait", "dry_run"])]
    pub check_missing: bool,
}

/// What is done with a batch.
#[derive(Debug)]
pub(crate) struct BatchOptions {
    /// Where its tasks are.
    pub tasks: TaskSource,
    /// What it is called; `None`: it gets a name.
    pub identifier: Option<String>,
    /// Where its payloads run.
    pub helper: SubmissionHelper,
    /// What the other options change of its jobs.
    pub edits: Vec<Edit>,
    /// Variables from files.
    pub env_files: EnvFiles,
    /// How many at a time, and how many at all.
    pub limits: BatchLimits,
    /// What is to be done.
    pub what: BatchAct,
    /// How the answer is printed.
    pub output: ObjectFormat,
}

/// Where tasks are.
#[derive(Debug)]
pub(crate) enum TaskSource {
    /// A payload a line.
    Lines(Vec<PathBuf>),
    /// A task file.
    Tasks(PathBuf),
}

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchAct {
    /// Its jobs are submitted, as far and as soon as they can be.
    Submit {
        /// And waited for.
        wait: bool,
    },
    /// What would be submitted is checked by the server and shown.
    DryRun,
    /// What is not done is listed.
    Missing,
}

impl BatchArgs {
    /// Whether one of them was typed.
    pub(super) fn is_asked(&self) -> bool {
        let numbers = self.ntest.is_some() || self.max_concurrent.is_some();
        self.file_lines.is_some() || self.task_file.is_some() || numbers || self.check_missing
    }
}

/// What a command line with these options means.
pub(super) fn raise(args: Submit, env: &Env) -> Result<BatchOptions, Usage> {
    read(args, env).map_err(|problems| high::wrong("submit", &problems))
}

fn read(args: Submit, env: &Env) -> Result<BatchOptions, Problems> {
    let Submit { mut job, source, batch, wait, dry_run, output } = args;
    let mut problems = Problems::new();
    if source.is_named() {
        problems
            .add("--file-lines and --task-file", "make jobs of their own, beside those of -f and the like");
    }
    for (option, is_typed) in [("--id", job.id.is_some()), ("--name", job.name.is_some())] {
        if is_typed {
            problems.add(option, "is one job's; a batch is named by --identifier");
        }
    }
    if job.tasks.is_typed() {
        problems.add("--array and the like", "make tasks of one job; a batch has jobs of its own");
    }
    let words = std::mem::take(&mut job.command);
    let lines = batch.file_lines.map(|mut files| {
        // `--file-lines -- FILE`, as the files stand there behind all options.
        files.extend(words.iter().map(PathBuf::from));
        files
    });
    let tasks = match (lines, batch.task_file) {
        (Some(files), _) if files.is_empty() => {
            problems.add("--file-lines", "names no file");
            None
        }
        (Some(files), _) => Some(TaskSource::Lines(files)),
        (None, Some(file)) => {
            if !words.is_empty() {
                problems.add("--task-file", "has the payloads itself: no command goes with it");
            }
            Some(TaskSource::Tasks(file))
        }
        (None, None) => {
            let message = "belong to --file-lines or --task-file";
            problems.add("--ntest, --max-concurrent and --check-missing", message);
            None
        }
    };
    let identifier = job.helper.identifier.take();
    if batch.check_missing && identifier.is_none() {
        problems.add("--identifier", "is missing; it says of which batch");
    }
    let env_files = job::env_files(&job, env);
    let parts = helper::parts(job, env).map_err(|more| problems.extend(more)).ok();
    problems.or(())?;
    let (Some(tasks), Some((helper, edits))) = (tasks, parts) else { return Err(Problems::new()) };
    // As there: what is not above 0 is no limit.
    let limit = |number: Option<i64>| number.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let what = match (batch.check_missing, dry_run) {
        (true, _) => BatchAct::Missing,
        (_, true) => BatchAct::DryRun,
        _ => BatchAct::Submit { wait },
    };
    let limits = BatchLimits { active: limit(batch.max_concurrent), sends: limit(batch.ntest) };
    Ok(BatchOptions { tasks, identifier, helper, edits, env_files, limits, what, output })
}
