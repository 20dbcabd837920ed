//! Claims and volumes: which volume a claim gets, when one is made for it, and what becomes of it without the claim.
//! Pure: objects in, edits out. It knows no directory and no pod but whether one uses a claim.
//!
//! Source: upstream `pkg/controller/volume/persistentvolume`, `pkg/controller/volume/{pvcprotection,pvprotection}`,
//! `component-helpers/storage/volume`, `scheduler/framework/plugins/volumebinding`.

mod claim;
mod matching;
mod place;
mod volume;

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use crate::event::Event;
pub use claim::{astray, claim, unbound, waits_for_consumer};
pub use volume::volume;

/// Who makes the volumes of the class `local`.
pub const PROVISIONER: &str = "windlass.dev/local";
/// Whose classes have their volumes made by hand.
const NOBODY: &str = "kubernetes.io/no-provisioner";
/// On a claim: its binding is written whole.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// On a claim or volume: the engine chose the other.
pub const BOUND_BY: &str = "pv.kubernetes.io/bound-by-controller";
/// On a volume: who made it.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// Keeps a claim while a pod uses it.
pub const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
/// Keeps a volume while it is bound.
pub const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";

/// The class that every engine has from its first moment: a directory under the home for each claim, made when a pod
/// first uses it.
#[must_use]
pub fn default_class() -> Value {
    json!({
        "metadata": {"name": "local", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": PROVISIONER, "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer",
    })
}

/// What is done about a claim.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ClaimPlan {
    /// The claim as it shall be, if it differs.
    pub claim: Option<Value>,
    /// The volume that it gets, as it shall be.
    pub volume: Option<Value>,
    /// A volume to make for it: `metadata`, `spec` and `status` of the new object, all but its source.
    pub provision: Option<Value>,
    /// Events about the claim.
    pub events: Vec<Event>,
}

/// What is done about a volume.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct VolumePlan {
    /// The volume as it shall be, if it differs.
    pub volume: Option<Value>,
    /// It goes, and so does what it holds.
    pub remove: bool,
    /// Events about the volume.
    pub events: Vec<Event>,
}

/// How a claim is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Use {
    /// A pod asks for it that could be placed otherwise.
    pub has_consumer: bool,
    /// A pod that is placed and has not ended has it.
    pub is_in_use: bool,
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The class of a claim or volume.
fn class(object: &Value) -> &str {
    match object["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"].as_str() {
        Some(class) => class,
        None => text(&object["spec"], "storageClassName"),
    }
}

fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// Whether a volume is meant for a claim: by name, and by uid where one is said.
fn is_for(volume: &Value, claim: &Value) -> bool {
    let (reference, meta) = (&volume["spec"]["claimRef"], &claim["metadata"]);
    let uid = text(reference, "uid");
    reference.is_object()
        && text(reference, "name") == text(meta, "name")
        && text(reference, "namespace") == text(meta, "namespace")
        && (uid.is_empty() || uid == text(meta, "uid"))
}

fn annotate(object: &mut Value, name: &str, value: &str) {
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = json!({});
    }
    object["metadata"]["annotations"][name] = value.into();
}

fn drop_finalizer(object: &mut Value, finalizer: &str) {
    let Some(meta) = object["metadata"].as_object_mut() else { return };
    if let Some(Value::Array(list)) = meta.get_mut("finalizers") {
        list.retain(|one| one != finalizer);
        if list.is_empty() {
            meta.remove("finalizers");
        }
    }
}

/// Some if it says something new.
fn changed(before: &Value, after: Value) -> Option<Value> {
    (after != *before).then_some(after)
}
