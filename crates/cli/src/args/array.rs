//! The options that make one job many tasks.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};
use windlass_manifest::{Array, Numbers};
use windlass_model::Problems;

use super::low::{JobArgs, SourceArgs};
use crate::env::Env;

const HEADING: &str = "Many tasks in one job (an array)";

/// What an array is made of: one of them.
#[derive(Args, Debug, Default)]
pub(crate) struct ArrayArgs {
    /// Run a task for each of these numbers, as in Slurm: 0-99, 1-300, 5,7,9-20:2; with %10 at the end ten at a time.
    /// In the command {} and {#} are the number, in the environment WINDLASS_TASK
    #[arg(long, value_name = "NUMBERS[%N]", help_heading = HEADING, conflicts_with_all = ["each_line", "each_row", "matrix"])]
    pub array: Option<String>,
    /// Run a task for each line of this file that is not empty; - is stdin. In the command {} is the line and {#} its
    /// number, in the environment WINDLASS_ITEM and WINDLASS_TASK
    #[arg(long, value_name = "FILE", help_heading = HEADING, conflicts_with_all = ["each_row", "matrix"])]
    pub each_line: Option<PathBuf>,
    /// Run a task for each row of this CSV table, whose first line names the columns; - is stdin. In the command
    /// {NAME} is a column, in the environment NAME
    #[arg(long, value_name = "FILE.csv", help_heading = HEADING, conflicts_with = "matrix")]
    pub each_row: Option<PathBuf>,
    /// Run a task for each combination of these values. In the command {KEY} is one, in the environment KEY
    #[arg(long, value_name = "KEY=VALUE,VALUE", help_heading = HEADING, num_args = 1.., action = ArgAction::Append)]
    pub matrix: Vec<String>,
}

impl ArrayArgs {
    /// Whether one of them was typed.
    pub(super) fn is_typed(&self) -> bool {
        let files = self.each_line.is_some() || self.each_row.is_some();
        self.array.is_some() || files || !self.matrix.is_empty()
    }
}

/// What the tasks are made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tasks {
    /// What was typed.
    Typed(Array),
    /// The lines of a file; `-` is stdin.
    Lines(PathBuf),
    /// The rows of a table; `-` is stdin.
    Rows(PathBuf),
}

/// The tasks, if there are to be any. `%N` becomes the job's parallelism.
pub(super) fn tasks(job: &mut JobArgs, source: &SourceArgs, env: &Env) -> Result<Option<Tasks>, Problems> {
    let ArrayArgs { array, each_line, each_row, matrix } = std::mem::take(&mut job.tasks);
    let mut problems = Problems::new();
    let file = |option: &str, path: PathBuf, problems: &mut Problems| {
        if path != Path::new("-") {
            return env.absolute(path);
        }
        let others = [&source.file, &source.prefect.job_spec_file];
        if others.into_iter().flatten().any(|other| other == Path::new("-")) {
            problems.add(option, "stdin is the job's file already; give one of them by its name");
        }
        path
    };
    let tasks = match (array, each_line, each_row) {
        (Some(text), ..) => numbers(&text, job, &mut problems),
        (_, Some(path), _) => Some(Tasks::Lines(file("--each-line", path, &mut problems))),
        (.., Some(path)) => Some(Tasks::Rows(file("--each-row", path, &mut problems))),
        _ if matrix.is_empty() => return Ok(None),
        _ => Array::of_matrix(&matrix)
            .map(Tasks::Typed)
            .map_or_else(|found| refuse(found, &mut problems), Some),
    };
    for (option, is_typed) in [("--completions", job.completions.is_some()), ("--indexed", job.indexed)] {
        if is_typed {
            problems.add(option, "follows from the tasks; leave it out");
        }
    }
    problems.or(tasks)
}

fn refuse(found: Problems, problems: &mut Problems) -> Option<Tasks> {
    for problem in found {
        problems.add("--matrix", problem.to_string());
    }
    None
}

fn numbers(text: &str, job: &mut JobArgs, problems: &mut Problems) -> Option<Tasks> {
    match Numbers::parse_with_limit(text) {
        Ok((numbers, limit)) => {
            if limit.is_some() && job.parallelism.is_some() {
                problems.add("--parallelism", "is said twice: with --array it is the number after %");
            }
            job.parallelism = job.parallelism.or(limit);
            Some(Tasks::Typed(Array::numbered(&numbers)))
        }
        Err(what) => {
            problems.add("--array", format!("{text:?} {what}"));
            None
        }
    }
}
