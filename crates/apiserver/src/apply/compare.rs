//! What differs between two versions of an object, as sets of fields. Source: structured-merge-diff, typed/compare.go.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::items::{elements, is_bare, same};
use super::path::Element;
use super::set::Set;
use crate::schema::{Atom, List, Map, Node, Relation};

/// The difference between two versions. No field is in two of the sets.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Comparison {
    /// Fields that the new version has not.
    pub(crate) removed: Set,
    /// Fields that both have with different values.
    pub(crate) modified: Set,
    /// Fields that only the new version has.
    pub(crate) added: Set,
}

impl Comparison {
    /// The same without what is at and below some fields.
    pub(crate) fn without(&self, ignored: &Set) -> Comparison {
        Comparison {
            removed: self.removed.without(ignored),
            modified: self.modified.without(ignored),
            added: self.added.without(ignored),
        }
    }
}

/// Compares two versions.
pub(crate) fn compare(node: Node, old: &Value, new: &Value) -> Comparison {
    let mut walk = Walk { path: Vec::new(), found: Comparison::default() };
    walk.value(node, Some(old), Some(new));
    walk.found
}

struct Walk {
    path: Vec<Element>,
    found: Comparison,
}

impl Walk {
    fn value(&mut self, node: Node, old: Option<&Value>, new: Option<&Value>) {
        if old == new {
            return;
        }
        match node.atom(new.or(old)) {
            Atom::Scalar(_) => return self.leaf(old, new),
            Atom::List(List { relation: Relation::Atomic, .. }) | Atom::Map(Map { atomic: true, .. }) => {
                return self.leaf(old, new);
            }
            // Nothing and empty differ as values do.
            _ if is_bare(old) && is_bare(new) => return self.leaf(old, new),
            Atom::List(list) => self.items(&list, old, new),
            Atom::Map(map) => self.members(&map, old, new),
        }
        if old.is_none() {
            self.found.added.insert(&self.path);
        } else if new.is_none() {
            self.found.removed.insert(&self.path);
        }
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, _) => self.found.added.insert(&self.path),
            (_, None) => self.found.removed.insert(&self.path),
            (Some(old), Some(new)) if same(old, new) => {}
            (Some(_), Some(_)) => self.found.modified.insert(&self.path),
        }
    }

    fn members(&mut self, map: &Map, old: Option<&Value>, new: Option<&Value>) {
        let (before, after) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
        let all: BTreeSet<&String> = before.into_iter().chain(after).flat_map(|map| map.keys()).collect();
        for name in all {
            let (before, after) = (before.and_then(|map| map.get(name)), after.and_then(|map| map.get(name)));
            self.path.push(Element::field(name));
            self.value(map.member_or_free(name), before, after);
            self.path.pop();
        }
    }

    fn items(&mut self, list: &List, old: Option<&Value>, new: Option<&Value>) {
        let (before, after) = (grouped(list, old), grouped(list, new));
        let all: BTreeSet<&Element> = before.keys().chain(after.keys()).collect();
        for element in all {
            let before = before.get(element).map_or(&[][..], Vec::as_slice);
            let after = after.get(element).map_or(&[][..], Vec::as_slice);
            self.path.push(element.clone());
            self.item(list, before, after);
            self.path.pop();
        }
    }

    fn item(&mut self, list: &List, before: &[&Value], after: &[&Value]) {
        match (before, after) {
            ([] | [_], [] | [_]) => self.value(list.item, before.first().copied(), after.first().copied()),
            // Items that stand twice are compared as one value.
            ([_, _, ..], [_, _, ..]) => {
                let equal = before.len() == after.len() && before.iter().zip(after).all(|(a, b)| same(a, b));
                if !equal {
                    self.found.modified.insert(&self.path);
                }
            }
            ([_, _, ..], rest) => {
                if let Some(one) = rest.first() {
                    self.value(list.item, None, Some(one));
                }
                self.found.removed.insert(&self.path);
            }
            (rest, _) => {
                if let Some(one) = rest.first() {
                    self.value(list.item, Some(one), None);
                }
                self.found.added.insert(&self.path);
            }
        }
    }
}

fn grouped<'a>(list: &List, value: Option<&'a Value>) -> BTreeMap<Element, Vec<&'a Value>> {
    let mut groups: BTreeMap<Element, Vec<&Value>> = BTreeMap::new();
    for (element, item) in elements(list, value) {
        groups.entry(element).or_default().push(item);
    }
    groups
}
