//! Reads files of CronJobs: what is wrong is told with file, line and field, before anything is sent.

use serde_json::{Value, json};
use serde_saphyr::Spanned;

use crate::fields::{Faults, nearest};
use crate::formats::Doubt;
use crate::lint;
use crate::read::{MAX_FILE, Places, REMOVED, ReadError, broken, noun};
use crate::tree::{self, Node};

/// What a file of CronJobs holds.
#[derive(Clone, Debug, PartialEq)]
pub struct CronReading {
    /// At least one.
    pub crons: Vec<CronWritten>,
    /// Fields that only the cluster may know; `job` counts the CronJobs.
    pub doubts: Vec<Doubt>,
}

/// One CronJob as somebody wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct CronWritten {
    /// Where it starts, from 1.
    pub line: u64,
    /// `apiVersion: batch/v1`, `kind: CronJob`.
    pub cron: Value,
}

/// The fields of a CronJob's spec.
const SPEC: [&str; 8] = [
    "concurrencyPolicy",
    "failedJobsHistoryLimit",
    "jobTemplate",
    "schedule",
    "startingDeadlineSeconds",
    "successfulJobsHistoryLimit",
    "suspend",
    "timeZone",
];
/// Fields of a Job's spec that people write in the CronJob's.
const OF_JOB: [&str; 7] = [
    "activeDeadlineSeconds",
    "backoffLimit",
    "completions",
    "completionMode",
    "parallelism",
    "template",
    "ttlSecondsAfterFinished",
];

/// Whether a file is meant to hold CronJobs; also of one that cannot be read.
pub fn is(text: &str) -> bool {
    let says = |document: &Value| {
        let items = document["items"].as_array().into_iter().flatten();
        document["kind"] == "CronJob" || items.into_iter().any(|item| item["kind"] == "CronJob")
    };
    match serde_saphyr::from_multiple::<Value>(text) {
        Ok(documents) => documents.iter().any(says),
        Err(_) => text.lines().any(|line| line.trim().trim_start_matches("- ") == "kind: CronJob"),
    }
}

/// Reads every CronJob of a file's text.
///
/// # Errors
/// All that is wrong.
pub fn read(file: &str, text: &str) -> Result<CronReading, Vec<ReadError>> {
    if text.len() > MAX_FILE {
        return Err(vec![ReadError::TooLong { file: file.to_owned(), limit: MAX_FILE }]);
    }
    let documents: Vec<Spanned<Value>> = serde_saphyr::from_multiple(text)
        .map_err(|error| broken(file, text, &error, |corrected| read(file, corrected).err()))?;
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for document in documents.into_iter().filter(|document| !document.value.is_null()) {
        sort(file, document.referenced.line().max(1), "", document.value, &mut found, &mut errors);
    }
    if found.is_empty() && errors.is_empty() {
        errors.push(ReadError::Empty { file: file.to_owned() });
    }
    if !errors.is_empty() {
        let places = Places::of(text);
        let corrected: Vec<ReadError> = errors.iter().filter_map(|error| error.corrected(text)).collect();
        errors.iter_mut().for_each(|error| error.find_line(&places));
        errors.extend(corrected);
        return Err(errors);
    }
    let doubts = check(file, text, &found)?;
    let crons = found.into_iter().map(|(line, _, cron)| CronWritten { line, cron }).collect();
    Ok(CronReading { crons, doubts })
}

/// A CronJob with the line of its document and its path in there.
type Placed = (u64, String, Value);

fn sort(
    file: &str,
    line: u64,
    path: &str,
    mut document: Value,
    found: &mut Vec<Placed>,
    errors: &mut Vec<ReadError>,
) {
    let is_list = matches!(document["kind"].as_str(), Some("List" | "CronJobList"));
    if is_list && let Some(Value::Array(items)) = document.get_mut("items").map(Value::take) {
        for (index, item) in items.into_iter().enumerate() {
            sort(file, line, &format!("{path}items[{index}]."), item, found, errors);
        }
        return;
    }
    let wrong = |field: &str, message: String| ReadError::NotAJob {
        file: file.to_owned(),
        line,
        path: format!("{path}{field}: "),
        message,
    };
    match (document["kind"].as_str(), document["apiVersion"].as_str()) {
        (Some("CronJob"), Some("batch/v1")) => found.push((line, path.to_owned(), document)),
        (Some("CronJob"), Some(removed)) if REMOVED.contains(&removed) => {
            errors.push(wrong(
                "apiVersion",
                format!("{removed:?} was removed from Kubernetes; write batch/v1"),
            ));
        }
        (Some("CronJob"), Some(other)) => {
            errors.push(wrong("apiVersion", format!("{other:?} has no kind CronJob; write batch/v1")));
        }
        (Some("CronJob"), None) => {
            errors.push(wrong("apiVersion", format!("is {}; write batch/v1", noun(&document["apiVersion"]))));
        }
        (Some(kind), _) => {
            let message = format!("{kind:?} stands beside CronJobs; create them from files of their own");
            errors.push(wrong("kind", message));
        }
        (None, _) => errors.push(wrong("kind", format!("is {}, not a text", noun(&document["kind"])))),
    }
}

