//! What containers ask of their node.

use serde_json::Value;

use super::of_resource;
use crate::field::{Errors, FieldError};
use crate::kinds::json::entries;
use crate::kinds::rules::at;
use crate::names;
use crate::quantity::Quantity;

const STANDARD: &[&str] = &["cpu", "memory", "ephemeral-storage"];

/// Every problem of a container's `requests` and `limits`.
pub(crate) fn check(errors: &mut Errors, resources: &Value, path: &str) {
    check_named(errors, resources, path, name_of);
}

/// The same of whatever has resources of these names.
pub(super) fn check_named(
    errors: &mut Errors,
    resources: &Value,
    path: &str,
    name_of: fn(&mut Errors, &str, &str),
) {
    for list in ["limits", "requests"] {
        for (name, value) in entries(resources, list) {
            let of = of_resource(path, list, name);
            name_of(errors, name, &of);
            let Some(quantity) = amount(errors, name, value, &of) else { continue };
            if list == "requests" {
                within_limit(errors, name, quantity, resources, path);
            }
        }
    }
    let gives = |wanted: fn(&str) -> bool| {
        ["limits", "requests"].iter().any(|list| entries(resources, list).any(|(name, _)| wanted(name)))
    };
    if gives(is_huge) && !gives(|name| matches!(name, "cpu" | "memory")) {
        errors.push(FieldError::forbidden(path, "HugePages require cpu or memory"));
    }
}

/// Whether a resource is memory in huge pages.
pub(super) fn is_huge(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// Whether a resource's limit may be above its request.
pub(crate) fn is_overcommit_allowed(name: &str) -> bool {
    is_native(name) && !is_huge(name)
}

/// Whether a resource is Kubernetes' own; others may not be asked for beyond their limit.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether a resource is one that somebody else brings, e.g. `example.com/gpu`.
pub(crate) fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::qualified_name(&format!("requests.{name}")).is_empty()
}

/// Resources whose name needs no domain.
const KNOWN: &[&str] = &[
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];

/// The problems of a resource's name anywhere.
pub(crate) fn standard_name(errors: &mut Errors, name: &str, path: &str) {
    let bad = names::qualified_name(name);
    let is_known = KNOWN.contains(&name) || is_huge(name) || name.starts_with("requests.hugepages-");
    if !bad.is_empty() {
        crate::kinds::rules::wrong(errors, path, name, bad);
    } else if !name.contains('/') && !is_known {
        errors.push(FieldError::invalid(path, name, "must be a standard resource type or fully qualified"));
    }
}

/// The problems of a resource's name in a container.
pub(crate) fn name_of(errors: &mut Errors, name: &str, path: &str) {
    let bad = names::qualified_name(name);
    let detail = if !bad.is_empty() {
        crate::kinds::rules::wrong(errors, path, name, bad);
        if name.contains('/') || STANDARD.contains(&name) || is_huge(name) {
            return;
        }
        "must be a standard resource for containers"
    } else if !name.contains('/') && !STANDARD.contains(&name) && !is_huge(name) {
        errors.push(FieldError::invalid(path, name, "must be a standard resource type or fully qualified"));
        "must be a standard resource for containers"
    } else if name.contains('/') && !is_native(name) && !is_extended(name) {
        "doesn't follow extended resource name standard"
    } else {
        return;
    };
    errors.push(FieldError::invalid(path, name, detail));
}

fn amount(errors: &mut Errors, name: &str, value: &Value, path: &str) -> Option<Quantity> {
    let quantity = match Quantity::of(value) {
        Ok(quantity) => quantity,
        Err(error) => {
            errors.push(FieldError::invalid(path, value.clone(), error.to_string()));
            return None;
        }
    };
    if quantity.nanos() < 0 {
        let detail = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(path, quantity.to_string(), detail));
    }
    if is_extended(name) && !quantity.is_whole() {
        errors.push(FieldError::invalid(path, quantity.to_string(), "must be an integer"));
    }
    Some(quantity)
}

fn within_limit(errors: &mut Errors, name: &str, request: Quantity, resources: &Value, path: &str) {
    let overcommit = is_overcommit_allowed(name);
    let requests = at(path, "requests");
    match Quantity::of(&resources["limits"][name]) {
        Ok(limit) if !overcommit && request != limit => {
            let detail = format!("must be equal to {name} limit of {limit}");
            errors.push(FieldError::invalid(requests, request.to_string(), detail));
        }
        Ok(limit) if request > limit => {
            let detail = format!("must be less than or equal to {name} limit of {limit}");
            errors.push(FieldError::invalid(requests, request.to_string(), detail));
        }
        Err(_) if !overcommit && resources["limits"][name].is_null() => {
            let detail = "Limit must be set for non overcommitable resources";
            errors.push(FieldError::required(at(path, "limits"), detail));
        }
        _ => {}
    }
}
