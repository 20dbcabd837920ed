//! What secrets and config maps share: keys, bytes, size, and being frozen.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::json::{flag, same};
use super::rules::wrong;
use crate::field::{Errors, FieldError};
use crate::names;

/// The most that one of them may hold, in bytes.
pub(super) const LIMIT: usize = 1024 * 1024;

/// Bytes as the API writes them.
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// A value's bytes; what is no base64 is refused.
pub(super) fn decoded(errors: &mut Errors, path: &str, value: &Value) -> Option<Vec<u8>> {
    match BASE64_STANDARD.decode(value.as_str().unwrap_or("")) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            // The value may be a secret: it is not repeated.
            errors.push(FieldError::invalid_unsaid(path, format!("illegal base64 data: {error}")));
            None
        }
    }
}

/// A key becomes a file's name.
pub(super) fn key(errors: &mut Errors, path: &str, key: &str) {
    wrong(errors, path, key, names::data_key(key));
}

/// What may not change once `immutable` is set.
pub(super) fn frozen(errors: &mut Errors, new: &Value, old: &Value, keys: &[&str]) {
    if !flag(old, "immutable") {
        return;
    }
    let mut refuse = |key: &str| {
        errors.push(FieldError::forbidden(key, "field is immutable when `immutable` is set"));
    };
    if !flag(new, "immutable") {
        refuse("immutable");
    }
    for key in keys {
        let empty = Value::Object(serde_json::Map::new());
        let of = |object: &Value| if object[*key].is_null() { empty.clone() } else { object[*key].clone() };
        if !same(&of(new), &of(old)) || of(new) != of(old) {
            refuse(key);
        }
    }
}
