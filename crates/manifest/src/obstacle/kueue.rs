//! Jobs that Kueue holds until their queue has room: what their Workload says. The conditions and their reasons are
//! Kueue's (`kueue.x-k8s.io`, Workload).

use k8s_openapi::api::batch::v1::Job;
use serde_json::Value;

use super::Obstacle;
use crate::facts;
use crate::words::{says, trimmed};

/// The label that puts a job into a queue.
const QUEUE: &str = "kueue.x-k8s.io/queue-name";

/// Why a suspended job is not admitted; `None` if it is none of Kueue's.
pub(crate) fn of_job(job: &Job, others: &[Value]) -> Option<Obstacle> {
    let workload = others.iter().find(|object| object["kind"] == "Workload");
    let queue = job.metadata.labels.as_ref().and_then(|labels| labels.get(QUEUE)).map(String::as_str);
    let queue = queue.or_else(|| workload?["spec"]["queueName"].as_str())?;
    let Some(workload) = workload else {
        return Some(Obstacle::waiting(format_args!("queue {queue:?} of Kueue to admit it")));
    };
    Some(of_workload(workload, queue, &facts::kubectl(job.metadata.namespace.as_deref())))
}

fn of_workload(workload: &Value, queue: &str, kubectl: &str) -> Obstacle {
    let name = workload["metadata"]["name"].as_str().unwrap_or_default();
    let describe = format!("{kubectl} describe workload {name}");
    let evicted = condition(workload, "Evicted").filter(|evicted| evicted["status"] == "True");
    if workload["spec"]["active"] == false {
        let next =
            format!("{kubectl} patch workload {name} --type merge -p '{{\"spec\":{{\"active\":true}}}}'");
        return Obstacle::blocked(deactivated(evicted, queue), &next);
    }
    if let Some(check) = open_check(workload) {
        let what = format!("admission check {} in queue {queue:?}", named(check));
        if check["state"] == "Rejected" {
            return Obstacle::blocked(what, &describe);
        }
        return Obstacle { next_step: Some(describe), ..Obstacle::waiting(what) };
    }
    if is_true(workload, "Admitted") {
        return Obstacle::waiting(format_args!("Kueue to start it: queue {queue:?} has admitted it"));
    }
    let Some(told) = condition(workload, "QuotaReserved").and_then(|told| told["message"].as_str()) else {
        return Obstacle {
            next_step: Some(describe),
            ..Obstacle::waiting(format_args!("its turn in queue {queue:?} of Kueue"))
        };
    };
    let told = trimmed(told);
    if let Some(never) = never(told, queue, kubectl, &describe) {
        return never;
    }
    let reason = evicted.and_then(|evicted| evicted["reason"].as_str()).unwrap_or_default();
    let again = match reason {
        "" => "",
        "Preempted" => " again, after another job took its place",
        "PodsReadyTimeout" => " again, after its pods were not ready in time",
        _ => " again",
    };
    // Until it is looked at anew, the condition repeats why the job lost its place.
    let repeats = again.contains("after")
        && evicted.and_then(|evicted| evicted["message"].as_str()).is_some_and(|why| trimmed(why) == told);
    let told = if repeats { String::new() } else { format!(": {told}") };
    let what = format!("room in queue {queue:?} of Kueue{again}{told}");
    Obstacle { next_step: Some(describe), ..Obstacle::waiting(what) }
}

/// Who took it out of its queue: a person, or Kueue itself (reasons `DeactivatedDueTo...`).
fn deactivated(evicted: Option<&Value>, queue: &str) -> String {
    let text = |field: &str| evicted.and_then(|evicted| evicted[field].as_str()).unwrap_or_default();
    if !text("reason").starts_with("DeactivatedDueTo") {
        return format!("Kueue, in which somebody deactivated it (queue {queue:?})");
    }
    let why = trimmed(text("message"));
    let why = why.split_once(" deactivated due to ").map_or(why, |(_, why)| why);
    format!("Kueue, which deactivated it (queue {queue:?}): {why}")
}

/// What no waiting changes: queues that are not there or closed, requests above all of a queue's quota, flavors whose
/// nodes the pods do not take.
fn never(told: &str, queue: &str, kubectl: &str, describe: &str) -> Option<Obstacle> {
    if says(told, &["doesn't exist", "does not exist", "terminating or missing", "is inactive", "is stopped"])
    {
        let next = format!("choose a queue that is there and open: {kubectl} get localqueues");
        return Some(Obstacle::blocked(format_args!("queue {queue:?} of Kueue: {told}"), &next));
    }
    // Of several flavors one may get free.
    if says(told, &["unused quota", "pending the preemption"]) {
        return None;
    }
    if says(told, &["maximum capacity", "insufficient quota for", "> maximum"]) {
        let next = format!("ask for less, or for a queue with more: {describe}");
        let what = format_args!("queue {queue:?} of Kueue, which will never have room: {told}");
        return Some(Obstacle::blocked(what, &next));
    }
    let no_flavor =
        says(told, &["doesn't match node affinity", "untolerated taint", "unavailable in clusterqueue"])
            || says(told, &["flavor"]) && says(told, &["not found"]);
    no_flavor.then(|| {
        let next = "choose another queue, or ask for nodes that its flavors have: kubectl get resourceflavors -o yaml";
        Obstacle::blocked(format_args!("queue {queue:?} of Kueue, which has no nodes for it: {told}"), next)
    })
}

fn condition<'a>(workload: &'a Value, kind: &str) -> Option<&'a Value> {
    workload["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

fn is_true(workload: &Value, kind: &str) -> bool {
    condition(workload, kind).is_some_and(|condition| condition["status"] == "True")
}

/// The first check that has not said yes, once there is room; one that said no comes before all others.
fn open_check(workload: &Value) -> Option<&Value> {
    if !is_true(workload, "QuotaReserved") || is_true(workload, "Admitted") {
        return None;
    }
    let checks = workload["status"]["admissionChecks"].as_array()?;
    let open = |check: &&Value| check["state"] != "Ready";
    checks.iter().find(|check| check["state"] == "Rejected").or_else(|| checks.iter().find(open))
}

/// A check's name, and what it says.
fn named(check: &Value) -> String {
    let told = check["message"].as_str().filter(|text| !text.is_empty());
    let told = told.map(|text| format!(" ({})", trimmed(text))).unwrap_or_default();
    format!("{:?}{told}", check["name"].as_str().unwrap_or_default())
}
