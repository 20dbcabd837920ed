//! What events say of pods that were ended: why a container was, that did not end by itself, and what became of a pod that is
//! gone. The reasons and sentences are kubelets' (`pkg/kubelet/prober`, `pkg/kubelet/kuberuntime`), the taint controller's and
//! the scheduler's.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Event;

use crate::facts;
use crate::obstacle;
use crate::words::trimmed;

/// Why a container was ended from outside, as a part of a sentence; `None` if no event tells.
pub(crate) fn ended_for(events: &[Event], pod: &str, container: &str) -> Option<String> {
    let of_pod = || events.iter().filter(|event| is_about(event, pod));
    let reason = |event: &Event, reason: &str| event.reason.as_deref() == Some(reason);
    // More than one container may have probes; the message names the one that is ended.
    let named = format!("ontainer {container} failed ");
    let probe = of_pod().filter(|event| reason(event, "Killing")).find_map(|event| {
        let (_, rest) = facts::said(event)?.split_once(&named)?;
        rest.split_once(" probe").map(|(probe, _)| probe.to_owned())
    });
    if let Some(probe) = probe {
        let answers = of_pod().filter(|event| reason(event, "Unhealthy"));
        let answers = answers.filter_map(|event| Some((obstacle::time(event), facts::said(event)?)));
        let of_probe = answers.filter(|(_, said)| said.to_lowercase().starts_with(&probe));
        let last = of_probe.max_by_key(|(time, _)| *time);
        let answer =
            last.and_then(|(_, said)| said.split_once(" probe failed: ")).map(|(_, why)| trimmed(why));
        let answer = answer.filter(|answer| !answer.is_empty());
        let answer = answer.map_or(String::new(), |answer| format!(": {answer}"));
        return Some(format!("its {probe} probe failed{answer}"));
    }
    let is_hook = of_pod().any(|event| reason(event, "FailedPostStartHook"));
    is_hook.then(|| "its hook after the start (postStart) failed".to_owned())
}

/// What became of the last pod of a Job that has none any more, as a sentence's end.
pub(crate) fn gone(job: &Job, events: &[Event]) -> String {
    let made = events.iter().filter(|event| {
        event.reason.as_deref() == Some("SuccessfulCreate") && event.involved_object.uid == job.metadata.uid
    });
    let last = made.max_by_key(|event| obstacle::time(event));
    let pod = last.and_then(|event| facts::said(event)?.strip_prefix("Created pod: "));
    let told: Vec<&Event> =
        events.iter().filter(|event| pod.is_some_and(|pod| is_about(event, pod))).collect();
    let has = |reason: &str| told.iter().any(|event| event.reason.as_deref() == Some(reason));
    let of = pod.map_or(String::new(), |pod| format!(" {pod}"));
    if has("TaintManagerEviction") {
        return format!("its pod{of} was ended for a taint of its node (NoExecute)");
    }
    if has("Preempted") {
        return "its pod was ended to make room for one of higher priority".to_owned();
    }
    if has("BackOff") {
        return format!(
            "its pod{of} failed too often in its place, and was deleted for it (restartPolicy OnFailure)"
        );
    }
    if has("Killing") {
        return format!("its pod{of} was deleted while it ran");
    }
    "its pod failed or was deleted, and is no longer there to tell".to_owned()
}

fn is_about(event: &Event, pod: &str) -> bool {
    let object = &event.involved_object;
    object.kind.as_deref() == Some("Pod") && object.name.as_deref() == Some(pod)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, name: &str, reason: &str, message: &str) -> Event {
        let object = json!({ "kind": kind, "name": name, "uid": name });
        serde_json::from_value(json!({ "metadata": {}, "involvedObject": object, "reason": reason,
            "message": message, "lastTimestamp": "2026-01-01T00:00:00Z" }))
        .unwrap()
    }

    #[test]
    fn a_probe_that_ended_a_container_is_told_with_its_answer() {
        let events = [
            event("Pod", "p", "Unhealthy", "Readiness probe failed: no"),
            event("Pod", "p", "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500\n"),
            event("Pod", "p", "Killing", "Container main failed liveness probe, will be restarted"),
        ];
        let told = ended_for(&events, "p", "main");
        assert_eq!(
            told.as_deref(),
            Some("its liveness probe failed: HTTP probe failed with statuscode: 500")
        );
        assert_eq!(ended_for(&events, "p", "proxy"), None);
        assert_eq!(ended_for(&events, "q", "main"), None);
        let hook = [event("Pod", "p", "FailedPostStartHook", "PostStartHook failed")];
        assert!(ended_for(&hook, "p", "main").is_some_and(|told| told.contains("postStart")));
    }

    #[test]
    fn what_became_of_a_pod_that_is_gone_is_told_as_far_as_events_do() {
        let mut job = Job::default();
        job.metadata.uid = Some("job".to_owned());
        let made = event("Job", "job", "SuccessfulCreate", "Created pod: p");
        let killed = || event("Pod", "p", "Killing", "Stopping container main");
        let taint = event("Pod", "p", "TaintManagerEviction", "Marking for deletion Pod lab/p");
        assert_eq!(gone(&job, &[made.clone(), killed()]), "its pod p was deleted while it ran");
        assert!(gone(&job, &[made.clone(), killed(), taint]).contains("a taint of its node"));
        let again = event("Pod", "p", "BackOff", "Back-off restarting failed container");
        assert!(gone(&job, &[made, killed(), again]).contains("failed too often"));
        assert!(gone(&job, &[]).contains("failed or was deleted"));
    }
}
