//! Carries out what is planned for claims and volumes: bindings, new volumes of the local class, reclaiming; and knows
//! which pods use which claims.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use serde_json::{Value, json};
use windlass_apiserver::kind::Kind;
use windlass_apiserver::registry::Object;
use windlass_control::claims::{self, Use};
use windlass_control::event::Event;
use windlass_control::schedule;
use windlass_store::Key;

use crate::cache::Held;
use crate::draft::Draft;
use crate::events::Note;
use crate::pods::{is_deleting, is_ended};
use crate::tick::Tick;

const CLAIMS: &str = "/persistentvolumeclaims/";
pub(crate) const VOLUMES: &str = "/persistentvolumes/";
const CLASSES: &str = "/storageclasses.storage.k8s.io/";
const COMPONENT: &str = "persistentvolume-controller";

/// Which objects there are, and who uses which claim.
#[derive(Default)]
pub(crate) struct Claims {
    claims: BTreeSet<Key>,
    pub(crate) volumes: BTreeSet<Key>,
    classes: BTreeSet<Key>,
    /// Pods that have not ended, by the claims that they name; and the other way round.
    users: HashMap<Key, BTreeSet<Key>>,
    used: HashMap<Key, Vec<Key>>,
}

impl Claims {
    fn kind(&mut self, key: &str) -> Option<&mut BTreeSet<Key>> {
        match key {
            key if key.starts_with(CLAIMS) => Some(&mut self.claims),
            key if key.starts_with(VOLUMES) => Some(&mut self.volumes),
            key if key.starts_with(CLASSES) => Some(&mut self.classes),
            _ => None,
        }
    }

    /// What a pod names is what it uses until it has ended. Answers the claims that may be affected.
    fn pod(&mut self, key: &Key, named: Vec<Key>) -> Vec<Key> {
        let before = if self.used.is_empty() { None } else { self.used.remove(key) };
        let before = before.unwrap_or_default();
        for claim in &before {
            if let Some(users) = self.users.get_mut(claim) {
                users.remove(key);
                if users.is_empty() {
                    self.users.remove(claim);
                }
            }
        }
        for claim in &named {
            self.users.entry(claim.clone()).or_default().insert(key.clone());
        }
        let affected = before.iter().chain(&named).cloned().collect();
        if !named.is_empty() {
            self.used.insert(key.clone(), named);
        }
        affected
    }
}

impl Tick {
    /// Something of claims, volumes, classes or pods came or changed.
    pub(crate) fn claims_arrive(&mut self, key: &Key, object: &Object) {
        if key.starts_with("/pods/") {
            let named = if is_ended(object) { Vec::new() } else { named(object) };
            self.uses(key, named);
            return;
        }
        let Some(keys) = self.claims.kind(key) else { return };
        keys.insert(key.clone());
        if key.starts_with(CLAIMS) {
            self.unblock(key);
            self.dirty.extend(volume_of(object));
        } else {
            // A volume that is made for a claim is nothing to the pods of others.
            self.ask_waiting_claims(claim_of(object).is_none());
        }
    }

    /// Something of them left; `object` is what was known of it.
    pub(crate) fn claims_depart(&mut self, key: &Key) {
        if key.starts_with("/pods/") {
            self.uses(key, Vec::new());
            return;
        }
        let Some(keys) = self.claims.kind(key) else { return };
        keys.remove(key);
        let Some(held) = self.cache.held(key) else { return };
        let object = &held.object;
        let others: Vec<Key> = volume_of(object).into_iter().chain(claim_of(object)).collect();
        self.dirty.extend(others);
        self.unblock(key);
    }

    /// A pod uses these claims from now on, and no others.
    fn uses(&mut self, key: &Key, named: Vec<Key>) {
        let ends = named.is_empty();
        let affected = self.claims.pod(key, named);
        if ends
            && affected
                .iter()
                .any(|claim| self.cache.held(claim).is_some_and(|held| is_exclusive(&held.object)))
        {
            self.unblock(key);
        }
        self.dirty.extend(affected);
    }

    /// Claims that are not bound may find what they look for now; so may their pods, if the claims wait for these.
    fn ask_waiting_claims(&mut self, with_pods: bool) {
        let waits =
            |key: &&Key| self.cache.held(key).is_some_and(|held| held.object.status()["phase"] != "Bound");
        let waiting: Vec<Key> = self.claims.claims.iter().filter(waits).cloned().collect();
        if with_pods {
            let pods = waiting.iter().filter_map(|claim| self.claims.users.get(claim));
            self.dirty.extend(pods.flatten().cloned());
        }
        self.dirty.extend(waiting);
    }

    /// One look at a claim.
    pub(crate) fn claim(&mut self, draft: &mut Draft, key: &Key) {
        self.see_claim(draft, key, false);
    }

