//! A Job's policies: what its pods' failures mean, when it has succeeded, when pods are replaced.
//!
//! Source: upstream pkg/apis/batch/validation/validation.go.

use std::collections::BTreeSet;

use serde_json::Value;

use super::indexes;
use crate::field::{Errors, FieldError};
use crate::kinds::json::{int, is_set, items, text};
use crate::kinds::rules::{at, item, not_negative, wrong};
use crate::names;

const MAX_RULES: usize = 20;
const MAX_EXIT_CODES: usize = 255;
const MAX_CONDITIONS: usize = 20;
/// The longest `succeededIndexes`, in bytes.
const MAX_INDEXES: usize = 64 * 1024;

/// Every problem of the policies in a Job's spec.
pub(super) fn validate(errors: &mut Errors, spec: &Value, path: &str) {
    if is_set(spec, "podFailurePolicy") {
        failure(errors, spec, &at(path, "podFailurePolicy.rules"));
    }
    if is_set(spec, "successPolicy") {
        let path = at(path, "successPolicy");
        if text(spec, "completionMode") == "Indexed" {
            success(errors, spec, &at(&path, "rules"));
        } else {
            let given = spec["successPolicy"].clone();
            errors.push(FieldError::invalid(path, given, "requires indexed completion mode"));
        }
    }
    let supported: &[&str] =
        if is_set(spec, "podFailurePolicy") { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    crate::kinds::rules::optional_choice(errors, spec, path, "podReplacementPolicy", supported);
}

fn failure(errors: &mut Errors, spec: &Value, path: &str) {
    let rules = items(&spec["podFailurePolicy"], "rules");
    if rules.len() > MAX_RULES {
        errors.push(FieldError::too_many(path, rules.len(), MAX_RULES));
    }
    let template = &spec["template"]["spec"];
    let containers: BTreeSet<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|list| items(template, list))
        .map(|container| text(container, "name"))
        .collect();
    for (i, rule) in rules.iter().enumerate() {
        let path = item(path, i);
        action(errors, spec, rule, &path);
        let (codes, conditions) = (is_set(rule, "onExitCodes"), items(rule, "onPodConditions"));
        if codes {
            exit_codes(errors, &rule["onExitCodes"], &at(&path, "onExitCodes"), &containers);
        }
        pod_conditions(errors, conditions, &at(&path, "onPodConditions"));
        match (codes, conditions.is_empty()) {
            (true, false) => errors.push(FieldError::invalid_unsaid(
                path,
                "specifying both OnExitCodes and OnPodConditions is not supported",
            )),
            (false, true) => errors.push(FieldError::invalid_unsaid(
                path,
                "specifying one of OnExitCodes and OnPodConditions is required",
            )),
            _ => {}
        }
    }
}

fn action(errors: &mut Errors, spec: &Value, rule: &Value, path: &str) {
    let path = at(path, "action");
    match text(rule, "action") {
        "" => errors.push(FieldError::required(
            path,
            "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
        )),
        "FailIndex" if !is_set(spec, "backoffLimitPerIndex") => {
            errors.push(FieldError::invalid(
                path,
                "FailIndex",
                "requires the backoffLimitPerIndex to be set",
            ));
        }
        "Count" | "FailIndex" | "FailJob" | "Ignore" => {}
        other => {
            let supported = ["Count", "FailIndex", "FailJob", "Ignore"];
            errors.push(FieldError::not_supported(path, other, &supported));
        }
    }
}

