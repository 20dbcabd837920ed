//! What must hold of every version of every object, whoever wrote it: looked at from outside, in what is stored and in
//! what was stored before. It knows no plan and no draft. What one transaction of the engine must be as a whole is in
//! `transaction.rs`, what holds when nothing is left to do in `idle.rs`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::mirror::{Mirror, Version};
use super::pause::Ends;
use super::read::*;

/// The condition that other controllers leave on Jobs and pods.
pub(super) const MARK: &str = "example.com/Seen";

/// Who wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Author {
    Engine,
    Client,
}

/// What was seen of a history so far.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) jobs: BTreeMap<String, Job>,
    pub(super) pods: BTreeMap<String, Pod>,
    /// The Job of each time of a CronJob, by its uid and the time.
    times: BTreeMap<(String, String), String>,
    /// CronJobs that at some time allowed Jobs beside one another.
    pub(super) overlapping: BTreeSet<String>,
}

/// What was seen of a Job.
#[derive(Default)]
pub(super) struct Job {
    pub(super) name: String,
    /// A client was told that it exists.
    is_acknowledged: bool,
    /// Somebody deleted it, or what it belongs to.
    may_go: bool,
    /// Its last condition, once there is one: type and reason.
    end: Option<(String, String)>,
    /// It will have one: no pod is made any more.
    pub(super) is_ending: bool,
    /// Indexes that were completed.
    completed: BTreeSet<u64>,
    failed: i64,
    /// What others wrote into its counters.
    slack: i64,
    /// Others gave it a pod, perhaps of an index that has ended.
    has_adopted: bool,
    /// Others decided its end, or changed how many failures it may have.
    pub(super) is_meddled_with: bool,
    pub(super) ends: Ends,
}

/// What was seen of a pod.
pub(super) struct Pod {
    pub(super) job: String,
    pub(super) phase: String,
    /// Its Job was done with it before it had ended, however it ends then.
    is_let_go: bool,
}

impl Seen {
    /// A client's create was answered.
    pub(super) fn acknowledged(&mut self, job: &Value) {
        let seen = self.jobs.entry(text(job, "uid").to_owned()).or_default();
        seen.is_acknowledged = true;
        seen.name = called(job);
    }

    /// A client's delete was answered.
    pub(super) fn deleted(&mut self, uid: &str) {
        self.jobs.entry(uid.to_owned()).or_default().may_go = true;
    }

    /// One version.
    pub(super) fn version(
        &mut self,
        mirror: &Mirror,
        version: &Version,
        author: Author,
        now: Timestamp,
    ) -> Result<(), String> {
        if version.is_of("/jobs.batch/") {
            self.job(mirror, version, author, now)
        } else if version.is_of("/pods/") {
            self.pod(version, author)
        } else {
            let cron = version.after.as_ref().filter(|cron| cron["spec"]["concurrencyPolicy"] == "Allow");
            self.overlapping.extend(cron.map(|cron| text(cron, "uid").to_owned()));
            Ok(())
        }
    }

    fn pod(&mut self, version: &Version, author: Author) -> Result<(), String> {
        let Some(pod) = &version.after else { return Ok(()) };
        let (uid, phase) = (text(pod, "uid"), pod["status"]["phase"].as_str().unwrap_or_default());
        let job = owner(pod).unwrap_or_default();
        if author == Author::Engine
            && version.before.as_ref().is_some_and(|old| has_mark(old))
            && !has_mark(pod)
        {
            return Err(format!("pod {}: what others wrote into its status is lost", called(pod)));
        }
        let Some(seen) = self.pods.get_mut(uid) else {
            let pod = Pod { job: job.to_owned(), phase: phase.to_owned(), is_let_go: false };
            self.pods.insert(uid.to_owned(), pod);
            return Ok(());
        };
        seen.is_let_go |= !is_tracked(pod) && !is_terminal(pod);
        if ["Succeeded", "Failed"].contains(&seen.phase.as_str()) && seen.phase != phase {
            return Err(format!("pod {} was {} and is {phase}", called(pod), seen.phase));
        }
        phase.clone_into(&mut seen.phase);
        if !job.is_empty() && version.before.as_ref().is_some_and(|before| owner(before) != Some(job)) {
            // Adopted, and counted again if it was before: as another's, or as the same Job's before it was let go.
            job.clone_into(&mut seen.job);
            let adopter = self.jobs.entry(job.to_owned()).or_default();
            adopter.slack += 1;
            adopter.has_adopted = true;
        }
        Ok(())
    }

