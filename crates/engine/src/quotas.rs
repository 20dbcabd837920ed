//! Keeps quotas: counts what is used, gives back what pods that end leave, and lets controllers create only what there
//! is a place for. What requests use is charged by the API, in the transaction that uses it.
//!
//! What a draft changes is charged in the draft; what others change or delete is counted anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use windlass_apiserver::admission::{self, Quota};
use windlass_apiserver::error::ApiError;
use windlass_apiserver::kind::{Fields, Kind};
use windlass_apiserver::registry::{Object, ends};
use windlass_control::job::{self, Action, Past, Plan};
use windlass_control::view::{Job, Pod};
use windlass_store::{Key, ReadError};

use self::books::Look;
pub(crate) use self::books::{Book, Quotas};
use crate::draft::Draft;
use crate::events::Note;
use crate::tick::Tick;

mod books;
mod others;

/// Where the quotas' keys begin.
pub(crate) const QUOTAS: &str = "/resourcequotas/";
const LIMIT_RANGES: &str = "/limitranges/";

impl Tick {
    /// Before a round: waits for the turns to use the quotas of the namespaces that it may change something in, and takes
    /// in what requests have used of them. Of others that it comes to change after all the commit says if they are others.
    pub(crate) async fn take_quota_turns(&mut self) -> Result<(), ReadError> {
        if self.quotas.is_empty() {
            return Ok(());
        }
        let ahead = self.ahead().map(|key| namespace(key));
        let limited: BTreeSet<String> =
            ahead.filter(|namespace| self.quotas.has(namespace)).map(str::to_owned).collect();
        self.turns = join_all(limited.iter().map(|namespace| self.registry.quota_turn(namespace))).await;
        let concerned = limited.iter().flat_map(|namespace| self.quotas.of(namespace));
        let concerned: Vec<Key> = concerned.cloned().collect();
        concerned.iter().try_for_each(|key| self.reload(key))
    }

    /// One look at a quota: writes down what others changed, or counts all that is used.
    pub(crate) fn quota(&mut self, draft: &mut Draft, key: &Key) {
        self.timers.set(key, None);
        let Some(quota) = draft.current(&self.cache, key).cloned() else { return };
        let now = self.world.now();
        let book = self.quotas.book(key);
        let known = book.clone();
        let status = match book.look(now) {
            Look::Rest(until) => return self.timers.set(key, Some(until)),
            Look::Shift => {
                let mut used = Quota::read(&quota);
                used.apply(&std::mem::take(&mut book.shift));
                self.registry.count_numbers(namespace(key), &mut used);
                used.status()
            }
            Look::Count => match self.registry.recount(namespace(key), &quota) {
                Ok(count) => {
                    book.close(&count);
                    count.quota.status()
                }
                Err(cause) => {
                    tracing::error!(%key, %cause, "a quota cannot be counted");
                    book.put_off(now);
                    return self.time_quota(key);
                }
            },
        };
        draft.books.entry(key.clone()).or_insert(known);
        self.write_quota(draft, key, status);
        self.time_quota(key);
    }

    fn time_quota(&mut self, key: &Key) {
        let next = self.quotas.book(key).next();
        self.timers.set(key, next);
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
        // What is written here is counted already.
        draft.quiet.insert(key.clone());
        let after = draft.current(&self.cache, key).map(|quota| Quota::read(quota));
        if after.is_some_and(|after| after.gives_more_than(&before)) {
            self.wake_refused_next(namespace(key));
        }
    }

    fn wake_refused(&mut self, namespace: &str) {
        let woken = self.refusals.wake(namespace, self.world.now());
        self.look_at(woken);
    }

    /// The same while a draft is made, for the next round: a Job that this draft has made pods for would not see them.
    fn wake_refused_next(&mut self, namespace: &str) {
        let woken = self.refusals.wake(namespace, self.world.now());
        self.woken.extend(woken);
    }

