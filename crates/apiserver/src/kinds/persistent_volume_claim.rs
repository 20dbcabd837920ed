//! v1 persistent volume claims.
//!
//! Sources: upstream pkg/apis/core/validation/validation.go, pkg/registry/core/persistentvolumeclaim/strategy.go.

mod source;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::common::{self, AGE, NAME, PLAIN, column, never, wide};
use super::json::{fill, fill_text, is_set, object, put, same, set, text};
use super::pod::default::round_quantities;
use super::rules::{at, difference, differing, optional_choice, wrong};
use super::{selector, table, volume};
use crate::field::{Errors, FieldError};
use crate::kind::{Column, Kind, Subresource};
use crate::names;
use crate::quantity::Quantity;

/// Keeps a claim while a pod uses it.
const FINALIZER: &str = "kubernetes.io/pvc-protection";

/// The row.
pub(super) const KIND: Kind = Kind {
    kind: "PersistentVolumeClaim",
    plural: "persistentvolumeclaims",
    singular: "persistentvolumeclaim",
    short_names: &["pvc"],
    subresources: &[Subresource::Status],
    schema: "io.k8s.api.core.v1.PersistentVolumeClaim",
    default: fill_defaults,
    prepare_create,
    prepare_update,
    validate,
    validate_update,
    columns: COLUMNS,
    cells,
    rest: never,
    ..PLAIN
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Status", "Whether it is bound."),
    column("Volume", "The volume that it is bound to."),
    column("Capacity", "How much that holds."),
    column("Access Modes", "How that may be mounted."),
    column("StorageClass", "Its class."),
    column("VolumeAttributesClass", "The class of its attributes."),
    AGE,
    wide("VolumeMode", "Whether it is a file system or a device."),
];

fn fill_defaults(claim: &mut Value) {
    (PLAIN.default)(claim);
    if let Some(spec) = object(claim, "spec") {
        if let Some(resources) = object(spec, "resources") {
            round_quantities(resources, "requests");
            round_quantities(resources, "limits");
        }
        fill(spec, "volumeMode", "Filesystem");
    }
    if let Some(status) = object(claim, "status") {
        fill_text(status, "phase", "Pending");
    }
}

fn prepare_create(claim: &mut Value) {
    volume::protect(claim, FINALIZER);
    set(claim, "status", json!({"phase": "Pending"}));
    if let Some(spec) = object(claim, "spec") {
        source::agree(spec, &Value::Null);
    }
}

fn prepare_update(new: &mut Value, old: &Value) {
    common::keep_status(new, old);
    if let Some(spec) = object(new, "spec") {
        source::agree(spec, &old["spec"]);
    }
}

fn validate(claim: &Value) -> Errors {
    let mut errors = Errors::new();
    of_spec(&mut errors, &claim["spec"], "spec");
    errors
}

/// Every problem of a claim's spec, or of the one that a pod's volume has.
pub(super) fn of_spec(errors: &mut Errors, spec: &Value, path: &str) {
    let has_modes = spec["accessModes"].as_array().is_some_and(|modes| !modes.is_empty());
    if !has_modes {
        let detail = "at least 1 access mode is required";
        errors.push(FieldError::required(at(path, "accessModes"), detail));
    }
    if is_set(spec, "selector") {
        selector::validate(errors, &spec["selector"], &at(path, "selector"));
    }
    if has_modes {
        volume::access_modes(errors, spec, path);
    }
    let (storage, at_storage) = (&spec["resources"]["requests"]["storage"], at(path, "resources[storage]"));
    if storage.is_null() {
        errors.push(FieldError::required(at_storage, ""));
    } else {
        volume::positive(errors, storage, &at_storage);
    }
    let class = text(spec, "storageClassName");
    if !class.is_empty() {
        wrong(errors, &at(path, "storageClassName"), class, names::dns_subdomain(class));
    }
    optional_choice(errors, spec, path, "volumeMode", volume::VOLUME_MODES);
    source::check(errors, spec, path);
    let class = text(spec, "volumeAttributesClassName");
    if !class.is_empty() {
        wrong(errors, &at(path, "volumeAttributesClassName"), class, names::dns_subdomain(class));
    }
}

fn validate_update(new: &Value, old: &Value, status: bool) -> Errors {
    if status {
        return Errors::new();
    }
    let mut errors = validate(new);
    let is_bound = text(&new["status"], "phase") == "Bound";
    let size = |claim: &Value| Quantity::of(&claim["spec"]["resources"]["requests"]["storage"]).ok();
    let (mut spec, mut before) = (new["spec"].clone(), old["spec"].clone());
    source::copy(&mut before);
    let before = &before;
    // What may change: the volume's name once, a class that was missing, the size of a bound claim.
    for key in ["volumeName", "storageClassName"] {
        if before[key].is_null() || (key == "volumeName" && text(before, key).is_empty()) {
            put(&mut spec, key, before[key].clone());
        }
    }
    if is_bound {
        spec["resources"]["requests"]["storage"] = before["resources"]["requests"]["storage"].clone();
        put(&mut spec, "volumeAttributesClassName", before["volumeAttributesClassName"].clone());
    }
    let keys = differing(&spec, before);
    if !keys.is_empty() {
        let difference = difference(&spec, before, &keys);
        let detail = format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{difference}"
        );
        errors.push(FieldError::forbidden("spec", detail));
    }
    let kept = Quantity::of(&old["status"]["capacity"]["storage"]).ok();
    if size(new) < size(old) && size(new) <= kept {
        let path = "spec.resources.requests.storage";
        errors.push(FieldError::forbidden(path, "field can not be less than status.capacity"));
    }
    if !same(&new["spec"]["volumeMode"], &before["volumeMode"]) {
        let value = new["spec"]["volumeMode"].clone();
        errors.push(FieldError::invalid("volumeMode", value, "field is immutable"));
    }
    if is_set(&old["status"], "currentVolumeAttributesClassName") {
        let to = match new["spec"]["volumeAttributesClassName"].as_str() {
            None => "nil",
            Some("") => "empty string",
            Some(_) => return errors,
        };
        let detail =
            format!("update to {to} is forbidden when status.currentVolumeAttributesClassName is not nil");
        errors.push(FieldError::forbidden("spec.volumeAttributesClassName", detail));
    }
    errors
}

fn cells(claim: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&claim["spec"], &claim["status"]);
    let has_volume = !text(spec, "volumeName").is_empty();
    let (capacity, modes) = match has_volume {
        true => {
            let capacity = table::or(text(&status["capacity"], "storage"), "0");
            (capacity.to_owned(), volume::short_modes(&status["accessModes"]))
        }
        false => (String::new(), String::new()),
    };
    vec![
        table::name(claim),
        volume::phase(claim),
        text(spec, "volumeName").into(),
        capacity.into(),
        modes.into(),
        volume::class(claim).into(),
        volume::or_unset(spec, "volumeAttributesClassName"),
        table::age(claim, now),
        volume::or_unset(spec, "volumeMode"),
    ]
}
