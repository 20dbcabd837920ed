//! Limit ranges: what containers get that say nothing, and what nobody may ask for.
//!
//! Source: upstream plugin/pkg/admission/limitranger/admission.go.

use serde_json::{Map, Value};

use super::amounts::Amounts;
use super::pods;
use crate::quantity::Quantity;

/// The annotation that tells what was filled in.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Fills in what the containers of a new pod do not say; whether that changed anything.
pub(crate) fn fill(range: &Value, pod: &mut Value) -> bool {
    let (mut requests, mut limits) = (Map::new(), Map::new());
    for limit in limits_of(range, "Container") {
        requests.extend(limit["defaultRequest"].as_object().cloned().unwrap_or_default());
        limits.extend(limit["default"].as_object().cloned().unwrap_or_default());
    }
    let mut told = Vec::new();
    for (list, name) in [("containers", "container"), ("initContainers", "init container")] {
        let containers = pod["spec"].get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let set_limits = merge(container, "limits", &limits);
            let set_requests = merge(container, "requests", &requests);
            let of = container["name"].as_str().unwrap_or_default();
            for (what, set) in [("request", set_requests), ("limit", set_limits)] {
                if !set.is_empty() {
                    told.push(format!("{} {what} for {name} {of}", set.join(", ")));
                }
            }
        }
    }
    if told.is_empty() {
        return false;
    }
    let text = format!("LimitRanger plugin set: {}", told.join("; "));
    if let Some(metadata) = pod["metadata"].as_object_mut() {
        let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new()));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(ANNOTATION.to_owned(), text.into());
        }
    }
    true
}

/// Gives a container what it does not say; the names of that.
fn merge(container: &mut Value, list: &str, defaults: &Map<String, Value>) -> Vec<String> {
    let missing: Vec<&String> =
        defaults.keys().filter(|name| container["resources"][list][name.as_str()].is_null()).collect();
    for name in &missing {
        let amounts = below_it(below_it(container, "resources"), list);
        amounts[name.as_str()] = defaults[name.as_str()].clone();
    }
    missing.into_iter().cloned().collect()
}

/// An object below, made if there is none.
fn below_it<'a>(parent: &'a mut Value, key: &str) -> &'a mut Value {
    let child = &mut parent[key];
    if !child.is_object() {
        *child = Value::Object(Map::new());
    }
    child
}

/// Why a new pod or claim may not be, all reasons in one sentence.
pub(crate) fn refusal(range: &Value, kind: &str, object: &Value) -> Option<String> {
    let mut reasons = Vec::new();
    let spec = &object["spec"];
    match kind {
        "Pod" => {
            for limit in range["spec"]["limits"].as_array().into_iter().flatten() {
                match limit["type"].as_str() {
                    Some("Container") => {
                        for list in ["containers", "initContainers"] {
                            for container in spec[list].as_array().into_iter().flatten() {
                                let of = |list: &str| Amounts::read(&container["resources"][list]);
                                pod_bounds(&mut reasons, limit, &of("requests"), &of("limits"));
                            }
                        }
                    }
                    Some("Pod") => {
                        let of = |list: &str| pods::total(spec, list);
                        pod_bounds(&mut reasons, limit, &of("requests"), &of("limits"));
                    }
                    _ => {}
                }
            }
        }
        "PersistentVolumeClaim" => {
            let requests = Amounts::read(&spec["resources"]["requests"]);
            for limit in limits_of(range, "PersistentVolumeClaim") {
                for (name, bound) in Amounts::read(&limit["min"]).iter() {
                    reasons.extend(below(kind, name, bound, &requests, &Amounts::default()));
                }
                for (name, bound) in Amounts::read(&limit["max"]).iter() {
                    let usage = format!("maximum {name} usage per {kind} is {bound}");
                    reasons.extend(above(&usage, "request", bound, requests.get(name), true));
                }
            }
        }
        _ => {}
    }
    let mut single: Vec<String> = Vec::new();
    for reason in reasons {
        if !single.contains(&reason) {
            single.push(reason);
        }
    }
    match single.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("[{}]", many.join(", "))),
    }
}

fn limits_of<'a>(range: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    range["spec"]["limits"].as_array().into_iter().flatten().filter(move |limit| limit["type"] == kind)
}

fn pod_bounds(reasons: &mut Vec<String>, limit: &Value, requests: &Amounts, limits: &Amounts) {
    let of = limit["type"].as_str().unwrap_or_default();
    for (name, bound) in Amounts::read(&limit["min"]).iter() {
        reasons.extend(below(of, name, bound, requests, limits));
    }
    for (name, bound) in Amounts::read(&limit["max"]).iter() {
        let usage = format!("maximum {name} usage per {of} is {bound}");
        let too_high = above(&usage, "limit", bound, limits.get(name), true);
        reasons.extend(too_high.or_else(|| above(&usage, "request", bound, requests.get(name), false)));
    }
    for (name, bound) in Amounts::read(&limit["maxLimitRequestRatio"]).iter() {
        reasons.extend(ratio(of, name, bound, requests.get(name), limits.get(name)));
    }
}

fn below(of: &str, name: &str, bound: Quantity, requests: &Amounts, limits: &Amounts) -> Option<String> {
    let usage = format!("minimum {name} usage per {of} is {bound}");
    match (requests.get(name), limits.get(name)) {
        (None, _) => Some(format!("{usage}.  No request is specified")),
        (Some(request), _) if request < bound => Some(format!("{usage}, but request is {request}")),
        (_, Some(limit)) if limit < bound => Some(format!("{usage}, but limit is {limit}")),
        _ => None,
    }
}

fn above(usage: &str, what: &str, bound: Quantity, asked: Option<Quantity>, must: bool) -> Option<String> {
    match asked {
        None => must.then(|| format!("{usage}.  No {what} is specified")),
        Some(asked) if asked > bound => Some(format!("{usage}, but {what} is {asked}")),
        Some(_) => None,
    }
}

fn ratio(
    of: &str,
    name: &str,
    bound: Quantity,
    request: Option<Quantity>,
    limit: Option<Quantity>,
) -> Option<String> {
    let ratio = format!("{name} max limit to request ratio per {of} is {bound}");
    let given = |amount: Option<Quantity>| amount.filter(|amount| !amount.is_zero());
    let Some(request) = given(request) else {
        return Some(format!("{ratio}, but no request is specified or request is 0"));
    };
    let Some(limit) = given(limit) else {
        return Some(format!("{ratio}, but no limit is specified or limit is 0"));
    };
    let float = |quantity: Quantity| quantity.millis() as f64;
    let observed = float(limit) / float(request);
    (observed * 1000.0 > float(bound)).then(|| format!("{ratio}, but provided ratio is {observed:.6}"))
}
