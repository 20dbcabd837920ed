//! Get: a job with what belongs to it.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, Event, Pod};
use windlass_manifest::{JobStatus, Seen, deciding_pod, lost_pod};

use crate::transport::{Answer, Call, Fault};
use crate::{JobManager, Result, limits};

/// A job with its pods and events.
#[derive(Clone, Debug)]
pub struct JobView {
    /// The job as the server has it.
    pub job: Job,
    /// Its pods, oldest first. Empty when the user may not list pods (`status.verdict.missing` says so).
    pub pods: Vec<Pod>,
    /// Events of the job and its pods, oldest first. Empty when the user may not list events.
    pub events: Vec<Event>,
    /// The projection of the three.
    pub status: JobStatus,
}

impl JobManager {
    /// A job by its exact name, with pods, events and status.
    ///
    /// # Errors
    /// `NotFound`, and what every call may answer.
    pub async fn get(&self, name: &str) -> Result<JobView> {
        let job = self.job(name).await?;
        let pods = self.readable(self.pods_of(&job).await, name)?;
        let events = match self.events_of(name, &job, pods.as_deref()).await {
            Err(fault) if !fault.is_forbidden() => return Err(self.error(name, fault)),
            events => events,
        };
        let mut found = self.find_out(&job, seen(pods.as_deref()), events).await;
        found.tasks = self.task_evidence(&job, pods.as_deref().unwrap_or_default()).await;
        let status = found.status(&job, seen(pods.as_deref()));
        Ok(JobView { job, pods: pods.unwrap_or_default(), events: found.events.unwrap_or_default(), status })
    }

    /// A job as the server has it.
    pub(crate) async fn job(&self, name: &str) -> Result<Job> {
        let answer = self.ask(Call::get(self.job_path(name))).await;
        answer.map(|answer: Answer<Job>| answer.value).map_err(|fault| self.error(name, fault))
    }

    /// A job's pods, oldest first.
    pub(crate) async fn pods_of(&self, job: &Job) -> Result<Vec<Pod>, Fault> {
        let Some(selector) = pod_selector(job) else { return Ok(Vec::new()) };
        let mut pods: Vec<Pod> = self.selected(&self.core_path("pods"), "labelSelector", &selector).await?;
        pods.retain(|pod| owner(pod) == job.metadata.uid.as_deref());
        pods.sort_by_key(|pod| {
            let time = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (time, pod.metadata.name.clone())
        });
        Ok(pods)
    }

    /// Events of a job and of its pods, oldest first. Events of other objects are not asked for.
    pub(crate) async fn events_of(
        &self,
        name: &str,
        job: &Job,
        pods: Option<&[Pod]>,
    ) -> Result<Vec<Event>, Fault> {
        let path = self.core_path("events");
        let of = |kind: &str, name: &str| format!("involvedObject.kind={kind},involvedObject.name={name}");
        let mut events: Vec<Event> = self.selected(&path, "fieldSelector", &of("Job", name)).await?;
        events.retain(|event| event.involved_object.uid == job.metadata.uid);
        for pod in telling(job, pods.unwrap_or_default()) {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            let mut more: Vec<Event> = self.selected(&path, "fieldSelector", &of("Pod", name)).await?;
            more.retain(|event| event.involved_object.uid == pod.metadata.uid);
            events.append(&mut more);
        }
        let gone = pods.and_then(|pods| lost_pod(job, pods, &events)).map(str::to_owned);
        if let Some(gone) = gone {
            events.extend(self.selected::<Event>(&path, "fieldSelector", &of("Pod", &gone)).await?);
        }
        events.sort_by_key(seen_at);
        Ok(events)
    }

    /// A list that the user may not read is none, and no error.
    pub(crate) fn readable<T>(&self, list: Result<Vec<T>, Fault>, job: &str) -> Result<Option<Vec<T>>> {
        match list {
            Ok(items) => Ok(Some(items)),
            Err(fault) if fault.is_forbidden() => Ok(None),
            Err(fault) => Err(self.error(job, fault)),
        }
    }
}

