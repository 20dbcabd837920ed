//! Reads files of Kubernetes manifests: YAML or JSON, one document or several.
//!
//! Only what makes a document something else than a Job is refused here. Unknown and misplaced fields are found by
//! the server, which validates strictly and knows its own version.

use serde_json::Value;
use serde_saphyr::Spanned;

use crate::plain::{self, Broken};
use crate::{mend, tree};

/// The longest file that is read, in bytes: no object that a server takes is longer than 3 MiB.
pub const MAX_FILE: usize = 16 << 20;

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The file it came from, as the user named it (`-` is standard input).
    pub file: String,
    /// The line in which the document starts, from 1.
    pub line: u64,
    /// The Job: a mapping of `apiVersion: batch/v1`, `kind: Job`.
    pub job: Value,
}

/// Why a file is not a list of Jobs. The message names file, line and column, and the field where there is one.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReadError {
    /// The text is neither YAML nor JSON.
    #[error("{file}:{line}:{column}: {message}")]
    Syntax {
        /// The file as the user named it.
        file: String,
        /// From 1; 0 if the parser does not know.
        line: u64,
        /// From 1; 0 if the parser does not know.
        column: u64,
        /// What is wrong.
        message: String,
    },
    /// A document is something else than a Job.
    #[error("{file}:{line}: {path}{message}")]
    NotAJob {
        /// The file as the user named it.
        file: String,
        /// Where the document starts, from 1.
        line: u64,
        /// The field and `: `, or empty.
        path: String,
        /// What is wrong and what is accepted.
        message: String,
    },
    /// A field is wrong.
    #[error("{file}:{line}:{column}: {path}: {message}")]
    Field {
        /// The file as the user named it.
        file: String,
        /// From 1.
        line: u64,
        /// From 1.
        column: u64,
        /// The field: `executor.config.cpu_limit`.
        path: String,
        /// What is wrong and what is right.
        message: String,
    },
    /// What the caller wants does not go with the file.
    #[error("{file}: {message}")]
    Unfit {
        /// The file as the user named it.
        file: String,
        /// Why, and the way out.
        message: String,
    },
    /// A line is wrong.
    #[error("{file}:{line}: {message}")]
    Line {
        /// The file as the user named it.
        file: String,
        /// From 1.
        line: u64,
        /// What is wrong and what is right.
        message: String,
    },
    /// No error of its own: what the errors before it come to.
    #[error("{file}: corrected it reads\n{text}")]
    Corrected {
        /// The file as the user named it.
        file: String,
        /// The document.
        text: String,
    },
    /// There is no document in it.
    #[error("{file}: holds no document; expected a Kubernetes Job (apiVersion: batch/v1, kind: Job)")]
    Empty {
        /// The file as the user named it.
        file: String,
    },
    /// The file is longer than is read.
    #[error("{file}: is longer than {limit} bytes")]
    TooLong {
        /// The file as the user named it.
        file: String,
        /// Bytes.
        limit: usize,
    },
}

/// Reads every Job of a file's text. `kind: List` and `kind: JobList` are opened; empty documents are skipped.
///
/// # Errors
/// All that is wrong: at most one error for each document, or one for text that cannot be parsed.
pub fn read_documents(file: &str, text: &str) -> Result<Vec<Document>, Vec<ReadError>> {
    jobs_of(file, text, read_values(file, text)?)
}

/// Every document of a text that is not empty, each with the line in which it starts.
pub(crate) fn read_values(file: &str, text: &str) -> Result<Vec<(u64, Value)>, Vec<ReadError>> {
    if text.len() > MAX_FILE {
        return Err(vec![ReadError::TooLong { file: file.to_owned(), limit: MAX_FILE }]);
    }
    let jobs = |text: &str| read_documents(file, text).err();
    let documents: Vec<Spanned<Value>> =
        serde_saphyr::from_multiple(text).map_err(|error| broken(file, text, &error, jobs))?;
    let placed = documents.into_iter().map(|document| (document.referenced.line().max(1), document.value));
    Ok(placed.filter(|(_, value)| !value.is_null()).collect())
}

/// The Jobs among the documents of a text.
pub(crate) fn jobs_of(
    file: &str,
    text: &str,
    documents: Vec<(u64, Value)>,
) -> Result<Vec<Document>, Vec<ReadError>> {
    let (mut jobs, mut errors) = (Vec::new(), Vec::new());
    for (line, document) in documents {
        sort(file, line, "", document, &mut jobs, &mut errors);
    }
    if jobs.is_empty() && errors.is_empty() {
        errors.push(ReadError::Empty { file: file.to_owned() });
    }
    if errors.is_empty() {
        return Ok(jobs);
    }
    let places = Places::of(text);
    let corrected: Vec<ReadError> = errors.iter().filter_map(|error| error.corrected(text)).collect();
    errors.iter_mut().for_each(|error| error.find_line(&places));
    errors.extend(corrected);
    Err(errors)
}

/// Where the fields of a text's documents stand.
#[derive(Debug)]
pub struct Places(Vec<tree::Node>);

impl Places {
    /// Of a text that was read before; of one that cannot be, nothing is known.
    pub fn of(text: &str) -> Self {
        Places(tree::parse(text).unwrap_or_default())
    }

