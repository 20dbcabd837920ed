//! What the tick knows of the objects: those that may still need something, and who owns whom.
//!
//! Fed by the store's changes and by the tick's own commits; never asks the store itself.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use windlass_apiserver::kind::Kind;
use windlass_apiserver::kinds;
use windlass_control::job::is_finished;
use windlass_control::view::{Job, Meta, Pod};
use windlass_store::{Key, Revision};

/// The label by which a Job's generated selector knows its pods.
const CONTROLLER_LABEL: &str = "batch.kubernetes.io/controller-uid";

/// An object that may still need something.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) kind: &'static Kind,
    pub(crate) value: Arc<Value>,
    pub(crate) view: View,
}

/// What controllers read of it.
#[derive(Clone)]
pub(crate) enum View {
    Job(Arc<Job>),
    Pod(Arc<Pod>),
    Other(Arc<Meta>),
}

/// Everything the tick knows.
pub(crate) struct Cache {
    kinds: HashMap<String, &'static Kind>,
    held: HashMap<Key, Held>,
    /// Pods that are held, by the uid of their controller; those without one under the empty uid.
    pods: HashMap<String, BTreeSet<Key>>,
    /// Jobs whose selector was chosen by hand: free pods may be theirs.
    choosers: BTreeSet<Key>,
    /// All objects but events, by uid.
    live: HashMap<String, Key>,
    /// The uid and the owners' uids of each object but events.
    nodes: HashMap<Key, Node>,
    /// Dependents by the uid of an owner.
    dependents: HashMap<String, BTreeSet<Key>>,
    /// Events by when they were last seen.
    events: BTreeSet<(Timestamp, Key)>,
    event_times: HashMap<Key, Timestamp>,
    /// Jobs and pods that are not over.
    busy: HashSet<Key>,
    /// Objects that the tick removed itself, until the store's changes have come so far.
    gone: HashMap<Key, Revision>,
}

struct Node {
    uid: String,
    owners: Vec<String>,
    revision: Revision,
}

/// What an object's arrival or departure changed for others.
#[derive(Default, Debug, PartialEq)]
pub(crate) struct Ripple {
    /// Look at these again.
    pub(crate) dirty: Vec<Key>,
    /// Ask garbage collection about these.
    pub(crate) garbage: Vec<Key>,
}

impl Cache {
    pub(crate) fn new() -> Cache {
        let kinds = kinds::all().iter().map(|k| (segment(&k.prefix(None)).to_owned(), k)).collect();
        Cache {
            kinds,
            held: HashMap::new(),
            pods: HashMap::new(),
            choosers: BTreeSet::new(),
            live: HashMap::new(),
            nodes: HashMap::new(),
            dependents: HashMap::new(),
            events: BTreeSet::new(),
            event_times: HashMap::new(),
            busy: HashSet::new(),
            gone: HashMap::new(),
        }
    }

    /// How many jobs and pods are not over: those that run, and those that wait for anything but a person's resume.
    pub(crate) fn busy(&self) -> usize {
        self.busy.len()
    }

