//! `cargo xtask schema`: writes `crates/apiserver/src/schema/table.txt`, the shapes of the served types, from the
//! facts in Kubernetes' Go modules: names, wire numbers and pointers from the struct tags, required fields, list types
//! and group-version-kinds from the published OpenAPI. No sentence of upstream's is copied. It knows nothing of how
//! the engine reads the table; the head of the table says its grammar.
mod source;
mod table;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

/// The Kubernetes release whose shapes are served, as the version of `k8s.io/kubernetes`.
const KUBERNETES: &str = "v1.36.3";
/// The same release as the version of its library modules.
const LIBRARIES: &str = "v0.36.3";

/// The types from which every served type can be reached; `*List` types follow by themselves where they exist.
const ROOTS: &[&str] = &[
    "core.v1.Binding",
    "core.v1.ConfigMap",
    "core.v1.Event",
    "core.v1.LimitRange",
    "core.v1.Namespace",
    "core.v1.Node",
    "core.v1.PersistentVolume",
    "core.v1.PersistentVolumeClaim",
    "core.v1.Pod",
    "core.v1.PodTemplate",
    "core.v1.ResourceQuota",
    "core.v1.Secret",
    "core.v1.Service",
    "core.v1.ServiceAccount",
    "batch.v1.CronJob",
    "batch.v1.Job",
    "apps.v1.ReplicaSet",
    "events.v1.Event",
    "node.v1.RuntimeClass",
    "scheduling.v1.PriorityClass",
    "storage.v1.StorageClass",
    "policy.v1.Eviction",
    "policy.v1.PodDisruptionBudget",
    "rbac.v1.ClusterRole",
    "rbac.v1.ClusterRoleBinding",
    "rbac.v1.Role",
    "rbac.v1.RoleBinding",
    "coordination.v1.Lease",
    "authentication.v1.SelfSubjectReview",
    "authentication.v1.TokenRequest",
    "authentication.v1.TokenReview",
    "authorization.v1.LocalSubjectAccessReview",
    "authorization.v1.SelfSubjectAccessReview",
    "authorization.v1.SelfSubjectRulesReview",
    "authorization.v1.SubjectAccessReview",
    "meta.v1.DeleteOptions",
    "meta.v1.PartialObjectMetadata",
    "meta.v1.Status",
];

/// Writes the table.
pub(crate) fn run() -> anyhow::Result<()> {
    let modules = modules()?;
    let library = |name: &str| modules.join("k8s.io").join(format!("{name}@{LIBRARIES}"));
    let kubernetes = modules.join("k8s.io").join(format!("kubernetes@{KUBERNETES}"));
    for folder in [library("api"), library("apimachinery"), kubernetes.clone()] {
        if !folder.is_dir() {
            bail!(
                "{} is not there; fetch it with `go mod download k8s.io/kubernetes@{KUBERNETES} k8s.io/api@{LIBRARIES} \
                 k8s.io/apimachinery@{LIBRARIES}` and run this again",
                folder.display()
            );
        }
    }
    let mut types = source::Types::default();
    for package in [
        "core",
        "batch",
        "apps",
        "events",
        "node",
        "scheduling",
        "policy",
        "rbac",
        "coordination",
        "authentication",
        "authorization",
        "storage",
    ] {
        types.read(&format!("{package}.v1"), &library("api").join(package).join("v1/types.go"))?;
    }
    types.read("meta.v1", &library("apimachinery").join("pkg/apis/meta/v1/types.go"))?;
    let swagger = std::fs::read(kubernetes.join("api/openapi-spec/swagger.json"))?;
    let swagger: serde_json::Value = serde_json::from_slice(&swagger)?;
    let text = table::write(&types, &swagger, ROOTS, KUBERNETES)?;
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/apiserver/src/schema/table.txt");
    std::fs::write(&target, text).with_context(|| format!("cannot write {}", target.display()))
}

/// Go's module cache.
fn modules() -> anyhow::Result<PathBuf> {
    let output = Command::new("go")
        .args(["env", "GOMODCACHE"])
        .output()
        .context("cannot run `go env GOMODCACHE`; is Go installed?")?;
    let path = String::from_utf8(output.stdout)?;
    if !output.status.success() || path.trim().is_empty() {
        bail!("`go env GOMODCACHE` names no folder");
    }
    Ok(PathBuf::from(path.trim()))
}
