//! Objects as Tables and as bare metadata: what kubectl prints and metadata clients read.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::request::Query;
use crate::error::ApiError;
use crate::kind::Kind;

/// How much of each object a row carries (`includeObject`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// All of it.
    Object,
}

/// What a Table depends on besides its objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// The time that ages are counted to.
    pub(crate) now: Timestamp,
    /// How much of each object a row carries.
    pub(crate) include: Include,
}

impl Settings {
    /// Reads them from the query.
    pub(crate) fn read(query: &Query, now: Timestamp) -> Result<Settings, ApiError> {
        let include = match query.get("includeObject") {
            None | Some("Metadata") => Include::Metadata,
            Some("Object") => Include::Object,
            Some("None") => Include::None,
            Some(other) => {
                return Err(ApiError::bad_request(format!(
                    "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', 'Object', 'None', or empty"
                )));
            }
        };
        Ok(Settings { now, include })
    }
}

/// A Table of objects. `metadata` is the list's.
pub(crate) fn table(
    kind: &'static Kind,
    version: &str,
    metadata: &Value,
    objects: Vec<Value>,
    settings: &Settings,
) -> Value {
    let rows: Vec<Value> = objects.into_iter().map(|object| row(kind, version, object, settings)).collect();
    json!({
        "kind": "Table",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": metadata,
        "columnDefinitions": columns(kind),
        "rows": rows,
    })
}

/// An object's metadata alone.
pub(crate) fn partial(object: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object["metadata"],
    })
}

fn columns(kind: &'static Kind) -> Vec<Value> {
    let column = |c: &crate::kind::Column| json!({"name": c.name, "type": c.kind, "format": c.format, "description": c.description, "priority": c.priority});
    kind.columns.iter().map(column).collect()
}

fn row(kind: &'static Kind, version: &str, object: Value, settings: &Settings) -> Value {
    let mut row = json!({"cells": (kind.cells)(&object, settings.now)});
    if kind.kind == "Pod"
        && let Some(condition) = completed(&object)
    {
        row["conditions"] = json!([condition]);
    }
    match settings.include {
        Include::None => row["object"] = Value::Null,
        Include::Metadata => row["object"] = partial(&object, version),
        Include::Object => row["object"] = object,
    }
    row
}

/// The row condition by which clients tell finished pods.
fn completed(pod: &Value) -> Option<Value> {
    let (reason, message) = match pod["status"]["phase"].as_str()? {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!({"type": "Completed", "status": "True", "reason": reason, "message": message}))
}
