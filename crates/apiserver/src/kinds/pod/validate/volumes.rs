//! The volumes of a pod.

use std::collections::BTreeMap;

use serde_json::Value;

use super::mounts::{no_backsteps, not_reserved};
use super::{env, projected, sources};
use crate::field::{Errors, FieldError};
use crate::kinds::json::{int, is_set, items, text};
use crate::kinds::pod::volume::SOURCES;
use crate::kinds::rules::{at, item, optional_choice, required, wrong};
use crate::names;
use crate::quantity::Quantity;

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
pub(crate) const HOST_PATHS: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// Every problem of the volumes of a pod of this name, or of a template. The sound ones come back by name: only those can
/// be mounted.
pub(super) fn check<'a>(
    errors: &mut Errors,
    volumes: &'a [Value],
    path: &str,
    pod: Option<&str>,
) -> BTreeMap<&'a str, &'a Value> {
    let mut sound: BTreeMap<&str, &Value> = BTreeMap::new();
    for (i, volume) in volumes.iter().enumerate() {
        let path = item(path, i);
        let name = text(volume, "name");
        let mut found = Errors::new();
        source(&mut found, volume, &path, pod);
        if name.is_empty() {
            found.push(FieldError::required(at(&path, "name"), ""));
        } else {
            wrong(&mut found, &at(&path, "name"), name, names::dns_label(name));
        }
        if sound.contains_key(name) {
            found.push(FieldError::duplicate(at(&path, "name"), name));
        } else if found.is_empty() {
            sound.insert(name, volume);
        }
        errors.append(&mut found);
        made_for_the_pod(errors, volume, volumes, &path, pod);
    }
    sound
}

/// A claim that is made for one of the pod's volumes is no other volume's.
fn made_for_the_pod(errors: &mut Errors, volume: &Value, all: &[Value], path: &str, pod: Option<&str>) {
    let name = text(&volume["persistentVolumeClaim"], "claimName");
    let Some(of) =
        pod.filter(|pod| !pod.is_empty()).and_then(|pod| name.strip_prefix(pod)?.strip_prefix('-'))
    else {
        return;
    };
    if all.iter().any(|other| is_set(other, "ephemeral") && text(other, "name") == of) {
        let detail = "must not reference a PVC that gets created for an ephemeral volume";
        errors.push(FieldError::invalid(at(path, "persistentVolumeClaim.claimName"), name, detail));
    }
}

fn source(errors: &mut Errors, volume: &Value, path: &str, pod: Option<&str>) {
    // Upstream looks at emptyDir first, so that it is the other one that is too many.
    let mut given: Vec<&str> = SOURCES.iter().copied().filter(|s| is_set(volume, s)).collect();
    given.sort_by_key(|s| *s != "emptyDir");
    let Some((first, more)) = given.split_first() else {
        errors.push(FieldError::required(path, "must specify a volume type"));
        return;
    };
    let (of, at_source) = (&volume[*first], at(path, first));
    match *first {
        "emptyDir" => size_limit(errors, of, &at(&at_source, "sizeLimit")),
        "hostPath" => host_path(errors, of, &at_source),
        "secret" => keys(errors, of, &at_source, "secretName"),
        "configMap" => keys(errors, of, &at_source, "name"),
        "persistentVolumeClaim" => required(errors, of, &at_source, "claimName"),
        "downwardAPI" => {
            mode(errors, of, &at_source, "defaultMode");
            for file in items(of, "items") {
                downward(errors, file, &at_source);
            }
        }
        "projected" => {
            mode(errors, of, &at_source, "defaultMode");
            projected::check(errors, of, &at_source);
        }
        other => sources::check(errors, other, volume, path, pod),
    }
    for other in more {
        errors.push(FieldError::forbidden(at(path, other), "may not specify more than 1 volume type"));
    }
}

fn size_limit(errors: &mut Errors, of: &Value, path: &str) {
    match Quantity::of(&of["sizeLimit"]) {
        Ok(limit) if limit.nanos() < 0 => {
            errors.push(FieldError::forbidden(path, "SizeLimit field must be a valid resource quantity"));
        }
        Err(error) if is_set(of, "sizeLimit") => {
            errors.push(FieldError::invalid(path, of["sizeLimit"].clone(), error.to_string()));
        }
        _ => {}
    }
}

fn host_path(errors: &mut Errors, of: &Value, path: &str) {
    required(errors, of, path, "path");
    if !text(of, "path").is_empty() {
        no_backsteps(errors, text(of, "path"), &at(path, "path"));
        optional_choice(errors, of, path, "type", HOST_PATHS);
    }
}

/// A config map or secret as files.
fn keys(errors: &mut Errors, of: &Value, path: &str, name: &str) {
    required(errors, of, path, name);
    mode(errors, of, path, "defaultMode");
    for (i, key) in items(of, "items").iter().enumerate() {
        key_to_path(errors, key, &item(&at(path, "items"), i));
    }
}

/// A key of a config map or secret, and the file that it is.
pub(super) fn key_to_path(errors: &mut Errors, key: &Value, path: &str) {
    required(errors, key, path, "key");
    required(errors, key, path, "path");
    not_reserved(errors, text(key, "path"), &at(path, "path"));
    mode(errors, key, path, "mode");
}

fn mode(errors: &mut Errors, of: &Value, path: &str, key: &str) {
    if let Some(mode) = int(of, key).filter(|m| !(0..=0o777).contains(m)) {
        errors.push(FieldError::invalid(at(path, key), mode, MODE));
    }
}

/// A file with a field of the pod.
pub(super) fn downward(errors: &mut Errors, file: &Value, path: &str) {
    required(errors, file, path, "path");
    not_reserved(errors, text(file, "path"), &at(path, "path"));
    match (is_set(file, "fieldRef"), is_set(file, "resourceFieldRef")) {
        (true, both) => {
            env::field_ref(errors, &file["fieldRef"], &at(path, "fieldRef"), env::FILE_FIELDS);
            if both {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.push(FieldError::invalid(path, "resource", detail));
            }
        }
        (false, true) => {
            env::resource_ref(errors, &file["resourceFieldRef"], &at(path, "resourceFieldRef"), true);
        }
        (false, false) => {
            let detail = "one of fieldRef and resourceFieldRef is required";
            errors.push(FieldError::required(path, detail));
        }
    }
    mode(errors, file, path, "mode");
}
