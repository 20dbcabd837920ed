//! Metadata: reading it and setting it. Knows nothing of specs and stores; what is wrong with it is said by `names`.

use jiff::Timestamp;
use serde_json::{Map, Value};

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
