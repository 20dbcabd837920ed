//! What is looked up in a Job and its pods again and again.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus as KubeStatus};
use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStatus, Event, Pod, PodCondition, PodStatus,
};

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

/// Whether no controller has taken note of the Job yet.
pub(crate) fn is_untouched(job: &Job) -> bool {
    status(job).is_none_or(|status| status.start_time.is_none() && status.active.unwrap_or(0) == 0)
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

/// When a Job that has ended is deleted by the cluster, if it is.
pub(crate) fn expires(job: &Job) -> Option<Timestamp> {
    let ttl = spec(job)?.ttl_seconds_after_finished?;
    finished(job)?.checked_add(jiff::SignedDuration::from_secs(i64::from(ttl))).ok()
}

/// When a Job ended, by its own conditions.
pub(crate) fn finished(job: &Job) -> Option<Timestamp> {
    let completed = status(job)?.completion_time.as_ref().map(|time| time.0);
    completed.or_else(|| condition(job, "Failed").and_then(since))
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

/// What a pod asks for of one resource, as a container says it; of several containers `1 + 500m`.
pub(crate) fn request(pod: &Pod, resource: &str) -> Option<String> {
    let asked = pod.spec.as_ref()?.containers.iter().filter_map(|container| {
        Some(container.resources.as_ref()?.requests.as_ref()?.get(resource)?.0.clone())
    });
    Some(asked.collect::<Vec<_>>().join(" + ")).filter(|text| !text.is_empty())
}

/// A pod's condition, whatever its status.
pub(crate) fn pod_condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod_status(pod)?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

/// That the cluster itself ends a pod, and why (KEP 3329).
pub(crate) fn disruption(pod: &Pod) -> Option<&PodCondition> {
    pod_condition(pod, "DisruptionTarget").filter(|condition| condition.status == "True")
}

/// What a pod says of limits that it is not held to.
pub(crate) fn unlimited(pod: &Pod) -> Option<&str> {
    let told = pod_condition(pod, marks::LIMITS_ENFORCED).filter(|condition| condition.status == "False")?;
    told.message.as_deref().filter(|message| !message.is_empty())
}

/// Whether a container is one of those that run before the others.
pub(crate) fn is_init(pod: &Pod, container: &str) -> bool {
    let init = pod_status(pod).and_then(|status| status.init_container_statuses.as_deref());
    init.unwrap_or_default().iter().any(|status| status.name == container)
}

/// Whether a container is one of those that run beside the others and end with them.
pub(crate) fn is_sidecar(pod: &Pod, container: &str) -> bool {
    let init = pod.spec.as_ref().and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    init.iter().any(|one| one.name == container && one.restart_policy.as_deref() == Some("Always"))
}

/// The Job of a pod, by its owner.
pub(crate) fn job_name(pod: &Pod) -> Option<&str> {
    let owners = pod.metadata.owner_references.as_ref()?;
    owners.iter().find(|owner| owner.kind == "Job").map(|owner| owner.name.as_str())
}

/// The beginning of a kubectl line about things of a namespace.
pub(crate) fn kubectl(namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) if !namespace.is_empty() => format!("kubectl -n {namespace}"),
        _ => "kubectl".to_owned(),
    }
}

/// The container whose end is the job's: the first of its pod, or of the Job's template.
pub(crate) fn payload<'a>(job: &'a Job, pod: &'a Pod) -> Option<&'a str> {
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.containers.first());
    let of_job = || spec(job)?.template.spec.as_ref()?.containers.first();
    of_pod.or_else(of_job).map(|container| container.name.as_str())
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

/// What an event says. Of many that are alike but for a name a client tells one, with words before it
/// (`client-go/tools/record`, `EventAggregator`).
pub(crate) fn said(event: &Event) -> Option<&str> {
    let message = event.message.as_deref()?;
    Some(message.strip_prefix("(combined from similar events): ").unwrap_or(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_a_pod_is_not_held_to_are_told_with_why() {
        let pod = |status: &str, message: &str| -> Pod {
            let condition =
                serde_json::json!({ "type": marks::LIMITS_ENFORCED, "status": status, "message": message });
            serde_json::from_value(serde_json::json!({ "status": { "conditions": [condition] } })).unwrap()
        };
        let words = "the memory limit is not enforced";
        assert_eq!(unlimited(&pod("False", words)), Some(words));
        assert_eq!((unlimited(&pod("True", "held")), unlimited(&pod("False", ""))), (None, None));
        assert_eq!(unlimited(&Pod::default()), None);
    }
}
