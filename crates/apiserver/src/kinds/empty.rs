//! Kinds that are listed only so that clients work: `kubectl get all` and `kubectl delete job,rs,svc` ask for them.

use crate::kind::{Column, Kind, NameRule, Served};
use crate::kinds::common::{AGE, NAME, PLAIN, column, wide};

/// What those who write roles are told.
const FIXED_ROLES: &str = "this server runs Jobs and Pods; who may what is told by its three roles, which are fixed (windlass kubeconfig --role, \
     the label windlass.dev/role of a service account): roles and bindings are listed only so that clients work, and cannot be written";

const fn number(name: &'static str, description: &'static str) -> Column {
    Column { kind: "integer", ..column(name, description) }
}

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

/// policy/v1 pod disruption budgets.
pub(super) const DISRUPTION_BUDGETS: Kind = Kind {
    group: "policy",
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    singular: "poddisruptionbudget",
    short_names: &["pdb"],
    served: Served::Empty(
        "this server runs Jobs and Pods on one machine, and evicts whatever it is asked to; poddisruptionbudgets are listed only so that clients work, and cannot be written",
    ),
    schema: "io.k8s.api.policy.v1.PodDisruptionBudget",
    columns: &[
        NAME,
        column("Min Available", "How many pods must be there."),
        column("Max Unavailable", "How many may be missing."),
        number("Allowed Disruptions", "How many may go now."),
        AGE,
    ],
    ..PLAIN
};

const ROLE: Kind = Kind {
    group: "rbac.authorization.k8s.io",
    served: Served::Empty(FIXED_ROLES),
    name_rule: NameRule::PathSegment,
    columns: &[NAME, Column { kind: "date", ..column("Created At", "When the object was created.") }],
    ..PLAIN
};

const BINDING: Kind = Kind {
    columns: &[
        NAME,
        column("Role", "The role that is given."),
        AGE,
        wide("Users", "The users it is given to."),
        wide("Groups", "The groups it is given to."),
        wide("ServiceAccounts", "The service accounts it is given to."),
    ],
    ..ROLE
};

/// rbac.authorization.k8s.io/v1 roles.
pub(super) const ROLES: Kind =
    Kind { kind: "Role", plural: "roles", singular: "role", schema: "io.k8s.api.rbac.v1.Role", ..ROLE };

/// Their bindings.
pub(super) const ROLE_BINDINGS: Kind = Kind {
    kind: "RoleBinding",
    plural: "rolebindings",
    singular: "rolebinding",
    schema: "io.k8s.api.rbac.v1.RoleBinding",
    ..BINDING
};

/// Roles of the whole cluster.
pub(super) const CLUSTER_ROLES: Kind = Kind {
    kind: "ClusterRole",
    plural: "clusterroles",
    singular: "clusterrole",
    namespaced: false,
    schema: "io.k8s.api.rbac.v1.ClusterRole",
    ..ROLE
};

/// Their bindings.
pub(super) const CLUSTER_ROLE_BINDINGS: Kind = Kind {
    kind: "ClusterRoleBinding",
    plural: "clusterrolebindings",
    singular: "clusterrolebinding",
    namespaced: false,
    schema: "io.k8s.api.rbac.v1.ClusterRoleBinding",
    ..BINDING
};
