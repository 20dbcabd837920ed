//! The life of a namespace: what it is given, and how it empties itself. It knows no kind by name but the two it gives.
//!
//! Source: upstream `pkg/controller/namespace/deletion`, `serviceaccounts_controller.go`, `rootcacertpublisher`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::planted::{Bug, is_planted};
use crate::view::Meta;

/// The ConfigMap of every namespace that says whom its pods trust.
pub const AUTHORITY: &str = "kube-root-ca.crt";
/// The entry of `spec.finalizers` that keeps a namespace until it is empty.
pub const FINALIZER: &str = "kubernetes";

/// What every namespace that is not being deleted has: the ServiceAccount `default` and the ConfigMap
/// `kube-root-ca.crt` with the certificate (PEM) of the engine's authority.
#[must_use]
pub fn given(namespace: &str, authority_pem: &str) -> [Value; 2] {
    let about = "kubernetes.io/description";
    let why =
        "The certificate of the authority that signs this engine's own; for pods that speak to its API.";
    [
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": namespace},
        }),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": AUTHORITY, "namespace": namespace, "annotations": {about: why}},
            "data": {"ca.crt": authority_pem},
        }),
    ]
}

/// What is left of one resource in a namespace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Remaining {
    /// The resource's plural name, e.g. `jobs`.
    pub resource: String,
    /// Its group, empty for the core.
    pub group: String,
    /// How many objects there are.
    pub objects: usize,
    /// How many of them are not being deleted yet.
    pub untouched: usize,
    /// How many of them hold each finalizer.
    pub finalizers: BTreeMap<String, usize>,
}

/// What to do for a namespace now.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// Resources (plural name, group) whose objects are to be deleted, all that are not being deleted yet, in the
    /// background.
    pub delete: Vec<(String, String)>,
    /// The new `status`, if it differs.
    pub status: Option<Value>,
    /// Take `kubernetes` off `spec.finalizers`: it is empty, and goes.
    pub finalize: bool,
}

/// Decides for a namespace, given as `metadata` and the whole object. One that is not being deleted asks for nothing.
#[must_use]
pub fn plan(meta: &Meta, namespace: &Value, remaining: &[Remaining], now: Timestamp) -> Plan {
    let held =
        namespace["spec"]["finalizers"].as_array().is_some_and(|all| all.iter().any(|one| one == FINALIZER));
    if meta.deletion_timestamp.is_none() || !held {
        return Plan::default();
    }
    let untouched = remaining.iter().filter(|left| left.untouched > 0);
    let delete = untouched.map(|left| (left.resource.clone(), left.group.clone())).collect();
    let status = status(&namespace["status"], remaining, now);
    Plan {
        delete,
        status: (status != namespace["status"]).then_some(status),
        finalize: remaining.iter().all(|left| {
            let is_asked_to_go = left.untouched == 0 && is_planted(Bug::EmptiesTooEarly);
            left.objects == 0 || is_asked_to_go
        }),
    }
}

fn status(old: &Value, remaining: &[Remaining], now: Timestamp) -> Value {
    let mut status = old.as_object().cloned().unwrap_or_default();
    status.insert("phase".into(), "Terminating".into());
    let mut conditions = old["conditions"].as_array().cloned().unwrap_or_default();
    for (kind, holds, reason, message) in conditions_of(remaining) {
        let value = if holds { "True" } else { "False" };
        let present = conditions.iter().position(|condition| condition["type"] == kind);
        let since = match present.map(|place| &conditions[place]) {
            Some(condition) if condition["status"] == value => condition["lastTransitionTime"].clone(),
            _ => json!(Timestamp::from_second(now.as_second()).unwrap_or(now)),
        };
        let condition = json!({
            "type": kind, "status": value, "lastTransitionTime": since, "reason": reason, "message": message,
        });
        match present {
            Some(place) => conditions[place] = condition,
            None => conditions.push(condition),
        }
    }
    status.insert("conditions".into(), conditions.into());
    status.into()
}

/// Type, whether it holds, reason, message. The first three tell of failures that cannot occur here: the engine knows
/// its resources without discovery, and deletes in one transaction.
fn conditions_of(remaining: &[Remaining]) -> [(&'static str, bool, &'static str, String); 5] {
    let resources = remaining.iter().filter(|left| left.objects > 0);
    let mut resources: Vec<String> = resources
        .map(|left| format!("{}.{} has {} resource instances", left.resource, left.group, left.objects))
        .collect();
    resources.sort();
    let mut finalizers: BTreeMap<&str, usize> = BTreeMap::new();
    for (finalizer, count) in remaining.iter().flat_map(|left| &left.finalizers) {
        *finalizers.entry(finalizer).or_default() += count;
    }
    let finalizers: Vec<String> = finalizers
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(finalizer, count)| format!("{finalizer} in {count} resource instances"))
        .collect();
    let fine = |kind, reason, message: &str| (kind, false, reason, message.to_owned());
    [
        fine(
            "NamespaceDeletionDiscoveryFailure",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        fine(
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        fine(
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        match resources.is_empty() {
            true => fine("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
            false => {
                let message = format!("Some resources are remaining: {}", resources.join(", "));
                ("NamespaceContentRemaining", true, "SomeResourcesRemain", message)
            }
        },
        match finalizers.is_empty() {
            true => fine(
                "NamespaceFinalizersRemaining",
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished",
            ),
            false => {
                let message = format!(
                    "Some content in the namespace has finalizers remaining: {}",
                    finalizers.join(", ")
                );
                ("NamespaceFinalizersRemaining", true, "SomeFinalizersRemain", message)
            }
        },
    ]
}

#[cfg(test)]
mod tests;
