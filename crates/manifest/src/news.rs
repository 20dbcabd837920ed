//! What events say of pods that were ended: why a container was, that did not end by itself, and what became of a pod that is
//! gone. The reasons and sentences are kubelets' (`pkg/kubelet/prober`, `pkg/kubelet/kuberuntime`), the taint controller's and
//! the scheduler's.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Event, Pod};

use crate::facts;
use crate::obstacle;
use crate::words::trimmed;

/// So much of a probe's answer is told, characters: a kubelet keeps up to 10 KiB of it.
const ANSWER: usize = 200;

/// Why a container was ended from outside, as a part of a sentence; `None` if no event tells it of this run.
pub(crate) fn ended_for(
    events: &[Event],
    pod: &Pod,
    container: &str,
    end: &ContainerStateTerminated,
) -> Option<String> {
    let of_run = || events.iter().filter(|event| is_about(event, facts::pod_name(pod)) && is_of(event, end));
    let reason = |event: &Event, reason: &str| event.reason.as_deref() == Some(reason);
    // More than one container may have probes; the message names the one that is ended.
    let named = format!("ontainer {container} failed ");
    let probe = of_run().filter(|event| reason(event, "Killing")).find_map(|event| {
        let (_, rest) = facts::said(event)?.split_once(&named)?;
        rest.split_once(" probe").map(|(probe, _)| probe.to_owned())
    });
    if let Some(probe) = probe {
        let answers =
            of_run().filter(|event| reason(event, "Unhealthy") && names(event, container) != Some(false));
        let answers = answers.filter_map(|event| Some((obstacle::time(event), facts::said(event)?)));
        let of_probe = answers.filter(|(_, said)| said.to_lowercase().starts_with(&probe));
        let last = of_probe.max_by_key(|(time, _)| *time);
        let answer = last.and_then(|(_, said)| said.split_once(" probe failed: ")).map(|(_, why)| brief(why));
        let answer = answer.filter(|answer| !answer.is_empty());
        let answer = answer.map_or(String::new(), |answer| format!(": {answer}"));
        return Some(format!("its {probe} probe failed{answer}"));
    }
    let is_hook = of_run().filter(|event| reason(event, "FailedPostStartHook")).any(|event| {
        // An event that names no container is of this one if no other has such a hook.
        names(event, container).unwrap_or_else(|| hooked(pod).eq([container]))
    });
    is_hook.then(|| "its hook after the start (postStart) failed".to_owned())
}

/// Whether an event may tell of the run that ended so: an earlier run of the same container has left its own. The times are
/// whole seconds; of one that came in the very second of the start only a signal's end is taken for its effect.
fn is_of(event: &Event, end: &ContainerStateTerminated) -> bool {
    let Some((time, start)) = obstacle::time(event).zip(end.started_at.as_ref().map(|time| time.0)) else {
        return true;
    };
    let is_signalled = end.signal.is_some_and(|signal| signal > 0) || end.exit_code > 128;
    if is_signalled { time >= start } else { time > start }
}

/// Whether an event names this container as what it is about; `None` if it names none.
fn names(event: &Event, container: &str) -> Option<bool> {
    let (_, named) = event.involved_object.field_path.as_deref()?.split_once('{')?;
    Some(named.trim_end_matches('}') == container)
}

/// The containers that have a hook after their start.
fn hooked(pod: &Pod) -> impl Iterator<Item = &str> {
    let spec = pod.spec.iter();
    let all = spec.flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    let has_hook = |one: &&k8s_openapi::api::core::v1::Container| {
        one.lifecycle.as_ref().is_some_and(|hooks| hooks.post_start.is_some())
    };
    all.filter(has_hook).map(|one| one.name.as_str())
}

/// The first line, and of that no more than [`ANSWER`] characters.
fn brief(answer: &str) -> String {
    let line = answer.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(ANSWER) {
        Some((end, _)) => format!("{}...", line[..end].trim_end()),
        None => trimmed(line).to_owned(),
    }
}

/// The pod that a Job failed with whose pods are all gone: its events are what is left of it. `None` where several ran at once:
/// which of them failed first is not told, and the others were ended for it.
pub fn lost_pod<'a>(job: &Job, pods: &[Pod], events: &'a [Event]) -> Option<&'a str> {
    let has_failed = ["Failed", "FailureTarget"].iter().any(|kind| facts::condition(job, kind).is_some());
    if !has_failed || !pods.is_empty() {
        return None;
    }
    let made: Vec<&Event> = events.iter().filter(|event| is_creation(event, job)).collect();
    let is_one =
        |event: &Event| facts::said(event) == event.message.as_deref() && event.count.unwrap_or(1) <= 1;
    let one_at_once = facts::spec(job).and_then(|spec| spec.parallelism).unwrap_or(1) <= 1;
    let last = match made[..] {
        [only] if is_one(only) => only,
        _ if one_at_once => made.into_iter().max_by_key(|event| obstacle::time(event))?,
        _ => return None,
    };
    facts::said(last)?.strip_prefix("Created pod: ")
}

fn is_creation(event: &Event, job: &Job) -> bool {
    event.reason.as_deref() == Some("SuccessfulCreate") && event.involved_object.uid == job.metadata.uid
}

/// What became of the pods of a Job that has none any more, as a sentence's end.
pub(crate) fn gone(job: &Job, events: &[Event]) -> String {
    let unknown = || "its pod failed or was deleted, and is no longer there to tell".to_owned();
    let Some(pod) = lost_pod(job, &[], events) else { return unknown() };
    let says = |reason: &str, begin: &str| {
        let mut told = events.iter().filter(|event| is_about(event, pod));
        told.any(|event| {
            event.reason.as_deref() == Some(reason)
                && facts::said(event).unwrap_or_default().starts_with(begin)
        })
    };
    let template = facts::spec(job).and_then(|spec| spec.template.spec.as_ref());
    let starts_again = template.is_some_and(|pod| pod.restart_policy.as_deref() == Some("OnFailure"));
    let payload = template.and_then(|pod| pod.containers.first()).map_or("", |one| one.name.as_str());
    // The same reason is given when such a deletion is called off.
    if says("TaintManagerEviction", "Marking for deletion") {
        return format!("its pod {pod} was ended for a taint of its node (NoExecute)");
    }
    if says("Preempted", "") {
        return "its pod was ended to make room for one of higher priority".to_owned();
    }
    // Images that cannot be pulled are backed off from, too.
    if starts_again && says("BackOff", "Back-off restarting failed container") {
        return format!(
            "its pod {pod} failed too often in its place, and was deleted for it (restartPolicy OnFailure)"
        );
    }
    // Of a sidecar it is said as well, when the command has ended; and of what a probe ends in other words.
    if !payload.is_empty() && says("Killing", &format!("Stopping container {payload}")) {
        return format!("its pod {pod} was deleted while it ran");
    }
    unknown()
}

fn is_about(event: &Event, pod: &str) -> bool {
    let object = &event.involved_object;
    object.kind.as_deref() == Some("Pod") && object.name.as_deref() == Some(pod)
}

#[cfg(test)]
mod tests;
