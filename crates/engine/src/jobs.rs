//! Carries out what the Job controller plans: pods created, deleted, counted and released in one transaction with the Job's status.

use std::sync::Arc;

use serde_json::{Value, json};
use windlass_apiserver::error::ApiError;
use windlass_apiserver::registry::Object;
use windlass_control::job::{self, Action};
use windlass_control::retention::{self, Expiry};
use windlass_control::view::{Job, Pod};
use windlass_store::Key;

use crate::cache::Held;
use crate::draft::Draft;
use crate::events::Note;
use crate::intake::JOBS;
use crate::tick::Tick;
use crate::views::{View, view};

pub(crate) const CONTROLLER: &str = "job-controller";
/// Jobs whose pods' pattern is remembered.
const PATTERNS: usize = 256;

/// What the server makes of the pods that a Job wants, but for what each has of its own.
pub(crate) struct Pattern {
    manifest: Arc<Value>,
    pod: Object,
}

impl Tick {
    /// One look at a Job.
    pub(crate) fn job(&mut self, draft: &mut Draft, key: &Key) {
        self.hold_again(draft, key);
        let Some(View::Job(job)) = draft.view(&self.cache, key).cloned() else { return };
        let now = self.world.now();
        let pods = self.pods_of_job(draft, &job);
        let uid = &job.metadata.uid;
        let past = draft.pasts.get(uid).or(self.pasts.get(uid)).cloned().unwrap_or_default();
        let mut plan = job::plan(&job, &pods, &past, now);
        match plan.past.take() {
            Some(past) => drop(draft.pasts.insert(uid.clone(), past)),
            None => self.forget_pods(draft, &job, &pods),
        }
        if self.draining() && plan.actions.iter().any(|a| matches!(a, Action::CreatePod { .. })) {
            return;
        }
        let plan = self.allowed(draft, key, &job, (&pods, &past), plan);
        let mut wake = plan.wake_at;
        let is_quiet = plan.actions.is_empty() && plan.status.is_none();
        if is_quiet {
            wake = earliest(wake, self.expire(draft, key, &job));
        }
        self.timers.set(key, wake);
        if is_quiet && job::is_finished(&job.status) && !draft.touches(key) {
            self.rest(key, &job);
        }
        let about = if plan.events.is_empty() { Object::default() } else { self.about(draft, key) };
        if let Some(status) = plan.status {
            // A status of plain fields always has a JSON form.
            let written = serde_json::to_value(&status).unwrap_or_default();
            draft.edit(&self.cache, key, |job| job.set_status(written));
            if plan.actions.is_empty() && pods.is_empty() && job::is_held(&job, &status) {
                draft.quiet.insert(key.clone());
            }
            draft.show(key, View::Job(Arc::new(Job { status, ..(*job).clone() })));
        }
        let created = self.act(draft, &job, plan.actions);
        if !created.is_empty() {
            self.account(draft, &format!("/pods/{}/", job.metadata.namespace));
        }
        let mut created = created.iter();
        for event in plan.events {
            let message = match (event.reason, event.message.is_empty()) {
                ("SuccessfulCreate", true) => match created.next() {
                    Some(name) => format!("Created pod: {name}"),
                    None => continue,
                },
                _ => event.message,
            };
            let note = Note {
                warning: event.warning,
                reason: event.reason.to_owned(),
                message,
                field: None,
                component: CONTROLLER,
            };
            self.note(draft, &about, &note);
        }
    }

    /// A finished Job with nothing to be done is not held: what has to be known of it later is read then.
    fn rest(&mut self, key: &Key, job: &Job) {
        self.patterns.remove(&job.metadata.uid);
        self.pasts.remove(&job.metadata.uid);
        self.refusals.forget(key);
        if job.metadata.deletion_timestamp.is_none() {
            self.cache.let_go(key);
        }
    }

