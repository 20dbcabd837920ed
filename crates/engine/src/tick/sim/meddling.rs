//! What others do to the engine's objects: evictions, taints, foreign status, labels, finalizers, namespaces, quotas.

use serde_json::{Value, json};
use windlass_apiserver::registry::{DeleteOptions, Door};
use windlass_store::Key;

use super::Sim;
use super::check::MARK;
use super::clients::kind_of;
use super::read::*;

/// The key of the taint that comes and goes.
pub(super) const TAINT: &str = "example.com/broken";
/// The finalizer of somebody who wants to see objects go.
pub(super) const HOLD: &str = "example.com/hold";
/// The label by which a Job knows its pods.
pub(super) const LABEL: &str = "batch.kubernetes.io/controller-uid";

/// What another writer puts into a Job's status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum JobStatus {
    /// Numbers that are not so.
    Numbers(usize),
    Mark,
    OneMoreFailed,
    Uncounted,
    Failing,
}

impl Sim {
    /// A pod is evicted as the API's subresource does it: marked, then deleted; something may come between.
    pub(super) async fn evict(&mut self) {
        let Some((key, pod)) = self.any("/pods/").filter(|(_, pod)| !is_terminal(pod)) else { return };
        self.tell(format!("a client evicts {key}"));
        let at = crate::world::rfc3339(self.now());
        let mark =
            move |old: &Value| Ok(with_condition(old, "DisruptionTarget", "EvictionByEvictionAPI", &at));
        if !self.update_by(&key, Door::Engine, mark).await {
            return;
        }
        if self.rng.chance(20) {
            // Who evicts may die, too.
            return;
        }
        let uid = Some(text(&pod, "uid").to_owned());
        self.delete(&key, &DeleteOptions { uid, ..DeleteOptions::default() }).await;
    }

    fn node(&self) -> Key {
        format!("/nodes/{}", self.config.node).into()
    }

    /// The node gets a taint that drives pods out, or loses it.
    pub(super) async fn taint(&mut self) {
        let node = self.node();
        let change = |old: &Value| {
            let mut new = old.clone();
            if new["spec"]["taints"].is_array() {
                new["spec"].as_object_mut().expect("an object").remove("taints");
            } else {
                new["spec"]["taints"] = json!([{"key": TAINT, "effect": "NoExecute"}]);
            }
            Ok(new)
        };
        self.update(&node, change).await;
        self.tell("the node's taint comes or goes");
    }

    pub(super) async fn cordon(&mut self) {
        let node = self.node();
        let change = |old: &Value| {
            let mut new = old.clone();
            new["spec"]["unschedulable"] = json!(old["spec"]["unschedulable"] != true);
            Ok(new)
        };
        self.update(&node, change).await;
        self.tell("the node is cordoned, or is not any more");
    }

    /// Another client writes the status of a Job; of one that is another controller's, that controller.
    pub(super) async fn meddle_with_job(&mut self) {
        let Some((key, job)) = self.any("/jobs.batch/") else { return };
        if is_managed(&job) {
            return self.manage(&key).await;
        }
        let pods: Vec<String> = self
            .mirror
            .all("/pods/")
            .filter(|pod| owner(pod) == Some(text(&job, "uid")) && is_tracked(pod))
            .filter(|pod| pod["status"]["phase"] == "Failed")
            .map(|pod| text(pod, "uid").to_owned())
            .collect();
        let (pod, number) = (self.rng.pick(&pods).cloned(), self.rng.below(4));
        let what = match self.rng.below(20) {
            0..8 => JobStatus::Numbers(number),
            8..14 => JobStatus::Mark,
            14..16 => JobStatus::OneMoreFailed,
            16..19 => JobStatus::Uncounted,
            _ => JobStatus::Failing,
        };
        let at = crate::world::rfc3339(self.now());
        let change = move |old: &Value| {
            let mut new = old.clone();
            let status = &mut new["status"];
            match what {
                JobStatus::Numbers(number) => {
                    status["active"] = json!(number);
                    status["ready"] = json!(number / 2);
                    status["terminating"] = json!(3 - number);
                }
                JobStatus::Mark => return Ok(with_condition(old, MARK, "Seen", &at)),
                JobStatus::OneMoreFailed => status["failed"] = json!(int(&old["status"]["failed"]) + 1),
                JobStatus::Uncounted => {
                    let uid =
                        pod.clone().unwrap_or_else(|| "00000000-0000-0000-0000-000000000000".to_owned());
                    status["uncountedTerminatedPods"] = json!({"failed": [uid]});
                }
                JobStatus::Failing => return Ok(with_condition(old, "FailureTarget", "Foreign", &at)),
            }
            Ok(new)
        };
        let is_taken = self.update_by(&key, Door::Status, change).await;
        self.tell(format!("a client writes the status of {key}: {what:?}, taken: {is_taken}"));
    }

