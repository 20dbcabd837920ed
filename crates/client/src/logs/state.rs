//! Where a container stands, as far as its log is concerned.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

/// One container of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContainerState {
    /// The newest attempt that has started, from 0.
    pub(crate) attempt: u32,
    /// Whether that attempt has ended.
    pub(crate) ended: bool,
    /// Whether no attempt comes after it.
    pub(crate) over: bool,
    /// Whether the pod is gone, and its log with it.
    pub(crate) gone: bool,
}

/// The containers of a pod that have started, init containers first.
pub(crate) fn of_pod(pod: &Pod) -> Vec<(String, ContainerState)> {
    let Some(status) = &pod.status else { return Vec::new() };
    let pod_is_over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    let once = policy == Some("Never");
    let init = status.init_container_statuses.iter().flatten();
    let all = init.chain(status.container_statuses.iter().flatten());
    all.filter_map(|container| Some((container.name.clone(), of_container(container, pod_is_over, once)?)))
        .collect()
}

fn of_container(container: &ContainerStatus, pod_is_over: bool, once: bool) -> Option<ContainerState> {
    let state = container.state.as_ref()?;
    let runs = state.running.is_some();
    let waits_again = container.last_state.as_ref().is_some_and(|last| last.terminated.is_some());
    if !runs && state.terminated.is_none() && !waits_again {
        return None;
    }
    // A runtime that never started the container has no log of it.
    let end = state.terminated.as_ref();
    if end.is_some_and(|end| end.started_at.is_none() && end.container_id.is_none())
        && container.restart_count == 0
    {
        return None;
    }
    let attempt = u32::try_from(container.restart_count).unwrap_or(0);
    Some(ContainerState { attempt, ended: !runs, over: !runs && (pod_is_over || once), gone: false })
}
