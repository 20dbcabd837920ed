//! Keeps quotas: counts what is used, gives back what pods that end leave, and lets controllers create only what there
//! is a place for. What requests use is charged by the API, in the transaction that uses it.
//!
//! What a draft changes is charged in the draft; what others change or delete is counted anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use windlass_apiserver::admission::{self, Counting, Quota};
use windlass_apiserver::error::ApiError;
use windlass_apiserver::kind::{Fields, Kind};
use windlass_apiserver::registry::{Object, ends};
use windlass_control::job::{self, Action, Plan};
use windlass_control::view::{Job, Pod};
use windlass_store::{Key, ReadError, Revision};

use crate::cache::Ripple;
use crate::draft::Draft;
use crate::events::Note;
use crate::tick::Tick;

/// Where the quotas' keys begin.
pub(crate) const QUOTAS: &str = "/resourcequotas/";
const LIMIT_RANGES: &str = "/limitranges/";
/// How long after a change all is counted anew, whatever happened (upstream's `resourceQuotaSyncPeriod`): time alone
/// may give back what a pod uses that should be gone.
const RECOUNT: SignedDuration = SignedDuration::from_mins(5);
/// How long after a pod went whose deletion was asked for: whether it still counted when it was last looked at depends
/// on its grace and on the time of that look.
const UNSURE: SignedDuration = SignedDuration::from_secs(1);

/// The quotas that there are, and the limit ranges, by namespace.
#[derive(Default)]
pub(crate) struct Quotas {
    quotas: BTreeMap<String, BTreeSet<Key>>,
    ranges: BTreeMap<String, BTreeSet<Key>>,
}

impl Quotas {
    fn is_empty(&self) -> bool {
        self.quotas.is_empty()
    }

    fn of(&self, namespace: &str) -> impl Iterator<Item = &Key> {
        self.quotas.get(namespace).into_iter().flatten()
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        self.quotas.values().flatten()
    }

    /// Whether a namespace has any of either.
    fn limit(&self, namespace: &str) -> bool {
        self.quotas.contains_key(namespace) || self.ranges.contains_key(namespace)
    }

    fn insert(&mut self, key: &Key) {
        let kind = if key.starts_with(QUOTAS) { &mut self.quotas } else { &mut self.ranges };
        kind.entry(namespace(key).to_owned()).or_default().insert(key.clone());
    }

    fn remove(&mut self, key: &Key) {
        let kind = if key.starts_with(QUOTAS) { &mut self.quotas } else { &mut self.ranges };
        if let Some(keys) = kind.get_mut(namespace(key)) {
            keys.remove(key);
            if keys.is_empty() {
                kind.remove(namespace(key));
            }
        }
    }
}

impl Tick {
    /// Before a round: waits for the turn to use quotas, and takes in what requests have used of them.
    pub(crate) async fn take_quota_turn(&mut self) -> Result<(), ReadError> {
        if self.quotas.is_empty() {
            return Ok(());
        }
        self.turn = Some(self.registry.quota_turn().await);
        let all: Vec<Key> = self.quotas.all().cloned().collect();
        all.iter().try_for_each(|key| self.reload(key))
    }

    /// One look at a quota: counts what is used.
    pub(crate) fn quota(&mut self, draft: &mut Draft, key: &Key) {
        self.timers.set(key, None);
        let Some(quota) = draft.current(&self.cache, key).cloned() else { return };
        match self.registry.recount(namespace(key), &quota) {
            Ok(status) => self.write_quota(draft, key, status),
            Err(cause) => tracing::error!(%key, %cause, "a quota cannot be counted"),
        }
    }

    fn write_quota(&mut self, draft: &mut Draft, key: &Key, status: serde_json::Value) {
        let Some(before) = draft.current(&self.cache, key).map(|quota| Quota::read(quota)) else { return };
        draft.edit(&self.cache, key, |quota| {
            if *quota.status() != status {
                quota.set_status(status);
            }
        });
        if !draft.touches(key) {
            return;
        }
        self.timers.set(key, self.world.now().checked_add(RECOUNT).ok());
        // What is written here is counted already.
        draft.quiet.insert(key.clone());
        let after = draft.current(&self.cache, key).map(|quota| Quota::read(quota));
        if after.is_some_and(|after| after.gives_more_than(&before)) {
            self.wake_refused(namespace(key));
        }
    }

    fn wake_refused(&mut self, namespace: &str) {
        let woken = self.refusals.wake(namespace, self.world.now());
        self.look_at(woken);
    }

