//! The shapes of the served types: one table from which decoding, strict checks, OpenAPI and strategic merge read.

mod fit;
mod merge;
mod openapi;
mod order;
mod parse;
mod path;
mod protobuf;
mod quantity;
mod scalar;
mod table;
#[cfg(test)]
mod tests;
mod wire;

use serde_json::Value;

/// A request body as an object, with what strict decoding would complain about.
#[derive(Clone, PartialEq, Debug)]
pub struct Decoded {
    /// The object.
    pub object: Value,
    /// Paths of fields that no schema knows, e.g. `spec.bogus`, and of keys given twice; in upstream's words: `unknown field "spec.bogus"`, `duplicate field "spec.x"`.
    pub complaints: Vec<String>,
}

/// A body that cannot be read as an object at all (400).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

/// Parses a JSON or YAML body. Finds duplicate keys; refuses nesting deeper than 100 and trailing bytes.
pub fn parse(body: &[u8], yaml: bool) -> Result<Decoded, DecodeError> {
    parse::parse(body, yaml)
}

/// Decodes a protobuf body (`k8s\0` and the envelope) into the JSON object it stands for: absent and zero fields left out, `apiVersion` and `kind` filled in.
pub fn parse_protobuf(body: &[u8]) -> Result<Value, DecodeError> {
    protobuf::parse(body)
}

/// Fits an object to its schema: reports unknown fields, refuses values of the wrong type in upstream's words
/// (`json: cannot unmarshal string into Go struct field JobSpec.spec.parallelism of type int32`), drops `null`s where upstream reads them as absent.
/// Unknown fields stay in the object as upstream drops them: they are removed here, and named.
pub fn fit(schema: &str, object: &mut Value) -> Result<Vec<String>, DecodeError> {
    let Some(shape) = table::table().by_schema(schema) else {
        return Err(DecodeError(format!("no schema is known by the name {schema:?}")));
    };
    fit::fit(shape, object)
}

/// A strategic merge patch that cannot be applied (400 or 422).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PatchError(pub String);

/// Applies a strategic merge patch with the merge keys of the schema.
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
