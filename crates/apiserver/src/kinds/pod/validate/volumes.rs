//! The volumes of a pod.

use std::collections::BTreeSet;

use serde_json::Value;

use super::env;
use super::mounts::{no_backsteps, not_reserved};
use crate::field::{Errors, FieldError};
use crate::kinds::json::{int, is_set, items, text};
use crate::kinds::pod::volume::SOURCES;
use crate::kinds::rules::{at, item, optional_choice, required, wrong};
use crate::names;
use crate::quantity::Quantity;

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
pub(crate) const HOST_PATHS: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
/// The shortest and longest life of a projected token, in seconds.
const TOKEN_SECONDS: (i64, i64) = (600, 1 << 32);

/// Every problem of the volumes. The names of the sound ones come back: only those can be mounted.
pub(super) fn check<'a>(errors: &mut Errors, volumes: &'a [Value], path: &str) -> BTreeSet<&'a str> {
    let mut sound = BTreeSet::new();
    for (i, volume) in volumes.iter().enumerate() {
        let path = item(path, i);
        let name = text(volume, "name");
        let mut found = Errors::new();
        source(&mut found, volume, &path);
        if name.is_empty() {
            found.push(FieldError::required(at(&path, "name"), ""));
        } else {
            wrong(&mut found, &at(&path, "name"), name, names::dns_label(name));
        }
        if sound.contains(name) {
            found.push(FieldError::duplicate(at(&path, "name"), name));
        } else if found.is_empty() {
            sound.insert(name);
        }
        errors.append(&mut found);
    }
    sound
}

fn source(errors: &mut Errors, volume: &Value, path: &str) {
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
        "projected" => projected(errors, of, &at_source),
        _ => {}
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

fn key_to_path(errors: &mut Errors, key: &Value, path: &str) {
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
fn downward(errors: &mut Errors, file: &Value, path: &str) {
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

fn projected(errors: &mut Errors, of: &Value, path: &str) {
    mode(errors, of, path, "defaultMode");
    let mut paths = BTreeSet::new();
    for (i, source) in items(of, "sources").iter().enumerate() {
        let at_source = item(&at(path, "sources"), i);
        let given = [
            "secret",
            "configMap",
            "downwardAPI",
            "serviceAccountToken",
            "clusterTrustBundle",
            "podCertificate",
        ];
        for key in ["secret", "configMap"] {
            let (of, at_source) = (&source[key], at(&at_source, key));
            if of.is_null() {
                continue;
            }
            required(errors, of, &at_source, "name");
            for (i, key) in items(of, "items").iter().enumerate() {
                key_to_path(errors, key, &item(&at(&at_source, "items"), i));
                let taken = text(key, "path");
                conflict(errors, &mut paths, taken, text(of, "name"), path);
            }
        }
        for file in items(&source["downwardAPI"], "items") {
            downward(errors, file, &at(&at_source, "downwardAPI"));
            conflict(errors, &mut paths, text(file, "path"), text(file, "path"), path);
        }
        if is_set(source, "serviceAccountToken") {
            token(errors, &source["serviceAccountToken"], &at(&at_source, "serviceAccountToken"), path);
        }
        if given.iter().filter(|key| is_set(source, key)).count() > 1 {
            let detail = "may not specify more than 1 volume type per source";
            errors.push(FieldError::forbidden(at_source, detail));
        }
    }
}

fn conflict<'a>(errors: &mut Errors, paths: &mut BTreeSet<&'a str>, taken: &'a str, value: &str, path: &str) {
    if !taken.is_empty() && !paths.insert(taken) {
        errors.push(FieldError::invalid(path, value, "conflicting duplicate paths"));
    }
}

/// Upstream names the volume, not the source, in the path of the token's file.
fn token(errors: &mut Errors, of: &Value, path: &str, volume: &str) {
    let seconds = int(of, "expirationSeconds").unwrap_or(0);
    let detail = if seconds < TOKEN_SECONDS.0 {
        Some("may not specify a duration less than 10 minutes")
    } else if seconds > TOKEN_SECONDS.1 {
        Some("may not specify a duration larger than 2^32 seconds")
    } else {
        None
    };
    if let Some(detail) = detail {
        errors.push(FieldError::invalid(at(path, "expirationSeconds"), seconds, detail));
    }
    required(errors, of, volume, "path");
    not_reserved(errors, text(of, "path"), &at(volume, "path"));
}