    /// Reads a Job that is looked at again although it was at rest.
    fn hold_again(&mut self, draft: &Draft, key: &Key) {
        if draft.touches(key) || self.cache.held(key).is_some() || self.cache.uid_of(key).is_none() {
            return;
        }
        let Some(kind) = self.cache.kind_of(JOBS) else { return };
        // One that has changed since comes with its change.
        if let Some(object) = self.stored(key).filter(|job| self.cache.uid_of(key) == Some(job.text("uid"))) {
            let view = view(kind, &object, None);
            self.cache.hold(key, Held { kind, object, view });
        }
    }

    /// What controllers read of a Job, at rest or not.
    pub(crate) fn job_view(&self, key: &Key) -> Option<Arc<Job>> {
        let view = match self.cache.held(key) {
            Some(held) => held.view.clone(),
            None => view(self.cache.kind_of(key)?, &self.stored(key)?, None),
        };
        match view {
            View::Job(job) => Some(job),
            _ => None,
        }
    }

    /// The Job's held pods and those without a controller in its namespace that it may adopt, as the draft has them.
    fn pods_of_job(&self, draft: &Draft, job: &Job) -> Vec<Arc<Pod>> {
        let uid = &job.metadata.uid;
        let own = self.cache.pods_of(uid);
        let free = self.cache.free_pods(&job.metadata.namespace);
        let view = |key: &Key| match draft.view(&self.cache, key)? {
            View::Pod(pod) => Some(pod.clone()),
            _ => None,
        };
        own.chain(free).filter_map(view).filter(|pod| mine(job, pod)).collect()
    }

    /// Lets go of pods that no plan of this Job needs any more.
    fn forget_pods(&mut self, draft: &Draft, job: &Job, pods: &[Arc<Pod>]) {
        for uid in job::forgettable(job, pods.iter().map(|pod| &**pod)) {
            let Some(key) = self.cache.key_of(uid).cloned() else { continue };
            let deleting =
                self.cache.held(&key).is_some_and(|held| held.view.meta().deletion_timestamp.is_some());
            if !draft.touches(&key) && !deleting {
                self.cache.let_go(&key);
            }
        }
    }

    /// Carries out the actions; returns the names of the created pods in order.
    fn act(&mut self, draft: &mut Draft, job: &Job, actions: Vec<Action>) -> Vec<String> {
        let mut created = Vec::new();
        for action in actions {
            match action {
                Action::CreatePod { pod } => created.extend(self.create(draft, job, &pod)),
                Action::DeletePod { name, release, .. } => {
                    let key = pod_key(job, &name);
                    if release {
                        draft.edit(&self.cache, &key, |pod| drop_finalizer(pod, job::TRACKING_FINALIZER));
                    }
                    self.delete_pod(draft, &key);
                }
                Action::Release { name, .. } => self.release(draft, &pod_key(job, &name)),
                Action::Adopt { name, .. } => {
                    draft.edit(&self.cache, &pod_key(job, &name), |pod| adopt(pod, job));
                }
                Action::Disown { name, .. } => {
                    draft.edit(&self.cache, &pod_key(job, &name), |pod| disown(pod, job));
                }
            }
        }
        created
    }

    /// Creates a pod after the pattern that all pods of this manifest have; returns its name.
    fn create(&mut self, draft: &mut Draft, job: &Job, manifest: &Arc<Value>) -> Option<String> {
        match self.pattern(job, manifest, None) {
            Ok(pod) => self.create_pod(draft, &pod),
            Err((_, cause)) => {
                tracing::error!(%cause, "a pod cannot be made from its template");
                None
            }
        }
    }

