//! Whether a volume can be used on the node, and whether one may be made there.

use serde_json::Value;

use crate::schedule::{Node, affinity::holds};

/// Whether a volume can be reached from the node: one of the terms of its required node affinity holds. Labels are looked
/// at and nothing else: what a term says of the node's fields does not count.
///
/// Source: upstream `component-helpers/storage/volume/helpers.go` (`CheckNodeAffinity`).
pub(super) fn is_within_reach(volume: &Value, node: &Node) -> bool {
    let required = &volume["spec"]["nodeAffinity"]["required"];
    required.is_null() || list(required, "nodeSelectorTerms").any(|term| takes(term, node))
}

/// All that a term lists must hold; one that lists nothing takes no node.
fn takes(term: &Value, node: &Node) -> bool {
    let is_empty = list(term, "matchExpressions").chain(list(term, "matchFields")).next().is_none();
    !is_empty
        && list(term, "matchExpressions").all(|requirement| holds(requirement, label(requirement, node)))
}

/// Whether a class makes volumes for the node: one of its topologies is the node's, or it names none.
///
/// Source: upstream `pkg/apis/core/v1/helper` (`MatchTopologySelectorTerms`).
pub(super) fn is_served(class: &Value, node: &Node) -> bool {
    let is_one_of = |requirement: &Value| {
        label(requirement, node)
            .is_some_and(|actual| list(requirement, "values").any(|value| value.as_str() == Some(actual)))
    };
    let mut topologies = list(class, "allowedTopologies").peekable();
    topologies.peek().is_none()
        || topologies.any(|term| {
            let mut requirements = list(term, "matchLabelExpressions").peekable();
            requirements.peek().is_some() && requirements.all(is_one_of)
        })
}

fn label<'a>(requirement: &Value, node: &'a Node) -> Option<&'a str> {
    node.labels.get(super::text(requirement, "key")).map(String::as_str)
}

fn list<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    object[field].as_array().into_iter().flatten()
}
