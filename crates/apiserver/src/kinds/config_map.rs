//! v1 config maps.
//!
//! Source of the rules: upstream pkg/apis/core/validation/validation.go.

use jiff::Timestamp;
use serde_json::Value;

use super::common::{AGE, NAME, PLAIN, column};
use super::data;
use super::json::entries;
use super::rules::entry;
use super::table;
use crate::field::{Errors, FieldError};
use crate::kind::{Column, Kind};

/// The row.
pub(super) const KIND: Kind = Kind {
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    schema: "io.k8s.api.core.v1.ConfigMap",
    validate,
    validate_update,
    columns: COLUMNS,
    cells,
    ..PLAIN
};

const COLUMNS: &[Column] = &[NAME, column("Data", "How many keys it holds."), AGE];

fn validate(map: &Value) -> Errors {
    let mut errors = Errors::new();
    let mut size = 0;
    for (key, value) in entries(map, "data") {
        let path = entry("data", key);
        data::key(&mut errors, &path, key);
        if map["binaryData"].get(key).is_some() {
            let detail = "duplicate of key present in binaryData";
            errors.push(FieldError::invalid(path, key.as_str(), detail));
        }
        size += value.as_str().map_or(0, str::len);
    }
    for (key, value) in entries(map, "binaryData") {
        let path = entry("binaryData", key);
        data::key(&mut errors, &path, key);
        size += data::decoded(&mut errors, &path, value).map_or(0, |bytes| bytes.len());
    }
    if size > data::LIMIT {
        // The whole object is too long: upstream leaves the path empty.
        errors.push(FieldError::too_long("", data::LIMIT));
    }
    errors
}

fn validate_update(new: &Value, old: &Value, _: bool) -> Errors {
    let mut errors = Errors::new();
    data::frozen(&mut errors, new, old, &["data", "binaryData"]);
    errors.extend(validate(new));
    errors
}

fn cells(map: &Value, now: Timestamp) -> Vec<Value> {
    let keys = entries(map, "data").count() + entries(map, "binaryData").count();
    vec![table::name(map), keys.into(), table::age(map, now)]
}
