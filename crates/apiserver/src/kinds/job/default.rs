//! What a Job becomes before it is stored: defaults, the generated selector, and what an update may not touch.
//!
//! Sources: upstream pkg/apis/batch/v1/defaults.go and pkg/registry/batch/job/strategy.go.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::kind::{Fields, Rest};
use crate::kinds::common::{self, condition};
use crate::kinds::json::{fill, fill_text, flag, int, is_set, items_mut, object, set, text};
use crate::kinds::pod::{default as pod, disabled};

/// The label that ties a pod to its Job's uid.
pub(super) const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";
/// The label that carries the Job's name.
pub(super) const JOB_NAME: &str = "batch.kubernetes.io/job-name";
/// The older spelling of [`CONTROLLER_UID`].
pub(super) const LEGACY_CONTROLLER_UID: &str = "controller-uid";
/// The older spelling of [`JOB_NAME`].
pub(super) const LEGACY_JOB_NAME: &str = "job-name";

/// Where its pods' spec is.
const POD_SPEC: &str = "/spec/template/spec";

/// Fills absent fields of a Job and of its pod template.
pub(crate) fn fill_defaults(job: &mut Value) {
    object(job, "metadata");
    object(job, "status");
    if let Some(spec) = object(job, "spec") {
        fill_spec(spec);
    }
    // A new Job takes its template's labels once the generated ones are there (`prepare_create`); upstream gets
    // the same from two maps that share their memory.
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    let generated = is_set(labels, CONTROLLER_UID) && labels[CONTROLLER_UID] == job["metadata"]["uid"];
    if generated || flag(&job["spec"], "manualSelector") {
        take_labels_of_template(job);
    }
}

fn fill_spec(spec: &mut Value) {
    if !is_set(spec, "completions") && !is_set(spec, "parallelism") {
        set(spec, "completions", 1);
    }
    fill(spec, "parallelism", 1);
    let backoff = if is_set(spec, "backoffLimitPerIndex") { i32::MAX } else { 6 };
    fill(spec, "backoffLimit", backoff);
    fill(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    let replacement = if is_set(spec, "podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    fill(spec, "podReplacementPolicy", replacement);
    fill(spec, "manualSelector", false);
    fill_parts(spec);
}

/// Fills what is below a Job's spec, which is all that is filled of a CronJob's template.
pub(crate) fn fill_parts(spec: &mut Value) {
    if let Some(policy) = crate::kinds::json::given(spec, "podFailurePolicy") {
        for rule in items_mut(policy, "rules") {
            for pattern in items_mut(rule, "onPodConditions") {
                fill_text(pattern, "status", "True");
            }
        }
    }
    if let Some(template) = object(spec, "template") {
        pod::fill_template(template);
    }
}

fn take_labels_of_template(job: &mut Value) {
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    let absent = job["metadata"]["labels"].as_object().is_none_or(serde_json::Map::is_empty);
    if absent && labels.as_object().is_some_and(|l| !l.is_empty()) {
        let labels = labels.clone();
        set(&mut job["metadata"], "labels", labels);
    }
}

/// A new Job: no status, generation 1, selector and labels generated unless the selector is the user's own.
pub(crate) fn prepare_create(job: &mut Value) {
    set(job, "status", json!({}));
    if let Some(metadata) = object(job, "metadata") {
        set(metadata, "generation", 1);
    }
    if !flag(&job["spec"], "manualSelector") {
        generate_selector(job);
    }
    take_labels_of_template(job);
    disabled::forget_below(job, &Value::Null, POD_SPEC);
}

fn generate_selector(job: &mut Value) {
    let name = text(&job["metadata"], "name").to_owned();
    let uid = text(&job["metadata"], "uid").to_owned();
    let Some(spec) = object(job, "spec") else { return };
    let labels =
        object(spec, "template").and_then(|t| object(t, "metadata")).and_then(|m| object(m, "labels"));
    if let Some(labels) = labels {
        // A conflicting label of the user's stays, and validation refuses it.
        for (key, value) in [
            (LEGACY_JOB_NAME, &name),
            (JOB_NAME, &name),
            (LEGACY_CONTROLLER_UID, &uid),
            (CONTROLLER_UID, &uid),
        ] {
            fill(labels, key, value.as_str());
        }
    }
    if let Some(labels) = object(spec, "selector").and_then(|s| object(s, "matchLabels")) {
        fill(labels, CONTROLLER_UID, uid.as_str());
    }
}

/// An update of the Job itself: the status stays; a changed spec counts the generation up.
pub(crate) fn prepare_update(new: &mut Value, old: &Value) {
    common::keep_status(new, old);
    disabled::forget_below(new, old, POD_SPEC);
    common::count_generation(new, old);
}

/// An update of the status: the spec stays, and what counts it.
pub(crate) fn prepare_status(new: &mut Value, old: &Value) {
    common::keep_all_but_status(new, old);
}

/// The field selectors of Jobs.
pub(crate) fn fields(job: &dyn Fields) -> Vec<(&'static str, String)> {
    vec![("status.successful", int(&job["status"], "succeeded").unwrap_or(0).to_string())]
}

/// A finished Job is only waited for until its time to live is over.
pub(crate) fn rest(job: &dyn Fields) -> Rest {
    let status = &job["status"];
    let finished = ["Complete", "Failed"]
        .into_iter()
        .find_map(|kind| condition(status, kind).filter(|condition| text(condition, "status") == "True"));
    let Some(finished) = finished.filter(|_| !is_set(&job["metadata"], "deletionTimestamp")) else {
        return Rest::None;
    };
    let since = text(finished, "lastTransitionTime").parse::<Timestamp>().ok();
    let lives = int(&job["spec"], "ttlSecondsAfterFinished").map(|ttl| SignedDuration::from_secs(ttl.max(0)));
    let until = since.zip(lives).and_then(|(since, lives)| since.checked_add(lives).ok());
    until.map_or(Rest::Settled, Rest::Until)
}
