//! What the clients of a history ask for: Jobs, CronJobs and pods made, changed and deleted.

use std::sync::Arc;

use serde_json::{Value, json};
use windlass_apiserver::error::ApiError;
use windlass_apiserver::kind::{Kind, Propagation};
use windlass_apiserver::kinds;
use windlass_apiserver::registry::{DeleteOptions, Door};
use windlass_store::Key;

use super::check::Author;
use super::read::*;
use super::transaction::ROUND;
use super::{Sim, jobs};

/// What a change makes of an object.
pub(super) trait Change: Fn(&Value) -> Result<Value, ApiError> + Send + Sync + 'static {}
impl<F: Fn(&Value) -> Result<Value, ApiError> + Send + Sync + 'static> Change for F {}

/// How a client changes a Job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum JobChange {
    Suspend,
    Parallelism(usize),
    /// Completions and parallelism together, which only Indexed Jobs may change.
    Elastic(usize),
    /// Where the pods of a suspended Job run, and what is written on them.
    Scheduling(usize),
    BackoffLimit(usize),
    Deadline(usize),
    TimeToLive(usize),
}

impl JobChange {
    fn apply(self, job: &Value) -> Value {
        let mut new = job.clone();
        let spec = &mut new["spec"];
        match self {
            JobChange::Suspend => spec["suspend"] = json!(job["spec"]["suspend"] != true),
            JobChange::Parallelism(most) => spec["parallelism"] = json!(most),
            JobChange::Elastic(most) => {
                spec["completions"] = json!(most);
                spec["parallelism"] = json!(most);
            }
            JobChange::Scheduling(round) => {
                let template = &mut spec["template"];
                template["metadata"]["annotations"][ROUND] = json!(round.to_string());
                template["spec"]["nodeSelector"] = json!({"kubernetes.io/os": "linux"});
            }
            JobChange::BackoffLimit(most) => spec["backoffLimit"] = json!(most),
            JobChange::Deadline(seconds) => spec["activeDeadlineSeconds"] = json!(seconds),
            JobChange::TimeToLive(seconds) => spec["ttlSecondsAfterFinished"] = json!(seconds),
        }
        new
    }
}

impl Sim {
    fn a_name(&mut self, what: &str) -> String {
        self.named += 1;
        format!("{what}{}", self.named)
    }

    /// Where a client works: mostly in the namespace that never goes.
    fn a_namespace(&mut self) -> String {
        let all: Vec<String> =
            self.mirror.all("/namespaces/team").map(|one| text(one, "name").to_owned()).collect();
        match self.rng.pick(&all) {
            Some(name) if self.rng.below(100) < 40 => name.clone(),
            _ => "default".to_owned(),
        }
    }

    /// Any object below a prefix.
    pub(super) fn any(&mut self, prefix: &str) -> Option<(Key, Arc<Value>)> {
        let count = self.mirror.below(prefix).count();
        if count == 0 {
            return None;
        }
        let chosen = self.rng.below(count);
        self.mirror.below(prefix).nth(chosen).map(|(key, object)| (key.clone(), object.clone()))
    }

    /// Creates an object; whether it was taken.
    pub(super) async fn create(
        &mut self,
        kind: &'static Kind,
        namespace: Option<&str>,
        object: Value,
    ) -> Option<Value> {
        self.tell(format!("a client creates {} in {namespace:?}: {}", text(&object, "name"), object["spec"]));
        match self.registry.create(kind, namespace, object, false).await {
            Ok(made) => Some(made),
            Err(cause) => {
                self.tell(format!("it is refused: {}", cause.message));
                None
            }
        }
    }

    pub(super) async fn create_job(&mut self) {
        let (name, namespace) = (self.a_name("job"), self.a_namespace());
        let job = jobs::job(&name, &mut self.rng);
        if let Some(made) = self.create(kind_of("/jobs.batch/"), Some(&namespace), job).await {
            self.seen.acknowledged(&made);
        }
    }

    pub(super) async fn create_cron(&mut self) {
        let (name, namespace) = (self.a_name("cron"), self.a_namespace());
        let cron = jobs::cron_job(&name, &mut self.rng);
        self.create(kind_of("/cronjobs.batch/"), Some(&namespace), cron).await;
    }

    pub(super) async fn create_pod(&mut self) {
        let (name, namespace) = (self.a_name("pod"), self.a_namespace());
        let template = jobs::template(&mut self.rng);
        let metadata = json!({"name": name, "annotations": template["metadata"]["annotations"]});
        let pod = json!({"metadata": metadata, "spec": template["spec"]});
        self.create(kind_of("/pods/"), Some(&namespace), pod).await;
    }

