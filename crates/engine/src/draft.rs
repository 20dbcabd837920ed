//! What one tick wants to write and then do: edits over the cache, committed together, and their effects.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::OnceLock;

use windlass_apiserver::kind::Kind;
use windlass_apiserver::registry::{Object, Registry, Transaction, Written, ends};
use windlass_control::job::Past;
use windlass_runner::runtime::{Key as RunKey, Start};
use windlass_store::{Committed, Entry, Key, Revision};

use crate::cache::{Cache, Held};
use crate::checks::Check;
use crate::quotas::Book;
use crate::views::{View, view};
use crate::volumes::Furniture;

/// Pending writes and effects.
#[derive(Default)]
pub(crate) struct Draft {
    edits: BTreeMap<Key, Edit>,
    /// New objects that are written already.
    written: BTreeMap<Key, Written>,
    /// About as many bytes as the objects have that it writes.
    bytes: usize,
    /// Processes to start once the writes are durable.
    pub(crate) starts: Vec<Start>,
    /// Volumes to make before that, by the pod's uid.
    pub(crate) furniture: BTreeMap<String, Furniture>,
    /// Directories of volumes that are given up with it.
    pub(crate) unmade: Vec<PathBuf>,
    /// Signals to send once the writes are durable.
    pub(crate) signals: Vec<(RunKey, i32)>,
    /// Probes to ask and hooks to begin once the writes are durable.
    pub(crate) checks: Vec<Check>,
    /// How many of a pod's news (by uid) are recorded with it.
    pub(crate) news: BTreeMap<String, usize>,
    /// Runs of which is recorded with it that they end with their pod (by uid).
    pub(crate) announced: BTreeMap<String, Vec<(String, u32)>>,
    /// Pods whose end is then recorded, by uid.
    pub(crate) settled: Vec<String>,
    /// Objects to ask garbage collection about again once this draft is committed.
    pub(crate) again: Vec<Key>,
    /// Objects as quotas were last charged with them; nothing where they were charged with its absence.
    charged: BTreeMap<Key, Option<Object>>,
    /// What was known of quotas before this draft wrote down what others changed.
    pub(crate) books: BTreeMap<Key, Book>,
    /// What Jobs (by uid) then remember of their pods.
    pub(crate) pasts: BTreeMap<String, Past>,
    /// Objects whose plan is in the draft as a whole: asked again it would want nothing.
    pub(crate) quiet: BTreeSet<Key>,
}

struct Edit {
    kind: &'static Kind,
    before: Option<Object>,
    after: Option<Object>,
    /// What controllers read of `after`, once somebody has asked.
    view: OnceLock<View>,
}

/// What a commit made of an object.
pub(crate) struct Outcome {
    pub(crate) key: Key,
    pub(crate) revision: Revision,
    /// Nothing if it left the store.
    pub(crate) object: Option<Object>,
    pub(crate) view: Option<View>,
    /// Whether it need not be looked at for the write's sake.
    pub(crate) quiet: bool,
}

impl Edit {
    fn new(kind: &'static Kind, before: Option<Object>, after: Option<Object>) -> Edit {
        Edit { kind, before, after, view: OnceLock::new() }
    }
}

impl Draft {
    /// The object as it will be, if the draft or the cache has it.
    pub(crate) fn current<'a>(&'a self, cache: &'a Cache, key: &str) -> Option<&'a Object> {
        match self.edits.get(key) {
            Some(edit) => edit.after.as_ref(),
            None => cache.held(key).map(|held| &held.object),
        }
    }

    /// What controllers read of the object as it will be.
    pub(crate) fn view<'a>(&'a self, cache: &'a Cache, key: &str) -> Option<&'a View> {
        let Some(edit) = self.edits.get(key) else { return cache.held(key).map(|held| &held.view) };
        let after = edit.after.as_ref()?;
        Some(edit.view.get_or_init(|| view(edit.kind, after, cache.held(key))))
    }

    /// Whether the draft touches an object.
    pub(crate) fn touches(&self, key: &str) -> bool {
        self.edits.contains_key(key) || self.written.contains_key(key)
    }

