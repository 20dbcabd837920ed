//! What a Job's spec may say. Source: upstream pkg/apis/batch/validation/validation.go.

use serde_json::{Value, json};

use super::default::{CONTROLLER_UID, JOB_NAME, LEGACY_CONTROLLER_UID, LEGACY_JOB_NAME};
use super::policy;
use crate::field::{Errors, FieldError};
use crate::kinds::json::{flag, int, is_set, text};
use crate::kinds::pod::{fate, validate as pod};
use crate::kinds::rules::{at, entry, not_negative, optional_choice};
use crate::kinds::selector;
use crate::names;

/// The most pods of an Indexed Job at a time, and the most failed indexes: they bound the lists in the status.
const INDEXED_LIMIT: i64 = 100_000;
/// From here on, back-off per index is bounded by [`HIGH_LIMIT`].
const HIGH_COMPLETIONS: i64 = 100_000;
const HIGH_LIMIT: i64 = 10_000;
/// The longest `managedBy`, in bytes.
const MANAGED_BY_MAX: usize = 63;

/// Every problem of a new Job.
pub(crate) fn validate(job: &Value) -> Errors {
    checked(job, true)
}

/// Every problem of a Job; `prefixed` where the generated labels must be there in their newer spelling too.
pub(super) fn checked(job: &Value, prefixed: bool) -> Errors {
    let mut errors = Errors::new();
    generated_selector(&mut errors, job, prefixed);
    fate::misplaced(&mut errors, job, "", "spec.template");
    spec(&mut errors, &job["spec"], "spec");
    hostname(&mut errors, job);
    errors
}

/// Warnings for the writer.
pub(crate) fn warnings(job: &Value) -> Vec<String> {
    let mut warnings = name_warnings(job);
    warnings.extend(spec_warnings(&job["spec"], "spec"));
    warnings
}

/// Warnings about the name of what makes pods.
pub(crate) fn name_warnings(object: &Value) -> Vec<String> {
    let wrong = names::dns_label(text(&object["metadata"], "name"));
    if wrong.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [{}]",
        wrong.join(" ")
    )]
}

