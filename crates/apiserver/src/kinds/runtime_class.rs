//! node.k8s.io/v1 runtime classes.
//!
//! Source of the rules: upstream pkg/apis/node/validation/validation.go.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::common::{AGE, NAME, PLAIN, column, never};
use super::json::{given, is_set, items, text};
use super::pod::{default as pod, validate as pod_rules};
use super::rules::{immutable, item, wrong};
use super::table;
use crate::field::{Errors, FieldError};
use crate::kind::{Column, Kind};
use crate::names;

/// The row.
pub(super) const KIND: Kind = Kind {
    group: "node.k8s.io",
    kind: "RuntimeClass",
    plural: "runtimeclasses",
    singular: "runtimeclass",
    namespaced: false,
    schema: "io.k8s.api.node.v1.RuntimeClass",
    bare_finalizers: true,
    default: fill_defaults,
    validate,
    validate_update,
    columns: COLUMNS,
    cells,
    rest: never,
    ..PLAIN
};

const COLUMNS: &[Column] = &[NAME, column("Handler", "What runs the pods of this class."), AGE];

fn fill_defaults(class: &mut Value) {
    (PLAIN.default)(class);
    if let Some(overhead) = given(class, "overhead") {
        pod::round_quantities(overhead, "podFixed");
    }
}

fn validate(class: &Value) -> Errors {
    let mut errors = Errors::new();
    match text(class, "handler") {
        "" => errors.push(FieldError::required("handler", "")),
        handler => wrong(&mut errors, "handler", handler, names::dns_label(handler)),
    }
    if is_set(class, "overhead") {
        let resources = json!({"limits": class["overhead"]["podFixed"]});
        pod_rules::resources(&mut errors, &resources, "overhead");
    }
    let scheduling = &class["scheduling"];
    errors.extend(names::labels(&scheduling["nodeSelector"], "scheduling.nodeSelector"));
    pod_rules::tolerations(&mut errors, scheduling, "scheduling");
    let mut seen = BTreeSet::new();
    for (i, toleration) in items(scheduling, "tolerations").iter().enumerate() {
        if !seen.insert(["key", "operator", "value", "effect"].map(|key| text(toleration, key))) {
            let path = item("scheduling.tolerations", i);
            errors.push(FieldError::duplicate(path, toleration.clone()));
        }
    }
    errors
}

fn validate_update(new: &Value, old: &Value, _: bool) -> Errors {
    let mut errors = validate(new);
    immutable(&mut errors, new, old, "", "handler");
    errors
}

fn cells(class: &Value, now: Timestamp) -> Vec<Value> {
    vec![table::name(class), text(class, "handler").into(), table::age(class, now)]
}
