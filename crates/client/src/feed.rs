//! The truth about one job while it changes: two watches, of the Job and of its pods, as one state.
//!
//! Nothing is asked of a job that has ended already.

use std::time::{Duration, Instant};

use futures::future::{self, Either};
use futures::stream::{BoxStream, select};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use windlass_manifest::{JobStatus, Phase, Seen, observe, observe_gone};

use crate::evidence::Found;
use crate::patience::Patience;
use crate::pods::{Pods, Table};
use crate::transport::Fault;
use crate::view::pod_selector;
use crate::watch::{News, Selection, Since, is_older, watch};
use crate::{JobManager, Result, Submitted, limits};

/// One job, as it was last seen.
pub(crate) struct Feed {
    manager: JobManager,
    name: String,
    job: Job,
    pods: Pods,
    changes: BoxStream<'static, Change>,
    /// What was found out when it was looked at closer.
    found: Option<Found>,
    /// When what was taken is looked at: with many pods not at every change.
    look: Option<Instant>,
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
    Job(Box<Result<News<Job>, Fault>>),
    Pod(Box<Result<News<Pod>, Fault>>),
}

impl Feed {
    /// Looks at a job, and at its pods if asked to.
    pub(crate) async fn open(manager: &JobManager, name: &str, with_pods: bool) -> Result<Self> {
        let job = manager.job(name).await?;
        Ok(Feed::of(manager, job, with_pods))
    }

    /// Looks at a job that somebody has just read.
    pub(crate) fn of(manager: &JobManager, job: Job, with_pods: bool) -> Self {
        Feed::begin(manager, job, with_pods, false)
    }

    /// Looks at a job that was made by the last request, with its pods: what happens is watched from there on.
    pub(crate) fn of_new(manager: &JobManager, job: Job) -> Self {
        Feed::begin(manager, job, true, true)
    }

    /// Looks at a job that was just submitted, or was there.
    pub(crate) fn of_submitted(manager: &JobManager, submitted: &Submitted) -> Self {
        let job = submitted.job.clone();
        if submitted.is_new { Feed::of_new(manager, job) } else { Feed::of(manager, job, true) }
    }

    fn begin(manager: &JobManager, job: Job, with_pods: bool, is_new: bool) -> Self {
        let name = job.metadata.name.clone().unwrap_or_default();
        let pods = match (with_pods, pod_selector(&job)) {
            (false, _) => Pods::NotAsked,
            // A job that has just been made has none, and is told of every one.
            (true, Some(_)) if is_new => Pods::Known(Table::default()),
            (true, Some(_)) => Pods::Coming(Table::default()),
            // Without a selector the job has no pods.
            (true, None) => Pods::Known(Table::default()),
        };
        let ended = has_ended(&job);
        let changes = match ended {
            true => futures::stream::empty().boxed(),
            false => changes(manager, &name, &job, with_pods, is_new),
        };
        let (manager, found, look) = (manager.clone(), None, None);
        Feed { manager, name, job, pods, changes, found, look, ended, gone: false }
    }

    /// The job as it was last seen.
    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    /// The pods that are known now.
    pub(crate) fn pods(&self) -> &[Pod] {
        self.pods.seen().items()
    }

