//! What one tick wants to write and then do: edits over the cache, committed together, and their effects.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use windlass_apiserver::kind::Kind;
use windlass_apiserver::registry::{Registry, Transaction, ends};
use windlass_runner::runtime::{Key as RunKey, Start};
use windlass_store::{Committed, Key};

use crate::cache::Cache;
use crate::volumes::Furniture;

/// Pending writes and effects.
#[derive(Default)]
pub(crate) struct Draft {
    edits: BTreeMap<Key, Edit>,
    /// Processes to start once the writes are durable.
    pub(crate) starts: Vec<Start>,
    /// Volumes to make before that, by the pod's uid.
    pub(crate) furniture: BTreeMap<String, Furniture>,
    /// Signals to send once the writes are durable.
    pub(crate) signals: Vec<(RunKey, i32)>,
    /// Pods whose end is then recorded, by uid.
    pub(crate) settled: Vec<String>,
    /// Objects to ask garbage collection about again once this draft is committed.
    pub(crate) again: Vec<Key>,
}

struct Edit {
    kind: &'static Kind,
    before: Option<Arc<Value>>,
    after: Option<Value>,
}

impl Draft {
    /// The object as it will be, if the draft or the cache has it.
    pub(crate) fn current<'a>(&'a self, cache: &'a Cache, key: &str) -> Option<&'a Value> {
        match self.edits.get(key) {
            Some(edit) => edit.after.as_ref(),
            None => cache.held(key).map(|h| &*h.value),
        }
    }

    /// Whether the draft touches an object.
    pub(crate) fn touches(&self, key: &str) -> bool {
        self.edits.contains_key(key)
    }

    /// Takes back what was to be started or signalled for a pod: it is looked at anew.
    pub(crate) fn reconsider(&mut self, pod: &str) {
        self.starts.retain(|start| start.key.pod != pod);
        if !self.furniture.is_empty() {
            self.furniture.remove(pod);
        }
        self.signals.retain(|(run, _)| run.pod != pod);
        self.settled.retain(|uid| uid != pod);
    }

    /// How many objects it touches.
    pub(crate) fn len(&self) -> usize {
        self.edits.len()
    }

    /// Whether it neither writes nor does anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.starts.is_empty() && self.signals.is_empty() && self.settled.is_empty()
    }

    /// Changes an object of the cache or the draft; nothing if neither has it.
    pub(crate) fn edit(&mut self, cache: &Cache, key: &Key, change: impl FnOnce(&mut Value)) {
        if let Some(edit) = self.edits.get_mut(key) {
            if let Some(after) = &mut edit.after {
                change(after);
            }
            return;
        }
        if let Some(held) = cache.held(key) {
            let mut after = (*held.value).clone();
            change(&mut after);
            if after != *held.value {
                self.edits.insert(
                    key.clone(),
                    Edit { kind: held.kind, before: Some(held.value.clone()), after: Some(after) },
                );
            }
        }
    }

    /// Changes an object that is given as it is in the store.
    pub(crate) fn replace(&mut self, kind: &'static Kind, key: &Key, before: Value, after: Value) {
        if before != after {
            self.edits.insert(key.clone(), Edit { kind, before: Some(Arc::new(before)), after: Some(after) });
        }
    }

    /// Adds an object that is ready to be stored.
    pub(crate) fn insert(&mut self, kind: &'static Kind, value: Value) -> Key {
        let meta = &value["metadata"];
        let key: Key = kind.key(meta["namespace"].as_str(), meta["name"].as_str().unwrap_or_default()).into();
        self.edits.insert(key.clone(), Edit { kind, before: None, after: Some(value) });
        key
    }

    /// Takes an object out of the store.
    pub(crate) fn remove(&mut self, cache: &Cache, key: &Key) {
        if let Some(edit) = self.edits.get_mut(key) {
            edit.after = None;
            return;
        }
        if let Some(held) = cache.held(key) {
            let before = Some(held.value.clone());
            self.edits.insert(key.clone(), Edit { kind: held.kind, before, after: None });
        }
    }

    /// Takes an object out of the store that is given as it is there.
    pub(crate) fn remove_value(&mut self, kind: &'static Kind, key: &Key, before: Value) {
        self.edits.insert(key.clone(), Edit { kind, before: Some(Arc::new(before)), after: None });
    }

    /// The writes, in an order that `outcome` repeats.
    pub(crate) fn transaction(&self, registry: &Registry) -> Transaction {
        let mut transaction = registry.transaction();
        for edit in self.edits.values() {
            match (&edit.before, &edit.after) {
                (None, Some(after)) => transaction.insert(edit.kind, after),
                (Some(_), Some(after)) => transaction.replace(edit.kind, after),
                (Some(before), None) => transaction.remove(edit.kind, before),
                (None, None) => {}
            }
        }
        transaction
    }

    /// What the cache has to learn from the commit: each object's new state, with its resource version, or its absence.
    pub(crate) fn outcome(
        &mut self,
        committed: &Committed,
    ) -> Vec<(Key, windlass_store::Revision, Option<Arc<Value>>)> {
        let edits = std::mem::take(&mut self.edits);
        let written = edits.into_iter().filter(|(_, e)| e.before.is_some() || e.after.is_some());
        written
            .zip(&committed.entries)
            .map(|((key, edit), entry)| {
                let value = edit.after.map(|mut after| {
                    let revision = entry.as_ref().map_or(committed.revision, |e| e.modified);
                    after["metadata"]["resourceVersion"] = Value::from(revision.0.to_string());
                    (revision, Arc::new(after))
                });
                match value {
                    // What has neither grace nor finalizers left was deleted by this write.
                    Some((revision, after)) if !ends(&after) => (key, revision, Some(after)),
                    _ => (key, committed.revision, None),
                }
            })
            .collect()
    }
}
