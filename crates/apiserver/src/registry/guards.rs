//! Quotas and limit ranges of a namespace, asked before anything is created in it. Where no namespace has any, one look
//! at a flag is all that it costs.
//!
//! What is used of a quota is written in the transaction that uses it, so that two who come at once cannot both take
//! what is left. What is given back is the engine's to count.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use serde_json::Value;
use windlass_store::{Entry, ListRequest, Revision, Store, Tags, Write};

use super::turns::{Turn, Turns};
use super::update::write;
use super::{Object, Registry, object_of, read_error};
use crate::admission::{self, Counting, Quota, limit_range};
use crate::error::ApiError;
use crate::kind::{Fields, Kind};
use crate::kinds;

/// Objects that are read at once while a quota is counted, and quotas or limit ranges of a namespace that are asked.
const PAGE: usize = 500;

/// Whether there are quotas and limit ranges, and whose turn it is to use some.
pub(super) struct Guards {
    /// Some namespace has, or had, some since the start.
    any: AtomicBool,
    turns: Turns,
}

/// A quota, counted anew.
pub struct Count {
    /// What is used.
    pub quota: Quota,
    /// The revision of the store that it was counted at.
    pub revision: Revision,
    /// The time by which pods counted that are being deleted.
    pub now: Timestamp,
    /// Whether there are pods whose share time alone may give back.
    pub fades: bool,
    /// How many objects were read for it.
    pub read: usize,
}

impl Guards {
    pub(super) fn of(store: &Store) -> Guards {
        let any = ["/resourcequotas/", "/limitranges/"].iter().any(|prefix| store.count(prefix) > 0);
        Guards { any: AtomicBool::new(any), turns: Turns::default() }
    }

    /// An object of this kind is about to be created.
    pub(super) fn expect(&self, kind: &Kind) {
        if matches!(kind.kind, "ResourceQuota" | "LimitRange") {
            self.any.store(true, Ordering::Release);
        }
    }
}

impl Registry {
    fn guarded_by(&self, plural: &str, namespace: &str) -> bool {
        self.guards.any.load(Ordering::Acquire) && self.store.count(&format!("/{plural}/{namespace}/")) > 0
    }

    /// Waits for the turn to use something of the namespace's quotas; nothing if it has none.
    pub(super) async fn turn_in(&self, kind: &Kind, namespace: Option<&str>) -> Option<Turn> {
        let namespace = namespace.filter(|_| kind.namespaced)?;
        if !self.guarded_by("resourcequotas", namespace) {
            return None;
        }
        Some(self.guards.turns.in_row(namespace).await)
    }

    /// Waits for the engine's turn to use something of a namespace's quotas: one request goes before it at most.
    pub async fn quota_turn(&self, namespace: &str) -> Turn {
        self.guards.turns.next(namespace).await
    }

    /// What a create (or, with `before`, a change) writes besides: what is used of the namespace's quotas then.
    pub(super) fn charge(
        &self,
        kind: &'static Kind,
        namespace: &str,
        before: Option<&dyn Fields>,
        after: &dyn Fields,
    ) -> Result<Vec<Write>, ApiError> {
        let Some(quota_kind) = kinds::by_kind("v1", "ResourceQuota") else { return Ok(Vec::new()) };
        let mut entries = self.first(&quota_kind.prefix(Some(namespace)), PAGE)?;
        let mut quotas: Vec<Quota> = entries.iter().map(|(_, quota)| Quota::read(quota)).collect();
        let changed = admission::charge(&mut quotas, kind, before, after, self.world.now());
        let changed = changed.map_err(|why| forbidden(kind, after, &why))?;
        let status = |index: usize| {
            let (entry, quota) = &mut entries[index];
            quota["status"] = quotas[index].status();
            write(quota_kind, entry, quota)
        };
        Ok(changed.into_iter().map(status).collect())
    }

    /// What the change of a claim writes besides; refused as its creation would be.
    pub(super) fn charge_change(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        old: &Value,
        new: &Value,
    ) -> Result<Vec<Write>, ApiError> {
        let Some(namespace) = namespace.filter(|_| !super::meta::deleting(old)) else {
            return Ok(Vec::new());
        };
        within(&self.limit_ranges(kind, namespace)?, kind, new)?;
        match self.guarded_by("resourcequotas", namespace) {
            true => self.charge(kind, namespace, Some(old), new),
            false => Ok(Vec::new()),
        }
    }

