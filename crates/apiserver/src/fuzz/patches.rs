//! Patches of four types: a first byte names the kind, then come an object and a patch with a line of `---` between.

use serde_json::Value;

use super::{halves, kind};
use crate::apply::{Writer, apply, is_tracked};
use crate::http::fuzz::{Form, patched};
use crate::kind::Kind;
use crate::schema;

/// The most that a patch may leave: what its object and itself are, and what copies may carry.
const CARRIED: usize = 3 << 20;

/// An object of a kind, and the patch's text.
fn read(data: &[u8]) -> Option<(&'static Kind, Value, &[u8])> {
    let (kind, rest) = kind(data)?;
    let (object, patch) = halves(rest)?;
    let mut object = schema::parse(object, false).ok()?.object;
    schema::fit(kind.schema, &mut object).ok().filter(|_| object.is_object())?;
    Some((kind, object, patch))
}

/// What a patch leaves is bounded and no deeper than a body may be; what is refused is refused with 4xx.
fn after(form: Form, kind: &'static Kind, object: &Value, patch: &[u8]) -> Option<Value> {
    match patched(kind, form, object, patch) {
        Ok(new) => {
            let text = new.to_string();
            assert!(text.len() <= object.to_string().len() + 64 * patch.len() + 64 + CARRIED);
            assert!(schema::parse(text.as_bytes(), false).is_ok(), "what a patch leaves can be read again");
            Some(new)
        }
        Err(error) => {
            assert!((400..500).contains(&error.code), "{error:?}");
            None
        }
    }
}

/// JSON Patch; a patch that only tests leaves the object as it is.
pub fn json_patches(data: &[u8]) {
    let Some((kind, object, patch)) = read(data) else { return };
    let Some(new) = after(Form::Json, kind, &object, patch) else { return };
    let operations = schema::parse(patch, false).map(|decoded| decoded.object).unwrap_or_default();
    let tests = operations.as_array().into_iter().flatten().all(|operation| operation["op"] == "test");
    assert!(!tests || new == object);
}

/// Merge patch: applied twice it is applied once.
pub fn merge_patches(data: &[u8]) {
    let Some((kind, object, patch)) = read(data) else { return };
    let Some(new) = after(Form::Merge, kind, &object, patch) else { return };
    assert_eq!(after(Form::Merge, kind, &new, patch), Some(new));
}

/// Strategic merge patch: an empty one changes nothing.
pub fn strategic_patches(data: &[u8]) {
    let Some((kind, object, patch)) = read(data) else { return };
    assert_eq!(after(Form::Strategic, kind, &object, b"{}").as_ref(), Some(&object));
    after(Form::Strategic, kind, &object, patch);
}

/// Server-side apply: what is applied is there then, once more changes nothing, and giving it all up leaves what others
/// own.
pub fn applies(data: &[u8]) {
    let Some((kind, live, patch)) = read(data) else { return };
    let Ok(mut applied) = schema::parse(patch, true).map(|decoded| decoded.object) else { return };
    if !applied.is_object() || schema::fit(kind.schema, &mut applied).is_err() {
        return;
    }
    let writer = Writer { manager: "fuzz", subresource: "", now: "2026-01-01T00:00:00Z" };
    let Ok(first) = apply(kind, Some(&live), &applied, true, writer) else { return };
    let Some(first) = fitted(kind, first) else { return };
    // Who owns nothing leaves no trace: if nobody else is known either, the next apply is a first one again.
    if !is_tracked(&first) {
        return;
    }
    let Ok(second) = apply(kind, Some(&first), &applied, true, writer) else {
        panic!("what was applied is refused: {first}")
    };
    let second = fitted(kind, second).expect("it was fitted before");
    assert_eq!(second, first, "applied twice");
    let nothing = serde_json::json!({"apiVersion": applied["apiVersion"], "kind": applied["kind"]});
    let released = apply(kind, Some(&first), &nothing, true, writer);
    assert!(released.is_ok(), "what was applied cannot be given up: {first}");
}

fn fitted(kind: &Kind, mut object: Value) -> Option<Value> {
    schema::fit(kind.schema, &mut object).ok().map(|_| object)
}
