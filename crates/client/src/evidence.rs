//! What else says why a job stands where it stands: Kueue's Workload, the nodes, the last lines of what failed. Asked
//! for where it helps, and never a reason to fail: what cannot be had makes the verdict shorter.

use futures::future::{self, Either};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::{Value, json};
use windlass_manifest::tasks::TaskEvidence;
use windlass_manifest::{
    Cause, Evidence, JobStatus, Outlook, Phase, Right, Seen, observe_all, waiting_claims,
};

use crate::transport::{Answer, Call, Fault, segment};
use crate::view::seen_at;
use crate::{JobManager, limits};

/// Versions of Kueue's API that serve Workloads, the newest first.
const KUEUE: [&str; 2] = ["v1beta2", "v1beta1"];
/// Claims of a pod whose events are asked for.
const CLAIMS: usize = 3;

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Events of the job and its pods, oldest first; `None` if there is nothing known of them.
    pub(crate) events: Option<Vec<Event>>,
    pub(crate) others: Vec<Value>,
    pub(crate) last_lines: Vec<String>,
    pub(crate) lacking: Vec<Right>,
    /// Of its failed tasks.
    pub(crate) tasks: Option<TaskEvidence>,
}

impl Found {
    /// The status of a job in the light of it.
    pub(crate) fn status(&self, job: &Job, pods: Seen<'_, Pod>) -> JobStatus {
        let Found { events, others, last_lines, lacking, tasks } = self;
        let events = events.as_deref().map_or(Seen::NotAsked, Seen::All);
        observe_all(job, &Evidence { pods, events, others, last_lines, lacking, tasks: tasks.as_ref() })
    }

    /// Keeps what there is, or that it may not be had.
    fn take(&mut self, right: Right, answer: Result<Vec<Value>, Fault>) {
        match answer {
            Ok(objects) => self.others.extend(objects),
            Err(fault) if fault.is_forbidden() => self.lacking.push(right),
            Err(fault) => {
                tracing::debug!(
                    code = fault.code,
                    message = fault.message,
                    right = right.words(),
                    "not found out"
                );
            }
        }
    }
}

impl JobManager {
    /// Finds out what helps to say why a job stands where it stands. What takes too long is left out.
    pub(crate) async fn find_out(
        &self,
        job: &Job,
        pods: Seen<'_, Pod>,
        events: Result<Vec<Event>, Fault>,
    ) -> Found {
        let mut found = Found::default();
        match events {
            Ok(events) => found.events = Some(events),
            Err(fault) if fault.is_forbidden() => found.lacking.push(Right::Events),
            Err(_) => {}
        }
        let status = found.status(job, pods);
        let work = self.add(&mut found, job, pods, &status);
        let sleep = self.world.sleep(limits::EVIDENCE);
        let is_late = matches!(future::select(std::pin::pin!(work), sleep).await, Either::Right(_));
        if is_late {
            tracing::debug!("the cluster takes too long to say more");
        }
        found
    }

    async fn add(&self, found: &mut Found, job: &Job, pods: Seen<'_, Pod>, status: &JobStatus) {
        if status.phase == Phase::Suspended && is_queued(job) {
            found.take(Right::Workloads, self.workloads(job).await);
        }
        if status.verdict.outlook != Outlook::Final && pods.items().iter().any(wants_nodes) {
            found.take(Right::Nodes, self.nodes().await);
        } else if status.phase == Phase::Pending
            && is_untouched(job)
            && let Ok(nodes) = self.nodes().await
        {
            // Seldom the reason, so it is no matter if they may not be read.
            found.others.extend(nodes);
        } else if matches!(status.phase, Phase::Running | Phase::Ending)
            && let Some(name) = pods.items().iter().find_map(its_node)
            && let Ok(node) = self.node(name).await
        {
            found.others.push(node);
        }
        for claim in waiting_claims(pods.items()).into_iter().take(CLAIMS) {
            found.others.extend(self.claim_events(claim).await.unwrap_or_default());
        }
        let wants_lines = status.verdict.last_lines.is_empty();
        if let Some(Cause::Exited { pod, container, .. } | Cause::Signalled { pod, container, .. }) =
            &status.cause
            && wants_lines
            && pods.items().iter().any(|one| one.metadata.name.as_ref() == Some(pod))
        {
            match self.last_lines(pod, container).await {
                Ok(lines) => found.last_lines = lines,
                Err(fault) if fault.is_forbidden() => found.lacking.push(Right::Logs),
                Err(fault) => tracing::debug!(code = fault.code, message = fault.message, "no last lines"),
            }
        }
    }

