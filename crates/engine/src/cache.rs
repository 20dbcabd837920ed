//! What the tick knows of the objects: those that may still need something, and who owns whom.
//!
//! Fed by the store's changes and by the tick's own commits; never asks the store itself.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use windlass_apiserver::kind::{Kind, Rest};
use windlass_apiserver::kinds;
use windlass_apiserver::registry::{Object, Resting, resting};
use windlass_control::job::is_finished;
use windlass_control::view::{Job, Meta, Owner, Pod};
use windlass_store::{Entry, Key, Revision};

use crate::claims::is_of_claims;
use crate::views::{View, view};

/// The label by which a Job's generated selector knows its pods.
const CONTROLLER_LABEL: &str = "batch.kubernetes.io/controller-uid";

/// An object that may still need something. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) kind: &'static Kind,
    pub(crate) object: Object,
    pub(crate) view: View,
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
    event_times: HashMap<Key, (Timestamp, Revision)>,
    /// The pod that came last: the next one may be alike.
    newest: Option<Held>,
    /// Jobs and pods that are not over, and CronJobs that will make some.
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
        let stored = kinds::all().iter().filter(|kind| kind.stored.is_none());
        let kinds = stored.map(|k| (segment(&k.prefix(None)).to_owned(), k)).collect();
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
            newest: None,
            busy: HashSet::new(),
            gone: HashMap::new(),
        }
    }

    /// How many jobs and pods are not over: those that run, and those that wait for anything but a person's resume. And
    /// CronJobs that are not suspended and will be due: they need an engine then.
    pub(crate) fn busy(&self) -> usize {
        self.busy.len()
    }

    /// An object that looked as if it needed an engine does not, as it is now.
    pub(crate) fn rests(&mut self, key: &Key) {
        self.busy.remove(key);
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
        let event = self.event_times.get(key).map(|(_, revision)| *revision);
        let known = event.or(self.nodes.get(key).map(|node| node.revision)).max(self.gone.get(key).copied());
        known.is_some_and(|known| known >= revision)
    }

    /// The store's changes have been taken in so far: what was removed before can no longer come back.
    pub(crate) fn seen_up_to(&mut self, revision: Revision) {
        if !self.gone.is_empty() {
            self.gone.retain(|_, removed| *removed > revision);
        }
    }

    /// Whether nothing has been taken in yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.event_times.is_empty()
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

    /// The objects that name this one as an owner.
    pub(crate) fn dependents_of(&self, uid: &str) -> impl Iterator<Item = &Key> {
        self.dependents.get(uid).into_iter().flatten()
    }

    /// Events, the one not seen for longest first.
    pub(crate) fn oldest_events(&self) -> impl Iterator<Item = &(Timestamp, Key)> {
        self.events.iter()
    }

    /// All held objects of a kind.
    pub(crate) fn held_of<'a>(&'a self, kind: &'static str) -> impl Iterator<Item = (&'a Key, &'a Held)> {
        self.held.iter().filter(move |(_, h)| h.kind.kind == kind)
    }

    /// Takes in the newest state of an object; with what controllers read of it, if that is known.
    pub(crate) fn put(
        &mut self,
        key: &Key,
        revision: Revision,
        object: Object,
        seen: Option<View>,
    ) -> Ripple {
        let Some(kind) = self.kind_of(key) else { return Ripple::default() };
        if kind.kind == "Event" {
            if let Rest::Until(seen) = (kind.rest)(&object) {
                self.put_event(key, revision, seen);
            }
            return Ripple::default();
        }
        if self.knows(key, revision) {
            return Ripple::default();
        }
        let before = self.held.get(key);
        let is_new = before.is_none();
        let is_news = |view: &View| before.is_none_or(|held| tells_its_cron(&held.view, view));
        let view = seen.unwrap_or_else(|| view(kind, &object, before.or(self.newest.as_ref())));
        let is_news =
            matches!(&view, View::Job(job) if !controller_uid(&job.metadata).is_empty()) && is_news(&view);
        if is_new && matches!(view, View::Pod(_)) {
            self.newest = Some(Held { kind, object: object.clone(), view: view.clone() });
        }
        let meta = view.meta();
        let mut ripple = Ripple { dirty: vec![key.clone()], garbage: Vec::new() };
        self.ask_waiting(meta.owner_references.iter().map(|owner| owner.uid.as_str()), &mut ripple);
        match self.nodes.get_mut(key).filter(|node| node.is(meta)) {
            Some(node) => node.revision = revision,
            None => {
                let former = self.former_owners(key, meta);
                ripple.garbage.extend(former.iter().cloned());
                ripple.dirty.extend(former);
                if meta.owner_references.iter().any(|owner| !self.stands(owner, meta)) {
                    ripple.garbage.push(key.clone());
                }
                self.unindex(key);
                let owners = meta.owner_references.iter().map(|owner| owner.uid.clone()).collect();
                self.enlist(key, Node { uid: meta.uid.clone(), owners, revision });
            }
        }
        if is_busy(&view) {
            self.busy.insert(key.clone());
        } else {
            self.busy.remove(key);
        }
        self.ask_garbage(key, meta, &mut ripple);
        if is_news {
            // Whoever controls a Job waits for its end, not for each of its steps.
            ripple.dirty.extend(self.live.get(controller_uid(meta)).cloned());
        }
        if let View::Pod(pod) = &view {
            match self.live.get(controller_uid(meta)) {
                Some(owner) => ripple.dirty.push(owner.clone()),
                None => ripple.dirty.extend(self.possible_owners(pod)),
            }
        }
        self.hold(key, Held { kind, object, view });
        ripple
    }

    /// Takes in an event that was written without being made.
    pub(crate) fn put_written(&mut self, entry: &Entry) {
        let seen = resting(&entry.tags).and_then(|resting| resting.until);
        self.put_event(&entry.key, entry.modified, seen.unwrap_or(Timestamp::UNIX_EPOCH));
    }

    /// Takes in that an object is there which nothing is to be done with. Events are only remembered by their time.
    pub(crate) fn put_resting(&mut self, key: &Key, revision: Revision, resting: &Resting<'_>) -> Ripple {
        let Some(kind) = self.kind_of(key) else { return Ripple::default() };
        if kind.kind == "Event" {
            self.put_event(key, revision, resting.until.unwrap_or(Timestamp::UNIX_EPOCH));
            return Ripple::default();
        }
        let mut ripple = Ripple::default();
        self.ask_waiting(resting.owners.iter().copied(), &mut ripple);
        if let Some(before) = self.nodes.get(key) {
            self.ask_waiting(before.owners.iter().map(String::as_str), &mut ripple);
        }
        self.unindex(key);
        let owners: Vec<String> = resting.owners.iter().map(|&uid| uid.to_owned()).collect();
        if owners.iter().any(|owner| !self.live.contains_key(owner)) {
            ripple.garbage.push(key.clone());
        }
        self.enlist(key, Node { uid: resting.uid.to_owned(), owners, revision });
        ripple
    }

    /// Holds an object that is there, if it may still need something; lets go of it otherwise.
    pub(crate) fn hold(&mut self, key: &Key, held: Held) {
        if let View::Pod(pod) = &held.view
            && self.keep_pod(pod)
            && let Some(known) = self.held.get_mut(key)
            && controller_uid(known.view.meta()) == controller_uid(&pod.metadata)
        {
            // Its place in the indexes stays.
            *known = held;
            return;
        }
        self.let_go(key);
        match &held.view {
            View::Pod(pod) if self.keep_pod(pod) => {
                let controller = controller_uid(&pod.metadata);
                match self.pods.get_mut(controller) {
                    Some(keys) => drop(keys.insert(key.clone())),
                    None => drop(self.pods.insert(controller.to_owned(), BTreeSet::from([key.clone()]))),
                }
            }
            View::Job(job) => {
                if chooses(job) {
                    self.choosers.insert(key.clone());
                }
            }
            View::Cron(_) => {}
            View::Other(meta) if is_known_whole(held.kind) || meta.deletion_timestamp.is_some() => {}
            View::Pod(_) | View::Other(_) => return,
        }
        self.held.insert(key.clone(), held);
    }

    /// Forgets an object that left the store.
    pub(crate) fn remove(&mut self, key: &Key, revision: Revision) -> Ripple {
        if let Some((old, _)) = self.event_times.remove(key) {
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
            ripple.garbage = self.dependents_of(&node.uid).cloned().collect();
            // Owners that wait for their dependents are asked again.
            ripple.garbage.extend(node.owners.iter().filter_map(|o| self.live.get(o)).cloned());
        }
        self.unindex(key);
        ripple
    }

    fn enlist(&mut self, key: &Key, node: Node) {
        for owner in &node.owners {
            match self.dependents.get_mut(owner) {
                Some(keys) => drop(keys.insert(key.clone())),
                None => drop(self.dependents.insert(owner.clone(), BTreeSet::from([key.clone()]))),
            }
        }
        self.live.insert(node.uid.clone(), key.clone());
        self.nodes.insert(key.clone(), node);
    }

    /// Of these owners those that are being deleted may have waited for an object that no longer blocks them.
    ///
    /// Source: upstream `addUnblockedOwnersToDeleteQueue` in `pkg/controller/garbagecollector/graph_builder.go`.
    fn ask_waiting<'a>(&self, owners: impl Iterator<Item = &'a str>, ripple: &mut Ripple) {
        let waits = |key: &&Key| {
            self.held.get(*key).is_some_and(|held| held.view.meta().deletion_timestamp.is_some())
        };
        ripple.garbage.extend(owners.filter_map(|uid| self.live.get(uid)).filter(waits).cloned());
    }

    /// Whether the object of an owner's uid is the one that the reference names: a dependent of another namespace, or of
    /// another object of that name, has no owner.
    pub(crate) fn stands(&self, owner: &Owner, dependent: &Meta) -> bool {
        let Some(key) = self.live.get(&owner.uid) else { return false };
        let Some(kind) = kinds::by_kind(&owner.api_version, &owner.kind) else { return true };
        **key == *kind.key(Some(&dependent.namespace), &owner.name)
    }

    /// Garbage collection is asked about what has no owner any more, and about what waits for its dependents.
    fn ask_garbage(&self, key: &Key, meta: &Meta, ripple: &mut Ripple) {
        let orphaned = meta.owner_references.iter().any(|owner| !self.live.contains_key(&owner.uid));
        let waits = meta.deletion_timestamp.is_some()
            && meta.finalizers.iter().any(|f| f == "foregroundDeletion" || f == "orphan");
        if orphaned || waits {
            ripple.garbage.push(key.clone());
        }
        if waits {
            ripple.garbage.extend(self.dependents_of(&meta.uid).cloned());
        }
    }

    /// Owners that an object had and has no longer: a Job that let a pod go replaces it, one that is being deleted may
    /// have waited for it.
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
        self.let_go(key);
        self.busy.remove(key);
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
        !ended || waits || self.has_running_job([controller_uid(&pod.metadata)])
    }

    /// Whether one of these uids is a Job's that has not finished.
    pub(crate) fn has_running_job<'a>(&self, owners: impl IntoIterator<Item = &'a str>) -> bool {
        let owners = owners.into_iter().filter_map(|uid| self.held.get(self.live.get(uid)?));
        owners.into_iter().any(|held| matches!(&held.view, View::Job(job) if !is_finished(&job.status)))
    }

    /// Forgets what is in the store and of which nothing is needed any more.
    pub(crate) fn let_go(&mut self, key: &Key) {
        match self.held.remove(key).map(|held| held.view) {
            Some(View::Pod(pod)) => forget(&mut self.pods, controller_uid(&pod.metadata), key),
            Some(View::Job(_)) => drop(self.choosers.remove(key)),
            Some(View::Cron(_) | View::Other(_)) | None => {}
        }
    }

    fn put_event(&mut self, key: &Key, revision: Revision, seen: Timestamp) {
        if let Some((old, _)) = self.event_times.insert(key.clone(), (seen, revision)) {
            self.events.remove(&(old, key.clone()));
        }
        self.events.insert((seen, key.clone()));
    }
}

