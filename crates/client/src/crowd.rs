//! Waits for many jobs of a namespace with one watch, and keeps of each no more than its last state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, FuturesUnordered};
use k8s_openapi::api::batch::v1::Job;
use windlass_manifest::{Seen, observe, observe_gone};

use crate::feed::{has_ended, has_succeeded};
use crate::slim::SlimJob;
use crate::transport::Fault;
use crate::view::seen;
use crate::watch::{News, Selection, Since, is_older, watch};
use crate::{Error, JobManager, Outcome, Result, limits};

/// How one of several jobs ended, under its name.
pub(crate) type End = (String, Result<Outcome>);

impl JobManager {
    /// Waits for all of these jobs; tells of each once, as it ends. Each answers as [`JobManager::wait`] does: right
    /// also when it ended before, `NotFound` if it is not there at the beginning. Up to 8 are watched one by one;
    /// more with one watch of the whole namespace, of which only they are kept.
    ///
    /// The stream ends when all have ended. A fault that no retry mends is told for each that is left.
    pub fn wait_all(
        &self,
        names: impl IntoIterator<Item = String>,
    ) -> BoxStream<'static, (String, Result<Outcome>)> {
        let names: BTreeSet<String> = names.into_iter().collect();
        if names.len() <= limits::WATCHES {
            let one = |name: String| {
                let manager = self.clone();
                async move {
                    let end = manager.wait(&name, None).await;
                    (name, end)
                }
            };
            return names.into_iter().map(one).collect::<FuturesUnordered<_>>().boxed();
        }
        stream::unfold(Crowd::new(self, names), Crowd::next).boxed()
    }
}

struct Crowd {
    manager: JobManager,
    /// Those that have not ended, as they were last seen.
    waiting: BTreeMap<String, Option<Job>>,
    changes: BoxStream<'static, Result<News<SlimJob>, Fault>>,
    /// Ends whose pods are being read.
    ending: FuturesUnordered<BoxFuture<'static, End>>,
    /// Ends that are known, or wait for their turn.
    ended: Vec<Ended>,
}

enum Ended {
    Known(Box<End>),
    /// The pods of a failed job know its exit code.
    Failed(String, Box<Job>),
}

impl Crowd {
    fn new(manager: &JobManager, names: BTreeSet<String>) -> Self {
        let waiting = names.iter().map(|name| (name.clone(), None)).collect();
        let names = Arc::new(names);
        let is_meant =
            move |SlimJob(job): &SlimJob| job.metadata.name.as_ref().is_some_and(|name| names.contains(name));
        let selection =
            Selection { path: manager.jobs_path(), selector: None, keeps: Some(Arc::new(is_meant) as _) };
        let changes = watch(manager, selection, Since::List);
        Crowd {
            manager: manager.clone(),
            waiting,
            changes,
            ending: FuturesUnordered::new(),
            ended: Vec::new(),
        }
    }

    async fn next(mut self) -> Option<(End, Self)> {
        loop {
            while self.ending.len() < limits::ENDS
                && let Some(end) = self.ended.pop()
            {
                match end {
                    Ended::Known(end) => return Some((*end, self)),
                    Ended::Failed(name, job) => {
                        self.ending.push(Box::pin(end_of(self.manager.clone(), name, job)));
                    }
                }
            }
            if self.waiting.is_empty() && self.ending.is_empty() {
                return None;
            }
            let is_full = self.ending.len() >= limits::ENDS;
            tokio::select! {
                Some(end) = self.ending.next() => return Some((end, self)),
                news = self.changes.next(), if !is_full && !self.waiting.is_empty() => self.take(news),
            }
        }
    }

    fn take(&mut self, news: Option<Result<News<SlimJob>, Fault>>) {
        match news {
            Some(Ok(News::All(list))) => self.on_list(list),
            Some(Ok(News::Is(SlimJob(job)))) => self.on_job(job, false),
            Some(Ok(News::Gone(SlimJob(job)))) => self.on_job(job, true),
            Some(Err(fault)) => self.give_up(&fault),
            None => self.give_up(&Fault::silent("the watch ended without a reason")),
        }
    }

    /// All that is there: a job that is not, or only under another uid, is gone.
    fn on_list(&mut self, list: Vec<SlimJob>) {
        let mut there: BTreeMap<String, Job> = BTreeMap::new();
        for SlimJob(job) in list {
            there.insert(job.metadata.name.clone().unwrap_or_default(), job);
        }
        for (name, known) in std::mem::take(&mut self.waiting) {
            match (known, there.remove(&name)) {
                (None, None) => {
                    let namespace = self.manager.namespace.clone();
                    let error = Error::NotFound { job: name.clone(), namespace };
                    self.ended.push(told((name, Err(error))));
                }
                (Some(known), job)
                    if job.as_ref().is_none_or(|job| job.metadata.uid != known.metadata.uid) =>
                {
                    self.ended.push(told(gone(name, &known)));
                }
                (_, Some(job)) => self.look(name, job),
                (Some(known), None) => self.ended.push(told(gone(name, &known))),
            }
        }
    }

    fn on_job(&mut self, job: Job, is_gone: bool) {
        let Some(name) = job.metadata.name.clone() else { return };
        let Some(known) = self.waiting.get(&name) else { return };
        let version = |job: &Job| job.metadata.resource_version.clone();
        match known {
            Some(known) if is_older(version(&job).as_deref(), version(known).as_deref()) => {}
            Some(known) if known.metadata.uid != job.metadata.uid => {
                let end = gone(name.clone(), known);
                self.waiting.remove(&name);
                self.ended.push(told(end));
            }
            _ if is_gone => {
                self.waiting.remove(&name);
                self.ended.push(told(gone(name, &job)));
            }
            _ => {
                self.waiting.remove(&name);
                self.look(name, job);
            }
        }
    }

    /// Looks at what is known of a job now.
    fn look(&mut self, name: String, job: Job) {
        if !has_ended(&job) {
            self.waiting.insert(name, Some(job));
        } else if has_succeeded(&job) {
            let status = observe(&job, Seen::NotAsked, Seen::NotAsked);
            self.ended.push(known(name, Outcome::of(status)));
        } else {
            self.ended.push(Ended::Failed(name, Box::new(job)));
        }
    }

    fn give_up(&mut self, fault: &Fault) {
        for (name, _) in std::mem::take(&mut self.waiting) {
            let error = self.manager.error(&name, fault.clone());
            self.ended.push(told((name, Err(error))));
        }
    }
}

fn gone(name: String, job: &Job) -> End {
    let end = Outcome::of(observe_gone(job, Seen::NotAsked));
    (name.clone(), end.ok_or(Error::Gone { job: name }))
}

fn known(name: String, end: Option<Outcome>) -> Ended {
    told((name.clone(), end.ok_or(Error::Gone { job: name })))
}

fn told(end: End) -> Ended {
    Ended::Known(Box::new(end))
}

/// How a job ended that did not succeed: its pods know the exit code.
pub(crate) async fn end_of(manager: JobManager, name: String, job: Box<Job>) -> End {
    let pods = match manager.readable(manager.pods_of_ended(&job).await, &name) {
        Ok(pods) => pods,
        Err(error) => return (name, Err(error)),
    };
    let end = Outcome::of(observe(&job, seen(pods.as_deref()), Seen::NotAsked));
    (name.clone(), end.ok_or(Error::Gone { job: name }))
}