    /// Charges to the quotas, and gives back, what the draft has changed below a prefix since it was asked last.
    pub(crate) fn account(&mut self, draft: &mut Draft, prefix: &str) {
        if self.quotas.is_empty() {
            return;
        }
        let now = self.world.now();
        let mut books: BTreeMap<Key, Quota> = BTreeMap::new();
        let mut unsure: BTreeSet<Key> = BTreeSet::new();
        let touched = draft.touched(prefix).filter(|key| self.quotas.quotas.contains_key(namespace(key)));
        let touched: Vec<Key> = touched.cloned().collect();
        for key in touched {
            let Some((kind, before, after)) = draft.uncharged(&key) else { continue };
            for quota_key in self.quotas.of(namespace(&key)) {
                let known = books.remove(quota_key);
                let read = || draft.current(&self.cache, quota_key).map(|quota| Quota::read(quota));
                let Some(mut quota) = known.or_else(read) else { continue };
                quota.account(kind, fields(before.as_ref()), fields(after.as_ref()), now);
                if after.is_none() && before.as_ref().is_some_and(is_deleted) {
                    unsure.insert(quota_key.clone());
                }
                books.insert(quota_key.clone(), quota);
            }
            draft.charged(&key);
        }
        for (key, quota) in books {
            self.write_quota(draft, &key, quota.status());
        }
        for key in unsure {
            self.timers.set(&key, now.checked_add(UNSURE).ok());
        }
    }

    /// Why an object that a controller wants may not be, if its namespace's quotas do not allow it. Nothing is charged.
    pub(crate) fn refusal(&self, draft: &Draft, kind: &'static Kind, object: &Object) -> Option<ApiError> {
        let mut quotas = self.quotas_of(draft, object.text("namespace"));
        let why = admission::charge(&mut quotas, kind, None, object, self.world.now()).err()?;
        Some(forbidden(kind, object.text("name"), &why))
    }

    fn quotas_of(&self, draft: &Draft, namespace: &str) -> Vec<Quota> {
        let keys = self.quotas.of(namespace);
        keys.filter_map(|key| draft.current(&self.cache, key)).map(|quota| Quota::read(quota)).collect()
    }

    /// A Job's plan as far as quotas, limit ranges and priority classes allow it: with fewer pods than it wants where they
    /// do not.
    pub(crate) fn allowed(
        &mut self,
        draft: &mut Draft,
        key: &Key,
        job: &Job,
        pods: &[Arc<Pod>],
        plan: Plan,
    ) -> Plan {
        if creations(&plan).next().is_none() {
            return plan;
        }
        if !self.is_open(&job.metadata.namespace) {
            // The API takes nothing new into a namespace that goes, whoever makes it (upstream: NamespaceLifecycle).
            return job::plan_within(job, pods, self.world.now(), 0);
        }
        if !self.quotas.limit(&job.metadata.namespace) && !creations(&plan).any(|pod| speaks_of_priority(pod))
        {
            self.refusals.forget(key);
            return plan;
        }
        let now = self.world.now();
        let within = |most: usize, until| {
            let plan = job::plan_within(job, pods, now, most);
            let wake_at = plan.wake_at.into_iter().chain([until]).min();
            Plan { wake_at, ..plan }
        };
        if let Some(until) = self.refusals.holds(key, now) {
            return within(0, until);
        }
        let Some((fitting, name, why)) = self.first_refusal(draft, key, job, &plan) else {
            if self.refusals.forget(key) {
                // There may be more room than for it alone.
                self.wake_refused(&job.metadata.namespace);
            }
            return plan;
        };
        let until = self.refusals.refused(key, now);
        self.refusals.name(key, name);
        let about = self.about(draft, key);
        let note = Note {
            warning: true,
            reason: "FailedCreate".to_owned(),
            message: format!("Error creating: {}", why.message),
            component: crate::jobs::CONTROLLER,
        };
        self.note(draft, &about, &note);
        within(fitting, until)
    }

