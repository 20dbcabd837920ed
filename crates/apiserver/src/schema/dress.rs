//! Adds what upstream's JSON always has: a struct that is no pointer is written even when it says nothing (`lastState:
//! {}`), and so is the zero of a field without `omitempty` (`lastProbeTime: null`). The opposite of `fit`: clients that
//! read raw JSON meet the same fields here and there.

use serde_json::{Map, Value};

use super::table::{Field, Scalar, Shape, Type, table};

/// Dresses an object, see [`super::dress`].
pub(super) fn dress(shape: &'static Type, map: &mut Map<String, Value>) {
    for (name, value) in map.iter_mut() {
        if let Some(field) = shape.field(name) {
            inside(&field.shape, value);
        }
    }
    for field in &shape.fields {
        // Made only where it is missing: of a struct that is a tree.
        if may_be_missed(field)
            && !map.contains_key(field.json)
            && let Some(value) = always(field)
        {
            map.insert(field.json.to_owned(), value);
        }
    }
}

fn inside(shape: &'static Shape, value: &mut Value) {
    match (shape, value) {
        (Shape::List(inner), Value::Array(items)) => items.iter_mut().for_each(|item| inside(inner, item)),
        (Shape::Map(inner), Value::Object(map)) => map.values_mut().for_each(|item| inside(inner, item)),
        (Shape::Ref(to), value) => {
            let to = table().get(*to);
            match (&to.wrapped, value) {
                (Some(inner), value) => inside(inner, value),
                (None, Value::Object(map)) => dress(to, map),
                _ => {}
            }
        }
        _ => {}
    }
}

/// Whether [`always`] may have something for a field.
fn may_be_missed(field: &Field) -> bool {
    if field.pointer || field.omitzero {
        return false;
    }
    match field.shape {
        Shape::Ref(_) => true,
        Shape::Scalar(Scalar::Time | Scalar::MicroTime | Scalar::Quantity | Scalar::IntOrString, _) => true,
        _ => !field.omitempty,
    }
}

/// What is written for a field that is not there; none if it is left out.
fn always(field: &'static Field) -> Option<Value> {
    if !may_be_missed(field) {
        return None;
    }
    match &field.shape {
        Shape::Ref(to) if table().get(*to).wrapped.is_none() => {
            let mut map = Map::new();
            dress(table().get(*to), &mut map);
            Some(map.into())
        }
        // Structs of Go, which `omitempty` does not leave out.
        Shape::Scalar(Scalar::Time | Scalar::MicroTime, _) => Some(Value::Null),
        Shape::Scalar(Scalar::Quantity, _) => Some("0".into()),
        Shape::Scalar(Scalar::IntOrString, _) => Some(0.into()),
        _ if field.omitempty => None,
        Shape::Scalar(Scalar::Bool, _) => Some(false.into()),
        Shape::Scalar(Scalar::Int32 | Scalar::Int64, _) => Some(0.into()),
        Shape::Scalar(Scalar::String, _) => Some("".into()),
        Shape::Scalar(..) => None,
        Shape::List(_) | Shape::Map(_) | Shape::Ref(_) => Some(Value::Null),
    }
}