    fn see_claim(&mut self, draft: &mut Draft, key: &Key, has_consumer: bool) {
        let Some(claim) = draft.current(&self.cache, key).map(Object::whole) else { return };
        let named = claim["spec"]["volumeName"].as_str().filter(|name| !name.is_empty());
        let volumes = match named {
            Some(name) => draft
                .current(&self.cache, &format!("{VOLUMES}{name}"))
                .map(Object::whole)
                .into_iter()
                .collect(),
            None => self.all(draft, &self.claims.volumes),
        };
        let classes = self.all(draft, &self.claims.classes);
        let used = Use { has_consumer, is_in_use: self.is_in_use(key) };
        let plan = claims::claim(&claim, &volumes, &classes, used, &self.node, self.world.now());
        self.tell(draft, key, plan.events);
        if let Some(volume) = plan.volume {
            let key = format!("{VOLUMES}{}", volume["metadata"]["name"].as_str().unwrap_or_default());
            draft.edit(&self.cache, &key.into(), |object| *object = volume.into());
        }
        if let Some(claim) = plan.claim {
            draft.edit(&self.cache, key, |object| *object = claim.into());
        }
        if let Some(volume) = plan.provision {
            self.provision(draft, volume);
        }
    }

    fn is_in_use(&self, claim: &Key) -> bool {
        let users = self.claims.users.get(claim).into_iter().flatten();
        let placed = |key: &Key| {
            let pod = self.cache.held(key).map(|held| &held.object);
            pod.is_some_and(|pod| pod.spec()["nodeName"].as_str().is_some_and(|name| !name.is_empty()))
        };
        users.into_iter().any(placed)
    }

    /// Makes the volume of a claim. Its directory is made when a pod first mounts it; the claim is bound to it when it
    /// has come.
    fn provision(&mut self, draft: &mut Draft, mut volume: Value) {
        let Some(kind) = self.cache.kind_of(VOLUMES) else { return };
        let name = volume["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let path = self.home.volumes().join(&name);
        volume["spec"]["hostPath"] = json!({"path": path.display().to_string(), "type": "DirectoryOrCreate"});
        let key: Key = kind.key(None, &name).into();
        if draft.touches(&key) || self.claims.volumes.contains(&key) {
            return;
        }
        match self.registry.prepare(kind, volume) {
            Ok(volume) => drop(draft.insert(kind, volume.into())),
            Err(cause) => tracing::error!(%cause, %key, "a volume cannot be made for a claim"),
        }
    }

    /// One look at a volume.
    pub(crate) fn volume(&mut self, draft: &mut Draft, key: &Key) {
        let Some(volume) = draft.current(&self.cache, key) else { return };
        let claim = claim_of(volume).and_then(|claim| draft.current(&self.cache, &claim)).map(Object::whole);
        let volume = volume.whole();
        let path = volume["spec"]["hostPath"]["path"].as_str().map(Path::new);
        let is_ours = path.is_some_and(|path| {
            path == self.home.volumes().join(volume["metadata"]["name"].as_str().unwrap_or_default())
        });
        let plan = claims::volume(&volume, claim.as_ref(), is_ours, self.world.now());
        self.tell(draft, key, plan.events);
        if plan.remove {
            if let Some(path) = volume["spec"]["hostPath"]["path"].as_str() {
                draft.unmade.push(path.into());
            }
            draft.remove(&self.cache, key);
        } else if let Some(volume) = plan.volume {
            draft.edit(&self.cache, key, |object| *object = volume.into());
        }
    }

    /// Why a pod has to wait for its claims: what to write, or nothing if they are on their way. None if they are bound,
    /// or if they only wait for a place for the pod, and it does not fit.
    pub(crate) fn unclaimed(
        &mut self,
        draft: &mut Draft,
        key: &Key,
        fits: bool,
    ) -> Option<Option<schedule::Plan>> {
        let pod = draft.current(&self.cache, key)?;
        if pod.spec()["volumes"].is_null() {
            return None;
        }
        let keys = named(pod);
        let is_bound = |claim: &Key| {
            let is_bound = |held: &Held| held.object.status()["phase"] == "Bound";
            // One that goes takes no new pods, or a stream of them would keep it for ever.
            let stays = draft.current(&self.cache, claim).is_some_and(|claim| !is_deleting(claim));
            stays && self.cache.held(claim).is_some_and(is_bound)
        };
        let namespace = pod.text("namespace").to_owned();
        let (ready, waiting): (Vec<Key>, Vec<Key>) = keys.into_iter().partition(is_bound);
        // Told after room that is short, as upstream asks for it.
        let astray = if fits { ready.iter().find_map(|claim| self.astray(draft, claim)) } else { None };
        if waiting.is_empty() {
            let now = self.world.now();
            let plan = if ready.iter().any(|claim| self.is_taken(draft, claim, key)) {
                schedule::excluded(pod, now)
            } else {
                schedule::unclaimed(pod, astray?, now)
            };
            self.blocked.entry(namespace).or_default().insert(key.clone());
            return Some(plan);
        }
        let classes = self.all(draft, &self.claims.classes);
        let is_delayed = |claim: &Key| {
            let claim = draft.current(&self.cache, claim).map(Object::whole);
            claim.is_some_and(|claim| claims::waits_for_consumer(&claim, &classes))
        };
        if !fits && waiting.iter().all(is_delayed) {
            return None;
        }
        // Nothing is bound for a pod that cannot come anyway.
        let astray = astray.filter(|_| waiting.iter().all(is_delayed));
        for claim in &waiting {
            self.see_claim(draft, claim, fits && astray.is_none());
        }
        self.blocked.entry(namespace).or_default().insert(key.clone());
        let unbound = |claim: &Key| {
            let name = claim.rsplit('/').next().unwrap_or_default();
            let object = draft.current(&self.cache, claim);
            if object.is_some_and(|claim| !is_deleting(claim) && self.is_on_its_way(draft, claim)) {
                return None;
            }
            claims::unbound(name, object.map(Object::whole).as_ref(), &classes)
        };
        let why = astray.map(str::to_owned).or_else(|| waiting.iter().find_map(unbound));
        let pod = draft.current(&self.cache, key)?;
        Some(why.and_then(|why| schedule::unclaimed(pod, &why, self.world.now())))
    }

    /// Why the node does not reach the volume of a bound claim, if it does not.
    fn astray(&self, draft: &Draft, claim: &Key) -> Option<&'static str> {
        let volume = draft.current(&self.cache, claim).and_then(volume_of)?;
        let volume = draft.current(&self.cache, &volume).map(Object::whole);
        claims::astray(volume.as_ref(), &self.node)
    }

