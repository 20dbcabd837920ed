//! Scheduling onto the one node: which pods may run, and in plain words why the others wait.
//!
//! [`stand`] says where a pod stands by itself, [`Room`] who fits and who is next, [`bind`] and [`short`] what to write.

use std::collections::BTreeMap;
use std::ops::Index;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::event::Event;

pub(crate) mod affinity;
mod beside;
mod devices;
mod host;
mod placed;
mod request;
mod room;
mod taints;

pub use beside::{Beside, Quarrel, clashes, has_ports, quarrel, repels};
pub use devices::{Devices, Grant};
pub use placed::{Rejection, of_another_system, rejection};
pub use request::Amounts;
pub use room::{Held, Lack, Room, Shortage};
pub use taints::{Leave, leave};

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
    /// Its taints (`spec.taints`).
    pub taints: Vec<Value>,
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

/// Where a pod stands, whatever the others ask for.
#[derive(Clone, PartialEq, Debug)]
pub enum Stand {
    /// Nothing is to be decided: it is scheduled, it has ended or is being deleted, or its gates are closed.
    Settled,
    /// This node cannot take it; what to write, if its condition does not say so already.
    Refused(Option<Plan>),
    /// It named this node itself, or was bound to it by somebody else: no scheduler asks whether it fits, the node does
    /// ([`rejection`]).
    Placed(Plan),
    /// It is placed when there is room for what it asks for.
    Open(Amounts),
}

/// A pod, however it is kept: `pod["spec"]` is its spec, null if it has none.
pub trait Fields: for<'name> Index<&'name str, Output = Value> {}

impl<T: for<'name> Index<&'name str, Output = Value>> Fields for T {}

/// Says where a pod stands.
#[must_use]
pub fn stand(pod: &impl Fields, node: &Node, now: Timestamp) -> Stand {
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    // Of gates the API has told when the pod was made, and nobody is told again.
    if ended
        || !pod["metadata"]["deletionTimestamp"].is_null()
        || !names(&pod["spec"]["schedulingGates"]).is_empty()
    {
        return Stand::Settled;
    }
    let present = scheduled(pod);
    let bound = pod["spec"]["nodeName"] == node.name.as_str();
    // A node asks itself also what somebody else has bound to it (`kubernetes/pkg/kubelet/lifecycle/predicate.go`); a
    // pod that it has let in has a start time.
    let is_let_in = !pod["status"]["startTime"].is_null();
    if bound && is_let_in && present.is_some_and(|condition| condition["status"] == "True") {
        return Stand::Settled;
    }
    if !bound && let Some(why) = unschedulable(pod, now) {
        return Stand::Refused(wait(pod, why, now));
    }
    let obstacles = obstacles(pod, node);
    if !obstacles.is_empty() {
        return Stand::Refused(refuse(pod, &obstacles.join("; "), now));
    }
    if bound { Stand::Placed(bind(pod, node, now)) } else { Stand::Open(Amounts::requested(&pod["spec"])) }
}

/// The one message of a pod that this node does not take.
fn refuse(pod: &impl Fields, why: &str, now: Timestamp) -> Option<Plan> {
    wait(pod, format!("0/1 nodes are available: {why}."), now)
}

/// A pod waits for a claim; `why` in the words of the scheduler. None if its condition says so already.
#[must_use]
pub fn unclaimed(pod: &impl Fields, why: &str, now: Timestamp) -> Option<Plan> {
    let why = format!(
        "{why}. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for \
         scheduling"
    );
    refuse(pod, &why, now)
}

/// A pod waits for another to let go of a claim that one pod at a time may use. None if its condition says so already.
///
/// Source: upstream `scheduler/framework/plugins/volumerestrictions` (`ErrReasonReadWriteOncePodConflict`).
#[must_use]
pub fn excluded(pod: &impl Fields, now: Timestamp) -> Option<Plan> {
    let why = "1 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by \
               another pod. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims \
               found for incoming pod";
    refuse(pod, why, now)
}

