//! Pods that no node takes: the scheduler's sentence, read. Its words are upstream's (`scheduler/framework/types.go`,
//! `FitError`, and the plugins' reasons).

use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::Value;

use super::{Obstacle, claims, missing, scaling};
use crate::facts;
use crate::words::{amount, between, listed, trimmed};

/// What a pod's condition `PodScheduled` says, if it is not scheduled.
/// `told` are the events of its claims.
pub(super) fn of(pod: &Pod, events: &[Event], nodes: &[&Value], told: &[Event]) -> Option<Obstacle> {
    let conditions = facts::pod_status(pod)?.conditions.as_ref()?;
    let scheduled = conditions.iter().find(|condition| condition.type_ == "PodScheduled")?;
    if scheduled.status == "True" {
        return None;
    }
    let message = scheduled.message.as_deref().unwrap_or("the scheduler gave no reason");
    if scheduled.reason.as_deref() == Some("SchedulingGated") {
        let next = "whoever set the pod's scheduling gates must remove them";
        let gates = pod.spec.as_ref().and_then(|spec| spec.scheduling_gates.as_deref()).unwrap_or_default();
        let names: Vec<String> = gates.iter().map(|gate| gate.name.clone()).collect();
        let what = match names.as_slice() {
            [] => format!("scheduling gates: {message}"),
            [gate] => format!("the scheduling gate {gate}"),
            gates => format!("the scheduling gates {}", listed(gates)),
        };
        return Some(Obstacle::blocked(what, next));
    }
    if let Some(obstacle) =
        missing::of_message(message, pod).or_else(|| claims::of_message(message, pod, told))
    {
        return Some(obstacle);
    }
    let obstacle = match Told::read(message) {
        Some(told) => told.obstacle(pod, message, nodes),
        None => unread(message),
    };
    Some(scaling::told(obstacle, pod, events))
}

/// A sentence without counts, as other schedulers write it; some say themselves what to do.
fn unread(message: &str) -> Obstacle {
    let told = trimmed(without_tail(message));
    let told = told.split_once(" nodes are available: ").map_or(told, |(_, told)| told);
    if told.starts_with("no nodes available") {
        return Obstacle::blocked(
            "the cluster, which has no nodes",
            "add a node, or let an autoscaler add some",
        );
    }
    match told.split_once(": set ") {
        Some((what, _)) if what.starts_with("this pod needs a container") => Obstacle::blocked(
            format_args!("scheduling: {what}"),
            "leave --image out to run its command on this machine (runtimeClassName: windlass-host), have images' commands \
             run there (`windlass up --images=host`), or name a cluster (--context)",
        ),
        Some((what, next)) => Obstacle::blocked(format_args!("scheduling: {what}"), &format!("set {next}")),
        None => {
            let next = if told.contains(" has no command") {
                "give it a command: behind --, or `command` in the manifest"
            } else if told.contains("spec.schedulerName is ") {
                "leave schedulerName out of the job's pod"
            } else {
                "change what the job asks of a node (selector, tolerations, image), or the nodes"
            };
            Obstacle::blocked(format_args!("scheduling: {told}"), next)
        }
    }
}

/// What the scheduler says of nodes, counted.
#[derive(Debug, PartialEq, Eq)]
struct Told<'a> {
    nodes: u32,
    reasons: Vec<(u32, &'a str)>,
    /// On no node would it help if others left.
    is_hopeless: bool,
}

impl<'a> Told<'a> {
    fn read(message: &'a str) -> Option<Self> {
        let (nodes, rest) = message.strip_prefix("0/")?.split_once(" nodes are available: ")?;
        let count = nodes.parse().ok()?;
        let mut reasons: Vec<(u32, &str)> = Vec::new();
        let mut rest = trimmed(without_tail(rest));
        while !rest.is_empty() {
            let (number, words) = rest.split_once(' ')?;
            let number = number.parse().ok()?;
            // The next reason begins with a number; a comma may also be part of this one.
            let end = words
                .match_indices(", ")
                .find(|(at, _)| words[at + 2..].starts_with(|c: char| c.is_ascii_digit()));
            let (reason, next) = end.map_or((words, ""), |(at, _)| (&words[..at], &words[at + 2..]));
            reasons.push((number, reason));
            rest = next;
        }
        let is_hopeless = message.contains(&format!(": {nodes} Preemption is not helpful for scheduling"));
        (!reasons.is_empty()).then_some(Told { nodes: count, reasons, is_hopeless })
    }

