//! Bodies: JSON, YAML and protobuf, fitted to a schema, defaulted and checked.

use serde_json::Value;

use super::{kind, values};
use crate::kind::Kind;
use crate::schema;

/// A body in JSON or YAML, as an object of the kind that its first byte names.
pub fn bodies(data: &[u8]) {
    let Some((kind, body)) = kind(data) else { return };
    let Ok(decoded) = schema::parse(body, true) else {
        assert!(schema::parse(body, false).is_err(), "JSON is YAML");
        return;
    };
    // Aliases repeat what they name, within the reader's budget.
    bounded(&decoded.object, body, ALIASED);
    assert!(decoded.complaints.len() <= 100);
    if let Ok(json) = schema::parse(body, false) {
        bounded(&json.object, body, 0);
        // No field that is served is a fraction; one that is read may be the one next to it.
        if !has_fraction(&json.object) {
            let again = json.object.to_string();
            assert_eq!(schema::parse(again.as_bytes(), false).map(|d| d.object), Ok(json.object));
        }
    }
    if decoded.object.is_object() {
        fits(kind, decoded.object);
    }
}

/// A body in protobuf is what fitting would make of it.
pub fn protobuf(data: &[u8]) {
    let Ok(object) = schema::parse_protobuf(data) else { return };
    let (version, name) = (text_of(&object, "apiVersion"), text_of(&object, "kind"));
    if let Some(kind) = crate::kinds::by_kind(&version, &name) {
        let mut fitted = object.clone();
        assert_eq!(schema::fit(kind.schema, &mut fitted), Ok(Vec::new()), "{object}");
        assert_eq!(fitted, object);
        fits(kind, object);
    }
}

fn text_of(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_default().to_owned()
}

/// Fitting twice is fitting once, dressing changes nothing that fitting keeps, defaults are defaults of themselves, and
/// the checks say what is wrong of anything.
fn fits(kind: &Kind, mut object: Value) {
    let Ok(complaints) = schema::fit(kind.schema, &mut object) else { return };
    assert!(complaints.len() <= 100);
    let again = refit(kind, object.clone());
    assert_eq!(again, object, "fitting twice");
    let dressed = dress(kind, object.clone());
    assert_eq!(dress(kind, refit(kind, dressed.clone())), dressed, "dressing what was fitted");
    let mut whole = object;
    (kind.default)(&mut whole);
    let whole = refit(kind, whole);
    let mut twice = whole.clone();
    (kind.default)(&mut twice);
    assert_eq!(refit(kind, twice), whole, "defaults of defaults");
    values::told(&(kind.validate)(&whole));
    values::told(&(kind.validate_update)(&whole, &whole, false));
    (kind.warnings)(&whole);
}

fn dress(kind: &Kind, mut object: Value) -> Value {
    schema::dress(kind.schema, &mut object);
    object
}

fn refit(kind: &Kind, mut object: Value) -> Value {
    assert_eq!(schema::fit(kind.schema, &mut object), Ok(Vec::new()), "{object}");
    object
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(list) => list.iter().any(has_fraction),
        Value::Object(map) => map.values().any(has_fraction),
        _ => false,
    }
}

/// So much may come from aliases, in bytes.
const ALIASED: usize = 80 << 20;

/// No body becomes much more than it was: a byte is at most an escape of six, and what is written for it is short.
fn bounded(object: &Value, body: &[u8], more: usize) {
    let (length, most) = (object.to_string().len(), 64 + 8 * body.len() + more);
    assert!(length <= most, "{length} bytes of {}", body.len());
}