    /// Why a pod that no scheduler has placed here cannot have its volumes, in a kubelet's words. Who has them keeps them.
    ///
    /// Source: upstream `volume/util/operationexecutor/operation_generator.go` (`checkNodeAffinity`).
    pub(crate) fn unmounted(&self, pod: &Object) -> Option<String> {
        if pod.spec()["volumes"].is_null() || self.volumes.has(pod.text("uid")) {
            return None;
        }
        let object = |key: Key| self.cache.held(&key).map(|held| &held.object);
        let volumes = named(pod).into_iter().filter_map(object).filter_map(volume_of).filter_map(object);
        let astray =
            volumes.map(Object::whole).find(|volume| claims::astray(Some(volume), &self.node).is_some())?;
        let name = astray["metadata"]["name"].as_str().unwrap_or_default();
        Some(format!(
            "MountVolume.NodeAffinity check failed for volume {name:?} : no matching NodeSelectorTerms"
        ))
    }

    /// Whether a claim is for one pod at a time, and another one that is placed has it.
    fn is_taken(&self, draft: &Draft, claim: &Key, by: &Key) -> bool {
        if !self.cache.held(claim).is_some_and(|held| is_exclusive(&held.object)) {
            return false;
        }
        let has_it =
            |pod: &Object| !is_ended(pod) && !pod.spec()["nodeName"].is_null() && named(pod).contains(claim);
        let known = self.claims.users.get(claim).into_iter().flatten();
        let mut others = known.chain(draft.touched("/pods/")).filter(|key| *key != by);
        others.any(|key| draft.current(&self.cache, key).is_some_and(has_it))
    }

    /// Whether this draft makes the volume of a claim.
    fn is_on_its_way(&self, draft: &Draft, claim: &Object) -> bool {
        let key = format!("{VOLUMES}pvc-{}", claim.text("uid"));
        draft.current(&self.cache, &key).is_some()
    }

    fn all(&self, draft: &Draft, keys: &BTreeSet<Key>) -> Vec<Value> {
        keys.iter().filter_map(|key| draft.current(&self.cache, key)).map(Object::whole).collect()
    }

    fn tell(&mut self, draft: &mut Draft, key: &Key, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let about = self.about(draft, key);
        for event in events {
            let note = Note {
                warning: event.warning,
                reason: event.reason.to_owned(),
                message: event.message,
                field: None,
                component: COMPONENT,
            };
            self.note(draft, &about, &note);
        }
    }
}

/// Whether the tick knows all objects of a kind because claims and volumes are planned from them.
pub(crate) fn is_of_claims(kind: &Kind) -> bool {
    matches!(kind.kind, "PersistentVolume" | "PersistentVolumeClaim" | "StorageClass")
}

/// Whether only one pod at a time may use a claim.
fn is_exclusive(claim: &Object) -> bool {
    claim.spec()["accessModes"]
        .as_array()
        .is_some_and(|modes| modes.iter().any(|mode| mode == "ReadWriteOncePod"))
}

/// The claims that a pod's volumes name.
fn named(pod: &Object) -> Vec<Key> {
    let volumes = pod.spec()["volumes"].as_array().into_iter().flatten();
    let names = volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str());
    names.map(|name| format!("{CLAIMS}{}/{name}", pod.text("namespace")).into()).collect()
}

/// The volume that a claim names.
fn volume_of(claim: &Object) -> Option<Key> {
    let name = claim.spec()["volumeName"].as_str().filter(|name| !name.is_empty())?;
    Some(format!("{VOLUMES}{name}").into())
}

/// The claim that a volume names.
fn claim_of(volume: &Object) -> Option<Key> {
    let reference = &volume.spec()["claimRef"];
    let (namespace, name) = (reference["namespace"].as_str()?, reference["name"].as_str()?);
    Some(format!("{CLAIMS}{namespace}/{name}").into())
}
