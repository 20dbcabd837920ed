//! What a cluster's autoscaler says of a pod that no node takes. The words are the Cluster Autoscaler's
//! (`processors/status/eventing_scale_up_processor.go`), those of Google's clusters (`FailedScaleUp`), and Karpenter's
//! (`pkg/controllers/provisioning/scheduling/events.go`).

use k8s_openapi::api::core::v1::{Event, Pod};

use super::{Obstacle, of_pod_events, time};
use crate::facts;
use crate::words::{between, listed, trimmed};

/// Before Karpenter's reasons, in an event whose reason is the scheduler's.
const NO_NODE_POOL: &str = "Failed to schedule pod, ";

/// An obstacle in the light of what the autoscaler said last.
pub(super) fn told(obstacle: Obstacle, pod: &Pod, events: &[Event]) -> Obstacle {
    let said = |event: &Event| facts::said(event).unwrap_or_default().to_owned();
    let is_of_scaler = |event: &&Event| match event.reason.as_deref() {
        Some("TriggeredScaleUp" | "NotTriggerScaleUp" | "FailedScaleUp" | "Nominated") => true,
        Some("FailedScheduling") => said(event).starts_with(NO_NODE_POOL),
        _ => false,
    };
    let Some(last) = of_pod_events(pod, events).filter(is_of_scaler).max_by_key(|event| time(event)) else {
        return obstacle;
    };
    let message = said(last);
    let no_node = |what: &str, why: &str| {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        Obstacle { text: format!("{}; the autoscaler {what}{why}", obstacle.text), ..obstacle.clone() }
    };
    match last.reason.as_deref() {
        Some("NotTriggerScaleUp") => no_node("adds no node", why_not(&message)),
        Some("FailedScheduling") => no_node("adds no node", trimmed(&message[NO_NODE_POOL.len()..])),
        Some("FailedScaleUp") => no_node("could not add a node", why_failed(&message)),
        Some("Nominated") => nominated(pod, &message),
        _ => adds(pod, &groups(&message)),
    }
}

/// ` to a and b`, the node groups of `pod triggered scale-up: [{a 1->2 (max: 5)} {b 0->1 (max: 3)}]`; some clouds name
/// them by address.
fn groups(message: &str) -> String {
    let list = between(message, "[", "]").unwrap_or_default();
    let names = list.split('{').filter_map(|group| {
        let name = group.split_whitespace().next()?;
        Some(name.rsplit('/').next().unwrap_or(name).to_owned())
    });
    let names: Vec<String> = names.collect();
    if names.is_empty() { String::new() } else { format!(" to {}", listed(&names)) }
}

/// `pod didn't trigger scale-up: 2 Insufficient cpu`; old ones put it in brackets, and some give no reason.
fn why_not(message: &str) -> &str {
    let (_, why) = message.split_once("scale-up").unwrap_or(("", message));
    let (brackets, why) = why.split_once(':').unwrap_or((why, ""));
    let why = trimmed(why);
    if why.is_empty() { brackets.trim().trim_matches(['(', ')']) } else { why }
}

/// `Node scale up in zones a associated with this pod failed: GCE out of resources. Pod is at risk of not being
/// scheduled.`
fn why_failed(message: &str) -> &str {
    let why = message.split_once("failed: ").map_or(message, |(_, why)| why);
    trimmed(why.split_once(". Pod is at risk").map_or(why, |(why, _)| why))
}

/// `Pod should schedule on: nodeclaim/default-x7k, node/ip-10-0-0-1`.
fn nominated(pod: &Pod, message: &str) -> Obstacle {
    let named = |kind: &str| {
        let (_, rest) = message.split_once(kind)?;
        rest.split([',', ' ']).next().map(|name| name.trim_matches(['"', '\'']).to_owned())
    };
    match (named("nodeclaim/"), named("node/")) {
        (None, Some(node)) => {
            Obstacle::waiting(format_args!("node {node:?}, which the autoscaler has chosen for it"))
        }
        (claim, _) => adds(pod, &claim.map(|claim| format!(" (nodeclaim {claim})")).unwrap_or_default()),
    }
}

fn adds(pod: &Pod, place: &str) -> Obstacle {
    let wanted = facts::requests(pod);
    let of = if wanted.is_empty() { String::new() } else { format!(" with room for {wanted}") };
    Obstacle::waiting(format_args!("a new node{of}, which the autoscaler is adding{place}"))
}
