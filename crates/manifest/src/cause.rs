//! How a job ended, read from its conditions and pods.

use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodStatus};

use crate::Cause;
use crate::ended;
use crate::facts::{self, condition};
use crate::marks::Cancellation;
use crate::tasks::Indexes;

/// How the job ended; `None` while it has not.
pub(crate) fn of_job(job: &Job, pods: &[Pod]) -> Option<Cause> {
    if condition(job, "Complete").is_some() {
        return Some(Cause::Succeeded);
    }
    let cancelled = facts::cancellation(job);
    if let Some(failed) = condition(job, "Failed") {
        return Some(match cancelled {
            Some(by) if is_by_cancel(failed, &by) => Cause::Cancelled { by },
            _ => of_failure(job, failed, pods),
        });
    }
    cancelled.filter(|_| never_starts(job)).map(|by| Cause::Cancelled { by })
}

/// Why the job fails, in the time between the decision and the end of its last pod.
pub(crate) fn of_failure(job: &Job, failed: &JobCondition, pods: &[Pod]) -> Cause {
    let reason = failed.reason.clone().unwrap_or_default();
    if reason == "DeadlineExceeded" {
        return Cause::DeadlineExceeded;
    }
    let of_pod = deciding_pod(job, pods).and_then(of_pod);
    of_pod.unwrap_or_else(|| Cause::Failed { reason, message: failed.message.clone().unwrap_or_default() })
}

/// Cancelling sets a deadline of one second: that deadline is the cancellation, and so is whatever fails after it.
/// The times of conditions are whole seconds.
fn is_by_cancel(failed: &JobCondition, by: &Cancellation) -> bool {
    let after = facts::since(failed).is_some_and(|time| time.as_second() >= by.when.as_second());
    failed.reason.as_deref() == Some("DeadlineExceeded") || after
}

/// Whether a cancelled job is one that had not started: suspended, no pods to run even when it is resumed.
fn never_starts(job: &Job) -> bool {
    let Some(spec) = facts::spec(job) else { return false };
    let active = facts::status(job).and_then(|status| status.active).unwrap_or(0);
    spec.suspend == Some(true) && spec.parallelism == Some(0) && active == 0
}

/// The pod whose end is the job's: of the first failed index, the last attempt.
pub fn deciding_pod<'a>(job: &Job, pods: &'a [Pod]) -> Option<&'a Pod> {
    let is_bad = |pod: &&Pod| facts::phase(pod) == "Failed" || is_given_up(pod) || is_taken(pod);
    let failed = || pods.iter().filter(is_bad);
    let completed =
        facts::status(job).and_then(|status| status.completed_indexes.as_deref()).unwrap_or_default();
    // Read once: of 100,000 tasks it may be half a megabyte.
    let completed = Indexes::parse(completed);
    let first = failed().filter_map(facts::index).filter(|index| !completed.contains(*index)).min();
    failed()
        .filter(|pod| first.is_none() || facts::index(pod) == first)
        .max_by_key(|pod| (facts::ended(pod), pod.metadata.creation_timestamp.clone().map(|time| time.0)))
}

/// A pod that is being deleted after a try of its own failed: so the Job controller ends one that is started again in its
/// place, once that was too often (`pkg/controller/job`, `pastBackoffLimitOnFailure`).
fn is_given_up(pod: &Pod) -> bool {
    let failed = |container| own_end(pod, container).is_some_and(|end| end.exit_code != 0);
    starts_again(pod)
        && is_deleted(pod)
        && facts::phase(pod) != "Succeeded"
        && facts::containers(pod).any(failed)
}

/// A pod that the cluster takes away: it counts as failed from then on, however long it takes to end.
fn is_taken(pod: &Pod) -> bool {
    is_deleted(pod) && facts::disruption(pod).is_some() && facts::phase(pod) != "Succeeded"
}

/// The end that a container came to by itself. The back-off limit is reached when a container is started once too often: what
/// it ran then is ended by the Job controller, and the try before that is what failed.
pub(crate) fn own_end<'a>(pod: &Pod, container: &'a ContainerStatus) -> Option<&'a ContainerStateTerminated> {
    let now = facts::terminated(container);
    let before = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    let was_ended = match now {
        Some(end) => is_deleted(pod) && matches!(end.exit_code, 137 | 143),
        None => true,
    };
    before.filter(|_| was_ended && starts_again(pod)).or(now)
}

fn starts_again(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| spec.restart_policy.as_deref() == Some("OnFailure"))
}

