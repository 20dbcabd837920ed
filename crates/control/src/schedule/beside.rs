//! What a pod asks of those that are on the node beside it: free host ports, others near it or none, even spreading. And
//! what they ask of it.
//!
//! On one node a topology is the node itself, if it has the label. Which pods are there is told by [`Beside`]; whoever
//! waits for another to go is looked at again by the engine.
//!
//! Source: upstream `scheduler/framework/plugins/{nodeports,podtopologyspread,interpodaffinity}`. Preferences do not
//! matter where there is one node.

use serde_json::Value;

use super::{Fields, Node, affinity};

/// The pods that are on the node and have not ended, without the one that is asked about.
pub trait Beside {
    /// Those of a namespace, or all.
    fn pods<'a>(&'a self, namespace: Option<&'a str>) -> Box<dyn Iterator<Item = &'a dyn Fields> + 'a>;
    /// Those that have host ports.
    fn with_ports<'a>(&'a self) -> Box<dyn Iterator<Item = &'a dyn Fields> + 'a>;
    /// Those that insist on others not being near.
    fn repelling<'a>(&'a self) -> Box<dyn Iterator<Item = &'a dyn Fields> + 'a>;
    /// A namespace's labels; null if it has none.
    fn labels_of(&self, namespace: &str) -> &Value;
}

/// Why a pod cannot be beside those that are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quarrel {
    /// One of them has a port that it asks for.
    Ports,
    /// It insists on being spread, and here are enough like it already.
    Spread,
    /// It insists on others that are not there.
    Affinity,
    /// It insists on being apart from one that is there.
    AntiAffinity,
    /// One that is there insists on being apart from it.
    Repelled,
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

impl Quarrel {
    /// What the scheduler says of the node.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Quarrel::Ports => "node(s) didn't have free ports for the requested pod ports",
            Quarrel::Spread => "node(s) didn't match pod topology spread constraints",
            Quarrel::Affinity => "node(s) didn't match pod affinity rules",
            Quarrel::AntiAffinity => "node(s) didn't match pod anti-affinity rules",
            Quarrel::Repelled => "node(s) didn't satisfy existing pods anti-affinity rules",
        }
    }

    /// Whether nobody's going could help.
    pub(super) fn is_hopeless(self) -> bool {
        self == Quarrel::Affinity
    }
}

/// Whether a pod has host ports.
#[must_use]
pub fn has_ports(spec: &Value) -> bool {
    ports(spec).next().is_some()
}

/// Whether a pod insists on others not being near.
#[must_use]
pub fn repels(spec: &Value) -> bool {
    terms(spec, "podAntiAffinity").next().is_some()
}

/// Whether a pod asks anything of those beside it.
fn asks(spec: &Value) -> bool {
    has_ports(spec)
        || repels(spec)
        || terms(spec, "podAffinity").next().is_some()
        || spreads(spec).next().is_some()
}

/// Why a pod cannot be beside those that are there, if it cannot; the first reason in upstream's order.
#[must_use]
pub fn quarrel(pod: &dyn Fields, node: &Node, beside: &dyn Beside) -> Option<Quarrel> {
    if asks(&pod["spec"]) {
        let first = [
            (takes_a_port as fn(&dyn Fields, &Node, &dyn Beside) -> bool, Quarrel::Ports),
            (is_crowded, Quarrel::Spread),
            (misses_others, Quarrel::Affinity),
            (meets_others, Quarrel::AntiAffinity),
        ];
        let found = first.into_iter().find(|(holds, _)| holds(pod, node, beside));
        if let Some((_, quarrel)) = found {
            return Some(quarrel);
        }
    }
    is_repelled(pod, node, beside).then_some(Quarrel::Repelled)
}

/// Only whether one of those that are there has a port that the pod asks for: what a node asks itself.
#[must_use]
pub fn clashes(pod: &dyn Fields, node: &Node, beside: &dyn Beside) -> bool {
    takes_a_port(pod, node, beside)
}