    /// The kind of the object under a key.
    pub(crate) fn kind_of(&self, key: &str) -> Option<&'static Kind> {
        self.kinds.get(segment(key)).copied()
    }

    pub(crate) fn held(&self, key: &str) -> Option<&Held> {
        self.held.get(key)
    }

    pub(crate) fn key_of(&self, uid: &str) -> Option<&Key> {
        self.live.get(uid)
    }

    /// Whether an object's state of this revision, or a newer one, has been taken in.
    pub(crate) fn knows(&self, key: &Key, revision: Revision) -> bool {
        let known = self.nodes.get(key).map(|node| node.revision).max(self.gone.get(key).copied());
        known.is_some_and(|known| known >= revision)
    }

    /// The store's changes have been taken in so far: what was removed before can no longer come back.
    pub(crate) fn seen_up_to(&mut self, revision: Revision) {
        if !self.gone.is_empty() {
            self.gone.retain(|_, removed| *removed > revision);
        }
    }

    /// The keys of all objects that are not among these.
    pub(crate) fn keys_but(&self, there: &HashSet<Key>) -> Vec<Key> {
        self.nodes
            .keys()
            .chain(self.event_times.keys())
            .filter(|key| !there.contains(*key))
            .cloned()
            .collect()
    }

    /// The uid of an object, held or not.
    pub(crate) fn uid_of(&self, key: &str) -> Option<&str> {
        self.nodes.get(key).map(|node| node.uid.as_str())
    }

    pub(crate) fn has_uid(&self, uid: &str) -> bool {
        self.live.contains_key(uid)
    }

    /// The held pods that a controller owns.
    pub(crate) fn pods_of(&self, uid: &str) -> impl Iterator<Item = &Key> {
        self.pods.get(uid).into_iter().flatten()
    }

    /// The held pods of a namespace that no controller owns.
    pub(crate) fn free_pods(&self, namespace: &str) -> impl Iterator<Item = &Key> {
        let prefix: Key = format!("/pods/{namespace}/").into();
        let from = prefix.clone();
        let free = self.pods.get("").into_iter().flat_map(move |keys| keys.range(from.clone()..));
        free.take_while(move |key| key.starts_with(&*prefix))
    }

    pub(crate) fn dependents_of(&self, uid: &str) -> Vec<Key> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// Events, the one not seen for longest first.
    pub(crate) fn oldest_events(&self) -> impl Iterator<Item = &(Timestamp, Key)> {
        self.events.iter()
    }

    /// All held objects of a kind.
    pub(crate) fn held_of<'a>(&'a self, kind: &'static str) -> impl Iterator<Item = (&'a Key, &'a Held)> {
        self.held.iter().filter(move |(_, h)| h.kind.kind == kind)
    }

    /// Takes in the newest state of an object.
    pub(crate) fn put(&mut self, key: &Key, revision: Revision, value: Arc<Value>) -> Ripple {
        let Some(kind) = self.kind_of(key) else { return Ripple::default() };
        if kind.kind == "Event" {
            self.put_event(key, &value);
            return Ripple::default();
        }
        if self.knows(key, revision) {
            return Ripple::default();
        }
        let mut ripple = Ripple { dirty: vec![key.clone()], garbage: Vec::new() };
        let view = view(kind, &value);
        let meta = view.meta().clone();
        ripple.dirty.extend(self.former_owners(key, &meta));
        self.unindex(key);
        self.link(key, revision, &meta, &mut ripple);
        if is_busy(&view) {
            self.busy.insert(key.clone());
        }
        if let View::Pod(pod) = &view {
            match self.controller_key(&pod.metadata) {
                Some(owner) => ripple.dirty.push(owner),
                None => ripple.dirty.extend(self.possible_owners(pod)),
            }
            if self.keep_pod(pod) {
                self.pods.entry(controller_uid(&pod.metadata)).or_default().insert(key.clone());
                self.held.insert(key.clone(), Held { kind, value, view });
            }
        } else if keep(&view, kind) {
            if matches!(&view, View::Job(job) if chooses(job)) {
                self.choosers.insert(key.clone());
            }
            self.held.insert(key.clone(), Held { kind, value, view });
        }
        ripple
    }

    /// Forgets an object that left the store.
    pub(crate) fn remove(&mut self, key: &Key, revision: Revision) -> Ripple {
        if let Some(old) = self.event_times.remove(key) {
            self.events.remove(&(old, key.clone()));
            return Ripple::default();
        }
        if !self.nodes.contains_key(key) || self.knows(key, revision) {
            return Ripple::default();
        }
        self.gone.insert(key.clone(), revision);
        let mut ripple = Ripple { dirty: vec![key.clone()], garbage: Vec::new() };
        if let Some(node) = self.nodes.get(key) {
            ripple.dirty.extend(node.owners.iter().filter_map(|o| self.live.get(o)).cloned());
            ripple.garbage = self.dependents_of(&node.uid);
            // Owners that wait for their dependents are asked again.
            ripple.garbage.extend(node.owners.iter().filter_map(|o| self.live.get(o)).cloned());
        }
        self.unindex(key);
        ripple
    }

    fn link(&mut self, key: &Key, revision: Revision, meta: &Meta, ripple: &mut Ripple) {
        let owners: Vec<String> = meta.owner_references.iter().map(|o| o.uid.clone()).collect();
        for owner in &owners {
            self.dependents.entry(owner.clone()).or_default().insert(key.clone());
        }
        let orphaned = !owners.is_empty() && owners.iter().any(|o| !self.live.contains_key(o));
        let waits = meta.finalizers.iter().any(|f| f == "foregroundDeletion" || f == "orphan");
        if orphaned || (meta.deletion_timestamp.is_some() && waits) {
            ripple.garbage.push(key.clone());
        }
        if meta.deletion_timestamp.is_some() && waits {
            ripple.garbage.extend(self.dependents_of(&meta.uid));
        }
        self.live.insert(meta.uid.clone(), key.clone());
        self.nodes.insert(key.clone(), Node { uid: meta.uid.clone(), owners, revision });
    }

    /// Owners that an object had and has no longer: a Job that let a pod go replaces it.
    fn former_owners(&self, key: &Key, now: &Meta) -> Vec<Key> {
        let Some(node) = self.nodes.get(key) else { return Vec::new() };
        let gone = node.owners.iter().filter(|uid| !now.owner_references.iter().any(|o| o.uid == **uid));
        gone.filter_map(|uid| self.live.get(uid)).cloned().collect()
    }

    /// Jobs that may adopt a pod without a controller: the one that its labels name, and those that chose their labels.
    fn possible_owners(&self, pod: &Pod) -> Vec<Key> {
        if !pod.metadata.owner_references.is_empty() || pod.metadata.deletion_timestamp.is_some() {
            return Vec::new();
        }
        let named = pod.metadata.labels.get(CONTROLLER_LABEL).and_then(|uid| self.live.get(uid));
        let prefix = format!("/jobs.batch/{}/", pod.metadata.namespace);
        let from: Key = prefix.as_str().into();
        let choosers = self.choosers.range(from..).take_while(|key| key.starts_with(&prefix));
        named.into_iter().chain(choosers).cloned().collect()
    }

    fn unindex(&mut self, key: &Key) {
        self.choosers.remove(key);
        self.busy.remove(key);
        if let Some(held) = self.held.remove(key)
            && let View::Pod(pod) = &held.view
        {
            forget(&mut self.pods, &controller_uid(&pod.metadata), key);
        }
        if let Some(node) = self.nodes.remove(key) {
            self.live.remove(&node.uid);
            for owner in &node.owners {
                forget(&mut self.dependents, owner, key);
            }
        }
    }

    /// Whether a pod may still need something: it runs or may run, is not yet counted, is being deleted, or belongs to
    /// a Job that reads its back-off from it (until the Job lets it go).
    fn keep_pod(&self, pod: &Pod) -> bool {
        let ended = matches!(pod.status.phase.as_str(), "Succeeded" | "Failed");
        let waits = !pod.metadata.finalizers.is_empty() || pod.metadata.deletion_timestamp.is_some();
        let owner =
            self.controller_key(&pod.metadata).and_then(|key| self.held.get(&key).map(|held| &held.view));
        !ended || waits || matches!(owner, Some(View::Job(job)) if !is_finished(&job.status))
    }

    /// Forgets a pod that is in the store and of which nothing is needed any more.
    pub(crate) fn let_go(&mut self, key: &Key) {
        if let Some(held) = self.held.remove(key) {
            forget(&mut self.pods, &controller_uid(held.view.meta()), key);
        }
    }

    fn controller_key(&self, meta: &Meta) -> Option<Key> {
        self.live.get(&controller_uid(meta)).cloned()
    }

    fn put_event(&mut self, key: &Key, event: &Value) {
        // A client's clock may be behind, or it tells an old story: no event is older than its object.
        let told = [&event["lastTimestamp"], &event["eventTime"], &event["metadata"]["creationTimestamp"]];
        let times = told.into_iter().filter_map(|field| field.as_str()?.parse().ok());
        let seen = times.max().unwrap_or(Timestamp::UNIX_EPOCH);
        if let Some(old) = self.event_times.insert(key.clone(), seen) {
            self.events.remove(&(old, key.clone()));
        }
        self.events.insert((seen, key.clone()));
    }
}