    /// Changes an object, if it is there and may be changed so.
    pub(super) async fn update(&self, key: &str, change: impl Change) -> bool {
        self.update_by(key, Door::Main, change).await
    }

    pub(super) async fn update_by(&self, key: &str, door: Door, change: impl Change) -> bool {
        let (namespace, name) = place(key);
        self.registry.update(kind_of(key), namespace, name, door, false, Arc::new(change)).await.is_ok()
    }

    pub(super) async fn change_job(&mut self) {
        let Some((key, job)) = self.any("/jobs.batch/") else { return };
        let (small, seconds) = (self.rng.below(4), self.rng.below(600));
        let change = match self.rng.below(100) {
            0..30 => JobChange::Suspend,
            30..75 if is_indexed(&job) => JobChange::Elastic(self.rng.below(6)),
            30..45 => JobChange::Suspend,
            45..75 => JobChange::Parallelism(small),
            75..90 => {
                self.named += 1;
                JobChange::Scheduling(self.named)
            }
            90..94 => JobChange::BackoffLimit(small),
            94..97 => JobChange::Deadline(1 + seconds),
            _ => JobChange::TimeToLive(seconds),
        };
        let is_taken = self.update(&key, move |old: &Value| Ok(change.apply(old))).await;
        let refused = if is_taken { "" } else { ", which is refused" };
        self.tell(format!("a client changes {key}: {change:?}{refused}"));
    }

    pub(super) async fn change_cron(&mut self) {
        let Some((key, _)) = self.any("/cronjobs.batch/") else { return };
        let field = self.rng.below(4);
        let (policy, limit) = (jobs::policy(&mut self.rng), self.rng.below(3));
        let change = move |old: &Value| {
            let mut new = old.clone();
            let spec = &mut new["spec"];
            match field {
                0 => spec["suspend"] = json!(old["spec"]["suspend"] != true),
                1 => spec["schedule"] = json!(format!("*/{} * * * *", 3 + limit)),
                2 => spec["concurrencyPolicy"] = json!(policy),
                _ => spec["successfulJobsHistoryLimit"] = json!(limit),
            }
            Ok(new)
        };
        if self.update(&key, change).await {
            self.tell(format!("a client changes {key}"));
        }
    }

    /// Deletes one of a kind, its dependents before, after or not at all.
    pub(super) async fn delete_one(&mut self, prefix: &str) {
        let Some((key, _)) = self.any(prefix) else { return };
        let all = [Propagation::Background, Propagation::Foreground, Propagation::Orphan];
        let propagation = self.rng.pick(&all).copied().filter(|_| !prefix.starts_with("/pods/"));
        self.tell(format!("a client deletes {key}: {propagation:?}"));
        self.delete(&key, &DeleteOptions { propagation, ..DeleteOptions::default() }).await;
    }

    pub(super) async fn delete(&mut self, key: &str, options: &DeleteOptions) {
        let (namespace, name) = place(key);
        if let Ok(gone) = self.registry.delete(kind_of(key), namespace, name, options).await {
            self.seen.deleted(text(gone.object(), "uid"));
        }
    }

    /// Somebody writes an object that the engine is about to write.
    pub(super) async fn disturb(&mut self, touched: &[Key]) {
        let Some(key) = self.rng.pick(touched).cloned() else { return };
        if !["/jobs.batch/", "/pods/", "/cronjobs.batch/", "/namespaces/"]
            .iter()
            .any(|kind| key.starts_with(kind))
        {
            return;
        }
        let mark = self.rng.next().to_string();
        let change = move |old: &Value| {
            let mut new = old.clone();
            new["metadata"]["annotations"]["disturbed"] = json!(mark);
            Ok(new)
        };
        if self.update(&key, change).await {
            self.tell(format!("a client writes {key} in between"));
        }
        self.observe(Author::Client);
    }
}

/// The kind whose objects have such keys.
pub(super) fn kind_of(key: &str) -> &'static Kind {
    let (version, kind) = match key.split('/').nth(1) {
        Some("jobs.batch") => ("batch/v1", "Job"),
        Some("cronjobs.batch") => ("batch/v1", "CronJob"),
        Some("pods") => ("v1", "Pod"),
        Some("namespaces") => ("v1", "Namespace"),
        Some("configmaps") => ("v1", "ConfigMap"),
        Some("nodes") => ("v1", "Node"),
        Some("resourcequotas") => ("v1", "ResourceQuota"),
        _ => panic!("no client of a history writes {key}"),
    };
    kinds::by_kind(version, kind).expect("a kind that is served")
}
