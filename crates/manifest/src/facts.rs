//! What is looked up in a Job and its pods again and again.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus as KubeStatus};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodStatus};

use crate::marks::{self, Cancellation};

/// The label and annotation of a pod's completion index.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// A Job's condition that is True.
pub(crate) fn condition<'a>(job: &'a Job, kind: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")
}

/// When a condition became what it is.
pub(crate) fn since(condition: &JobCondition) -> Option<Timestamp> {
    condition.last_transition_time.as_ref().map(|time| time.0)
}

/// The Job's spec, if there is one.
pub(crate) fn spec(job: &Job) -> Option<&JobSpec> {
    job.spec.as_ref()
}

/// The Job's status, if there is one.
pub(crate) fn status(job: &Job) -> Option<&KubeStatus> {
    job.status.as_ref()
}

/// The record of who cancelled the Job. One that cannot be read is no record.
pub(crate) fn cancellation(job: &Job) -> Option<Cancellation> {
    let annotations = job.metadata.annotations.as_ref()?;
    serde_json::from_str(annotations.get(marks::CANCEL)?).ok()
}

/// When the Job was submitted, if its submitter wrote it down.
pub(crate) fn submitted(job: &Job) -> Option<Timestamp> {
    job.metadata.annotations.as_ref()?.get(marks::SUBMITTED)?.parse().ok()
}

/// The Job's name, for sentences.
pub(crate) fn name(job: &Job) -> &str {
    job.metadata.name.as_deref().unwrap_or_default()
}

/// A pod's name, for sentences.
pub(crate) fn pod_name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// A pod's completion index.
pub(crate) fn index(pod: &Pod) -> Option<u32> {
    let of =
        |marks: &Option<std::collections::BTreeMap<String, String>>| marks.as_ref()?.get(INDEX)?.parse().ok();
    of(&pod.metadata.labels).or_else(|| of(&pod.metadata.annotations))
}

/// A pod's phase; empty if it has none.
pub(crate) fn phase(pod: &Pod) -> &str {
    pod_status(pod).and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// A pod's status, if there is one.
pub(crate) fn pod_status(pod: &Pod) -> Option<&PodStatus> {
    pod.status.as_ref()
}

/// Init containers, then containers, as the pod reports them.
pub(crate) fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod_status(pod);
    let init = status.and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
    let main = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    init.iter().chain(main)
}

/// How a container ended, if it has.
pub(crate) fn terminated(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    container.state.as_ref()?.terminated.as_ref()
}

/// What a pod asks for, for sentences: `cpu 1, memory 2Gi`; of several containers with their names.
pub(crate) fn requests(pod: &Pod) -> String {
    let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let asked = containers.iter().filter_map(|container| {
        let requests = container.resources.as_ref()?.requests.as_ref()?;
        let words: Vec<String> =
            requests.iter().map(|(name, amount)| format!("{name} {}", amount.0)).collect();
        let of = if containers.len() > 1 { format!("{}: ", container.name) } else { String::new() };
        (!words.is_empty()).then(|| format!("{of}{}", words.join(", ")))
    });
    asked.collect::<Vec<_>>().join("; ")
}

/// Whether any container of the pod has ever started.
pub(crate) fn has_started(pod: &Pod) -> bool {
    containers(pod).any(|container| {
        let state = container.state.as_ref();
        container.restart_count > 0
            || state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    })
}

/// Whether the pod will run no more.
pub(crate) fn is_over(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// How many pods have ended that the job's status does not count yet.
pub(crate) fn uncounted(job: &Job, pods: &[Pod]) -> usize {
    let count = |count: Option<i32>| usize::try_from(count.unwrap_or(0)).unwrap_or(0);
    let counted = status(job).map_or(0, |status| count(status.succeeded) + count(status.failed));
    pods.iter().filter(|pod| is_over(pod)).count().saturating_sub(counted)
}

/// When a pod ended: its last container's end.
pub(crate) fn ended(pod: &Pod) -> Option<Timestamp> {
    containers(pod).filter_map(|container| Some(terminated(container)?.finished_at.as_ref()?.0)).max()
}
