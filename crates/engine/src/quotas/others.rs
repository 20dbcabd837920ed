//! What others change, and requests use, of what quotas count; and what it means to those who were refused something.

use windlass_apiserver::admission::{Counting, Quota};
use windlass_apiserver::kind::Fields;
use windlass_apiserver::registry::Object;
use windlass_store::{Key, Revision};

use super::{LIMIT_RANGES, QUOTAS, namespace};
use crate::cache::Ripple;
use crate::pods::is_ended;
use crate::tick::Tick;

impl Tick {
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
        let before = before.filter(|before| before.text("uid") == after.text("uid"));
        let Some(before) = before.filter(|before| before.spec() == after.spec()) else {
            return self.quotas.book(key).renew();
        };
        let gives_more = Quota::read(after).gives_more_than(&Quota::read(&before));
        ripple.dirty.retain(|other| other != key);
        self.quotas.book(key).stir(self.world.now());
        self.time_quota(key);
        if gives_more {
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
        let woken = self.refusals.wake_limited(namespace(key), self.world.now());
        self.look_at(woken);
    }

    /// A priority class came, went or changed: pods to come may have another priority, and those that were refused
    /// for its sake need not wait for their time.
    pub(crate) fn class_changed(&mut self, name: &str) {
        self.patterns.clear();
        let woken = self.refusals.wake_class(name, self.world.now());
        self.look_at(woken);
    }

    /// Somebody else changed an object (or removed it, with no `after`): what it uses more or less is noted, to be
    /// written down with the next look at the quota.
    pub(crate) fn others_changed(&mut self, key: &Key, revision: Revision, after: Option<&Object>) {
        if self.quotas.is_empty() || self.cache.knows(key, revision) {
            return;
        }
        let (is_pod, is_claim) = (key.starts_with("/pods/"), key.starts_with("/persistentvolumeclaims/"));
        // Of the others only their number counts, which a new one was charged for when it was made.
        if after.is_some() && !is_pod && !is_claim {
            return;
        }
        let Some(kind) = self.cache.kind_of(key) else { return };
        let before = self.cache.held(key).map(|held| held.object.clone());
        let quotas: Vec<Key> = self.quotas.of(namespace(key)).cloned().collect();
        for quota_key in quotas {
            let Some(held) = self.cache.held(&quota_key) else { continue };
            let quota = Quota::read(&held.object);
            let how = quota.counting(kind);
            let book = self.quotas.book(&quota_key);
            let Some((_, counted)) = book.since().filter(|(since, _)| revision > *since) else { continue };
            let is_doubtful = match (&before, after) {
                _ if how == Counting::No => continue,
                // What is not held has ended: only its number counts, which is known without it.
                (None, None) => is_claim || (quota.has_scopes() && how == Counting::Objects),
                (None, Some(after)) => !is_ended(after),
                (Some(before), after) => {
                    let after = after.map(|after| after as &dyn Fields);
                    let shift = quota.shift(kind, Some(before), after, counted);
                    if shift.is_nothing() && after.is_some() {
                        self.stir_if_fading(&quota_key, is_pod, after);
                        continue;
                    }
                    // A request that changes a claim has charged it.
                    let is_charged = is_claim && after.is_some();
                    if !is_charged {
                        book.shift.add(&shift);
                    }
                    is_charged
                }
            };
            if is_doubtful {
                book.doubt();
            } else if before.is_none() && after.is_some() {
                continue;
            }
            book.stir(self.world.now());
            self.dirty.insert(quota_key);
        }
    }

    /// A pod that is being deleted may come to count no more although nothing changes.
    fn stir_if_fading(&mut self, quota: &Key, is_pod: bool, after: Option<&dyn Fields>) {
        if is_pod && after.is_some_and(|after| !after["metadata"]["deletionTimestamp"].is_null()) {
            let now = self.world.now();
            self.quotas.book(quota).stir(now);
            self.time_quota(quota);
        }
    }

    /// An object is taken in before the changes that led to it: a quota that was counted between them may have some of
    /// them.
    pub(crate) fn leapt(&mut self, key: &Key) {
        let differs = key.starts_with("/pods/") || key.starts_with("/persistentvolumeclaims/");
        if self.quotas.is_empty() || !differs {
            return;
        }
        let quotas: Vec<Key> = self.quotas.of(namespace(key)).cloned().collect();
        for quota_key in quotas {
            let book = self.quotas.book(&quota_key);
            if book.since().is_some_and(|(since, _)| !self.cache.knows(key, since)) {
                book.doubt();
                self.dirty.insert(quota_key);
            }
        }
    }
}
