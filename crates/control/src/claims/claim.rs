//! What is done about a claim: bound, given a new volume, told why it waits, or let go.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    BIND_COMPLETED, BOUND_BY, CLAIM_FINALIZER, ClaimPlan, NOBODY, PROVISIONED_BY, PROVISIONER, Use, annotate,
    changed, class, drop_finalizer, is_deleting, is_for, matching, place, text,
};
use crate::event::Event;
use crate::schedule::Node;

/// Decides for a claim, given as the whole object, among all volumes and classes. `node` is where its consumer shall be.
#[must_use]
pub fn claim(
    claim: &Value,
    volumes: &[Value],
    classes: &[Value],
    used: Use,
    node: &Node,
    now: Timestamp,
) -> ClaimPlan {
    if is_deleting(claim) {
        let mut let_go = claim.clone();
        if !used.is_in_use {
            drop_finalizer(&mut let_go, CLAIM_FINALIZER);
        }
        return ClaimPlan { claim: changed(claim, let_go), ..ClaimPlan::default() };
    }
    let named = text(&claim["spec"], "volumeName");
    if named.is_empty() {
        return choose(claim, volumes, classes, used, node, now);
    }
    let volume = volumes.iter().find(|volume| text(&volume["metadata"], "name") == named);
    let was_bound = claim["metadata"]["annotations"][BIND_COMPLETED] == "yes";
    match volume {
        Some(volume) if is_for(volume, claim) => bind(claim, volume, now),
        Some(volume) if !was_bound && !volume["spec"]["claimRef"].is_object() => {
            if matching::satisfies(claim, volume) {
                return bind(claim, volume, now);
            }
            let why = format!(
                "Cannot bind to requested volume \"{named}\": requested PV is too small, is being deleted, has other \
                 access modes or another volume mode, or is of another class"
            );
            told(true, "VolumeMismatch", why)
        }
        Some(_) if !was_bound => {
            told(true, "FailedBinding", format!("volume \"{named}\" already bound to a different claim."))
        }
        None if !was_bound => ClaimPlan::default(),
        _ => lost(claim),
    }
}

/// A claim that was bound and has its volume no more.
fn lost(claim: &Value) -> ClaimPlan {
    if claim["status"]["phase"] == "Lost" {
        return ClaimPlan::default();
    }
    let mut after = claim.clone();
    after["status"]["phase"] = "Lost".into();
    let message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!".to_owned();
    ClaimPlan { claim: Some(after), ..told(true, "ClaimLost", message) }
}

fn choose(
    claim: &Value,
    volumes: &[Value],
    classes: &[Value],
    used: Use,
    node: &Node,
    now: Timestamp,
) -> ClaimPlan {
    let name = class(claim);
    let class = classes.iter().find(|class| text(&class["metadata"], "name") == name);
    let is_delayed = delays(claim, classes);
    let waits = is_delayed && !used.has_consumer;
    // A volume that names the claim is bound at once, wherever it is; others when the scheduler would, and only those that
    // its node reaches. Who does not wait for a consumer does not ask where it will be.
    let suits = |volume: &&Value| {
        !is_delayed || is_for(volume, claim) || (!waits && place::is_within_reach(volume, node))
    };
    let candidates = volumes.iter().filter(suits);
    if let Some(volume) = matching::best(claim, candidates) {
        return bind(claim, volume, now);
    }
    match class {
        _ if waits => {
            let message = "waiting for first consumer to be created before binding".to_owned();
            told(false, "WaitForFirstConsumer", message)
        }
        // Its pod says that there is no volume for it.
        Some(class) if is_delayed && (class["provisioner"] == NOBODY || !place::is_served(class, node)) => {
            ClaimPlan::default()
        }
        Some(class) if class["provisioner"] == NOBODY => {
            told(true, "ProvisioningFailed", format!("no volume plugin matched name: {NOBODY}"))
        }
        Some(class) if class["provisioner"] == PROVISIONER => provision(claim, class, node),
        Some(class) => {
            let who = text(class, "provisioner");
            let message = format!(
                "Waiting for a volume to be created either by the external provisioner '{who}' or manually by the \
                 system administrator. If volume creation is delayed, please verify that the provisioner is running \
                 and correctly registered."
            );
            told(false, "ExternalProvisioning", message)
        }
        None if name.is_empty() => {
            let message =
                "no persistent volumes available for this claim and no storage class is set".to_owned();
            told(false, "FailedBinding", message)
        }
        None => told(true, "ProvisioningFailed", format!("storageclass.storage.k8s.io \"{name}\" not found")),
    }
}

