//! Takes fields and items out of an object. Source: structured-merge-diff, typed/remove.go.

use serde_json::{Map as Object, Value};

use super::items::element;
use super::path::Element;
use super::set::Set;
use crate::schema::{Atom, List, Map, Node, Relation};

/// The value without the members of a set; null where nothing is left of a list or map.
pub(crate) fn remove(node: Node, value: &Value, gone: &Set) -> Value {
    match node.atom(Some(value)) {
        Atom::Scalar(_) => value.clone(),
        Atom::List(List { relation: Relation::Atomic, .. }) | Atom::Map(Map { atomic: true, .. }) => {
            Value::Null
        }
        Atom::List(list) => {
            let kept: Vec<Value> =
                value.as_array().into_iter().flatten().filter_map(|item| rest(&list, item, gone)).collect();
            if kept.is_empty() { Value::Null } else { kept.into() }
        }
        Atom::Map(map) => {
            let mut kept = Object::new();
            for (name, value) in value.as_object().into_iter().flatten() {
                let step = Element::field(name);
                if gone.has(std::slice::from_ref(&step)) {
                    continue;
                }
                let value = match gone.below(&step) {
                    Some(below) => remove(map.member_or_free(name), value, below),
                    None => value.clone(),
                };
                kept.insert(name.clone(), value);
            }
            if kept.is_empty() { Value::Null } else { kept.into() }
        }
    }
}

/// What is left of an item.
fn rest(list: &List, item: &Value, gone: &Set) -> Option<Value> {
    let Ok(step) = element(list, item) else { return Some(item.clone()) };
    if gone.has(std::slice::from_ref(&step)) {
        return None;
    }
    Some(match gone.below(&step) {
        Some(below) => remove(list.item, item, &below.difference(&keys(list))),
        None => item.clone(),
    })
}

/// The fields that tell an item from the others. An item that stays keeps them, though nobody owns them: without them
/// it would be another, and what is below it would go with that one.
fn keys(list: &List) -> Set {
    let Relation::Keys(names) = list.relation else { return Set::default() };
    Set::of_fields(&names.iter().map(std::slice::from_ref).collect::<Vec<_>>())
}
