//! `--result-file`: how a job ended, cause and code apart, because a job may itself end with 124 or 125.

use std::path::Path;

use serde::Serialize;
use windlass::Outcome as Ended;
use windlass::manifest::Cause;
use windlass::manifest::tasks::FailureGroup;

use crate::exit::Exit;
use crate::fail::{Failure, Outcome};

/// One job's end.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Result<'a> {
    job: &'a str,
    exit_code: u8,
    cause: &'a Cause,
    /// Of a job with several tasks those that failed.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    failures: &'a [FailureGroup],
}

/// The file's content.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    jobs: Vec<Result<'a>>,
}

/// Writes the file, if one was asked for: the ends of jobs, and what Windlass itself met with.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(place: Option<&Path>, result: &Outcome, ends: &[Ended]) -> Outcome<()> {
    let Some(place) = place else { return Ok(()) };
    let (exit, error) = match result {
        Ok(exit) => (*exit, None),
        Err(failure) => (failure.code(), Some(failure.to_string())),
    };
    let content = content(exit, error, ends);
    let text = crate::out::json(&content)?;
    std::fs::write(place, text).map_err(|error| Failure::new(place.display().to_string(), error))
}

fn content(exit: Exit, error: Option<String>, ends: &[Ended]) -> Content<'_> {
    let jobs = ends.iter().map(|end| Result {
        job: &end.name,
        exit_code: end.exit.code(),
        cause: &end.cause,
        failures: &end.status.verdict.failures,
    });
    Content { exit_code: exit.0, error, jobs: jobs.collect() }
}