    /// How many of the pods of a plan may be, and which is the next one and why it may not; nothing if all may.
    fn first_refusal(
        &mut self,
        draft: &Draft,
        key: &Key,
        job: &Job,
        plan: &Plan,
    ) -> Option<(usize, String, ApiError)> {
        let kind = self.cache.kind_of("/pods/")?;
        let mut quotas = self.quotas_of(draft, &job.metadata.namespace);
        let mut checked: Option<Arc<serde_json::Value>> = None;
        for (index, manifest) in creations(plan).enumerate() {
            // Pods of one manifest are alike to limit ranges, and to the quotas but for what is left.
            let is_known = checked.as_ref().is_some_and(|known| Arc::ptr_eq(known, manifest));
            if is_known && quotas.is_empty() {
                continue;
            }
            let known = self.refusals.pod(key).map(str::to_owned);
            let pod = match self.pattern(job, manifest, known.as_deref()) {
                Ok(pod) => pod,
                Err((name, why)) => return Some((index, name, why)),
            };
            checked = Some(Arc::clone(manifest));
            if let Err(why) = admission::charge(&mut quotas, kind, None, &pod, self.world.now()) {
                let another = || self.registry.another(pod.metadata())["name"].as_str().map(str::to_owned);
                let name = known.or_else(another).unwrap_or_default();
                let why = forbidden(kind, &name, &why);
                return Some((index, name, why));
            }
        }
        None
    }

    /// The quota as it is known, before a change of it is taken in.
    pub(crate) fn quota_before(&self, key: &Key) -> Option<Object> {
        if !key.starts_with(QUOTAS) {
            return None;
        }
        self.cache.held(key).map(|held| held.object.clone())
    }

    /// A quota or limit range came or changed. It is counted when its limits are others; what requests used is known.
    pub(crate) fn limits_arrive(&mut self, key: &Key, before: Option<Object>, ripple: &mut Ripple) {
        if !key.starts_with(QUOTAS) && !key.starts_with(LIMIT_RANGES) {
            return;
        }
        self.quotas.insert(key);
        if key.starts_with(LIMIT_RANGES) {
            return self.limits_changed(key);
        }
        let Some(after) = self.cache.held(key).map(|held| &held.object) else { return };
        let Some(before) = before.filter(|before| before.text("uid") == after.text("uid")) else { return };
        if before.spec() == after.spec() {
            ripple.dirty.retain(|other| other != key);
            self.timers.set(key, self.world.now().checked_add(RECOUNT).ok());
        }
        if Quota::read(after).gives_more_than(&Quota::read(&before)) {
            self.wake_refused(namespace(key));
        }
    }

    /// A quota or limit range is gone, or a Job that was refused something.
    pub(crate) fn limits_depart(&mut self, key: &Key) {
        self.refusals.forget(key);
        if key.starts_with(QUOTAS) || key.starts_with(LIMIT_RANGES) {
            self.quotas.remove(key);
            self.limits_changed(key);
        }
    }

    /// What limit ranges fill in is in the patterns of pods.
    fn limits_changed(&mut self, key: &Key) {
        self.patterns.clear();
        self.wake_refused(namespace(key));
    }

    /// Somebody else changed or removed an object: what it used is counted anew.
    pub(crate) fn recount_for(&mut self, key: &Key, revision: Revision) {
        if self.quotas.is_empty() || self.cache.knows(key, revision) {
            return;
        }
        let Some(kind) = self.cache.kind_of(key) else { return };
        let concerned = self.quotas.of(namespace(key)).filter(|quota| {
            let held = self.cache.held(quota);
            held.is_some_and(|held| Quota::renewed(&held.object).counting(kind) != Counting::No)
        });
        let concerned: Vec<Key> = concerned.cloned().collect();
        self.dirty.extend(concerned);
    }
}

/// The pods that a plan creates.
fn creations(plan: &Plan) -> impl Iterator<Item = &Arc<serde_json::Value>> {
    plan.actions.iter().filter_map(|action| match action {
        Action::CreatePod { pod } => Some(pod),
        _ => None,
    })
}

/// The namespace in an object's key; of one without, whatever stands there.
fn namespace(key: &str) -> &str {
    key.split('/').nth(2).unwrap_or_default()
}

fn is_deleted(object: &Object) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// What is written so that it is removed is gone.
fn fields(object: Option<&Object>) -> Option<&dyn Fields> {
    object.filter(|object| !ends(*object)).map(|object| object as &dyn Fields)
}

fn forbidden(kind: &'static Kind, name: &str, why: &str) -> ApiError {
    let subject = kind.subject(name);
    let text = format!("{} {name:?} is forbidden: {why}", subject.qualified());
    ApiError::forbidden(&subject, text)
}

/// Whether a pod may be refused for its priority's sake.
fn speaks_of_priority(pod: &serde_json::Value) -> bool {
    ["priorityClassName", "priority", "preemptionPolicy"].iter().any(|field| !pod["spec"][field].is_null())
}
