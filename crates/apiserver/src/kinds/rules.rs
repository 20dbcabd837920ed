//! Checks that many kinds share. Each adds what is wrong to a list and never stops at the first problem.

use std::collections::BTreeSet;

use serde_json::Value;

use super::json::{int, is_set, same, text};
use crate::field::{Errors, FieldError};

/// A number that may not be negative.
const NEGATIVE: &str = "must be greater than or equal to 0";

/// The path of a field below.
pub(super) fn at(path: &str, key: &str) -> String {
    // Most paths are made and never shown: joined, not formatted.
    if path.is_empty() { key.to_owned() } else { [path, ".", key].concat() }
}

/// The path of an entry of a map.
pub(super) fn entry(path: &str, key: &str) -> String {
    [path, "[", key, "]"].concat()
}

/// The path of an item of a list.
pub(super) fn item(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// Numbers that may not be negative, where given.
pub(super) fn not_negative(errors: &mut Errors, parent: &Value, path: &str, keys: &[&str]) {
    for key in keys {
        if let Some(value) = int(parent, key).filter(|v| *v < 0) {
            errors.push(FieldError::invalid(at(path, key), value, NEGATIVE));
        }
    }
}

/// What is wrong with a text, one error for each.
pub(super) fn wrong(errors: &mut Errors, path: &str, value: impl Into<Value>, wrong: Vec<String>) {
    if wrong.is_empty() {
        return;
    }
    let value = value.into();
    errors.extend(wrong.into_iter().map(|w| FieldError::invalid(path, value.clone(), w)));
}

/// A text that must be given.
pub(super) fn required(errors: &mut Errors, parent: &Value, path: &str, key: &str) {
    if text(parent, key).is_empty() {
        errors.push(FieldError::required(at(path, key), ""));
    }
}

/// A text that must be given and one of a set.
pub(super) fn choice(errors: &mut Errors, parent: &Value, path: &str, key: &str, supported: &[&str]) {
    required(errors, parent, path, key);
    if !text(parent, key).is_empty() {
        optional_choice(errors, parent, path, key, supported);
    }
}

/// A text that must be one of a set, where given.
pub(super) fn optional_choice(
    errors: &mut Errors,
    parent: &Value,
    path: &str,
    key: &str,
    supported: &[&str],
) {
    if is_set(parent, key) && !supported.contains(&text(parent, key)) {
        errors.push(FieldError::not_supported(at(path, key), parent[key].clone(), supported));
    }
}

/// A field that may not change.
pub(super) fn immutable(errors: &mut Errors, new: &Value, old: &Value, path: &str, key: &str) {
    if !same(&new[key], &old[key]) {
        errors.push(FieldError::invalid(at(path, key), new[key].clone(), "field is immutable"));
    }
}

/// Labels of nodes that have new names: the old one, since which release, the new one.
///
/// Source: upstream pkg/api/node/util.go; pkg/apis/core/validation/validation.go (`validatePvNodeAffinity`).
pub(super) const RENAMED_LABELS: [(&str, &str, &str); 5] = [
    ("beta.kubernetes.io/arch", "v1.14", "kubernetes.io/arch"),
    ("beta.kubernetes.io/os", "v1.14", "kubernetes.io/os"),
    ("failure-domain.beta.kubernetes.io/region", "v1.17", "topology.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "v1.17", "topology.kubernetes.io/zone"),
    ("beta.kubernetes.io/instance-type", "v1.17", "node.kubernetes.io/instance-type"),
];

/// The fields of two objects that do not mean the same, in order.
pub(super) fn differing<'a>(new: &'a Value, old: &'a Value) -> Vec<&'a str> {
    let keys: BTreeSet<&str> =
        [old, new].into_iter().filter_map(Value::as_object).flatten().map(|(key, _)| key.as_str()).collect();
    keys.into_iter().filter(|key| !same(&new[*key], &old[*key])).collect()
}

/// Fields that differ, before and after, a line each. Upstream prints what its comparison of Go's structures prints.
pub(super) fn difference(new: &Value, old: &Value, keys: &[&str]) -> String {
    let lines = keys.iter().map(|key| format!("- {key}: {}\n+ {key}: {}", old[*key], new[*key]));
    lines.collect::<Vec<_>>().join("\n")
}
