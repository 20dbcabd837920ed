//! The rules of ownership: what a write takes from whom, what an apply removes, where it meets another's field.
//!
//! Pure functions over two versions of an object and its managers. Source: structured-merge-diff, merge/update.go.

use std::collections::BTreeMap;

use serde_json::Value;

use super::compare::{Comparison, compare};
use super::fields::fields_of;
use super::items::same;
use super::managers::{Managed, Manager, Owned};
use super::merge::merge;
use super::path::Element;
use super::remove::remove;
use super::set::Set;
use crate::schema::Node;

/// Of which type an object is, and what this way of writing it leaves alone.
pub(crate) struct Scope {
    /// Its type.
    pub(crate) node: Node,
    /// Its version: entries of any other are forgotten, for the server knows one.
    pub(crate) api_version: String,
    /// Fields that this door resets: they are nobody's through it.
    pub(crate) ignored: Set,
}

/// A field that is another's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Conflict {
    /// Whose it is.
    pub(crate) manager: Manager,
    /// Which it is.
    pub(crate) path: Vec<Element>,
}

impl Scope {
    /// Tells whose the fields are after a write that is no apply. The writer gets what it changed.
    pub(crate) fn update(
        &self,
        managed: &mut Managed,
        old: &Value,
        new: &Value,
        writer: &Manager,
        now: &str,
    ) {
        self.settle(managed);
        let changes = compare(self.node, old, new).without(&self.ignored);
        yield_to(managed, &changes, None);
        let own = changes.modified.union(&changes.added).difference(&nobodys());
        if own.is_empty() {
            return;
        }
        let set = managed.owned.get(writer).map_or(own.clone(), |owned| owned.set.union(&own));
        managed.owned.insert(writer.clone(), Owned { set, api_version: self.api_version.clone() });
        managed.times.insert(writer.clone(), now.to_owned());
    }

    /// Applies an object: merges it in, takes out what its manager applied before and does not now, and tells whose the
    /// fields are. None if nothing changed but perhaps who owns what; what is another's conflicts, unless `force`.
    pub(crate) fn apply(
        &self,
        managed: &mut Managed,
        live: &Value,
        applied: &Value,
        writer: &Manager,
        force: bool,
        now: &str,
    ) -> Result<Option<Value>, Vec<Conflict>> {
        self.settle(managed);
        let merged = merge(self.node, Some(live), Some(applied)).unwrap_or_default();
        let set = fields_of(self.node, applied).without(&self.ignored);
        let owned = Owned { set, api_version: self.api_version.clone() };
        let last = managed.owned.insert(writer.clone(), owned);
        let new = match last.filter(|last| !last.set.is_empty()) {
            Some(last) => self.pruned(&merged, managed, &last.set),
            None => merged,
        };
        let changes = compare(self.node, live, &new).without(&self.ignored);
        let conflicts = conflicts(managed, &changes, writer);
        if !force && !conflicts.is_empty() {
            return Err(conflicts);
        }
        yield_to(managed, &changes, Some(writer));
        if let Some(own) = managed.owned.get_mut(writer) {
            own.set = own.set.difference(&nobodys());
        }
        managed.owned.retain(|_, owned| !owned.set.is_empty());
        if same(live, &new) {
            return Ok(None);
        }
        managed.times.insert(writer.clone(), now.to_owned());
        Ok(Some(new))
    }

    /// Forgets entries of versions that are not served, and brings the others into the form that the type allows.
    fn settle(&self, managed: &mut Managed) {
        managed.owned.retain(|_, owned| owned.api_version == self.api_version);
        for owned in managed.owned.values_mut() {
            owned.set = owned.set.settled(self.node);
        }
    }

    /// The merged object without what was applied last time, is not applied now, and is nobody else's.
    fn pruned(&self, merged: &Value, managed: &Managed, last: &Set) -> Value {
        let named = |set: &Set| set.with_named_fields(Some(self.node));
        let fields = |value: &Value| named(&fields_of(self.node, value));
        let last = named(last);
        let pruned = remove(self.node, merged, &last);
        // What somebody owns comes back.
        let mut owned = Set::default();
        managed.owned.values().for_each(|one| owned.absorb(&one.set));
        let all = fields(merged);
        let pruned = remove(self.node, merged, &all.difference(&fields(&pruned).union(&named(&owned))));
        // And what went only because it stood below something that was to go.
        remove(self.node, merged, &all.difference(&fields(&pruned)).intersection(&last))
    }
}

/// Fields that nobody owns: what an object is, and what the server sets.
fn nobodys() -> Set {
    Set::of_fields(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
}

/// Every field that is to change and is another's, sorted by manager and place.
fn conflicts(managed: &Managed, changes: &Comparison, writer: &Manager) -> Vec<Conflict> {
    let wanted = changes.modified.union(&changes.added);
    let others = managed.owned.iter().filter(|(manager, _)| *manager != writer);
    let of = others.flat_map(|(manager, owned)| {
        let paths = owned.set.intersection(&wanted).paths();
        paths.into_iter().map(|path| Conflict { manager: manager.clone(), path })
    });
    of.collect()
}

/// Takes from all but the writer what it changed, and what is gone.
fn yield_to(managed: &mut Managed, changes: &Comparison, writer: Option<&Manager>) {
    let taken = changes.modified.union(&changes.added);
    let owned: &mut BTreeMap<Manager, Owned> = &mut managed.owned;
    for (_, owned) in owned.iter_mut().filter(|(manager, _)| Some(*manager) != writer) {
        owned.set = owned.set.difference(&taken).difference(&changes.removed);
    }
    owned.retain(|manager, owned| Some(manager) == writer || !owned.set.is_empty());
}
