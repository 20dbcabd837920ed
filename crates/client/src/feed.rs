//! The truth about one job while it changes: two watches, of the Job and of its pods, as one state.
//!
//! A lost watch is made again, after 410 from a new list; nothing is asked of a job that has ended already.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{BoxStream, select};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::watcher;
use windlass_manifest::{JobStatus, Phase, Seen, observe, observe_gone};

use crate::pods::{Pods, Table};
use crate::transport::Fault;
use crate::view::pod_selector;
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
    gone: bool,
}

/// The state after a change.
pub(crate) enum Sight {
    /// The job goes on, or has ended: the status says which.
    Status(Box<JobStatus>),
    /// Nothing that anybody wants to know has changed.
    Nothing,
}

enum Change {
    Job(Box<watcher::Result<watcher::Event<Job>>>),
    Pod(Box<watcher::Result<watcher::Event<Pod>>>),
}

impl Feed {
    /// Looks at a job, and at its pods if asked to.
    pub(crate) async fn open(manager: &JobManager, name: &str, with_pods: bool) -> Result<Self> {
        let job = manager.job(name).await?;
        Ok(Feed::of(manager, job, with_pods))
    }

    /// Looks at a job that somebody has just read or made.
    pub(crate) fn of(manager: &JobManager, job: Job, with_pods: bool) -> Self {
        let name = job.metadata.name.clone().unwrap_or_default();
        let pods = match (with_pods, pod_selector(&job)) {
            (false, _) => Pods::NotAsked,
            (true, Some(_)) => Pods::Coming(Table::default()),
            // Without a selector the job has no pods.
            (true, None) => Pods::Known(Table::default()),
        };
        let ended = has_ended(&job);
        let changes = match ended {
            true => futures::stream::empty().boxed(),
            false => changes(manager, &name, &job, with_pods),
        };
        let manager = manager.clone();
        Feed {
            manager,
            name,
            job,
            pods,
            changes,
            listed: false,
            failures: 0,
            pausing: None,
            ended,
            gone: false,
        }
    }

    /// The job as it was last seen.
    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    /// The pods that are known now.
    pub(crate) fn pods(&self) -> &[Pod] {
        self.pods.seen().items()
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
        if !self.gone {
            let first = self.changes.next().await;
            self.gone = self.take(first)? || self.take_more()?;
        }
        if self.gone {
            return Ok(Sight::Status(Box::new(observe_gone(&self.job, self.pods.seen()))));
        }
        if has_ended(&self.job) {
            self.ended = true;
            return self.finish().await;
        }
        match &self.pods {
            Pods::Coming(_) => Ok(Sight::Nothing),
            _ if self.pausing.is_some() => Ok(Sight::Nothing),
            _ => Ok(Sight::Status(Box::new(self.status()))),
        }
    }

    /// Takes the changes that are there already, a bounded number: one look at many pods serves them all.
    fn take_more(&mut self) -> Result<bool> {
        for _ in 0..limits::PAGE {
            if self.pausing.is_some() || has_ended(&self.job) {
                break;
            }
            let Some(change) = self.changes.next().now_or_never() else { break };
            if self.take(change)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes a change; true if the job is gone.
    fn take(&mut self, change: Option<Change>) -> Result<bool> {
        match change {
            Some(Change::Job(event)) => match *event {
                Ok(event) => return Ok(self.on_job(event)),
                Err(error) => self.on_error(&error)?,
            },
            Some(Change::Pod(event)) => match *event {
                Ok(event) => self.pods.take(event, self.job.metadata.uid.as_deref()),
                Err(error) => self.on_pod_error(&error)?,
            },
            None => {
                let fault = Fault::silent("the watch ended without a reason");
                return Err(self.manager.error(&self.name, fault));
            }
        }
        Ok(false)
    }

    fn status(&self) -> JobStatus {
        observe(&self.job, self.pods.seen(), Seen::NotAsked)
    }

    /// The status of a job that has ended. Its pods are read once more unless all that it counts are known, because
    /// the two watches are not in step: an exit code that is still on its way must not be missed.
    async fn finish(&mut self) -> Result<Sight> {
        if !self.knows_enough() {
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
            match pods {
                Some(pods) => self.pods.replace(pods),
                None => self.pods = Pods::Forbidden,
            }
        }
        Ok(Sight::Status(Box::new(self.status())))
    }

    fn knows_enough(&self) -> bool {
        let counts = observe(&self.job, Seen::NotAsked, Seen::NotAsked).counts;
        match &self.pods {
            Pods::NotAsked => has_succeeded(&self.job),
            Pods::Known(_) => {
                let over = self.pods.over();
                over > 0 && over as u64 >= u64::from(counts.succeeded) + u64::from(counts.failed)
            }
            Pods::Coming(_) | Pods::Forbidden => false,
        }
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

    fn on_pod_error(&mut self, error: &watcher::Error) -> Result<()> {
        if !fault(error).is_forbidden() {
            return self.on_error(error);
        }
        // The watcher would go on asking, and its pauses would keep the job's own changes waiting.
        self.changes = changes(&self.manager, &self.name, &self.job, false);
        self.pods = Pods::Forbidden;
        Ok(())
    }

    /// Pauses after a lost watch, longer each time; gives up on what no retry mends.
    fn on_error(&mut self, error: &watcher::Error) -> Result<()> {
        let fault = fault(error);
        tracing::debug!(job = self.name, code = fault.code, message = fault.message, "watch lost");
        let is_expired = fault.code == 410;
        if !(is_expired || fault.may_pass()) || self.failures >= limits::RECONNECTS {
            return Err(self.manager.error(&self.name, fault));
        }
        if is_expired && matches!(error, watcher::Error::WatchStartFailed(_)) {
            // kube's watcher lists anew when a watch ends with 410, but asks again and again for one that does not
            // begin.
            let with_pods = !matches!(self.pods, Pods::NotAsked | Pods::Forbidden);
            self.changes = changes(&self.manager, &self.name, &self.job, with_pods);
        }
        if !is_expired || self.failures > 0 {
            self.pausing = Some(self.manager.world.sleep(pause(self.failures)));
        }
        self.failures += 1;
        Ok(())
    }
}

fn has_ended(job: &Job) -> bool {
    observe(job, Seen::NotAsked, Seen::NotAsked).phase.is_final()
}

fn has_succeeded(job: &Job) -> bool {
    observe(job, Seen::NotAsked, Seen::NotAsked).phase == Phase::Succeeded
}

/// How long to wait after so many failures in a row.
pub(crate) fn pause(failures: u32) -> Duration {
    limits::FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(limits::LONGEST_PAUSE)
}

fn changes(manager: &JobManager, name: &str, job: &Job, with_pods: bool) -> BoxStream<'static, Change> {
    let jobs: Api<Job> = Api::namespaced(manager.client.clone(), &manager.namespace);
    let of_job = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let jobs = watcher(jobs, of_job).map(|event| Change::Job(Box::new(event)));
    let Some(selector) = pod_selector(job).filter(|_| with_pods) else { return jobs.boxed() };
    let pods: Api<Pod> = Api::namespaced(manager.client.clone(), &manager.namespace);
    let pods = watcher(pods, watcher::Config::default().labels(&selector));
    let pods = pods.map(|event| Change::Pod(Box::new(event)));
    select(jobs, pods).boxed()
}

pub(crate) fn fault(error: &watcher::Error) -> Fault {
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
