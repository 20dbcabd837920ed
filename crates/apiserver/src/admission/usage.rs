//! How much an object uses of what quotas limit, and which of a quota's names are about a kind.
//!
//! Source: upstream pkg/quota/v1/evaluator/core.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::amounts::Amounts;
use super::pods;
use crate::kind::{Fields, Kind, Served};
use crate::kinds::pod::validate::resources::is_extended;
use crate::quantity::Quantity;

/// What of a kind has to be known to say how much of a quota's resources it uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counting {
    /// Nothing: the quota does not limit it.
    No,
    /// How many objects there are.
    Number,
    /// The pods that have not ended.
    Alive,
    /// All objects.
    Objects,
}

/// Kinds whose old quota names have no `count/`.
const OLD_NAMES: [&str; 3] = ["configmaps", "resourcequotas", "secrets"];
const BY_CLASS: &str = ".storageclass.storage.k8s.io/";

/// Whether quotas are asked about a kind at all. Events never were.
pub(super) fn is_limited(kind: &Kind) -> bool {
    kind.namespaced && kind.served == Served::Full && kind.kind != "Event"
}

fn is_pod(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.kind == "Pod"
}

fn is_claim(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.kind == "PersistentVolumeClaim"
}

/// The name by which objects of a kind are counted: `count/jobs.batch`.
fn count_name(kind: &Kind) -> String {
    let dot = if kind.group.is_empty() { "" } else { "." };
    format!("count/{}{dot}{}", kind.plural, kind.group)
}

/// Whether a quota's name is about a kind.
pub(super) fn is_about(kind: &Kind, name: &str) -> bool {
    if !is_limited(kind) {
        return false;
    }
    if let Some(rest) = name.strip_prefix("count/") {
        let group = rest.strip_prefix(kind.plural).map(|rest| rest.strip_prefix('.').unwrap_or(rest));
        return group == Some(kind.group);
    }
    if is_pod(kind) {
        return matches!(
            name,
            "cpu"
                | "memory"
                | "ephemeral-storage"
                | "requests.cpu"
                | "requests.memory"
                | "requests.ephemeral-storage"
                | "limits.cpu"
                | "limits.memory"
                | "limits.ephemeral-storage"
                | "pods"
        ) || name.starts_with("hugepages-")
            || name.starts_with("requests.hugepages-")
            || name.strip_prefix("requests.").is_some_and(is_extended);
    }
    if is_claim(kind) {
        let resource = name.split_once(BY_CLASS).map_or(name, |(_, resource)| resource);
        return matches!(resource, "persistentvolumeclaims" | "requests.storage");
    }
    kind.group.is_empty() && OLD_NAMES.contains(&kind.plural) && name == kind.plural
}

/// What has to be known of a kind for a quota of these names; with scopes it depends on the objects.
pub(super) fn counting(kind: &Kind, names: &Amounts, has_scopes: bool) -> Counting {
    let about: Vec<&str> = names.names().filter(|name| is_about(kind, name)).collect();
    let numbers = about.iter().filter(|name| name.starts_with("count/") || OLD_NAMES.contains(name)).count();
    match numbers {
        _ if about.is_empty() => Counting::No,
        some if some == about.len() && !has_scopes => Counting::Number,
        0 if is_pod(kind) => Counting::Alive,
        _ => Counting::Objects,
    }
}

/// How many objects of a kind there are, as an amount.
pub(super) fn number(kind: &Kind, number: usize) -> Amounts {
    let number = Quantity::whole(u32::try_from(number).unwrap_or(u32::MAX));
    let mut amounts = Amounts::default();
    amounts.set(count_name(kind), number);
    if kind.group.is_empty() && OLD_NAMES.contains(&kind.plural) {
        amounts.set(kind.plural, number);
    }
    amounts
}

/// How much an object uses.
#[must_use]
pub fn usage(kind: &Kind, object: &dyn Fields, now: Timestamp) -> Amounts {
    if !is_limited(kind) {
        return Amounts::default();
    }
    let mut used = number(kind, 1);
    if is_pod(kind) && is_alive(object, now) {
        let spec = &object["spec"];
        let requests = pods::with_overhead(spec, "requests");
        used.add(&compute(&requests, &pods::with_overhead(spec, "limits")));
    } else if is_claim(kind) {
        used.add(&storage(object));
    }
    used
}

/// Whether time alone will make an object use less: a pod that is being deleted, until it should be gone.
#[must_use]
pub fn fades(kind: &Kind, object: &dyn Fields, now: Timestamp) -> bool {
    is_pod(kind) && object["metadata"]["deletionTimestamp"].is_string() && is_alive(object, now)
}

/// A pod counts until it has ended, or should have: one that cannot be deleted is not held against its namespace.
fn is_alive(pod: &dyn Fields, now: Timestamp) -> bool {
    if matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
        return false;
    }
    let metadata = &pod["metadata"];
    let (Some(end), Some(grace)) =
        (metadata["deletionTimestamp"].as_str(), metadata["deletionGracePeriodSeconds"].as_i64())
    else {
        return true;
    };
    let end = end.parse::<Timestamp>().ok();
    end.and_then(|end| end.checked_add(SignedDuration::from_secs(grace)).ok()).is_none_or(|end| now <= end)
}

/// What one that asks for so much uses of the names of pods.
pub(super) fn compute(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut used = Amounts::default();
    used.set("pods", Quantity::whole(1));
    for (name, amount) in requests.iter() {
        let is_native =
            matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
        if is_native {
            used.set(name, amount);
        }
        if is_native || is_extended(name) {
            used.set(format!("requests.{name}"), amount);
        }
    }
    for name in ["cpu", "memory", "ephemeral-storage"] {
        if let Some(amount) = limits.get(name) {
            used.set(format!("limits.{name}"), amount);
        }
    }
    used
}

fn storage(claim: &dyn Fields) -> Amounts {
    let mut used = Amounts::default();
    used.set("persistentvolumeclaims", Quantity::whole(1));
    let asked = Quantity::of(&claim["spec"]["resources"]["requests"]["storage"]).ok();
    let given = Quantity::of(&claim["status"]["allocatedResources"]["storage"]).ok();
    let size = asked.map(|asked| given.map_or(asked, |given| asked.max(given)).rounded_up());
    if let Some(size) = size {
        used.set("requests.storage", size);
    }
    let old = &claim["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"];
    let class: &Value = if old.is_null() { &claim["spec"]["storageClassName"] } else { old };
    if let Some(class) = class.as_str().filter(|class| !class.is_empty()) {
        used.set(format!("{class}{BY_CLASS}persistentvolumeclaims"), Quantity::whole(1));
        if let Some(size) = size {
            used.set(format!("{class}{BY_CLASS}requests.storage"), size);
        }
    }
    used
}
