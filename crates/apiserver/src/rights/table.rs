//! What each role may do with each resource. The administrator may do everything and is not in it.
//!
//! A served kind or subresource without a row fails a test, and is the administrator's alone until it has one.

/// What the roles may do with one resource.
pub(super) struct Row {
    /// The API group.
    pub(super) group: &'static str,
    /// The resource, with its part: `pods/log`.
    pub(super) resource: &'static str,
    /// Verbs of everybody who is known, with a role or without.
    pub(super) all: &'static [&'static str],
    /// Verbs of `read` (and of `submit`).
    pub(super) read: &'static [&'static str],
    /// Verbs of `submit` besides.
    pub(super) submit: &'static [&'static str],
}

const NONE: &[&str] = &[];
const GET: &[&str] = &["get"];
const LOOK: &[&str] = &["get", "list", "watch"];
const CREATE: &[&str] = &["create"];
const WRITE: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];
/// Streams to a process: by `GET` with an upgrade, or by `POST`.
const TALK: &[&str] = &["get", "create"];

const fn row(
    group: &'static str,
    resource: &'static str,
    read: &'static [&'static str],
    submit: &'static [&'static str],
) -> Row {
    Row { group, resource, all: NONE, read, submit }
}

/// A review of oneself.
const fn own(group: &'static str, resource: &'static str) -> Row {
    Row { group, resource, all: CREATE, read: NONE, submit: NONE }
}

/// The table.
pub(super) const ROWS: &[Row] = &[
    // Work: what a submitter is for. What in it touches the host is `powers`' to say.
    row("batch", "jobs", LOOK, WRITE),
    row("batch", "jobs/status", GET, NONE),
    row("batch", "cronjobs", LOOK, WRITE),
    row("batch", "cronjobs/status", GET, NONE),
    row("", "pods", LOOK, WRITE),
    row("", "pods/status", GET, NONE),
    row("", "pods/log", GET, NONE),
    row("", "pods/attach", NONE, TALK),
    row("", "pods/exec", NONE, TALK),
    row("", "pods/portforward", NONE, TALK),
    row("", "pods/eviction", NONE, CREATE),
    row("", "pods/binding", NONE, NONE),
    row("", "pods/ephemeralcontainers", GET, NONE),
    row("", "pods/resize", GET, NONE),
    row("", "configmaps", LOOK, WRITE),
    row("", "persistentvolumeclaims", LOOK, WRITE),
    row("", "persistentvolumeclaims/status", GET, NONE),
    // Given, never read back: an answer to update, patch or delete shows the data.
    row("", "secrets", NONE, CREATE),
    // The cluster: looked at.
    row("", "namespaces", LOOK, NONE),
    row("", "namespaces/status", GET, NONE),
    row("", "namespaces/finalize", NONE, NONE),
    row("", "nodes", LOOK, NONE),
    row("", "nodes/status", GET, NONE),
    row("", "events", LOOK, NONE),
    row("events.k8s.io", "events", LOOK, NONE),
    row("", "services", LOOK, NONE),
    row("", "services/status", GET, NONE),
    row("apps", "replicasets", LOOK, NONE),
    row("apps", "replicasets/status", GET, NONE),
    row("node.k8s.io", "runtimeclasses", LOOK, NONE),
    row("", "persistentvolumes", LOOK, NONE),
    row("", "persistentvolumes/status", GET, NONE),
    row("storage.k8s.io", "storageclasses", LOOK, NONE),
    row("", "resourcequotas", LOOK, NONE),
    row("", "resourcequotas/status", GET, NONE),
    row("", "limitranges", LOOK, NONE),
    row("scheduling.k8s.io", "priorityclasses", LOOK, NONE),
    row("coordination.k8s.io", "leases", LOOK, NONE),
    row("policy", "poddisruptionbudgets", LOOK, NONE),
    row("policy", "poddisruptionbudgets/status", GET, NONE),
    row("rbac.authorization.k8s.io", "roles", NONE, NONE),
    row("rbac.authorization.k8s.io", "rolebindings", NONE, NONE),
    row("rbac.authorization.k8s.io", "clusterroles", NONE, NONE),
    row("rbac.authorization.k8s.io", "clusterrolebindings", NONE, NONE),
    // Who one is: everybody's own matter. Who others are, and their tokens: the administrator's.
    row("", "serviceaccounts", LOOK, NONE),
    row("", "serviceaccounts/token", NONE, NONE),
    own("authentication.k8s.io", "selfsubjectreviews"),
    own("authorization.k8s.io", "selfsubjectaccessreviews"),
    own("authorization.k8s.io", "selfsubjectrulesreviews"),
    row("authentication.k8s.io", "tokenreviews", NONE, NONE),
    row("authorization.k8s.io", "subjectaccessreviews", NONE, NONE),
    row("authorization.k8s.io", "localsubjectaccessreviews", NONE, NONE),
];

/// Paths that are no resources and that everybody who is known may read; below them too where they end in `*`.
pub(super) const PATHS: &[&str] = &[
    "/",
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/openapi/*",
    "/version",
    "/healthz*",
    "/livez*",
    "/readyz*",
];