/// The pods whose events say something: those that have not started yet, or are not ready, a few of them; and the one whose
/// end is the job's, if it may have been ended by a probe or for a hook.
fn telling<'a>(job: &Job, pods: &'a [Pod]) -> Vec<&'a Pod> {
    let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
    let waits = |pod: &&Pod| {
        let conditions =
            pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        match phase(pod).as_deref() {
            Some("Running") => conditions.iter().any(|one| one.type_ == "Ready" && one.status == "False"),
            phase => phase == Some("Pending"),
        }
    };
    let may_be = |pod: &&Pod| pod.spec.as_ref().is_some_and(|spec| spec.containers.iter().any(may_be_ended));
    let failed = deciding_pod(job, pods).filter(|pod| phase(pod).as_deref() == Some("Failed"));
    pods.iter().filter(waits).take(limits::CANDIDATES).chain(failed.filter(may_be)).collect()
}

/// Whether others than the container itself may end it.
fn may_be_ended(container: &Container) -> bool {
    let is_probed = container.liveness_probe.is_some() || container.startup_probe.is_some();
    is_probed || container.lifecycle.as_ref().is_some_and(|hooks| hooks.post_start.is_some())
}

/// What `observe` is shown of a list that could be read, or not.
pub(crate) fn seen<T>(list: Option<&[T]>) -> Seen<'_, T> {
    list.map_or(Seen::Forbidden, Seen::All)
}

/// The uid of the Job that controls a pod.
pub(crate) fn owner(pod: &Pod) -> Option<&str> {
    let owners = pod.metadata.owner_references.as_ref()?;
    owners.iter().find(|owner| owner.controller == Some(true)).map(|owner| owner.uid.as_str())
}

/// A pod's completion index.
pub(crate) fn index(pod: &Pod) -> Option<u32> {
    const INDEX: &str = "batch.kubernetes.io/job-completion-index";
    let marks = [&pod.metadata.labels, &pod.metadata.annotations];
    marks.into_iter().flatten().find_map(|marks| marks.get(INDEX)?.parse().ok())
}

/// The selector of a Job's pods as text, from the Job itself: older clusters use other labels.
pub(crate) fn pod_selector(job: &Job) -> Option<String> {
    let selector = job.spec.as_ref()?.selector.as_ref()?;
    let labels = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let expressions = selector.match_expressions.iter().flatten().filter_map(|expression| {
        let (key, values) = (&expression.key, expression.values.as_deref().unwrap_or_default().join(","));
        match expression.operator.as_str() {
            "In" => Some(format!("{key} in ({values})")),
            "NotIn" => Some(format!("{key} notin ({values})")),
            "Exists" => Some(key.clone()),
            "DoesNotExist" => Some(format!("!{key}")),
            _ => None,
        }
    });
    let parts: Vec<String> = labels.chain(expressions).collect();
    (!parts.is_empty()).then(|| parts.join(","))
}

pub(crate) fn seen_at(event: &Event) -> Option<jiff::Timestamp> {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    last.or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, phase: &str, ended: &str, container: &Value) -> Pod {
        let end = json!({ "terminated": { "exitCode": 137, "finishedAt": ended } });
        let state = if phase == "Failed" { end } else { json!({}) };
        let status = json!({ "name": "main", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state });
        serde_json::from_value(json!({ "metadata": { "name": name }, "spec": { "containers": [container] },
            "status": { "phase": phase, "containerStatuses": [status] } }))
        .unwrap()
    }

    fn told(pods: &[Pod]) -> Vec<&str> {
        telling(&Job::default(), pods).into_iter().filter_map(|pod| pod.metadata.name.as_deref()).collect()
    }

    #[test]
    fn attempts_that_failed_do_not_crowd_out_the_pod_that_waits() {
        let probed = || json!({ "name": "main", "livenessProbe": {} });
        let failed = |minute: u32| {
            pod(&format!("failed-{minute}"), "Failed", &format!("2026-01-01T00:{minute:02}:00Z"), &probed())
        };
        let mut pods: Vec<Pod> = (0..7).map(failed).collect();
        assert_eq!(told(&pods), ["failed-6"], "the one that decides is asked about");
        pods.push(pod("waits", "Pending", "", &probed()));
        assert_eq!(told(&pods), ["waits", "failed-6"]);
        let plain = [pod("failed", "Failed", "2026-01-01T00:00:00Z", &json!({ "name": "main" }))];
        assert!(told(&plain).is_empty(), "nothing but itself ends a container without probes and hooks");
    }

    #[test]
    fn of_many_pods_that_wait_a_few_are_asked_about() {
        let pods: Vec<Pod> = (0..100)
            .map(|one| pod(&format!("waits-{one}"), "Pending", "", &json!({ "name": "main" })))
            .collect();
        assert_eq!(told(&pods).len(), limits::CANDIDATES);
    }
}
