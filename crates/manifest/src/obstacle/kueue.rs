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
    if workload["spec"]["active"] == false {
        let next =
            format!("{kubectl} patch workload {name} --type merge -p '{{\"spec\":{{\"active\":true}}}}'");
        return Obstacle::blocked(
            format_args!("Kueue, in which somebody deactivated it (queue {queue:?})"),
            &next,
        );
    }
    if let Some(checks) = waiting_checks(workload) {
        let what = format!("admission check {checks} in queue {queue:?}");
        return Obstacle { next_step: Some(describe), ..Obstacle::waiting(what) };
    }
    if is_true(workload, "Admitted") {
        return Obstacle::waiting(format_args!("Kueue to start it: queue {queue:?} has admitted it"));
    }
    let evicted = condition(workload, "Evicted").filter(|evicted| evicted["status"] == "True");
    let Some(told) = condition(workload, "QuotaReserved").and_then(|told| told["message"].as_str()) else {
        return Obstacle {
            next_step: Some(describe),
            ..Obstacle::waiting(format_args!("its turn in queue {queue:?} of Kueue"))
        };
    };
    let told = trimmed(told);
    if says(told, &["doesn't exist", "does not exist", "is inactive", "is stopped"]) {
        let next = format!("choose a queue that is there and open: {kubectl} get localqueues");
        return Obstacle::blocked(format_args!("queue {queue:?} of Kueue: {told}"), &next);
    }
    if says(told, &["maximum capacity", "insufficient quota for", "> maximum"])
        && !says(told, &["unused quota"])
    {
        let next = format!("ask for less, or for a queue with more: {describe}");
        return Obstacle::blocked(
            format_args!("queue {queue:?} of Kueue, which will never have room: {told}"),
            &next,
        );
    }
    let again = evicted.map(|evicted| match evicted["reason"].as_str().unwrap_or_default() {
        "Preempted" => " again, after another job took its place",
        "PodsReadyTimeout" => " again, after its pods were not ready in time",
        _ => " again",
    });
    let what = format!("room in queue {queue:?} of Kueue{}: {told}", again.unwrap_or_default());
    Obstacle { next_step: Some(describe), ..Obstacle::waiting(what) }
}

fn condition<'a>(workload: &'a Value, kind: &str) -> Option<&'a Value> {
    workload["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

fn is_true(workload: &Value, kind: &str) -> bool {
    condition(workload, kind).is_some_and(|condition| condition["status"] == "True")
}

/// The checks that have not said yes, once there is room.
fn waiting_checks(workload: &Value) -> Option<String> {
    if !is_true(workload, "QuotaReserved") || is_true(workload, "Admitted") {
        return None;
    }
    let checks = workload["status"]["admissionChecks"].as_array()?;
    let open = checks.iter().find(|check| check["state"] != "Ready")?;
    let told =
        open["message"].as_str().filter(|text| !text.is_empty()).map(|text| format!(" ({})", trimmed(text)));
    Some(format!("{:?}{}", open["name"].as_str().unwrap_or_default(), told.unwrap_or_default()))
}