    /// What the server makes of a pod of this manifest, with what its priority class and the namespace's limit ranges
    /// give it; or the name that
    /// it would have (the given one, if one is), and why it may not be.
    pub(crate) fn pattern(
        &mut self,
        job: &Job,
        manifest: &Arc<Value>,
        name: Option<&str>,
    ) -> Result<Object, (String, ApiError)> {
        let uid = &job.metadata.uid;
        let is_it =
            |pattern: &&Pattern| Arc::ptr_eq(&pattern.manifest, manifest) || pattern.manifest == *manifest;
        if let Some(pattern) = self.patterns.get(uid).filter(is_it) {
            return Ok(pattern.pod.clone());
        }
        let nameless = |why| (String::new(), why);
        let kind = self.cache.kind_of("/pods/").ok_or_else(|| nameless(ApiError::no_such_resource()))?;
        let mut wanted = (**manifest).clone();
        if let Some(name) = name {
            wanted["metadata"]["name"] = name.into();
        }
        let mut pod = self.registry.prepare(kind, wanted).map_err(nameless)?;
        let limited = self
            .registry
            .give_priority(kind, &mut pod)
            .and_then(|()| self.registry.limit_pod(kind, &mut pod));
        let pod = Object::from(pod);
        limited.map_err(|why| (pod.text("name").to_owned(), why))?;
        if self.patterns.len() >= PATTERNS {
            self.patterns.clear();
        }
        self.patterns.insert(uid.clone(), Pattern { manifest: manifest.clone(), pod: pod.clone() });
        Ok(pod)
    }

    /// Takes the finalizer off a pod that is counted. One that has ended and stays needs nothing more.
    fn release(&self, draft: &mut Draft, key: &Key) {
        let was_quiet = draft.quiet.contains(key);
        draft.edit(&self.cache, key, |pod| drop_finalizer(pod, job::TRACKING_FINALIZER));
        if was_quiet {
            draft.quiet.insert(key.clone());
        }
    }

    /// Deletes a finished Job whose time to live is over; otherwise says when.
    fn expire(&mut self, draft: &mut Draft, key: &Key, job: &Job) -> Option<jiff::Timestamp> {
        if job.metadata.deletion_timestamp.is_some() {
            return None;
        }
        match retention::expires(job, self.world.now()) {
            Expiry::Never => None,
            Expiry::At(at) => Some(at),
            Expiry::Now => {
                self.delete_foreground(draft, key);
                None
            }
        }
    }
}

/// Whether a pod is the Job's, or free and perhaps to be adopted.
fn mine(job: &Job, pod: &Pod) -> bool {
    match pod.metadata.owner_references.iter().find(|o| o.controller) {
        Some(owner) => owner.uid == job.metadata.uid,
        // Whether its labels match is the plan's to say.
        None => true,
    }
}

fn earliest(a: Option<jiff::Timestamp>, b: Option<jiff::Timestamp>) -> Option<jiff::Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn pod_key(job: &Job, name: &str) -> Key {
    format!("/pods/{}/{name}", job.metadata.namespace).into()
}

pub(crate) fn drop_finalizer(object: &mut Object, finalizer: &str) {
    let listed =
        object.metadata()["finalizers"].as_array().is_some_and(|list| list.iter().any(|f| f == finalizer));
    if !listed {
        return;
    }
    let Some(meta) = object["metadata"].as_object_mut() else { return };
    if let Some(Value::Array(finalizers)) = meta.get_mut("finalizers") {
        finalizers.retain(|f| f != finalizer);
        if finalizers.is_empty() {
            meta.remove("finalizers");
        }
    }
}

fn adopt(pod: &mut Object, job: &Job) {
    let owner = json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": job.metadata.name, "uid": job.metadata.uid,
        "controller": true, "blockOwnerDeletion": true,
    });
    push(&mut pod["metadata"]["ownerReferences"], owner);
    let finalizers = &mut pod["metadata"]["finalizers"];
    if !finalizers.as_array().is_some_and(|f| f.iter().any(|f| f == job::TRACKING_FINALIZER)) {
        push(finalizers, job::TRACKING_FINALIZER.into());
    }
}

fn disown(pod: &mut Object, job: &Job) {
    drop_finalizer(pod, job::TRACKING_FINALIZER);
    let Some(meta) = pod["metadata"].as_object_mut() else { return };
    if let Some(Value::Array(owners)) = meta.get_mut("ownerReferences") {
        owners.retain(|o| o["uid"] != job.metadata.uid.as_str());
        if owners.is_empty() {
            meta.remove("ownerReferences");
        }
    }
}

fn push(list: &mut Value, item: Value) {
    match list {
        Value::Array(items) => items.push(item),
        _ => *list = Value::Array(vec![item]),
    }
}
