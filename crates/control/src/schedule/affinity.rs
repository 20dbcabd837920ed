//! Which nodes a pod accepts: nodeSelector, required node affinity, the label that it is spread by. Preferences do not
//! matter where there is one node. What a pod wants of the pods beside it is `beside`'s.
//!
//! Source: `NodeSelectorTerm` in `core/v1/types.go`; upstream `component-helpers/scheduling/corev1/nodeaffinity`.

use serde_json::Value;

use super::Node;

/// In a kubelet's words, that a pod does not accept the node.
pub(super) const MISMATCH: &str = "node(s) didn't match Pod's node affinity/selector";

/// Why the pod does not accept the node, if it does not.
pub(super) fn mismatch(spec: &Value, node: &Node) -> Option<String> {
    let wanted = selector(spec, node).or_else(|| affinity(spec, node))?;
    Some(format!("1 {MISMATCH}: {wanted}"))
}

/// Why the pod cannot be spread over nodes like this one, if it insists: on one node nothing is uneven, but the node must
/// have the label that it is spread by.
///
/// Source: upstream `scheduler/framework/plugins/podtopologyspread`.
pub(super) fn unspread(spec: &Value, node: &Node) -> Option<String> {
    let mut constraints = spec["topologySpreadConstraints"].as_array()?.iter();
    let insists = |constraint: &Value| constraint["whenUnsatisfiable"] == "DoNotSchedule";
    let is_label =
        |constraint: &Value| node.labels.contains_key(constraint["topologyKey"].as_str().unwrap_or_default());
    constraints
        .any(|constraint| insists(constraint) && !is_label(constraint))
        .then(|| "1 node(s) didn't match pod topology spread constraints (missing required label)".to_owned())
}

fn selector(spec: &Value, node: &Node) -> Option<String> {
    let (key, value) = spec["nodeSelector"]
        .as_object()?
        .iter()
        .find(|(key, value)| node.labels.get(*key).map(String::as_str) != value.as_str())?;
    let value = value.as_str().unwrap_or_default();
    Some(match node.labels.get(key) {
        Some(other) => format!("it asks for the label {key}={value}, and {} has {key}={other}", node.name),
        None => format!("it asks for the label {key}={value}, which {} does not have", node.name),
    })
}

/// Terms are alternatives; what a term lists must all hold; a term that lists nothing matches no node.
fn affinity(spec: &Value, node: &Node) -> Option<String> {
    let required = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    if required.is_null() {
        return None;
    }
    let terms = required["nodeSelectorTerms"].as_array().map(Vec::as_slice).unwrap_or_default();
    let missed: Vec<Option<String>> = terms.iter().map(|term| first_missed(term, node)).collect();
    if missed.iter().any(Option::is_none) {
        return None;
    }
    let missed: Vec<String> = missed.into_iter().flatten().collect();
    Some(if missed.is_empty() {
        "its required node affinity lists nothing, so it matches no node".to_owned()
    } else {
        format!("its required node affinity asks for {}", missed.join(", or "))
    })
}

/// The first requirement of a term that the node misses, in words.
fn first_missed(term: &Value, node: &Node) -> Option<String> {
    let list = |name: &str| term[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let (labels, fields) = (list("matchExpressions"), list("matchFields"));
    if labels.is_empty() && fields.is_empty() {
        return Some("nothing (an empty term matches no node)".to_owned());
    }
    let by_label = labels.iter().find(|requirement| {
        let key = requirement["key"].as_str().unwrap_or_default();
        !holds(requirement, node.labels.get(key).map(String::as_str))
    });
    let by_field = || {
        fields.iter().find(|requirement| {
            let name = (requirement["key"] == "metadata.name").then_some(node.name.as_str());
            !holds(requirement, name)
        })
    };
    by_label.or_else(by_field).map(in_words)
}

/// Whether what a node or pod has for the key of a requirement is what it requires.
pub(crate) fn holds(requirement: &Value, actual: Option<&str>) -> bool {
    let values = || requirement["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let numbers = || Some((actual?.parse::<i64>().ok()?, values().next()?.parse::<i64>().ok()?));
    match requirement["operator"].as_str().unwrap_or_default() {
        "In" => actual.is_some_and(|actual| values().any(|value| value == actual)),
        "NotIn" => actual.is_none_or(|actual| values().all(|value| value != actual)),
        "Exists" => actual.is_some(),
        "DoesNotExist" => actual.is_none(),
        "Gt" => numbers().is_some_and(|(actual, bound)| actual > bound),
        "Lt" => numbers().is_some_and(|(actual, bound)| actual < bound),
        _ => false,
    }
}

fn in_words(requirement: &Value) -> String {
    let text = |field: &str| requirement[field].as_str().unwrap_or_default();
    let values = requirement["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let values: Vec<&str> = values.collect();
    let what = format!("{} {}", text("key"), text("operator"));
    if values.is_empty() { what } else { format!("{what} ({})", values.join(", ")) }
}
