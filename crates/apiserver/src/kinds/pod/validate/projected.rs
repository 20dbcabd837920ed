//! Volumes that put several things into one directory. Source: `validateProjectionSources`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::mounts::not_reserved;
use super::volumes::{downward, key_to_path};
use crate::field::{Errors, FieldError};
use crate::kinds::json::{int, is_set, items, text};
use crate::kinds::rules::{at, item, required};

/// The shortest and longest life of a token, in seconds.
const TOKEN_SECONDS: (i64, i64) = (600, 1 << 32);

/// Every problem of a projected volume's sources.
pub(super) fn check(errors: &mut Errors, of: &Value, path: &str) {
    let mut paths = BTreeSet::new();
    for (i, source) in items(of, "sources").iter().enumerate() {
        let at_source = item(&at(path, "sources"), i);
        let given = ["secret", "configMap", "downwardAPI", "serviceAccountToken"];
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
