//! What several kinds share: the parts of an update that are not the writer's, and rows that need nothing special.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::json::{int, is_set, object, put, same, set, text};
use super::table::{age, name};
use crate::field::Errors;
use crate::kind::{Column, Fields, Kind, NameRule, Propagation, Rest, Served};

/// A row with nothing special: what a kind does not say of itself is taken from here.
pub(super) const PLAIN: Kind = Kind {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    categories: &[],
    namespaced: true,
    served: Served::Full,
    subresources: &[],
    schema: "",
    stored: None,
    default_propagation: Propagation::Background,
    default: fill_metadata,
    prepare_create: no_preparation,
    prepare_update: count_nothing,
    prepare_status: keep_all_but_status,
    validate: no_errors,
    validate_update: no_update_errors,
    name_rule: NameRule::Subdomain,
    names_again: true,
    bare_finalizers: false,
    warnings: no_warnings,
    fields: no_fields,
    field_names: &[],
    rest: unless_it_goes,
    columns: NAME_AND_AGE,
    cells: name_and_age,
};

/// The column of names.
pub(super) const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    priority: 0,
    description: "The object's name, unique among its kind in its namespace.",
};

/// The column of ages.
pub(super) const AGE: Column = column("Age", "How long ago the object was created.");

const NAME_AND_AGE: &[Column] = &[NAME, AGE];

/// A column of texts that is always shown.
pub(super) const fn column(name: &'static str, description: &'static str) -> Column {
    Column { name, kind: "string", format: "", priority: 0, description }
}

/// A column of texts that is shown with `-o wide`.
pub(super) const fn wide(name: &'static str, description: &'static str) -> Column {
    Column { name, kind: "string", format: "", priority: 1, description }
}

fn fill_metadata(object_: &mut Value) {
    object(object_, "metadata");
}

fn no_preparation(_: &mut Value) {}
fn count_nothing(_: &mut Value, _: &Value) {}
fn no_errors(_: &Value) -> Errors {
    Errors::new()
}
fn no_update_errors(_: &Value, _: &Value, _: bool) -> Errors {
    Errors::new()
}
fn no_warnings(_: &Value) -> Vec<String> {
    Vec::new()
}
fn no_fields(_: &dyn Fields) -> Vec<(&'static str, String)> {
    Vec::new()
}
/// Most kinds are looked at only when they are to be deleted.
pub(super) fn unless_it_goes(object: &dyn Fields) -> Rest {
    if is_set(&object["metadata"], "deletionTimestamp") { Rest::None } else { Rest::Settled }
}
/// What the engine always knows whole.
pub(super) fn never(_: &dyn Fields) -> Rest {
    Rest::None
}
fn name_and_age(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), age(object, now)]
}

/// The status is the status door's: `new` keeps that of `old`.
pub(super) fn keep_status(new: &mut Value, old: &Value) {
    put(new, "status", old["status"].clone());
}

/// One more generation if the spec changed, the old one otherwise.
pub(super) fn count_generation(new: &mut Value, old: &Value) {
    let before = int(&old["metadata"], "generation").unwrap_or(0);
    let generation = if same(&new["spec"], &old["spec"]) { before } else { before.saturating_add(1) };
    if let Some(metadata) = object(new, "metadata") {
        put(metadata, "generation", if generation == 0 { Value::Null } else { json!(generation) });
    }
}

/// Through the status door only the status changes, and the metadata that any writer may change.
pub(super) fn keep_all_but_status(new: &mut Value, old: &Value) {
    let (Some(old_map), Value::Object(new_map)) = (old.as_object(), &*new) else { return };
    let mut kept = old_map.clone();
    for key in ["status", "metadata"] {
        match new_map.get(key) {
            Some(value) => kept.insert(key.to_owned(), value.clone()),
            None => kept.remove(key),
        };
    }
    *new = Value::Object(kept);
    let generation = old["metadata"]["generation"].clone();
    if let Some(metadata) = object(new, "metadata") {
        put(metadata, "generation", generation);
    }
}

/// Empties the status of a new object and starts its generations.
pub(super) fn start(object_: &mut Value, status: Value) {
    set(object_, "status", status);
    if let Some(metadata) = object(object_, "metadata") {
        set(metadata, "generation", 1);
    }
}

/// Whether a condition of that type has that status.
pub(super) fn has_condition(status: &Value, kind: &str, value: &str) -> bool {
    condition(status, kind).is_some_and(|c| text(c, "status") == value)
}

/// The first condition of a type.
pub(super) fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    super::json::items(status, "conditions").iter().find(|c| text(c, "type") == kind)
}
