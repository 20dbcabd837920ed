//! The items of lists that are sets or have keys: how each is told apart. Source: structured-merge-diff,
//! typed/helpers.go.

use serde_json::Value;

use super::path::{Element, Scalar};
use crate::schema::{List, Relation};

/// The step that leads to an item of a list that is no single value, or why there is none.
pub(super) fn element(list: &List, item: &Value) -> Result<Element, String> {
    match (list.relation, item) {
        (Relation::Atomic, _) => Err("invalid indexing of non-associative list".to_owned()),
        (Relation::Keys(names), Value::Object(map)) => {
            let mut keys = Vec::with_capacity(names.len());
            for name in names {
                let value = map.get(*name).map(Scalar::of);
                let value = value.or_else(|| list.default_key(name).as_ref().map(Scalar::of));
                keys.extend(value.map(|value| ((*name).to_owned(), value)));
            }
            if keys.is_empty() {
                return Err(format!(
                    "associative list with keys has an element that omits all key fields {names:?} (and doesn't have default values for any key fields)"
                ));
            }
            keys.sort_unstable();
            Ok(Element::Key(keys))
        }
        (Relation::Keys(_), Value::Null) => {
            Err("associative list with keys may not have a null element".to_owned())
        }
        (Relation::Keys(_), _) => Err("associative list with keys may not have non-map elements".to_owned()),
        (Relation::Set, Value::Object(_)) => {
            Err("associative list without keys has an element that's a map type".to_owned())
        }
        (Relation::Set, Value::Array(_)) => {
            Err("not supported: associative list with lists as elements".to_owned())
        }
        (Relation::Set, Value::Null) => {
            Err("associative list without keys has an element that's an explicit null".to_owned())
        }
        (Relation::Set, item) => Ok(Element::Value(Scalar::of(item))),
    }
}

/// The items with their steps; what has none is passed over.
pub(super) fn elements<'a>(list: &List, value: Option<&'a Value>) -> Vec<(Element, &'a Value)> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| Some((element(list, item).ok()?, item))).collect()
}

/// Whether a value of a list's or a map's type holds nothing: absent, null, or empty.
pub(super) fn is_bare(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        _ => true,
    }
}

/// Whether two values are the same; `1` and `1.0` are.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}
