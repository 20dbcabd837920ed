//! Which pod there is to attach to: a watch of the job's pods until one runs or has ended. It knows no connection.

use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerState, Pod};

use super::main_container;
use crate::transport::Fault;
use crate::view::{owner, pod_selector};
use crate::watch::{News, Selection, Since, watch};
use crate::{JobManager, Result};

/// A container that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) pod: String,
    pub(super) container: String,
}

/// How far a pod's container is.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Running(Target),
    Over,
}

impl JobManager {
    /// Waits until the container of the job's pod runs. `None`: it has ended, or the job ended without it.
    pub(super) async fn running(&self, job: &Job) -> Result<Option<Target>> {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let Some(selector) = pod_selector(job) else { return Ok(None) };
        let path = self.core_path("pods");
        let selection = Selection { path, selector: Some(("labelSelector", selector)), keeps: None };
        let mut changes = watch::<Pod>(self, selection, Since::List);
        while let Some(change) = changes.next().await {
            let pods = match change {
                Ok(News::All(pods)) => pods,
                Ok(News::Is(pod)) => vec![pod],
                Ok(News::Gone(pod)) if is_of(&pod, job) => return Ok(None),
                Ok(News::Gone(_)) => Vec::new(),
                Err(fault) => return Err(self.error(name, fault)),
            };
            for pod in pods.iter().filter(|pod| is_of(pod, job)) {
                match stage(pod) {
                    Stage::Waiting => {}
                    Stage::Running(target) => return Ok(Some(target)),
                    Stage::Over => return Ok(None),
                }
            }
        }
        Err(self.error(name, Fault::silent("the watch ended without a reason")))
    }
}

fn is_of(pod: &Pod, job: &Job) -> bool {
    owner(pod).is_some() && owner(pod) == job.metadata.uid.as_deref()
}

fn stage(pod: &Pod) -> Stage {
    let status = pod.status.as_ref();
    if matches!(status.and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed")) {
        return Stage::Over;
    }
    let Some(container) = pod.spec.as_ref().and_then(main_container) else { return Stage::Waiting };
    let statuses = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    match statuses.iter().find(|status| status.name == container).and_then(|status| status.state.as_ref()) {
        Some(ContainerState { running: Some(_), .. }) => Stage::Running(Target {
            pod: pod.metadata.name.clone().unwrap_or_default(),
            container: container.to_owned(),
        }),
        Some(ContainerState { terminated: Some(_), .. }) => Stage::Over,
        _ => Stage::Waiting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage_of(status: &serde_json::Value) -> Stage {
        let pod = serde_json::json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "side"}, {"name": "main"}]},
            "status": status,
        });
        stage(&serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn commands_container_is_the_one_that_counts() {
        let states = |main: serde_json::Value| {
            serde_json::json!({"phase": "Running", "containerStatuses": [
                {"name": "side", "state": {"terminated": {"exitCode": 0}}, "image": "", "imageID": "", "ready": true, "restartCount": 0},
                {"name": "main", "state": main, "image": "", "imageID": "", "ready": true, "restartCount": 0},
            ]})
        };
        let target = Target { pod: "p".into(), container: "main".into() };
        assert_eq!(stage_of(&states(serde_json::json!({"running": {}}))), Stage::Running(target));
        assert_eq!(stage_of(&states(serde_json::json!({"waiting": {}}))), Stage::Waiting);
        assert_eq!(stage_of(&states(serde_json::json!({"terminated": {"exitCode": 1}}))), Stage::Over);
        assert_eq!(stage_of(&serde_json::json!({"phase": "Pending"})), Stage::Waiting);
        assert_eq!(stage_of(&serde_json::json!({"phase": "Failed"})), Stage::Over);
    }
}
