//! v1 persistent volumes.
//!
//! Sources: upstream pkg/apis/core/validation/validation.go, pkg/registry/core/persistentvolume/strategy.go.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::common::{self, AGE, NAME, PLAIN, column, never, wide};
use super::json::{entries, fill, fill_text, is_set, items, items_mut, object, same, set, text};
use super::pod::default::round_quantities;
use super::rules::{RENAMED_LABELS, at, difference, entry, optional_choice, required, wrong};
use super::{table, volume};
use crate::field::{Errors, FieldError};
use crate::kind::{Column, Kind, Subresource};
use crate::names;

/// Keeps a volume while it is bound.
const FINALIZER: &str = "kubernetes.io/pv-protection";
/// The sources of a volume, in upstream's order.
const SOURCES: &[&str] = &[
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

/// The row.
pub(super) const KIND: Kind = Kind {
    kind: "PersistentVolume",
    plural: "persistentvolumes",
    singular: "persistentvolume",
    short_names: &["pv"],
    namespaced: false,
    subresources: &[Subresource::Status],
    schema: "io.k8s.api.core.v1.PersistentVolume",
    default: fill_defaults,
    prepare_create,
    prepare_update: common::keep_status,
    validate,
    validate_update,
    columns: COLUMNS,
    cells,
    rest: never,
    ..PLAIN
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Capacity", "How much it holds."),
    column("Access Modes", "How it may be mounted."),
    column("Reclaim Policy", "What becomes of it without its claim."),
    column("Status", "Whether it is free, bound, released or failed."),
    column("Claim", "The claim that it is bound to."),
    column("StorageClass", "Its class."),
    column("VolumeAttributesClass", "The class of its attributes."),
    column("Reason", "Why it has failed, in a word."),
    AGE,
    wide("VolumeMode", "Whether it is a file system or a device."),
];

fn fill_defaults(pv: &mut Value) {
    (PLAIN.default)(pv);
    if let Some(spec) = object(pv, "spec") {
        round_quantities(spec, "capacity");
        fill_text(spec, "persistentVolumeReclaimPolicy", "Retain");
        fill(spec, "volumeMode", "Filesystem");
        if is_set(spec, "hostPath") {
            fill(&mut spec["hostPath"], "type", "");
        }
    }
    if let Some(status) = object(pv, "status") {
        fill_text(status, "phase", "Pending");
    }
}

fn prepare_create(pv: &mut Value) {
    volume::protect(pv, FINALIZER);
    let now = pv["metadata"]["creationTimestamp"].clone();
    set(pv, "status", json!({"phase": "Pending", "lastPhaseTransitionTime": now}));
}

fn validate(pv: &Value) -> Errors {
    let mut errors = Errors::new();
    let spec = &pv["spec"];
    volume::access_modes(&mut errors, spec, "spec");
    capacity(&mut errors, spec);
    let policies = ["Delete", "Recycle", "Retain"];
    optional_choice(&mut errors, spec, "spec", "persistentVolumeReclaimPolicy", &policies);
    if is_set(spec, "nodeAffinity") {
        node_affinity(&mut errors, &spec["nodeAffinity"], "spec.nodeAffinity");
    }
    source(&mut errors, spec);
    let class = text(spec, "storageClassName");
    if !class.is_empty() {
        wrong(&mut errors, "spec.storageClassName", class, names::dns_subdomain(class));
    }
    optional_choice(&mut errors, spec, "spec", "volumeMode", volume::VOLUME_MODES);
    attributes_class(&mut errors, spec);
    errors
}

fn node_affinity(errors: &mut Errors, affinity: &Value, path: &str) {
    let path = at(path, "required");
    match &affinity["required"] {
        Value::Null => errors.push(FieldError::required(path, "must specify required node constraints")),
        selector => super::pod::validate::node_selector(errors, selector, &path),
    }
}

fn attributes_class(errors: &mut Errors, spec: &Value) {
    let Some(class) = spec["volumeAttributesClassName"].as_str() else { return };
    let path = "spec.volumeAttributesClassName";
    if class.is_empty() {
        errors.push(FieldError::required(path, "an empty string is disallowed"));
    } else {
        wrong(errors, path, class, names::dns_subdomain(class));
    }
    if !is_set(spec, "csi") {
        let detail = "has to be specified when using volumeAttributesClassName";
        errors.push(FieldError::required("spec.csi", detail));
    }
}

fn capacity(errors: &mut Errors, spec: &Value) {
    let path = "spec.capacity";
    let count = entries(spec, "capacity").count();
    if count == 0 {
        errors.push(FieldError::required(path, ""));
    }
    if !is_set(&spec["capacity"], "storage") || count > 1 {
        errors.push(FieldError::not_supported(path, spec["capacity"].clone(), &["storage"]));
    }
    for (name, amount) in entries(spec, "capacity") {
        volume::positive(errors, amount, &entry(path, name));
    }
}

fn source(errors: &mut Errors, spec: &Value) {
    let mut given = SOURCES.iter().filter(|source| is_set(spec, source));
    let Some(first) = given.next() else {
        errors.push(FieldError::required("spec", "must specify a volume type"));
        return;
    };
    let path = at("spec", first);
    if matches!(*first, "hostPath" | "local") {
        required(errors, &spec[*first], &path, "path");
        super::pod::validate::no_backsteps(errors, text(&spec[*first], "path"), &at(&path, "path"));
    }
    if *first == "hostPath" && !text(&spec["hostPath"], "path").is_empty() {
        optional_choice(errors, &spec["hostPath"], &path, "type", super::pod::validate::HOST_PATHS);
    }
    if *first == "local" && !is_set(spec, "nodeAffinity") {
        errors.push(FieldError::required("spec.nodeAffinity", "Local volume requires node affinity"));
    }
    for other in given {
        errors.push(FieldError::forbidden(at("spec", other), "may not specify more than 1 volume type"));
    }
}

fn validate_update(new: &Value, old: &Value, status: bool) -> Errors {
    if status {
        return Errors::new();
    }
    let mut errors = validate(new);
    let (new, old) = (&new["spec"], &old["spec"]);
    let changed: Vec<&str> =
        SOURCES.iter().copied().filter(|source| !same(&new[*source], &old[*source])).collect();
    if !changed.is_empty() {
        let difference = difference(new, old, &changed);
        let detail = format!("spec.persistentvolumesource is immutable after creation\n{difference}");
        errors.push(FieldError::forbidden("spec.persistentvolumesource", detail));
    }
    if !same(&new["volumeMode"], &old["volumeMode"]) {
        let detail = "field is immutable";
        errors.push(FieldError::invalid("volumeMode", new["volumeMode"].clone(), detail));
    }
    let affinity = &new["nodeAffinity"];
    if is_set(old, "nodeAffinity") && !same(affinity, &renamed(&old["nodeAffinity"], affinity)) {
        let detail = "field is immutable, except for updating from beta label to GA";
        errors.push(FieldError::invalid("nodeAffinity", affinity.clone(), detail));
    }
    if is_set(old, "volumeAttributesClassName") && !is_set(new, "volumeAttributesClassName") {
        let detail = "update from non-nil value to nil is forbidden";
        errors.push(FieldError::forbidden("spec.volumeAttributesClassName", detail));
    }
    errors
}

/// An affinity with the newer names of labels where `new` has them at the same places.
fn renamed(old: &Value, new: &Value) -> Value {
    let mut renamed = old.clone();
    let terms = items_mut(&mut renamed["required"], "nodeSelectorTerms");
    for (term, new) in terms.zip(items(&new["required"], "nodeSelectorTerms")) {
        for list in ["matchExpressions", "matchFields"] {
            for (expression, new) in items_mut(term, list).zip(items(new, list)) {
                let (old, key) = (text(expression, "key"), text(new, "key"));
                if RENAMED_LABELS.iter().any(|(from, _, to)| (*from, *to) == (old, key)) {
                    set(expression, "key", key);
                }
            }
        }
    }
    renamed
}

fn cells(pv: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &pv["spec"];
    let claim = match is_set(spec, "claimRef") {
        true => format!("{}/{}", text(&spec["claimRef"], "namespace"), text(&spec["claimRef"], "name")),
        false => String::new(),
    };
    vec![
        table::name(pv),
        table::or(text(&spec["capacity"], "storage"), "0").into(),
        volume::short_modes(&spec["accessModes"]).into(),
        text(spec, "persistentVolumeReclaimPolicy").into(),
        volume::phase(pv),
        claim.into(),
        volume::class(pv).into(),
        volume::or_unset(spec, "volumeAttributesClassName"),
        text(&pv["status"], "reason").into(),
        table::age(pv, now),
        volume::or_unset(spec, "volumeMode"),
    ]
}
