//! What must hold after every step, and what must hold at rest: looked at from outside, in what is stored and in what
//! runs. It knows no plan and no draft.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Sim;
use super::fate::text;

const TRACKED: &str = "batch.kubernetes.io/job-tracking";
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// What was seen of a history so far.
#[derive(Default)]
pub(super) struct Seen {
    /// As of which revision.
    revision: windlass_store::Revision,
    jobs: BTreeMap<String, Job>,
    pods: BTreeMap<String, Pod>,
}

#[derive(Default)]
struct Job {
    name: String,
    /// A client was told that it exists.
    is_acknowledged: bool,
    /// It may go: somebody deleted it, or its time to live says so.
    may_go: bool,
    /// Its last condition, once there is one: type and reason.
    end: Option<(String, String)>,
    /// It will have one: no pod is made any more.
    is_ending: bool,
    /// Indexes that were completed.
    completed: BTreeSet<u64>,
    failed: i64,
    /// The most pods that it may have had at once.
    parallelism: u64,
}

struct Pod {
    job: String,
    phase: String,
}

impl Seen {
    /// A client's create was answered.
    pub(super) fn acknowledged(&mut self, job: &Value) {
        let seen = self.jobs.entry(text(job, "uid").to_owned()).or_default();
        seen.is_acknowledged = true;
        seen.name = text(job, "name").to_owned();
        seen.may_go |= !job["spec"]["ttlSecondsAfterFinished"].is_null();
    }

    /// A client's delete was answered.
    pub(super) fn deleted(&mut self, uid: &str) {
        self.jobs.entry(uid.to_owned()).or_default().may_go = true;
    }
}

impl Sim {
    /// After every step.
    pub(super) fn check(&mut self) -> Result<(), String> {
        let revision = self.registry.store.revision();
        if std::mem::replace(&mut self.seen.revision, revision) == revision {
            return self.check_runs();
        }
        let (jobs, pods) = (self.stored("/jobs.batch/"), self.stored("/pods/"));
        for (uid, seen) in &self.seen.jobs {
            let is_there = jobs.iter().any(|job| text(job, "uid") == uid);
            if seen.is_acknowledged && !seen.may_go && !is_there {
                return Err(format!("{} is lost", seen.name));
            }
        }
        for pod in &pods {
            self.check_pod(pod)?;
        }
        for job in &jobs {
            self.check_job(job, &pods)?;
        }
        self.check_crons(&jobs)?;
        self.check_quota(&pods)?;
        self.check_runs()
    }

    /// No more pods than the quota allows, those apart that go.
    fn check_quota(&self, pods: &[Value]) -> Result<(), String> {
        let live = pods.iter().filter(|pod| !is_terminal(pod) && !is_going(pod)).count();
        for quota in self.stored("/resourcequotas/") {
            let most: usize = amount(&quota["spec"]["hard"]["pods"]);
            if live > most {
                return Err(format!("{live} pods at once, and the quota allows {most}"));
            }
        }
        Ok(())
    }

    fn check_pod(&mut self, pod: &Value) -> Result<(), String> {
        let (uid, phase) = (text(pod, "uid"), pod["status"]["phase"].as_str().unwrap_or_default());
        let job = owner(pod).unwrap_or_default();
        if let Some(seen) = self.seen.pods.get_mut(uid) {
            if ["Succeeded", "Failed"].contains(&seen.phase.as_str()) && seen.phase != phase {
                return Err(format!("pod {} was {} and is {phase}", text(pod, "name"), seen.phase));
            }
            phase.clone_into(&mut seen.phase);
            return Ok(());
        }
        self.seen.pods.insert(uid.to_owned(), Pod { job: job.to_owned(), phase: phase.to_owned() });
        let Some(seen) = self.seen.jobs.get(job) else { return Ok(()) };
        if seen.is_ending {
            return Err(format!("{} has a new pod after its end was decided", seen.name));
        }
        match index(pod) {
            Some(index) if seen.completed.contains(&index) => {
                Err(format!("{}: index {index} was completed and runs again", seen.name))
            }
            _ => Ok(()),
        }
    }

