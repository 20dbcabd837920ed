//! The ConfigMap of an array's tasks: there before the Job, owned by it from then on, gone with it.
//!
//! Every step can be done twice and by two at once: who submits the same again finds what is there, gives it the Job as
//! its owner, and makes what is missing. What a submission made for a Job that is refused it takes away, unless somebody
//! else has changed it meanwhile.

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

    /// Has the ConfigMap there for a job that is about to be created; `None` if somebody else's has its name.
    pub(crate) async fn prepare(&self, companion: &Value, job: &str, dry_run: bool) -> Result<Option<Kept>> {
        let name = name_of(companion);
        for _ in 0..limits::NAMES {
            match self.post_companion(companion, dry_run).await {
                Ok(made) => {
                    let made = (made["metadata"]["uid"].clone(), made["metadata"]["resourceVersion"].clone());
                    return Ok(Some(Kept { name, made: (!dry_run).then_some(made) }));
                }
                Err(fault) if fault.is_already_exists() => {}
                Err(fault) => return Err(self.error(job, fault)),
            }
            let there: Value = match self.ask(Call::get(self.companion_path(&name))).await {
                Ok(answer) => answer.value,
                Err(fault) if fault.is_not_found() => continue,
                Err(fault) => return Err(self.error(job, fault)),
            };
            if submission(&there) != submission(companion) {
                return Ok(None);
            }
            if there["data"] != companion["data"] || files(&there) != files(companion) {
                return Err(Error::OtherTasks { config_map: name, job: job.to_owned() });
            }
            if !self.is_left_over(&there, job).await? {
                return Ok(Some(Kept { name, made: None }));
            }
            self.remove(&name, json!({ "uid": there["metadata"]["uid"] }))
                .await
                .map_err(|fault| self.error(job, fault))?;
        }
        Err(Error::OtherTasks { config_map: name, job: job.to_owned() })
    }

    /// Whether it waits to be deleted after its job: an owner, and no job of that uid.
    async fn is_left_over(&self, there: &Value, job: &str) -> Result<bool> {
        let owner = &there["metadata"]["ownerReferences"][0]["uid"];
        if owner.is_null() {
            return Ok(!there["metadata"]["deletionTimestamp"].is_null());
        }
        match self.ask::<Value>(Call::get(self.job_path(job))).await {
            Ok(answer) => Ok(answer.value["metadata"]["uid"] != *owner),
            Err(fault) if fault.is_not_found() => Ok(true),
            Err(fault) => Err(self.error(job, fault)),
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

    /// Gives the ConfigMap its owner, and makes it if it is not there. What cannot be done comes back as a warning: the
    /// job runs all the same.
    pub(crate) async fn own(&self, companion: &Value, job: &Job) -> Option<String> {
        let name = name_of(companion);
        let owner = json!([{
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": job.metadata.name,
            "uid": job.metadata.uid,
        }]);
        let patch = json!({ "metadata": { "ownerReferences": owner } });
        let mut owned = companion.clone();
        owned["metadata"]["ownerReferences"] = owner;
        for _ in 0..limits::NAMES {
            let call =
                Call::new(Method::PATCH, self.companion_path(&name)).query("fieldManager", marks::WINDLASS);
            let fault = match self.ask::<Value>(call.merge_patch(&patch).repeatable()).await {
                Ok(_) => return None,
                Err(fault) if fault.is_not_found() => match self.post_companion(&owned, false).await {
                    Ok(_) => return None,
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            if !fault.is_already_exists() && !fault.is_conflict() {
                let cause = fault.message;
                return Some(format!(
                    "ConfigMap {name}, which holds its tasks or files, will not be deleted with it: {cause}"
                ));
            }
        }
        Some(format!(
            "ConfigMap {name}, which holds its tasks or files, is made and deleted by somebody else"
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

fn name_of(companion: &Value) -> String {
    companion["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// The files among what it holds: a helper beside them may be of another version.
fn files(object: &Value) -> Vec<(&String, &Value)> {
    let all = object["binaryData"].as_object().into_iter().flatten();
    all.filter(|(key, _)| key.starts_with("file-")).collect()
}

fn submission(object: &Value) -> Option<&str> {
    object["metadata"]["labels"].get(marks::SUBMISSION)?.as_str()
}
