//! What the tick takes in: changes of the store, events of the runtime, and everything there was before it started.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use windlass_apiserver::registry::{Object, resting};
use windlass_control::namespace::AUTHORITY;
use windlass_runner::cgroup::Reason;
use windlass_runner::process::limits_of;
use windlass_runner::runtime::Event;
use windlass_store::{Change, Entry, Key, ReadError, Revision, Tags, Watch};

use crate::cache::Ripple;
use crate::tick::{Tick, TickError};
use crate::views::View;

/// Where the Jobs' keys begin.
pub(crate) const JOBS: &str = "/jobs.batch/";
/// The keys of priority classes begin with this.
const CLASSES: &str = "/priorityclasses.scheduling.k8s.io/";

impl Tick {
    /// Takes in everything that is in the store, and forgets what is not; returns a watch that goes on from there.
    ///
    /// Values are read only of what may need something; of the rest the tags tell what has to be known. Keys come in
    /// their order, so that Jobs are known before their pods.
    pub(crate) fn resync(&mut self) -> Result<Watch, TickError> {
        let store = self.registry.store.clone();
        let is_first = self.cache.is_empty();
        let mut there: HashSet<Key> = HashSet::new();
        let mut failed = None;
        let revision = store.scan("/", &mut |key, _, modified, tags| {
            if !is_first {
                there.insert(key.clone());
            }
            let known = self.cache.knows(key, modified);
            if failed.is_some() || known || (is_first && self.skim(key, modified, tags)) {
                return;
            }
            match store.get(key) {
                Ok(Some(entry)) => self.take_entry(&entry),
                // It has gone since; the watch will say so.
                Ok(None) => {}
                Err(cause) => failed = Some(cause),
            }
        });
        if let Some(cause) = failed {
            return Err(cause.into());
        }
        let forgotten = if is_first { Vec::new() } else { self.cache.keys_but(&there) };
        let counted_anew = if is_first { Vec::new() } else { self.quotas.doubt_all() };
        self.look_at(counted_anew);
        for key in forgotten {
            let ripple = self.depart(&key, revision);
            self.take(ripple);
        }
        Ok(self.registry.store.watch("/", revision, None)?.without_before())
    }

    /// Takes in an object by its tags alone, if they say that nothing is to be done with it.
    fn skim(&mut self, key: &Key, modified: Revision, tags: &Tags) -> bool {
        let Some(resting) = resting(tags) else { return false };
        if key.starts_with("/pods/") && self.cache.has_running_job(resting.owners.iter().copied()) {
            return false;
        }
        self.met(key, resting.uid);
        let ripple = self.cache.put_resting(key, modified, &resting);
        self.take(ripple);
        if key.starts_with(JOBS) {
            self.timers.set(key, resting.until);
        }
        true
    }

    /// What the arrival of an object means to others, whatever it says.
    fn met(&mut self, key: &Key, uid: &str) {
        if let Some(class) = key.strip_prefix(CLASSES) {
            self.class_changed(class);
        }
        if ["/configmaps/", "/secrets/", "/serviceaccounts/"].iter().any(|kind| key.starts_with(kind)) {
            self.unblock(key);
        }
        if key.starts_with("/pods/") && self.cache.uid_of(key).is_some_and(|known| known != uid) {
            // Another pod of the same name: what its predecessor left is settled first.
            self.pod_left(key);
        }
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
        let pods: Vec<Object> = self.cache.held_of("Pod").map(|(_, held)| held.object.clone()).collect();
        let lost = pods.iter().flat_map(crate::pods::begun).filter(|run| !self.runs.knows(run));
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
        self.see_devices();
        self.adopt_volumes();
        for run in self.runs.all_alive() {
            self.sizes_begin(&run.pod);
        }
        self.sweep_directories();
    }

    pub(crate) fn absorb_changes(&mut self, changes: Vec<Change>) {
        let Some(last) = changes.last().map(|change| change.revision) else { return };
        for change in changes {
            match &change.after {
                Some(entry) => self.take_entry(entry),
                None => {
                    self.others_changed(&change.key, change.revision, None);
                    let ripple = self.depart(&change.key, change.revision);
                    self.take(ripple);
                }
            }
        }
        self.cache.seen_up_to(last);
    }

    pub(crate) fn take_entry(&mut self, entry: &Entry) {
        if self.cache.knows(&entry.key, entry.modified) {
            return;
        }
        self.foreign += 1;
        if let Some(object) = self.registry.just_made(entry).or_else(|| read(entry)) {
            // A new object was charged when it was made.
            if entry.created != entry.modified {
                self.others_changed(&entry.key, entry.modified, Some(&object));
            }
            let ripple = self.arrive(&entry.key, entry.modified, object, None);
            self.take(ripple);
        }
    }

