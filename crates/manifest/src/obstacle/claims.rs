//! Claims that are not bound yet: the scheduler says that a pod waits for some, the claims' own events say why.
//!
//! Source: upstream `pkg/controller/volume/persistentvolume/pv_controller.go`; the scheduler's plugin `volumebinding`.

use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::Value;

use super::Obstacle;
use crate::facts;
use crate::words::{listed, quoted};

/// What the scheduler says of claims that are to be bound before it chooses a node, and of those that it is to bind.
const IMMEDIATE: &str = "unbound immediate PersistentVolumeClaims";
const DELAYED: &str = "didn't find available persistent volumes to bind";

/// The claims of the first pod that the scheduler finds no volumes for: why, their events say.
#[must_use]
pub fn waiting_claims(pods: &[Pod]) -> Vec<&str> {
    let waits = |pod: &&Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref());
        conditions.unwrap_or_default().iter().any(|one| {
            let message = one.message.as_deref().unwrap_or_default();
            one.type_ == "PodScheduled"
                && one.status == "False"
                && (message.contains(IMMEDIATE) || message.contains(DELAYED))
        })
    };
    pods.iter().find(waits).map(names).unwrap_or_default()
}

/// The events among what was found beside job and pods: those of claims.
pub(super) fn told(others: &[Value]) -> Vec<Event> {
    let events = others.iter().filter(|object| object["kind"] == "Event");
    events.filter_map(|event| serde_json::from_value(event.clone()).ok()).collect()
}

/// What a pod waits for that has no volume for its claims yet.
pub(super) fn of_message(message: &str, pod: &Pod, told: &[Event]) -> Option<Obstacle> {
    let is_immediate = message.contains(IMMEDIATE);
    if !is_immediate && !message.contains(DELAYED) {
        return None;
    }
    let names = names(pod);
    let kubectl = facts::kubectl(pod.metadata.namespace.as_deref());
    if let Some(obstacle) = failed(&names, told, is_immediate, &kubectl) {
        return Some(obstacle);
    }
    if !is_immediate {
        return None;
    }
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let what = if names.is_empty() { "its claims".to_owned() } else { format!("claim {}", listed(&names)) };
    let next = format!(
        "`{kubectl} describe pvc` tells why: a storage class that is not there, no volume that fits, a slow provisioner"
    );
    let mut obstacle = Obstacle::waiting(format_args!("{what} to be bound to a volume"));
    obstacle.next_step = Some(next);
    Some(obstacle)
}

fn names(pod: &Pod) -> Vec<&str> {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
    let claims = volumes.iter().filter_map(|volume| volume.persistent_volume_claim.as_ref());
    claims.map(|claim| claim.claim_name.as_str()).collect()
}

/// Why no volume can be made for one of the claims, as last told. Those that wait for their consumer say so now and then
/// between what else they say; those whose class is not there never do (`is_immediate`).
fn failed(names: &[&str], told: &[Event], is_immediate: bool, kubectl: &str) -> Option<Obstacle> {
    let is_theirs = |event: &&Event| {
        let waits = event.reason.as_deref().is_some_and(|reason| reason.starts_with("WaitFor"));
        names.contains(&event.involved_object.name.as_deref().unwrap_or_default()) && (is_immediate || !waits)
    };
    let last = told.iter().rev().find(is_theirs)?;
    if last.reason.as_deref() != Some("ProvisioningFailed") {
        return None;
    }
    let (name, message) = (last.involved_object.name.as_deref()?, last.message.as_deref()?);
    if is_immediate
        && message.ends_with("not found")
        && let Some(class) = quoted(message, "storageclass.storage.k8s.io ")
    {
        let next = format!(
            "`kubectl get storageclass` shows those that are there: delete the claim and make it anew with one of them, or \
             have {class:?} made"
        );
        let what = format!("claim {name:?}, whose storage class {class:?} is not there");
        return Some(Obstacle::blocked(what, &next));
    }
    if message.contains("can provision a claim with a datasource") {
        let next = "make the claim without dataSource, and copy the data in a job";
        return Some(Obstacle::blocked(format_args!("claim {name:?}: {message}"), next));
    }
    let mut obstacle = Obstacle::waiting(format_args!("a volume for claim {name:?}: {message}"));
    obstacle.next_step = Some(format!("`{kubectl} describe pvc {name}` tells what its provisioner said"));
    Some(obstacle)
}
