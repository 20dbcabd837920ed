//! What absent fields of a pod and of a pod template mean.
//!
//! Source: upstream pkg/apis/core/v1/defaults.go. A template gets less than a pod: upstream leaves there what only
//! running pods need (requests from limits, service links, ports of the host's network).

use serde_json::{Value, json};

use super::container;
use super::volume;
use crate::kinds::json::{fill, fill_text, fill_zero, flag, given, int, items, items_mut, object, set, text};
use crate::quantity::Quantity;

/// Fills absent fields of a pod.
pub(crate) fn fill_pod(pod: &mut Value) {
    object(pod, "metadata");
    let Some(spec) = object(pod, "spec") else { return };
    fill_spec(spec);
    if int(spec, "terminationGracePeriodSeconds").is_some_and(|s| s < 0) {
        // Upstream's oldest clients wrote negative ones for "at once" (pkg/apis/core/v1/conversion.go).
        set(spec, "terminationGracePeriodSeconds", 1);
    }
    for list in ["containers", "initContainers"] {
        for container in items_mut(spec, list) {
            if let Some(resources) = given(container, "resources") {
                requests_from_limits(resources);
            }
        }
    }
    whole_requests(spec);
    fill(spec, "enableServiceLinks", true);
    if flag(spec, "hostNetwork") {
        for list in ["containers", "initContainers"] {
            for port in items_mut(spec, list).flat_map(|c| items_mut(c, "ports")) {
                let own = int(port, "containerPort").unwrap_or(0);
                fill_zero(port, "hostPort", own);
            }
        }
    }
    object(pod, "status");
}

/// Fills absent fields of a pod template.
pub(crate) fn fill_template(template: &mut Value) {
    object(template, "metadata");
    if let Some(spec) = object(template, "spec") {
        fill_spec(spec);
    }
}

fn fill_spec(spec: &mut Value) {
    fill_text(spec, "dnsPolicy", "ClusterFirst");
    fill_text(spec, "restartPolicy", "Always");
    fill(spec, "securityContext", json!({}));
    fill(spec, "terminationGracePeriodSeconds", 30);
    fill_text(spec, "schedulerName", "default-scheduler");
    keep_service_accounts_equal(spec);
    for volume in items_mut(spec, "volumes") {
        volume::fill(volume);
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in items_mut(spec, list) {
            container::fill_defaults(container);
        }
    }
    round_quantities(spec, "overhead");
    if let Some(resources) = given(spec, "resources") {
        round_resources(resources);
    }
}

/// `serviceAccount` is the old name of `serviceAccountName` (upstream pkg/apis/core/v1/conversion.go): the new one wins.
fn keep_service_accounts_equal(spec: &mut Value) {
    let name = match text(spec, "serviceAccountName") {
        "" => text(spec, "serviceAccount"),
        name => name,
    };
    if !name.is_empty() {
        let name = Value::from(name);
        set(spec, "serviceAccountName", name.clone());
        set(spec, "serviceAccount", name);
    }
}

/// A limit without a request is also the request.
fn requests_from_limits(resources: &mut Value) {
    let Some(limits) = resources["limits"].as_object().cloned() else { return };
    if let Some(requests) = object(resources, "requests") {
        for (name, limit) in limits {
            fill(requests, &name, limit);
        }
    }
}

/// Where a limit is set for the whole pod, the pod asks for what its containers ask for together, and for the limit
/// where they ask for nothing.
fn whole_requests(spec: &mut Value) {
    if spec["resources"]["limits"].as_object().is_none_or(serde_json::Map::is_empty) {
        return;
    }
    let sums: Vec<_> = ["cpu", "memory"].map(|name| (name, of_containers(spec, "requests", name))).into();
    let Some(resources) = given(spec, "resources") else { return };
    if let Some(requests) = object(resources, "requests") {
        for (name, sum) in sums {
            if let Some(sum) = sum {
                fill(requests, name, sum.to_string());
            }
        }
    }
    requests_from_limits(resources);
}

/// What a pod's containers ask for (`requests`) or may have (`limits`) of a resource: all that run together, or more if an
/// init container needs more.
pub(super) fn of_containers(spec: &Value, list: &str, name: &str) -> Option<Quantity> {
    let request = |container: &Value| Quantity::of(&container["resources"][list][name]).ok();
    let add = |a: Option<Quantity>, b: Option<Quantity>| match (a, b) {
        (Some(a), Some(b)) => Some(a.plus(b)),
        (a, b) => a.or(b),
    };
    let (mut sidecars, mut most) = (None, None);
    for container in items(spec, "initContainers") {
        let with = add(sidecars, request(container));
        if text(container, "restartPolicy") == "Always" {
            sidecars = with;
        }
        most = most.max(with);
    }
    let together = items(spec, "containers").iter().map(request).fold(sidecars, add);
    together.max(most)
}

/// Spells the quantities of `limits` and `requests` canonically.
pub(super) fn round_resources(resources: &mut Value) {
    round_quantities(resources, "limits");
    round_quantities(resources, "requests");
}

/// Rounds the quantities of a resource list up to thousandths and spells them canonically; what is no quantity stays,
/// and validation refuses it.
pub(crate) fn round_quantities(parent: &mut Value, key: &str) {
    let list = given(parent, key).and_then(Value::as_object_mut);
    for value in list.into_iter().flat_map(|m| m.values_mut()) {
        if let Ok(quantity) = Quantity::of(value) {
            *value = quantity.rounded_to_milli().to_string().into();
        }
    }
}

/// Spells one quantity canonically, where it is given.
pub(super) fn respell(parent: &mut Value, key: &str) {
    if let Some(value) = given(parent, key)
        && let Ok(quantity) = Quantity::of(value)
    {
        *value = quantity.to_string().into();
    }
}
