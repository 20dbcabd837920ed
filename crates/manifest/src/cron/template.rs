//! Between a CronJob's template and a Job.

use serde_json::{Map, Value, json};
use windlass_model::{Problem, Problems};

use crate::{Base, Edit, make, marks};

/// Annotation of a Job that a person made of a CronJob, with the value `manual` (kubectl `create job --from`).
pub const INSTANTIATE: &str = "cronjob.kubernetes.io/instantiate";

/// The CronJob that makes a Job. Its labels are the CronJob's, too, so that both are found by them.
pub(super) fn wrapped(job: &Value) -> Value {
    let (mut metadata, mut template) = (Map::new(), Map::new());
    for field in ["name", "namespace", "labels"] {
        metadata.extend(job["metadata"].get(field).map(|value| (field.to_owned(), value.clone())));
    }
    for field in ["labels", "annotations"] {
        template.extend(job["metadata"].get(field).map(|value| (field.to_owned(), value.clone())));
    }
    let mut job_template = json!({ "spec": job["spec"] });
    if !template.is_empty() {
        job_template["metadata"] = template.into();
    }
    json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": { "jobTemplate": job_template } })
}

/// Changes the job that a CronJob makes; without edits nothing of it is touched.
pub(super) fn edit(cron: &mut Value, edits: &[Edit], problems: &mut Problems) {
    let below = |problem: Problem| match problem.path.as_str() {
        "" => Problem::new("spec.jobTemplate", problem.message),
        path => Problem::new(format!("spec.jobTemplate.{path}"), problem.message),
    };
    if !cron["spec"]["jobTemplate"].is_object() {
        return problems.add("spec.jobTemplate", "is missing; it holds the job's metadata and spec");
    }
    match make(&Base::Manifest(job(cron)), edits) {
        Err(found) => problems.extend(found.into_iter().map(below)),
        Ok(_) if edits.is_empty() => {}
        Ok(manifest) => {
            let made = wrapped(manifest.job());
            cron["spec"]["jobTemplate"] = made["spec"]["jobTemplate"].clone();
        }
    }
}

/// What a CronJob's template says, as a Job without a name.
fn job(cron: &Value) -> Value {
    let template = &cron["spec"]["jobTemplate"];
    let mut metadata = template["metadata"].as_object().cloned().unwrap_or_default();
    metadata.retain(|field, _| matches!(field.as_str(), "labels" | "annotations"));
    let mut job = json!({ "apiVersion": "batch/v1", "kind": "Job", "spec": template["spec"] });
    if !metadata.is_empty() {
        job["metadata"] = metadata.into();
    }
    job
}

/// The ownership mark, on the CronJob, its jobs and their pods.
pub(super) fn sign(cron: &mut Value) {
    for place in ["/metadata", "/spec/jobTemplate/metadata", "/spec/jobTemplate/spec/template/metadata"] {
        let (parent, field) = place.rsplit_once('/').unwrap_or(("", place));
        let Some(Value::Object(parent)) = cron.pointer_mut(parent) else { continue };
        let metadata = parent.entry(field).or_insert(Value::Null);
        if metadata.is_null() {
            *metadata = json!({});
        }
        if metadata.is_object() && (metadata["labels"].is_object() || metadata["labels"].is_null()) {
            metadata["labels"][marks::MANAGED_BY] = marks::WINDLASS.into();
        }
    }
}

/// A CronJob's job as something to submit; its name begins with the CronJob's.
///
/// # Errors
/// What [`make()`] finds wrong with it.
pub fn at_hand(cron: &Value) -> Result<Base, Problems> {
    let mut job = job(cron);
    let name = cron["metadata"]["name"].as_str().unwrap_or_default();
    job["metadata"]["generateName"] = format!("{name}-").into();
    job["metadata"]["annotations"][INSTANTIATE] = "manual".into();
    make(&Base::Manifest(job.clone()), &[])?;
    Ok(Base::Manifest(job))
}

/// The same, as the CronJob's own: it counts among its jobs, and is deleted with it or when it keeps no more (as
/// kubectl does: the owner does not block, which would need a right of its own).
///
/// # Errors
/// What [`make()`] finds wrong with it.
pub fn job_of(cron: &Value) -> Result<Base, Problems> {
    let base = at_hand(cron)?;
    let Base::Manifest(mut job) = base else { return Ok(base) };
    let metadata = &cron["metadata"];
    job["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "batch/v1", "kind": "CronJob", "name": metadata["name"], "uid": metadata["uid"],
        "controller": true,
    }]);
    Ok(Base::Manifest(job))
}
