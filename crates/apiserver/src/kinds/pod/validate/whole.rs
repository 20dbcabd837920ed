//! What a pod as a whole asks of its node. Source: `validatePodResources`.

use serde_json::Value;

use super::{Context, claims, of_resource, resources};
use crate::field::{Errors, FieldError};
use crate::kinds::json::{entries, is_set, items, text};
use crate::kinds::pod::default::of_containers;
use crate::kinds::rules::at;
use crate::quantity::Quantity;

/// Every problem of the pod's own `resources`.
pub(super) fn check(errors: &mut Errors, context: &Context, path: &str) {
    let spec = context.spec;
    if !is_set(spec, "resources") {
        return;
    }
    let (whole, path) = (&spec["resources"], at(path, "resources"));
    if text(&spec["os"], "name") == "windows" {
        errors.push(FieldError::forbidden(path, "may not be set for a windows pod"));
        return;
    }
    if is_set(whole, "claims") {
        let detail = "claims may not be set for Resources at pod-level";
        errors.push(FieldError::forbidden(at(&path, "claims"), detail));
    }
    resources::check_named(errors, whole, &path, name_of);
    claims::of_container(errors, whole, &context.claims, &at(&path, "claims"));
    not_less_than_together(errors, spec, "requests", &path);
    not_less_than_together(errors, spec, "limits", &path);
    for (i, container) in items(spec, "containers").iter().enumerate() {
        for (name, limit) in entries(&container["resources"], "limits") {
            let (Ok(limit), Ok(most)) = (Quantity::of(limit), Quantity::of(&whole["limits"][name])) else {
                continue;
            };
            if limit > most {
                let path = format!("{path}.containers[{i}][{name}].limits");
                let detail = format!("must be less than or equal to pod limits of {most}");
                errors.push(FieldError::invalid(path, limit.to_string(), detail));
            }
        }
    }
}

fn name_of(errors: &mut Errors, name: &str, path: &str) {
    let before = errors.len();
    resources::standard_name(errors, name, path);
    let is_known = matches!(name, "cpu" | "memory") || resources::is_huge(name);
    if errors.len() == before && !is_known {
        errors.push(FieldError::not_supported(path, name, &["cpu", "hugepages-", "memory"]));
    }
}

/// The whole is no less than what its containers have together; limits count for huge pages only, of which nothing can be
/// promised twice.
fn not_less_than_together(errors: &mut Errors, spec: &Value, list: &'static str, path: &str) {
    for (name, whole) in entries(&spec["resources"], list) {
        if list == "limits" && !resources::is_huge(name) {
            continue;
        }
        let (Ok(whole), Some(parts)) = (Quantity::of(whole), of_containers(spec, list, name)) else {
            continue;
        };
        if parts > whole {
            let detail = format!("must be greater than or equal to aggregate container {list} of {parts}");
            errors.push(FieldError::invalid(of_resource(path, list, name), whole.to_string(), detail));
        }
    }
}