fn exit_codes(errors: &mut Errors, on: &Value, path: &str, containers: &BTreeSet<&str>) {
    let operator = text(on, "operator");
    match operator {
        "" => errors.push(FieldError::required(at(path, "operator"), "valid values: [\"In\" \"NotIn\"]")),
        "In" | "NotIn" => {}
        other => errors.push(FieldError::not_supported(at(path, "operator"), other, &["In", "NotIn"])),
    }
    let container = text(on, "containerName");
    if is_set(on, "containerName") && !containers.contains(container) {
        errors.push(FieldError::invalid(
            at(path, "containerName"),
            container,
            "must be one of the container or initContainer names in the pod template",
        ));
    }
    let (path, values) = (at(path, "values"), items(on, "values"));
    if values.is_empty() {
        let given = Value::Array(Vec::new());
        errors.push(FieldError::invalid(&path, given, "at least one value is required"));
    } else if values.len() > MAX_EXIT_CODES {
        errors.push(FieldError::too_many(&path, values.len(), MAX_EXIT_CODES));
    }
    let codes: Vec<i64> = values.iter().filter_map(Value::as_i64).collect();
    let mut seen = BTreeSet::new();
    for (i, code) in codes.iter().enumerate() {
        if operator == "In" && *code == 0 {
            errors.push(FieldError::invalid(item(&path, i), 0, "must not be 0 for the In operator"));
        }
        if !seen.insert(code) {
            errors.push(FieldError::duplicate(item(&path, i), *code));
        }
    }
    if !codes.is_sorted() {
        errors.push(FieldError::invalid(path, on["values"].clone(), "must be ordered"));
    }
}

fn pod_conditions(errors: &mut Errors, patterns: &[Value], path: &str) {
    if patterns.len() > MAX_CONDITIONS {
        errors.push(FieldError::too_many(path, patterns.len(), MAX_CONDITIONS));
    }
    for (i, pattern) in patterns.iter().enumerate() {
        let path = item(path, i);
        let kind = text(pattern, "type");
        wrong(errors, &at(&path, "type"), kind, names::qualified_name(kind));
        match text(pattern, "status") {
            "" => errors.push(FieldError::required(
                at(&path, "status"),
                "valid values: [\"False\" \"True\" \"Unknown\"]",
            )),
            "True" | "False" | "Unknown" => {}
            other => {
                let supported = ["False", "True", "Unknown"];
                errors.push(FieldError::not_supported(at(&path, "status"), other, &supported));
            }
        }
    }
}

fn success(errors: &mut Errors, spec: &Value, path: &str) {
    let rules = items(&spec["successPolicy"], "rules");
    if rules.is_empty() {
        let detail = "at least one rules must be specified when the successPolicy is specified";
        errors.push(FieldError::required(path, detail));
    }
    if rules.len() > MAX_RULES {
        errors.push(FieldError::too_many(path, rules.len(), MAX_RULES));
    }
    // Without completions the Job is refused anyway; a limit of none keeps this check from inventing one.
    let completions = int(spec, "completions").unwrap_or(i64::MAX);
    for (i, rule) in rules.iter().enumerate() {
        success_rule(errors, rule, &item(path, i), completions);
    }
}

fn success_rule(errors: &mut Errors, rule: &Value, path: &str, completions: i64) {
    let (listed, wanted) = (rule["succeededIndexes"].as_str(), int(rule, "succeededCount"));
    if listed.is_none() && wanted.is_none() {
        let detail = "at least one of succeededCount or succeededIndexes must be specified";
        errors.push(FieldError::required(path, detail));
    }
    let mut total = None;
    if let Some(listed) = listed {
        let path = at(path, "succeededIndexes");
        if listed.len() > MAX_INDEXES {
            errors.push(FieldError::too_long(&path, MAX_INDEXES));
        }
        let counted = indexes::count(listed, completions);
        total = Some(*counted.as_ref().unwrap_or(&0));
        if let Err(error) = counted {
            let detail = format!("error parsing succeededIndexes: {error}");
            errors.push(FieldError::invalid(path, listed, detail));
        }
    }
    let Some(wanted) = wanted else { return };
    not_negative(errors, rule, path, &["succeededCount"]);
    let limits = [
        (Some(completions), "the number of specified completions"),
        (total, "the number of indexes in the specified succeededIndexes field"),
    ];
    for (limit, what) in limits {
        if let Some(limit) = limit.filter(|l| wanted > *l) {
            let detail = format!("must be less than or equal to {limit} ({what})");
            errors.push(FieldError::invalid(at(path, "succeededCount"), wanted, detail));
        }
    }
}