/// A pod waits until others give room back. None if its condition says so already.
///
/// The words are upstream's: what is short, and that nobody is ended for its sake. Where upstream would end pods of lower
/// priority (`has_victims`), it says that this engine does not: what runs here runs to its end.
/// Source: `noderesources/fit.go`, `framework/types.go` (`FitError`), `preemption/preemption.go`.
#[must_use]
pub fn short(pod: &impl Fields, lacks: &[Lack], has_victims: bool, now: Timestamp) -> Option<Plan> {
    let mut reasons: Vec<String> = lacks
        .iter()
        .map(|lack| match lack.resource.as_str() {
            "pods" => "1 Too many pods".to_owned(),
            name => format!("1 Insufficient {name}"),
        })
        .collect();
    reasons.sort();
    let never = pod["spec"]["preemptionPolicy"] == "Never";
    let preemption = match has_victims {
        _ if never => "not eligible due to preemptionPolicy=Never",
        _ if lacks.iter().any(|lack| lack.is_hopeless) => {
            "0/1 nodes are available: 1 Preemption is not helpful for scheduling"
        }
        true => "pods of lower priority hold what it asks for, and this engine ends none for another's sake",
        false => "0/1 nodes are available: 1 No preemption victims found for incoming pod",
    };
    let why = format!("{}. no new claims to deallocate, preemption: {preemption}", reasons.join(", "));
    refuse(pod, &why, now)
}

/// A pod waits for others to come or go. None if its condition says so already.
#[must_use]
pub fn apart(pod: &impl Fields, quarrel: Quarrel, now: Timestamp) -> Option<Plan> {
    let preemption = match pod["spec"]["preemptionPolicy"] == "Never" {
        true => "not eligible due to preemptionPolicy=Never",
        false if quarrel.is_hopeless() => {
            "0/1 nodes are available: 1 Preemption is not helpful for scheduling"
        }
        false => "0/1 nodes are available: 1 No preemption victims found for incoming pod",
    };
    let why = format!("1 {}. no new claims to deallocate, preemption: {preemption}", quarrel.words());
    refuse(pod, &why, now)
}

/// Everything that keeps the pod from this node.
fn obstacles(pod: &impl Fields, node: &Node) -> Vec<String> {
    let spec = &pod["spec"];
    let mut obstacles = Vec::new();
    let preset = spec["nodeName"].as_str().unwrap_or_default();
    if !preset.is_empty() && preset != node.name {
        obstacles.push(format!("spec.nodeName is {preset}, and the only node is {}", node.name));
    }
    let scheduler = spec["schedulerName"].as_str().unwrap_or("default-scheduler");
    // Another scheduler may have bound it meanwhile.
    if preset.is_empty() && !matches!(scheduler, "" | "default-scheduler") {
        obstacles
            .push(format!("spec.schedulerName is {scheduler}, and this engine has only default-scheduler"));
    }
    // Who names the node is not asked whether it takes new pods, as upstream.
    if node.unschedulable && preset.is_empty() && !tolerates_cordon(spec) {
        obstacles
            .push(format!("1 node(s) were unschedulable: `kubectl uncordon {}` opens it again", node.name));
    }
    // Of a pod that is bound the node asks the rest itself, and does not wait for it to change.
    if preset.is_empty() {
        obstacles.extend(taints::refusal(spec, &node.taints));
        obstacles.extend(affinity::mismatch(spec, node));
        obstacles.extend(affinity::unspread(spec, node));
    }
    // What is played needs nothing of the host.
    if !windlass_fate::is_scripted(&pod["metadata"]) {
        obstacles.extend(host::refusals(spec, node.images));
    }
    obstacles
}

/// What upstream's cordon is, as a taint.
fn tolerates_cordon(spec: &Value) -> bool {
    let taint = json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"});
    spec["tolerations"].as_array().into_iter().flatten().any(|one| taints::tolerates(one, &taint))
}

