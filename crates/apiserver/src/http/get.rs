//! Reading one object.

use axum::response::Response;
use http::StatusCode;
use windlass_store::Revision;

use super::dispatch::Call;
use super::pages::revision;
use super::request::Shape;
use super::respond::{self, Answer};
use crate::registry::{object_of, show_pressure, too_large_revision};

/// `GET` of an object, or of its `/status`.
pub(super) fn get(call: &Call) -> Answer {
    let asked = revision(&call.query)?;
    if asked > Revision(0) {
        let newest = call.app.registry.store.revision();
        if asked > newest {
            return Err(too_large_revision(asked.0, newest.0));
        }
    }
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
