//! The truth about one job while it changes: two watches, of the Job and of its pods, as one state.
//!
//! A lost watch is made again, after 410 from a new list; nothing is asked of a job that has ended already.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, select};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::watcher;
use windlass_manifest::{JobStatus, Phase, Seen, observe, observe_gone};

use crate::transport::Fault;
use crate::view::{owner, pod_selector};
use crate::{JobManager, Result, limits};

/// One job, as it was last seen.
pub(crate) struct Feed {
    manager: JobManager,
    name: String,
    job: Job,
    pods: Pods,
    changes: BoxStream<'static, Change>,
    /// Whether the list that is being read has named the job.
    listed: bool,
    failures: u32,
    /// The pause after a failure, as long as it lasts.
    pausing: Option<BoxFuture<'static, ()>>,
    ended: bool,
}

/// What a feed knows of pods.
pub(crate) enum Pods {
    /// Nobody asked.
    NotAsked,
    /// The user may not read them.
    Forbidden,
    /// Those that are there, and the failed ones that were; by name. `staged` is a list that is being read.
    Known { now: BTreeMap<String, Pod>, staged: BTreeMap<String, Pod>, complete: bool },
}

/// The state after a change.
pub(crate) enum Sight {
    /// The job goes on, or has ended: the status says which.
    Status(Box<JobStatus>),
    /// Nothing that anybody wants to know has changed.
    Nothing,
}

enum Change {
    Job(watcher::Result<watcher::Event<Job>>),
    Pod(watcher::Result<watcher::Event<Pod>>),
}

impl Feed {
    /// Looks at a job, and at its pods if asked to.
    pub(crate) async fn open(manager: &JobManager, name: &str, with_pods: bool) -> Result<Self> {
        let job = manager.job(name).await?;
        let pods = match with_pods {
            true => Pods::Known { now: BTreeMap::new(), staged: BTreeMap::new(), complete: false },
            false => Pods::NotAsked,
        };
        let ended = observe(&job, Seen::NotAsked, Seen::NotAsked).phase.is_final();
        let changes = match ended {
            true => futures::stream::empty().boxed(),
            false => changes(manager, name, &job, with_pods),
        };
        let manager = manager.clone();
        Ok(Feed {
            manager,
            name: name.to_owned(),
            job,
            pods,
            changes,
            listed: false,
            failures: 0,
            pausing: None,
            ended,
        })
    }

    /// The pods that are known now.
    pub(crate) fn pods(&self) -> impl Iterator<Item = &Pod> {
        let known = match &self.pods {
            Pods::Known { now, .. } => Some(now),
            Pods::NotAsked | Pods::Forbidden => None,
        };
        known.into_iter().flat_map(BTreeMap::values)
    }

    /// Waits for a change and tells the status after it. After a final status there is nothing more to ask.
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Result<Sight> {
        if let Some(pausing) = &mut self.pausing {
            pausing.await;
            self.pausing = None;
        }
        if self.ended {
            return self.finish().await;
        }
        let gone = match self.changes.next().await {
            Some(Change::Job(Ok(event))) => self.on_job(event),
            Some(Change::Pod(Ok(event))) => self.on_pod(event),
            Some(Change::Job(Err(error))) => return self.on_error(&error),
            Some(Change::Pod(Err(error))) => return self.on_pod_error(&error),
            None => {
                return Err(self
                    .manager
                    .error(&self.name, Fault::silent("the watch ended without a reason")));
            }
        };
        if gone {
            self.ended = true;
            return Ok(Sight::Status(Box::new(observe_gone(&self.job, self.seen().as_seen()))));
        }
        if observe(&self.job, Seen::NotAsked, Seen::NotAsked).phase.is_final() {
            self.ended = true;
            return self.finish().await;
        }
        match &self.pods {
            Pods::Known { complete: false, .. } => Ok(Sight::Nothing),
            _ => Ok(Sight::Status(Box::new(self.status()))),
        }
    }

    fn status(&self) -> JobStatus {
        observe(&self.job, self.seen().as_seen(), Seen::NotAsked)
    }

    /// The status of a job that has ended. Its pods are read once more, because the two watches are not in step:
    /// an exit code that is still on its way must not be missed.
    async fn finish(&mut self) -> Result<Sight> {
        let status = observe(&self.job, Seen::NotAsked, Seen::NotAsked);
        if status.phase == Phase::Succeeded && matches!(self.pods, Pods::NotAsked) {
            return Ok(Sight::Status(Box::new(status)));
        }
        let mut failures = 0;
        let pods = loop {
            match self.manager.pods_of(&self.job).await {
                Err(fault) if fault.may_pass() && failures < limits::RECONNECTS => {
                    self.manager.world.sleep(pause(failures)).await;
                    failures += 1;
                }
                pods => break self.manager.readable(pods, &self.name)?,
            }
        };
        match (pods, &mut self.pods) {
            (None, known) => *known = Pods::Forbidden,
            (Some(pods), Pods::Known { now, complete, .. }) => {
                now.extend(pods.into_iter().filter_map(named));
                *complete = true;
            }
            (Some(pods), known) => {
                let now = pods.into_iter().filter_map(named).collect();
                *known = Pods::Known { now, staged: BTreeMap::new(), complete: true };
            }
        }
        Ok(Sight::Status(Box::new(self.status())))
    }

