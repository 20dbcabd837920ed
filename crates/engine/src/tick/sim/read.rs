//! Reading objects as anybody would who has nothing but what is stored.

use std::collections::BTreeSet;

use serde_json::Value;

/// The finalizer that keeps a pod until it is counted.
pub(super) const TRACKED: &str = "batch.kubernetes.io/job-tracking";
/// Where a pod of an Indexed Job has its index.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Whose controller the engine is, unless a Job says otherwise.
const OURS: &str = "kubernetes.io/job-controller";

/// A text of the metadata; empty if there is none.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// What it is called in what is told: `team-1/job3`.
pub(super) fn called(object: &Value) -> String {
    format!("{}/{}", text(object, "namespace"), text(object, "name"))
}

/// Namespace and name in a key; no namespace if there is none.
pub(super) fn place(key: &str) -> (Option<&str>, &str) {
    let mut parts = key.split('/').skip(2);
    match (parts.next(), parts.next()) {
        (Some(namespace), Some(name)) => (Some(namespace), name),
        (name, _) => (None, name.unwrap_or_default()),
    }
}

/// A number; 0 if there is none.
pub(super) fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// The uid of the controller.
pub(super) fn owner(object: &Value) -> Option<&str> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["controller"] == true)?["uid"].as_str()
}

pub(super) fn index(pod: &Value) -> Option<u64> {
    pod["metadata"]["annotations"][INDEX].as_str()?.parse().ok()
}

pub(super) fn is_indexed(job: &Value) -> bool {
    job["spec"]["completionMode"] == "Indexed"
}

/// Whether another controller says that the Job is its own.
pub(super) fn is_managed(job: &Value) -> bool {
    job["spec"]["managedBy"].as_str().is_some_and(|name| name != OURS)
}

/// Whether a pod that is being deleted is replaced only when it has ended.
pub(super) fn waits_for_ends(job: &Value) -> bool {
    job["spec"]["podReplacementPolicy"] == "Failed" || job["spec"]["podFailurePolicy"].is_object()
}

pub(super) fn is_terminal(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

pub(super) fn is_going(object: &Value) -> bool {
    !text(object, "deletionTimestamp").is_empty()
}

/// Neither over nor going.
pub(super) fn is_live(pod: &Value) -> bool {
    !is_terminal(pod) && !is_going(pod)
}

pub(super) fn holds(object: &Value, finalizer: &str) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|list| list.iter().any(|one| one == finalizer))
}

/// Whether it still waits to be counted.
pub(super) fn is_tracked(pod: &Value) -> bool {
    holds(pod, TRACKED)
}

/// The type and reason of a condition that is true.
pub(super) fn said(status: &Value, kind: &str) -> Option<(String, String)> {
    let conditions = status["conditions"].as_array()?;
    let is_it = |c: &&Value| c["type"] == kind && c["status"] == "True";
    let found = conditions.iter().find(is_it)?;
    Some((kind.to_owned(), found["reason"].as_str().unwrap_or_default().to_owned()))
}

pub(super) fn ended(job: &Value) -> Option<&'static str> {
    ["Complete", "Failed"].into_iter().find(|end| said(&job["status"], end).is_some())
}

/// Whether its end is decided.
pub(super) fn is_ending(job: &Value) -> bool {
    let says = |kind: &str| said(&job["status"], kind).is_some();
    ended(job).is_some() || says("SuccessCriteriaMet") || says("FailureTarget")
}

/// The uids that a Job's status lists as ended and not yet counted.
pub(super) fn uncounted(job: &Value, of: &str) -> BTreeSet<String> {
    let list = job["status"]["uncountedTerminatedPods"][of].as_array();
    list.into_iter().flatten().filter_map(|uid| uid.as_str().map(str::to_owned)).collect()
}

/// The indexes that a Job's status calls done.
pub(super) fn completed(job: &Value) -> BTreeSet<u64> {
    indexes(job["status"]["completedIndexes"].as_str().unwrap_or_default())
}

/// The numbers of `0,2-4`.
pub(super) fn indexes(text: &str) -> BTreeSet<u64> {
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        number(from)..=number(to)
    };
    text.split(',').filter(|part| !part.is_empty()).flat_map(range).collect()
}

/// A whole number that is a quantity.
pub(super) fn amount(quantity: &Value) -> usize {
    quantity.as_str().and_then(|text| text.parse().ok()).expect("a number")
}

/// Whole processors that a pod asks for.
pub(super) fn cpus(pod: &Value) -> usize {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    containers.map(|one| &one["resources"]["requests"]["cpu"]).filter(|cpu| cpu.is_string()).map(amount).sum()
}

/// Whether the policy for failures lets this one count: the first rule that speaks of it says so, or none does.
pub(super) fn counts_as_failure(job: &Value, pod: &Value) -> bool {
    let rules = job["spec"]["podFailurePolicy"]["rules"].as_array().into_iter().flatten();
    let speaks = |rule: &&Value| match rule["onExitCodes"]["values"].as_array() {
        Some(codes) => {
            let mut containers = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
            containers.any(|one| {
                let code = &one["state"]["terminated"]["exitCode"];
                !code.is_null() && *code != 0 && codes.contains(code)
            })
        }
        None => {
            let mut meant = rule["onPodConditions"].as_array().into_iter().flatten();
            meant.any(|one| one["type"].as_str().is_some_and(|kind| said(&pod["status"], kind).is_some()))
        }
    };
    rules.into_iter().find(speaks).is_none_or(|rule| rule["action"] != "Ignore")
}
