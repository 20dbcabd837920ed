//! v1 secrets.
//!
//! Source of the rules: upstream pkg/apis/core/validation/validation.go.

use jiff::Timestamp;
use serde_json::Value;

use super::common::{AGE, NAME, PLAIN, column};
use super::data;
use super::json::{entries, fill_text, object, remove, set, text};
use super::rules::{entry, immutable};
use super::table;
use crate::field::{Errors, FieldError};
use crate::kind::{Column, Fields, Kind};

/// The row.
pub(super) const KIND: Kind = Kind {
    kind: "Secret",
    plural: "secrets",
    singular: "secret",
    schema: "io.k8s.api.core.v1.Secret",
    default: fill_defaults,
    validate,
    validate_update,
    warnings,
    fields,
    field_names: &["type"],
    columns: COLUMNS,
    cells,
    ..PLAIN
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Type", "What the data is for."),
    Column { kind: "string", ..column("Data", "How many keys it holds.") },
    AGE,
];

fn fill_defaults(secret: &mut Value) {
    object(secret, "metadata");
    fill_text(secret, "type", "Opaque");
    fold_string_data(secret);
}

/// `stringData` is for writing only: it goes into `data`, over what is there.
fn fold_string_data(secret: &mut Value) {
    let Some(Value::Object(texts)) = remove(secret, "stringData") else { return };
    if let Some(data) = object(secret, "data").filter(|_| !texts.is_empty()) {
        for (key, value) in texts {
            set(data, &key, data::encode(value.as_str().unwrap_or("")));
        }
    }
}

fn validate(secret: &Value) -> Errors {
    let mut errors = Errors::new();
    let mut size = 0;
    for (key, value) in entries(secret, "data") {
        let path = entry("data", key);
        data::key(&mut errors, &path, key);
        size += data::decoded(&mut errors, &path, value).map_or(0, |bytes| bytes.len());
    }
    if size > data::LIMIT {
        errors.push(FieldError::too_long("data", data::LIMIT));
    }
    by_type(&mut errors, secret);
    errors
}

/// What the well-known types must hold.
fn by_type(errors: &mut Errors, secret: &Value) {
    let has = |key: &str| secret["data"].get(key).is_some();
    let mut need = |key: &str| errors.push(FieldError::required(entry("data", key), ""));
    match text(secret, "type") {
        "kubernetes.io/service-account-token" => {
            let key = "kubernetes.io/service-account.name";
            if text(&secret["metadata"]["annotations"], key).is_empty() {
                errors.push(FieldError::required(entry("metadata.annotations", key), ""));
            }
        }
        "kubernetes.io/dockercfg" => docker(errors, secret, ".dockercfg"),
        "kubernetes.io/dockerconfigjson" => docker(errors, secret, ".dockerconfigjson"),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            need("username");
            need("password");
        }
        "kubernetes.io/ssh-auth" if text(&secret["data"], "ssh-privatekey").is_empty() => {
            need("ssh-privatekey");
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"].iter().filter(|key| !has(key)) {
                need(key);
            }
        }
        _ => {}
    }
}

/// A pair for TLS without a certificate or key in it is stored, and its writer is warned.
fn warnings(secret: &Value) -> Vec<String> {
    if text(secret, "type") != "kubernetes.io/tls" {
        return Vec::new();
    }
    let is_pem = |key: &str| {
        let bytes = data::decoded(&mut Errors::new(), "", &secret["data"][key]).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains("-----BEGIN ")
    };
    let lacks = [("tls.crt", "certificate"), ("tls.key", "key")].into_iter().find(|(key, _)| !is_pem(key));
    lacks.map(|(_, what)| format!("tls: failed to find any PEM data in {what} input")).into_iter().collect()
}

/// Credentials for a registry are a JSON object.
fn docker(errors: &mut Errors, secret: &Value, key: &str) {
    let path = entry("data", key);
    let Some(value) = secret["data"].get(key) else {
        errors.push(FieldError::required(path, ""));
        return;
    };
    let Some(bytes) = data::decoded(&mut Errors::new(), &path, value) else { return };
    if let Err(error) = serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes) {
        let cause =
            if error.is_eof() { "unexpected end of JSON input".to_owned() } else { error.to_string() };
        errors.push(FieldError::invalid(path, "<secret contents redacted>", cause));
    }
}

fn validate_update(new: &Value, old: &Value, _: bool) -> Errors {
    let mut errors = Errors::new();
    immutable(&mut errors, new, old, "", "type");
    data::frozen(&mut errors, new, old, &["data"]);
    errors.extend(validate(new));
    errors
}

fn fields(secret: &dyn Fields) -> Vec<(&'static str, String)> {
    vec![("type", secret["type"].as_str().unwrap_or_default().to_owned())]
}

fn cells(secret: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        table::name(secret),
        text(secret, "type").into(),
        entries(secret, "data").count().into(),
        table::age(secret, now),
    ]
}
