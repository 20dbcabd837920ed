//! `backoffLimitPerIndex`: every index has failures and back-off of its own.
//!
//! An index's failures are counted in an annotation of its pods. So a failed pod keeps its finalizer until its
//! replacement, which carries the count on, is created in the same transaction.
//!
//! Source: upstream `getPodsWithDelayedDeletionPerIndex`, `getNewIndexFailureCounts`; KEP-3850.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::backoff::{delay, finished_at};
use super::count::{index_count, is_failed, is_tracked};
use super::failure_policy::{Judgement, judge};
use super::indexed::{Indexes, index_of};
use crate::view::{Job, Pod};

/// Annotation: the failures of this index before this pod.
pub(super) const FAILURE_COUNT: &str = "batch.kubernetes.io/job-index-failure-count";
/// Annotation: those among its index's earlier failures that the policy ignored, which still delay a replacement.
pub(super) const IGNORED_FAILURE_COUNT: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// What a Job with a limit for each index knows about its failures.
#[derive(Default)]
pub(super) struct PerIndex<'a> {
    /// Indexes that failed for good.
    pub failed: Indexes,
    /// The last failed pod of each index that is to be tried again.
    pub held: BTreeMap<u32, &'a Pod>,
}

/// Looks at the failed pods that are not counted yet. None if the Job has no such limit.
pub(super) fn per_index<'a>(
    job: &Job,
    own: &[&'a Pod],
    completed: &Indexes,
    active: &[&Pod],
) -> Option<PerIndex<'a>> {
    let limit = job.spec.backoff_limit_per_index?;
    let completions = index_count(job);
    let failures = || {
        let failed = own.iter().copied().filter(|pod| is_tracked(pod) && is_failed(pod, job));
        failed.filter_map(|pod| Some((index_of(pod).filter(|&index| index < completions)?, pod)))
    };
    let for_good = failures().filter(|(_, pod)| match judge(job, pod) {
        Judgement::FailIndex => true,
        judgement => judgement.counts() && annotated(pod, FAILURE_COUNT) >= limit,
    });
    let earlier = Indexes::parse(job.status.failed_indexes.as_deref().unwrap_or_default(), completions);
    let failed = earlier.union(&Indexes::singles(&for_good.map(|(index, _)| index).collect()));
    let running: BTreeSet<u32> = active.iter().filter_map(|pod| index_of(pod)).collect();
    let mut held: BTreeMap<u32, &Pod> = BTreeMap::new();
    for (index, pod) in failures() {
        let settled = completed.has(index) || failed.has(index) || running.contains(&index);
        if !settled && held.get(&index).is_none_or(|other| rank(other) <= rank(pod)) {
            held.insert(index, pod);
        }
    }
    Some(PerIndex { failed, held })
}

/// Which of an index's failed pods is its last.
fn rank(pod: &Pod) -> (i32, Timestamp) {
    (failures_before(pod), finished_at(pod))
}

fn failures_before(pod: &Pod) -> i32 {
    annotated(pod, FAILURE_COUNT).saturating_add(annotated(pod, IGNORED_FAILURE_COUNT))
}

/// An annotation's count; what is missing or unreadable is 0.
fn annotated(pod: &Pod, annotation: &str) -> i32 {
    let text = pod.metadata.annotations.get(annotation);
    text.and_then(|text| text.parse().ok()).filter(|&count: &i32| count >= 0).unwrap_or(0)
}

impl PerIndex<'_> {
    /// When the index may be tried again, if it failed.
    pub(super) fn retry_at(&self, index: u32) -> Option<Timestamp> {
        let pod = self.held.get(&index)?;
        let failures = usize::try_from(failures_before(pod)).unwrap_or(0).saturating_add(1);
        finished_at(pod).checked_add(delay(failures)).ok()
    }

    /// The annotations of the index's next pod.
    pub(super) fn annotations(&self, job: &Job, index: u32) -> Vec<(&'static str, String)> {
        let (mut counted, mut ignored) = (0, 0);
        if let Some(pod) = self.held.get(&index) {
            (counted, ignored) = (annotated(pod, FAILURE_COUNT), annotated(pod, IGNORED_FAILURE_COUNT));
            let which = if judge(job, pod).counts() { &mut counted } else { &mut ignored };
            *which = which.saturating_add(1);
        }
        let mut annotations = vec![(FAILURE_COUNT, counted.to_string())];
        if ignored > 0 {
            annotations.push((IGNORED_FAILURE_COUNT, ignored.to_string()));
        }
        annotations
    }
}
