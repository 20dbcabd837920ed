//! CronJobs: make, list, suspend, delete, and run one at once.
//!
//! Not every cluster serves them: what a 404 or 405 means is found out by asking which kinds there are.

use http::Method;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Event;
use serde_json::{Value, json};
use windlass_manifest::cron::{CronEvidence, CronManifest, CronStatus, Due, job_of, last_job, observe_cron};
use windlass_manifest::{Edit, JobEdit, JobStatus, Manifest, Right, Seen, make, marks};

use crate::transport::{Answer, Call, Fault, segment};
use crate::{Error, JobManager, Result, limits};

/// A CronJob as the server has it, and what it warned of.
#[derive(Clone, Debug)]
pub struct CronCreated {
    /// The object.
    pub cron: Value,
    /// What the server warned of.
    pub warnings: Vec<String>,
}

impl JobManager {
    /// Creates a CronJob, in its own namespace if it names one, else in the manager's.
    ///
    /// # Errors
    /// `NoCronJobs`, `CronExists`, `CronRefused`, `NoHostClass`, and what every call may answer.
    pub async fn create_cron(
        &self,
        cron: &CronManifest,
        submitter: Option<&str>,
        dry_run: bool,
    ) -> Result<CronCreated> {
        let there = match cron.namespace() {
            Some(namespace) if namespace != self.namespace => self.in_namespace(namespace),
            _ => self.clone(),
        };
        if cron.is_host() {
            there.check_host_class().await?;
        }
        let mut object = cron.object().clone();
        if let Some(who) = submitter {
            mark(&mut object, who);
        }
        let call = Call::new(Method::POST, there.crons_path())
            .query("fieldManager", marks::WINDLASS)
            .query("fieldValidation", "Strict")
            .query_if("dryRun", dry_run.then_some("All"))
            .json(&object);
        match there.ask(call).await {
            Ok(Answer { value: cron, warnings }) => Ok(CronCreated { cron, warnings }),
            Err(fault) => Err(there.cron_error(cron.name(), fault).await),
        }
    }

    /// Every CronJob with these labels (all, without any), in the server's order.
    ///
    /// # Errors
    /// `NoCronJobs`, and what every call may answer.
    pub async fn crons(&self, labels: Option<&str>, all_namespaces: bool) -> Result<Vec<Value>> {
        let path = match all_namespaces {
            true => "/apis/batch/v1/cronjobs".to_owned(),
            false => self.crons_path(),
        };
        let selector = labels.map(|labels| ("labelSelector", labels));
        match self.all_of(&path, selector, |_| true).await {
            // A server may show an empty list of a kind that it does not have.
            Ok(list) if list.items.is_empty() && !self.serves_crons().await => {
                Err(Error::NoCronJobs { context: self.context.clone() })
            }
            Ok(list) => Ok(list.items.into_iter().map(whole).collect()),
            Err(fault) => Err(self.cron_error("", fault).await),
        }
    }

    /// One CronJob. `cronjob/NAME` and `cj/NAME` are its name, too.
    ///
    /// # Errors
    /// `NoCronJob`, `NoCronJobs`, and what every call may answer.
    pub async fn cron(&self, name: &str) -> Result<Value> {
        match self.ask(Call::get(self.cron_path(name))).await {
            Ok(Answer { value, .. }) => Ok(whole(value)),
            Err(fault) => Err(self.cron_error(name, fault).await),
        }
    }

    /// Has it make no more jobs, or makes it go on. What runs is left alone.
    ///
    /// # Errors
    /// `NoCronJob`, `NoCronJobs`, and what every call may answer.
    pub async fn suspend_cron(&self, name: &str, suspend: bool) -> Result<()> {
        let call = Call::new(Method::PATCH, self.cron_path(name))
            .query("fieldManager", marks::WINDLASS)
            .merge_patch(&json!({ "spec": { "suspend": suspend } }))
            .repeatable();
        match self.ask::<Value>(call).await {
            Ok(_) => Ok(()),
            Err(fault) => Err(self.cron_error(name, fault).await),
        }
    }

    /// Deletes it; the cluster deletes its jobs and their pods in the background.
    ///
    /// # Errors
    /// `NoCronJob`, `NoCronJobs`, and what every call may answer.
    pub async fn delete_cron(&self, name: &str) -> Result<()> {
        let cron = self.cron(name).await?;
        let body =
            json!({ "propagationPolicy": "Background", "preconditions": { "uid": cron["metadata"]["uid"] } });
        let call = Call::new(Method::DELETE, self.cron_path(name)).json(&body).repeatable();
        match self.ask::<Value>(call).await {
            Ok(_) => Ok(()),
            // The sending before this one, whose answer was lost, did it.
            Err(fault) if fault.perhaps_done && (fault.is_not_found() || fault.is_conflict()) => Ok(()),
            Err(fault) => Err(self.cron_error(name, fault).await),
        }
    }

    /// The job that a CronJob would make now, as its own: what is to be submitted to run it at once.
    ///
    /// # Errors
    /// `NoCronJob`, `NoCronJobs`, `Problems`, and what every call may answer.
    pub async fn job_of_cron(&self, name: &str, job: Option<&str>) -> Result<Manifest> {
        let base = job_of(&self.cron(name).await?)?;
        let named = job.map(|name| Edit::Job(JobEdit::Name(name.to_owned())));
        Ok(make(&base, named.as_slice())?)
    }

