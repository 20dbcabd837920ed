//! What a quota may say.
//!
//! Source: upstream pkg/apis/core/validation/validation.go, pkg/apis/core/helper/helpers.go.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::field::{Errors, FieldError};
use crate::kinds::json::{entries, is_set, items, text};
use crate::kinds::pod::validate::resources;
use crate::kinds::rules::{at, entry};
use crate::quantity::Quantity;

/// Resources that may be limited by a name without a domain.
const STANDARD: [&str; 19] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];
/// Those of them that are counted.
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
/// Those of them that pods with requests and limits use.
const COMPUTE: [&str; 7] =
    ["pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
/// Scopes that exclude one another.
const PAIRS: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];
const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "VolumeAttributesClass",
    "CrossNamespacePodAffinity",
];

/// Every problem of a quota.
pub(super) fn quota(quota: &Value) -> Errors {
    let mut errors = spec(&quota["spec"]);
    status(&mut errors, &quota["status"]);
    errors
}

/// Every problem of a change.
pub(super) fn update(new: &Value, old: &Value, is_status: bool) -> Errors {
    let mut errors = Errors::new();
    if is_status {
        status(&mut errors, &new["status"]);
        return errors;
    }
    errors.extend(spec(&new["spec"]));
    let scopes = |quota: &Value| -> BTreeSet<String> {
        items(&quota["spec"], "scopes").iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    if scopes(new) != scopes(old) {
        let value = new["spec"]["scopes"].clone();
        errors.push(FieldError::invalid("spec.scopes", value, "field is immutable"));
    }
    errors
}

fn spec(spec: &Value) -> Errors {
    let mut errors = Errors::new();
    amounts(&mut errors, spec, "hard", "spec");
    let given: Vec<&str> = items(spec, "scopes").iter().filter_map(Value::as_str).collect();
    let value = &spec["scopes"];
    for scope in &given {
        if !SCOPES.contains(scope) {
            errors.push(FieldError::invalid("spec.scopes", value.clone(), "unsupported scope"));
        }
        fits(&mut errors, spec, scope, "spec.scopes", value);
    }
    conflicts(&mut errors, &given, "spec.scopes", value);
    if is_set(spec, "scopeSelector") {
        selector(&mut errors, spec);
    }
    errors
}

fn status(errors: &mut Errors, status: &Value) {
    amounts(errors, status, "hard", "status");
    amounts(errors, status, "used", "status");
}

fn amounts(errors: &mut Errors, parent: &Value, list: &str, path: &str) {
    for (name, value) in entries(parent, list) {
        let of = entry(&at(path, list), name);
        resources::standard_name(errors, name, &of);
        if !name.contains('/') && !is_standard(name) {
            errors.push(FieldError::invalid(&of, name.as_str(), "must be a standard resource for quota"));
        }
        match Quantity::of(value) {
            Err(error) => errors.push(FieldError::invalid(of, value.clone(), error.to_string())),
            Ok(quantity) => {
                if quantity.nanos() < 0 {
                    let detail = "must be greater than or equal to 0";
                    errors.push(FieldError::invalid(&of, quantity.to_string(), detail));
                }
                let counted = COUNTED.contains(&name.as_str()) || resources::is_extended(name);
                if counted && !quantity.is_whole() {
                    errors.push(FieldError::invalid(of, quantity.to_string(), "must be an integer"));
                }
            }
        }
    }
}

fn is_standard(name: &str) -> bool {
    STANDARD.contains(&name) || name.starts_with("hugepages-") || name.starts_with("requests.hugepages-")
}

/// A scope must be one that the limited resources can have.
fn fits(errors: &mut Errors, spec: &Value, scope: &str, path: &str, value: &Value) {
    let fits = |name: &str| match scope {
        "Terminating"
        | "NotTerminating"
        | "NotBestEffort"
        | "PriorityClass"
        | "CrossNamespacePodAffinity" => COMPUTE.contains(&name),
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => matches!(name, "persistentvolumeclaims" | "requests.storage"),
        _ => true,
    };
    for (name, _) in entries(spec, "hard").filter(|(name, _)| is_standard(name)) {
        if !fits(name) {
            let detail = "unsupported scope applied to resource";
            errors.push(FieldError::invalid(path, value.clone(), detail));
        }
    }
}

fn conflicts(errors: &mut Errors, given: &[&str], path: &str, value: &Value) {
    for pair in PAIRS {
        if pair.iter().all(|scope| given.contains(scope)) {
            errors.push(FieldError::invalid(path, value.clone(), "conflicting scopes"));
        }
    }
}

fn selector(errors: &mut Errors, spec: &Value) {
    let path = "spec.scopeSelector.matchExpressions";
    let value = &spec["scopeSelector"];
    let mut given = Vec::new();
    for expression in items(value, "matchExpressions") {
        let (scope, operator) = (text(expression, "scopeName"), text(expression, "operator"));
        if !SCOPES.contains(&scope) {
            errors.push(FieldError::invalid(at(path, "scopeName"), scope, "unsupported scope"));
        }
        fits(errors, spec, scope, path, value);
        let only_exists =
            SCOPES.contains(&scope) && !matches!(scope, "PriorityClass" | "VolumeAttributesClass");
        if only_exists && operator != "Exists" {
            let detail = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
            errors.push(FieldError::invalid(at(path, "operator"), operator, detail));
        }
        let values = items(expression, "values");
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                let detail =
                    "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                errors.push(FieldError::required(at(path, "values"), detail));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let detail =
                    "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                errors.push(FieldError::invalid(at(path, "values"), expression["values"].clone(), detail));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                errors.push(FieldError::invalid(
                    at(path, "operator"),
                    other,
                    "not a valid selector operator",
                ));
            }
        }
        given.push(scope);
    }
    conflicts(errors, &given, path, value);
}
