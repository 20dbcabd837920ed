//! The ConfigMap of an array's tasks: there before the Job, owned by it from then on, gone with it.
//!
//! Every step can be done twice and by two at once: who submits the same again finds what is there, gives it the Job as
//! its owner, and makes what is missing. What a submission made for a Job that is not to be it takes away, unless
//! somebody else has changed it meanwhile; nothing that is not its own is changed.

use http::Method;
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};
use windlass_manifest::marks;

use crate::transport::{Call, Fault, segment};
use crate::{Error, JobManager, Result, limits};

/// The first Kubernetes in which a task's failure need not end the others (KEP-3850, beta).
const PER_INDEX: (u32, u32) = (1, 29);

/// A ConfigMap that is there.
pub(crate) struct Kept {
    name: String,
    /// Its uid and resource version, if this call made it.
    made: Option<(Value, Value)>,
}

/// What stands under the names of a job that is about to be created.
pub(crate) enum Ground {
    /// Its ConfigMap, and no job yet.
    Ready(Kept),
    /// A job, whosever it is.
    Job(Box<Job>),
    /// A ConfigMap that is not this submission's.
    Strangers,
}

impl JobManager {
    /// A cluster must be able to count the failures of each task by itself.
    pub(crate) async fn check_arrays(&self) -> Result<()> {
        match self.version().await? {
            // A server that does not say its version answers for itself.
            (0, 0) => Ok(()),
            version if version >= PER_INDEX => Ok(()),
            (major, minor) => Err(Error::NoArrays { context: self.context.clone(), major, minor }),
        }
    }

    /// Has the ConfigMap there for a job that is about to be created, if the names are free.
    pub(crate) async fn prepare(&self, companion: &Value, job: &str, dry_run: bool) -> Result<Ground> {
        let name = name_of(companion);
        for _ in 0..limits::NAMES {
            match self.post_companion(companion, dry_run).await {
                Ok(made) => {
                    let made = version_of(&made);
                    return Ok(Ground::Ready(Kept { name, made: (!dry_run).then_some(made) }));
                }
                Err(fault) if fault.is_already_exists() => {}
                Err(fault) => return Err(self.error(job, fault)),
            }
            let there: Value = match self.ask(Call::get(self.companion_path(&name))).await {
                Ok(answer) => answer.value,
                Err(fault) if fault.is_not_found() => continue,
                Err(fault) => return Err(self.error(job, fault)),
            };
            // Whoever has the job has the name; what its ConfigMap holds is its own affair.
            match self.ask::<Job>(Call::get(self.job_path(job))).await {
                Ok(answer) => return Ok(Ground::Job(Box::new(answer.value))),
                Err(fault) if fault.is_not_found() => {}
                Err(fault) => return Err(self.error(job, fault)),
            }
            if is_left_over(&there, job) {
                if dry_run {
                    return Ok(Ground::Ready(Kept { name, made: None }));
                }
                self.remove(&name, json!({ "uid": there["metadata"]["uid"] }))
                    .await
                    .map_err(|fault| self.error(job, fault))?;
                continue;
            }
            if submission(&there) != submission(companion) {
                return Ok(Ground::Strangers);
            }
            if !is_same(&there, companion) {
                break;
            }
            return Ok(Ground::Ready(Kept { name, made: None }));
        }
        Err(Error::OtherTasks { config_map: name, job: job.to_owned() })
    }

    /// Takes away what was made for a job that could not be created. Where the cluster has not clearly refused it, it is
    /// asked first, once, whether the job is there nevertheless.
    pub(crate) async fn withdraw_unless_there(&self, kept: Kept, job: &str) {
        if kept.made.is_none() {
            return;
        }
        match self.open(&Call::get(self.job_path(job))).await {
            Err(fault) if fault.is_not_found() => self.withdraw(kept).await,
            Ok(_) | Err(_) => {}
        }
    }

    /// Takes away what was made for a job that is not to be.
    pub(crate) async fn withdraw(&self, kept: Kept) {
        let Some((uid, version)) = kept.made else { return };
        if let Err(fault) = self.remove(&kept.name, json!({ "uid": uid, "resourceVersion": version })).await {
            tracing::warn!(
                name = kept.name,
                message = fault.message,
                "the tasks of a refused job are left over"
            );
        }
    }