    /// The line of a field, or of what of it is there, in the document that starts in this line.
    pub fn line(&self, document: u64, path: &str) -> u64 {
        let document_of = |node: &&tree::Node| node.at.line == document;
        self.0.iter().find(document_of).map_or(document, |node| node.place_of(path).line.max(1))
    }
}

impl ReadError {
    /// A field stands in a line of its own, which the document's first line is not.
    pub(crate) fn find_line(&mut self, places: &Places) {
        if let ReadError::NotAJob { line, path, .. } = self {
            *line = places.line(*line, path.trim_end_matches(": "));
        }
    }

    /// The document with the version that it should have, where that was removed.
    pub(crate) fn corrected(&self, text: &str) -> Option<ReadError> {
        let ReadError::NotAJob { file, line, message, .. } = self else { return None };
        let version = REMOVED.into_iter().find(|version| message.contains(&format!("{version:?}")))?;
        let text = mend::shown(text, *line)?.replacen(version, "batch/v1", 1);
        Some(ReadError::Corrected { file: file.clone(), text })
    }
}

/// Text that is no YAML: how it would be, where that is certain, and what its reader then says of it.
pub(crate) fn broken(
    file: &str,
    text: &str,
    error: &serde_saphyr::Error,
    wrong: impl FnOnce(&str) -> Option<Vec<ReadError>>,
) -> Vec<ReadError> {
    let Some((corrected, line, column)) = mend::beside(text) else { return vec![syntax(file, text, error)] };
    let file = file.to_owned();
    let deeper = usize::try_from(line).ok().and_then(|line| text.lines().nth(line.checked_sub(1)?));
    let key = deeper.and_then(|line| line.split(':').next()).unwrap_or_default().trim();
    let message = format!(
        "{key}: is deeper than the line before it, which has its value already; they belong side by side"
    );
    let mut errors = vec![ReadError::Syntax { file: file.clone(), line, column, message }];
    errors.extend(wrong(&corrected).into_iter().flatten());
    if !errors.iter().any(|error| matches!(error, ReadError::Corrected { .. })) {
        errors.extend(mend::shown(&corrected, 1).map(|text| ReadError::Corrected { file, text }));
    }
    errors
}

/// Versions in which Jobs and CronJobs once were.
pub(crate) const REMOVED: [&str; 3] = ["batch/v1beta1", "batch/v2alpha1", "extensions/v1beta1"];

pub(crate) fn syntax(file: &str, text: &str, error: &serde_saphyr::Error) -> ReadError {
    let Broken { line, column, cause } = plain::broken(text, error);
    ReadError::Syntax { file: file.to_owned(), line, column, message: cause }
}

/// Puts a document among the jobs or the errors; opens lists.
fn sort(
    file: &str,
    line: u64,
    path: &str,
    mut document: Value,
    jobs: &mut Vec<Document>,
    errors: &mut Vec<ReadError>,
) {
    let is_list = matches!(document["kind"].as_str(), Some("List" | "JobList"));
    if is_list && let Some(Value::Array(items)) = document.get_mut("items").map(Value::take) {
        for (index, item) in items.into_iter().enumerate() {
            sort(file, line, &format!("{path}items[{index}]."), item, jobs, errors);
        }
        return;
    }
    match check(&document) {
        Ok(()) => jobs.push(Document { file: file.to_owned(), line, job: document }),
        Err((field, message)) => {
            let path = format!("{path}{field}");
            let path = path.trim_end_matches('.');
            let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
            errors.push(ReadError::NotAJob { file: file.to_owned(), line, path, message });
        }
    }
}

fn check(document: &Value) -> Result<(), (&'static str, String)> {
    const ACCEPTED: &str = "accepted is a Kubernetes Job (apiVersion: batch/v1, kind: Job), a List of Jobs, a job file \
         (windlass: v1), or a magnus configuration (executor: {type: k8s-job})";
    if !document.is_object() {
        return Err(("", format!("is {}, not a mapping; {ACCEPTED}", noun(document))));
    }
    let text = |field: &'static str| match &document[field] {
        Value::String(text) if !text.is_empty() => Ok(text.as_str()),
        Value::Null | Value::String(_) => Err((field, format!("is missing; {ACCEPTED}"))),
        other => Err((field, format!("is {}, not a text; {ACCEPTED}", noun(other)))),
    };
    let (kind, version) = (text("kind")?, text("apiVersion")?);
    if kind != "Job" {
        let removed = match REMOVED.contains(&version) {
            true => format!("; its apiVersion {version:?} was removed from Kubernetes, write batch/v1"),
            false => String::new(),
        };
        if kind == "CronJob" {
            let hint = "is not one job, it makes one at every turn; `windlass cron create -f FILE` makes it";
            return Err(("kind", format!("{kind:?} {hint}{removed}")));
        }
        return Err(("kind", format!("{kind:?} is not accepted here; {ACCEPTED}{}", hint(kind))));
    }
    match version {
        "batch/v1" => Ok(()),
        removed if REMOVED.contains(&removed) => {
            Err(("apiVersion", format!("{version:?} was removed from Kubernetes; write batch/v1")))
        }
        _ => Err(("apiVersion", format!("{version:?} has no kind Job; write batch/v1"))),
    }
}

fn hint(kind: &str) -> &'static str {
    match kind {
        "job" | "jobs" | "JOB" => "; kinds begin with a capital letter: Job",
        "Pod" => "; write the Pod's metadata and spec as spec.template of a Job",
        _ => "",
    }
}

pub(crate) fn noun(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