/// Why a pod whose fate it is finds no node yet.
fn unschedulable(pod: &impl Fields, now: Timestamp) -> Option<String> {
    let (until, message) = unschedulable_until(pod)?;
    if until.is_some_and(|until| until <= now) {
        return None;
    }
    Some(message.unwrap_or_else(|| {
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are \
         available: 1 No preemption victims found for incoming pod."
            .to_owned()
    }))
}

/// Until when a pod finds no node because that is its fate (no time: for ever), and what is said of it.
#[must_use]
pub fn unschedulable_until(pod: &impl Fields) -> Option<(Option<Timestamp>, Option<String>)> {
    let metadata = &pod["metadata"];
    if !windlass_fate::is_scripted(metadata) {
        return None;
    }
    // Most are not: what does not have the word (or hides it) need not be read at each look.
    let text = metadata["annotations"][windlass_fate::POD].as_str()?;
    if !text.contains("unschedulable") && !text.contains('\\') {
        return None;
    }
    let created = metadata["creationTimestamp"].as_str()?.parse().ok()?;
    // What could not be read was refused when it was written.
    windlass_fate::Fate::read(metadata, &pod["spec"]).ok()?.unschedulable(created)
}

/// The pod is placed on the node.
#[must_use]
pub fn bind(pod: &impl Fields, node: &Node, now: Timestamp) -> Plan {
    let metadata = &pod["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default();
    let name = node.name.clone();
    let mut events = Vec::new();
    // Who named the node was not scheduled by anyone.
    if pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty() {
        let message = format!("Successfully assigned {}/{} to {name}", text("namespace"), text("name"));
        events.push(Event { warning: false, reason: "Scheduled", message });
    }
    match windlass_fate::is_scripted(metadata) {
        true => events.push(Event {
            warning: false,
            reason: "FateScripted",
            message: format!(
                "Nothing of this pod is run: its annotations {}* say what becomes of it",
                windlass_fate::PREFIX
            ),
        }),
        false => events.extend(host::warning(&pod["spec"])),
    }
    let condition = condition(pod, "True", None, now);
    Plan { decision: Decision::Bind { node: name }, condition, events }
}

fn wait(pod: &impl Fields, message: String, now: Timestamp) -> Option<Plan> {
    let reason = "Unschedulable";
    if scheduled(pod).is_some_and(|condition| {
        condition["status"] == "False"
            && condition["reason"] == reason
            && condition["message"] == message.as_str()
    }) {
        return None;
    }
    let condition = condition(pod, "False", Some((reason, &message)), now);
    let failed = Event { warning: true, reason: "FailedScheduling", message: message.clone() };
    Some(Plan { decision: Decision::Wait { reason, message }, condition, events: vec![failed] })
}

/// The pod's condition `PodScheduled`.
fn scheduled(pod: &impl Fields) -> Option<&Value> {
    pod["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == "PodScheduled")
}

/// Its new one. Scheduler and kubelet tell the generation that they have seen, with every condition of a pod
/// (`CalculatePodConditionObservedGeneration`).
fn condition(pod: &impl Fields, status: &str, why: Option<(&str, &str)>, now: Timestamp) -> Value {
    let since = match scheduled(pod) {
        Some(condition) if condition["status"] == status => condition["lastTransitionTime"].clone(),
        _ => json!(Timestamp::from_second(now.as_second()).unwrap_or(now)),
    };
    let mut condition =
        json!({"type": "PodScheduled", "status": status, "lastProbeTime": null, "lastTransitionTime": since});
    if let Some((reason, message)) = why {
        condition["reason"] = reason.into();
        condition["message"] = message.into();
    }
    let generation = &pod["metadata"]["generation"];
    if !generation.is_null() {
        condition["observedGeneration"] = generation.clone();
    }
    condition
}

/// The names of the entries of a list.
fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(|entry| entry["name"].as_str()).collect()
}

#[cfg(test)]
mod tests;