    /// Charges to the quotas, and gives back, what the draft has changed below a prefix since it was asked last.
    pub(crate) fn account(&mut self, draft: &mut Draft, prefix: &str) {
        if self.quotas.is_empty() {
            return;
        }
        let now = self.world.now();
        let mut charged: BTreeMap<Key, Quota> = BTreeMap::new();
        let touched = draft.touched(prefix).filter(|key| self.quotas.has(namespace(key)));
        let touched: Vec<Key> = touched.cloned().collect();
        for key in touched {
            let Some((kind, before, after)) = draft.uncharged(&key) else { continue };
            for quota_key in self.quotas.of(namespace(&key)) {
                let known = charged.remove(quota_key);
                let read = || draft.current(&self.cache, quota_key).map(|quota| Quota::read(quota));
                let Some(mut quota) = known.or_else(read) else { continue };
                let counted = self.quotas.counted_by(quota_key).unwrap_or(now);
                quota.apply(&quota.shift(kind, fields(before.as_ref()), fields(after.as_ref()), counted));
                charged.insert(quota_key.clone(), quota);
            }
            draft.charged(&key);
        }
        for (key, quota) in charged {
            self.write_quota(draft, &key, quota.status());
            self.quotas.book(&key).stir(now);
            self.time_quota(&key);
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
        (pods, past): (&[Arc<Pod>], &Past),
        plan: Plan,
    ) -> Plan {
        if creations(&plan).next().is_none() {
            // It may have been suspended: when it wants something again it is asked as one that never was refused.
            self.refusals.forget(key);
            return plan;
        }
        if !self.is_open(&job.metadata.namespace) {
            // The API takes nothing new into a namespace that goes, whoever makes it (upstream: NamespaceLifecycle).
            return job::plan_within(job, pods, past, self.world.now(), 0);
        }
        if !self.quotas.limit(&job.metadata.namespace) && !creations(&plan).any(|pod| speaks_of_priority(pod))
        {
            self.refusals.forget(key);
            return plan;
        }
        let now = self.world.now();
        let within = |most: usize, until| {
            let plan = job::plan_within(job, pods, past, now, most);
            let wake_at = plan.wake_at.into_iter().chain([until]).min();
            Plan { wake_at, ..plan }
        };
        if let Some(until) = self.refusals.holds(key, now) {
            return within(0, until);
        }
        let Some(refused) = self.first_refusal(draft, key, job, &plan) else {
            if self.refusals.forget(key) {
                // There may be more room than for it alone.
                self.wake_refused_next(&job.metadata.namespace);
            }
            return plan;
        };
        let until = self.refusals.refused(key, now);
        self.refusals.name(key, refused.name, refused.class);
        let about = self.about(draft, key);
        let note = Note {
            warning: true,
            reason: "FailedCreate".to_owned(),
            message: format!("Error creating: {}", refused.why.message),
            field: None,
            component: crate::jobs::CONTROLLER,
        };
        self.note(draft, &about, &note);
        within(refused.fitting, until)
    }

    /// Which of the pods of a plan may not be, and why; nothing if all may.
    fn first_refusal(&mut self, draft: &Draft, key: &Key, job: &Job, plan: &Plan) -> Option<Refused> {
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
                Err((name, why)) => {
                    let class = &manifest["spec"]["priorityClassName"];
                    let class = Some(class.as_str().unwrap_or_default().to_owned());
                    return Some(Refused { fitting: index, name, why, class });
                }
            };
            checked = Some(Arc::clone(manifest));
            if let Err(why) = admission::charge(&mut quotas, kind, None, &pod, self.world.now()) {
                let another = || self.registry.another(pod.metadata())["name"].as_str().map(str::to_owned);
                let name = known.or_else(another).unwrap_or_default();
                let why = forbidden(kind, &name, &why);
                return Some(Refused { fitting: index, name, why, class: None });
            }
        }
        None
    }
}

/// A pod that may not be.
struct Refused {
    /// How many of its plan come before it.
    fitting: usize,
    /// The name that it would have.
    name: String,
    why: ApiError,
    /// If it does not depend on quotas: the priority class that it names; empty if it names none.
    class: Option<String>,
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