    fn job(
        &mut self,
        mirror: &Mirror,
        version: &Version,
        author: Author,
        now: Timestamp,
    ) -> Result<(), String> {
        let Some(newest) = version.after.as_ref().or(version.before.as_ref()) else { return Ok(()) };
        let uid = text(newest, "uid");
        let seen = self.jobs.entry(uid.to_owned()).or_default();
        seen.name = called(newest);
        seen.may_go |= !mirror.is_open(text(newest, "namespace")) || owner(newest).is_some();
        if author == Author::Engine {
            seen.goes_rightly(version, now)?;
        }
        let Some(job) = &version.after else {
            // What waited for others when it was deleted goes when they let it.
            let was_going = version.before.as_ref().is_some_and(|before| is_going(before));
            let is_wrong = seen.is_acknowledged && author == Author::Client && !seen.may_go && !was_going;
            return if is_wrong { Err(format!("{} is lost", seen.name)) } else { Ok(()) };
        };
        if version.before.is_none() {
            self.time(job)?;
        }
        let seen = self.jobs.entry(uid.to_owned()).or_default();
        let before = version.before.as_deref();
        if author == Author::Client {
            seen.forgive(before, job);
        } else {
            left_alone(before, job)?;
        }
        seen.goes_on(job)?;
        if author == Author::Engine && before.is_none_or(|before| before["status"] != job["status"]) {
            agrees_with_itself(job, seen.has_adopted)?;
        }
        Ok(())
    }

    /// What the Jobs of several versions, all of which were looked at, say of their pods.
    pub(super) fn counters(&self, versions: &[Version]) -> Result<(), String> {
        let jobs = versions.iter().filter(|version| version.is_of("/jobs.batch/"));
        for job in jobs.filter_map(|version| version.after.as_ref()) {
            let uid = text(job, "uid");
            let Some(seen) = self.jobs.get(uid) else { continue };
            seen.agrees_with_pods(job, self.pods.values().filter(|pod| pod.job == uid))?;
        }
        Ok(())
    }

    /// One Job for a scheduled time, however often it is looked at.
    fn time(&mut self, job: &Value) -> Result<(), String> {
        let time = &job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"];
        let (Some(cron), Some(time)) = (owner(job), time.as_str()) else { return Ok(()) };
        let uid = text(job, "uid").to_owned();
        match self.times.insert((cron.to_owned(), time.to_owned()), uid.clone()) {
            Some(other) if other != uid => Err(format!("{}: two Jobs of {time}", called(job))),
            _ => Ok(()),
        }
    }
}

impl Job {
    /// The engine deletes a Job of a client's only when its time to live is over.
    fn goes_rightly(&self, version: &Version, now: Timestamp) -> Result<(), String> {
        let was_going = version.before.as_ref().is_none_or(|before| is_going(before));
        let goes = version.after.as_ref().is_none_or(|after| is_going(after));
        let Some(newest) = version.after.as_ref().or(version.before.as_ref()) else { return Ok(()) };
        if was_going || !goes || self.may_go || is_expired(newest, now) {
            return Ok(());
        }
        Err(format!("{} is deleted, and nobody asked for it", self.name))
    }

    /// What a client wrote into the counters is not the engine's to answer for.
    fn forgive(&mut self, before: Option<&Value>, job: &Value) {
        let Some(before) = before else { return };
        for of in ["succeeded", "failed"] {
            let counted =
                |job: &Value| int(&job["status"][of]) + i64::try_from(uncounted(job, of).len()).unwrap_or(0);
            self.slack += (counted(job) - counted(before)).max(0);
        }
        let limits = |job: &Value| ["backoffLimit", "completions"].map(|field| job["spec"][field].clone());
        self.is_meddled_with |= limits(before) != limits(job)
            || uncounted(before, "failed") != uncounted(job, "failed")
            || is_ending(before) != is_ending(job)
            || int(&before["status"]["failed"]) != int(&job["status"]["failed"]);
    }