fn is_deleted(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// How a failed pod ended: its first container that did not end well, else the pod's own reason.
///
/// What the cluster did to the pod comes first: its containers' codes are then those of being ended.
pub(crate) fn of_pod(pod: &Pod) -> Option<Cause> {
    if let Some((reason, message)) = ended::disruption_of(pod) {
        return Some(Cause::Failed { reason, message });
    }
    let is_late = |status: &PodStatus| status.reason.as_deref() == Some("DeadlineExceeded");
    if facts::pod_status(pod).is_some_and(is_late) {
        return Some(Cause::DeadlineExceeded);
    }
    let ends = facts::containers(pod).filter_map(|one| Some((one, own_end(pod, one)?)));
    let bad = ends.filter(|(_, end)| end.exit_code != 0);
    if let Some((container, end)) = bad.min_by_key(|(_, end)| end.finished_at.as_ref().map(|time| time.0)) {
        return Some(of_container(pod, &container.name, end));
    }
    let status = facts::pod_status(pod)?;
    let reason = status.reason.clone()?;
    Some(Cause::Failed { reason, message: status.message.clone().unwrap_or_default() })
}

/// How a container ended, badly.
pub(crate) fn of_container(pod: &Pod, container: &str, end: &ContainerStateTerminated) -> Cause {
    let (pod, container) = (facts::pod_name(pod).to_owned(), container.to_owned());
    let message = end.message.clone().unwrap_or_default();
    match end.reason.as_deref() {
        Some("StartError" | "ContainerCannotRun" | "RunContainerError") => {
            Cause::NotStarted { code: start_code(end.exit_code, &message), message, pod, container }
        }
        Some("ContainerStatusUnknown") => {
            Cause::Failed { reason: "ContainerStatusUnknown".to_owned(), message }
        }
        Some("OOMKilled") => Cause::Signalled { signal: 9, pod, container, out_of_memory: true },
        _ => match signal(end) {
            Some(signal) => Cause::Signalled { signal, pod, container, out_of_memory: false },
            None => Cause::Exited { code: end.exit_code, pod, container },
        },
    }
}

/// The exit code of an end: of a program that did not start a shell's for that.
pub(crate) fn code(end: &ContainerStateTerminated) -> i32 {
    match end.reason.as_deref() {
        Some("StartError" | "ContainerCannotRun" | "RunContainerError") => {
            start_code(end.exit_code, end.message.as_deref().unwrap_or_default())
        }
        _ => end.exit_code,
    }
}

/// A signal as runtimes report it: by its own field, or as 128+n. A program may itself end with 128+n, as shells
/// do for their children; the exit code is the same.
fn signal(end: &ContainerStateTerminated) -> Option<u8> {
    let by_field = end.signal.filter(|signal| (1..=64).contains(signal));
    let by_code = (129..=192).contains(&end.exit_code).then(|| end.exit_code - 128);
    by_field.or(by_code).and_then(|signal| u8::try_from(signal).ok())
}

/// A shell's code for a command that did not start; containerd reports 128 for all of them, with runc's words.
fn start_code(code: i32, message: &str) -> i32 {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match code {
        // That its directory is not there does not say that the command is not.
        _ if ended::is_about_directory(&message) => 125,
        126 | 127 => code,
        _ if says(&["not found", "no such file"]) => 127,
        _ if says(&["permission denied", "exec format error", "is a directory"]) => 126,
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::JobStatus;

    use super::*;

    /// With the list read anew for each pod this takes minutes.
    #[test]
    fn the_first_failed_index_is_found_among_very_many() {
        let count = 40_000;
        let even: Vec<String> = (0..count).step_by(2).map(|index| index.to_string()).collect();
        let status = JobStatus { completed_indexes: Some(even.join(",")), ..JobStatus::default() };
        let job = Job { status: Some(status), ..Job::default() };
        let failed = |index: u32| {
            let mut pod = Pod::default();
            pod.metadata.name = Some(format!("fit-{index}"));
            let annotation = ("batch.kubernetes.io/job-completion-index".to_owned(), index.to_string());
            pod.metadata.annotations = Some([annotation].into());
            pod.status = Some(PodStatus { phase: Some("Failed".to_owned()), ..PodStatus::default() });
            pod
        };
        // Even tasks failed too, before they succeeded.
        let pods: Vec<Pod> = (0..count).rev().map(failed).collect();
        assert_eq!(deciding_pod(&job, &pods).map(facts::pod_name), Some("fit-1"));
    }
}
