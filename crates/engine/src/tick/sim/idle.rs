//! What holds whenever the engine has nothing to do, though fate may have; and what holds when nothing happens any more.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::Value;

use super::check::is_expired;
use super::meddling::TAINT;
use super::read::*;
use super::{Sim, jobs};

impl Sim {
    /// When the engine has nothing to do.
    pub(super) fn check_idle(&self) -> Result<(), String> {
        for job in self.mirror.all("/jobs.batch/").filter(|job| !is_going(job) && !is_managed(job)) {
            self.check_job_idle(job)?;
        }
        for cron in self.mirror.all("/cronjobs.batch/").filter(|cron| !is_going(cron)) {
            self.check_cron_idle(cron)?;
        }
        let tainted = self.mirror.all("/nodes/").any(|node| node["spec"]["taints"].is_array());
        for pod in self.mirror.all("/pods/").filter(|pod| is_live(pod)) {
            let is_here = pod["spec"]["nodeName"].is_string();
            let tolerates = |one: &Value| one["key"] == TAINT;
            let stays = pod["spec"]["tolerations"].as_array().is_some_and(|list| list.iter().any(tolerates));
            if tainted && is_here && !stays {
                return Err(format!("pod {} runs on a node that it does not tolerate", called(pod)));
            }
        }
        self.check_runs_idle()
    }

    /// What runs belongs to a pod that is not over, or has its time to end.
    fn check_runs_idle(&self) -> Result<(), String> {
        let grace = SignedDuration::from_secs(jobs::GRACE_S);
        if self.tick.timers.next().is_some_and(|next| next.duration_since(self.now()) <= grace) {
            return Ok(());
        }
        let open: BTreeSet<&str> =
            self.mirror.all("/pods/").filter(|pod| !is_terminal(pod)).map(|pod| text(pod, "uid")).collect();
        match self.runtime.running().into_iter().find(|run| !open.contains(run.pod.as_str())) {
            Some(run) => {
                let signals = self.runtime.signals(&run);
                Err(format!("{run:?} runs, was sent {signals:?}, and its pod is over or gone"))
            }
            None => Ok(()),
        }
    }

