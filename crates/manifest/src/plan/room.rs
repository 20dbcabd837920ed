//! Whether a pod could run on a node at all, and whether a quota leaves room for it.

use serde_json::Value;

use super::Needs;
use super::needs::amounts;

/// Why no pod of the job can run on a node, were it empty; `None` if one can. Taints and labels as the scheduler reads
/// them; affinity is not weighed.
pub fn fits(needs: &Needs, node: &Value) -> Option<String> {
    for (label, wanted) in &needs.node_selector {
        if node["metadata"]["labels"][label].as_str() != Some(wanted) {
            return Some(format!("label {label}={wanted} is not there"));
        }
    }
    let unschedulable = node["spec"]["unschedulable"] == true;
    if unschedulable && !tolerated(needs, "node.kubernetes.io/unschedulable", "", "NoSchedule") {
        return Some("is cordoned".to_owned());
    }
    for taint in node["spec"]["taints"].as_array().into_iter().flatten() {
        let text = |field: &str| taint[field].as_str().unwrap_or_default();
        let (key, value, effect) = (text("key"), text("value"), text("effect"));
        if effect != "PreferNoSchedule" && !tolerated(needs, key, value, effect) {
            let value = if value.is_empty() { String::new() } else { format!("={value}") };
            return Some(format!("taint {key}{value}:{effect}"));
        }
    }
    let room = amounts(&node["status"]["allocatable"]);
    let short = needs
        .requests
        .iter()
        .find(|(resource, wanted)| **wanted > room.get(*resource).copied().unwrap_or(0.0));
    short.map(|(resource, _)| match node["status"]["allocatable"][resource].as_str() {
        Some(has) => format!("has {resource} {has}"),
        None => format!("has no {resource}"),
    })
}

/// Whether a toleration of the pod fits a taint (upstream `component-helpers/scheduling/corev1`).
fn tolerated(needs: &Needs, key: &str, value: &str, effect: &str) -> bool {
    needs.tolerations.iter().any(|one| {
        let text = |field: &str| one[field].as_str().unwrap_or_default();
        let is_key = text("key").is_empty() && text("operator") == "Exists" || text("key") == key;
        let is_effect = text("effect").is_empty() || text("effect") == effect;
        is_key && is_effect && (text("operator") == "Exists" || text("value") == value)
    })
}

/// Why a quota leaves no room for one pod of the job, or for the job itself; `None` if it does. Scoped quotas are left
/// to the cluster.
pub fn over_quota(needs: &Needs, quota: &Value) -> Option<String> {
    if quota["spec"]["scopes"].is_array() || quota["spec"]["scopeSelector"].is_object() {
        return None;
    }
    let (hard, used) = (amounts(&quota["status"]["hard"]), amounts(&quota["status"]["used"]));
    let wanted = |resource: &str| match resource {
        "pods" | "count/pods" | "count/jobs.batch" => Some(1.0),
        "cpu" | "memory" | "ephemeral-storage" => needs.requests.get(resource).copied(),
        _ => match (resource.strip_prefix("requests."), resource.strip_prefix("limits.")) {
            (Some(resource), _) => needs.requests.get(resource).copied(),
            (_, Some(resource)) => needs.limits.get(resource).copied(),
            _ => Some(0.0),
        },
    };
    hard.iter().find_map(|(resource, hard)| {
        let used = used.get(resource).copied().unwrap_or(0.0);
        let said = |field: &str| quota["status"][field][resource].as_str().unwrap_or("0").to_owned();
        match wanted(resource) {
            // Of a resource that is counted every pod must say something (upstream `pkg/quota/v1/evaluator/core`).
            None if must_be_said(resource) => {
                Some(format!("counts {resource}, and the pods do not say theirs"))
            }
            Some(wanted) if wanted > 0.0 && used + wanted > *hard => {
                Some(format!("{resource}: {} of {} are used", said("used"), said("hard")))
            }
            _ => None,
        }
    })
}

/// The resource of a quota that is used up and that jobs need, if one is. Scoped quotas may be none of the job's.
pub fn filled(quota: &Value) -> Option<String> {
    if quota["spec"]["scopes"].is_array() || quota["spec"]["scopeSelector"].is_object() {
        return None;
    }
    let (hard, used) = (amounts(&quota["status"]["hard"]), amounts(&quota["status"]["used"]));
    let full = hard.iter().find(|(resource, hard)| {
        let used = used.get(*resource).copied().unwrap_or(0.0);
        is_of_jobs(resource) && used > 0.0 && used >= **hard
    });
    full.map(|(resource, _)| {
        let hard = quota["status"]["hard"][resource].as_str().unwrap_or_default();
        format!("all of {resource} ({hard}) is used")
    })
}

/// Whether every job takes some of it: claims, services and the like may be used up, and jobs run on.
fn is_of_jobs(resource: &str) -> bool {
    let amount = resource.strip_prefix("requests.").or_else(|| resource.strip_prefix("limits."));
    matches!(resource, "pods" | "count/pods" | "count/jobs.batch")
        || matches!(amount.unwrap_or(resource), "cpu" | "memory" | "ephemeral-storage")
}

fn must_be_said(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory" | "requests.cpu" | "requests.memory" | "limits.cpu" | "limits.memory")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::filled;

    #[test]
    fn only_what_jobs_take_and_no_scope_narrows_is_a_full_quota() {
        let quota = |resource: &str, spec| json!({ "spec": spec, "status": { "hard": { resource: "2" }, "used": { resource: "2" } } });
        for resource in ["pods", "count/jobs.batch", "cpu", "limits.memory"] {
            assert!(filled(&quota(resource, json!({}))).is_some(), "{resource}");
            assert_eq!(filled(&quota(resource, json!({ "scopes": ["BestEffort"] }))), None);
        }
        for resource in
            ["services.loadbalancers", "requests.storage", "persistentvolumeclaims", "count/secrets"]
        {
            assert_eq!(filled(&quota(resource, json!({}))), None, "{resource}");
        }
    }
}
