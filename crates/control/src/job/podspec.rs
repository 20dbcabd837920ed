//! The manifest of a pod to create: the Job's template as it stands, and what marks the pod as the Job's.
//!
//! It knows no container, volume or field of a spec but those that an Indexed Job adds to.

use serde_json::{Map, Value, json};

use super::{COMPLETION_INDEX, TRACKING_FINALIZER};
use crate::view::Job;

/// The variable that tells a container its completion index.
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";
/// A generated name is at most 63 characters, five of them random (upstream `names.SimpleNameGenerator`).
const MAX_NAME_PREFIX: usize = 63 - 5;

/// What an Indexed Job gives a pod besides.
pub(super) struct Place {
    /// Its completion index.
    pub index: u32,
    /// Further annotations.
    pub annotations: Vec<(&'static str, String)>,
}

/// The manifest of the Job's next pod, with its place if the Job is Indexed.
pub(super) fn pod(job: &Job, place: Option<&Place>) -> Value {
    let index = place.map(|place| place.index);
    let template = &*job.spec.template;
    let mut metadata = Map::new();
    metadata.insert("generateName".into(), generate_name(&job.metadata.name, index).into());
    metadata.insert("namespace".into(), job.metadata.namespace.clone().into());
    for field in ["labels", "annotations"] {
        let mut entries = template["metadata"][field].as_object().cloned().unwrap_or_default();
        if let Some(index) = index {
            entries.insert(COMPLETION_INDEX.into(), index.to_string().into());
        }
        if let (Some(place), "annotations") = (place, field) {
            entries.extend(
                place.annotations.iter().map(|(key, value)| ((*key).to_owned(), value.clone().into())),
            );
        }
        if !entries.is_empty() {
            metadata.insert(field.into(), entries.into());
        }
    }
    metadata.insert("finalizers".into(), finalizers(template));
    metadata.insert("ownerReferences".into(), json!([owner(job)]));
    let mut spec = template["spec"].clone();
    if let Some(index) = index {
        give_index(&mut spec, &job.metadata.name, index);
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
}

/// `JOB-` or `JOB-INDEX-`, the Job's name cut so that the whole name keeps to its bound.
fn generate_name(job: &str, index: Option<u32>) -> String {
    let tail = index.map_or_else(|| "-".to_owned(), |index| format!("-{index}-"));
    let mut room = MAX_NAME_PREFIX.saturating_sub(tail.len()).min(job.len());
    while !job.is_char_boundary(room) {
        room -= 1;
    }
    format!("{}{tail}", &job[..room])
}

fn finalizers(template: &Value) -> Value {
    let mut finalizers = template["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == TRACKING_FINALIZER) {
        finalizers.push(TRACKING_FINALIZER.into());
    }
    finalizers.into()
}

/// The owner reference by which a pod is the Job's.
#[must_use]
pub fn owner(job: &Job) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job.metadata.name,
        "uid": job.metadata.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

fn give_index(spec: &mut Value, job: &str, index: u32) {
    let Some(fields) = spec.as_object_mut() else { return };
    fields.insert("hostname".into(), format!("{job}-{index}").into());
    for list in ["initContainers", "containers"] {
        for container in fields.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            give_variable(container);
        }
    }
}

/// Adds the variable unless the user has set that name.
fn give_variable(container: &mut Value) {
    let Some(fields) = container.as_object_mut() else { return };
    let env = fields.entry("env").or_insert_with(|| json!([]));
    if env.is_null() {
        *env = json!([]);
    }
    let Some(env) = env.as_array_mut() else { return };
    if env.iter().any(|variable| variable["name"] == INDEX_VARIABLE) {
        return;
    }
    let path = format!("metadata.labels['{COMPLETION_INDEX}']");
    env.push(
        json!({"name": INDEX_VARIABLE, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}),
    );
}
