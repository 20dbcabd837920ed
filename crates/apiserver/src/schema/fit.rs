//! Fits an object to its shape, as upstream's typed decoding does: unknown fields go and are named, `null` and the zero
//! values that JSON leaves out go silently, a value of the wrong type refuses the whole.
//!
//! Two clients that mean the same thus leave the same bytes in the store, whichever of absent, `null`, `""` and `{}`
//! they write and whether they send JSON or protobuf; comparisons for immutability and generations rest on that.

use serde_json::{Map, Value};

use super::parse::{NO_KEY, complain};
use super::path::Path;
use super::table::{Field, Scalar, Shape, Type, table};
use super::{DecodeError, scalar};
use crate::quantity::{QuantityError, canonical};

/// Fits an object, see [`super::fit`].
pub(super) fn fit(shape: &'static Type, object: &mut Value) -> Result<Vec<String>, DecodeError> {
    let mut fitter = Fitter { complaints: Vec::new() };
    let Value::Object(map) = object else {
        let kind = kind_of(object);
        return Err(DecodeError(format!(
            "json: cannot unmarshal {kind} into Go value of type v1.{}",
            shape.go_name()
        )));
    };
    fitter.object(shape, map, &Path::Root)?;
    Ok(fitter.complaints)
}

struct Fitter {
    complaints: Vec<String>,
}

/// Where a value stands: its place, and the struct whose field it is under.
struct Place<'a> {
    path: Path<'a>,
    owner: &'static str,
}

impl Fitter {
    fn object(
        &mut self,
        shape: &'static Type,
        map: &mut Map<String, Value>,
        path: &Path<'_>,
    ) -> Result<(), DecodeError> {
        let mut dropped = Vec::new();
        for (name, value) in map.iter_mut() {
            let Some(field) = shape.field(name) else {
                complain(&mut self.complaints, format!("unknown field {:?}", path.field(name).to_string()));
                dropped.push(name.clone());
                continue;
            };
            let place = Place { path: path.declared(name, field.embedded), owner: shape.go_name() };
            if !value.is_null() {
                self.value(&field.shape, value, &place)?;
            }
            if omitted(field, value) {
                dropped.push(name.clone());
            }
        }
        for name in dropped {
            map.remove(&name);
        }
        Ok(())
    }

    fn value(
        &mut self,
        shape: &'static Shape,
        value: &mut Value,
        place: &Place<'_>,
    ) -> Result<(), DecodeError> {
        match (shape, &mut *value) {
            (Shape::Scalar(kind, go), _) => return scalar(*kind, go, value, place),
            (Shape::List(inner), Value::Array(items)) => {
                for (at, item) in items.iter_mut().enumerate() {
                    self.item(inner, item, &Place { path: place.path.index(at), owner: place.owner })?;
                }
            }
            (Shape::Map(inner), Value::Object(map)) => {
                if map.contains_key(NO_KEY) {
                    let place = place.path.fields();
                    return Err(DecodeError(format!("{place}: the key {NO_KEY:?} cannot be stored")));
                }
                for (key, item) in map.iter_mut() {
                    self.item(inner, item, &Place { path: place.path.key(key), owner: place.owner })?;
                }
            }
            (Shape::Ref(to), _) => {
                let to = table().get(*to);
                match (&to.wrapped, value) {
                    (Some(inner), value) => self.value(inner, value, place)?,
                    (None, Value::Object(map)) => self.object(to, map, &place.path)?,
                    (None, other) => return Err(place.mismatch(&kind_of(other), &shape.go_name())),
                }
            }
            (Shape::List(_) | Shape::Map(_), other) => {
                return Err(place.mismatch(&kind_of(other), &shape.go_name()));
            }
        }
        Ok(())
    }

    /// An item of a list or map, where `null` is the zero value.
    fn item(
        &mut self,
        shape: &'static Shape,
        value: &mut Value,
        place: &Place<'_>,
    ) -> Result<(), DecodeError> {
        if value.is_null() {
            *value = zero(shape);
            return Ok(());
        }
        self.value(shape, value, place)
    }
}

