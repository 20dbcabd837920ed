//! Counting: what the pods amount to, and how finished ones enter the Job's counters, each once.
//!
//! It decides neither what is created nor whether the Job is over.
//!
//! Source: upstream `getNewFinishedPods`, `trackJobStatusAndRemoveFinalizers`, `canRemoveFinalizer`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::failure_policy::judge;
use super::finish::{Target, Verdict};
use super::indexed::{Indexes, index_of};
use super::manage::Managed;
use super::per_index::{PerIndex, per_index};
use super::{Action, Draft, TRACKING_FINALIZER, at_once};
use crate::planted::{Bug, is_planted};
use crate::view::{Job, JobStatus, Pod};

/// What the pods amount to, whether or not this plan gets round to counting them all.
#[derive(Default)]
pub(super) struct Tally<'a> {
    /// Neither finished nor being deleted.
    pub active: Vec<&'a Pod>,
    /// Being deleted and not finished.
    pub terminating: Vec<&'a Pod>,
    /// Active and ready.
    pub ready: usize,
    /// Successes, those of this moment included.
    pub succeeded: i32,
    /// Failures, those of this moment included.
    pub failed: i32,
    /// For Indexed Jobs: indexes that are done, those of this moment included.
    pub completed: Indexes,
    /// With `backoffLimitPerIndex`: what failed for good, and what waits for its replacement.
    pub per_index: Option<PerIndex<'a>>,
    /// Pods that finished (or count as failed) and still hold the finalizer, with what they count as.
    done: Vec<(&'a Pod, Outcome)>,
    /// Successes and failures that were counted before, those listed as uncounted included.
    earlier: (i32, i32),
    earlier_completed: Indexes,
}

/// What a pod counts as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Success,
    Index(u32),
    Failure,
    /// A failure that the policy ignores.
    Ignored,
    /// Nothing: it is in the counters by way of `uncountedTerminatedPods`, or its index is not the Job's.
    Nothing,
}

/// Whether the pod has reached its end.
pub(super) fn is_terminal(pod: &Pod) -> bool {
    matches!(pod.status.phase.as_str(), "Succeeded" | "Failed")
}

/// Whether the pod still waits to be counted.
pub(super) fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().any(|finalizer| finalizer == TRACKING_FINALIZER)
}

/// Whether the pod counts as failed. A pod that is being deleted does, unless the Job replaces only failed ones.
pub(super) fn is_failed(pod: &Pod, job: &Job) -> bool {
    match pod.status.phase.as_str() {
        "Failed" => true,
        "Succeeded" => false,
        _ => pod.metadata.deletion_timestamp.is_some() && !replaces_only_failed(job),
    }
}

/// `podReplacementPolicy: Failed`, which a pod failure policy implies: a pod that is being deleted is replaced only
/// once it has ended.
pub(super) fn replaces_only_failed(job: &Job) -> bool {
    if is_planted(Bug::ReplacesTooSoon) {
        return false;
    }
    job.spec.pod_failure_policy.is_some() || job.spec.pod_replacement_policy.as_deref() == Some("Failed")
}

/// Whether every completion has an index.
pub(super) fn is_indexed(job: &Job) -> bool {
    job.spec.completion_mode.as_deref() == Some("Indexed")
}

/// The number of completions wanted, for Indexed Jobs.
pub(super) fn index_count(job: &Job) -> u32 {
    u32::try_from(job.spec.completions.unwrap_or(0)).unwrap_or(0)
}

/// Whether the pod is ready.
pub(super) fn is_ready(pod: &Pod) -> bool {
    pod.status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True")
}

/// Looks at every pod once.
pub(super) fn tally<'a>(job: &Job, own: &[&'a Pod]) -> Tally<'a> {
    let indexed = is_indexed(job);
    let uncounted = Uncounted::of(&job.status);
    let mut tally = Tally {
        earlier: (
            job.status.succeeded.saturating_add(count_of(uncounted.succeeded.len())),
            job.status.failed.saturating_add(count_of(uncounted.failed.len())),
        ),
        ..Tally::default()
    };
    for &pod in own {
        if !is_terminal(pod) {
            if pod.metadata.deletion_timestamp.is_some() {
                tally.terminating.push(pod);
            } else {
                tally.ready += usize::from(is_ready(pod));
                tally.active.push(pod);
                continue;
            }
        }
        if is_tracked(pod) && (pod.status.phase == "Succeeded" || is_failed(pod, job)) {
            tally.done.push((pod, outcome(pod, job, indexed, &uncounted)));
        }
    }
    // Pods that are listed as uncounted are in `earlier` at once, so they must be released at once: they go first.
    tally.done.sort_by_key(|(_, outcome)| *outcome != Outcome::Nothing);
    if indexed {
        let text = job.status.completed_indexes.as_deref().unwrap_or_default();
        if !is_planted(Bug::ForgetsDoneIndexes) {
            tally.earlier_completed = Indexes::parse(text, index_count(job));
        }
    }
    let counted = Counted::of(&tally, &tally.done);
    tally.succeeded = counted.succeeded;
    tally.failed = counted.failed;
    tally.completed = counted.completed;
    if indexed {
        tally.succeeded = tally.completed.total();
        tally.per_index = per_index(job, own, &tally.completed, &tally.active);
    }
    tally
}

