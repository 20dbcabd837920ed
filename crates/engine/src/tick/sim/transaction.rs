//! What one transaction of the engine must be as a whole: every pod that is released is counted in the same
//! transaction, once, as what it is; and a pod that is made is one that its Job still needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::check::Seen;
use super::meddling::LABEL;
use super::mirror::{Mirror, Version};
use super::read::*;

/// The annotation of a template that tells its versions apart.
pub(super) const ROUND: &str = "example.com/round";
/// The processors of the node.
pub(super) const CPUS: usize = 8;

/// What the pods that a transaction releases are to be counted as.
#[derive(Default)]
struct Released {
    succeeded: i64,
    failed: i64,
    /// Pods that left in the same transaction: nobody saw how they ended.
    unknown: i64,
    /// Indexes that succeeded.
    indexes: BTreeSet<u64>,
    /// Indexes that perhaps did.
    perhaps: BTreeSet<u64>,
}

/// Versions of the Jobs before a transaction that changed them.
type Before<'a> = BTreeMap<&'a str, &'a Arc<Value>>;

impl Seen {
    /// The whole.
    pub(super) fn transaction(
        &self,
        mirror: &Mirror,
        versions: &[Version],
        is_tainted: bool,
    ) -> Result<(), String> {
        let changed = versions.iter().filter(|version| version.is_of("/jobs.batch/"));
        let before: Before<'_> = changed
            .filter_map(|version| version.before.as_ref())
            .map(|job| (text(job, "uid"), job))
            .collect();
        self.counts(mirror, versions, &before, is_tainted)?;
        let is_new = |version: &&Version| version.is_of("/pods/") && version.before.is_none();
        for pod in versions.iter().filter(is_new).filter_map(|version| version.after.as_ref()) {
            self.is_needed(mirror, pod, &before)?;
        }
        let is_gone = |version: &&Version| version.is_of("/namespaces/") && version.after.is_none();
        for version in versions.iter().filter(is_gone) {
            check_emptied(mirror, place(&version.key).1)?;
        }
        check_room(mirror)
    }

    fn counts(
        &self,
        mirror: &Mirror,
        versions: &[Version],
        before: &Before<'_>,
        is_tainted: bool,
    ) -> Result<(), String> {
        let mut all: BTreeMap<&str, Released> =
            before.keys().map(|uid| (*uid, Released::default())).collect();
        for version in versions.iter().filter(|version| version.is_of("/pods/")) {
            let Some(pod) = version.before.as_ref().filter(|pod| is_tracked(pod)) else { continue };
            let is_released = version.after.as_ref().is_none_or(|after| !is_tracked(after));
            let Some(uid) = owner(pod).filter(|_| is_released) else { continue };
            let Some(job) = job_of(mirror, uid) else { continue };
            // One whose label was taken off is let go uncounted, also if it leaves at once. A Job that goes counts all.
            let stays = match &version.after {
                Some(after) => owner(after) == owner(pod),
                None => pod["metadata"]["labels"][LABEL].is_string(),
            };
            if !stays && !is_going(job) {
                continue;
            }
            let was = before.get(uid).copied().unwrap_or(job);
            if ended(was).is_some() || is_managed(job) {
                continue;
            }
            all.entry(uid).or_default().add(was, job, version, is_tainted)?;
        }
        for (uid, released) in all {
            let Some(job) = job_of(mirror, uid).filter(|job| !is_managed(job)) else { continue };
            released.is_counted(before.get(uid).copied().unwrap_or(job), job)?;
        }
        Ok(())
    }