/// Host ports: of containers, and of init containers that run on beside them.
fn ports(spec: &Value) -> impl Iterator<Item = (&str, &str, i64)> {
    let list = |name: &str| spec[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let sidecars = list("initContainers").iter().filter(|one| one["restartPolicy"] == "Always");
    let containers = list("containers").iter().chain(sidecars);
    let all = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    all.filter_map(|port| {
        let text = |field: &str, usual| port[field].as_str().filter(|text| !text.is_empty()).unwrap_or(usual);
        let number = port["hostPort"].as_i64().filter(|number| *number > 0)?;
        Some((text("hostIP", EVERYWHERE), text("protocol", "TCP"), number))
    })
}

const EVERYWHERE: &str = "0.0.0.0";

fn takes_a_port(pod: &dyn Fields, _: &Node, beside: &dyn Beside) -> bool {
    has_ports(&pod["spec"])
        && beside.with_ports().any(|other| {
            ports(&pod["spec"]).any(|(ip, protocol, port)| {
                ports(&other["spec"]).any(|(theirs, by, number)| {
                    (port, protocol) == (number, by) && (ip == theirs || [ip, theirs].contains(&EVERYWHERE))
                })
            })
        })
}

fn spreads(spec: &Value) -> impl Iterator<Item = &Value> {
    let list = spec["topologySpreadConstraints"].as_array().into_iter().flatten();
    list.filter(|constraint| constraint["whenUnsatisfiable"] == "DoNotSchedule")
}

/// With one domain the least crowded one is the node itself, unless there should be more of them: then it is one that is
/// not there, and has nobody.
fn is_crowded(pod: &dyn Fields, node: &Node, beside: &dyn Beside) -> bool {
    spreads(&pod["spec"]).any(|constraint| {
        let is_alone = constraint["minDomains"].as_i64().unwrap_or(1) > 1;
        // Without the label the node is refused before this.
        if !is_alone || !has_label(node, &constraint["topologyKey"]) {
            return false;
        }
        let most = usize::try_from(constraint["maxSkew"].as_i64().unwrap_or(1)).unwrap_or(0);
        let selector = (&constraint["labelSelector"], keys_of(constraint, pod));
        let matches =
            |labels: &Value| selects(selector.0, labels) && selector.1.iter().all(|key| key.holds(labels));
        let own = usize::from(matches(&pod["metadata"]["labels"]));
        let is_like = |other: &&dyn Fields| {
            other["metadata"]["deletionTimestamp"].is_null() && matches(&other["metadata"]["labels"])
        };
        let counts = !is_empty(&constraint["labelSelector"]) || !selector.1.is_empty();
        let others =
            if counts { beside.pods(Some(namespace(pod))).filter(is_like).take(most + 1).count() } else { 0 };
        others + own > most
    })
}

fn misses_others(pod: &dyn Fields, node: &Node, beside: &dyn Beside) -> bool {
    let terms: Vec<&Value> = terms(&pod["spec"], "podAffinity").collect();
    if terms.is_empty() {
        return false;
    }
    if !terms.iter().all(|term| has_label(node, &term["topologyKey"])) {
        return true;
    }
    let fits_all = |other: &dyn Fields| terms.iter().all(|term| wants(term, pod, other, beside));
    // One that would be its own company may be the first.
    !candidates(&terms, pod, beside).any(fits_all) && !fits_all(pod)
}

fn meets_others(pod: &dyn Fields, node: &Node, beside: &dyn Beside) -> bool {
    terms(&pod["spec"], "podAntiAffinity")
        .filter(|term| has_label(node, &term["topologyKey"]))
        .any(|term| candidates(&[term], pod, beside).any(|other| wants(term, pod, other, beside)))
}

fn is_repelled(pod: &dyn Fields, node: &Node, beside: &dyn Beside) -> bool {
    beside.repelling().any(|other| {
        let mut terms = terms(&other["spec"], "podAntiAffinity");
        terms.any(|term| has_label(node, &term["topologyKey"]) && wants(term, other, pod, beside))
    })
}

/// What a pod insists on in one of its affinities.
fn terms<'a>(spec: &'a Value, which: &str) -> impl Iterator<Item = &'a Value> {
    spec["affinity"][which][REQUIRED].as_array().into_iter().flatten()
}

/// Those whom terms may be about: where all name the pod's own namespace only, those of it.
fn candidates<'a>(
    terms: &[&Value],
    pod: &'a dyn Fields,
    beside: &'a dyn Beside,
) -> Box<dyn Iterator<Item = &'a dyn Fields> + 'a> {
    let is_own = |term: &&Value| is_empty_list(&term["namespaces"]) && term["namespaceSelector"].is_null();
    beside.pods(terms.iter().all(is_own).then(|| namespace(pod)))
}

/// Whether a term of a pod (`whose`) speaks of another.
fn wants(term: &Value, whose: &dyn Fields, other: &dyn Fields, beside: &dyn Beside) -> bool {
    let there = namespace(other);
    let named = term["namespaces"].as_array().into_iter().flatten();
    let mut named = named.filter_map(Value::as_str);
    let selector = &term["namespaceSelector"];
    let is_there = if is_empty_list(&term["namespaces"]) && selector.is_null() {
        there == namespace(whose)
    } else {
        named.any(|name| name == there) || (!selector.is_null() && selects(selector, beside.labels_of(there)))
    };
    let labels = &other["metadata"]["labels"];
    is_there
        && selects(&term["labelSelector"], labels)
        && keys_of(term, whose).iter().all(|key| key.holds(labels))
}

/// A label that another must have as the pod itself has it, or must not.
struct SameLabel<'a> {
    key: &'a str,
    value: &'a str,
    is_wanted: bool,
}

impl SameLabel<'_> {
    fn holds(&self, labels: &Value) -> bool {
        (labels[self.key].as_str() == Some(self.value)) == self.is_wanted
    }
}

/// `matchLabelKeys` and `mismatchLabelKeys`, as far as the pod has such labels.
fn keys_of<'a>(term: &'a Value, pod: &'a dyn Fields) -> Vec<SameLabel<'a>> {
    let list = |field: &str, is_wanted| {
        let keys = term[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        keys.filter_map(move |key| {
            let value = pod["metadata"]["labels"][key].as_str()?;
            Some(SameLabel { key, value, is_wanted })
        })
    };
    list("matchLabelKeys", true).chain(list("mismatchLabelKeys", false)).collect()
}

/// Whether a label selector selects these labels; none selects nothing, an empty one all.
fn selects(selector: &Value, labels: &Value) -> bool {
    let Some(fields) = selector.as_object() else { return false };
    let same = fields.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let rules = fields.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    let actual = |key: &str| labels[key].as_str();
    same.into_iter().all(|(key, value)| actual(key).is_some() && actual(key) == value.as_str())
        && rules
            .into_iter()
            .all(|rule| affinity::holds(rule, actual(rule["key"].as_str().unwrap_or_default())))
}

/// Whether a selector lists nothing.
fn is_empty(selector: &Value) -> bool {
    let is_nothing = |value: &Value| match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => true,
    };
    is_nothing(&selector["matchLabels"]) && is_nothing(&selector["matchExpressions"])
}

fn is_empty_list(list: &Value) -> bool {
    list.as_array().is_none_or(Vec::is_empty)
}

fn has_label(node: &Node, key: &Value) -> bool {
    key.as_str().is_some_and(|key| node.labels.contains_key(key))
}

fn namespace(pod: &dyn Fields) -> &str {
    pod["metadata"]["namespace"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
