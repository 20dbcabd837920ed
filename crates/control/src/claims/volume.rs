//! What is done about a volume: free, bound, released, reclaimed, or let go.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    PROVISIONED_BY, PROVISIONER, VOLUME_FINALIZER, VolumePlan, changed, drop_finalizer, is_deleting, is_for,
    text,
};
use crate::event::Event;

/// Decides for a volume, given as the whole object. `claim` is the one that its `claimRef` names, if there is one of
/// that name. `is_ours` says whether its directory is the one that the provisioner makes for a volume of this name: an
/// annotation is soon copied, and what it would have deleted is not soon brought back.
#[must_use]
pub fn volume(volume: &Value, claim: Option<&Value>, is_ours: bool, now: Timestamp) -> VolumePlan {
    let reference = &volume["spec"]["claimRef"];
    let mut after = volume.clone();
    let mut plan = VolumePlan::default();
    let owner = claim.filter(|claim| is_for(volume, claim));
    if !reference.is_object() {
        set_phase(&mut after, "Available", now);
    } else if let Some(claim) = owner {
        let is_bound = text(&claim["spec"], "volumeName") == text(&volume["metadata"], "name");
        if is_bound && !text(reference, "uid").is_empty() {
            set_phase(&mut after, "Bound", now);
        } else if text(&volume["status"], "phase") != "Bound" {
            set_phase(&mut after, "Available", now);
        }
    } else if text(reference, "uid").is_empty() {
        set_phase(&mut after, "Available", now);
    } else {
        reclaim(&mut after, &mut plan, is_ours, now);
    }
    if is_deleting(volume) && after["status"]["phase"] != "Bound" {
        drop_finalizer(&mut after, VOLUME_FINALIZER);
    }
    plan.volume = changed(volume, after);
    plan
}

/// Its claim is gone.
fn reclaim(volume: &mut Value, plan: &mut VolumePlan, is_ours: bool, now: Timestamp) {
    if volume["status"]["phase"] == "Failed" {
        return;
    }
    set_phase(volume, "Released", now);
    let policy = text(&volume["spec"], "persistentVolumeReclaimPolicy").to_owned();
    if policy == "Retain" {
        return;
    }
    if policy == "Delete" && is_ours && volume["metadata"]["annotations"][PROVISIONED_BY] == PROVISIONER {
        // One that is being deleted goes with its directory, too, unless somebody else still keeps it.
        plan.remove = !is_deleting(volume) || !has_other_finalizer(volume);
        return;
    }
    let message = match policy.as_str() {
        "Recycle" => "volumes are not recycled: delete it and make it anew".to_owned(),
        _ => format!(
            "only what {PROVISIONER} made is deleted with its claim; this directory is somebody else's"
        ),
    };
    set_phase(volume, "Failed", now);
    volume["status"]["message"] = message.as_str().into();
    plan.events.push(Event { warning: true, reason: "VolumeFailedDelete", message });
}

fn has_other_finalizer(volume: &Value) -> bool {
    let finalizers = volume["metadata"]["finalizers"].as_array().into_iter().flatten();
    finalizers.into_iter().any(|finalizer| finalizer != VOLUME_FINALIZER)
}

/// A volume's phase, and since when.
pub(super) fn set_phase(volume: &mut Value, phase: &str, now: Timestamp) {
    if volume["status"]["phase"] != phase {
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        volume["status"] = json!({"phase": phase, "lastPhaseTransitionTime": now});
    }
}