    /// Gives the ConfigMap its owner, and makes it if it is not there. Another one of its name stays as it is. What cannot
    /// be done comes back as a warning: the job runs all the same.
    pub(crate) async fn own(&self, companion: &Value, job: &Job, kept: Option<Kept>) -> Option<String> {
        let name = name_of(companion);
        let mut made = kept.and_then(|kept| kept.made);
        let owner = json!([{
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": job.metadata.name,
            "uid": job.metadata.uid,
        }]);
        let mut owned = companion.clone();
        owned["metadata"]["ownerReferences"] = owner.clone();
        for _ in 0..limits::NAMES {
            let (uid, version) = match made.take() {
                Some(made) => made,
                None => match self.ask::<Value>(Call::get(self.companion_path(&name))).await {
                    Ok(there) if !is_ours(&there.value, companion) => {
                        return Some(format!(
                            "ConfigMap {name}, which should hold its tasks or files, is another one, and was left as it is"
                        ));
                    }
                    Ok(there) if there.value["metadata"]["ownerReferences"][0]["uid"] == owner[0]["uid"] => {
                        return None;
                    }
                    Ok(there) => version_of(&there.value),
                    Err(fault) if fault.is_not_found() => match self.post_companion(&owned, false).await {
                        Ok(_) => return None,
                        Err(fault) if fault.is_already_exists() => continue,
                        Err(fault) => return Some(not_deleted(&name, &fault)),
                    },
                    Err(fault) => {
                        let cause = fault.message;
                        return Some(format!(
                            "whether ConfigMap {name}, which should hold its tasks or files, is there is not known: {cause}"
                        ));
                    }
                },
            };
            let patch =
                json!({ "metadata": { "uid": uid, "resourceVersion": version, "ownerReferences": owner } });
            let call =
                Call::new(Method::PATCH, self.companion_path(&name)).query("fieldManager", marks::WINDLASS);
            match self.ask::<Value>(call.merge_patch(&patch).repeatable()).await {
                Ok(_) => return None,
                // It is another one by now, or has been changed.
                Err(fault) if fault.is_not_found() || fault.is_conflict() => {}
                Err(fault) => return Some(not_deleted(&name, &fault)),
            }
        }
        Some(format!(
            "ConfigMap {name}, which holds its tasks or files, is changed by somebody else all the time"
        ))
    }

    async fn post_companion(&self, object: &Value, dry_run: bool) -> Result<Value, Fault> {
        let call = Call::new(Method::POST, self.core_path("configmaps"))
            .query("fieldManager", marks::WINDLASS)
            .query_if("dryRun", dry_run.then_some("All"))
            .json(object);
        self.ask(call.repeatable()).await.map(|answer| answer.value)
    }

    async fn remove(&self, name: &str, preconditions: Value) -> Result<(), Fault> {
        let body = json!({ "preconditions": preconditions });
        match self
            .ask::<Value>(Call::new(Method::DELETE, self.companion_path(name)).json(&body).repeatable())
            .await
        {
            Ok(_) => Ok(()),
            // It is gone, or another one now, or somebody's who needs it.
            Err(fault) if fault.is_not_found() || fault.is_conflict() => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn companion_path(&self, name: &str) -> String {
        format!("{}/{}", self.core_path("configmaps"), segment(name))
    }
}

/// Its name.
pub(crate) fn name_of(companion: &Value) -> String {
    companion["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// Its uid and resource version.
fn version_of(object: &Value) -> (Value, Value) {
    (object["metadata"]["uid"].clone(), object["metadata"]["resourceVersion"].clone())
}

fn not_deleted(name: &str, fault: &Fault) -> String {
    let cause = &fault.message;
    format!("ConfigMap {name}, which holds its tasks or files, will not be deleted with it: {cause}")
}

/// Whether it waits to be deleted after a job of ours of this name, which is no longer there.
fn is_left_over(there: &Value, job: &str) -> bool {
    let metadata = &there["metadata"];
    match metadata["ownerReferences"].as_array().filter(|owners| !owners.is_empty()) {
        None => !metadata["deletionTimestamp"].is_null(),
        Some(owners) => {
            let is_job = |owner: &Value| owner["kind"] == "Job" && owner["name"] == job;
            metadata["labels"][marks::MANAGED_BY] == marks::WINDLASS && owners.iter().all(is_job)
        }
    }
}

/// Whether it is this submission's, and holds what it should.
fn is_ours(there: &Value, companion: &Value) -> bool {
    submission(there) == submission(companion) && is_same(there, companion)
}

fn is_same(there: &Value, companion: &Value) -> bool {
    there["data"] == companion["data"] && files(there) == files(companion)
}

/// The files among what it holds: a helper beside them may be of another version.
fn files(object: &Value) -> Vec<(&String, &Value)> {
    let all = object["binaryData"].as_object().into_iter().flatten();
    all.filter(|(key, _)| key.starts_with("file-")).collect()
}

fn submission(object: &Value) -> Option<&str> {
    object["metadata"]["labels"].get(marks::SUBMISSION)?.as_str()
}
