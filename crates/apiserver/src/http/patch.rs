//! Patches: JSON Patch, merge patch, strategic merge patch. What is applied is [`super::apply`]'s.
//!
//! A patch is applied to the newest version again whenever another writer was faster; it fails on the resource version
//! only if it names one.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::author::Author;
use super::authorize::Guard;
use super::dispatch::Call;
use super::options::{FieldValidation, WriteOptions};
use super::request::media;
use super::respond::Answer;
use super::{apply, body, options};
use crate::error::{ApiError, Subject};
use crate::field::FieldError;
use crate::kind::Kind;
use crate::registry::{ChangeFn, Door};
use crate::schema;

/// Operations in one JSON Patch (upstream's bound).
const OPERATIONS: usize = 10_000;

/// Bytes that the copy and move operations of one JSON Patch may carry (as much as a body may have).
const CARRIED_BYTES: usize = 3 << 20;

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// A patch, read.
enum Patch {
    Json(json_patch::Patch),
    Merge(Value),
    Strategic(Value),
}

/// `PATCH` of an object or of its status.
pub(super) async fn patch(mut call: Call, door: Door, warnings: &mut Vec<String>) -> Answer {
    let header = call.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let media = media(header).0;
    // Upstream: "Do this first" (`endpoints/handlers/patch.go`).
    if ![JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY].contains(&media.as_str()) {
        return Err(unsupported());
    }
    let options = options::of_patch(&call.query, media == APPLY)?;
    let bytes = call.body().await?;
    if media == APPLY {
        return apply::apply(call, door, options, bytes, warnings).await;
    }
    let WriteOptions { dry_run, validation } = options;
    let (patch, mut said) = Patch::read(call.kind, &media, &bytes, validation)?;
    warnings.append(&mut said);
    let unknown: Arc<Mutex<Vec<String>>> = Arc::default();
    let change = change(Guard::of(&call), Author::of(&call, door), patch, validation, Arc::clone(&unknown));
    let stored =
        call.app.registry.update(call.kind, call.namespace(), &call.name, door, dry_run, change).await;
    warnings.append(&mut unknown.lock().unwrap_or_else(PoisonError::into_inner));
    let stored = stored?;
    if door == Door::Main {
        warnings.extend((call.kind.warnings)(&stored));
    }
    call.answer(StatusCode::OK, stored)
}

fn change(
    guard: Guard,
    author: Author,
    patch: Patch,
    validation: FieldValidation,
    unknown: Arc<Mutex<Vec<String>>>,
) -> ChangeFn {
    Arc::new(move |old| {
        let kind = author.kind;
        let mut new = patch.apply(kind, old)?;
        let mut checked = || {
            if !new.is_object() {
                return Err(ApiError::bad_request("the patch does not leave an object"));
            }
            body::check_type(&new, kind)?;
            let complaints = body::fit(kind, &mut new)?;
            body::judge(kind, complaints, validation)
        };
        match checked() {
            // The last application counts: earlier ones were on versions that lost.
            Ok(warnings) => *unknown.lock().unwrap_or_else(PoisonError::into_inner) = warnings,
            Err(error) => return Err(spoilt(&new, &error)),
        }
        author.track(old, &mut new);
        guard.check_change(old, &new)?;
        Ok(new)
    })
}

impl Patch {
    /// Reads a patch by its media type. Duplicate keys are told like a body's.
    fn read(
        kind: &Kind,
        media: &str,
        body: &Bytes,
        validation: FieldValidation,
    ) -> Result<(Patch, Vec<String>), ApiError> {
        let parsed = || {
            let decoded = schema::parse(body, false).map_err(|e| ApiError::bad_request(e.to_string()))?;
            let warnings = body::judge(kind, decoded.complaints, validation)?;
            Ok::<_, ApiError>((decoded.object, warnings))
        };
        match media {
            JSON_PATCH => {
                let (value, warnings) = parsed()?;
                if !value.is_array() {
                    return Err(undecoded("error decoding patch: ", &value, "[]handlers.jsonPatchOp"));
                }
                let patch: json_patch::Patch =
                    serde_json::from_value(value).map_err(|e| rejected(&e.to_string()))?;
                if patch.0.len() > OPERATIONS {
                    return Err(ApiError::new(
                        413,
                        "RequestEntityTooLarge",
                        format!(
                            "The allowed maximum operations in a JSON patch is {OPERATIONS}, got {}",
                            patch.0.len()
                        ),
                    ));
                }
                Ok((Patch::Json(patch), warnings))
            }
            MERGE_PATCH | STRATEGIC => {
                let (mut value, warnings) = parsed()?;
                let merge = media == MERGE_PATCH;
                // Of what type the result is, is the path's to say (upstream `handlers/patch.go`, `applyPatchToObject`).
                if let Some(patch) = value.as_object_mut().filter(|_| !merge) {
                    patch.retain(|key, value| {
                        !(matches!(key.as_str(), "apiVersion" | "kind") && value.is_string())
                    });
                }
                if !value.is_object() {
                    let prefix = if merge { "error decoding patch: " } else { "" };
                    return Err(undecoded(prefix, &value, "map[string]interface {}"));
                }
                Ok((if merge { Patch::Merge(value) } else { Patch::Strategic(value) }, warnings))
            }
            _ => Err(unsupported()),
        }
    }