    /// The controller of a Job that is not the engine's ends it.
    async fn manage(&mut self, key: &Key) {
        let at = crate::world::rfc3339(self.now());
        let change = move |old: &Value| {
            let mut new = with_condition(old, "SuccessCriteriaMet", "Elsewhere", &at);
            if said(&old["status"], "SuccessCriteriaMet").is_some() {
                new = with_condition(&new, "Complete", "Elsewhere", &at);
                new["status"]["completionTime"] = json!(at);
            } else {
                new["status"]["startTime"] = json!(at);
            }
            Ok(new)
        };
        let is_taken = self.update_by(key, Door::Status, change).await;
        self.tell(format!("its own controller writes the status of {key}, taken: {is_taken}"));
    }

    /// Another client writes the status of a pod: that it has seen it, or that it has failed.
    pub(super) async fn meddle_with_pod(&mut self) {
        let Some((key, _)) = self.any("/pods/").filter(|(_, pod)| !is_terminal(pod)) else { return };
        let fails = self.rng.chance(40);
        let at = crate::world::rfc3339(self.now());
        let change = move |old: &Value| {
            let mut new = with_condition(old, MARK, "Seen", &at);
            if fails && !is_terminal(old) {
                new["status"]["phase"] = json!("Failed");
                new["status"]["reason"] = json!("Foreign");
            }
            Ok(new)
        };
        let is_taken = self.update_by(&key, Door::Status, change).await;
        self.tell(format!("a client writes the status of {key}, fails: {fails}, taken: {is_taken}"));
    }

    /// A pod's label is taken away, so that its Job lets it go; or given back, so that it is adopted.
    pub(super) async fn relabel(&mut self) {
        let Some((key, pod)) = self.any("/pods/") else { return };
        let uid = text(&pod, "uid").to_owned();
        let label = pod["metadata"]["labels"][LABEL].as_str().map(str::to_owned);
        let given = match label {
            Some(label) => {
                self.labels.insert(uid, label);
                None
            }
            None => match self.labels.get(&uid) {
                Some(label) => Some(label.clone()),
                None => return,
            },
        };
        self.tell(format!("the label of {key} is {given:?}"));
        let change = move |old: &Value| {
            let mut new = old.clone();
            let labels = new["metadata"]["labels"].as_object_mut().expect("labels");
            match &given {
                Some(label) => drop(labels.insert(LABEL.to_owned(), json!(label))),
                None => drop(labels.remove(LABEL)),
            }
            Ok(new)
        };
        self.update(&key, change).await;
    }

    /// Somebody wants to see an object go, or has seen it.
    pub(super) async fn hold(&mut self) {
        let prefix = if self.rng.chance(50) { "/jobs.batch/" } else { "/pods/" };
        let Some((key, _)) = self.any(prefix) else { return };
        let change = |old: &Value| {
            let mut new = old.clone();
            let held = &mut new["metadata"]["finalizers"];
            match held {
                Value::Array(list) if list.iter().any(|one| one == HOLD) => list.retain(|one| one != HOLD),
                Value::Array(list) => list.push(json!(HOLD)),
                _ => *held = json!([HOLD]),
            }
            Ok(new)
        };
        if self.update(&key, change).await {
            self.tell(format!("somebody holds {key}, or lets it go"));
        }
    }

    /// A namespace comes, or goes with all that is in it.
    pub(super) async fn namespace(&mut self) {
        let name = format!("team-{}", self.rng.below(2));
        let key = format!("/namespaces/{name}");
        if self.mirror.is_open(&name) {
            if self.rng.chance(40) {
                self.tell(format!("a client deletes {key}"));
                self.delete(&key, &DeleteOptions::default()).await;
            }
        } else if self.mirror.get(&key).is_none() {
            self.create(kind_of(&key), None, json!({"metadata": {"name": name}})).await;
        }
    }

    /// A quota comes, changes or goes.
    pub(super) async fn quota(&mut self) {
        let pods = self.rng.below(6).to_string();
        let Some((key, _)) = self.any("/resourcequotas/") else {
            let hard = json!({"pods": pods, "count/pods": "1000"});
            let quota = json!({"metadata": {"name": "quota"}, "spec": {"hard": hard}});
            let all: Vec<_> =
                self.mirror.all("/namespaces/").map(|one| text(one, "name").to_owned()).collect();
            let namespace = self.rng.pick(&all).cloned().unwrap_or_default();
            self.create(kind_of("/resourcequotas/"), Some(&namespace), quota).await;
            return;
        };
        if self.rng.chance(20) {
            self.tell(format!("a client deletes {key}"));
            return self.delete(&key, &DeleteOptions::default()).await;
        }
        self.tell(format!("a client allows {pods} pods by {key}"));
        let change = move |old: &Value| {
            let mut new = old.clone();
            new["spec"]["hard"]["pods"] = json!(pods);
            Ok(new)
        };
        self.update(&key, change).await;
    }
}

/// The object with one more condition that is true.
fn with_condition(object: &Value, kind: &str, reason: &str, at: &str) -> Value {
    let mut new = object.clone();
    let condition = json!({"type": kind, "status": "True", "reason": reason, "message": "",
        "lastProbeTime": at, "lastTransitionTime": at});
    crate::pods::set_condition(&mut new["status"], condition);
    new
}
