//! Scheduling onto the one node: which pods may run, and in plain words why the others wait.
//!
//! It knows what the node can run, not what runs on it. Room (CPU, memory, slots) is a later matter: it will be a field
//! of [`Node`] and one more row in `obstacles`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use crate::job::Event;

mod affinity;
mod host;

/// The runtime class whose pods are processes of the host.
pub const HOST_CLASS: &str = "windlass-host";

/// The node, as far as scheduling asks. Made with `..Node::default()`, so that it can grow.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it takes no new pods (`kubectl cordon`).
    pub unschedulable: bool,
    /// What becomes of pods that are meant as containers.
    pub images: Images,
}

/// What becomes of pods that are meant as containers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Images {
    /// They wait: nothing here runs images.
    #[default]
    Wait,
    /// Their commands run as processes of the host (`windlass up --images=host`).
    Host,
}

/// What is decided for a pod, and what to write and tell.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// Whether it runs here.
    pub decision: Decision,
    /// The pod's new condition `PodScheduled`.
    pub condition: Value,
    /// Events to record about the pod.
    pub events: Vec<Event>,
}

/// Whether a pod runs here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// It does: write this node's name into `spec.nodeName`.
    Bind {
        /// The node.
        node: String,
    },
    /// It waits.
    Wait {
        /// `Unschedulable`.
        reason: &'static str,
        /// Why, and what to do about it.
        message: String,
    },
}

/// Decides for a pod, given as the whole object. None if there is nothing to write: it is scheduled, it has ended or is
/// being deleted, or it waits for what its condition says already.
#[must_use]
pub fn plan(pod: &Value, node: &Node, now: Timestamp) -> Option<Plan> {
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if ended || !pod["metadata"]["deletionTimestamp"].is_null() {
        return None;
    }
    if !names(&pod["spec"]["schedulingGates"]).is_empty() {
        // The API has said so when the pod was made, and nobody is told again.
        return None;
    }
    let present = scheduled(pod);
    let bound = pod["spec"]["nodeName"] == node.name.as_str();
    if bound && present.is_some_and(|condition| condition["status"] == "True") {
        return None;
    }
    match decide(pod, node) {
        Decision::Bind { node: name } => Some(bind(pod, name, present, now)),
        Decision::Wait { reason, message } => wait(reason, message, present, now),
    }
}

fn decide(pod: &Value, node: &Node) -> Decision {
    let obstacles = obstacles(pod, node);
    if obstacles.is_empty() {
        return Decision::Bind { node: node.name.clone() };
    }
    Decision::Wait {
        reason: "Unschedulable",
        message: format!("0/1 nodes are available: {}.", obstacles.join("; ")),
    }
}

/// Everything that keeps the pod from this node.
fn obstacles(pod: &Value, node: &Node) -> Vec<String> {
    let spec = &pod["spec"];
    let mut obstacles = Vec::new();
    let preset = spec["nodeName"].as_str().unwrap_or_default();
    if !preset.is_empty() && preset != node.name {
        obstacles.push(format!("spec.nodeName is {preset}, and the only node is {}", node.name));
    }
    let scheduler = spec["schedulerName"].as_str().unwrap_or("default-scheduler");
    if !matches!(scheduler, "" | "default-scheduler") {
        obstacles
            .push(format!("spec.schedulerName is {scheduler}, and this engine has only default-scheduler"));
    }
    // Who names the node is not asked whether it takes new pods, as upstream.
    if node.unschedulable && preset.is_empty() && !tolerates_cordon(spec) {
        obstacles
            .push(format!("1 node(s) were unschedulable: `kubectl uncordon {}` opens it again", node.name));
    }
    obstacles.extend(affinity::mismatch(spec, node));
    obstacles.extend(host::refusals(spec, node.images));
    obstacles
}

fn tolerates_cordon(spec: &Value) -> bool {
    spec["tolerations"].as_array().into_iter().flatten().any(|toleration| {
        let field = |name: &str| toleration[name].as_str().unwrap_or_default();
        let key = match field("key") {
            "" => field("operator") == "Exists",
            key => key == "node.kubernetes.io/unschedulable" && field("value").is_empty(),
        };
        key && matches!(field("effect"), "" | "NoSchedule")
    })
}

fn bind(pod: &Value, node: String, present: Option<&Value>, now: Timestamp) -> Plan {
    let metadata = &pod["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default();
    let mut events = Vec::new();
    // Who named the node was not scheduled by anyone.
    if pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty() {
        let message = format!("Successfully assigned {}/{} to {node}", text("namespace"), text("name"));
        events.push(Event { warning: false, reason: "Scheduled", message });
    }
    events.extend(host::warning(&pod["spec"]));
    let condition = condition("True", None, present, now);
    Plan { decision: Decision::Bind { node }, condition, events }
}

fn wait(reason: &'static str, message: String, present: Option<&Value>, now: Timestamp) -> Option<Plan> {
    if present.is_some_and(|condition| {
        condition["status"] == "False"
            && condition["reason"] == reason
            && condition["message"] == message.as_str()
    }) {
        return None;
    }
    let condition = condition("False", Some((reason, &message)), present, now);
    // A gate is somebody's own doing: no event, as upstream.
    let failed = Event { warning: true, reason: "FailedScheduling", message: message.clone() };
    let events = if reason == "Unschedulable" { vec![failed] } else { Vec::new() };
    Some(Plan { decision: Decision::Wait { reason, message }, condition, events })
}

/// The pod's condition `PodScheduled`.
fn scheduled(pod: &Value) -> Option<&Value> {
    pod["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == "PodScheduled")
}

fn condition(status: &str, why: Option<(&str, &str)>, present: Option<&Value>, now: Timestamp) -> Value {
    let since = match present {
        Some(condition) if condition["status"] == status => condition["lastTransitionTime"].clone(),
        _ => json!(Timestamp::from_second(now.as_second()).unwrap_or(now)),
    };
    let mut condition =
        json!({"type": "PodScheduled", "status": status, "lastProbeTime": null, "lastTransitionTime": since});
    if let Some((reason, message)) = why {
        condition["reason"] = reason.into();
        condition["message"] = message.into();
    }
    condition
}

/// The names of the entries of a list.
fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(|entry| entry["name"].as_str()).collect()
}

#[cfg(test)]
mod tests;
