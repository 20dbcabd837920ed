//! The last lines of every container of a job, by pod and container.

use std::collections::BTreeMap;

use windlass_manifest::Seen;

use super::DefinitionManager;
use crate::transport::{Call, Fault, segment};
use crate::{Result, limits};

/// Lines of each container that are read unless somebody says otherwise.
pub const LINES: u32 = 200;

/// Lines by container by pod.
pub type JobLogs = BTreeMap<String, BTreeMap<String, Vec<String>>>;

impl DefinitionManager {
    /// The last lines of every container of a job, init containers among them. A container that has not started yet
    /// has one line, the reason: `ContainerCreating`.
    ///
    /// At most 256 MiB of one container are read. For all that was written, followed, use
    /// [`JobManager::logs`](crate::JobManager::logs).
    ///
    /// # Errors
    /// `NotFound`, and what every call may answer.
    pub async fn job_logs(&self, name: &str, lines: u32) -> Result<JobLogs> {
        let jobs = self.jobs();
        let job = jobs.job(name).await?;
        let pods = jobs.pods_of(&job).await.map_err(|fault| jobs.error(name, fault))?;
        let mut logs = JobLogs::new();
        for pod in Seen::All(&pods).items() {
            let (Some(pod_name), Some(spec)) = (&pod.metadata.name, &pod.spec) else { continue };
            let by_container = logs.entry(pod_name.clone()).or_default();
            for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
                let tail = self.tail(pod_name, &container.name, lines).await;
                let tail = tail.map_err(|fault| jobs.error(name, fault))?;
                by_container.insert(container.name.clone(), tail);
            }
        }
        Ok(logs)
    }

    async fn tail(&self, pod: &str, container: &str, lines: u32) -> Result<Vec<String>, Fault> {
        let call = Call::get(format!("{}/{}/log", self.jobs().core_path("pods"), segment(pod)))
            .query("container", container)
            .query("tailLines", &lines.to_string())
            .query("limitBytes", &limits::ANSWER.to_string());
        match self.jobs().ask_bytes(&call).await {
            Ok((_, bytes)) => {
                if bytes.len() >= limits::ANSWER / 10 * 9 {
                    tracing::warn!(pod, container, bytes = bytes.len(), "the log may be cut");
                }
                Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
            }
            Err(fault) => match waiting(&fault) {
                Some(reason) => Ok(vec![reason.to_owned()]),
                // It went with its pod, between the list and this.
                None if fault.is_not_found() => Ok(Vec::new()),
                None => Err(fault),
            },
        }
    }
}

/// Why a container has no log yet: `... is waiting to start: ContainerCreating`.
fn waiting(fault: &Fault) -> Option<&str> {
    let (_, reason) = fault.message.rsplit_once("is waiting to start: ")?;
    (fault.code == 400).then_some(reason.trim())
}
