//! v1 namespaces.
//!
//! Source: upstream pkg/registry/core/namespace/strategy.go. Knows nothing of what empties a namespace.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::field::{Errors, FieldError};
use crate::kind::{Column, Fields, Kind, NameRule, Subresource};
use crate::kinds::common::{self, AGE, NAME, PLAIN, column};
use crate::kinds::json::{fill, is_set, items, object, put, set, text};
use crate::kinds::rules::wrong;
use crate::kinds::table;
use crate::names;

/// The label that carries a namespace's name, for selectors.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The finalizer that keeps a namespace until it is empty.
const FINALIZER: &str = "kubernetes";
/// Finalizers that need no domain.
const STANDARD_FINALIZERS: &[&str] = &[FINALIZER, "orphan", "foregroundDeletion"];

/// The row.
pub(super) const KIND: Kind = Kind {
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    namespaced: false,
    subresources: &[Subresource::Status, Subresource::Finalize],
    schema: "io.k8s.api.core.v1.Namespace",
    name_rule: NameRule::Label,
    default: fill_defaults,
    prepare_create,
    prepare_update,
    prepare_status: common::keep_all_but_status,
    validate,
    validate_update,
    fields,
    rest: common::never,
    field_names: &["status.phase"],
    columns: COLUMNS,
    cells,
    ..PLAIN
};

const COLUMNS: &[Column] = &[NAME, column("Status", "Active, or Terminating while it is emptied."), AGE];

fn fill_defaults(namespace: &mut Value) {
    object(namespace, "spec");
    if let Some(status) = object(namespace, "status") {
        fill(status, "phase", "Active");
    }
    let Some(metadata) = object(namespace, "metadata") else { return };
    let name = text(metadata, "name").to_owned();
    if let Some(labels) = object(metadata, "labels").filter(|_| !name.is_empty()) {
        set(labels, NAME_LABEL, name);
    }
}

fn prepare_create(namespace: &mut Value) {
    // The name of a generateName is known only now.
    fill_defaults(namespace);
    set(namespace, "status", json!({"phase": "Active"}));
    let Some(spec) = object(namespace, "spec") else { return };
    if items(spec, "finalizers").iter().any(|f| f == FINALIZER) {
        return;
    }
    fill(spec, "finalizers", json!([]));
    if let Some(list) = spec["finalizers"].as_array_mut() {
        list.push(FINALIZER.into());
    }
}

fn prepare_update(new: &mut Value, old: &Value) {
    common::keep_status(new, old);
    if let Some(spec) = object(new, "spec") {
        put(spec, "finalizers", old["spec"]["finalizers"].clone());
    }
}

/// Every problem of a namespace: its finalizers are what it has beyond metadata.
fn validate(namespace: &Value) -> Errors {
    let mut errors = Errors::new();
    for name in items(&namespace["spec"], "finalizers").iter().filter_map(Value::as_str) {
        wrong(&mut errors, "spec.finalizers", name, names::qualified_name(name));
        if !name.contains('/') && !STANDARD_FINALIZERS.contains(&name) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid("spec.finalizers", name, detail));
        }
    }
    errors
}

fn validate_update(new: &Value, _: &Value, status: bool) -> Errors {
    if !status {
        return validate(new);
    }
    let leaving = is_set(&new["metadata"], "deletionTimestamp");
    let (expected, when) = if leaving { ("Terminating", "is not empty") } else { ("Active", "is empty") };
    let phase = text(&new["status"], "phase");
    if phase == expected {
        return Errors::new();
    }
    let detail = format!("may only be '{expected}' if `deletionTimestamp` {when}");
    vec![FieldError::invalid("status.Phase", phase, detail)]
}

fn fields(namespace: &dyn Fields) -> Vec<(&'static str, String)> {
    vec![("status.phase", text(&namespace["status"], "phase").to_owned())]
}

fn cells(namespace: &Value, now: Timestamp) -> Vec<Value> {
    vec![table::name(namespace), text(&namespace["status"], "phase").into(), table::age(namespace, now)]
}
