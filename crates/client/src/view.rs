//! Get and list: a job with what belongs to it, and pages of jobs.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::ObjectList;
use serde::de::DeserializeOwned;
use windlass_manifest::{JobStatus, Phase, Seen, marks, observe};

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

/// Which jobs to list. The server filters.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// A label selector in kubectl's language.
    pub labels: Option<String>,
    /// Of every namespace.
    pub all_namespaces: bool,
    /// Only those that Windlass submitted.
    pub only_ours: bool,
    /// At most so many on a page; 0 is 500.
    pub limit: u32,
    /// The token of the next page, from the page before.
    pub continue_token: Option<String>,
    /// Also read the pods of the listed jobs that have not succeeded, for verdicts and exit codes.
    pub with_pods: bool,
}

/// A page of jobs, in the server's order (namespace, name).
#[derive(Clone, Debug)]
pub struct JobPage {
    /// Each job with its status.
    pub jobs: Vec<(Job, JobStatus)>,
    /// The token of the next page, if there is one.
    pub continue_token: Option<String>,
}

impl JobManager {
    /// A job by its exact name, with pods, events and status.
    ///
    /// # Errors
    /// `NotFound`, and what every call may answer.
    pub async fn get(&self, name: &str) -> Result<JobView> {
        let job = self.job(name).await?;
        let pods = self.readable(self.pods_of(&job).await, name)?;
        let mut events = self.readable(self.events_of(name, &job, pods.as_deref()).await, name)?;
        if let Some(events) = &mut events {
            events.sort_by_key(seen_at);
        }
        let status = observe(&job, seen(pods.as_deref()), seen(events.as_deref()));
        Ok(JobView { job, pods: pods.unwrap_or_default(), events: events.unwrap_or_default(), status })
    }

    /// One page of jobs.
    ///
    /// # Errors
    /// What every call may answer.
    pub async fn list(&self, filter: &ListFilter) -> Result<JobPage> {
        let ours = filter.only_ours.then(marks::selector);
        let selector: Vec<String> = filter.labels.clone().into_iter().chain(ours).collect();
        let selector = selector.join(",");
        let limit = if filter.limit == 0 { limits::PAGE } else { filter.limit };
        let path = if filter.all_namespaces { "/apis/batch/v1/jobs".to_owned() } else { self.jobs_path() };
        let call = Call::get(path)
            .query("limit", &limit.to_string())
            .query_if("labelSelector", Some(selector.as_str()).filter(|text| !text.is_empty()))
            .query_if("continue", filter.continue_token.as_deref());
        let page: Answer<ObjectList<Job>> = self.ask(call).await.map_err(|fault| self.error("", fault))?;
        let pods = if filter.with_pods {
            self.pods_of_all(filter, &page.value.items).await?
        } else {
            Pods::NotAsked
        };
        let observed = |job: Job| {
            let status = observe(&job, pods.of(&job), Seen::NotAsked);
            (job, status)
        };
        let continue_token = page.value.metadata.continue_.filter(|token| !token.is_empty());
        Ok(JobPage { jobs: page.value.items.into_iter().map(observed).collect(), continue_token })
    }

    /// A job as the server has it.
    pub(crate) async fn job(&self, name: &str) -> Result<Job> {
        let answer = self.ask(Call::get(self.job_path(name))).await;
        answer.map(|answer: Answer<Job>| answer.value).map_err(|fault| self.error(name, fault))
    }

    /// A job's pods, oldest first.
    pub(crate) async fn pods_of(&self, job: &Job) -> Result<Vec<Pod>, Fault> {
        let Some(selector) = pod_selector(job) else { return Ok(Vec::new()) };
        let mut pods: Vec<Pod> = self.all(&self.core_path("pods"), ("labelSelector", &selector)).await?;
        pods.retain(|pod| owner(pod) == job.metadata.uid.as_deref());
        pods.sort_by_key(|pod| {
            let time = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (time, pod.metadata.name.clone())
        });
        Ok(pods)
    }

    /// Events of a job and of its pods. Events of other objects are not asked for.
    async fn events_of(&self, name: &str, job: &Job, pods: Option<&[Pod]>) -> Result<Vec<Event>, Fault> {
        let path = self.core_path("events");
        let of = |kind: &str, name: &str| format!("involvedObject.kind={kind},involvedObject.name={name}");
        let mut events: Vec<Event> = self.all(&path, ("fieldSelector", &of("Job", name))).await?;
        events.retain(|event| event.involved_object.uid == job.metadata.uid);
        // The pods whose events say something: those that have not started yet, a few of them.
        let waiting =
            |pod: &&Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Pending");
        for pod in pods.unwrap_or_default().iter().filter(waiting).take(limits::CANDIDATES) {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            let mut more: Vec<Event> = self.all(&path, ("fieldSelector", &of("Pod", name))).await?;
            more.retain(|event| event.involved_object.uid == pod.metadata.uid);
            events.append(&mut more);
        }
        Ok(events)
    }

    /// The pods of a page of jobs.
    async fn pods_of_all(&self, filter: &ListFilter, jobs: &[Job]) -> Result<Pods> {
        let path = if filter.all_namespaces { "/api/v1/pods".to_owned() } else { self.core_path("pods") };
        // The pods of a job that succeeded tell nothing more.
        let asked = |job: &&Job| observe(job, Seen::NotAsked, Seen::NotAsked).phase != Phase::Succeeded;
        let uids: Vec<&str> =
            jobs.iter().filter(asked).filter_map(|job| job.metadata.uid.as_deref()).collect();
        let mut pods = Vec::new();
        for uids in uids.chunks(limits::UIDS) {
            let selector = format!("batch.kubernetes.io/controller-uid in ({})", uids.join(","));
            let some = self.all::<Pod>(&path, ("labelSelector", &selector)).await;
            let Some(some) = self.readable(some, "")? else { return Ok(Pods::Forbidden) };
            pods.extend(some);
        }
        let mut by_job: BTreeMap<String, Vec<Pod>> = BTreeMap::new();
        for pod in pods {
            if let Some(uid) = owner(&pod) {
                by_job.entry(uid.to_owned()).or_default().push(pod);
            }
        }
        Ok(Pods::Of(by_job))
    }

    /// Every page of a list.
    async fn all<T>(&self, path: &str, (selector, value): (&str, &str)) -> Result<Vec<T>, Fault>
    where
        T: DeserializeOwned + Clone,
    {
        let (mut items, mut token) = (Vec::new(), None);
        for _ in 0..limits::PAGES {
            let call = Call::get(path)
                .query("limit", &limits::PAGE.to_string())
                .query(selector, value)
                .query_if("continue", token.as_deref());
            let page: Answer<ObjectList<T>> = self.ask(call).await?;
            items.extend(page.value.items);
            token = page.value.metadata.continue_.filter(|token| !token.is_empty());
            if token.is_none() {
                break;
            }
        }
        Ok(items)
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

/// The pods of a page of jobs.
enum Pods {
    NotAsked,
    Forbidden,
    Of(BTreeMap<String, Vec<Pod>>),
}

impl Pods {
    fn of(&self, job: &Job) -> Seen<'_, Pod> {
        match self {
            Pods::NotAsked => Seen::NotAsked,
            Pods::Forbidden => Seen::Forbidden,
            Pods::Of(by_job) => {
                let uid = job.metadata.uid.as_deref().unwrap_or_default();
                Seen::All(by_job.get(uid).map_or(&[], Vec::as_slice))
            }
        }
    }
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

fn seen_at(event: &Event) -> Option<jiff::Timestamp> {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    last.or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}
