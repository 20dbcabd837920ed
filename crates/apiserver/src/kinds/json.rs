//! Reading and filling JSON objects: the few verbs that defaulting and validation need.
//!
//! Reading never fails: what is absent or of another type reads as nothing (the schema has refused wrong types before).

use serde_json::{Map, Value};

/// The empty list that absent lists read as.
const NO_ITEMS: &[Value] = &[];

/// Whether a field is given at all.
pub(super) fn is_set(parent: &Value, key: &str) -> bool {
    !parent[key].is_null()
}

/// A text; empty if absent.
pub(super) fn text<'a>(parent: &'a Value, key: &str) -> &'a str {
    parent[key].as_str().unwrap_or("")
}

/// A number, if given.
pub(super) fn int(parent: &Value, key: &str) -> Option<i64> {
    parent[key].as_i64()
}

/// A flag; false if absent.
pub(super) fn flag(parent: &Value, key: &str) -> bool {
    parent[key].as_bool().unwrap_or(false)
}

/// The items of a list; none if absent.
pub(super) fn items<'a>(parent: &'a Value, key: &str) -> &'a [Value] {
    parent[key].as_array().map_or(NO_ITEMS, Vec::as_slice)
}

/// The entries of an object, in order of their keys; none if absent.
pub(super) fn entries<'a>(parent: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    parent[key].as_object().into_iter().flatten()
}

/// Removes a field.
pub(super) fn remove(parent: &mut Value, key: &str) -> Option<Value> {
    parent.as_object_mut().and_then(|map| map.remove(key))
}

/// Sets a field; nothing happens where the parent is no object.
pub(super) fn set(parent: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(map) = parent.as_object_mut() {
        map.insert(key.to_owned(), value.into());
    }
}

/// Sets a field, or removes it where the value is null.
pub(super) fn put(parent: &mut Value, key: &str, value: Value) {
    if value.is_null() {
        remove(parent, key);
    } else {
        set(parent, key, value);
    }
}

/// Sets a field that is absent or null.
pub(super) fn fill(parent: &mut Value, key: &str, value: impl Into<Value>) {
    if !is_set(parent, key) {
        set(parent, key, value);
    }
}

/// Sets a text that is absent or empty.
pub(super) fn fill_text(parent: &mut Value, key: &str, value: &str) {
    if text(parent, key).is_empty() {
        set(parent, key, value);
    }
}

/// Sets a number that is absent or zero.
pub(super) fn fill_zero(parent: &mut Value, key: &str, value: i64) {
    if int(parent, key).unwrap_or(0) == 0 {
        set(parent, key, value);
    }
}

/// An object below, made if it is absent. A parent that is no object gives a scratch value: there is nothing to fill.
pub(super) fn object<'a>(parent: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    fill(parent, key, Value::Object(Map::new()));
    given(parent, key).filter(|v| v.is_object())
}

/// A value below that may be changed, if it is given.
pub(super) fn given<'a>(parent: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    parent.as_object_mut()?.get_mut(key).filter(|v| !v.is_null())
}

/// The items of a list that may be changed; none if absent.
pub(super) fn items_mut<'a>(parent: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    given(parent, key).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Whether two values mean the same to upstream, whose types print no empty strings, lists and maps and no false flags
/// (apimachinery, api/equality: nil and empty are equal). Numbers of quantities compare after defaulting, which spells them canonically.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let told = |(k, v): &(&String, &Value)| !untold(k, v);
            a.iter().filter(told).count() == b.iter().filter(told).count()
                && a.iter().filter(told).all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        _ => a == b || (is_nothing(a) && is_nothing(b)),
    }
}

/// What upstream's types cannot tell from an absent value.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(_) | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether a field means the same as its absence: plain flags that are false, maps and plain structures that are empty.
fn untold(key: &str, value: &Value) -> bool {
    match value {
        Value::Bool(false) => matches!(
            key,
            "hostNetwork"
                | "hostPID"
                | "hostIPC"
                | "stdin"
                | "stdinOnce"
                | "tty"
                | "readOnly"
                | "unschedulable"
        ),
        Value::Object(map) if map.is_empty() => matches!(
            key,
            "labels"
                | "annotations"
                | "nodeSelector"
                | "matchLabels"
                | "limits"
                | "requests"
                | "overhead"
                | "data"
                | "binaryData"
                | "metadata"
                | "resources"
                | "status"
                | "spec"
        ),
        other => is_nothing(other),
    }
}
