//! The columns of Jobs. Source: upstream printJob in pkg/printers/internalversion/printers.go.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Column;
use crate::kinds::common::{AGE, NAME, column, has_condition, wide};
use crate::kinds::json::{int, is_set};
use crate::kinds::table;

/// The columns.
pub(crate) const COLUMNS: &[Column] = &[
    NAME,
    column("Status", "Status of the job."),
    column("Completions", "Pods that succeeded, of those wanted."),
    column("Duration", "How long the job ran, or has been running."),
    AGE,
    wide("Containers", "Names of the template's containers."),
    wide("Images", "Images of the template's containers."),
    wide("Selector", "Which pods the job counts as its own."),
];

/// One row.
pub(crate) fn cells(job: &Value, now: Timestamp) -> Vec<Value> {
    let [names, images] = table::containers(&job["spec"]["template"]["spec"]);
    vec![
        table::name(job),
        status(job).into(),
        completions(job).into(),
        duration(job, now).into(),
        table::age(job, now),
        names.into(),
        images.into(),
        table::selector(&job["spec"]["selector"]).into(),
    ]
}

fn status(job: &Value) -> &'static str {
    let is_true = |kind| has_condition(&job["status"], kind, "True");
    if is_true("Complete") {
        "Complete"
    } else if is_true("Failed") {
        "Failed"
    } else if is_set(&job["metadata"], "deletionTimestamp") {
        "Terminating"
    } else if is_true("Suspended") {
        "Suspended"
    } else if is_true("FailureTarget") {
        "FailureTarget"
    } else if is_true("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions(job: &Value) -> String {
    let succeeded = int(&job["status"], "succeeded").unwrap_or(0);
    let spec = &job["spec"];
    match (int(spec, "completions"), int(spec, "parallelism").unwrap_or(0)) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn duration(job: &Value, now: Timestamp) -> String {
    let status = &job["status"];
    let Some(start) = table::time(status, "startTime") else { return String::new() };
    let end = table::time(status, "completionTime").unwrap_or(now);
    table::human_duration(table::seconds_between(start, end))
}