    pub(crate) fn arrive(
        &mut self,
        key: &Key,
        revision: Revision,
        object: Object,
        view: Option<View>,
    ) -> Ripple {
        if key.strip_prefix("/nodes/") == Some(&self.node.name) {
            self.node_changed(&object);
        }
        if key.starts_with("/pods/") {
            self.pod_holds(key, &object);
        }
        if key.starts_with("/namespaces/") {
            self.neighbours.stir();
        }
        self.met(key, object.text("uid"));
        self.living.changed(key);
        self.claims_arrive(key, &object);
        let before = self.cron_before(key);
        let quota = self.quota_before(key);
        let mut ripple = self.cache.put(key, revision, object, view);
        if let Some((namespace, AUTHORITY)) =
            key.strip_prefix("/configmaps/").and_then(|rest| rest.split_once('/'))
        {
            // What pods trust is looked at again, whoever wrote it.
            ripple.dirty.push(format!("/namespaces/{namespace}").into());
        }
        self.limits_arrive(key, quota, &mut ripple);
        if let Some(before) = before {
            self.cron_changed(key, &before, &mut ripple);
        }
        ripple
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
        if let Some(class) = key.strip_prefix(CLASSES) {
            self.class_changed(class);
        }
        if let Some(uid) = self.cache.uid_of(key) {
            self.fates.disown(uid);
            self.pasts.remove(uid);
        }
        self.timers.set(key, None);
        self.living.changed(key);
        self.claims_depart(key);
        self.limits_depart(key);
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
        for mut event in events {
            let run = event.key().clone();
            tracing::debug!(?event, "runtime");
            if !matches!(event, Event::Started { .. }) {
                self.hub.ended(&run);
                self.checks.end(&run);
            }
            if let Event::Exited { log_bytes, .. } = &event {
                self.sweeper.complete(&run.pod, *log_bytes);
            }
            match self.cache.key_of(&run.pod).cloned() {
                Some(key) if self.cache.held(&key).is_some() => {
                    self.correct(&key, &mut event);
                    let message = self.last_words(&key, &event);
                    self.runs.absorb(event, message);
                    self.dirty.insert(key);
                }
                _ => self.stray(event),
            }
        }
    }

    /// Whether what an older shim runs has limits that it may not hold is known here, where the pod is.
    fn correct(&self, key: &Key, event: &mut Event) {
        let (Event::Started { key: run, unlimited, .. } | Event::Exited { key: run, unlimited, .. }) = event
        else {
            return;
        };
        let is_guess = unlimited.as_ref().is_some_and(|told| told.reason == Reason::OlderShim);
        if is_guess
            && let Some(held) = self.cache.held(key)
            && limits_of(&held.object.whole(), &run.container, &self.host).is_none()
        {
            *unlimited = None;
        }
    }

    /// Takes in the newest state of an object at once instead of waiting for its change to arrive.
    pub(crate) fn reload(&mut self, key: &Key) -> Result<(), ReadError> {
        self.leapt(key);
        match self.registry.store.get(key)? {
            Some(entry) => self.take_entry(&entry),
            None => {
                self.others_changed(key, self.registry.store.revision(), None);
                let ripple = self.depart(key, self.registry.store.revision());
                self.take(ripple);
            }
        }
        Ok(())
    }

    /// Whether new pods may come, how many, and which labels they are matched with, is the node object's to say.
    fn node_changed(&mut self, node: &Object) {
        self.node_offers(node);
        let unschedulable = node["spec"]["unschedulable"].as_bool().unwrap_or(false);
        let labels = BTreeMap::deserialize(&node["metadata"]["labels"]).unwrap_or_default();
        let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
        let known = (self.node.unschedulable, &self.node.labels, &self.node.taints);
        if (unschedulable, &labels, &taints) != known {
            self.node.unschedulable = unschedulable;
            self.node.labels = labels;
            self.node.taints = taints;
            self.dirty.extend(self.cache.held_of("Pod").map(|(key, _)| key.clone()));
        }
    }
}

/// A stored object; what cannot be read is told and left alone.
pub(crate) fn read(entry: &Entry) -> Option<Object> {
    match windlass_apiserver::registry::object_of(entry) {
        Ok(value) => Some(Object::from(value).at(entry.modified)),
        Err(cause) => {
            tracing::error!(key = %entry.key, %cause, "an object in the store cannot be read");
            None
        }
    }
}