    /// What once was stays.
    fn goes_on(&mut self, job: &Value) -> Result<(), String> {
        let (name, status) = (&self.name, &job["status"]);
        let ends: Vec<_> = ["Complete", "Failed"].into_iter().filter_map(|end| said(status, end)).collect();
        if ends.len() > 1 || (self.end.is_some() && self.end.as_ref() != ends.first()) {
            return Err(format!("{name} ended with {:?} and ends with {ends:?}", self.end));
        }
        self.end = ends.into_iter().next();
        if self.is_ending && !is_ending(job) {
            return Err(format!("{name}: its end was decided and is taken back"));
        }
        self.is_ending = is_ending(job);
        let failed = int(&status["failed"]);
        if failed < self.failed {
            return Err(format!("{name}: {} pods had failed, and now {failed}", self.failed));
        }
        self.failed = failed;
        let done = completed(job);
        // An elastic Job that shrinks loses what is beyond its end.
        let count = u64::try_from(int(&job["spec"]["completions"])).unwrap_or(0);
        if let Some(lost) = self.completed.difference(&done).find(|lost| **lost < count) {
            return Err(format!("{name}: index {lost} was completed, and is not any more"));
        }
        self.completed = done;
        Ok(())
    }

    /// No pod is counted twice: what the counters say never exceeds the pods that came to such an end.
    fn agrees_with_pods<'a>(
        &self,
        job: &Value,
        pods: impl Iterator<Item = &'a Pod> + Clone,
    ) -> Result<(), String> {
        let count = |pods: usize| i64::try_from(pods).unwrap_or(i64::MAX);
        let succeeded = count(pods.clone().filter(|pod| pod.phase == "Succeeded").count());
        let failed = count(pods.filter(|pod| pod.phase != "Succeeded" || pod.is_let_go).count());
        for (of, there) in [("succeeded", succeeded), ("failed", failed)] {
            let counted = int(&job["status"][of]);
            if counted > there + self.slack && !is_managed(job) {
                return Err(format!("{}: counts {counted} {of} of {there}", self.name));
            }
        }
        Ok(())
    }
}

/// The engine writes into a Job of another controller's nothing but what deleting it needs, and takes nothing away that
/// others wrote.
fn left_alone(before: Option<&Value>, job: &Value) -> Result<(), String> {
    let Some(before) = before else { return Ok(()) };
    if is_managed(job) && (&before["spec"], &before["status"]) != (&job["spec"], &job["status"]) {
        return Err(format!("{} is another controller's, and was written", called(job)));
    }
    if has_mark(before) && !has_mark(job) {
        return Err(format!("{}: what others wrote into its status is lost", called(job)));
    }
    Ok(())
}

/// The counters of a status that the engine wrote are about the same.
fn agrees_with_itself(job: &Value, has_adopted: bool) -> Result<(), String> {
    let (name, status, completed) = (called(job), &job["status"], completed(job));
    if is_managed(job) {
        return Ok(());
    }
    if is_indexed(job) && int(&status["succeeded"]) != i64::try_from(completed.len()).unwrap_or(0) {
        return Err(format!("{name}: {} succeeded, and completed are {completed:?}", status["succeeded"]));
    }
    let failed = indexes(status["failedIndexes"].as_str().unwrap_or_default());
    match completed.intersection(&failed).next() {
        Some(both) if !has_adopted => Err(format!("{name}: index {both} has succeeded and failed")),
        _ => Ok(()),
    }
}

fn has_mark(object: &Value) -> bool {
    said(&object["status"], MARK).is_some()
}

/// Whether a Job is over, and for so long that it is to go.
pub(super) fn is_expired(job: &Value, now: Timestamp) -> bool {
    let Some(seconds) = job["spec"]["ttlSecondsAfterFinished"].as_i64() else { return false };
    let mut conditions = job["status"]["conditions"].as_array().into_iter().flatten();
    let end =
        conditions.find(|c| (c["type"] == "Complete" || c["type"] == "Failed") && c["status"] == "True");
    let at = end.and_then(|end| end["lastTransitionTime"].as_str()?.parse::<Timestamp>().ok());
    at.is_some_and(|at| now.duration_since(at) >= SignedDuration::from_secs(seconds))
}
