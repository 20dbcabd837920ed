//! Whether what is applied fits its type: no undeclared field, no wrong value, no item twice. In the words of
//! structured-merge-diff, typed/validate.go.

use std::collections::BTreeSet;

use serde_json::Value;

use super::items::element;
use super::path::Element;
use crate::schema::{Atom, List, Map, Node, Relation, Word};

/// How many problems are told.
const TOLD: usize = 100;
/// And in how many bytes: each says where it is, which may be long.
const TOLD_BYTES: usize = 64 << 10;

/// What is wrong with an object, in one text; none if it is fine.
pub(crate) fn check(node: Node, value: &Value) -> Option<String> {
    let mut found = Vec::new();
    value_of(node, value, &mut Vec::new(), &mut found);
    found.truncate(TOLD);
    match found.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(many.iter().fold("errors:".to_owned(), |text, one| text + "\n  " + one)),
    }
}

fn value_of(node: Node, value: &Value, path: &mut Vec<Element>, found: &mut Vec<String>) {
    if value.is_null() || is_enough(found) {
        return;
    }
    match (node.atom(Some(value)), value) {
        (Atom::Scalar(word), value) => {
            if let Some(cause) = scalar(word, value) {
                told(path, &cause, found);
            }
        }
        (Atom::List(list), Value::Array(items)) => list_of(&list, items, path, found),
        (Atom::List(_), other) => told(path, &format!("expected list, got {}", boxed(other)), found),
        (Atom::Map(map), Value::Object(members)) => map_of(&map, members, path, found),
        (Atom::Map(_), other) => told(path, &format!("expected map, got {}", boxed(other)), found),
    }
}

fn is_enough(found: &[String]) -> bool {
    found.len() > TOLD || found.iter().map(String::len).sum::<usize>() > TOLD_BYTES
}

fn map_of(
    map: &Map,
    members: &serde_json::Map<String, Value>,
    path: &mut Vec<Element>,
    found: &mut Vec<String>,
) {
    for (name, value) in members {
        path.push(Element::field(name));
        let member = map.member(name);
        match member {
            Some(node) => value_of(node, value, path, found),
            None => told(path, "field not declared in schema", found),
        }
        path.pop();
        // Upstream does not look on in a struct that has one field too many.
        if member.is_none() {
            return;
        }
    }
}

fn list_of(list: &List, items: &[Value], path: &mut Vec<Element>, found: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (at, item) in items.iter().enumerate() {
        let step = match list.relation {
            Relation::Atomic => Element::Index(i64::try_from(at).unwrap_or(i64::MAX)),
            Relation::Set | Relation::Keys(_) => match element(list, item) {
                Ok(step) => step,
                Err(cause) => return told(path, &format!("element {at}: {cause}"), found),
            },
        };
        if seen.contains(&step) {
            told(path, &format!("duplicate entries for key {step}"), found);
        }
        path.push(step.clone());
        value_of(list.item, item, path, found);
        path.pop();
        seen.insert(step);
    }
}

fn told(path: &[Element], cause: &str, found: &mut Vec<String>) {
    let path = super::path::Path(path).to_string();
    found.push(if path.is_empty() { cause.to_owned() } else { format!("{path}: {cause}") });
}

fn scalar(word: Word, value: &Value) -> Option<String> {
    Some(match (word, value) {
        (Word::Text, Value::String(_)) | (Word::Number, Value::Number(_)) | (Word::Bool, Value::Bool(_)) => {
            return None;
        }
        (Word::Any, Value::String(_) | Value::Number(_) | Value::Bool(_)) => return None,
        (Word::Number, other) => format!("expected numeric (int or float), got {}", go_type(other)),
        (Word::Text, other) => {
            format!("expected string, got &value.valueUnstructured{{Value:{}}}", go_syntax(other))
        }
        (Word::Bool, other) => format!("expected boolean, got {}", boxed(other)),
        (Word::Any, other) => format!("expected any scalar, got {}", boxed(other)),
    })
}

/// A value as Go's `%T` names its type.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as Go's `%#v` writes it.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => format!("{text:?}"),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let pairs: Vec<String> =
                map.iter().map(|(name, value)| format!("{name:?}:{}", go_syntax(value))).collect();
            format!("map[string]interface {{}}{{{}}}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

/// A value as Go's `%v` writes it inside its wrapper.
fn boxed(value: &Value) -> String {
    format!("&{{{}}}", plain(value))
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let pairs: Vec<String> =
                map.iter().map(|(name, value)| format!("{name}:{}", plain(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        other => other.to_string(),
    }
}