    /// Takes an event of the job; true if the job is gone.
    fn on_job(&mut self, event: watcher::Event<Job>) -> bool {
        let is_same = |job: &Job| job.metadata.uid == self.job.metadata.uid;
        match event {
            // Comes before the server was asked: no sign that it answers again.
            watcher::Event::Init => {
                self.listed = false;
                return false;
            }
            watcher::Event::InitApply(job) | watcher::Event::Apply(job) => {
                if !is_same(&job) {
                    return true;
                }
                self.listed = true;
                self.job = job;
            }
            watcher::Event::InitDone => return !self.listed,
            watcher::Event::Delete(job) => {
                if is_same(&job) {
                    self.job = job;
                }
                return true;
            }
        }
        self.failures = 0;
        false
    }

    /// Takes an event of a pod. A failed pod that is deleted is remembered: it may hold the job's exit code.
    fn on_pod(&mut self, event: watcher::Event<Pod>) -> bool {
        let uid = self.job.metadata.uid.as_deref();
        let Pods::Known { now, staged, complete } = &mut self.pods else { return false };
        let is_ours = |pod: &Pod| owner(pod) == uid;
        match event {
            watcher::Event::Init => staged.clear(),
            watcher::Event::InitApply(pod) if is_ours(&pod) => staged.extend(named(pod)),
            watcher::Event::Apply(pod) if is_ours(&pod) => now.extend(named(pod)),
            watcher::Event::InitDone => {
                now.retain(|_, pod| failed(pod));
                now.append(staged);
                *complete = true;
            }
            watcher::Event::Delete(pod) if is_ours(&pod) => match failed(&pod) {
                true => now.extend(named(pod)),
                false => now.retain(|name, _| Some(name) != pod.metadata.name.as_ref()),
            },
            _ => {}
        }
        false
    }

    fn on_pod_error(&mut self, error: &watcher::Error) -> Result<Sight> {
        if !fault(error).is_forbidden() {
            return self.on_error(error);
        }
        // The watcher goes on asking; its further refusals come here too, one in each longest pause.
        self.pausing = Some(self.manager.world.sleep(limits::LONGEST_PAUSE));
        self.pods = Pods::Forbidden;
        Ok(Sight::Status(Box::new(self.status())))
    }

    /// Pauses after a lost watch, longer each time; gives up on what no retry mends.
    fn on_error(&mut self, error: &watcher::Error) -> Result<Sight> {
        let fault = fault(error);
        tracing::debug!(job = self.name, code = fault.code, message = fault.message, "watch lost");
        let is_expired = fault.code == 410;
        if !(is_expired || fault.may_pass()) || self.failures >= limits::RECONNECTS {
            return Err(self.manager.error(&self.name, fault));
        }
        if is_expired && matches!(error, watcher::Error::WatchStartFailed(_)) {
            // kube's watcher lists anew when a watch ends with 410, but asks again and again for one that does not
            // begin.
            let with_pods = matches!(self.pods, Pods::Known { .. });
            self.changes = changes(&self.manager, &self.name, &self.job, with_pods);
        }
        if !is_expired || self.failures > 0 {
            self.pausing = Some(self.manager.world.sleep(pause(self.failures)));
        }
        self.failures += 1;
        Ok(Sight::Nothing)
    }

    fn seen(&self) -> SeenPods {
        match &self.pods {
            Pods::NotAsked => SeenPods::NotAsked,
            Pods::Forbidden => SeenPods::Forbidden,
            Pods::Known { now, .. } => SeenPods::All(now.values().cloned().collect()),
        }
    }
}

/// Pods in a row, as `observe` reads them.
enum SeenPods {
    NotAsked,
    Forbidden,
    All(Vec<Pod>),
}

impl SeenPods {
    fn as_seen(&self) -> Seen<'_, Pod> {
        match self {
            SeenPods::NotAsked => Seen::NotAsked,
            SeenPods::Forbidden => Seen::Forbidden,
            SeenPods::All(pods) => Seen::All(pods),
        }
    }
}

/// How long to wait after so many failures in a row.
pub(crate) fn pause(failures: u32) -> Duration {
    limits::FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(limits::LONGEST_PAUSE)
}

fn changes(manager: &JobManager, name: &str, job: &Job, with_pods: bool) -> BoxStream<'static, Change> {
    let jobs: Api<Job> = Api::namespaced(manager.client.clone(), &manager.namespace);
    let of_job = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let jobs = watcher(jobs, of_job).map(Change::Job);
    let Some(selector) = pod_selector(job).filter(|_| with_pods) else { return jobs.boxed() };
    let pods: Api<Pod> = Api::namespaced(manager.client.clone(), &manager.namespace);
    let pods = watcher(pods, watcher::Config::default().labels(&selector)).map(Change::Pod);
    select(jobs, pods).boxed()
}

fn fault(error: &watcher::Error) -> Fault {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => Fault::from(error),
        watcher::Error::WatchError(status) => {
            Fault { code: status.code, reason: status.reason.clone(), message: status.message.clone() }
        }
        other => Fault::silent(other),
    }
}

fn named(pod: Pod) -> Option<(String, Pod)> {
    Some((pod.metadata.name.clone()?, pod))
}

fn failed(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Failed")
}
