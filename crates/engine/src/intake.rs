//! What the tick takes in: changes of the store, events of the runtime, and everything there was before it started.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use windlass_runner::runtime::Event;
use windlass_store::{Change, Entry, Key, ListRequest, ReadError, Revision, Watch};

use crate::cache::Ripple;
use crate::tick::{Tick, TickError};

/// Objects read from the store at once.
const PAGE: usize = 1000;

impl Tick {
    /// Takes in everything that is in the store, and forgets what is not; returns a watch that goes on from there.
    pub(crate) fn resync(&mut self) -> Result<Watch, TickError> {
        let mut at = None;
        let mut after: Option<Key> = None;
        let mut there: HashSet<Key> = HashSet::new();
        let revision = loop {
            let request = ListRequest {
                prefix: "/",
                after_key: after.as_deref(),
                limit: Some(PAGE),
                at,
                tagged: None,
                filter: None,
            };
            let page = self.registry.store.list(&request)?;
            at = Some(page.revision);
            after = page.entries.last().map(|entry| entry.key.clone());
            there.extend(page.entries.iter().map(|entry| entry.key.clone()));
            for entry in page.entries {
                self.take_entry(&entry);
            }
            if !page.more {
                break page.revision;
            }
        };
        for key in self.cache.keys_but(&there) {
            let ripple = self.depart(&key, revision);
            self.take(ripple);
        }
        Ok(self.registry.store.watch("/", revision, None)?)
    }

    /// Takes in what the runtime knows from before, and settles what it does not know: a container that was running
    /// when the last engine wrote its status, and that the runtime never heard of, is lost; it is not started again.
    pub(crate) fn adopt(&mut self, known: Vec<Event>) {
        for event in &known {
            if matches!(event, Event::Started { .. }) {
                self.hub.started(event.key());
            }
        }
        self.absorb_events(known);
        let now = self.world.now();
        let pods: Vec<Arc<Value>> = self.cache.held_of("Pod").map(|(_, held)| held.value.clone()).collect();
        let lost = pods.iter().flat_map(|pod| crate::pods::begun(pod)).filter(|run| !self.runs.knows(run));
        let lost: Vec<Event> = lost
            .map(|key| Event::Lost {
                key,
                message: "the engine restarted without a record of it".to_owned(),
                at: now,
            })
            .collect();
        self.absorb_events(lost);
        let writing = self.runs.all_alive().into_iter().map(|run| run.pod).collect();
        self.sweeper.sweep(|uid| self.cache.has_uid(uid), writing);
    }

    pub(crate) fn absorb_changes(&mut self, changes: Vec<Change>) {
        let Some(last) = changes.last().map(|change| change.revision) else { return };
        for change in changes {
            match &change.after {
                Some(entry) => self.take_entry(entry),
                None => {
                    let ripple = self.depart(&change.key, change.revision);
                    self.take(ripple);
                }
            }
        }
        self.cache.seen_up_to(last);
    }

    fn take_entry(&mut self, entry: &Entry) {
        if self.cache.knows(&entry.key, entry.modified) {
            return;
        }
        match serde_json::from_slice::<Value>(entry.value.bytes()) {
            Ok(value) => {
                let ripple = self.arrive(&entry.key, entry.modified, Arc::new(value));
                self.take(ripple);
            }
            Err(cause) => tracing::error!(key = %entry.key, %cause, "an object in the store cannot be read"),
        }
    }

    pub(crate) fn arrive(&mut self, key: &Key, revision: Revision, value: Arc<Value>) -> Ripple {
        if key.starts_with("/configmaps/") || key.starts_with("/secrets/") {
            self.unblock(key);
        }
        if key.strip_prefix("/nodes/") == Some(&self.node.name) {
            self.node_changed(&value);
        }
        if key.starts_with("/pods/") {
            self.pod_holds(&value);
        }
        let other = self.cache.uid_of(key).is_some_and(|uid| value["metadata"]["uid"] != uid);
        if other && key.starts_with("/pods/") {
            // Another pod of the same name: what its predecessor left is settled first.
            self.pod_left(key);
        }
        self.cache.put(key, revision, value)
    }

    pub(crate) fn depart(&mut self, key: &Key, revision: Revision) -> Ripple {
        if self.cache.knows(key, revision) {
            return Ripple::default();
        }
        if let Some((_, name)) = key.strip_prefix("/events/").and_then(|rest| rest.split_once('/')) {
            self.recorder.forget(name);
        }
        if key.starts_with("/pods/") {
            self.pod_left(key);
        }
        self.timers.set(key, None);
        let mut ripple = self.cache.remove(key, revision);
        for given in ["/serviceaccounts/", "/configmaps/"] {
            // What every namespace has is made again.
            if let Some((namespace, _)) = key.strip_prefix(given).and_then(|rest| rest.split_once('/')) {
                ripple.dirty.push(format!("/namespaces/{namespace}").into());
            }
        }
        ripple
    }

    pub(crate) fn take(&mut self, ripple: Ripple) {
        self.look_at(ripple.dirty);
        self.garbage.extend(ripple.garbage);
    }

    pub(crate) fn absorb_events(&mut self, events: Vec<Event>) {
        for event in events {
            let run = event.key().clone();
            tracing::debug!(?event, "runtime");
            if !matches!(event, Event::Started { .. }) {
                self.hub.ended(&run);
            }
            if let Event::Exited { log_bytes, .. } = &event {
                self.sweeper.complete(&run.pod, *log_bytes);
            }
            match self.cache.key_of(&run.pod).cloned() {
                Some(key) if self.cache.held(&key).is_some() => {
                    self.runs.absorb(event);
                    self.dirty.insert(key);
                }
                _ => self.stray(&event),
            }
        }
    }

    /// Takes in the newest state of an object at once instead of waiting for its change to arrive.
    pub(crate) fn reload(&mut self, key: &Key) -> Result<(), ReadError> {
        match self.registry.store.get(key)? {
            Some(entry) => self.take_entry(&entry),
            None => {
                let ripple = self.depart(key, self.registry.store.revision());
                self.take(ripple);
            }
        }
        Ok(())
    }

    /// Whether new pods may come, how many, and which labels they are matched with, is the node object's to say.
    fn node_changed(&mut self, node: &Value) {
        self.node_offers(node);
        let unschedulable = node["spec"]["unschedulable"].as_bool().unwrap_or(false);
        let labels = BTreeMap::deserialize(&node["metadata"]["labels"]).unwrap_or_default();
        if (unschedulable, &labels) != (self.node.unschedulable, &self.node.labels) {
            self.node.unschedulable = unschedulable;
            self.node.labels = labels;
            self.dirty.extend(self.cache.held_of("Pod").map(|(key, _)| key.clone()));
        }
    }
}
