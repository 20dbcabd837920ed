//! How many pods a Job is to have: which are created, which deleted. It counts nothing and ends no Job.
//!
//! Source: upstream `manageJob`, `activePodsForRemoval`, `firstPendingIndexes`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::count::{Tally, count_of, index_count, is_indexed, is_ready, replaces_only_failed};
use super::indexed::{Indexes, index_of};
use super::suspend::is_suspended;
use super::{Past, at_once, podspec};
use crate::planted::{Bug, is_planted};
use crate::view::{Job, Pod};

/// What is done about the number of pods. Never both creations and deletions.
#[derive(Default)]
pub(super) struct Managed<'a> {
    /// Active pods to delete.
    pub delete: Vec<&'a Pod>,
    /// Manifests to create.
    pub create: Vec<Arc<Value>>,
    /// For Indexed Jobs: their indexes.
    pub indexes: BTreeSet<u32>,
    /// When back-off ends.
    pub wake_at: Option<Timestamp>,
}

/// The Job is over: what still runs goes.
pub(super) fn end_all<'a>(job: &Job, tally: &Tally<'a>) -> Managed<'a> {
    let most = at_once(job, tally.active.len());
    Managed { delete: tally.active.iter().copied().take(most).collect(), ..Managed::default() }
}

/// Brings the number of active pods to what is wanted; creates `most` at most.
pub(super) fn manage<'a>(
    job: &Job,
    tally: &Tally<'a>,
    past: &Past,
    now: Timestamp,
    most: usize,
) -> Managed<'a> {
    if is_suspended(job) {
        if is_planted(Bug::LetsSuspendedRun) {
            return Managed::default();
        }
        return end_all(job, tally);
    }
    let active = tally.active.len();
    let wanted = wanted(job, tally);
    let delete = surplus(job, &tally.active, active.saturating_sub(wanted));
    if !delete.is_empty() {
        return Managed { delete, ..Managed::default() };
    }
    let held_back = if replaces_only_failed(job) { tally.terminating.len() } else { 0 };
    let missing = at_once(job, wanted.saturating_sub(held_back + active)).min(most);
    if missing == 0 {
        return Managed::default();
    }
    let until = || past.holds_until(job, tally, now);
    if let Some(until) = tally.per_index.is_none().then(until).flatten() {
        return Managed { wake_at: Some(until), ..Managed::default() };
    }
    if is_indexed(job) {
        return create_indexes(job, tally, missing, now);
    }
    let pod = Arc::new(podspec::pod(job, None));
    Managed { create: vec![pod; missing], ..Managed::default() }
}

/// The number of pods that should be active.
fn wanted(job: &Job, tally: &Tally<'_>) -> usize {
    let parallelism = job.spec.parallelism.unwrap_or(1) + i32::from(is_planted(Bug::RunsTooMany));
    let wanted = match job.spec.completions {
        // A work queue that has had a success starts nothing more, and lets finish what runs.
        None if tally.succeeded > 0 => count_of(tally.active.len()),
        None => parallelism,
        Some(completions) => completions.saturating_sub(tally.succeeded).min(parallelism),
    };
    usize::try_from(wanted).unwrap_or(0)
}

/// Pods for the lowest indexes that are neither done, failed nor running; those in back-off wait, and keep their turn.
fn create_indexes<'a>(job: &Job, tally: &Tally<'_>, missing: usize, now: Timestamp) -> Managed<'a> {
    let mut taken: BTreeSet<u32> = tally.active.iter().filter_map(|pod| index_of(pod)).collect();
    if replaces_only_failed(job) {
        taken.extend(tally.terminating.iter().filter_map(|pod| index_of(pod)));
    }
    let mut taken = Indexes::singles(&taken);
    if !is_planted(Bug::RunsDoneIndexes) {
        taken = tally.completed.union(&taken);
    }
    if let Some(per_index) = &tally.per_index {
        taken = taken.union(&per_index.failed);
    }
    let mut managed = Managed::default();
    for index in taken.lowest_free(missing, index_count(job)) {
        let per_index = tally.per_index.as_ref();
        match per_index.and_then(|per_index| per_index.retry_at(index)).filter(|&at| at > now) {
            Some(at) => managed.wake_at = Some(managed.wake_at.map_or(at, |earlier| at.min(earlier))),
            None => {
                let annotations =
                    per_index.map(|per_index| per_index.annotations(job, index)).unwrap_or_default();
                let pod = podspec::pod(job, Some(&podspec::Place { index, annotations }));
                managed.create.push(Arc::new(pod));
                managed.indexes.insert(index);
            }
        }
    }
    managed
}

/// At least so many of the active pods, those first whose end loses least; of an Indexed Job also all whose index is
/// missing, not the Job's, or another's too.
fn surplus<'a>(job: &Job, active: &[&'a Pod], at_least: usize) -> Vec<&'a Pod> {
    let (mut surplus, mut left) =
        if is_indexed(job) { misplaced(active, index_count(job)) } else { (Vec::new(), active.to_vec()) };
    if surplus.len() < at_least {
        left.sort_by_cached_key(|pod| worth(pod));
        let further = at_least - surplus.len();
        surplus.extend(left.into_iter().take(further));
    }
    surplus.truncate(at_once(job, surplus.len()));
    surplus
}

/// Splits active pods into those that stand in no place of their own, and the rest.
fn misplaced<'a>(active: &[&'a Pod], completions: u32) -> (Vec<&'a Pod>, Vec<&'a Pod>) {
    let mut misplaced = Vec::new();
    let mut places: BTreeMap<u32, &'a Pod> = BTreeMap::new();
    for &pod in active {
        let is_kept = |index: u32| index < completions || is_planted(Bug::KeepsFormerIndexes);
        let Some(index) = index_of(pod).filter(|&index| is_kept(index)) else {
            misplaced.push(pod);
            continue;
        };
        if let Some(other) = places.insert(index, pod) {
            let (less, more) = if worth(other) <= worth(pod) { (other, pod) } else { (pod, other) };
            places.insert(index, more);
            misplaced.push(less);
        }
    }
    (misplaced, places.into_values().collect())
}

/// What a pod is worth keeping for: scheduled, running, ready (for long), rarely restarted, old. The least goes first.
/// The name decides between equals, so that a plan is the same whatever the order of the pods.
fn worth(pod: &Pod) -> impl Ord {
    let phase = match pod.status.phase.as_str() {
        "Running" => 2,
        "Unknown" => 1,
        _ => 0,
    };
    let ready = is_ready(pod);
    let ready_since = pod.status.conditions.iter().find(|condition| condition.kind == "Ready" && ready);
    let restarts = pod.status.container_statuses.iter().map(|status| status.restart_count).max();
    (
        !pod.spec.node_name.is_empty(),
        phase,
        ready,
        ready_since.and_then(|condition| condition.last_transition_time).map(Reverse),
        Reverse(restarts.unwrap_or(0)),
        pod.metadata.creation_timestamp.map(Reverse),
        pod.metadata.name.clone(),
    )
}
