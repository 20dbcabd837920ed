//! The metadata of any object. Source: apimachinery, pkg/api/validation/objectmeta.go.

use serde_json::{Map, Value};

use super::{by_rule, dns_label, label_value, qualified_name};
use crate::field::{Errors, FieldError};
use crate::kind::{Kind, NameRule};

/// All annotations of an object together, keys and values, in bytes.
const ANNOTATIONS_MAX: usize = 256 * 1024;

/// The longest name of a manager of fields, in bytes, and of a subresource.
const MANAGER_MAX: usize = 128;
const SUBRESOURCE_MAX: usize = 256;

/// Finalizers that need no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// Every problem of a new object's metadata, paths under `metadata`.
#[must_use]
pub fn metadata(object: &Value, kind: &Kind) -> Errors {
    let meta = &object["metadata"];
    let mut errors = prefix(meta, kind.name_rule);
    let name = text(meta, "name");
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else {
        errors.extend(all("metadata.name", name, by_rule(kind.name_rule, name, false)));
    }
    let namespace = text(meta, "namespace");
    match (kind.namespaced, namespace) {
        (true, "") => errors.push(FieldError::required("metadata.namespace", "")),
        (true, name) => errors.extend(all("metadata.namespace", name, dns_label(name))),
        (false, "") => {}
        (false, _) => errors.push(FieldError::forbidden("metadata.namespace", "not allowed on this type")),
    }
    if let Some(generation) = meta["generation"].as_i64().filter(|g| *g < 0) {
        errors.push(FieldError::invalid(
            "metadata.generation",
            generation,
            "must be greater than or equal to 0",
        ));
    }
    errors.extend(common(meta));
    errors.extend(bare_finalizers(meta, kind));
    errors
}

/// Every problem of a change of metadata. The caller has filled in what an update may leave out (name, resource version).
///
/// Source: `validateCommonFields` of apiserver, pkg/registry/rest/update.go: an update is asked all that a create is, but
/// the form of the name. That is asked again by the strategies of most kinds, and never for a status.
#[must_use]
pub fn metadata_update(new: &Value, old: &Value, kind: &Kind, of_status: bool) -> Errors {
    let (new, old) = (&new["metadata"], &old["metadata"]);
    let mut errors = prefix(new, NameRule::PathSegment);
    errors.extend(common(new));
    if !old["deletionTimestamp"].is_null() {
        errors.extend(no_new_finalizers(new, old));
    }
    let (after, before) = (new["generation"].as_i64().unwrap_or(0), old["generation"].as_i64().unwrap_or(0));
    if after < before {
        errors.push(FieldError::invalid("metadata.generation", after, "must not be decremented"));
    }
    for key in
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        if new[key] != old[key] {
            let path = format!("metadata.{key}");
            errors.push(FieldError::invalid(path, new[key].clone(), "field is immutable"));
        }
    }
    if kind.names_again && !of_status {
        errors.extend(prefix(new, kind.name_rule));
    }
    errors.extend(bare_finalizers(new, kind));
    errors
}

/// What is wrong with the prefix of a generated name.
fn prefix(meta: &Value, rule: NameRule) -> Errors {
    let generate = text(meta, "generateName");
    let wrong = if generate.is_empty() { Vec::new() } else { by_rule(rule, generate, true) };
    all("metadata.generateName", generate, wrong).collect()
}

fn common(meta: &Value) -> Errors {
    let mut errors = labels(&meta["labels"], "metadata.labels");
    errors.extend(annotations(&meta["annotations"], "metadata.annotations"));
    errors.extend(owners(meta));
    errors.extend(finalizers(meta));
    errors.extend(managers(meta));
    errors
}

/// What is wrong with `managedFields` that can be read. Source: ValidateManagedFields of meta/v1/validation.
fn managers(meta: &Value) -> Errors {
    let mut errors = Errors::new();
    for (at, entry) in list(meta, "managedFields").iter().enumerate() {
        let path = format!("metadata.managedFields[{at}]");
        let (manager, subresource) = (text(entry, "manager"), text(entry, "subresource"));
        if manager.len() > MANAGER_MAX {
            errors.push(FieldError::too_long(format!("{path}.manager"), MANAGER_MAX));
        }
        for (at, c) in manager.char_indices().filter(|(_, c)| c.is_control()) {
            let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(c));
            errors.push(FieldError::invalid(format!("{path}.manager"), manager, detail));
        }
        if subresource.len() > SUBRESOURCE_MAX {
            errors.push(FieldError::too_long(format!("{path}.subresource"), SUBRESOURCE_MAX));
        }
    }
    errors
}

