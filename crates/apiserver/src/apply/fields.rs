//! The fields that a value names: what an applier owns. Source: structured-merge-diff, typed/tofieldset.go.

use std::collections::BTreeMap;

use serde_json::Value;

use super::items::elements;
use super::path::Element;
use super::set::Set;
use crate::schema::{Atom, List, Map, Node, Relation};

/// Every leaf and item that a value names.
pub(crate) fn fields_of(node: Node, value: &Value) -> Set {
    below(node, value).1
}

/// Whether the value itself is a field to own, and what is below it.
fn below(node: Node, value: &Value) -> (bool, Set) {
    match node.atom(Some(value)) {
        Atom::Scalar(_) => (true, Set::default()),
        Atom::List(List { relation: Relation::Atomic, .. }) | Atom::Map(Map { atomic: true, .. }) => {
            (true, Set::default())
        }
        Atom::List(list) => (false, items(&list, value)),
        Atom::Map(map) => (false, members(&map, value)),
    }
}

fn members(map: &Map, value: &Value) -> Set {
    let mut set = Set::default();
    for (name, value) in value.as_object().into_iter().flatten() {
        let (own, below) = below(map.member_or_free(name), value);
        let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
        set.put(Element::field(name), own || empty || !map.declares(name), below);
    }
    set
}

/// Items that stand twice are owned as one, without their parts.
fn items(list: &List, value: &Value) -> Set {
    let items = elements(list, Some(value));
    let mut seen: BTreeMap<&Element, usize> = BTreeMap::new();
    for (element, _) in &items {
        *seen.entry(element).or_default() += 1;
    }
    let mut set = Set::default();
    for (element, item) in &items {
        let parts = if seen[element] > 1 { Set::default() } else { below(list.item, item).1 };
        set.put(element.clone(), true, parts);
    }
    set
}