    /// Whether a pod that was made is one that its Job needs.
    fn is_needed(&self, mirror: &Mirror, pod: &Value, before: &Before<'_>) -> Result<(), String> {
        let (name, Some(uid)) = (called(pod), owner(pod)) else { return Ok(()) };
        let Some(job) = job_of(mirror, uid) else {
            // It may go in the same transaction, for its CronJob's sake; its pods follow.
            let is_gone = before.contains_key(uid);
            return if is_gone { Ok(()) } else { Err(format!("pod {name} is made for no Job")) };
        };
        let wrong = |what: &str| Err(format!("pod {name} is made, and its Job {what}"));
        if !mirror.is_open(text(pod, "namespace")) {
            return wrong("is in a namespace that goes");
        }
        let was = before.get(uid).copied().unwrap_or(job);
        if is_managed(job) {
            return wrong("is another controller's");
        }
        if is_ending(was) || is_ending(job) {
            return wrong("has its end decided");
        }
        // What lets it go in the same transaction is another controller, which knows nothing of this one.
        if job["spec"]["suspend"] == true || is_going(was) {
            return wrong("is suspended or goes");
        }
        let limit = job["spec"]["backoffLimit"].as_i64().unwrap_or(i64::from(i32::MAX));
        if int(&job["status"]["failed"]) > limit {
            return wrong("has failed too often");
        }
        let told = |object: &Value| object["metadata"]["annotations"][ROUND].clone();
        if told(pod) != told(&job["spec"]["template"]) {
            return wrong("has another template");
        }
        let own = || mirror.owned_by(uid, "/pods/").filter(|pod| !is_terminal(pod));
        let counted = |pod: &&Arc<Value>| waits_for_ends(job) || is_live(pod);
        let at_once = own().filter(counted).count();
        let parallelism = job["spec"]["parallelism"].as_u64().unwrap_or(1);
        if at_once as u64 > parallelism {
            return wrong(&format!("has {at_once} at once instead of {parallelism}"));
        }
        if let Some(completions) = job["spec"]["completions"].as_u64()
            && own().filter(|pod| is_live(pod)).count() as u64
                + int(&job["status"]["succeeded"]).unsigned_abs()
                > completions
        {
            return wrong("needs no more");
        }
        check_index(job, pod, own().filter(counted))?;
        check_quota(mirror, text(pod, "namespace"))
    }
}

/// An index has one pod at a time, and none when it is done or has failed for good.
fn check_index<'a>(
    job: &Value,
    pod: &Value,
    own: impl Iterator<Item = &'a Arc<Value>>,
) -> Result<(), String> {
    let Some(index) = index(pod) else {
        return if is_indexed(job) { Err(format!("pod {} has no index", called(pod))) } else { Ok(()) };
    };
    let wrong =
        |what: &str| Err(format!("{}: index {index} {what}, and pod {} is made", called(job), called(pod)));
    if i64::try_from(index).unwrap_or(i64::MAX) >= int(&job["spec"]["completions"]) {
        return wrong("is not the Job's");
    }
    if completed(job).contains(&index) {
        return wrong("is completed");
    }
    if indexes(job["status"]["failedIndexes"].as_str().unwrap_or_default()).contains(&index) {
        return wrong("has failed for good");
    }
    if own.filter(|pod| super::read::index(pod) == Some(index)).count() > 1 {
        return wrong("has a pod");
    }
    let failures = &pod["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"];
    let failures: i64 = failures.as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
    match job["spec"]["backoffLimitPerIndex"].as_i64() {
        Some(limit) if failures > limit => wrong("has failed too often"),
        _ => Ok(()),
    }
}

/// No more pods than the quotas allow, those apart that go.
fn check_quota(mirror: &Mirror, namespace: &str) -> Result<(), String> {
    let live = mirror.all(&format!("/pods/{namespace}/")).filter(|pod| is_live(pod)).count();
    for quota in mirror.all(&format!("/resourcequotas/{namespace}/")) {
        let most: usize = amount(&quota["spec"]["hard"]["pods"]);
        if live > most {
            return Err(format!("{live} pods at once in {namespace}, and the quota allows {most}"));
        }
    }
    Ok(())
}

/// A namespace goes last of all that was in it.
fn check_emptied(mirror: &Mirror, namespace: &str) -> Result<(), String> {
    match mirror.objects().keys().find(|key| place(key).0 == Some(namespace)) {
        Some(key) => Err(format!("namespace {namespace} goes, and {key} is still in it")),
        None => Ok(()),
    }
}