/// What Kubernetes' types say of the CronJobs: what is certainly wrong, and what only the cluster may know.
fn check(file: &str, text: &str, crons: &[Placed]) -> Result<Vec<Doubt>, Vec<ReadError>> {
    let documents = tree::parse(text).unwrap_or_default();
    let (mut faults, mut doubts) = (Faults::of(file), Vec::new());
    for (index, (line, prefix, cron)) in crons.iter().enumerate() {
        let root = documents.iter().find(|document: &&Node| document.at.line == *line);
        let place = |path: &str| root.map(|root| root.place_of(path)).unwrap_or_default();
        let mut unknown = Vec::new();
        for (path, message) in wrong(cron, &mut unknown) {
            let path = format!("{prefix}{path}");
            faults.add(place(&path), path, message);
        }
        doubts.extend(unknown.into_iter().map(|path| {
            let path = format!("{prefix}{path}");
            Doubt { job: index, line: place(&path).line, path }
        }));
    }
    faults.or(doubts)
}

/// What is wrong with a CronJob, by path; and the fields that are not known.
fn wrong(cron: &Value, unknown: &mut Vec<String>) -> Vec<(String, String)> {
    const TEMPLATE: &str = "spec.jobTemplate";
    let mut wrong = Vec::new();
    for key in cron["spec"].as_object().into_iter().flat_map(|spec| spec.keys()) {
        let path = format!("spec.{key}");
        match nearest(key, &SPEC) {
            _ if SPEC.contains(&key.as_str()) => {}
            _ if OF_JOB.contains(&key.as_str()) => {
                wrong.push((path, format!("is at the wrong level; it belongs to {TEMPLATE}.spec.{key}")));
            }
            Some(near) => wrong.push((path, format!("is not known to Kubernetes; did you mean {near}?"))),
            None => unknown.push(path),
        }
    }
    let template = &cron["spec"]["jobTemplate"];
    for key in template.as_object().into_iter().flat_map(|template| template.keys()) {
        let path = format!("{TEMPLATE}.{key}");
        match key.as_str() {
            "metadata" | "spec" => {}
            key if OF_JOB.contains(&key) => {
                wrong.push((path, format!("is at the wrong level; it belongs to {TEMPLATE}.spec.{key}")));
            }
            key if SPEC.contains(&key) => {
                wrong.push((path, format!("is at the wrong level; it belongs to spec.{key}")));
            }
            _ => unknown.push(path),
        }
    }
    mistyped(&cron["spec"], &mut wrong);
    // Its own metadata is written as a Job's is.
    if let Some(metadata) = cron.get("metadata") {
        let found = lint::lint(&json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata }));
        wrong.extend(found.wrong.into_iter().filter(|(path, _)| path.starts_with("metadata")));
        unknown.extend(found.unknown.into_iter().filter(|path| path.starts_with("metadata")));
    }
    let metadata = template.get("metadata").cloned().unwrap_or_else(|| json!({}));
    let job =
        json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"] });
    let found = lint::lint(&job);
    let below = |path: &str| format!("{TEMPLATE}.{path}");
    wrong.extend(found.wrong.into_iter().map(|(path, message)| (below(&path), message)));
    wrong.extend(found.misplaced.into_iter().map(|(path, home)| {
        let key = path.rsplit('.').next().unwrap_or(&path);
        (below(&path), format!("is at the wrong level; it belongs to {}.{key}", below(home)))
    }));
    unknown.extend(found.unknown.iter().map(|path| below(path)));
    wrong
}

/// The fields of the spec that are of another type than Kubernetes'.
fn mistyped(spec: &Value, wrong: &mut Vec<(String, String)>) {
    let mut check = |field: &str, wanted: &str, fits: fn(&Value) -> bool| {
        let value = &spec[field];
        if !value.is_null() && !fits(value) {
            wrong.push((format!("spec.{field}"), format!("is {}; it must be {wanted}", noun(value))));
        }
    };
    for field in ["schedule", "timeZone", "concurrencyPolicy"] {
        check(field, "a text, in quotes", Value::is_string);
    }
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        check(field, "a whole number", |value| value.is_i64() || value.is_u64());
    }
    check("suspend", "true or false", Value::is_boolean);
    check("jobTemplate", "a mapping", Value::is_object);
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn mistakes_of_the_metadata_are_named_by_line() {
        let text = "apiVersion: batch/v1\nkind: CronJob\nmetadata:\n  name: c\n  annotations: foo\nspec:\n  schedule: '* * * * *'\n\
                    \x20 jobTemplate:\n    spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}}\n";
        let said = read("c.yaml", text).unwrap_err().iter().map(ToString::to_string).collect::<String>();
        assert!(said.starts_with("c.yaml:5") && said.contains("metadata.annotations"), "{said}");
        assert!(read("c.yaml", &text.replace("foo", "{a: b}")).unwrap().doubts.is_empty());
    }
}
