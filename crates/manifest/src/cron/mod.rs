//! CronJobs: a job that is made at every turn of a schedule. A Job, from wherever it comes, is wrapped into one; one that
//! somebody wrote is created as it is.
//!
//! Knows no clock: when a schedule is due is [`windlass_schedule`]'s to say.

mod read;
mod template;
mod why;

use serde_json::{Value, json};
use windlass_model::cron::{CONCURRENCY, check_name};
use windlass_model::{Problem, Problems};
use windlass_schedule::{Schedule, is_zone_name};

pub use read::{CronReading, CronWritten, is, read};
pub use template::{INSTANTIATE, at_hand, job_of};
pub use why::{CronEvidence, CronStatus, Due, last_job, observe_cron};

use crate::generate::whole_seconds;
use crate::{Base, Edit, make, marks};

/// What a CronJob is made from.
#[derive(Clone, Debug, PartialEq)]
pub enum CronBase {
    /// A job that it is to make.
    Job(Base),
    /// A CronJob that somebody wrote, as JSON.
    Manifest(Value),
}

/// What is said of a CronJob itself: each goes over what the base says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CronOptions {
    /// Its name.
    pub name: Option<String>,
    /// `spec.schedule`.
    pub schedule: Option<String>,
    /// `spec.timeZone`.
    pub time_zone: Option<String>,
    /// `spec.concurrencyPolicy`: one of the second words of [`CONCURRENCY`].
    pub concurrency: Option<&'static str>,
    /// `spec.startingDeadlineSeconds`, rounded up to a second.
    pub starting_deadline: Option<std::time::Duration>,
    /// `spec.successfulJobsHistoryLimit`.
    pub keep_succeeded: Option<u32>,
    /// `spec.failedJobsHistoryLimit`.
    pub keep_failed: Option<u32>,
    /// `spec.suspend`.
    pub suspend: bool,
}

/// A CronJob that can be created.
#[derive(Clone, Debug, PartialEq)]
pub struct CronManifest {
    object: Value,
}

impl CronManifest {
    /// The object.
    pub fn object(&self) -> &Value {
        &self.object
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The namespace that it names itself.
    pub fn namespace(&self) -> Option<&str> {
        self.object["metadata"]["namespace"].as_str().filter(|name| !name.is_empty())
    }

    /// Whether its jobs are processes of the host.
    pub fn is_host(&self) -> bool {
        let class = self.object.pointer("/spec/jobTemplate/spec/template/spec/runtimeClassName");
        class.and_then(Value::as_str) == Some(marks::HOST_CLASS)
    }
}

/// Makes a CronJob of a base, what is said of the CronJob, and edits of its job.
///
/// # Errors
/// Every problem with its path: those of the job as below `spec.jobTemplate`.
pub fn make_cron(base: &CronBase, options: &CronOptions, edits: &[Edit]) -> Result<CronManifest, Problems> {
    let mut problems = Problems::new();
    let mut object = match base {
        CronBase::Job(job) => match make(job, edits) {
            Ok(manifest) => template::wrapped(manifest.job()),
            Err(found) => return Err(found),
        },
        CronBase::Manifest(cron) => {
            let mut cron = cron.clone();
            template::edit(&mut cron, edits, &mut problems);
            cron
        }
    };
    if !object["spec"].is_object() || !object["metadata"].is_object() && !object["metadata"].is_null() {
        problems.add("spec", "is missing; it has a schedule and a jobTemplate");
        return Err(problems);
    }
    set(&mut object, options);
    check(&object, &mut problems);
    template::sign(&mut object);
    problems.or(CronManifest { object })
}

fn set(object: &mut Value, options: &CronOptions) {
    if let Some(name) = &options.name {
        object["metadata"]["name"] = name.as_str().into();
    }
    let spec = &mut object["spec"];
    let mut put = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            spec[field] = value;
        }
    };
    put("schedule", options.schedule.as_deref().map(Value::from));
    put("timeZone", options.time_zone.as_deref().map(Value::from));
    put("concurrencyPolicy", options.concurrency.map(Value::from));
    put("startingDeadlineSeconds", options.starting_deadline.map(|time| json!(whole_seconds(time))));
    put("successfulJobsHistoryLimit", options.keep_succeeded.map(Value::from));
    put("failedJobsHistoryLimit", options.keep_failed.map(Value::from));
    put("suspend", options.suspend.then_some(true.into()));
}

/// What Kubernetes would refuse of the CronJob itself (upstream `pkg/apis/batch/validation`, `ValidateCronJobCreate`).
fn check(object: &Value, problems: &mut Problems) {
    match object["metadata"]["name"].as_str() {
        None | Some("") => problems.add("metadata.name", "is missing; a CronJob needs one"),
        Some(name) => _ = problems.keep(check_name(name)),
    }
    let spec = &object["spec"];
    let at = |path: &str, message: String| Problem::new(path, message);
    match &spec["schedule"] {
        Value::Null => problems.add("spec.schedule", "is missing; it says when the jobs are made"),
        Value::String(text) => {
            let read = Schedule::parse(text).map_err(|refusal| at("spec.schedule", refusal.to_string()));
            problems.keep(read);
        }
        _ => problems.add("spec.schedule", "must be a text, in quotes"),
    }
    if let Some(zone) = spec["timeZone"].as_str()
        && !is_zone_name(zone)
    {
        problems.add("spec.timeZone", format!("{zone:?} is no name of a time zone, like Europe/Berlin"));
    }
    if let Some(policy) = spec["concurrencyPolicy"].as_str()
        && !CONCURRENCY.iter().any(|(_, known)| *known == policy)
    {
        problems.add("spec.concurrencyPolicy", format!("{policy:?} is none of Allow, Forbid, Replace"));
    }
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        if spec[field].as_i64().is_some_and(|count| count < 0) {
            problems.add(format!("spec.{field}"), "is less than 0");
        }
    }
    if spec["jobTemplate"]["spec"]["selector"].is_object() {
        problems.add("spec.jobTemplate.spec.selector", "is made by Kubernetes; leave it out");
    }
}