/// The pods on the node ask for no more than it has.
fn check_room(mirror: &Mirror) -> Result<(), String> {
    let here = mirror.all("/pods/").filter(|pod| pod["spec"]["nodeName"].is_string() && !is_terminal(pod));
    let asked: usize = here.map(|pod| cpus(pod)).sum();
    if asked > CPUS { Err(format!("pods on the node ask for {asked} processors of {CPUS}")) } else { Ok(()) }
}

pub(super) fn job_of<'a>(mirror: &'a Mirror, uid: &str) -> Option<&'a Arc<Value>> {
    mirror.of_uid(uid).filter(|(key, _)| key.starts_with("/jobs.batch/")).map(|(_, job)| job)
}

impl Released {
    /// One more pod that a Job releases.
    fn add(&mut self, was: &Value, job: &Value, version: &Version, is_tainted: bool) -> Result<(), String> {
        let Some(before) = &version.before else { return Ok(()) };
        let pod = version.after.as_ref().unwrap_or(before);
        let uid = text(pod, "uid");
        let is_listed = |of: &str| uncounted(was, of).contains(uid);
        let place = index(pod).filter(|index| *index < int(&job["spec"]["completions"]).unsigned_abs());
        let is_out_of_place = is_indexed(job) && place.is_none();
        let counts = i64::from(!is_out_of_place && !is_listed("failed") && counts_as_failure(job, pod));
        let fails = said(&job["status"], "FailureTarget").is_some();
        // Ended by its Job before it had a node, and kept by others: it has failed, and is nobody's failure.
        let is_withdrawn = is_live(before) && is_going(pod) && !before["spec"]["nodeName"].is_string();
        match pod["status"]["phase"].as_str() {
            _ if is_withdrawn => self.failed += if fails { counts } else { 0 },
            Some("Succeeded") if is_indexed(job) => self.indexes.extend(place),
            Some("Succeeded") => self.succeeded += i64::from(!is_listed("succeeded")),
            Some("Failed") => self.failed += counts,
            // Nobody saw how it ended, if it did.
            _ if version.after.is_none() && (is_going(before) || before["spec"]["nodeName"].is_string()) => {
                self.unknown += 1;
                self.perhaps.extend(place);
            }
            _ if fails => self.failed += counts,
            _ if is_going(before) => self.failed += if waits_for_ends(job) { 0 } else { counts },
            _ if is_tainted && is_going(pod) => self.unknown += 1,
            _ if is_going(was) || version.after.is_none() => {}
            // The Job itself ends it: it has one too many.
            _ if is_going(pod) => {}
            _ => return Err(format!("pod {} is let go, and runs", called(pod))),
        }
        Ok(())
    }

    /// Whether that is what the Job's status says of it.
    fn is_counted(&self, was: &Value, job: &Value) -> Result<(), String> {
        let counted = |job: &Value, of: &str| {
            int(&job["status"][of]) + i64::try_from(uncounted(job, of).len()).unwrap_or(0)
        };
        let more = |of: &str| counted(job, of) - counted(was, of);
        let failed = more("failed");
        let mut known = vec![("failed", failed, self.failed)];
        if is_indexed(job) {
            self.has_indexes(was, job)?;
        } else {
            known.push(("succeeded", more("succeeded"), self.succeeded));
        }
        let mut unknown = self.unknown;
        for (of, said, seen) in known {
            if said < seen || said > seen + unknown {
                return Err(format!(
                    "{}: {seen} pods ({unknown} more, perhaps) are let go as {of}, and {said} are counted",
                    called(job)
                ));
            }
            unknown -= said - seen;
        }
        Ok(())
    }

    fn has_indexes(&self, was: &Value, job: &Value) -> Result<(), String> {
        let (before, after) = (completed(was), completed(job));
        if let Some(lost) = self.indexes.difference(&after).next() {
            return Err(format!("{}: index {lost} succeeded, and is not counted", called(job)));
        }
        let mut new = after.difference(&before);
        match new.find(|index| !self.indexes.contains(index) && !self.perhaps.contains(index)) {
            Some(index) => Err(format!("{}: index {index} is counted, and did not succeed", called(job))),
            None => Ok(()),
        }
    }
}