    /// The objects that it touches below a prefix.
    pub(crate) fn touched(&self, prefix: &str) -> impl Iterator<Item = &Key> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        self.edits.range::<str, _>(from).map(|(key, _)| key).take_while(move |key| key.starts_with(prefix))
    }

    /// What an object was when quotas were charged with it last, and what it is now, where that differs.
    pub(crate) fn uncharged(&self, key: &Key) -> Option<(&'static Kind, Option<Object>, Option<Object>)> {
        let edit = self.edits.get(key)?;
        let before = self.charged.get(key).unwrap_or(&edit.before);
        (*before != edit.after).then(|| (edit.kind, before.clone(), edit.after.clone()))
    }

    /// Quotas are charged with an object as it is now.
    pub(crate) fn charged(&mut self, key: &Key) {
        if let Some(edit) = self.edits.get(key) {
            self.charged.insert(key.clone(), edit.after.clone());
        }
    }

    /// Takes back what was to be started or signalled for a pod: it is looked at anew.
    pub(crate) fn reconsider(&mut self, pod: &str) {
        self.starts.retain(|start| start.key.pod != pod);
        if !self.furniture.is_empty() {
            self.furniture.remove(pod);
        }
        self.signals.retain(|(run, _)| run.pod != pod);
        self.checks.retain(|check| check.run.pod != pod);
        self.news.remove(pod);
        self.announced.remove(pod);
        self.settled.retain(|uid| uid != pod);
    }

    /// How many objects it touches.
    pub(crate) fn len(&self) -> usize {
        self.edits.len() + self.written.len()
    }

    /// About how many bytes it writes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn add(&mut self, key: Key, edit: Edit) {
        self.bytes += edit.after.as_ref().map_or(0, Object::weight);
        self.edits.insert(key, edit);
    }

    /// Whether it neither writes nor does anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.edits.is_empty()
            && self.written.is_empty()
            && self.starts.is_empty()
            && self.signals.is_empty()
            && self.settled.is_empty()
            && self.checks.is_empty()
            && self.news.is_empty()
    }

    /// Changes an object of the cache or the draft; nothing if neither has it.
    pub(crate) fn edit(&mut self, cache: &Cache, key: &Key, change: impl FnOnce(&mut Object)) {
        self.quiet.remove(key);
        if let Some(written) = self.written.remove(key) {
            self.edits.insert(key.clone(), Edit::new(written.kind, None, Some(written.object())));
        }
        if let Some(edit) = self.edits.get_mut(key) {
            if let Some(after) = &mut edit.after {
                change(after);
                edit.view = OnceLock::new();
            }
            return;
        }
        if let Some(Held { kind, object, .. }) = cache.held(key) {
            let mut after = object.clone();
            change(&mut after);
            if after != *object {
                self.add(key.clone(), Edit::new(kind, Some(object.clone()), Some(after)));
            }
        }
    }

    /// Says what controllers read of an object that was just changed, who knows it without reading.
    pub(crate) fn show(&mut self, key: &Key, view: View) {
        if let Some(edit) = self.edits.get_mut(key) {
            edit.view = OnceLock::from(view);
        }
    }

    /// Changes an object that is given as it is in the store.
    pub(crate) fn replace(&mut self, kind: &'static Kind, key: &Key, before: Object, after: Object) {
        if before != after {
            self.quiet.remove(key);
            self.add(key.clone(), Edit::new(kind, Some(before), Some(after)));
        }
    }

    /// Adds an object that is ready to be stored.
    pub(crate) fn insert(&mut self, kind: &'static Kind, object: Object) -> Key {
        let namespace = object.metadata()["namespace"].as_str();
        let key: Key = kind.key(namespace, object.text("name")).into();
        self.add(key.clone(), Edit::new(kind, None, Some(object)));
        key
    }

    /// Adds a new object that is written already.
    pub(crate) fn write(&mut self, object: Written) {
        self.bytes += object.weight();
        self.written.insert(object.key.clone(), object);
    }

    /// Takes an object out of the store.
    pub(crate) fn remove(&mut self, cache: &Cache, key: &Key) {
        if let Some(edit) = self.edits.get_mut(key) {
            edit.after = None;
            return;
        }
        if let Some(Held { kind, object, .. }) = cache.held(key) {
            self.edits.insert(key.clone(), Edit::new(kind, Some(object.clone()), None));
        }
    }

    /// Takes an object out of the store that is given as it is there.
    pub(crate) fn remove_object(&mut self, kind: &'static Kind, key: &Key, before: Object) {
        self.edits.insert(key.clone(), Edit::new(kind, Some(before), None));
    }

    /// The writes, in an order that `outcome` repeats.
    pub(crate) fn transaction(&self, registry: &Registry) -> Transaction {
        let mut transaction = registry.transaction();
        self.written.values().for_each(|object| transaction.insert_written(object));
        for (key, edit) in &self.edits {
            match (&edit.before, &edit.after) {
                (None, Some(after)) => transaction.insert(edit.kind, key, after),
                (Some(_), Some(after)) => transaction.replace(edit.kind, key, after),
                (Some(before), None) => transaction.remove(key, before),
                (None, None) => {}
            }
        }
        transaction
    }

    /// What the cache has to learn from the commit: the objects that were written without being made, then the others'
    /// new states, or their absence.
    pub(crate) fn outcome<'a>(&mut self, committed: &'a Committed) -> (Vec<&'a Entry>, Vec<Outcome>) {
        let (written, entries) = committed.entries.split_at(self.written.len().min(committed.entries.len()));
        self.written.clear();
        let edits = std::mem::take(&mut self.edits);
        let quiet = std::mem::take(&mut self.quiet);
        let edited = edits.into_iter().filter(|(_, e)| e.before.is_some() || e.after.is_some());
        let edited = edited
            .zip(entries)
            .map(|((key, edit), entry)| {
                // What has neither grace nor finalizers left was deleted by this write.
                let object = edit.after.filter(|after| !ends(after));
                let revision = match (&object, entry) {
                    (Some(_), Some(entry)) => entry.modified,
                    _ => committed.revision,
                };
                let object = object.map(|object| object.at(revision));
                let quiet = quiet.contains(&key);
                Outcome { key, revision, object, view: edit.view.into_inner(), quiet }
            })
            .collect();
        (written.iter().flatten().collect(), edited)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::{Value, json};
    use windlass_apiserver::kinds;
    use windlass_apiserver::registry::Event;

    use super::*;
    use crate::config::{Config, StoreKind};
    use crate::home::Home;
    use crate::start;

    #[tokio::test]
    async fn an_event_that_happens_again_before_it_is_stored_is_stored_once_and_counted() {
        let home = tempfile::tempdir().unwrap();
        let mut config = Config::new(Home::at(home.path().join("home")), Vec::new());
        config.store = StoreKind::Memory;
        let registry = Registry::new(start::try_open(&config).unwrap(), Arc::clone(&config.world));
        let cache = Cache::new();
        let about = Object::from(json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "j", "namespace": "n", "uid": "u"}}));
        let event = |name| Event {
            about: &about,
            name,
            warning: true,
            reason: "BackOff",
            message: "again \"and\" again",
            component: "kubelet",
            host: "here",
            field: "spec.containers{c}",
            first: Timestamp::UNIX_EPOCH,
            last: Timestamp::UNIX_EPOCH,
            count: 1,
        };
        let kind = kinds::by_kind("v1", "Event").unwrap();
        let mut draft = Draft::default();
        for name in ["j.1", "j.2"] {
            draft.write(registry.write_event(kind, &event(name)));
        }
        let keys: [Key; 2] = ["/events/n/j.1".into(), "/events/n/j.2".into()];
        assert!(keys.iter().all(|key| draft.touches(key)) && !draft.is_empty());
        draft.edit(&cache, &keys[1], |event| event["count"] = 2.into());
        assert_eq!(draft.len(), 2);

        let committed = draft.transaction(&registry).commit().await.unwrap();
        let (written, edited) = draft.outcome(&committed);
        assert_eq!(written.iter().map(|entry| &entry.key).collect::<Vec<_>>(), [&keys[0]]);
        assert_eq!(edited.iter().map(|outcome| &outcome.key).collect::<Vec<_>>(), [&keys[1]]);
        let stored = |key: &Key| -> Value {
            serde_json::from_slice(registry.store.get(key).unwrap().unwrap().value.bytes()).unwrap()
        };
        let [first, second] = [stored(&keys[0]), stored(&keys[1])];
        assert_eq!((&first["count"], &second["count"]), (&json!(1), &json!(2)));
        assert_eq!(second["metadata"]["name"], "j.2");
        let told = |event: &Value| [event["message"].clone(), event["involvedObject"].clone()];
        assert_eq!(told(&first), told(&second));
    }
}
