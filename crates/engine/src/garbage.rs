//! Carries out garbage collection: dependents of owners that are gone, owners that wait for their dependents,
//! and tracking finalizers that no Job will take off.

use serde::Deserialize;
use serde_json::Value;
use windlass_apiserver::kind::{Kind, Propagation};
use windlass_apiserver::kinds;
use windlass_apiserver::registry::{DeleteOptions, Mark, Object, mark};
use windlass_control::garbage::{self, Action, Node, OwnerState};
use windlass_control::job;
use windlass_control::view::{Meta, Owner};
use windlass_store::Key;

use crate::cache::controller_uid;
use crate::draft::Draft;
use crate::events::Note;
use crate::intake::read;
use crate::jobs::drop_finalizer;
use crate::pods::is_deleting;
use crate::tick::Tick;
use crate::views::View;

/// Dependents of an object, and whether those left out would change nothing.
struct Dependents {
    list: Vec<(Key, Object, Node)>,
    is_whole: bool,
}

impl Tick {
    /// Asks about one object that the last changes may have left behind.
    pub(crate) fn collect(&mut self, draft: &mut Draft, key: &Key) {
        if draft.touches(key) {
            draft.again.push(key.clone());
            return;
        }
        let Some(kind) = self.cache.kind_of(key) else { return };
        let Some(object) = self.stored(key) else { return };
        let node = node(&object);
        let dependents = self.dependents(&node);
        if is_deleting(&object) {
            // It may have waited for a Job that is gone to take its finalizer off.
            self.look_at([key.clone()]);
            self.owner(draft, kind, key, &object, &node, &dependents);
            return;
        }
        if !node.meta.owner_references.iter().all(|owner| can_be_found(owner, &node.meta)) {
            return;
        }
        self.tell_of_strangers(draft, &object, &node.meta);
        let nodes: Vec<Node> = dependents.list.into_iter().map(|(_, _, node)| node).collect();
        let action = garbage::dependent(&node, &nodes, |owner| {
            let held = self.cache.held(self.cache.key_of(&owner.uid)?);
            let stands = self.cache.stands(owner, &node.meta);
            stands.then(|| held.map_or(OwnerState::Solid, |held| OwnerState::of(held.view.meta())))
        });
        if let Some(action) = action {
            self.carry_out(draft, kind, key, object, &action);
        }
    }

    /// Owners that are somewhere else, which a reference cannot mean.
    ///
    /// Source: upstream `reportInvalidNamespaceOwnerRef` in `pkg/controller/garbagecollector/graph_builder.go`.
    fn tell_of_strangers(&mut self, draft: &mut Draft, about: &Object, meta: &Meta) {
        for owner in &meta.owner_references {
            let Some(there) = self.cache.key_of(&owner.uid).cloned() else { continue };
            let elsewhere = kinds::by_kind(&owner.api_version, &owner.kind).filter(|kind| kind.namespaced);
            let is_elsewhere =
                elsewhere.is_some_and(|kind| !there.starts_with(kind.prefix(Some(&meta.namespace)).as_str()));
            if is_elsewhere {
                let (version, kind, name, uid) = (&owner.api_version, &owner.kind, &owner.name, &owner.uid);
                let named =
                    format!("[{version}/{kind}, namespace: {}, name: {name}, uid: {uid}]", meta.namespace);
                let message = format!("ownerRef {named} does not exist in namespace {:?}", meta.namespace);
                let reason = "OwnerRefInvalidNamespace".to_owned();
                let component = "garbage-collector-controller";
                let note = Note { warning: true, reason, message, field: None, component };
                self.note(draft, about, &note);
            }
        }
    }

    /// An object that is being deleted and perhaps waits for its dependents.
    fn owner(
        &mut self,
        draft: &mut Draft,
        kind: &'static Kind,
        key: &Key,
        object: &Object,
        node: &Node,
        dependents: &Dependents,
    ) {
        let nodes: Vec<Node> = dependents.list.iter().map(|(_, _, node)| node.clone()).collect();
        let mut plan = garbage::owner(node, &nodes);
        if !dependents.is_whole {
            // Those that were not read may keep it, too.
            plan.finalizers = None;
            draft.again.push(key.clone());
        }
        let find = |uid: &str| dependents.list.iter().find(|(_, _, node)| node.meta.uid == uid);
        for (uid, action) in &plan.edits {
            let Some((dependent, value, _)) = find(uid) else { continue };
            let Some(dependent_kind) = self.cache.kind_of(dependent) else { continue };
            if draft.touches(dependent) {
                draft.again.push(key.clone());
                return;
            }
            self.carry_out(draft, dependent_kind, dependent, value.clone(), action);
        }
        draft.again.extend(plan.visit.iter().filter_map(|uid| find(uid)).map(|(key, _, _)| key.clone()));
        if !plan.edits.is_empty() && plan.finalizers.is_none() {
            // More dependents than one plan edits.
            draft.again.push(key.clone());
        }
        if let Some(finalizers) = plan.finalizers {
            let after = edit(object, &object.metadata()["ownerReferences"].clone(), &finalizers);
            draft.replace(kind, key, object.clone(), after);
        }
    }

