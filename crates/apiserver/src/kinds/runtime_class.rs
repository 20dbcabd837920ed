//! node.k8s.io/v1 runtime classes.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::{Column, Kind};
use crate::kinds::common::{AGE, NAME, PLAIN, column};
use crate::kinds::json::text;
use crate::kinds::table;

/// The row.
pub(super) const KIND: Kind = Kind {
    group: "node.k8s.io",
    kind: "RuntimeClass",
    plural: "runtimeclasses",
    singular: "runtimeclass",
    namespaced: false,
    schema: "io.k8s.api.node.v1.RuntimeClass",
    columns: COLUMNS,
    cells,
    ..PLAIN
};

const COLUMNS: &[Column] = &[NAME, column("Handler", "What runs the pods of this class."), AGE];

fn cells(class: &Value, now: Timestamp) -> Vec<Value> {
    vec![table::name(class), text(class, "handler").into(), table::age(class, now)]
}
