//! What a claim's volume is filled from: `dataSource`, the older field, and `dataSourceRef`, which say the same.
//!
//! Sources: upstream pkg/api/persistentvolumeclaim/util.go (KEP-1495), pkg/apis/core/validation/validation.go.

use serde_json::{Value, json};

use crate::field::{Errors, FieldError};
use crate::kinds::json::{is_set, put, remove, same, set, text};
use crate::kinds::rules::{at, required, wrong};
use crate::names;

const OLDER: &str = "dataSource";
const NEWER: &str = "dataSourceRef";

/// Forgets what cannot be meant, and copies what is said in one field to the other. `old` is the spec of before, null for
/// a new claim.
pub(super) fn agree(spec: &mut Value, old: &Value) {
    // `CrossNamespaceVolumeDataSource` is off.
    if !text(&spec[NEWER], "namespace").is_empty() && !is_set(old, NEWER) {
        remove(spec, NEWER);
    }
    let had_one = is_set(old, OLDER) || is_set(old, NEWER);
    if !had_one && !is_set(spec, NEWER) && !is_claim_or_snapshot(&spec[OLDER]) {
        remove(spec, OLDER);
    }
    copy(spec);
}

/// Of old, anything else in the older field was passed over.
fn is_claim_or_snapshot(source: &Value) -> bool {
    matches!(
        (text(source, "kind"), text(source, "apiGroup")),
        ("PersistentVolumeClaim", "") | ("VolumeSnapshot", "snapshot.storage.k8s.io")
    )
}

/// Copies the field that is given to the one that is not.
pub(super) fn copy(spec: &mut Value) {
    let (from, to) = match (is_set(spec, OLDER), is_set(spec, NEWER)) {
        (true, false) => (OLDER, NEWER),
        (false, true) if text(&spec[NEWER], "namespace").is_empty() => (NEWER, OLDER),
        _ => return,
    };
    let source = &spec[from];
    let mut copy = json!({"kind": text(source, "kind"), "name": text(source, "name")});
    put(&mut copy, "apiGroup", source["apiGroup"].clone());
    set(spec, to, copy);
}

/// Every problem of both fields.
pub(super) fn check(errors: &mut Errors, spec: &Value, path: &str) {
    for field in [OLDER, NEWER] {
        if is_set(spec, field) {
            one(errors, &spec[field], &at(path, field));
        }
    }
    if !is_set(spec, OLDER) || !is_set(spec, NEWER) {
        return;
    }
    let agree = ["apiGroup", "kind", "name"].iter().all(|key| same(&spec[OLDER][key], &spec[NEWER][key]));
    let detail = match text(&spec[NEWER], "namespace").is_empty() {
        false => "may not be specified when dataSourceRef.namespace is specified",
        true if !agree => "must match dataSourceRef",
        true => return,
    };
    // Upstream means to show the place here, and shows an empty structure.
    errors.push(FieldError::invalid(path, json!({}), detail));
}

fn one(errors: &mut Errors, source: &Value, path: &str) {
    required(errors, source, path, "name");
    required(errors, source, path, "kind");
    let (kind, group) = (text(source, "kind"), text(source, "apiGroup"));
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        let detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        errors.push(FieldError::invalid(path, kind, detail));
    }
    if !group.is_empty() {
        wrong(errors, &at(path, "apiGroup"), group, names::dns_subdomain(group));
    }
    let namespace = text(source, "namespace");
    if !namespace.is_empty() {
        wrong(errors, &at(path, "namespace"), namespace, names::dns_label(namespace));
    }
}