    fn apply(&self, kind: &Kind, old: &Value) -> Result<Value, ApiError> {
        match self {
            Patch::Json(patch) => apply_operations(patch, old.clone()),
            Patch::Merge(patch) => {
                let mut new = old.clone();
                json_patch::merge(&mut new, patch);
                Ok(new)
            }
            Patch::Strategic(patch) => schema::strategic_merge(kind.schema, old, patch)
                .map_err(|e| ApiError::bad_request(e.to_string())),
        }
    }
}

/// 415 for what is no form of patch.
fn unsupported() -> ApiError {
    let mut error = ApiError::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
    error.details = Some(json!({}));
    error
}

/// The forms of patches that are no apply.
#[cfg(any(test, feature = "fuzzing"))]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Json,
    Merge,
    Strategic,
}

/// What a patch makes of an object, before it is fitted.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn patched(kind: &Kind, form: Form, old: &Value, body: &[u8]) -> Result<Value, ApiError> {
    let media = match form {
        Form::Json => JSON_PATCH,
        Form::Merge => MERGE_PATCH,
        Form::Strategic => STRATEGIC,
    };
    let (patch, _) = Patch::read(kind, media, &Bytes::copy_from_slice(body), FieldValidation::Warn)?;
    patch.apply(kind, old)
}

/// 422: a JSON Patch whose operations cannot be carried out.
fn rejected(cause: &str) -> ApiError {
    let text = "the server rejected our request due to an error in our request";
    let mut error = ApiError::new(422, "Invalid", format!("{text}: {cause}"));
    error.details = Some(json!({}));
    error
}

/// 422: what a patch leaves is no object of the kind.
fn spoilt(left: &Value, error: &ApiError) -> ApiError {
    let subject = Subject { group: "", resource: "", kind: "", name: String::new() };
    let cause = error.message.split_once("handled as a ").and_then(|(_, rest)| rest.split_once(": "));
    let cause = cause.map_or(error.message.as_str(), |(_, cause)| cause);
    ApiError::invalid(&subject, &vec![FieldError::invalid("patch", left.to_string(), cause)])
}

/// 400: a patch that is no patch, in the words of Go's decoder.
fn undecoded(prefix: &str, value: &Value, wanted: &str) -> ApiError {
    let found = match value {
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        _ => "bool",
    };
    ApiError::bad_request(format!("{prefix}json: cannot unmarshal {found} into Go value of type {wanted}"))
}

/// Applies a JSON Patch operation by operation, because copies of copies double the object each time, and values that
/// are moved into each other nest without end.
fn apply_operations(patch: &json_patch::Patch, mut object: Value) -> Result<Value, ApiError> {
    let mut carried = 0;
    for operation in &patch.0 {
        carried += check(operation, &object)?;
        if carried > CARRIED_BYTES {
            return Err(ApiError::new(
                413,
                "RequestEntityTooLarge",
                format!(
                    "the copy and move operations of the JSON patch add up to {carried} bytes, the limit is {CARRIED_BYTES}"
                ),
            ));
        }
        json_patch::patch(&mut object, std::slice::from_ref(operation))
            .map_err(|e| rejected(&e.to_string()))?;
    }
    Ok(object)
}

/// How many bytes an operation carries from one place to another; refused if it leaves more levels than a body may
/// have. As long as each keeps this bound, values may be walked and dropped by recursion.
fn check(operation: &json_patch::PatchOperation, object: &Value) -> Result<usize, ApiError> {
    use json_patch::PatchOperation::{Add, Copy, Move, Remove, Replace, Test};
    let (value, is_carried) = match operation {
        Add(add) => (Some(&add.value), false),
        Replace(replace) => (Some(&replace.value), false),
        Move(carry) => (carry.from.resolve(object).ok(), true),
        Copy(carry) => (carry.from.resolve(object).ok(), true),
        Remove(_) | Test(_) => (None, false),
    };
    // What is not there is refused when it is looked for.
    let Some(value) = value else { return Ok(0) };
    let path = operation.path();
    let left = schema::DEPTH.checked_sub(path.count());
    if left.is_none_or(|levels| is_deeper(value, levels)) {
        let levels = schema::DEPTH;
        return Err(rejected(&format!("what is at {path} would be nested deeper than {levels} levels")));
    }
    Ok(if is_carried { value.to_string().len() } else { 0 })
}

/// Whether lists and maps stand in each other more often than so many times.
fn is_deeper(value: &Value, levels: usize) -> bool {
    let inside = |inner: &Value| levels == 0 || is_deeper(inner, levels - 1);
    match value {
        Value::Array(list) => list.iter().any(inside),
        Value::Object(map) => map.values().any(inside),
        _ => false,
    }
}
