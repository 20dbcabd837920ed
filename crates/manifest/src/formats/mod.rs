//! The formats in which people write jobs: one reader each, and all of them end in a base and edits.
//!
//! [`read()`] recognises the format of a file by its content. Formats that are chosen by an option have a function of
//! their own. A reader is pure: files, environment and cluster are its caller's.

pub mod definition;
pub mod job_file;
mod kubernetes;
pub mod magnus;
pub mod prefect;
pub mod submission_helper;

use std::collections::BTreeMap;
use std::fmt;

use crate::read::{ReadError, read_values};
use crate::{Base, Edit};

/// A format that is recognised by a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Kubernetes' own Jobs.
    Kubernetes,
    /// A configuration of magnus with the executor `k8s-job`.
    Magnus,
    /// A job definition, as k8s-jobs has them; its template is chosen by name, not by content.
    Definition,
    /// Our own job file.
    JobFile,
    /// The job spec of a Prefect `KubernetesJobEnvironment`; an option says so, not the content.
    Prefect,
    /// Tasks of submission-helper; an option says so, not the content.
    SubmissionHelper,
}

impl fmt::Display for Format {
    /// As a person calls it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Kubernetes => "a Kubernetes manifest",
            Format::Magnus => "a magnus configuration",
            Format::Definition => "a job definition",
            Format::JobFile => "a job file",
            Format::Prefect => "a Prefect job spec",
            Format::SubmissionHelper => "tasks of submission-helper",
        })
    }
}

/// What the caller wants to run with a file that leaves it open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// What the file itself says.
    #[default]
    Own,
    /// This program with its arguments, literally.
    Command(Vec<String>),
    /// A function or notebook that magnus runs; for its configurations only.
    Magnus(magnus::Task),
}

/// What a reader may need beside the text.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The submitter's environment: for placeholders and parameters, and only where the format has them.
    pub variables: &'a BTreeMap<String, String>,
    /// What is to be run.
    pub payload: &'a Payload,
    /// What the caller calls this run, for formats that write it into the job (magnus' run id). `None`: nothing.
    pub run_id: Option<&'a str>,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The reader that was used.
    pub format: Format,
    /// Its jobs, in the file's order. At least one.
    pub jobs: Vec<Written>,
    /// The kubeconfig that the file names, as it is written there.
    pub kubeconfig: Option<String>,
    /// What the user should know: a value that was left out, a default that is unusual.
    pub notes: Vec<String>,
    /// Fields that Kubernetes, as far as it is known here, does not have: the cluster must be asked before anything of
    /// the file is created.
    pub doubts: Vec<Doubt>,
}

/// A field that a newer Kubernetes may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The job of [`Reading::jobs`] that has it, counted from 0.
    pub job: usize,
    /// Where it stands, from 1.
    pub line: u64,
    /// Its path.
    pub path: String,
}

/// One job as somebody wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The file, as the user named it.
    pub file: String,
    /// Where it starts, from 1.
    pub line: u64,
    /// What it is made from.
    pub base: Base,
    /// What the format changes of that, in order. A caller's own edits come after them.
    pub edits: Vec<Edit>,
}

/// Reads a file of any format that tells itself.
///
/// # Errors
/// All that is wrong, each with file, line and field; nothing of a file with an error is used.
pub fn read(file: &str, text: &str, inputs: Inputs<'_>) -> Result<Reading, Vec<ReadError>> {
    let documents = read_values(file, text)?;
    match documents.first() {
        Some((_, first)) if job_file::is(first) => job_file::read(file, text, inputs),
        Some((_, first)) if magnus::is(first) => magnus::read(file, text, inputs),
        _ => kubernetes::read(file, text, documents, inputs),
    }
}