    /// Whether the pods may not be read.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self.pods, Pods::Forbidden)
    }

    /// Whether the job has ended or is gone, so that `next` tells nothing but that.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended || self.gone
    }

    /// Waits for a change and tells the status after it. After a final status there is nothing more to ask.
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Result<Sight> {
        if self.ended {
            return self.finish().await;
        }
        while !self.gone && !has_ended(&self.job) {
            let change = match self.look {
                None => self.changes.next().await,
                Some(at) => match self.change_until(at).await {
                    Some(change) => change,
                    None => break,
                },
            };
            self.gone = self.take(change)? || self.take_more()?;
            let look = || self.manager.world.instant().checked_add(look_pause(self.pods().len()));
            self.look = self.look.or_else(look);
        }
        self.look = None;
        if self.gone {
            return Ok(Sight::Status(Box::new(observe_gone(&self.job, self.pods.seen()))));
        }
        if has_ended(&self.job) {
            self.ended = true;
            return self.finish().await;
        }
        match &self.pods {
            Pods::Coming(_) => Ok(Sight::Nothing),
            _ => Ok(Sight::Status(Box::new(self.status()))),
        }
    }

    /// The next change, if one comes before then.
    async fn change_until(&mut self, at: Instant) -> Option<Option<Change>> {
        let left = at.saturating_duration_since(self.manager.world.instant());
        if left.is_zero() {
            return None;
        }
        match future::select(self.changes.next(), self.manager.world.sleep(left)).await {
            Either::Left((change, _)) => Some(change),
            Either::Right(_) => None,
        }
    }

    /// Takes the changes that are there already, a bounded number: one look at many pods serves them all.
    fn take_more(&mut self) -> Result<bool> {
        for _ in 0..limits::PAGE {
            if has_ended(&self.job) {
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
            Some(Change::Job(news)) => match *news {
                Ok(news) => return Ok(self.on_job(news)),
                Err(fault) => return Err(self.manager.error(&self.name, fault)),
            },
            Some(Change::Pod(news)) => match *news {
                Ok(news) => self.pods.take(news, self.job.metadata.uid.as_deref()),
                Err(fault) if fault.is_forbidden() => self.pods = Pods::Forbidden,
                Err(fault) => return Err(self.manager.error(&self.name, fault)),
            },
            None => {
                let fault = Fault::silent("the watch ended without a reason");
                return Err(self.manager.error(&self.name, fault));
            }
        }
        Ok(false)
    }

    /// How it stands, by what is known.
    pub(crate) fn status(&self) -> JobStatus {
        match &self.found {
            Some(found) => found.status(&self.job, self.pods.seen()),
            None => observe(&self.job, self.pods.seen(), Seen::NotAsked),
        }
    }

    /// Looks closer at a job that waits, and tells its status in the light of what was found. What cannot be found
    /// out is no fault.
    pub(crate) async fn look(&mut self) -> JobStatus {
        let pods = self.pods.seen();
        let known = match pods {
            Seen::All(pods) => Some(pods),
            Seen::NotAsked | Seen::Forbidden => None,
        };
        let events = self.manager.events_of(&self.name, &self.job, known).await;
        let before = self.found.take().and_then(|found| found.events);
        let events = events.or_else(|fault| match before {
            Some(before) if !fault.is_forbidden() => Ok(before),
            _ => Err(fault),
        });
        self.found = Some(self.manager.find_out(&self.job, pods, events).await);
        self.status()
    }

    /// The status of a job that has ended. Its pods are read once more unless all that it counts are known, because
    /// the two watches are not in step: an exit code that is still on its way must not be missed.
    async fn finish(&mut self) -> Result<Sight> {
        if !self.knows_enough() {
            let pods = self.manager.pods_of_ended(&self.job).await;
            match self.manager.readable(pods, &self.name)? {
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

    /// Takes news of the job; true if it is gone. What is older than what is known is passed over: a list is the
    /// truth of its moment, the lines of a watch may come twice and late.
    fn on_job(&mut self, news: News<Job>) -> bool {
        let is_same = |job: &Job| job.metadata.uid == self.job.metadata.uid;
        let version = |job: &Job| job.metadata.resource_version.clone();
        let is_late = |job: &Job| is_older(version(job).as_deref(), version(&self.job).as_deref());
        match news {
            News::All(list) => match list.into_iter().find(is_same) {
                Some(job) => self.job = job,
                None => return true,
            },
            News::Is(job) | News::Gone(job) if is_late(&job) => {}
            News::Is(job) if is_same(&job) => self.job = job,
            News::Gone(job) if is_same(&job) => {
                self.job = job;
                return true;
            }
            // Another job has its name, or has had it since.
            News::Is(_) | News::Gone(_) => return true,
        }
        false
    }
}

impl JobManager {
    /// The pods of a job that has ended, for as long as it takes to read them.
    pub(crate) async fn pods_of_ended(&self, job: &Job) -> Result<Vec<Pod>, Fault> {
        let mut patience = Patience::new(limits::STREAM_BUDGET);
        loop {
            let fault = match self.pods_of(job).await {
                Err(fault) if fault.may_pass() => fault,
                pods => return pods,
            };
            let Some(pause) = self.pause(&mut patience, &fault) else { return Err(fault) };
            self.world.sleep(pause).await;
        }
    }
}

/// How long changes are gathered before they are looked at: a look reads all pods, and with many of them would cost more
/// than they do if it came with every change.
fn look_pause(pods: usize) -> Duration {
    let many = u32::try_from(pods).unwrap_or(u32::MAX).saturating_sub(limits::FEW_PODS);
    (limits::LOOK_PER_POD * many).min(limits::LONGEST_LOOK_PAUSE)
}

pub(crate) fn has_ended(job: &Job) -> bool {
    observe(job, Seen::NotAsked, Seen::NotAsked).phase.is_final()
}

pub(crate) fn has_succeeded(job: &Job) -> bool {
    observe(job, Seen::NotAsked, Seen::NotAsked).phase == Phase::Succeeded
}

/// Both watches as one. That of a new job goes on from its creation; its pods come without a list, because a
/// revision of jobs need not be one of pods.
fn changes(
    manager: &JobManager,
    name: &str,
    job: &Job,
    with_pods: bool,
    is_new: bool,
) -> BoxStream<'static, Change> {
    let version = job.metadata.resource_version.clone().filter(|_| is_new);
    let of_job = Selection {
        path: manager.jobs_path(),
        selector: Some(("fieldSelector", format!("metadata.name={name}"))),
        keeps: None,
    };
    let jobs = watch::<Job>(manager, of_job, version.map_or(Since::List, Since::Version));
    let jobs = jobs.map(|news| Change::Job(Box::new(news)));
    let Some(selector) = pod_selector(job).filter(|_| with_pods) else { return jobs.boxed() };
    let of_pods = Selection {
        path: manager.core_path("pods"),
        selector: Some(("labelSelector", selector)),
        keeps: None,
    };
    let pods = watch::<Pod>(manager, of_pods, if is_new { Since::Now } else { Since::List });
    select(jobs, pods.map(|news| Change::Pod(Box::new(news)))).boxed()
}
