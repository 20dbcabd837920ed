//! Kinds that are listed only so that clients work: `kubectl get all` and `kubectl delete job,rs,svc` ask for them.

use crate::kind::{Kind, NameRule, Served};
use crate::kinds::common::PLAIN;

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
    ..PLAIN
};
