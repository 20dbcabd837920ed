//! v1 config maps.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::{Column, Kind};
use crate::kinds::common::{AGE, NAME, PLAIN, column};
use crate::kinds::json::entries;
use crate::kinds::table;

/// The row.
pub(super) const KIND: Kind = Kind {
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    schema: "io.k8s.api.core.v1.ConfigMap",
    columns: COLUMNS,
    cells,
    ..PLAIN
};

const COLUMNS: &[Column] = &[NAME, column("Data", "How many keys it holds."), AGE];

fn cells(map: &Value, now: Timestamp) -> Vec<Value> {
    let keys = entries(map, "data").count() + entries(map, "binaryData").count();
    vec![table::name(map), keys.into(), table::age(map, now)]
}