    fn obstacle(&self, pod: &Pod, message: &str, nodes: &[&Value]) -> Obstacle {
        let short: Vec<&str> =
            self.reasons.iter().filter_map(|(_, reason)| reason.strip_prefix("Insufficient ")).collect();
        if short.len() == self.reasons.len() {
            return self.size(pod, message, &short, nodes);
        }
        let unnamed = |reason: &str| reason.contains("untolerated taint(s)");
        let may_pass = |reason: &str| {
            comes_back(reason)
                || unnamed(reason) && taints(pod, nodes).iter().any(|taint| comes_back(taint))
                || is_about_room(reason) && !self.is_hopeless
        };
        let what = self.sentence(pod, nodes);
        if self.reasons.iter().any(|(_, reason)| may_pass(reason)) {
            return Obstacle::waiting(format_args!("a node: {what}"));
        }
        let main = self
            .reasons
            .iter()
            .filter(|(_, reason)| advice(reason).is_some())
            .max_by_key(|(count, _)| *count);
        let next = main.and_then(|(_, reason)| advice(reason));
        let next =
            next.unwrap_or("change what the job asks of a node (selector, tolerations, image), or the nodes");
        Obstacle::blocked(format_args!("its choice of nodes: {what}"), next)
    }

    /// `of 5 nodes 2 are short of cpu and 3 have a taint`.
    fn sentence(&self, pod: &Pod, nodes: &[&Value]) -> String {
        let told = |with_counts: bool| {
            let words = self.reasons.iter().map(|(count, reason)| {
                let what = predicate(*count, reason, pod, nodes);
                if with_counts { format!("{count} {what}") } else { what }
            });
            listed(&words.collect::<Vec<_>>())
        };
        match (self.nodes, self.reasons.as_slice()) {
            (1, _) => format!("the only node {}", told(false)),
            (nodes, [(count, _)]) if *count == nodes => format!("all {nodes} nodes {}", told(false)),
            (nodes, _) => format!("of {nodes} nodes {}", told(true)),
        }
    }

    /// Resources are all that is short.
    fn size(&self, pod: &Pod, message: &str, short: &[&str], nodes: &[&Value]) -> Obstacle {
        let wanted = facts::requests(pod);
        let of = if wanted.is_empty() { String::new() } else { format!(" for {wanted}") };
        let known: Vec<String> = short.iter().filter_map(|name| compared(pod, name, nodes)).collect();
        let told = match known.is_empty() {
            true => trimmed(without_tail(message)).to_owned(),
            false => listed(&known),
        };
        if self.is_hopeless {
            let next = "ask for less, or for a larger node; `kubectl get nodes -o yaml` tells what each has";
            return Obstacle::blocked(
                format_args!("its size: no node has room{of}, even empty ({told})"),
                next,
            );
        }
        Obstacle::waiting(format_args!("a node with room{of} ({told})"))
    }
}

/// `it asks for cpu 4, the largest node has 2`.
fn compared(pod: &Pod, resource: &str, nodes: &[&Value]) -> Option<String> {
    let has = |node: &&Value| node["status"]["allocatable"][resource].as_str().map(str::to_owned);
    let of_all = nodes.iter().map(has).map(Option::unwrap_or_default);
    let largest =
        of_all.max_by(|one, other| amount(one).unwrap_or(0.0).total_cmp(&amount(other).unwrap_or(0.0)))?;
    let wanted = facts::request(pod, resource)?;
    if largest.is_empty() {
        return Some(format!("it asks for {resource} {wanted}, and no node has any"));
    }
    Some(format!("it asks for {resource} {wanted}, the largest node has {largest} in all"))
}

/// The part before the scheduler's thoughts on ending others.
fn without_tail(message: &str) -> &str {
    let tail = [". no new claims", ". preemption:"].iter().filter_map(|words| message.find(words)).min();
    &message[..tail.unwrap_or(message.len())]
}

/// Room comes back when other pods end.
fn is_about_room(reason: &str) -> bool {
    ["Insufficient ", "Too many pods", "free ports", "max volume count", "topology spread", "anti-affinity"]
        .iter()
        .any(|words| reason.contains(words))
}

/// Nodes come back by themselves: taints that the cluster sets on those that do not answer.
fn comes_back(reason: &str) -> bool {
    [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
        "pressure",
        "node.cloudprovider.kubernetes.io/uninitialized",
    ]
    .iter()
    .any(|words| reason.contains(words))
}

