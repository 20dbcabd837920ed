//! v1 nodes.
//!
//! Sources: upstream pkg/registry/core/node/strategy.go and printNode in pkg/printers/internalversion/printers.go.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::{Column, Kind, Subresource};
use crate::kinds::common::{self, AGE, NAME, PLAIN, column, condition, wide};
use crate::kinds::json::{entries, fill, flag, is_set, items, object, text};
use crate::kinds::pod::default::round_quantities;
use crate::kinds::table;

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
    prepare_update: common::keep_status,
    prepare_status: common::keep_all_but_status,
    fields,
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

fn fields(node: &Value) -> Vec<(&'static str, String)> {
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