/// Both sides of the binding.
fn bind(claim: &Value, volume: &Value, now: Timestamp) -> ClaimPlan {
    let (mut bound, mut taken) = (claim.clone(), volume.clone());
    let meta = &claim["metadata"];
    if text(&volume["spec"]["claimRef"], "uid").is_empty() {
        if !volume["spec"]["claimRef"].is_object() {
            annotate(&mut taken, BOUND_BY, "yes");
        }
        taken["spec"]["claimRef"] = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": meta["name"],
            "namespace": meta["namespace"], "uid": meta["uid"],
        });
    }
    super::volume::set_phase(&mut taken, "Bound", now);
    if text(&claim["spec"], "volumeName").is_empty() {
        bound["spec"]["volumeName"] = volume["metadata"]["name"].clone();
        annotate(&mut bound, BOUND_BY, "yes");
    }
    annotate(&mut bound, BIND_COMPLETED, "yes");
    bound["status"]["phase"] = "Bound".into();
    bound["status"]["accessModes"] = volume["spec"]["accessModes"].clone();
    bound["status"]["capacity"] = volume["spec"]["capacity"].clone();
    ClaimPlan { claim: changed(claim, bound), volume: changed(volume, taken), ..ClaimPlan::default() }
}

/// A volume of the claim's size and class, bound to it from its first moment. One with a data source is not made: it would
/// be empty, and its user believes that there is something in it.
///
/// Source: upstream `persistentvolume/pv_controller.go` (`provisionClaimOperation`).
fn provision(claim: &Value, class: &Value, node: &Node) -> ClaimPlan {
    let (meta, spec) = (&claim["metadata"], &claim["spec"]);
    if let Some(why) = unprovided(spec, class, node) {
        return told(true, "ProvisioningFailed", why);
    }
    let name = format!("pvc-{}", text(meta, "uid"));
    let volume = json!({
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"], "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": class["reclaimPolicy"], "storageClassName": class["metadata"]["name"],
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": meta["name"],
                "namespace": meta["namespace"], "uid": meta["uid"],
            },
        },
    });
    let message = format!("Successfully provisioned volume {name}");
    ClaimPlan { provision: Some(volume), ..told(false, "ProvisioningSucceeded", message) }
}

/// Why no volume can be made for a claim.
fn unprovided(spec: &Value, class: &Value, node: &Node) -> Option<String> {
    if ["dataSource", "dataSourceRef"].iter().any(|source| spec[*source].is_object()) {
        return Some(format!(
            "plugin \"{PROVISIONER}\" is not a CSI plugin. Only CSI plugin can provision a claim with a datasource"
        ));
    }
    if spec["volumeMode"] == "Block" {
        return Some(format!("{PROVISIONER} makes directories, and this claim asks for a device"));
    }
    (!place::is_served(class, node)).then(|| {
        let class = text(&class["metadata"], "name");
        format!(
            "Failed to provision volume with StorageClass \"{class}\": no node is in one of its allowedTopologies"
        )
    })
}

fn told(warning: bool, reason: &'static str, message: String) -> ClaimPlan {
    ClaimPlan { events: vec![Event { warning, reason, message }], ..ClaimPlan::default() }
}

/// Whether a claim gets a volume only when a pod that names it has found its place.
#[must_use]
pub fn waits_for_consumer(claim: &Value, classes: &[Value]) -> bool {
    !is_deleting(claim)
        && text(&claim["spec"], "volumeName").is_empty()
        && !matches!(text(&claim["status"], "phase"), "Bound" | "Lost")
        && delays(claim, classes)
}

/// Whether a claim's class has its volumes bound when there is a consumer, and not at once.
fn delays(claim: &Value, classes: &[Value]) -> bool {
    let class = classes.iter().find(|one| text(&one["metadata"], "name") == class(claim));
    class.is_some_and(|class| class["volumeBindingMode"] == "WaitForFirstConsumer")
}

/// Why a pod has to wait for a claim, in the scheduler's words; none if it is bound. `claim` is none if there is no such
/// claim.
///
/// Source: upstream `scheduler/framework/plugins/volumebinding/volume_binding.go`.
#[must_use]
pub fn unbound(name: &str, claim: Option<&Value>, classes: &[Value]) -> Option<String> {
    let Some(claim) = claim else { return Some(format!("persistentvolumeclaim \"{name}\" not found")) };
    if is_deleting(claim) {
        return Some(format!("persistentvolumeclaim \"{name}\" is being deleted"));
    }
    let volume = text(&claim["spec"], "volumeName");
    match text(&claim["status"], "phase") {
        "Bound" => None,
        "Lost" => Some(format!(
            "persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{volume}\""
        )),
        _ => Some(if delays(claim, classes) {
            "1 node(s) didn't find available persistent volumes to bind".to_owned()
        } else {
            "pod has unbound immediate PersistentVolumeClaims".to_owned()
        }),
    }
}

/// Why a pod cannot be on the node with a bound claim, in the scheduler's words; none if it can. `volume` is the one that
/// the claim names, none if it is gone.
///
/// Source: upstream `volumebinding/binder.go` (`checkBoundClaims`).
#[must_use]
pub fn astray(volume: Option<&Value>, node: &Node) -> Option<&'static str> {
    match volume {
        None => Some("1 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"),
        Some(volume) if !place::is_within_reach(volume, node) => {
            Some("1 node(s) didn't match PersistentVolume's node affinity")
        }
        Some(_) => None,
    }
}