fn outcome(pod: &Pod, job: &Job, indexed: bool, uncounted: &Uncounted) -> Outcome {
    let index = index_of(pod).filter(|&index| index < index_count(job));
    let uid = pod.metadata.uid.as_str();
    let is_listed = uncounted.failed.contains(uid) && !is_planted(Bug::CountsListedTwice);
    if is_listed || (indexed && index.is_none()) {
        return Outcome::Nothing;
    }
    match (pod.status.phase.as_str(), index) {
        ("Succeeded", Some(index)) if indexed => Outcome::Index(index),
        ("Succeeded", _) if uncounted.succeeded.contains(uid) => Outcome::Nothing,
        ("Succeeded", _) => Outcome::Success,
        _ if judge(job, pod).counts() => Outcome::Failure,
        _ => Outcome::Ignored,
    }
}

/// The pods that an older or another controller had seen end, but not yet counted.
#[derive(Default)]
struct Uncounted {
    succeeded: BTreeSet<String>,
    failed: BTreeSet<String>,
}

impl Uncounted {
    fn of(status: &JobStatus) -> Self {
        let list = |name| {
            let value = status.uncounted_terminated_pods.as_ref().map_or(&Value::Null, |pods| &pods[name]);
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self { succeeded: list("succeeded"), failed: list("failed") }
    }

    /// Of these the pods that still hold the finalizer after this plan: they are counted with its removal, as
    /// `cleanUncountedPodsWithoutFinalizers` does.
    fn still_held(&self, draft: &Draft<'_>, tally: &Tally<'_>, managed: &Managed<'_>) -> Self {
        if self.succeeded.is_empty() && self.failed.is_empty() {
            return Self::default();
        }
        let unfinished = tally.active.iter().chain(&tally.terminating);
        let all = unfinished.chain(tally.done.iter().map(|(pod, _)| pod)).filter(|pod| is_tracked(pod));
        let mut held: BTreeSet<&str> = all.map(|pod| pod.metadata.uid.as_str()).collect();
        for action in &draft.plan.actions {
            if let Action::Release { uid, .. } = action {
                held.remove(uid.as_str());
            }
        }
        for pod in &managed.delete {
            held.remove(pod.metadata.uid.as_str());
        }
        let of = |list: &BTreeSet<String>| {
            list.iter().filter(|uid| held.contains(uid.as_str())).cloned().collect::<BTreeSet<_>>()
        };
        Self { succeeded: of(&self.succeeded), failed: of(&self.failed) }
    }

    fn as_status(&self) -> Value {
        let mut status = json!({});
        for (name, list) in [("succeeded", &self.succeeded), ("failed", &self.failed)] {
            if !list.is_empty() {
                status[name] = json!(list);
            }
        }
        status
    }
}

/// The counters with these finished pods in them.
struct Counted {
    succeeded: i32,
    failed: i32,
    completed: Indexes,
}

impl Counted {
    fn of(tally: &Tally<'_>, done: &[(&Pod, Outcome)]) -> Self {
        let (mut succeeded, mut failed) = tally.earlier;
        let mut indexes = BTreeSet::new();
        for (pod, outcome) in done {
            match outcome {
                Outcome::Success => succeeded = succeeded.saturating_add(1),
                Outcome::Failure => {
                    let is_evicted = || pod.status.conditions.iter().any(|c| c.kind == "DisruptionTarget");
                    let again =
                        is_planted(Bug::CountsTwice) || (is_planted(Bug::CountsEvictedTwice) && is_evicted());
                    failed = failed.saturating_add(1 + i32::from(again));
                }
                Outcome::Index(index) => _ = indexes.insert(*index),
                Outcome::Ignored | Outcome::Nothing => {}
            }
        }
        let completed = tally.earlier_completed.union(&Indexes::singles(&indexes));
        Self { succeeded, failed, completed }
    }
}

/// Writes the counters, and releases the pods that are in them.
pub(super) fn account(
    draft: &mut Draft<'_>,
    tally: &Tally<'_>,
    managed: &Managed<'_>,
    verdict: Option<&Verdict>,
) {
    let over = verdict.is_some() || draft.job.metadata.deletion_timestamp.is_some();
    let mut done = tally.done.clone();
    if let (Some(per_index), false) = (&tally.per_index, over) {
        done.retain(|(pod, _)| !is_held(pod, per_index, managed));
    }
    let listed = done.iter().take_while(|(_, outcome)| *outcome == Outcome::Nothing).count();
    let bound = listed.max(at_once(draft.job, done.len()));
    done.truncate(bound);
    let counted = Counted::of(tally, &done);
    draft.status.failed = counted.failed;
    if is_indexed(draft.job) {
        draft.status.succeeded = counted.completed.total();
        draft.status.completed_indexes = Some(counted.completed.to_string()).filter(|text| !text.is_empty());
    } else {
        draft.status.succeeded = counted.succeeded;
    }
    if let Some(per_index) = &tally.per_index {
        draft.status.failed_indexes = Some(per_index.failed.to_string());
    }
    for (pod, outcome) in &done {
        if *outcome == Outcome::Failure && is_planted(Bug::KeepsFinalizers) {
            continue;
        }
        release(draft, pod);
    }
    let uncounted = Uncounted::of(&draft.job.status);
    if over {
        release_unfinished(draft, tally, managed, verdict, &uncounted);
    }
    let held = uncounted.still_held(draft, tally, managed);
    draft.status.failed = draft.status.failed.saturating_sub(count_of(held.failed.len()));
    if !is_indexed(draft.job) {
        draft.status.succeeded = draft.status.succeeded.saturating_sub(count_of(held.succeeded.len()));
    }
    draft.status.active = count_of(tally.active.len() + managed.create.len() - managed.delete.len());
    let deleted_ready = managed.delete.iter().filter(|pod| is_ready(pod)).count();
    draft.status.ready = Some(count_of(tally.ready - deleted_ready));
    let lingering = managed.delete.iter().filter(|pod| lingers(pod)).count();
    draft.status.terminating = Some(count_of(tally.terminating.len() + lingering));
    draft.status.uncounted_terminated_pods = Some(held.as_status());
}

/// Whether the pod takes time to end once it is deleted. One that no node has yet is gone at once.
fn lingers(pod: &Pod) -> bool {
    !pod.spec.node_name.is_empty() && pod.spec.termination_grace_period_seconds != Some(0)
}

/// Whether the pod waits for the replacement that carries its index's count on, and this plan does not create it.
fn is_held(pod: &Pod, per_index: &PerIndex<'_>, managed: &Managed<'_>) -> bool {
    index_of(pod).is_some_and(|index| {
        let held = per_index.held.get(&index).is_some_and(|held| held.metadata.uid == pod.metadata.uid);
        held && !managed.indexes.contains(&index)
    })
}

/// A Job that is over waits for no pod: each counts as failed now if the Job fails, and is not counted otherwise.
fn release_unfinished(
    draft: &mut Draft<'_>,
    tally: &Tally<'_>,
    managed: &Managed<'_>,
    verdict: Option<&Verdict>,
    uncounted: &Uncounted,
) {
    let fails = verdict.is_some_and(|verdict| verdict.target == Target::Failure);
    let valid = |pod: &Pod| {
        !is_indexed(draft.job) || index_of(pod).is_some_and(|index| index < index_count(draft.job))
    };
    let deleted: BTreeSet<&str> = managed.delete.iter().map(|pod| pod.metadata.uid.as_str()).collect();
    let mut counted = 0;
    let mut released = Vec::new();
    for pod in tally.active.iter().chain(&tally.terminating).filter(|pod| is_tracked(pod)) {
        if is_failed(pod, draft.job) {
            continue; // It is among the finished ones.
        }
        let deleted = deleted.contains(pod.metadata.uid.as_str());
        if !deleted && verdict.is_some() && pod.metadata.deletion_timestamp.is_none() {
            continue; // Beyond this plan's bound.
        }
        let listed = uncounted.failed.contains(&pod.metadata.uid);
        counted += i32::from(fails && !listed && valid(pod) && judge(draft.job, pod).counts());
        if !deleted {
            released.push(*pod);
        }
    }
    draft.status.failed = draft.status.failed.saturating_add(counted);
    for pod in released {
        release(draft, pod);
    }
}

fn release(draft: &mut Draft<'_>, pod: &Pod) {
    let (name, uid) = (pod.metadata.name.clone(), pod.metadata.uid.clone());
    draft.act(Action::Release { name, uid });
}

/// A number of pods as the API's int32.
pub(super) fn count_of(pods: usize) -> i32 {
    i32::try_from(pods).unwrap_or(i32::MAX)
}
