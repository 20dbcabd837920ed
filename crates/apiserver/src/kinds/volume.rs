//! What v1 persistent volumes and their claims share: access modes, finalizers, classes.

use serde_json::{Value, json};

use super::json::{is_set, items, object, text};
use crate::field::{Errors, FieldError};
use crate::quantity::Quantity;

/// Access modes, and how Tables write them.
const MODES: [(&str, &str); 4] = [
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOnce", "RWO"),
    ("ReadWriteOncePod", "RWOP"),
];
/// In the order of Tables.
const SHOWN: [&str; 4] = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"];

/// Whether a volume is a file system or a device.
pub(super) const VOLUME_MODES: &[&str] = &["Block", "Filesystem"];

/// Every problem of access modes.
pub(super) fn access_modes(errors: &mut Errors, spec: &Value, path: &str) {
    let path = &super::rules::at(path, "accessModes");
    let modes: Vec<&str> = items(spec, "accessModes").iter().filter_map(Value::as_str).collect();
    if modes.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    let known = MODES.map(|(mode, _)| mode);
    for mode in &modes {
        if !known.contains(mode) {
            errors.push(FieldError::not_supported(path, *mode, &known));
        }
    }
    let is_single = |mode: &&&str| **mode == "ReadWriteOncePod";
    if modes.iter().any(|mode| is_single(&mode))
        && modes.iter().any(|mode| known.contains(mode) && !is_single(&mode))
    {
        errors.push(FieldError::forbidden(path, "may not use ReadWriteOncePod with other access modes"));
    }
}

/// Access modes as Tables write them, each once.
pub(super) fn short_modes(modes: &Value) -> String {
    let has = |mode: &&str| modes.as_array().is_some_and(|list| list.iter().any(|one| one == mode));
    let short = |mode: &str| MODES.iter().find(|(long, _)| *long == mode).map_or("", |(_, short)| short);
    SHOWN.iter().filter(|mode| has(mode)).map(|mode| short(mode)).collect::<Vec<_>>().join(",")
}

/// The problems of a quantity that must be more than nothing.
pub(super) fn positive(errors: &mut Errors, value: &Value, path: &str) {
    match Quantity::of(value) {
        Ok(quantity) if quantity.nanos() <= 0 => {
            errors.push(FieldError::invalid(path, value.clone(), "must be greater than zero"));
        }
        Err(error) => errors.push(FieldError::invalid(path, value.clone(), error.to_string())),
        Ok(_) => {}
    }
}

/// Keeps a new object from going while it is used (upstream's admission: StorageObjectInUseProtection).
pub(super) fn protect(new: &mut Value, finalizer: &str) {
    let Some(metadata) = object(new, "metadata") else { return };
    if !metadata["finalizers"].is_array() {
        metadata["finalizers"] = json!([]);
    }
    if let Some(list) = metadata["finalizers"].as_array_mut()
        && !list.iter().any(|known| known == finalizer)
    {
        list.push(finalizer.into());
    }
}

/// What is shown of a field that may be unset.
pub(super) fn or_unset(spec: &Value, key: &str) -> Value {
    if is_set(spec, key) { spec[key].clone() } else { "<unset>".into() }
}

/// The phase, or that it goes.
pub(super) fn phase(object: &Value) -> Value {
    let goes = is_set(&object["metadata"], "deletionTimestamp");
    if goes { "Terminating".into() } else { text(&object["status"], "phase").into() }
}

/// The class of a volume or claim: of old the annotation says it.
pub(crate) fn class(object: &Value) -> &str {
    match object["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"].as_str() {
        Some(class) => class,
        None => text(&object["spec"], "storageClassName"),
    }
}
