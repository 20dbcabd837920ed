//! Merges what is applied into what is there: leaves are the applier's, lists keep an order that suits both. Nothing
//! is removed. Source: structured-merge-diff, typed/merge.go.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map as Object, Value};

use super::items::{elements, is_bare};
use super::path::Element;
use crate::schema::{Atom, List, Map, Node, Relation};

/// Merges `applied` into `live`. The applied object has been checked: no item of it stands twice.
pub(crate) fn merge(node: Node, live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    let (Some(live), Some(applied)) = (live, applied) else { return live.or(applied).cloned() };
    match node.atom(Some(applied).filter(|value| !value.is_null()).or(Some(live))) {
        Atom::Scalar(_) => Some(applied.clone()),
        Atom::List(List { relation: Relation::Atomic, .. }) | Atom::Map(Map { atomic: true, .. }) => {
            Some(applied.clone())
        }
        _ if is_bare(Some(live)) && is_bare(Some(applied)) => Some(applied.clone()),
        Atom::List(list) => Some(items(&list, live, applied)),
        Atom::Map(map) => Some(members(&map, live, applied)),
    }
}

fn members(map: &Map, live: &Value, applied: &Value) -> Value {
    let (live, applied) = (live.as_object(), applied.as_object());
    let all: BTreeSet<&String> = live.into_iter().chain(applied).flat_map(Object::keys).collect();
    let merged = all.into_iter().filter_map(|name| {
        let (live, applied) = (live.and_then(|map| map.get(name)), applied.and_then(|map| map.get(name)));
        Some((name.clone(), merge(map.member_or_free(name), live, applied)?))
    });
    Value::Object(merged.collect())
}

/// Two lists being merged: those items that both have stand in the order of the applied one; each of the others stays
/// where it was between its neighbours, as far as that can be.
fn items(list: &List, live: &Value, applied: &Value) -> Value {
    let left = elements(list, Some(live));
    let right = elements(list, Some(applied));
    // An item that stands twice in the live list is not merged with: which one would it be?
    let mut known: BTreeMap<&Element, Option<&Value>> = BTreeMap::new();
    for (element, item) in &left {
        known.entry(element).and_modify(|known| *known = None).or_insert(Some(item));
    }
    let wanted: BTreeSet<&Element> = right.iter().map(|(element, _)| element).collect();
    let mut shared: VecDeque<&Element> =
        right.iter().map(|(element, _)| element).filter(|element| known.contains_key(element)).collect();
    let mut next = shared.pop_front();
    let mut taken: BTreeSet<&Element> = BTreeSet::new();
    let mut out = Vec::with_capacity(left.len().max(right.len()));
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if let (Some((mine, _)), Some((theirs, item))) = (left.get(l), right.get(r)) {
            if mine == theirs {
                taken.insert(mine);
                out.extend(merge(list.item, known.get(mine).copied().flatten(), Some(item)));
                (l, r) = (l + 1, r + 1);
                next = shared.pop_front();
                continue;
            }
            // Both have it, but it is another's turn.
            if wanted.contains(mine) && next.is_some_and(|next| next != mine) {
                l += 1;
                continue;
            }
        }
        if let Some((mine, item)) = left.get(l) {
            if !wanted.contains(mine) {
                out.push((*item).clone());
                l += 1;
                continue;
            }
            if taken.contains(mine) {
                l += 1;
            }
        }
        if let Some((theirs, item)) = right.get(r) {
            taken.insert(theirs);
            out.extend(merge(list.item, known.get(theirs).copied().flatten(), Some(item)));
            r += 1;
            if next == Some(theirs) {
                next = shared.pop_front();
            }
        }
    }
    Value::Array(out)
}