    fn check_job(&mut self, job: &Value, pods: &[Value]) -> Result<(), String> {
        let (uid, name, status) = (text(job, "uid"), text(job, "name"), &job["status"]);
        let seen = self.seen.jobs.entry(uid.to_owned()).or_default();
        name.clone_into(&mut seen.name);
        seen.may_go |=
            !job["spec"]["ttlSecondsAfterFinished"].is_null() || !text(job, "deletionTimestamp").is_empty();
        let ends: Vec<_> = ["Complete", "Failed"].into_iter().filter_map(|end| said(status, end)).collect();
        if ends.len() > 1 || (seen.end.is_some() && seen.end.as_ref() != ends.first()) {
            return Err(format!("{name} ended with {:?} and ends with {ends:?}", seen.end));
        }
        seen.end = ends.first().cloned();
        let coming = ["SuccessCriteriaMet", "FailureTarget"];
        let is_coming = coming.into_iter().any(|end| said(status, end).is_some());
        if seen.is_ending && !is_coming && seen.end.is_none() {
            return Err(format!("{name}: its end was decided and is taken back"));
        }
        seen.is_ending = is_coming || seen.end.is_some();
        let failed = status["failed"].as_i64().unwrap_or(0);
        if failed < seen.failed {
            return Err(format!("{name}: {} pods had failed, and now {failed}", seen.failed));
        }
        seen.failed = failed;
        let completed = indexes(status["completedIndexes"].as_str().unwrap_or_default());
        if let Some(lost) = seen.completed.difference(&completed).next() {
            return Err(format!("{name}: index {lost} was completed, and is not any more"));
        }
        if is_indexed(job) && status["succeeded"].as_u64().unwrap_or(0) != completed.len() as u64 {
            return Err(format!(
                "{name}: {} succeeded, and completed are {completed:?}",
                status["succeeded"]
            ));
        }
        let failed_indexes = indexes(status["failedIndexes"].as_str().unwrap_or_default());
        if let Some(both) = completed.intersection(&failed_indexes).next() {
            return Err(format!("{name}: index {both} has succeeded and failed"));
        }
        seen.completed = completed;
        seen.parallelism = seen.parallelism.max(job["spec"]["parallelism"].as_u64().unwrap_or(1));
        let most = seen.parallelism;
        self.check_counts(job)?;
        let own = || pods.iter().filter(|pod| owner(pod) == Some(uid) && !is_terminal(pod));
        if let Some(pod) = own().find(|_| !ends.is_empty()) {
            return Err(format!("{name} is over, and its pod {} not", text(pod, "name")));
        }
        let waits = job["spec"]["podReplacementPolicy"] == "Failed";
        if waits && own().count() as u64 > most {
            return Err(format!("{name}: more than {most} pods, those counted that are still to end"));
        }
        let live: Vec<_> = pods
            .iter()
            .filter(|pod| owner(pod) == Some(uid) && !is_terminal(pod) && !is_going(pod))
            .collect();
        if live.len() as u64 > most {
            return Err(format!("{name}: {} pods at once, and at most {most} may be", live.len()));
        }
        let mut taken = BTreeSet::new();
        match live.iter().filter_map(|pod| index(pod)).find(|index| !taken.insert(*index)) {
            Some(twice) => Err(format!("{name}: two pods work on index {twice}")),
            None => Ok(()),
        }
    }

    /// No pod is counted twice: what the counters say never exceeds the pods that came to such an end.
    fn check_counts(&self, job: &Value) -> Result<(), String> {
        let (uid, status) = (text(job, "uid"), &job["status"]);
        let of_it = || self.seen.pods.values().filter(|pod| pod.job == uid);
        let succeeded = of_it().filter(|pod| pod.phase == "Succeeded").count();
        let counted = status["succeeded"].as_u64().unwrap_or(0);
        if counted > succeeded as u64 {
            return Err(format!("{}: counts {counted} successes of {succeeded}", text(job, "name")));
        }
        let (failed, counted) =
            (of_it().filter(|pod| pod.phase != "Succeeded").count(), status["failed"].as_u64());
        if counted.unwrap_or(0) > failed as u64 {
            return Err(format!("{}: counts {counted:?} failures of {failed}", text(job, "name")));
        }
        Ok(())
    }

    /// One Job for a scheduled time, and none beside another where that is forbidden.
    fn check_crons(&self, jobs: &[Value]) -> Result<(), String> {
        for cron in self.stored("/cronjobs.batch/") {
            let own = || jobs.iter().filter(|job| owner(job) == Some(text(&cron, "uid")));
            let mut times = BTreeSet::new();
            let time = |job: &Value| {
                job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"].clone()
            };
            if let Some(twice) = own().map(time).find(|time| !times.insert(time.to_string())) {
                return Err(format!("{}: two Jobs of {twice}", text(&cron, "name")));
            }
            let open = own().filter(|job| ended(job).is_none() && !is_going(job)).count();
            if cron["spec"]["concurrencyPolicy"] != "Allow" && open > 1 {
                return Err(format!("{}: {open} Jobs at once", text(&cron, "name")));
            }
        }
        Ok(())
    }

    /// No container of a pod runs twice.
    fn check_runs(&self) -> Result<(), String> {
        let mut running = BTreeSet::new();
        for run in self.runtime.running() {
            if !running.insert((run.pod.clone(), run.container.clone())) {
                return Err(format!("{} of pod {} runs twice at once", run.container, run.pod));
            }
        }
        Ok(())
    }

    /// When the engine has nothing to do, though fate may have.
    pub(super) fn check_idle(&self) -> Result<(), String> {
        let pods = self.stored("/pods/");
        for job in
            self.stored("/jobs.batch/").iter().filter(|job| job["spec"]["suspend"] == true && !is_going(job))
        {
            let is_live =
                |pod: &&Value| owner(pod) == Some(text(job, "uid")) && !is_terminal(pod) && !is_going(pod);
            if let Some(pod) = pods.iter().find(is_live) {
                return Err(format!(
                    "{} is suspended, and its pod {} runs on",
                    text(job, "name"),
                    text(pod, "name")
                ));
            }
        }
        Ok(())
    }