impl Node {
    /// Whether the metadata speak of the same object with the same owners.
    fn is(&self, meta: &Meta) -> bool {
        self.uid == meta.uid
            && self.owners.len() == meta.owner_references.len()
            && self.owners.iter().zip(&meta.owner_references).all(|(known, owner)| *known == owner.uid)
    }
}

/// Whether it runs, or waits for something that may come by itself.
fn is_busy(view: &View) -> bool {
    match view {
        View::Job(job) => !is_finished(&job.status) && job.spec.suspend != Some(true),
        View::Pod(pod) => !matches!(pod.status.phase.as_str(), "Succeeded" | "Failed"),
        View::Cron(cron) => cron.spec.suspend != Some(true) && cron.metadata.deletion_timestamp.is_none(),
        View::Other(_) => false,
    }
}

/// Whether a Job's controller has to know of a change of it.
fn tells_its_cron(before: &View, now: &View) -> bool {
    match (before, now) {
        (View::Job(before), View::Job(now)) => {
            is_finished(&before.status) != is_finished(&now.status)
                || before.metadata.deletion_timestamp != now.metadata.deletion_timestamp
                || controller_uid(&before.metadata) != controller_uid(&now.metadata)
        }
        _ => true,
    }
}

/// Whether a Job's selector is not the one that the API makes.
fn chooses(job: &Job) -> bool {
    job.spec.selector.as_ref().is_some_and(|selector| !selector.match_labels.contains_key(CONTROLLER_LABEL))
}

/// The uid of an object's controller; empty if it has none.
pub(crate) fn controller_uid(meta: &Meta) -> &str {
    meta.owner_references.iter().find(|o| o.controller).map_or("", |o| o.uid.as_str())
}

/// Kinds that the controllers read without being asked about one object. Jobs are held until they have finished and
/// nothing is left to be done for them (`jobs.rs`); of all other kinds only what is being deleted is held.
fn is_known_whole(kind: &Kind) -> bool {
    matches!(kind.kind, "Namespace" | "Node" | "RuntimeClass" | "ResourceQuota" | "LimitRange")
        || is_of_claims(kind)
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