/// What holds of so many nodes.
fn predicate(count: u32, reason: &str, pod: &Pod, nodes: &[&Value]) -> String {
    let one = count == 1;
    let (is, has, does) = if one { ("is", "has", "does") } else { ("are", "have", "do") };
    if let Some(resource) = reason.strip_prefix("Insufficient ") {
        let wanted = facts::request(pod, resource).map(|wanted| format!(" (it asks for {wanted})"));
        return format!("{is} short of {resource}{}", wanted.unwrap_or_default());
    }
    if reason.contains("untolerated taint") || reason.contains("had taints") {
        let told = between(reason, "{", "}").map(|taint| format!("{{{taint}}}"));
        let taints = told.map_or_else(|| taints(pod, nodes), |taint| vec![taint]);
        return match taints.as_slice() {
            [] => format!("{has} a taint that it does not tolerate"),
            [taint] => format!("{has} the taint {taint} that it does not tolerate"),
            all => format!("{has} taints that it does not tolerate ({})", listed(all)),
        };
    }
    if reason.contains("node affinity/selector") {
        let told = reason.split_once("selector: ").map(|(_, told)| told.to_owned()).or_else(|| selector(pod));
        let what = told.map(|told| format!(" ({told})")).unwrap_or_default();
        return format!("{does} not match its node selector or affinity{what}");
    }
    if reason.contains("PersistentVolume's node affinity") || reason.contains("no available volume zone") {
        return "cannot reach its volume".to_owned();
    }
    if reason.contains("were unschedulable") {
        return format!("{is} closed for new pods (cordoned)");
    }
    if reason.contains("Too many pods") || reason.contains("too many pods") {
        return format!("{has} as many pods as {} may", if one { "it" } else { "they" });
    }
    format!("{does} not take it: {}", reason.trim_start_matches("node(s) "))
}

/// The different taints of nodes that a pod does not tolerate, a few of them. Clusters from 1.36 on do not name them.
fn taints(pod: &Pod, nodes: &[&Value]) -> Vec<String> {
    const SOME: usize = 3;
    let spec = serde_json::to_value(&pod.spec).unwrap_or_default();
    let tolerates = |taint: &Value| {
        let tolerations = spec["tolerations"].as_array().map(Vec::as_slice).unwrap_or_default();
        tolerations.iter().any(|one| {
            let is = |field: &str| one[field].is_null() || one[field] == taint[field];
            let exists = one["operator"] == "Exists";
            let same_value = exists
                || one["value"].as_str().unwrap_or_default() == taint["value"].as_str().unwrap_or_default();
            is("effect") && same_value && (one["key"] == taint["key"] || exists && one["key"].is_null())
        })
    };
    let all = nodes.iter().flat_map(|node| node["spec"]["taints"].as_array().into_iter().flatten());
    let hard = all.filter(|taint| taint["effect"] != "PreferNoSchedule" && !tolerates(taint));
    let text = |field: &Value| field.as_str().unwrap_or_default().to_owned();
    let named = hard.map(|taint| format!("{{{}: {}}}", text(&taint["key"]), text(&taint["value"])));
    let distinct: std::collections::BTreeSet<String> = named.collect();
    distinct.into_iter().take(SOME).collect()
}

fn selector(pod: &Pod) -> Option<String> {
    let wanted = pod.spec.as_ref()?.node_selector.as_ref()?;
    let words: Vec<String> = wanted.iter().map(|(key, value)| format!("{key}={value}")).collect();
    (!words.is_empty()).then(|| words.join(","))
}

fn advice(reason: &str) -> Option<&'static str> {
    if reason.contains("taint") {
        return Some("tolerate the taint (tolerations in the manifest), or choose other nodes");
    }
    if reason.contains("PersistentVolume's node affinity") || reason.contains("volume zone") {
        return Some(
            "let it run where the volume is, or use a volume that every node reaches; `kubectl get pv -o wide` tells where it is",
        );
    }
    if reason.contains("node affinity/selector") {
        return Some("correct the node selector; `kubectl get nodes --show-labels` shows what there is");
    }
    if reason.contains("were unschedulable") {
        return Some("kubectl uncordon NODE opens a node again");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_though_commas_are_part_of_some() {
        let told = Told::read(
            "0/5 nodes are available: 2 Insufficient cpu, 3 node(s) had untolerated taint {a: b, c}. preemption: 0/5 nodes \
             are available: 5 Preemption is not helpful for scheduling.",
        );
        let reasons = vec![(2, "Insufficient cpu"), (3, "node(s) had untolerated taint {a: b, c}")];
        assert_eq!(told, Some(Told { nodes: 5, reasons, is_hopeless: true }));
    }

    #[test]
    fn sentences_without_counts_are_left_as_they_are() {
        assert_eq!(Told::read("0/1 nodes are available: this pod needs a container."), None);
        assert_eq!(Told::read("no nodes available to schedule pods"), None);
        assert_eq!(Told::read(""), None);
    }
}
