//! Volumes that a container has as devices. Source: `ValidateVolumeDevices`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Context;
use crate::field::{Cause, Errors, FieldError};
use crate::kinds::json::{is_set, items, text};
use crate::kinds::rules::{at, item, required};

/// Every problem of a container's devices.
pub(super) fn check(errors: &mut Errors, context: &Context, container: &Value, path: &str) {
    let mounts = items(container, "volumeMounts");
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for (i, device) in items(container, "volumeDevices").iter().enumerate() {
        let path = item(path, i);
        let (name, target) = (text(device, "name"), text(device, "devicePath"));
        let (at_name, at_path) = (at(&path, "name"), at(&path, "devicePath"));
        required(errors, device, &path, "name");
        let mut wrong = |path: &str, value: &str, detail: &str| {
            errors.push(FieldError::invalid(path, value, detail));
        };
        if !names.insert(name) && !name.is_empty() {
            wrong(&at_name, name, "must be unique");
        }
        match context.volumes.get(name) {
            Some(volume) if is_set(volume, "persistentVolumeClaim") || is_set(volume, "ephemeral") => {}
            Some(_) => {
                let detail =
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                wrong(&at_name, name, detail);
            }
            None => errors.push(FieldError {
                path: at_name.clone(),
                cause: Cause::NotFound,
                value: name.into(),
                detail: String::new(),
            }),
        }
        required(errors, device, &path, "devicePath");
        let mut wrong = |path: &str, value: &str, detail: &str| {
            errors.push(FieldError::invalid(path, value, detail));
        };
        if paths.contains(target) {
            wrong(&at_path, target, "must be unique");
        }
        if target.split('/').any(|part| part == "..") {
            wrong(&at_path, target, "can not contain backsteps ('..')");
        } else {
            paths.insert(target);
        }
        if mounts.iter().any(|mount| text(mount, "name") == name) {
            wrong(&at_name, name, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|mount| text(mount, "mountPath") == target) {
            wrong(&at_path, target, "must not already exist as a path in volumeMounts");
        }
    }
}
