//! v1 resource quotas: how much of what a namespace may hold. They are enforced by `admission`, and counted by a
//! controller; here is what they may say and how they are shown.

mod validate;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::common::{self, AGE, NAME, PLAIN, column, never};
use super::json::{entries, object, set};
use super::pod::default::round_quantities;
use super::table;
use crate::kind::{Kind, Subresource};
use crate::quantity::Quantity;

/// The row.
pub(super) const KIND: Kind = Kind {
    kind: "ResourceQuota",
    plural: "resourcequotas",
    singular: "resourcequota",
    short_names: &["quota"],
    subresources: &[Subresource::Status],
    schema: "io.k8s.api.core.v1.ResourceQuota",
    names_again: false,
    default: fill_defaults,
    prepare_create: |quota| set(quota, "status", json!({})),
    prepare_update: common::keep_status,
    validate: validate::quota,
    validate_update: validate::update,
    warnings,
    rest: never,
    columns: &[
        NAME,
        column("Request", "What is used and may be used at most."),
        column("Limit", "The limits that are used and may be used at most."),
        AGE,
    ],
    cells,
    ..PLAIN
};

fn fill_defaults(quota: &mut Value) {
    (PLAIN.default)(quota);
    for (part, lists) in [("spec", &["hard"][..]), ("status", &["hard", "used"][..])] {
        if let Some(part) = object(quota, part) {
            lists.iter().for_each(|list| round_quantities(part, list));
        }
    }
}

/// Requests that are allowed to be more than limits (upstream's strategy, on creation).
fn warnings(quota: &Value) -> Vec<String> {
    let hard = &quota["spec"]["hard"];
    let of = |name: &str| Quantity::of(&hard[name]).ok();
    let told = |resource: &&str| {
        let bare = matches!(*resource, "cpu" | "memory").then(|| (*resource).to_owned());
        let name = [Some(format!("requests.{resource}")), bare].into_iter().flatten();
        let (name, request) = name.into_iter().find_map(|name| Some((name.clone(), of(&name)?)))?;
        let limit = of(&format!("limits.{resource}")).filter(|limit| request > *limit)?;
        Some(format!("ResourceQuota {name} ({request}) should be less than limits.{resource} ({limit})"))
    };
    ["cpu", "memory", "storage", "ephemeral-storage"].iter().filter_map(told).collect()
}

fn cells(quota: &Value, now: Timestamp) -> Vec<Value> {
    let status = &quota["status"];
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (name, hard) in entries(status, "hard") {
        let used = status["used"][name].as_str().unwrap_or("0");
        let cell = format!("{name}: {used}/{}", hard.as_str().unwrap_or("0"));
        if name.starts_with("limits.") { &mut limits } else { &mut requests }.push(cell);
    }
    vec![table::name(quota), requests.join(", ").into(), limits.join(", ").into(), table::age(quota, now)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_above_limits_are_warned_of_under_either_name() {
        let check = |hard: Value, expected: &[&str]| {
            assert_eq!(warnings(&json!({"spec": {"hard": hard}})), expected);
        };
        check(
            json!({"requests.cpu": "2", "limits.cpu": "1", "pods": "1"}),
            &["ResourceQuota requests.cpu (2) should be less than limits.cpu (1)"],
        );
        check(
            json!({"memory": "2Gi", "limits.memory": "1Gi"}),
            &["ResourceQuota memory (2Gi) should be less than limits.memory (1Gi)"],
        );
        check(json!({"requests.cpu": "1", "limits.cpu": "1"}), &[]);
    }
}