    /// When nothing happens any more.
    pub(super) fn check_rest(&self) -> Result<(), String> {
        let (jobs, pods) = (self.stored("/jobs.batch/"), self.stored("/pods/"));
        if let Some(run) = self.runtime.running().first() {
            return Err(format!("{run:?} still runs"));
        }
        for pod in &pods {
            let name = text(pod, "name");
            if !is_terminal(pod) {
                return Err(format!("pod {name} is {} for ever", pod["status"]["phase"]));
            }
            let is_tracked =
                pod["metadata"]["finalizers"].as_array().is_some_and(|list| list.contains(&TRACKED.into()));
            // Of an index that may be tried again the last failure is kept until it is: it counts the tries.
            let waits = |job: &&Value| {
                owner(pod) == Some(text(job, "uid"))
                    && !job["spec"]["backoffLimitPerIndex"].is_null()
                    && ended(job).is_none()
            };
            if is_tracked && !jobs.iter().any(|job| waits(&job)) {
                return Err(format!("pod {name} has ended and keeps its finalizer"));
            }
        }
        for job in &jobs {
            self.check_job_at_rest(job, &pods)?;
        }
        for quota in self.stored("/resourcequotas/") {
            let used = &quota["status"]["used"];
            if (amount(&used["pods"]), amount(&used["count/pods"])) != (0, pods.len()) {
                return Err(format!("of {} pods none runs, and the quota counts {used}", pods.len()));
            }
        }
        Ok(())
    }

    fn check_job_at_rest(&self, job: &Value, pods: &[Value]) -> Result<(), String> {
        let (name, spec, status) = (text(job, "name"), &job["spec"], &job["status"]);
        let uncounted = &status["uncountedTerminatedPods"];
        let is_counted = |of: &str| uncounted[of].as_array().is_none_or(Vec::is_empty);
        if !is_counted("succeeded") || !is_counted("failed") {
            return Err(format!("{name}: pods are counted for ever: {uncounted}"));
        }
        for field in ["active", "ready", "terminating"] {
            if status[field].as_i64().unwrap_or(0) != 0 {
                return Err(format!("{name}: {field} is {}, and nothing runs", status[field]));
            }
        }
        let may_wait = spec["suspend"] == true || spec["parallelism"] == 0;
        let Some(end) = ended(job) else {
            return if may_wait { Ok(()) } else { Err(format!("{name} never ends: {status}")) };
        };
        let succeeded = status["succeeded"].as_u64().unwrap_or(0);
        let wanted = spec["completions"].as_u64();
        if end == "Complete"
            && spec["successPolicy"].is_null()
            && wanted.is_some_and(|wanted| succeeded < wanted)
        {
            return Err(format!("{name} is complete with {succeeded} of {wanted:?}"));
        }
        let (failed, limit) =
            (status["failed"].as_u64().unwrap_or(0), spec["backoffLimit"].as_u64().unwrap_or(6));
        let is_late = said(status, "Failed").is_some_and(|(_, reason)| reason == "BackoffLimitExceeded");
        let is_never = spec["template"]["spec"]["restartPolicy"] == "Never";
        if is_late && is_never && failed <= limit {
            return Err(format!("{name}: gave up after {failed} failures of {limit}"));
        }
        if end == "Complete" && is_never && failed > limit && spec["successPolicy"].is_null() {
            return Err(format!("{name}: complete after {failed} failures, and {limit} are allowed"));
        }
        let left = pods.iter().find(|pod| owner(pod) == Some(text(job, "uid")) && !is_terminal(pod));
        left.map_or(Ok(()), |pod| Err(format!("{name} has ended, and its pod {} not", text(pod, "name"))))
    }
}

fn amount(quantity: &Value) -> usize {
    quantity.as_str().and_then(|text| text.parse().ok()).expect("a number")
}

fn owner(object: &Value) -> Option<&str> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["controller"] == true)?["uid"].as_str()
}

fn index(pod: &Value) -> Option<u64> {
    pod["metadata"]["annotations"][INDEX].as_str()?.parse().ok()
}

fn is_indexed(job: &Value) -> bool {
    job["spec"]["completionMode"] == "Indexed"
}

fn is_terminal(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

fn is_going(object: &Value) -> bool {
    !text(object, "deletionTimestamp").is_empty()
}

/// The type and reason of a condition that is true.
fn said(status: &Value, kind: &str) -> Option<(String, String)> {
    let conditions = status["conditions"].as_array()?;
    let is_it = |c: &&Value| c["type"] == kind && c["status"] == "True";
    let found = conditions.iter().find(is_it)?;
    Some((kind.to_owned(), found["reason"].as_str().unwrap_or_default().to_owned()))
}

fn ended(job: &Value) -> Option<&'static str> {
    ["Complete", "Failed"].into_iter().find(|end| said(&job["status"], end).is_some())
}

/// The numbers of `0,2-4`.
fn indexes(text: &str) -> BTreeSet<u64> {
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        number(from)..=number(to)
    };
    text.split(',').filter(|part| !part.is_empty()).flat_map(range).collect()
}