impl View {
    pub(crate) fn meta(&self) -> &Meta {
        match self {
            View::Job(job) => &job.metadata,
            View::Pod(pod) => &pod.metadata,
            View::Other(meta) => meta,
        }
    }
}

/// Reads an object as controllers see it. A stored object always reads: validation saw to it.
pub(crate) fn view(kind: &Kind, value: &Value) -> View {
    match kind.kind {
        "Job" => View::Job(Arc::new(Job::deserialize(value).unwrap_or_default())),
        "Pod" => View::Pod(Arc::new(Pod::deserialize(value).unwrap_or_default())),
        _ => View::Other(Arc::new(Meta::deserialize(&value["metadata"]).unwrap_or_default())),
    }
}

/// Whether it runs, or waits for something that may come by itself.
fn is_busy(view: &View) -> bool {
    match view {
        View::Job(job) => !is_finished(&job.status) && job.spec.suspend != Some(true),
        View::Pod(pod) => !matches!(pod.status.phase.as_str(), "Succeeded" | "Failed"),
        View::Other(_) => false,
    }
}

/// Whether a Job's selector is not the one that the API makes.
fn chooses(job: &Job) -> bool {
    job.spec.selector.as_ref().is_some_and(|selector| !selector.match_labels.contains_key(CONTROLLER_LABEL))
}

/// The uid of an object's controller; empty if it has none.
pub(crate) fn controller_uid(meta: &Meta) -> String {
    meta.owner_references.iter().find(|o| o.controller).map(|o| o.uid.clone()).unwrap_or_default()
}

/// Jobs and namespaces are held for ever; of the rest, what is being deleted.
fn keep(view: &View, kind: &Kind) -> bool {
    matches!(kind.kind, "Job" | "Namespace" | "Node" | "RuntimeClass")
        || view.meta().deletion_timestamp.is_some()
}

fn forget(index: &mut HashMap<String, BTreeSet<Key>>, name: &str, key: &Key) {
    if let Some(keys) = index.get_mut(name) {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(name);
        }
    }
}

/// `/jobs.batch/` of `/jobs.batch/default/x`.
fn segment(key: &str) -> &str {
    match key.get(1..).and_then(|rest| rest.find('/')) {
        Some(at) => &key[..at + 2],
        None => key,
    }
}