    /// What is used of a quota, counted anew as it is at one revision.
    pub fn recount(&self, namespace: &str, quota: &Object) -> Result<Count, ApiError> {
        let (revision, now) = (self.store.revision(), self.world.now());
        let mut count = Count { quota: Quota::renewed(quota), revision, now, fades: false, read: 0 };
        for kind in kinds::all() {
            match count.quota.counting(kind) {
                Counting::No => {}
                Counting::Number => {
                    count.quota.count(kind, self.store.count(&kind.prefix(Some(namespace))));
                }
                how => self.count_objects(&mut count, kind, namespace, how)?,
            }
        }
        count.quota.counted(&Quota::read(quota), kinds::all());
        Ok(count)
    }

    fn count_objects(
        &self,
        count: &mut Count,
        kind: &'static Kind,
        namespace: &str,
        how: Counting,
    ) -> Result<(), ApiError> {
        let prefix = kind.prefix(Some(namespace));
        let ended = |tags: &Tags| matches!(tags.get("f/status.phase"), Some("Succeeded" | "Failed"));
        let wanted = |tags: &Tags| how == Counting::Objects || !ended(tags);
        let mut after: Option<String> = None;
        loop {
            let request = ListRequest {
                prefix: &prefix,
                after_key: after.as_deref(),
                limit: Some(PAGE),
                at: Some(count.revision),
                tagged: None,
                filter: Some(&wanted),
            };
            let page = self.store.list(&request).map_err(|e| read_error(&e))?;
            for entry in &page.entries {
                let object = object_of(entry)?;
                count.fades |= admission::fades(kind, &object, count.now);
                count.quota.count_object(kind, &object, count.now);
            }
            count.read += page.entries.len();
            after = page.entries.last().map(|entry| entry.key.to_string()).filter(|_| page.more);
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Sets what a quota without scopes says of mere numbers of objects: those are known without reading any.
    pub fn count_numbers(&self, namespace: &str, quota: &mut Quota) {
        for kind in kinds::all() {
            if quota.limits_number(kind) {
                quota.set_number(kind, self.store.count(&kind.prefix(Some(namespace))));
            }
        }
    }

    /// The limit ranges that a new or changed object has to do with.
    pub(super) fn limit_ranges(&self, kind: &Kind, namespace: &str) -> Result<Vec<Value>, ApiError> {
        let is_limited = kind.group.is_empty() && matches!(kind.kind, "Pod" | "PersistentVolumeClaim");
        if !is_limited || !self.guarded_by("limitranges", namespace) {
            return Ok(Vec::new());
        }
        let ranges = self.first(&format!("/limitranges/{namespace}/"), PAGE)?;
        Ok(ranges.into_iter().map(|(_, range)| range).collect())
    }

    /// Gives a pod that a controller makes what its namespace's limit ranges give; refuses it as a request's would be.
    pub fn limit_pod(&self, kind: &'static Kind, pod: &mut Value) -> Result<(), ApiError> {
        let ranges = self.limit_ranges(kind, super::meta::text(pod, "namespace"))?;
        if fill(&ranges, kind, pod) {
            // A default limit may be less than what the pod asks for.
            let errors = (kind.validate)(pod);
            if !errors.is_empty() {
                return Err(ApiError::invalid(&kind.home().subject(super::meta::text(pod, "name")), &errors));
            }
        }
        within(&ranges, kind, pod)
    }

    /// The first objects below a prefix, at most so many.
    pub(super) fn first(&self, prefix: &str, most: usize) -> Result<Vec<(Entry, Value)>, ApiError> {
        let request =
            ListRequest { prefix, after_key: None, limit: Some(most), at: None, tagged: None, filter: None };
        let page = self.store.list(&request).map_err(|e| read_error(&e))?;
        let read = |entry: Entry| object_of(&entry).map(|object| (entry, object));
        page.entries.into_iter().map(read).collect()
    }
}

/// Fills in what limit ranges give a new pod; whether they gave anything.
pub(super) fn fill(ranges: &[Value], kind: &Kind, pod: &mut Value) -> bool {
    if kind.kind != "Pod" {
        return false;
    }
    let mut filled = false;
    for range in ranges {
        filled |= limit_range::fill(range, pod);
    }
    if filled {
        kinds::pod::limited(pod);
    }
    filled
}

/// Refuses what limit ranges do not allow.
pub(super) fn within(ranges: &[Value], kind: &'static Kind, object: &Value) -> Result<(), ApiError> {
    match ranges.iter().find_map(|range| limit_range::refusal(range, kind.kind, object)) {
        None => Ok(()),
        Some(why) => Err(forbidden(kind, object, &why)),
    }
}

/// Admission's 403.
pub(crate) fn forbidden(kind: &'static Kind, object: &dyn Fields, why: &str) -> ApiError {
    let subject = kind.subject(object["metadata"]["name"].as_str().unwrap_or_default());
    let text = format!("{} {:?} is forbidden: {why}", subject.qualified(), subject.name);
    ApiError::forbidden(&subject, text)
}
