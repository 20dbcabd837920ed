//! Kinds that are listed only so that clients work: `kubectl get all` and `kubectl delete job,rs,svc` ask for them.

use crate::kind::{Column, Kind, NameRule, Served};
use crate::kinds::common::{AGE, NAME, PLAIN, column, wide};

const fn number(name: &'static str, description: &'static str) -> Column {
    Column { kind: "integer", ..column(name, description) }
}

/// v1 services.
pub(super) const SERVICES: Kind = Kind {
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
    columns: &[
        NAME,
        column("Type", "How it is reached."),
        column("Cluster-IP", "Its address within the cluster."),
        column("External-IP", "Its address from outside."),
        column("Port(s)", "The ports it listens on."),
        AGE,
        wide("Selector", "Which pods stand behind it."),
    ],
    ..PLAIN
};

/// apps/v1 replica sets.
pub(super) const REPLICA_SETS: Kind = Kind {
    group: "apps",
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    categories: &["all"],
    served: Served::Empty(
        "this server runs Jobs and Pods; replicasets are listed only so that clients work, and cannot be written",
    ),
    schema: "io.k8s.api.apps.v1.ReplicaSet",
    columns: &[
        NAME,
        number("Desired", "How many pods there should be."),
        number("Current", "How many pods there are."),
        number("Ready", "How many of them are ready."),
        AGE,
        wide("Containers", "The names of a pod's containers."),
        wide("Images", "Their images."),
        wide("Selector", "Which pods are its own."),
    ],
    ..PLAIN
};