    fn pods_of<'a>(&'a self, uid: &str) -> impl Iterator<Item = &'a Arc<Value>> {
        self.mirror.owned_by(uid, "/pods/")
    }

    fn check_job_idle(&self, job: &Value) -> Result<(), String> {
        let (name, uid, spec, status) = (called(job), text(job, "uid"), &job["spec"], &job["status"]);
        let own = || self.pods_of(uid).filter(|pod| !is_terminal(pod));
        let live: Vec<_> = own().filter(|pod| is_live(pod)).collect();
        if let Some(pod) = own().next().filter(|_| ended(job).is_some()) {
            return Err(format!("{name} is over, and its pod {} not", called(pod)));
        }
        if let Some(pod) = live.first().filter(|_| spec["suspend"] == true) {
            return Err(format!("{name} is suspended, and its pod {} runs on", called(pod)));
        }
        if let Some(pod) = live.first().filter(|_| is_ending(job)) {
            return Err(format!("the end of {name} is decided, and its pod {} runs on", called(pod)));
        }
        let is_ready = |pod: &&&Arc<Value>| said(&pod["status"], "Ready").is_some();
        let there = [
            ("active", live.len()),
            ("ready", live.iter().filter(is_ready).count()),
            ("terminating", own().count() - live.len()),
        ];
        for (field, there) in there {
            if int(&status[field]).unsigned_abs() != there as u64 && ended(job).is_none() {
                return Err(format!("{name}: {field} is {}, and there are {there}", status[field]));
            }
        }
        let most = spec["parallelism"].as_u64().unwrap_or(1);
        // A work queue that has had a success lets finish what runs.
        let is_left = spec["completions"].is_null() && int(&status["succeeded"]) > 0;
        if live.len() as u64 > most && !is_left {
            return Err(format!("{name}: {} pods at once, and at most {most} may be", live.len()));
        }
        let mut taken = BTreeSet::new();
        for pod in live.iter().filter(|_| is_indexed(job)) {
            let Some(index) = index(pod) else { return Err(format!("pod {} has no index", called(pod))) };
            if index >= int(&spec["completions"]).unsigned_abs() || !taken.insert(index) {
                return Err(format!("{name}: pod {} works on index {index} for nothing", called(pod)));
            }
        }
        Ok(())
    }

    /// A CronJob has no more Jobs than it is to have, and lists none that is over.
    fn check_cron_idle(&self, cron: &Value) -> Result<(), String> {
        let (name, uid, spec) = (called(cron), text(cron, "uid"), &cron["spec"]);
        let own = || self.mirror.owned_by(uid, "/jobs.batch/").filter(|job| !is_going(job));
        let open = own().filter(|job| ended(job).is_none()).count();
        if spec["concurrencyPolicy"] != "Allow" && !self.seen.overlapping.contains(uid) && open > 1 {
            return Err(format!("{name}: {open} Jobs at once"));
        }
        let limits = [("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)];
        for (end, limit, usual) in limits {
            let kept = own().filter(|job| ended(job) == Some(end)).count();
            let most = spec[limit].as_u64().unwrap_or(usual);
            if kept as u64 > most {
                return Err(format!(
                    "{name}: keeps {kept} Jobs that are {end}, and at most {most} are wanted"
                ));
            }
        }
        for listed in cron["status"]["active"].as_array().into_iter().flatten() {
            let job = self.mirror.of_uid(listed["uid"].as_str().unwrap_or_default());
            if job.is_none_or(|(_, job)| ended(job).is_some()) {
                return Err(format!("{name}: lists {} as active", listed["name"]));
            }
        }
        Ok(())
    }

    /// When nothing happens any more.
    pub(super) fn check_rest(&self) -> Result<(), String> {
        if let Some(run) = self.runtime.running().first() {
            return Err(format!("{run:?} still runs"));
        }
        self.check_belongings()?;
        for pod in self.mirror.all("/pods/") {
            self.check_pod_at_rest(pod)?;
        }
        for job in self.mirror.all("/jobs.batch/").filter(|job| !is_managed(job)) {
            self.check_job_at_rest(job)?;
        }
        for quota in self.mirror.all("/resourcequotas/") {
            let used = &quota["status"]["used"];
            let pods = self.mirror.all(&format!("/pods/{}/", text(quota, "namespace"))).count();
            if (amount(&used["pods"]), amount(&used["count/pods"])) != (0, pods) {
                return Err(format!("of {pods} pods none runs, and the quota counts {used}"));
            }
        }
        Ok(())
    }

    /// Nothing is in a namespace that is not there, nothing belongs to what is not there, nothing is still going.
    fn check_belongings(&self) -> Result<(), String> {
        for (key, object) in self.mirror.objects() {
            if is_going(object) && !self.waits_for_its_index(object) {
                return Err(format!("{key} is being deleted for ever"));
            }
            if let Some(owner) = owner(object).filter(|owner| self.mirror.of_uid(owner).is_none()) {
                return Err(format!("{key} belongs to {owner}, which is gone"));
            }
            if is_expired(object, self.now()) && key.starts_with("/jobs.batch/") {
                return Err(format!("{key} has outlived its time"));
            }
        }
        let mut left = None;
        self.registry.store.scan("/", &mut |key, _, _, _| {
            let namespace = place(key).0;
            if namespace.is_some_and(|name| !self.mirror.is_open(name)) {
                left = Some(key.clone());
            }
        });
        left.map_or(Ok(()), |key| Err(format!("{key} is left of a namespace that is gone")))
    }

    fn check_pod_at_rest(&self, pod: &Value) -> Result<(), String> {
        if !is_terminal(pod) {
            return Err(format!("pod {} is {} for ever", called(pod), pod["status"]["phase"]));
        }
        if is_tracked(pod) && !self.waits_for_its_index(pod) {
            return Err(format!("pod {} has ended and keeps its finalizer", called(pod)));
        }
        Ok(())
    }

    /// Of an index that may be tried again the last failure is kept until it is, deleted or not: it counts the tries.
    fn waits_for_its_index(&self, pod: &Value) -> bool {
        let job = owner(pod).filter(|_| is_tracked(pod)).and_then(|uid| self.mirror.of_uid(uid));
        job.is_some_and(|(_, job)| !job["spec"]["backoffLimitPerIndex"].is_null() && ended(job).is_none())
    }

    fn check_job_at_rest(&self, job: &Value) -> Result<(), String> {
        let (name, spec, status) = (called(job), &job["spec"], &job["status"]);
        if !uncounted(job, "succeeded").is_empty() || !uncounted(job, "failed").is_empty() {
            return Err(format!("{name}: pods are counted for ever: {}", status["uncountedTerminatedPods"]));
        }
        let may_wait = spec["suspend"] == true || spec["parallelism"] == 0;
        let Some(end) = ended(job) else {
            return if may_wait { Ok(()) } else { Err(format!("{name} never ends: {status}")) };
        };
        if self.seen.jobs.get(text(job, "uid")).is_some_and(|seen| seen.is_meddled_with) {
            return Ok(());
        }
        let (succeeded, failed) = (int(&status["succeeded"]), int(&status["failed"]));
        let is_early = spec["completions"].as_i64().is_some_and(|wanted| succeeded < wanted);
        let has_policy = !spec["successPolicy"].is_null();
        if end == "Complete" && !has_policy && is_early {
            return Err(format!("{name} is complete with {succeeded} of {}", spec["completions"]));
        }
        let limit = spec["backoffLimit"].as_i64().unwrap_or(6);
        let is_late = said(status, "Failed").is_some_and(|(_, reason)| reason == "BackoffLimitExceeded");
        let is_never = spec["template"]["spec"]["restartPolicy"] == "Never";
        if is_late && is_never && failed <= limit {
            return Err(format!("{name}: gave up after {failed} failures of {limit}"));
        }
        if end == "Complete" && is_never && failed > limit && !has_policy {
            return Err(format!("{name}: complete after {failed} failures, and {limit} are allowed"));
        }
        Ok(())
    }
}
