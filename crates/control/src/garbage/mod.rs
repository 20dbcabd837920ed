//! Garbage collection: which objects lost their owners, and which owners wait for their dependents.
//!
//! It knows no kind: an object is its metadata. Who asks says whether an owner is there.
//!
//! Source: upstream `attemptToDeleteItem`, `processDeletingDependentsItem` and `orphanDependents` in
//! `pkg/controller/garbagecollector/garbagecollector.go`.

use serde_json::{Map, Value};

use crate::view::{Meta, Owner};

/// Keeps an owner until its blocking dependents are gone.
pub const FOREGROUND_FINALIZER: &str = "foregroundDeletion";
/// Keeps an owner until no dependent names it any more.
pub const ORPHAN_FINALIZER: &str = "orphan";
/// Dependents edited by one [`OwnerPlan`] at most.
pub const MAX_EDITS: usize = 500;

/// An object as garbage collection sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// e.g. `batch/v1`.
    pub api_version: String,
    /// e.g. `Job`.
    pub kind: String,
    /// Its metadata.
    pub meta: Meta,
}

/// What to do with one object.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Delete it (with the propagation given): all its owners are gone, or its only living owner waits for it.
    /// Without `foreground` the finalizers that it has decide, as in any deletion that names no propagation.
    Delete {
        /// Delete its own dependents first.
        foreground: bool,
    },
    /// Write these owner references and finalizers instead of what it has.
    Edit {
        /// The owners that stay.
        owner_references: Vec<Value>,
        /// The finalizers that stay.
        finalizers: Vec<String>,
    },
}

/// An owner that exists (the uid, not only the name).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnerState {
    /// It stays, or is deleted without regard to its dependents.
    Solid,
    /// It is being deleted in the foreground: it waits for its dependents to go.
    WaitsForDependents,
}

impl OwnerState {
    /// The state of an object as an owner.
    #[must_use]
    pub fn of(meta: &Meta) -> Self {
        if is_deleting_dependents(meta) { Self::WaitsForDependents } else { Self::Solid }
    }
}

/// What a deleted owner still asks for.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OwnerPlan {
    /// Dependents to write, by uid.
    pub edits: Vec<(String, Action)>,
    /// The finalizers that the owner keeps, if they change. Committed with the edits; an owner without finalizers goes.
    pub finalizers: Option<Vec<String>>,
    /// Uids of dependents that are not being deleted yet: [`dependent`] says what becomes of them.
    pub visit: Vec<String>,
}

/// What becomes of an object whose owners may be gone. `dependents` are the objects that name it as an owner;
/// `owner` finds an owner, and is none if there is no such object.
#[must_use]
pub fn dependent(
    node: &Node,
    dependents: &[Node],
    owner: impl Fn(&Owner) -> Option<OwnerState>,
) -> Option<Action> {
    let owners = &node.meta.owner_references;
    if owners.is_empty() || node.meta.deletion_timestamp.is_some() {
        return None;
    }
    let states: Vec<Option<OwnerState>> = owners.iter().map(owner).collect();
    let waiting = Some(OwnerState::WaitsForDependents);
    if states.contains(&Some(OwnerState::Solid)) {
        let stays = |state: &Option<OwnerState>| *state == Some(OwnerState::Solid);
        let kept = owners.iter().zip(&states).filter(|(_, state)| stays(state)).map(|(owner, _)| owner);
        // A reference to a waiting owner goes too: this object stays, so that owner would wait for ever.
        return (!states.iter().all(stays)).then(|| edit(&node.meta, kept.cloned()));
    }
    let foreground = states.contains(&waiting) && !dependents.is_empty();
    if foreground && dependents.iter().any(|dependent| is_deleting_dependents(&dependent.meta)) {
        // Two objects may own each other: neither may block the other's end.
        let blocking = |owner: &Owner| owner.block_owner_deletion;
        if owners.iter().any(blocking) {
            let freed = owners.iter().map(|owner| Owner { block_owner_deletion: false, ..owner.clone() });
            return Some(edit(&node.meta, freed));
        }
    }
    Some(Action::Delete { foreground })
}