impl Place<'_> {
    fn mismatch(&self, found: &str, go: &str) -> DecodeError {
        let (owner, path) = (self.owner, self.path.fields());
        DecodeError(format!(
            "json: cannot unmarshal {found} into Go struct field {owner}.{path} of type {go}"
        ))
    }
}

/// Whether a value says nothing: a scalar that is zero, no pointer, and left out of upstream's JSON; or something empty
/// that is no pointer, which upstream's own storage does not tell from absent.
pub(super) fn omitted(field: &Field, value: &Value) -> bool {
    match value {
        Value::Null => true,
        _ if field.pointer => false,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(set) => field.omitempty && !set,
        Value::Number(number) => field.omitempty && number.as_i64() == Some(0),
        Value::String(text) if matches!(field.shape, Shape::Scalar(Scalar::Quantity, _)) => {
            field.omitempty && text == "0"
        }
        Value::String(text) => field.omitempty && text.is_empty(),
    }
}

/// The zero value of a shape.
fn zero(shape: &Shape) -> Value {
    match shape {
        Shape::Scalar(Scalar::Bool, _) => false.into(),
        Shape::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::IntOrString, _) => 0.into(),
        Shape::Scalar(Scalar::Quantity, _) => "0".into(),
        Shape::Scalar(Scalar::String | Scalar::Bytes, _) => "".into(),
        Shape::Ref(to) if table().get(*to).wrapped.is_none() => Map::new().into(),
        Shape::Map(_) => Map::new().into(),
        Shape::Ref(_) | Shape::List(_) => Vec::<Value>::new().into(),
        Shape::Scalar(..) => Value::Null,
    }
}

/// Checks a single value and brings it to its canonical form.
fn scalar(kind: Scalar, go: &str, value: &mut Value, place: &Place<'_>) -> Result<(), DecodeError> {
    match (kind, &*value) {
        (Scalar::String, Value::String(_)) | (Scalar::Bool, Value::Bool(_)) => Ok(()),
        (Scalar::Raw | Scalar::Fields, _) => Ok(()),
        (Scalar::Int64, Value::Number(number)) if number.as_i64().is_some() => Ok(()),
        (Scalar::Int32 | Scalar::IntOrString, Value::Number(number)) if is_i32(number) => Ok(()),
        (Scalar::Int32 | Scalar::Int64, Value::Number(number)) => {
            Err(place.mismatch(&format!("number {number}"), go))
        }
        (Scalar::IntOrString, Value::String(_)) => Ok(()),
        (Scalar::IntOrString, Value::Number(number)) => {
            Err(place.mismatch(&format!("number {number}"), "int32"))
        }
        (Scalar::Bytes, Value::String(text)) => scalar::check_base64(text),
        (Scalar::Time, Value::String(text)) => set(value, scalar::time(text, false)?),
        (Scalar::MicroTime, Value::String(text)) => set(value, scalar::time(text, true)?),
        (Scalar::Quantity, Value::String(text)) => set(value, canonical(text)?.into()),
        (Scalar::Quantity, Value::Number(number)) => set(value, canonical(&number.to_string())?.into()),
        (Scalar::IntOrString, other) => Err(place.mismatch(&kind_of(other), "int32")),
        (Scalar::Time | Scalar::MicroTime, other) => Err(place.mismatch(&kind_of(other), "string")),
        (Scalar::Quantity, _) => Err(QuantityError::Format.into()),
        (_, other) => Err(place.mismatch(&kind_of(other), go)),
    }
}

fn set(value: &mut Value, canonical: Value) -> Result<(), DecodeError> {
    *value = canonical;
    Ok(())
}

fn is_i32(number: &serde_json::Number) -> bool {
    number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
}

/// Go's word for the kind of a JSON value.
fn kind_of(value: &Value) -> String {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    kind.to_owned()
}
