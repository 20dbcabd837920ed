//! A payload that has ended while another container keeps its pod running.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use crate::status::PayloadEnd;
use crate::{Cause, cause, facts};

/// The end of the payload, of a job with one pod whose first container has ended for good and whose others run on.
/// Of jobs with several pods nothing is said: which of them matters, only the Job controller knows.
pub(crate) fn payload_end(job: &Job, pods: &[Pod]) -> Option<PayloadEnd> {
    let spec = facts::spec(job)?;
    let several = |count: Option<i32>| count.is_some_and(|count| count > 1);
    if several(spec.completions) || several(spec.parallelism) {
        return None;
    }
    let mut active =
        pods.iter().filter(|pod| !facts::is_over(pod) && pod.metadata.deletion_timestamp.is_none());
    let pod = active.next().filter(|_| active.next().is_none())?;
    let name = facts::payload(job, pod)?;
    let statuses = facts::pod_status(pod)?.container_statuses.as_deref()?;
    let end = facts::terminated(statuses.iter().find(|status| status.name == name)?)?;
    let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    if end.exit_code != 0 && policy != Some("Never") {
        return None;
    }
    let runs = |status: &&ContainerStatus| status.state.as_ref().is_some_and(|state| state.running.is_some());
    let others: Vec<String> = statuses.iter().filter(runs).map(|status| status.name.clone()).collect();
    (!others.is_empty()).then(|| PayloadEnd {
        cause: match end.exit_code {
            0 => Cause::Succeeded,
            _ => cause::of_container(pod, name, end),
        },
        pod: facts::pod_name(pod).to_owned(),
        container: name.to_owned(),
        still_running: others,
    })
}
