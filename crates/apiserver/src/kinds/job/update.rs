//! What an update of a Job may change.
//!
//! Sources: upstream pkg/apis/batch/validation/validation.go and pkg/registry/batch/job/strategy.go (KEP-5440 for what a
//! suspended Job may change).

use serde_json::Value;

use super::default::{CONTROLLER_UID, JOB_NAME};
use super::{status, validate};
use crate::field::{Errors, FieldError};
use crate::kinds::common::has_condition;
use crate::kinds::json::{flag, int, is_set, items, items_mut, object, put, same, text};
use crate::kinds::rules::immutable;

/// Every problem of a change of a Job, through its own door or through `/status`.
pub(crate) fn validate_update(new: &Value, old: &Value, of_status: bool) -> Errors {
    if of_status {
        return status::validate(new, old);
    }
    let labels = &old["spec"]["template"]["metadata"]["labels"];
    let prefixed = is_set(labels, JOB_NAME) && is_set(labels, CONTROLLER_UID);
    let mut errors = validate::checked(new, prefixed);
    let (new_spec, old_spec) = (&new["spec"], &old["spec"]);
    completions(&mut errors, new_spec, old_spec);
    immutable(&mut errors, new_spec, old_spec, "spec", "selector");
    template(&mut errors, new_spec, old);
    for key in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
        immutable(&mut errors, new_spec, old_spec, "spec", key);
    }
    errors
}

/// Only Indexed Jobs may change how often they run, and only together with their parallelism.
fn completions(errors: &mut Errors, new: &Value, old: &Value) {
    if text(new, "completionMode") != "Indexed" {
        immutable(errors, new, old, "spec", "completions");
        return;
    }
    let wanted = int(new, "completions");
    if wanted.is_some() && wanted != int(old, "completions") && wanted != int(new, "parallelism") {
        errors.push(FieldError::invalid(
            "spec.completions",
            new["completions"].clone(),
            "can only be modified in tandem with spec.parallelism",
        ));
    }
}

/// Whether the Job is suspended and no pod of it lives: then parts of its template may change.
fn is_at_rest(job: &Value) -> bool {
    let status = &job["status"];
    flag(&job["spec"], "suspend")
        && (!is_set(status, "startTime") || has_condition(status, "Suspended", "True"))
        && int(status, "active").unwrap_or(0) == 0
}

fn template(errors: &mut Errors, new_spec: &Value, old: &Value) {
    let new = &new_spec["template"];
    let mut expected = old["spec"]["template"].clone();
    if !is_at_rest(old) || !expected.is_object() {
        if !same(new, &expected) {
            errors.push(FieldError::invalid("spec.template", new.clone(), "field is immutable"));
        }
        return;
    }
    allow_scheduling(&mut expected, new);
    allow_resources(&mut expected["spec"], &new["spec"]);
    if !same(&new["spec"], &expected["spec"]) {
        errors.push(FieldError::invalid("spec.template.spec", new["spec"].clone(), "field is immutable"));
    }
}

/// Takes over what decides where the pods run.
fn allow_scheduling(expected: &mut Value, new: &Value) {
    for (part, keys) in [
        ("metadata", &["labels", "annotations"] as &[&str]),
        ("spec", &["nodeSelector", "tolerations", "schedulingGates"]),
    ] {
        if let Some(target) = object(expected, part) {
            for key in keys {
                put(target, key, new[part][key].clone());
            }
        }
    }
    let Some(spec) = object(expected, "spec") else { return };
    let wanted = new["spec"]["affinity"]["nodeAffinity"].clone();
    if let Some(affinity) = object(spec, "affinity") {
        put(affinity, "nodeAffinity", wanted);
    }
    // An affinity that held nothing else may be left out.
    let is_empty = |affinity: &Value| affinity.as_object().is_none_or(serde_json::Map::is_empty);
    if is_empty(&spec["affinity"]) && is_empty(&new["spec"]["affinity"]) {
        put(spec, "affinity", new["spec"]["affinity"].clone());
    }
}

/// Takes over the resources of containers that kept their place and name.
fn allow_resources(expected: &mut Value, new: &Value) {
    for list in ["containers", "initContainers"] {
        let wanted = items(new, list);
        if wanted.len() != items(expected, list).len() {
            continue;
        }
        for (container, wanted) in items_mut(expected, list).zip(wanted) {
            if container["name"] == wanted["name"] {
                put(container, "resources", wanted["resources"].clone());
            }
        }
    }
}
