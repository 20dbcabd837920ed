//! Reads files of Kubernetes manifests: YAML or JSON, one document or several.

use serde_json::Value;

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The file it came from, as the user named it (`-` is standard input).
    pub file: String,
    /// The line in which the document starts, from 1.
    pub line: usize,
    /// The Job: a mapping of `apiVersion: batch/v1`, `kind: Job`.
    pub job: Value,
}

/// Why a file is not a list of Jobs. The message names file, line and column, and the field where there is one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReadError {
    /// The text is neither YAML nor JSON.
    #[error("{file}:{line}:{column}: {message}")]
    Syntax {
        /// The file as the user named it.
        file: String,
        /// From 1.
        line: u64,
        /// From 1.
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
        line: usize,
        /// The field and `: `, or empty.
        path: String,
        /// What is wrong and what is accepted.
        message: String,
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

/// Reads every Job of a file's text. `kind: List` is opened; empty documents are skipped.
///
/// # Errors
/// All that is wrong, one error for each document.
pub fn read_documents(file: &str, text: &str) -> Result<Vec<Document>, Vec<ReadError>> {
    todo!("{file} {text}")
}