/// What an owner that is being deleted asks of its dependents, and when its own finalizer goes.
#[must_use]
pub fn owner(node: &Node, dependents: &[Node]) -> OwnerPlan {
    if node.meta.deletion_timestamp.is_none() {
        return OwnerPlan::default();
    }
    if has(&node.meta, ORPHAN_FINALIZER) {
        return orphan(node, dependents);
    }
    if has(&node.meta, FOREGROUND_FINALIZER) {
        return await_dependents(node, dependents);
    }
    OwnerPlan::default()
}

/// The dependents forget the owner; with the last of them its finalizer goes.
fn orphan(node: &Node, dependents: &[Node]) -> OwnerPlan {
    let mut owned = dependents.iter().filter(|dependent| names(&dependent.meta, &node.meta.uid).is_some());
    let edits = owned.by_ref().take(MAX_EDITS).map(|dependent| {
        let others = dependent.meta.owner_references.iter().filter(|owner| owner.uid != node.meta.uid);
        (dependent.meta.uid.clone(), edit(&dependent.meta, others.cloned()))
    });
    let edits = edits.collect();
    let finalizers = owned.next().is_none().then(|| without(&node.meta, ORPHAN_FINALIZER));
    OwnerPlan { edits, finalizers, visit: Vec::new() }
}

/// The owner waits for those dependents that block it; the others are deleted, but not waited for.
fn await_dependents(node: &Node, dependents: &[Node]) -> OwnerPlan {
    let owned = || {
        dependents.iter().filter_map(|dependent| Some((dependent, names(&dependent.meta, &node.meta.uid)?)))
    };
    let blocked = owned().any(|(_, owner)| owner.block_owner_deletion);
    let visit = owned().filter(|(dependent, _)| dependent.meta.deletion_timestamp.is_none());
    OwnerPlan {
        edits: Vec::new(),
        finalizers: (!blocked).then(|| without(&node.meta, FOREGROUND_FINALIZER)),
        visit: visit.map(|(dependent, _)| dependent.meta.uid.clone()).collect(),
    }
}

fn is_deleting_dependents(meta: &Meta) -> bool {
    meta.deletion_timestamp.is_some() && has(meta, FOREGROUND_FINALIZER)
}

fn has(meta: &Meta, finalizer: &str) -> bool {
    meta.finalizers.iter().any(|present| present == finalizer)
}

fn without(meta: &Meta, finalizer: &str) -> Vec<String> {
    meta.finalizers.iter().filter(|present| *present != finalizer).cloned().collect()
}

/// The reference of a dependent to the owner with that uid; the blocking one if there are several.
fn names<'a>(dependent: &'a Meta, uid: &str) -> Option<&'a Owner> {
    let references = dependent.owner_references.iter().filter(|owner| owner.uid == uid);
    references.max_by_key(|owner| owner.block_owner_deletion)
}

fn edit(meta: &Meta, owners: impl Iterator<Item = Owner>) -> Action {
    Action::Edit { owner_references: owners.map(reference).collect(), finalizers: meta.finalizers.clone() }
}

/// An owner reference as the API writes it: what is false is left out.
fn reference(owner: Owner) -> Value {
    let mut fields = Map::new();
    fields.insert("apiVersion".into(), owner.api_version.into());
    fields.insert("kind".into(), owner.kind.into());
    fields.insert("name".into(), owner.name.into());
    fields.insert("uid".into(), owner.uid.into());
    for (field, set) in [("controller", owner.controller), ("blockOwnerDeletion", owner.block_owner_deletion)]
    {
        if set {
            fields.insert(field.into(), true.into());
        }
    }
    fields.into()
}

#[cfg(test)]
mod tests;
