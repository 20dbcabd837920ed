//! Where a container mounts volumes, and what paths may say.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Context;
use crate::field::{Errors, FieldError};
use crate::kinds::json::{flag, is_set, items, text};
use crate::kinds::rules::{at, item, optional_choice, required};

/// Every problem of a container's mounts.
pub(super) fn check(errors: &mut Errors, context: &Context, container: &Value, path: &str) {
    let devices = items(container, "volumeDevices");
    let mut seen = BTreeSet::new();
    for (i, mount) in items(container, "volumeMounts").iter().enumerate() {
        let of = item(path, i);
        let (name, target) = (text(mount, "name"), text(mount, "mountPath"));
        required(errors, mount, &of, "name");
        if !context.volumes.contains_key(name) {
            errors.push(FieldError {
                path: at(&of, "name"),
                cause: crate::field::Cause::NotFound,
                value: name.into(),
                detail: String::new(),
            });
        }
        required(errors, mount, &of, "mountPath");
        if !seen.insert(target) {
            errors.push(FieldError::invalid(at(&of, "mountPath"), target, "must be unique"));
        }
        if devices.iter().any(|device| text(device, "name") == name) {
            errors.push(FieldError::invalid(
                at(&of, "name"),
                name,
                "must not already exist in volumeDevices",
            ));
        }
        if devices.iter().any(|device| text(device, "devicePath") == target) {
            let detail = "must not already exist as a path in volumeDevices";
            errors.push(FieldError::invalid(at(&of, "mountPath"), target, detail));
        }
        let (plain, expanded) = (text(mount, "subPath"), text(mount, "subPathExpr"));
        // Upstream names the list, not the mount, in these paths.
        descending(errors, plain, &at(path, "subPath"));
        if !plain.is_empty() && !expanded.is_empty() {
            let detail = "subPathExpr and subPath are mutually exclusive";
            errors.push(FieldError::invalid(at(&of, "subPathExpr"), expanded, detail));
        }
        descending(errors, expanded, &at(path, "subPathExpr"));
        propagation(errors, container, mount, path);
        recursion(errors, mount, path);
    }
}

fn propagation(errors: &mut Errors, container: &Value, mount: &Value, path: &str) {
    if !is_set(mount, "mountPropagation") {
        return;
    }
    let modes = ["Bidirectional", "HostToContainer", "None"];
    optional_choice(errors, mount, path, "mountPropagation", &modes);
    let privileged = flag(&container["securityContext"], "privileged");
    if text(mount, "mountPropagation") == "Bidirectional" && !privileged {
        let detail = "Bidirectional mount propagation is available only to privileged containers";
        errors.push(FieldError::forbidden(at(path, "mountPropagation"), detail));
    }
}

/// Mounts below that are to be read-only, too. Source: `validateMountRecursiveReadOnly`.
fn recursion(errors: &mut Errors, mount: &Value, path: &str) {
    if !is_set(mount, "recursiveReadOnly") {
        return;
    }
    optional_choice(errors, mount, path, "recursiveReadOnly", &["Disabled", "Enabled", "IfPossible"]);
    let path = at(path, "recursiveReadOnly");
    if !matches!(text(mount, "recursiveReadOnly"), "Enabled" | "IfPossible") {
        return;
    }
    if !flag(mount, "readOnly") {
        errors.push(FieldError::forbidden(&path, "may only be specified when readOnly is true"));
    }
    if is_set(mount, "mountPropagation") && text(mount, "mountPropagation") != "None" {
        let detail = "may only be specified when mountPropagation is None or not specified";
        errors.push(FieldError::forbidden(&path, detail));
    }
}

/// A path that stays below where it starts.
pub(super) fn descending(errors: &mut Errors, target: &str, path: &str) {
    if target.starts_with('/') {
        errors.push(FieldError::invalid(path, target, "must be a relative path"));
    }
    no_backsteps(errors, target, path);
}

/// A path without `..`.
pub(crate) fn no_backsteps(errors: &mut Errors, target: &str, path: &str) {
    if target.split('/').any(|part| part == "..") {
        errors.push(FieldError::invalid(path, target, "must not contain '..'"));
    }
}

/// A file of a volume: below its root, and not among the names that the kubelet keeps for itself.
pub(super) fn not_reserved(errors: &mut Errors, target: &str, path: &str) {
    descending(errors, target, path);
    if target.starts_with("..") && !target.starts_with("../") {
        errors.push(FieldError::invalid(path, target, "must not start with '..'"));
    }
}