/// Warnings about a Job's spec, wherever it stands.
pub(crate) fn spec_warnings(spec: &Value, path: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    let many = |key, limit| int(spec, key).is_some_and(|v| v > limit);
    if text(spec, "completionMode") == "Indexed"
        && many("completions", 100_000)
        && many("parallelism", 10_000)
    {
        warnings.push(format!(
            "{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        ));
    }
    let template = at(path, "template.spec");
    warnings.extend(crate::kinds::pod::warnings::of_spec(&spec["template"]["spec"], &template));
    warnings
}

/// The generated selector and labels, unless the selector is the user's own.
fn generated_selector(errors: &mut Errors, job: &Value, prefixed: bool) {
    let spec = &job["spec"];
    if flag(spec, "manualSelector") || !is_set(spec, "selector") {
        return;
    }
    let (name, uid) = (text(&job["metadata"], "name"), text(&job["metadata"], "uid"));
    if uid.is_empty() {
        errors.push(FieldError::required("metadata.uid", ""));
    }
    let mut expected = vec![(LEGACY_CONTROLLER_UID, uid), (LEGACY_JOB_NAME, name)];
    if prefixed {
        expected.extend([(CONTROLLER_UID, uid), (JOB_NAME, name)]);
    }
    let labels = &spec["template"]["metadata"]["labels"];
    let path = |key: &str| entry("spec.template.metadata.labels", key);
    for (key, value) in &expected {
        match labels.get(key).and_then(Value::as_str) {
            None => errors.push(FieldError::required(path(key), format!("must be '{value}'"))),
            Some(found) if found != *value => {
                errors.push(FieldError::invalid(path(key), labels.clone(), format!("must be '{value}'")));
            }
            Some(_) => {}
        }
    }
    if prefixed && is_generated(&spec["selector"], uid) {
        return;
    }
    let expected: Value = expected.into_iter().map(|(k, v)| (k.to_owned(), json!(v))).collect();
    if selector::matches(&spec["selector"], &expected) == Some(false) {
        let given = spec["selector"].clone();
        errors.push(FieldError::invalid("spec.selector", given, "`selector` not auto-generated"));
    }
}

/// Whether a selector is the one that a Job of this uid is given, and no more.
fn is_generated(selector: &Value, uid: &str) -> bool {
    let labels = &selector["matchLabels"];
    let single = |value: &Value| value.as_object().is_some_and(|map| map.len() == 1);
    single(selector) && single(labels) && labels[CONTROLLER_UID] == uid
}

/// The pods of an Indexed Job take their host names from the Job's.
fn hostname(errors: &mut Errors, job: &Value) {
    let spec = &job["spec"];
    let Some(completions) = int(spec, "completions").filter(|c| *c > 0) else { return };
    if text(spec, "completionMode") != "Indexed" {
        return;
    }
    let name = text(&job["metadata"], "name");
    let longest = format!("{name}-{}", completions - 1);
    if !names::dns_label(&longest).is_empty() {
        let detail = format!("will not able to create pod with invalid DNS label: {longest}");
        errors.push(FieldError::invalid("metadata.name", name, detail));
    }
}

fn spec(errors: &mut Errors, spec: &Value, path: &str) {
    unselected(errors, spec, path);
    match &spec["selector"] {
        Value::Null => errors.push(FieldError::required(at(path, "selector"), "")),
        given => selector::validate(errors, given, &at(path, "selector")),
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if selector::matches(&spec["selector"], labels) == Some(false) {
        errors.push(FieldError::invalid(
            at(path, "template.metadata.labels"),
            labels.clone(),
            "`selector` does not match template `labels`",
        ));
    }
}

/// What is wrong with a spec but for its selector, which a CronJob's template does not have.
pub(crate) fn unselected(errors: &mut Errors, spec: &Value, path: &str) {
    let numbers = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    not_negative(errors, spec, path, &numbers);
    if is_set(spec, "maxFailedIndexes") && !is_set(spec, "backoffLimitPerIndex") {
        let path = at(path, "backoffLimitPerIndex");
        errors.push(FieldError::required(path, "when maxFailedIndexes is specified"));
    }
    managed_by(errors, spec, path);
    optional_choice(errors, spec, path, "completionMode", &["NonIndexed", "Indexed"]);
    match spec["completionMode"].as_str() {
        Some("Indexed") => indexed(errors, spec, path),
        Some("NonIndexed") | None => not_indexed(errors, spec, path),
        Some(_) => {}
    }
    policy::validate(errors, spec, path);
    pod::template(errors, &spec["template"], &at(path, "template"));
    if text(spec, "completionMode") != "Indexed" {
        fate::unindexed(errors, &spec["template"], &at(path, "template"));
    }
    restart_policy(errors, spec, path);
}

fn managed_by(errors: &mut Errors, spec: &Value, path: &str) {
    if !is_set(spec, "managedBy") {
        return;
    }
    let (path, value) = (at(path, "managedBy"), text(spec, "managedBy"));
    if value.is_empty() {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    for (part, wrong) in names::domain_prefixed_path(value) {
        errors.push(FieldError::invalid(&path, part, wrong));
    }
    if value.len() > MANAGED_BY_MAX {
        errors.push(FieldError::too_long(&path, MANAGED_BY_MAX));
    }
}

fn indexed(errors: &mut Errors, spec: &Value, path: &str) {
    let completions = int(spec, "completions");
    let parallelism = int(spec, "parallelism").unwrap_or(0);
    let failed = int(spec, "maxFailedIndexes");
    let mut refuse = |key: &str, value: i64, detail: String| {
        errors.push(FieldError::invalid(at(path, key), value, detail));
    };
    if parallelism > INDEXED_LIMIT {
        let detail = format!("must be less than or equal to {INDEXED_LIMIT} when completion mode is Indexed");
        refuse("parallelism", parallelism, detail);
    }
    if let (Some(failed), Some(completions)) = (failed, completions)
        && failed > completions
    {
        refuse("maxFailedIndexes", failed, "must be less than or equal to completions".to_owned());
    }
    if let Some(failed) = failed.filter(|f| *f > INDEXED_LIMIT) {
        refuse("maxFailedIndexes", failed, format!("must be less than or equal to {INDEXED_LIMIT}"));
    }
    if completions.is_none() {
        let detail = "when completion mode is Indexed";
        errors.push(FieldError::required(at(path, "completions"), detail));
    }
    if completions.is_some_and(|c| c > HIGH_COMPLETIONS) && is_set(spec, "backoffLimitPerIndex") {
        many_indexes(errors, path, parallelism, failed);
    }
}

fn many_indexes(errors: &mut Errors, path: &str, parallelism: i64, failed: Option<i64>) {
    let detail = format!(
        "must be less than or equal to {HIGH_LIMIT} when completions are above {HIGH_COMPLETIONS} and used with backoff limit per index"
    );
    if failed.is_none() {
        errors.push(FieldError::required(
            at(path, "maxFailedIndexes"),
            format!("must be specified when completions is above {HIGH_COMPLETIONS}"),
        ));
    }
    if parallelism > HIGH_LIMIT {
        errors.push(FieldError::invalid(at(path, "parallelism"), parallelism, detail.clone()));
    }
    if let Some(failed) = failed.filter(|f| *f > HIGH_LIMIT) {
        errors.push(FieldError::invalid(at(path, "maxFailedIndexes"), failed, detail));
    }
}

fn not_indexed(errors: &mut Errors, spec: &Value, path: &str) {
    for key in ["backoffLimitPerIndex", "maxFailedIndexes"] {
        if is_set(spec, key) {
            let value = spec[key].clone();
            errors.push(FieldError::invalid(at(path, key), value, "requires indexed completion mode"));
        }
    }
}

/// A Job's pods end: `Always` is also what an absent policy was filled with.
fn restart_policy(errors: &mut Errors, spec: &Value, path: &str) {
    let path = at(path, "template.spec.restartPolicy");
    match text(&spec["template"]["spec"], "restartPolicy") {
        "" | "Always" => {
            errors.push(FieldError::required(path, "valid values: \"OnFailure\", \"Never\""));
        }
        "Never" => {}
        "OnFailure" => {
            if is_set(spec, "podFailurePolicy") {
                let detail = "only \"Never\" is supported when podFailurePolicy is specified";
                errors.push(FieldError::invalid(path, "OnFailure", detail));
            }
        }
        other => errors.push(FieldError::not_supported(path, other, &["OnFailure", "Never"])),
    }
}
