//! Metadata: reading it, what the server sets in it, and what is wrong with it.
//!
//! Rules follow apimachinery (api/validation/objectmeta.go). Knows nothing of specs and stores.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::field::{Errors, FieldError};
use crate::kind::Kind;
use crate::names;

const ANNOTATIONS_BYTES: usize = 256 << 10;

/// Adds `orphan`: dependents lose their owner before the object goes.
pub const ORPHAN: &str = "orphan";
/// Adds `foregroundDeletion`: dependents go before the object.
pub const FOREGROUND: &str = "foregroundDeletion";

/// A text field of the metadata; empty if absent.
#[must_use]
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// The metadata, made if it is not there. `None` only if `object` is no JSON object.
pub(crate) fn fields(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let entry = object.as_object_mut()?.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    entry.as_object_mut()
}

/// Sets a metadata field, or removes it when the value is null.
pub(crate) fn set(object: &mut Value, field: &str, value: Value) {
    let Some(map) = fields(object) else { return };
    if value.is_null() {
        map.remove(field);
    } else {
        map.insert(field.to_owned(), value);
    }
}

/// The finalizers.
#[must_use]
pub fn finalizers(object: &Value) -> Vec<&str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether a deletion has begun.
#[must_use]
pub fn deleting(object: &Value) -> bool {
    !text(object, "deletionTimestamp").is_empty()
}

/// A time as metadata holds it: RFC 3339, UTC, whole seconds.
#[must_use]
pub fn time(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// Every problem of the metadata of a new object.
pub(crate) fn validate(kind: &Kind, object: &Value) -> Errors {
    let mut errors = Errors::new();
    let name = text(object, "name");
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else {
        let wrong = names::check(kind.name_rule, name);
        errors.extend(wrong.into_iter().map(|w| FieldError::invalid("metadata.name", name, w)));
    }
    let namespace = text(object, "namespace");
    if kind.namespaced {
        let wrong = names::label(namespace);
        errors.extend(wrong.into_iter().map(|w| FieldError::invalid("metadata.namespace", namespace, w)));
    } else if !namespace.is_empty() {
        errors.push(FieldError::forbidden("metadata.namespace", "not allowed on this type"));
    }
    errors.extend(validate_maps(object));
    errors.extend(validate_finalizers(object));
    errors
}

/// Every problem of a change of metadata. Absent identity in `new` has been filled in from `old` before.
pub(crate) fn validate_update(new: &Value, old: &Value) -> Errors {
    let mut errors = Errors::new();
    if deleting(old) {
        let before = finalizers(old);
        let mut added: Vec<&str> = finalizers(new).into_iter().filter(|f| !before.contains(f)).collect();
        added.sort_unstable();
        if !added.is_empty() {
            let list = added.iter().map(|f| format!("{f:?}")).collect::<Vec<_>>().join(", ");
            errors.push(FieldError::forbidden(
                "metadata.finalizers",
                format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{list}}}"
                ),
            ));
        }
    }
    for field in ["creationTimestamp", "deletionTimestamp"] {
        let value = &new["metadata"][field];
        if *value != old["metadata"][field] {
            errors.push(FieldError::invalid(
                format!("metadata.{field}"),
                value.clone(),
                "field is immutable",
            ));
        }
    }
    errors.extend(validate_maps(new));
    errors.extend(validate_finalizers(new));
    errors
}

fn validate_maps(object: &Value) -> Errors {
    let mut errors = Errors::new();
    let metadata = &object["metadata"];
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        let wrong = names::qualified(key);
        errors.extend(wrong.into_iter().map(|w| FieldError::invalid("metadata.labels", key.as_str(), w)));
        let value = value.as_str().unwrap_or_default();
        let wrong = names::label_value(value);
        errors.extend(wrong.into_iter().map(|w| FieldError::invalid("metadata.labels", value, w)));
    }
    let mut bytes = 0;
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        let wrong = names::qualified(&key.to_lowercase());
        errors
            .extend(wrong.into_iter().map(|w| FieldError::invalid("metadata.annotations", key.as_str(), w)));
        bytes += key.len() + value.as_str().map_or(0, str::len);
    }
    if bytes > ANNOTATIONS_BYTES {
        errors.push(FieldError::too_long("metadata.annotations", ANNOTATIONS_BYTES));
    }
    errors.extend(validate_owners(&metadata["ownerReferences"]));
    errors
}

fn validate_owners(owners: &Value) -> Errors {
    let path = "metadata.ownerReferences";
    let mut errors = Errors::new();
    let mut controller: Option<String> = None;
    for owner in owners.as_array().into_iter().flatten() {
        let field = |name: &str| owner[name].as_str().unwrap_or_default();
        for (name, detail) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if field(name).is_empty() {
                errors.push(FieldError::invalid(format!("{path}.{name}"), "", detail));
            }
        }
        if owner["controller"] == Value::Bool(true) {
            let this = format!("{}/{}", field("kind"), field("name"));
            if let Some(first) = &controller {
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                );
                errors.push(FieldError::invalid(path, owners.clone(), detail));
            } else {
                controller = Some(this);
            }
        }
    }
    errors
}

fn validate_finalizers(object: &Value) -> Errors {
    let path = "metadata.finalizers";
    let all = finalizers(object);
    let mut errors: Errors = all
        .iter()
        .flat_map(|f| names::qualified(f).into_iter().map(|w| FieldError::invalid(path, *f, w)))
        .collect();
    if all.contains(&ORPHAN) && all.contains(&FOREGROUND) {
        let detail = format!("finalizer {ORPHAN} and {FOREGROUND} cannot be both set");
        errors.push(FieldError::invalid(path, object["metadata"]["finalizers"].clone(), detail));
    }
    errors
}