    /// What was told of a claim, oldest first. Seldom the reason, so it is no matter if it may not be read.
    async fn claim_events(&self, name: &str) -> Result<Vec<Value>, Fault> {
        let selector = format!("involvedObject.kind=PersistentVolumeClaim,involvedObject.name={name}");
        let mut events: Vec<Event> =
            self.selected(&self.core_path("events"), "fieldSelector", &selector).await?;
        events.sort_by_key(seen_at);
        let events = events.iter().filter_map(|event| serde_json::to_value(event).ok());
        Ok(events.collect())
    }

    async fn workloads(&self, job: &Job) -> Result<Vec<Value>, Fault> {
        let uid = job.metadata.uid.as_deref().unwrap_or_default();
        let mut fault = Fault::default();
        for version in KUEUE {
            let namespace = segment(&self.namespace);
            let path = format!("/apis/kueue.x-k8s.io/{version}/namespaces/{namespace}/workloads");
            let call = Call::get(path).query("labelSelector", &format!("kueue.x-k8s.io/job-uid={uid}"));
            match self.ask::<Value>(call.query("limit", "1")).await {
                Ok(Answer { value, .. }) => return Ok(items(value, "Workload")),
                Err(refused) if refused.is_not_found() => fault = refused,
                Err(refused) => return Err(refused),
            }
        }
        Err(fault)
    }

    /// What the nodes have, those of the first page.
    async fn nodes(&self) -> Result<Vec<Value>, Fault> {
        let call = Call::get("/api/v1/nodes").query("limit", &limits::PAGE.to_string());
        let nodes = items(self.ask::<Value>(call).await?.value, "Node");
        Ok(nodes.iter().map(slim).collect())
    }

    /// What one node has.
    async fn node(&self, name: &str) -> Result<Value, Fault> {
        let call = Call::get(format!("/api/v1/nodes/{}", segment(name)));
        Ok(slim(&self.ask::<Value>(call).await?.value))
    }

    pub(crate) async fn last_lines(&self, pod: &str, container: &str) -> Result<Vec<String>, Fault> {
        let call = Call::get(format!("{}/{}/log", self.core_path("pods"), segment(pod)))
            .query("container", container)
            .query("tailLines", limits::LAST_LINES)
            .query("limitBytes", limits::LAST_BYTES);
        let (_, bytes) = self.ask_bytes(&call).await?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
    }
}

/// What of a node says something of a job.
fn slim(node: &Value) -> Value {
    let conditions = node["status"]["conditions"].as_array();
    let pressure = conditions.into_iter().flatten().find(|one| one["type"] == "DiskPressure");
    json!({ "kind": "Node", "metadata": { "name": node["metadata"]["name"] },
            "spec": { "taints": node["spec"]["taints"] },
            "status": { "allocatable": node["status"]["allocatable"],
                        "conditions": pressure.into_iter().collect::<Vec<_>>() } })
}

/// The node of a pod that runs.
fn its_node(pod: &Pod) -> Option<&str> {
    let runs = pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
    pod.spec.as_ref()?.node_name.as_deref().filter(|_| runs)
}

/// Whether a job is one of Kueue's.
fn is_queued(job: &Job) -> bool {
    job.metadata.labels.iter().flatten().any(|(key, _)| key.starts_with("kueue.x-k8s.io/"))
}

/// Whether the nodes tell more than the scheduler does: how large they are, and which taints they have.
fn wants_nodes(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let waits = |message: &Option<String>| {
        message.as_deref().is_some_and(|text| {
            [" Insufficient ", "untolerated taint(s)"].iter().any(|words| text.contains(words))
        })
    };
    conditions.iter().any(|one| one.type_ == "PodScheduled" && one.status == "False" && waits(&one.message))
}

/// Whether no controller has taken note of a job yet; a disk without room keeps it from that.
fn is_untouched(job: &Job) -> bool {
    job.status.as_ref().is_none_or(|status| status.start_time.is_none())
}

/// The items of a list, each with its kind, which lists leave out.
fn items(mut list: Value, kind: &str) -> Vec<Value> {
    let Value::Array(mut items) = list["items"].take() else { return Vec::new() };
    items.iter_mut().for_each(|item| item["kind"] = kind.into());
    items
}
