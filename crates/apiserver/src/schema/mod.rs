//! The shapes of the served types: one table from which decoding, strict checks, OpenAPI, strategic merge and
//! server-side apply read.
//!
//! `table.txt` is made by `cargo xtask schema` from the facts of a Kubernetes release. It knows no defaults and no
//! validation beyond types: those are the kinds'.

mod dress;
mod fit;
mod merge;
mod openapi;
mod order;
mod parse;
mod path;
mod protobuf;
mod scalar;
mod shape;
mod structure;
mod table;
#[cfg(test)]
mod tests;
mod wire;
mod words;

use serde_json::Value;

use crate::quantity::QuantityError;
pub(crate) use parse::{DEPTH, read_stored};
pub(crate) use structure::{Atom, List, Map, Node, Relation, Word, empty};

/// A request body as an object, with what strict decoding would complain about.
#[derive(Clone, PartialEq, Debug)]
pub struct Decoded {
    /// The object.
    pub object: Value,
    /// Keys given twice, in upstream's words: `duplicate field "spec.x"`; at most 100.
    pub complaints: Vec<String>,
}

/// A body that cannot be read as an object at all (400).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

impl From<QuantityError> for DecodeError {
    fn from(error: QuantityError) -> DecodeError {
        DecodeError(error.to_string())
    }
}

/// Parses a JSON or YAML body. Names keys given twice (the last one counts); refuses nesting deeper than 100 and
/// trailing bytes.
pub fn parse(body: &[u8], yaml: bool) -> Result<Decoded, DecodeError> {
    parse::parse(body, yaml)
}

/// Reads a JSON object but for one of its fields, whose text is given as it stands. None if there is no such field, or
/// if strict decoding might complain of anything outside of it.
pub(crate) fn parse_but<'a>(body: &'a [u8], field: &str) -> Option<(Value, &'a str)> {
    parse::parse_but(body, field)
}

/// Decodes a protobuf body (`k8s\0` and the envelope) into the JSON object it stands for, in the form that [`fit`] gives
/// to JSON: what says nothing is left out, `apiVersion` and `kind` are filled in. Refuses kinds that no schema knows.
pub fn parse_protobuf(body: &[u8]) -> Result<Value, DecodeError> {
    protobuf::parse(body)
}

/// Fits an object to its schema (`io.k8s.api.batch.v1.Job`) as upstream's typed decoding does. Unknown fields are removed
/// and named (`unknown field "spec.bogus"`, at most 100). Values of the wrong type are refused in upstream's words
/// (`json: cannot unmarshal string into Go struct field JobSpec.spec.parallelism of type int32`).
///
/// What says nothing goes: `null`s, the zero values of fields that Go cannot tell from absent (`stdin: false`,
/// `args: []`, `resources: {}`, but not `suspend: false` or `emptyDir: {}`, which are pointers). Times and quantities
/// take their canonical forms (`0.5` is `500m`). Fitting twice is fitting once.
pub fn fit(schema: &str, object: &mut Value) -> Result<Vec<String>, DecodeError> {
    let Some(shape) = table::table().by_schema(schema) else {
        return Err(DecodeError(format!("no schema is known by the name {schema:?}")));
    };
    fit::fit(shape, object)
}

/// Adds what upstream's JSON always has, zero or not (`status: {}`, `lastProbeTime: null`, `restartCount: 0`). What
/// [`fit`] takes away comes back; what it keeps stays.
pub fn dress(schema: &str, object: &mut Value) {
    if let (Some(shape), Value::Object(map)) = (table::table().by_schema(schema), object) {
        dress::dress(shape, map);
    }
}

/// A strategic merge patch that cannot be applied (400 or 422).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PatchError(pub String);

/// Applies a strategic merge patch with the merge keys of the schema. The result is not fitted yet: what the patch
/// brought in (unknown fields, wrong types) is for [`fit`] to judge.
pub fn strategic_merge(schema: &str, original: &Value, patch: &Value) -> Result<Value, PatchError> {
    let Some(shape) = table::table().by_schema(schema) else {
        return Err(PatchError(format!("no schema is known by the name {schema:?}")));
    };
    merge::merge(shape, original, patch)
}

/// The OpenAPI v3 index (`/openapi/v3`).
#[must_use]
pub fn openapi_index() -> Value {
    openapi::index()
}

/// The OpenAPI v3 document of a group version, `api/v1` or `apis/batch/v1`.
#[must_use]
pub fn openapi_document(path: &str) -> Option<Value> {
    openapi::document(path)
}
