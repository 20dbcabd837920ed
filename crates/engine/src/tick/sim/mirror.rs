//! What is stored, version by version, as a watcher of it sees it. Events are left out: nothing follows from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::FutureExt;
use serde_json::Value;
use windlass_store::{Entry, Key, Store, Watch};

use super::read::{owner, text};

/// Versions taken at once.
const AT_ONCE: usize = 1024;

/// The newest version of everything, and a place in the log of changes.
pub(super) struct Mirror {
    changes: Watch,
    objects: BTreeMap<Key, Arc<Value>>,
    /// Whose controller is the object of a uid.
    owned: BTreeMap<String, BTreeSet<Key>>,
    /// Where the object of a uid is.
    places: BTreeMap<String, Key>,
}

/// One change of one object.
pub(super) struct Version {
    pub(super) key: Key,
    /// Nothing if it was made.
    pub(super) before: Option<Arc<Value>>,
    /// Nothing if it went.
    pub(super) after: Option<Arc<Value>>,
}

impl Version {
    pub(super) fn is_of(&self, prefix: &str) -> bool {
        self.key.starts_with(prefix)
    }
}

impl Mirror {
    pub(super) fn of(store: &Store) -> Mirror {
        let mut keys = Vec::new();
        let revision = store.scan("/", &mut |key, _, _, _| keys.push(key.clone()));
        let there = keys.into_iter().filter(|key| is_wanted(key));
        let entry = |key: &Key| store.get(key).expect("readable").expect("there");
        let there: Vec<_> = there.map(|key| (key.clone(), object(&entry(&key)))).collect();
        let changes = store.watch("/", revision, None).expect("a store that can be followed");
        let mut mirror = Mirror {
            changes: changes.without_before(),
            objects: BTreeMap::new(),
            owned: BTreeMap::new(),
            places: BTreeMap::new(),
        };
        for (key, object) in there {
            mirror.put(&key, Some(&object));
        }
        mirror
    }

    /// Takes in what an object is now; what it was before.
    fn put(&mut self, key: &Key, after: Option<&Arc<Value>>) -> Option<Arc<Value>> {
        let before = match after {
            Some(after) => self.objects.insert(key.clone(), after.clone()),
            None => self.objects.remove(key),
        };
        if let Some(before) = &before {
            self.places.remove(text(before, "uid"));
            if let Some(keys) = owner(before).and_then(|owner| self.owned.get_mut(owner)) {
                keys.remove(key);
            }
        }
        if let Some(after) = after {
            self.places.insert(text(after, "uid").to_owned(), key.clone());
            if let Some(owner) = owner(after) {
                self.owned.entry(owner.to_owned()).or_default().insert(key.clone());
            }
        }
        before
    }

    /// What has changed since it was asked last, in order.
    pub(super) fn take(&mut self) -> Vec<Version> {
        let mut versions = Vec::new();
        while let Some(list) = self.changes.next(AT_ONCE).now_or_never() {
            for change in list.expect("nothing is forgotten between two looks") {
                if !is_wanted(&change.key) {
                    continue;
                }
                let after = change.after.as_ref().map(object);
                let before = self.put(&change.key, after.as_ref());
                versions.push(Version { key: change.key, before, after });
            }
        }
        versions
    }

    /// The objects below a prefix.
    pub(super) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let from = (std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded);
        self.objects.range::<str, _>(from).take_while(move |(key, _)| key.starts_with(prefix))
    }

    pub(super) fn all<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<Value>> {
        self.below(prefix).map(|(_, object)| object)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// The object of a uid.
    pub(super) fn of_uid(&self, uid: &str) -> Option<(&Key, &Arc<Value>)> {
        self.objects.get_key_value(self.places.get(uid)?)
    }

    /// The objects below a prefix whose controller has a uid.
    pub(super) fn owned_by<'a>(&'a self, uid: &str, prefix: &'a str) -> impl Iterator<Item = &'a Arc<Value>> {
        let keys = self.owned.get(uid).into_iter().flatten();
        keys.filter(move |key| key.starts_with(prefix)).filter_map(|key| self.objects.get(key))
    }

    /// The whole.
    pub(super) fn objects(&self) -> &BTreeMap<Key, Arc<Value>> {
        &self.objects
    }

    /// Whether a namespace is there and stays.
    pub(super) fn is_open(&self, namespace: &str) -> bool {
        self.get(&format!("/namespaces/{namespace}")).is_some_and(|object| !super::read::is_going(object))
    }
}

fn is_wanted(key: &str) -> bool {
    !key.starts_with("/events/")
}

fn object(entry: &Entry) -> Arc<Value> {
    Arc::new(serde_json::from_slice(entry.value.bytes()).expect("an object"))
}
