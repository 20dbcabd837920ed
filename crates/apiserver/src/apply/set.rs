//! Sets of fields: a tree of path steps, some of which are members. With the algebra on them, and their form in JSON
//! (`fieldsV1`). Source: structured-merge-diff, fieldpath/set.go and serialize.go.
//!
//! A branch without members is never kept, so that equal sets are equal values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::path::{Element, ElementError};
use crate::schema::{Atom, Map as MapType, Node, Relation};

/// A set of paths. The empty path is in none: nobody owns a whole object.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Set {
    members: BTreeSet<Element>,
    children: BTreeMap<Element, Set>,
}

impl Set {
    /// The set of these paths of fields.
    pub(crate) fn of_fields(paths: &[&[&str]]) -> Set {
        let mut set = Set::default();
        for path in paths {
            let path: Vec<Element> = path.iter().map(|name| Element::field(*name)).collect();
            set.insert(&path);
        }
        set
    }

    /// Adds a path.
    pub(crate) fn insert(&mut self, path: &[Element]) {
        match path {
            [] => {}
            [last] => drop(self.members.insert(last.clone())),
            // A step may be long: it is copied only where it is new.
            [first, rest @ ..] => match self.children.get_mut(first) {
                Some(child) => child.insert(rest),
                None => self.children.entry(first.clone()).or_default().insert(rest),
            },
        }
    }

    /// Adds what is below a step, and the step itself if it is a member.
    pub(super) fn put(&mut self, element: Element, member: bool, below: Set) {
        if !below.is_empty() {
            self.children.insert(element.clone(), below);
        }
        if member {
            self.members.insert(element);
        }
    }

