//! Reading one object.

use axum::response::Response;
use http::StatusCode;

use super::dispatch::Call;
use super::request::Shape;
use super::respond::{self, Answer};
use crate::registry::{object_of, show_pressure};

/// `GET` of an object, or of its `/status`.
pub(super) fn get(call: &Call) -> Answer {
    super::pages::revision(&call.query)?;
    let mut entry = call.app.registry.entry(call.kind, call.namespace(), &call.name)?;
    if let Some(pressure) = call.app.registry.disk.pressure(call.kind) {
        show_pressure(&pressure, &mut entry);
    }
    match call.shape()? {
        Shape::Object if call.kind.stored.is_none() => Ok(as_stored(entry.value.bytes().clone())),
        _ => call.answer(StatusCode::OK, call.kind.show(object_of(&entry)?)),
    }
}

/// What is stored is what is answered: no byte is parsed.
fn as_stored(bytes: bytes::Bytes) -> Response {
    respond::bytes(StatusCode::OK, "application/json", bytes)
}