/// Every problem of a map of labels.
#[must_use]
pub fn labels(labels: &Value, path: &str) -> Errors {
    let mut errors = Errors::new();
    for (key, value) in map(labels) {
        errors.extend(all(path, key, qualified_name(key)));
        let value = value.as_str().unwrap_or("");
        errors.extend(all(path, value, label_value(value)));
    }
    errors
}

/// Every problem of a map of annotations.
#[must_use]
pub fn annotations(annotations: &Value, path: &str) -> Errors {
    let mut errors = Errors::new();
    let mut size = 0;
    for (key, value) in map(annotations) {
        errors.extend(all(path, key, qualified_name(&key.to_lowercase())));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS_MAX {
        errors.push(FieldError::too_long(path, ANNOTATIONS_MAX));
    }
    errors
}

fn owners(meta: &Value) -> Errors {
    let path = "metadata.ownerReferences";
    let mut errors = Errors::new();
    let mut controller: Option<String> = None;
    for owner in list(meta, "ownerReferences") {
        let api_version = text(owner, "apiVersion");
        if api_version.rsplit('/').next().is_none_or(str::is_empty) {
            let place = format!("{path}.apiVersion");
            errors.push(FieldError::invalid(place, api_version, "version must not be empty"));
        }
        for key in ["kind", "name", "uid"] {
            if text(owner, key).is_empty() {
                errors.push(FieldError::invalid(format!("{path}.{key}"), "", "must not be empty"));
            }
        }
        if api_version == "v1" && text(owner, "kind") == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid(path, owner.clone(), detail));
        }
        if owner["controller"] == true {
            let this = format!("{}/{}", text(owner, "kind"), text(owner, "name"));
            match &controller {
                None => controller = Some(this),
                Some(first) => errors.push(FieldError::invalid(
                    path,
                    meta["ownerReferences"].clone(),
                    format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    ),
                )),
            }
        }
    }
    errors
}

fn finalizers(meta: &Value) -> Errors {
    let path = "metadata.finalizers";
    let mut errors = Errors::new();
    let names = finalizer_names(meta);
    for name in &names {
        errors.extend(all(path, name, qualified_name(name)));
    }
    if names.contains(&"orphan") && names.contains(&"foregroundDeletion") {
        errors.push(FieldError::invalid(
            path,
            meta["finalizers"].clone(),
            "finalizer orphan and foregroundDeletion cannot be both set",
        ));
    }
    errors
}

/// Names without a domain that are none of the standard ones.
///
/// Source: `validateKubeFinalizerName` of pkg/apis/core/validation, which nearly every kind's strategy asks.
fn bare_finalizers(meta: &Value, kind: &Kind) -> Errors {
    let names = finalizer_names(meta).into_iter().enumerate();
    let bare = names.filter(|(_, name)| !name.contains('/') && !STANDARD_FINALIZERS.contains(name));
    let detail = "name is neither a standard finalizer name nor is it fully qualified";
    bare.filter(|_| !kind.bare_finalizers)
        .map(|(at, name)| FieldError::invalid(format!("metadata.finalizers[{at}]"), name, detail))
        .collect()
}

fn finalizer_names(meta: &Value) -> Vec<&str> {
    list(meta, "finalizers").iter().filter_map(Value::as_str).collect()
}

fn no_new_finalizers(new: &Value, old: &Value) -> Option<FieldError> {
    let before = list(old, "finalizers");
    let mut extra: Vec<&str> =
        list(new, "finalizers").iter().filter(|f| !before.contains(f)).filter_map(Value::as_str).collect();
    extra.sort_unstable();
    let shown: Vec<String> = extra.iter().map(|f| format!("{f:?}")).collect();
    (!extra.is_empty()).then(|| {
        FieldError::forbidden(
            "metadata.finalizers",
            format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                shown.join(", ")
            ),
        )
    })
}

/// One error for each thing that is wrong with a text.
fn all(path: &str, value: &str, wrong: Vec<String>) -> impl Iterator<Item = FieldError> {
    wrong.into_iter().map(move |w| FieldError::invalid(path, value, w))
}

fn text<'a>(parent: &'a Value, key: &str) -> &'a str {
    parent[key].as_str().unwrap_or("")
}

fn list<'a>(parent: &'a Value, key: &str) -> &'a [Value] {
    parent[key].as_array().map_or(&[], Vec::as_slice)
}

fn map(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}
