//! A job that has ended, as something to submit again.

use serde_json::{Map, Value};

use crate::{Base, Naming, files, make, marks};
use windlass_model::{Problem, Problems, SubmissionId};

/// What the server wrote into a Job's metadata; the rest is its author's.
const SERVERS: [&str; 10] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
    "ownerReferences",
    "finalizers",
];
/// Labels by which the Job controller knows its pods (upstream `pkg/apis/batch/types.go`).
const CONTROLLERS: [&str; 4] =
    ["controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"];
/// What cancelling changes of a Job's spec.
pub(crate) const CANCELS: [&str; 3] = ["activeDeadlineSeconds", "parallelism", "suspend"];
/// Names that a submission may have taken.
const ATTEMPTS: u32 = 8;

/// The Job without what its server, its controller, its submission and its cancellation made of it. A name that was
/// derived is left out, so that the next one is derived as well; a chosen one becomes the beginning of the next.
///
/// # Errors
/// What [`make()`] finds wrong with it.
pub fn again(job: &Value) -> Result<Base, Problems> {
    stripped(job, true)
}

/// As [`again`], of an array: its numbers are all its author's.
pub(crate) fn again_array(job: &Value) -> Result<Base, Problems> {
    stripped(job, false)
}

fn stripped(job: &Value, has_defaults: bool) -> Result<Base, Problems> {
    let mut job = job.clone();
    let name = job["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let id = job.pointer("/metadata/labels").and_then(|labels| labels[marks::SUBMISSION].as_str());
    let id = id.and_then(|id| SubmissionId::parse(id).ok());
    let volumes = job.pointer("/spec/template/spec/volumes").and_then(Value::as_array);
    if volumes.into_iter().flatten().any(|volume| volume["name"] == files::VOLUME) {
        let message =
            "holds files that were given to this job alone and go with it; submit it as it was submitted";
        return Err(Problem::new("spec.template.spec.volumes", message).into());
    }
    let Some(root) = job.as_object_mut() else { return Ok(Base::Manifest(job)) };
    undo_cancel(root);
    if has_defaults {
        drop_defaults(root);
    }
    root.remove("status");
    if let Some(Value::Object(metadata)) = root.get_mut("metadata") {
        metadata.retain(|field, _| !SERVERS.contains(&field.as_str()) && field != "name");
        strip(metadata, "labels");
    }
    if let Some(Value::Object(spec)) = root.get_mut("spec") {
        if spec.get("manualSelector") != Some(&Value::Bool(true)) {
            spec.remove("selector");
        }
        if let Some(metadata) = spec.get_mut("template").and_then(|t| t.get_mut("metadata"))
            && let Value::Object(metadata) = metadata
        {
            metadata.remove("creationTimestamp");
            strip(metadata, "labels");
        }
    }
    let bare = make(&Base::Manifest(job.clone()), &[])?;
    let was_derived = matches!(bare.naming(), Naming::Derived(_))
        && id.is_some_and(|id| (0..ATTEMPTS).any(|attempt| bare.name_for(&id, attempt).as_str() == name));
    if !was_derived && let Some(Value::Object(metadata)) = job.get_mut("metadata") {
        metadata.insert("generateName".to_owned(), format!("{name}-").into());
    }
    Ok(Base::Manifest(job))
}

/// Takes off what a server writes where an author wrote nothing (upstream `pkg/apis/batch/v1/defaults.go`), and would
/// write again: to an array it would mean one task at a time, each tried seven times. A Job that no server has had
/// stays as it is.
pub(crate) fn drop_defaults(job: &mut Map<String, Value>) {
    let told = |field: &str| job.get("metadata")?.get(field).filter(|value| !value.is_null());
    let has_status = job.get("status").and_then(Value::as_object).is_some_and(|status| !status.is_empty());
    if !has_status && told("uid").or(told("creationTimestamp")).is_none() {
        return;
    }
    let Some(Value::Object(spec)) = job.get_mut("spec") else { return };
    let is_absent = |spec: &Map<String, Value>, field: &str| spec.get(field).is_none_or(Value::is_null);
    // Without completions the server leaves none either: the parallelism is the author's then.
    if spec.get("parallelism") == Some(&1.into()) && !is_absent(spec, "completions") {
        spec.remove("parallelism");
    }
    if spec.get("backoffLimit") == Some(&6.into()) && is_absent(spec, "backoffLimitPerIndex") {
        spec.remove("backoffLimit");
    }
}

/// Removes the controller's labels; a mapping that had nothing else goes with them.
fn strip(metadata: &mut Map<String, Value>, field: &str) {
    let Some(Value::Object(labels)) = metadata.get_mut(field) else { return };
    labels.retain(|key, _| !CONTROLLERS.contains(&key.as_str()));
    if labels.is_empty() {
        metadata.remove(field);
    }
}

/// Gives back what cancelling took; of a job that was cancelled by an earlier version, what it is known to have set.
fn undo_cancel(job: &mut Map<String, Value>) {
    let annotations = job.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let mark = |key: &str| annotations.and_then(|all| all.get(key)).and_then(Value::as_str);
    if mark(marks::CANCEL).is_none() {
        return;
    }
    let before: Map<String, Value> =
        mark(marks::BEFORE_CANCEL).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let Some(Value::Object(spec)) = job.get_mut("spec") else { return };
    for field in CANCELS {
        match before.get(field) {
            Some(value) => _ = spec.insert(field.to_owned(), value.clone()),
            None => _ = spec.remove(field),
        }
    }
}
