//! v1 services: the API's own, which clients look for, and no others.
//!
//! Source of its Table: upstream pkg/printers/internalversion/printers.go (`printService`).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::common::{AGE, NAME, PLAIN, column, wide};
use super::json::{entries, int, items, text};
use super::table;
use crate::kind::{Column, Kind, NameRule, Served};

/// The name of the API's own service, in the namespace `default`.
const NAME_OF_OWN: &str = "kubernetes";

/// The row.
pub(super) const KIND: Kind = Kind {
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    served: Served::Empty(
        "this server runs Jobs and Pods; services are listed only so that clients work, and cannot be written",
    ),
    schema: "io.k8s.api.core.v1.Service",
    name_rule: NameRule::Label,
    columns: COLUMNS,
    cells,
    ..PLAIN
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Type", "How it is reached."),
    column("Cluster-IP", "Its address within the cluster."),
    column("External-IP", "Its address from outside."),
    column("Port(s)", "The ports it listens on."),
    AGE,
    wide("Selector", "Which pods stand behind it."),
];

/// The service of an API that listens at this address, as upstream's API server makes its own
/// (pkg/controlplane/controller/kubernetesservice).
#[must_use]
pub fn of_api(ip: &str, port: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": NAME_OF_OWN, "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster", "ipFamilyPolicy": "SingleStack",
            "ipFamilies": [if ip.contains(':') { "IPv6" } else { "IPv4" }],
            "ports": [{"name": "https", "port": port, "protocol": "TCP", "targetPort": port}],
        },
        "status": {"loadBalancer": {}},
    })
}

fn cells(service: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &service["spec"];
    let port = |port: &Value| format!("{}/{}", int(port, "port").unwrap_or(0), text(port, "protocol"));
    let ports: Vec<String> = items(spec, "ports").iter().map(port).collect();
    let pair = |(key, value): (&String, &Value)| format!("{key}={}", value.as_str().unwrap_or_default());
    let selector: Vec<String> = entries(spec, "selector").map(pair).collect();
    vec![
        table::name(service),
        text(spec, "type").into(),
        table::or(text(spec, "clusterIP"), "<none>").into(),
        "<none>".into(),
        table::or(&ports.join(","), "<none>").into(),
        table::age(service, now),
        table::or(&selector.join(","), "<none>").into(),
    ]
}