    /// Where a CronJob stands, by the cluster's time. `due` tells when it is due: which zones there are is the caller's to know.
    ///
    /// # Errors
    /// `NoCronJob`, `NoCronJobs`, and what every call may answer.
    pub async fn why_cron(
        &self,
        name: &str,
        now: Timestamp,
        due: impl FnOnce(&Value, Timestamp) -> Due,
    ) -> Result<CronStatus> {
        let cron = self.cron(name).await?;
        let jobs = self.jobs_of_cron(&cron).await?;
        let lacking: &[Right] = if jobs.is_none() { &[Right::Jobs] } else { &[] };
        let jobs = jobs.unwrap_or_default();
        let path = self.core_path("events");
        let name = cron["metadata"]["name"].as_str().unwrap_or_default();
        let selector = format!("involvedObject.kind=CronJob,involvedObject.name={name}");
        let events: Option<Vec<Event>> =
            self.readable(self.selected(&path, "fieldSelector", &selector).await, name)?;
        let events = events.as_deref().map_or(Seen::Forbidden, Seen::All);
        let due = due(&cron, now);
        Ok(observe_cron(&cron, &CronEvidence { events, jobs: &jobs, lacking, due: &due }, now))
    }

    /// The jobs of a CronJob that have not ended, a few of them, and the one that it made last; oldest first. `None` if they
    /// may not be read.
    async fn jobs_of_cron(&self, cron: &Value) -> Result<Option<Vec<JobStatus>>> {
        let active = cron["status"]["active"].as_array().into_iter().flatten();
        let active = active.filter_map(|job| job["name"].as_str().map(str::to_owned));
        let mut names: Vec<String> = active.take(limits::JOBS_OF_CRON).collect();
        names.extend(last_job(cron).filter(|last| !names.contains(last)));
        let mut jobs = Vec::new();
        for name in names {
            match self.get(&name).await {
                Ok(view) if is_of(&view.job, cron) => jobs.push(view.status),
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(Error::Forbidden { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        jobs.sort_by_key(|job| job.times.created);
        Ok(Some(jobs))
    }

    fn crons_path(&self) -> String {
        format!("/apis/batch/v1/namespaces/{}/cronjobs", segment(&self.namespace))
    }

    fn cron_path(&self, name: &str) -> String {
        let name =
            ["cronjob/", "cronjobs/", "cj/"].iter().find_map(|kind| name.strip_prefix(kind)).unwrap_or(name);
        format!("{}/{}", self.crons_path(), segment(name))
    }

    /// What a fault means to whoever asked for a CronJob.
    async fn cron_error(&self, name: &str, fault: Fault) -> Error {
        let (context, cron, namespace) = (self.context.clone(), name.to_owned(), self.namespace.clone());
        match fault.code {
            404 | 405 if !self.serves_crons().await => Error::NoCronJobs { context },
            404 if !fault.message.starts_with("namespaces ") => Error::NoCronJob { cron, namespace },
            409 if fault.is_already_exists() => Error::CronExists { cron },
            400 | 413 | 415 | 422 => Error::CronRefused { cron, message: fault.message },
            _ => self.error(name, fault),
        }
    }

    /// Whether CronJobs can be made. What cannot be found out counts as yes.
    async fn serves_crons(&self) -> bool {
        match self.ask::<Value>(Call::get("/apis/batch/v1")).await {
            Ok(Answer { value, .. }) => {
                let mut kinds = value["resources"].as_array().into_iter().flatten();
                let makes = |kind: &Value| {
                    kind["verbs"].as_array().is_some_and(|verbs| verbs.contains(&"create".into()))
                };
                kinds.any(|kind| kind["name"] == "cronjobs" && makes(kind))
            }
            Err(fault) => !fault.is_not_found(),
        }
    }
}

/// Whether this CronJob made the job: another may have the name that one of its jobs would have.
fn is_of(job: &Job, cron: &Value) -> bool {
    let mut owners = job.metadata.owner_references.iter().flatten();
    owners.any(|owner| owner.controller == Some(true) && cron["metadata"]["uid"] == *owner.uid)
}

/// Notes who submits. Annotations that are no mapping stay as they are: the server says what is wrong with them.
fn mark(cron: &mut Value, submitter: &str) {
    let mut place = cron;
    for key in ["metadata", "annotations"] {
        let Some(fields) = place.as_object_mut() else { return };
        place = fields.entry(key).or_insert(Value::Null);
        if place.is_null() {
            *place = json!({});
        }
    }
    if let Some(annotations) = place.as_object_mut() {
        annotations.insert(marks::SUBMITTER.to_owned(), submitter.into());
    }
}

/// Most of what a list holds says neither kind nor version.
fn whole(mut cron: Value) -> Value {
    if cron.is_object() {
        cron["apiVersion"] = "batch/v1".into();
        cron["kind"] = "CronJob".into();
    }
    cron
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submitter_is_noted_only_where_annotations_can_be() {
        let mut cron = json!({ "metadata": { "name": "c" } });
        mark(&mut cron, "me");
        assert_eq!(cron["metadata"]["annotations"][marks::SUBMITTER], "me");
        for bad in [json!({ "metadata": { "annotations": "foo" } }), json!({ "metadata": 3 }), json!([])] {
            let mut cron = bad.clone();
            mark(&mut cron, "me");
            assert_eq!(cron, bad);
        }
    }
}