    /// The dependents of an object that matter to what becomes of it now. They are read a few at a time: an owner of
    /// many is asked again after each draft, and shall not read all that are left each time.
    fn dependents(&self, owner: &Node) -> Dependents {
        let mut found = Dependents { list: Vec::new(), is_whole: true };
        let has = |finalizer: &str| owner.meta.finalizers.iter().any(|one| one == finalizer);
        let is_letting_go = has(garbage::ORPHAN_FINALIZER);
        let asks = match owner.meta.deletion_timestamp {
            Some(_) => is_letting_go || has(garbage::FOREGROUND_FINALIZER),
            None => !owner.meta.owner_references.is_empty(),
        };
        if !asks {
            return found;
        }
        let (mut read, mut is_blocked) = (0, false);
        for key in self.cache.dependents_of(&owner.meta.uid) {
            // What is being deleted is held, and what the plans ask of it is known.
            let held = self.cache.held(key).filter(|held| held.view.meta().deletion_timestamp.is_some());
            if let Some(held) = held.filter(|_| !is_letting_go) {
                let meta = held.view.meta();
                let waits = meta.finalizers.iter().any(|one| one == garbage::FOREGROUND_FINALIZER);
                let mut owners = meta.owner_references.iter();
                let blocks = owners.any(|one| one.uid == owner.meta.uid && one.block_owner_deletion);
                // One that blocks is as good as many; those that wait themselves may be part of a ring.
                if waits || (blocks && !is_blocked) || found.list.is_empty() {
                    is_blocked |= blocks;
                    found.list.push((key.clone(), held.object.clone(), node(&held.object)));
                }
                continue;
            }
            if read > garbage::MAX_EDITS {
                found.is_whole = false;
                break;
            }
            read += 1;
            if let Some(object) = self.stored(key) {
                let node = node(&object);
                found.list.push((key.clone(), object, node));
            }
        }
        found
    }

    fn carry_out(
        &mut self,
        draft: &mut Draft,
        kind: &'static Kind,
        key: &Key,
        object: Object,
        action: &Action,
    ) {
        match action {
            Action::Delete { foreground } => {
                let how = if *foreground { Propagation::Foreground } else { Propagation::Background };
                self.delete_object(draft, kind, key, object, how);
            }
            Action::Edit { owner_references, finalizers } => {
                let edited = edit(&object, &Value::from(owner_references.clone()), finalizers);
                draft.replace(kind, key, object, edited);
            }
        }
    }

    /// Deletes an object as a client would.
    pub(crate) fn delete_object(
        &mut self,
        draft: &mut Draft,
        kind: &'static Kind,
        key: &Key,
        object: Object,
        propagation: Propagation,
    ) {
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        match mark(kind, &object.whole(), &options, self.world.now()) {
            Mark::Gone => draft.remove_object(kind, key, object),
            Mark::Stays(marked) => draft.replace(kind, key, object, (*marked).into()),
        }
    }

    /// Deletes a held object, its dependents first.
    pub(crate) fn delete_foreground(&mut self, draft: &mut Draft, key: &Key) {
        let Some(held) = self.cache.held(key).cloned() else { return };
        if !draft.touches(key) {
            self.delete_object(draft, held.kind, key, held.object, Propagation::Foreground);
        }
    }

    /// Takes the tracking finalizer off a pod whose Job is gone or finished; true if the draft now does.
    pub(crate) fn sweep_tracking(&mut self, draft: &mut Draft, key: &Key) -> bool {
        let Some(View::Pod(pod)) = draft.view(&self.cache, key) else { return false };
        if !pod.metadata.finalizers.iter().any(|finalizer| finalizer == job::TRACKING_FINALIZER) {
            return false;
        }
        let job = self.cache.key_of(controller_uid(&pod.metadata)).and_then(|key| self.job_view(key));
        if job::orphans([&**pod], |_| job.as_deref()).is_empty() {
            return false;
        }
        draft.edit(&self.cache, key, |pod| drop_finalizer(pod, job::TRACKING_FINALIZER));
        // What it then still needs (its removal, say) is asked when the write has come back.
        true
    }

    /// An object as the store has it now.
    pub(crate) fn stored(&self, key: &str) -> Option<Object> {
        read(&self.registry.store.get(key).ok()??)
    }
}

/// Whether it can be known if an owner is there: not of a kind that is not served here (an operator's, say), and not of one
/// in a namespace if the dependent is in none. What cannot be known is no reason to delete anything.
///
/// Source: upstream `isDangling` in `pkg/controller/garbagecollector/garbagecollector.go`.
fn can_be_found(owner: &Owner, dependent: &Meta) -> bool {
    let kind = kinds::by_kind(&owner.api_version, &owner.kind);
    kind.is_some_and(|kind| !kind.namespaced || !dependent.namespace.is_empty())
}

fn node(object: &Object) -> Node {
    Node {
        api_version: object["apiVersion"].as_str().unwrap_or_default().to_owned(),
        kind: object["kind"].as_str().unwrap_or_default().to_owned(),
        meta: Meta::deserialize(object.metadata()).unwrap_or_default(),
    }
}

fn edit(object: &Object, owner_references: &Value, finalizers: &[String]) -> Object {
    let mut after = object.clone();
    if let Some(meta) = after["metadata"].as_object_mut() {
        match owner_references {
            Value::Array(owners) if !owners.is_empty() => {
                meta.insert("ownerReferences".to_owned(), owner_references.clone());
            }
            _ => drop(meta.remove("ownerReferences")),
        }
        if finalizers.is_empty() {
            meta.remove("finalizers");
        } else {
            meta.insert("finalizers".to_owned(), finalizers.into());
        }
    }
    after
}
