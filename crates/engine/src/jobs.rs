//! Carries out what the Job controller plans: pods created, deleted, counted and released in one transaction with the Job's status.

use std::sync::Arc;

use serde_json::{Value, json};
use windlass_control::job::{self, Action};
use windlass_control::retention::{self, Expiry};
use windlass_control::view::{Job, Pod};
use windlass_store::Key;

use crate::cache::{View, view};
use crate::draft::Draft;
use crate::events::Note;
use crate::tick::Tick;

const CONTROLLER: &str = "job-controller";

impl Tick {
    /// One look at a Job.
    pub(crate) fn job(&mut self, draft: &mut Draft, key: &Key) {
        let Some(value) = draft.current(&self.cache, key) else { return };
        let Some(held) = self.cache.held(key) else { return };
        let View::Job(job) = &held.view else { return };
        let job = if draft.touches(key) { self.reread_job(value) } else { job.clone() };
        let now = self.world.now();
        let pods = self.pods_of_job(draft, &job);
        self.forget_pods(draft, &job, &pods);
        let plan = job::plan(&job, &pods, now);
        let mut wake = plan.wake_at;
        if plan.actions.is_empty() && plan.status.is_none() {
            wake = earliest(wake, self.expire(draft, key, &job));
        }
        self.timers.set(key, wake);
        if self.draining() && plan.actions.iter().any(|a| matches!(a, Action::CreatePod { .. })) {
            return;
        }
        let about = if plan.events.is_empty() { Value::Null } else { self.about(draft, key) };
        if let Some(status) = &plan.status {
            // A status of plain fields always has a JSON form.
            let status = serde_json::to_value(status).unwrap_or_default();
            draft.edit(&self.cache, key, |job| job["status"] = status);
        }
        let created = self.act(draft, &job, plan.actions);
        let mut created = created.iter();
        for event in &plan.events {
            let message = match (event.reason, event.message.is_empty()) {
                ("SuccessfulCreate", true) => match created.next() {
                    Some(name) => format!("Created pod: {name}"),
                    None => continue,
                },
                _ => event.message.clone(),
            };
            let note = Note {
                warning: event.warning,
                reason: event.reason.to_owned(),
                message,
                component: CONTROLLER,
            };
            self.note(draft, &about, &note);
        }
    }

    fn reread_job(&self, value: &Value) -> Arc<Job> {
        match self.cache.kind_of("/jobs.batch/").map(|kind| view(kind, value)) {
            Some(View::Job(job)) => job,
            _ => Arc::default(),
        }
    }

    /// The Job's held pods and those without a controller in its namespace that it may adopt, as the draft has them.
    fn pods_of_job(&self, draft: &Draft, job: &Job) -> Vec<Arc<Pod>> {
        let uid = &job.metadata.uid;
        let own = self.cache.pods_of(uid);
        let free = self.cache.free_pods(&job.metadata.namespace);
        own.chain(free).filter_map(|key| self.pod_view(draft, key)).filter(|pod| mine(job, pod)).collect()
    }

    pub(crate) fn pod_view(&self, draft: &Draft, key: &Key) -> Option<Arc<Pod>> {
        if draft.touches(key) {
            let kind = self.cache.kind_of("/pods/")?;
            return match view(kind, draft.current(&self.cache, key)?) {
                View::Pod(pod) => Some(pod),
                _ => None,
            };
        }
        match &self.cache.held(key)?.view {
            View::Pod(pod) => Some(pod.clone()),
            _ => None,
        }
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
                Action::CreatePod { pod } => created.extend(self.create_pod(draft, pod)),
                Action::DeletePod { name, release, .. } => {
                    let key = pod_key(job, &name);
                    if release {
                        draft.edit(&self.cache, &key, |pod| drop_finalizer(pod, job::TRACKING_FINALIZER));
                    }
                    self.delete_pod(draft, &key);
                }
                Action::Release { name, .. } => {
                    let key = pod_key(job, &name);
                    draft.edit(&self.cache, &key, |pod| drop_finalizer(pod, job::TRACKING_FINALIZER));
                }
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

pub(crate) fn drop_finalizer(object: &mut Value, finalizer: &str) {
    let Some(meta) = object["metadata"].as_object_mut() else { return };
    if let Some(Value::Array(finalizers)) = meta.get_mut("finalizers") {
        finalizers.retain(|f| f != finalizer);
        if finalizers.is_empty() {
            meta.remove("finalizers");
        }
    }
}

fn adopt(pod: &mut Value, job: &Job) {
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

fn disown(pod: &mut Value, job: &Job) {
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
