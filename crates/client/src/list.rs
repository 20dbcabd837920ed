//! List: pages of jobs with their statuses, whole or slim.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde::de::DeserializeOwned;
use windlass_manifest::{JobStatus, Phase, Seen, marks, observe};

use crate::pages::Page;
use crate::slim::{LeanJob, SlimPod};
use crate::transport::{Answer, Call};
use crate::view::owner;
use crate::{Error, JobManager, Result, limits};

/// Which jobs to list. The server filters.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// A label selector in kubectl's language.
    pub labels: Option<String>,
    /// Of every namespace.
    pub all_namespaces: bool,
    /// Only those that Windlass submitted.
    pub only_ours: bool,
    /// At most so many on a page; 0 is 500, and 100 of a server on this machine, where asking again costs nothing.
    pub limit: u32,
    /// The token of the next page, from the page before. It holds for some minutes (`Error::Expired` then).
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

/// A page of statuses, in the server's order (namespace, name).
#[derive(Clone, Debug)]
pub struct StatusPage {
    /// The statuses.
    pub jobs: Vec<JobStatus>,
    /// The token of the next page, if there is one.
    pub continue_token: Option<String>,
}

impl JobManager {
    /// One page of jobs, each as the server has it.
    ///
    /// # Errors
    /// `Expired` when the page's token is too old, and what every call may answer.
    pub async fn list(&self, filter: &ListFilter) -> Result<JobPage> {
        let (jobs, continue_token) = self.page::<Job>(filter).await?;
        let pods = self.pods_of_all(filter, jobs.iter()).await?;
        let observed = |job: Job| {
            let status = observe(&job, pods.of(&job), Seen::NotAsked);
            (job, status)
        };
        Ok(JobPage { jobs: jobs.into_iter().map(observed).collect(), continue_token })
    }

    /// One page of jobs, their statuses alone: reads and keeps about a tenth of what [`JobManager::list`] does.
    ///
    /// # Errors
    /// `Expired` when the page's token is too old, and what every call may answer.
    pub async fn statuses(&self, filter: &ListFilter) -> Result<StatusPage> {
        let (jobs, continue_token) = self.page::<LeanJob>(filter).await?;
        let pods = self.pods_of_all(filter, jobs.iter().map(|job| Job::from(job.clone()))).await?;
        let observed = |job: LeanJob| {
            let job = Job::from(job);
            observe(&job, pods.of(&job), Seen::NotAsked)
        };
        Ok(StatusPage { jobs: jobs.into_iter().map(observed).collect(), continue_token })
    }

    async fn page<T: DeserializeOwned>(&self, filter: &ListFilter) -> Result<(Vec<T>, Option<String>)> {
        let ours = filter.only_ours.then(marks::selector);
        let selector: Vec<String> = filter.labels.clone().into_iter().chain(ours).collect();
        let selector = selector.join(",");
        let limit = match filter.limit {
            0 if self.door.way().is_loopback() => limits::NEAR_PAGE,
            0 => limits::PAGE,
            limit => limit,
        };
        let path = if filter.all_namespaces { "/apis/batch/v1/jobs".to_owned() } else { self.jobs_path() };
        let call = Call::get(path)
            .query("limit", &limit.to_string())
            .query_if("labelSelector", Some(selector.as_str()).filter(|text| !text.is_empty()))
            .query_if("continue", filter.continue_token.as_deref());
        match self.ask::<Page<T>>(call).await {
            Ok(Answer { value, .. }) => Ok(value.into_parts()),
            Err(fault) if fault.is_expired() => Err(Error::Expired { context: self.context.clone() }),
            Err(fault) => Err(self.error("", fault)),
        }
    }

    /// The pods of a page of jobs, if they are asked for.
    async fn pods_of_all(
        &self,
        filter: &ListFilter,
        jobs: impl Iterator<Item = impl Borrow<Job>>,
    ) -> Result<Pods> {
        if !filter.with_pods {
            return Ok(Pods::NotAsked);
        }
        let path = if filter.all_namespaces { "/api/v1/pods".to_owned() } else { self.core_path("pods") };
        // The pods of a job that succeeded tell nothing more.
        let is_asked = |job: &Job| observe(job, Seen::NotAsked, Seen::NotAsked).phase != Phase::Succeeded;
        let uid = |job: &Job| is_asked(job).then(|| job.metadata.uid.clone()).flatten();
        let uids: Vec<String> = jobs.filter_map(|job| uid(job.borrow())).collect();
        let lists = uids.chunks(limits::UIDS).map(|uids| {
            let selector = format!("batch.kubernetes.io/controller-uid in ({})", uids.join(","));
            let path = &path;
            async move {
                let pods = self.selected::<SlimPod>(path, "labelSelector", &selector).await;
                self.readable(pods, "")
            }
        });
        let lists: Vec<_> =
            stream::iter(lists.collect::<Vec<_>>()).buffered(limits::POD_LISTS).try_collect().await?;
        let mut by_job: BTreeMap<String, Vec<Pod>> = BTreeMap::new();
        for list in lists {
            let Some(list) = list else { return Ok(Pods::Forbidden) };
            for SlimPod(pod) in list {
                if let Some(uid) = owner(&pod) {
                    by_job.entry(uid.to_owned()).or_default().push(pod);
                }
            }
        }
        Ok(Pods::Of(by_job))
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
