//! v1 nodes.
//!
//! Sources: upstream pkg/registry/core/node/strategy.go and printNode in pkg/printers/internalversion/printers.go.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::field::{Errors, FieldError};
use crate::kind::{Column, Fields, Kind, Subresource};
use crate::kinds::common::{self, AGE, NAME, PLAIN, column, condition, wide};
use crate::kinds::json::{entries, fill, flag, is_set, items, object, text};
use crate::kinds::pod::default::round_quantities;
use crate::kinds::rules::{at, item, optional_choice, required, wrong};
use crate::kinds::table;
use crate::names;
use crate::quantity::Quantity;

/// The row.
pub(super) const KIND: Kind = Kind {
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    namespaced: false,
    subresources: &[Subresource::Status],
    schema: "io.k8s.api.core.v1.Node",
    default: fill_defaults,
    validate,
    validate_update,
    prepare_update: common::keep_status,
    prepare_status: common::keep_all_but_status,
    fields,
    rest: common::never,
    field_names: &["spec.unschedulable"],
    columns: COLUMNS,
    cells,
    ..PLAIN
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Status", "Whether the node takes pods."),
    column("Roles", "What its role labels name."),
    AGE,
    column("Version", "The version of what runs its pods."),
    wide("Internal-IP", "Its address within the cluster."),
    wide("External-IP", "Its address from outside."),
    wide("OS-Image", "Its operating system."),
    wide("Kernel-Version", "Its kernel."),
    wide("Container-Runtime", "What starts its containers."),
];

fn fill_defaults(node: &mut Value) {
    object(node, "metadata");
    object(node, "spec");
    let Some(status) = object(node, "status") else { return };
    round_quantities(status, "capacity");
    round_quantities(status, "allocatable");
    if is_set(status, "capacity") {
        let capacity = status["capacity"].clone();
        fill(status, "allocatable", capacity);
    }
}

/// Every problem of a node: its taints and what it offers.
fn validate(node: &Value) -> Errors {
    let mut errors = Errors::new();
    // Upstream names the taints as if they were metadata; the true place is of more use.
    for (i, taint) in items(&node["spec"], "taints").iter().enumerate() {
        let path = item("spec.taints", i);
        let (key, value) = (text(taint, "key"), text(taint, "value"));
        wrong(&mut errors, &at(&path, "key"), key, names::qualified_name(key));
        wrong(&mut errors, &at(&path, "value"), value, names::label_value(value));
        required(&mut errors, taint, &path, "effect");
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        if !text(taint, "effect").is_empty() {
            optional_choice(&mut errors, taint, &path, "effect", &effects);
        }
    }
    for list in ["capacity", "allocatable"] {
        for (name, value) in entries(&node["status"], list) {
            let path = format!("status.{list}[{name}]");
            match Quantity::of(value) {
                Ok(quantity) if quantity.nanos() < 0 => errors.push(FieldError::invalid(
                    path,
                    quantity.to_string(),
                    "must be greater than or equal to 0",
                )),
                Ok(_) => {}
                Err(error) => errors.push(FieldError::invalid(path, value.clone(), error.to_string())),
            }
        }
    }
    errors
}

fn validate_update(new: &Value, old: &Value, _: bool) -> Errors {
    let mut errors = validate(new);
    for (key, was) in [("podCIDRs", "podCIDR"), ("providerID", "providerID")] {
        if is_set(&old["spec"], key) && old["spec"][key] != new["spec"][key] {
            let detail = format!("node updates may not change {was} except from \"\" to valid");
            errors.push(FieldError::forbidden(format!("spec.{key}"), detail));
        }
    }
    let addresses = items(&new["status"], "addresses");
    for (i, address) in addresses.iter().enumerate() {
        if addresses[..i].contains(address) {
            errors.push(FieldError::duplicate(item("status.addresses", i), address.clone()));
        }
    }
    errors
}

fn fields(node: &dyn Fields) -> Vec<(&'static str, String)> {
    vec![("spec.unschedulable", flag(&node["spec"], "unschedulable").to_string())]
}

fn cells(node: &Value, now: Timestamp) -> Vec<Value> {
    let info = &node["status"]["nodeInfo"];
    let known = |key| table::or(text(info, key), "<unknown>").to_owned();
    let kernel = match text(info, "architecture") {
        "" => known("kernelVersion"),
        architecture => format!("{} ({architecture})", known("kernelVersion")),
    };
    vec![
        table::name(node),
        state(node).into(),
        roles(node).into(),
        table::age(node, now),
        text(info, "kubeletVersion").into(),
        address(node, "InternalIP").into(),
        address(node, "ExternalIP").into(),
        known("osImage").into(),
        kernel.into(),
        known("containerRuntimeVersion").into(),
    ]
}

fn state(node: &Value) -> String {
    let ready = match condition(&node["status"], "Ready").map(|c| text(c, "status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let closed = if flag(&node["spec"], "unschedulable") { ",SchedulingDisabled" } else { "" };
    format!("{ready}{closed}")
}

fn roles(node: &Value) -> String {
    let named = entries(&node["metadata"], "labels").filter_map(|(key, value)| {
        let of_key = key.strip_prefix("node-role.kubernetes.io/");
        let of_value = value.as_str().filter(|_| key == "kubernetes.io/role");
        of_key.or(of_value).filter(|role| !role.is_empty())
    });
    let names = named.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",");
    table::or(&names, "<none>").to_owned()
}

fn address<'a>(node: &'a Value, kind: &str) -> &'a str {
    let found = items(&node["status"], "addresses").iter().find(|a| text(a, "type") == kind);
    found.map_or("<none>", |a| text(a, "address"))
}