    /// Whether it has a path.
    pub(crate) fn has(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.members.contains(last),
            [first, rest @ ..] => self.children.get(first).is_some_and(|child| child.has(rest)),
        }
    }

    /// What is below a step, if anything.
    pub(super) fn below(&self, element: &Element) -> Option<&Set> {
        self.children.get(element)
    }

    /// Whether it has no path.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.is_empty()
    }

    /// All paths: at each place its members, then what is below.
    pub(crate) fn paths(&self) -> Vec<Vec<Element>> {
        let (mut all, mut prefix) = (Vec::new(), Vec::new());
        self.collect(&mut prefix, &mut all);
        all
    }

    fn collect(&self, prefix: &mut Vec<Element>, all: &mut Vec<Vec<Element>>) {
        for member in &self.members {
            all.push(prefix.iter().chain([member]).cloned().collect());
        }
        for (step, child) in &self.children {
            prefix.push(step.clone());
            child.collect(prefix, all);
            prefix.pop();
        }
    }

    /// What is in either.
    pub(crate) fn union(&self, other: &Set) -> Set {
        let mut both = self.clone();
        both.absorb(other);
        both
    }

    /// Adds what is in another. Costs what the other has, not what this one has.
    pub(crate) fn absorb(&mut self, other: &Set) {
        self.members.extend(other.members.difference(&self.members).cloned().collect::<Vec<_>>());
        for (step, child) in &other.children {
            match self.children.get_mut(step) {
                Some(mine) => mine.absorb(child),
                None => drop(self.children.insert(step.clone(), child.clone())),
            }
        }
    }

    /// Whether each step has at most so many bytes.
    pub(super) fn has_steps_within(&self, bytes: usize) -> bool {
        let steps = self.members.iter().chain(self.children.keys());
        steps.into_iter().all(|step| step.bytes() <= bytes)
            && self.children.values().all(|child| child.has_steps_within(bytes))
    }

    /// What is in both.
    pub(crate) fn intersection(&self, other: &Set) -> Set {
        let members = self.members.intersection(&other.members).cloned().collect();
        Set { members, children: self.children_by(|step, mine| Some(mine.intersection(other.below(step)?))) }
    }

    /// What is in this one alone.
    pub(crate) fn difference(&self, other: &Set) -> Set {
        let members = self.members.difference(&other.members).cloned().collect();
        let rest = |step: &Element, mine: &Set| match other.below(step) {
            Some(theirs) => Some(mine.difference(theirs)),
            None => Some(mine.clone()),
        };
        Set { members, children: self.children_by(rest) }
    }

    /// What is neither in the other nor below a member of it.
    pub(crate) fn without(&self, other: &Set) -> Set {
        let members = self.members.difference(&other.members).cloned().collect();
        let rest = |step: &Element, mine: &Set| match other.below(step) {
            _ if other.members.contains(step) => None,
            Some(theirs) => Some(mine.without(theirs)),
            None => Some(mine.clone()),
        };
        Set { members, children: self.children_by(rest) }
    }

    fn children_by(&self, rest: impl Fn(&Element, &Set) -> Option<Set>) -> BTreeMap<Element, Set> {
        let kept = self.children.iter().filter_map(|(step, mine)| Some((step.clone(), rest(step, mine)?)));
        kept.filter(|(_, child)| !child.is_empty()).collect()
    }

    /// The set with every declared field as a member that leads to one: what is removed with all its fields is to go
    /// itself.
    pub(crate) fn with_named_fields(&self, node: Option<Node>) -> Set {
        let atom = node.map(|node| node.atom(None));
        let mut members = self.members.clone();
        let mut children = BTreeMap::new();
        for (step, child) in &self.children {
            let inner = match (step, &atom) {
                (Element::Field(name), Some(Atom::Map(map))) => {
                    if map.declares(name) {
                        members.insert(step.clone());
                    }
                    map.member(name)
                }
                (Element::Key(_), Some(Atom::List(list))) => Some(list.item),
                _ => None,
            };
            children.insert(step.clone(), child.with_named_fields(inner));
        }
        Set { members, children }
    }

    /// The set as the type allows it: who owns parts of what is one value owns that value. Such sets come from clients,
    /// and from versions in which the type was another.
    pub(crate) fn settled(&self, node: Node) -> Set {
        let atom = node.atom(None);
        let mut out = Set { members: self.members.clone(), children: BTreeMap::new() };
        for (step, child) in &self.children {
            let inner = match (step, &atom) {
                (Element::Field(name), Atom::Map(map)) => MapType::member(map, name),
                (Element::Key(_) | Element::Value(_), Atom::List(list)) => Some(list.item),
                _ => None,
            };
            match inner {
                Some(inner) if is_whole(inner) => drop(out.members.insert(step.clone())),
                Some(inner) => out.put(step.clone(), false, child.settled(inner)),
                None => out.put(step.clone(), false, child.clone()),
            }
        }
        out
    }

    /// The set as `fieldsV1`.
    pub(crate) fn to_json(&self) -> Value {
        let mut map = Map::new();
        for member in &self.members {
            map.insert(member.render(), Map::new().into());
        }
        for (step, child) in &self.children {
            let mut below = child.to_json();
            if self.members.contains(step) {
                below["."] = Map::new().into();
            }
            map.insert(step.render(), below);
        }
        map.into()
    }

    /// Reads `fieldsV1`. Its depth is bounded by that of the body that it came in.
    pub(crate) fn from_json(json: &Value) -> Result<Set, ElementError> {
        let mut set = Set::default();
        let map = match json {
            Value::Null => return Ok(set),
            Value::Object(map) => map,
            other => return Err(ElementError::not_a_map(other)),
        };
        for (key, value) in map {
            if key == "." {
                continue;
            }
            let Some(element) = Element::parse(key)? else { continue };
            let below = Set::from_json(value)?;
            let member = below.is_empty() || value.get(".").is_some();
            set.put(element, member, below);
        }
        Ok(set)
    }
}

/// Whether a type with parts is one value.
fn is_whole(node: Node) -> bool {
    match node.atom(None) {
        Atom::Map(map) => map.atomic,
        Atom::List(list) => list.relation == Relation::Atomic,
        Atom::Scalar(_) => false,
    }
}
