//! Watch and wait: the truth about one job until it ends, through disconnects and expired revisions.

use std::time::Duration;

use futures::StreamExt;
use futures::future::{self, BoxFuture, Either};
use futures::stream::{self, BoxStream};
use k8s_openapi::api::batch::v1::Job;
use windlass_manifest::{Cause, JobStatus, PayloadEnd};
use windlass_model::ExitCode;

use crate::feed::{Feed, Sight};
use crate::{Error, JobManager, Result, limits};

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Name of the job.
    pub name: String,
    /// Why it ended.
    pub cause: Cause,
    /// The exit code of whoever waited.
    pub exit: ExitCode,
    /// The last status that was seen.
    pub status: JobStatus,
}

impl Outcome {
    /// The outcome of a final status.
    pub(crate) fn of(status: JobStatus) -> Option<Self> {
        let (cause, exit) = (status.cause.clone()?, status.exit()?);
        Some(Outcome { name: status.name.clone(), cause, exit, status })
    }

    /// The outcome of a payload that has ended, in a job that has not.
    pub(crate) fn of_payload(payload: &PayloadEnd, status: &JobStatus) -> Self {
        let cause = payload.cause.clone();
        Outcome { name: status.name.clone(), exit: cause.exit(), cause, status: status.clone() }
    }
}

impl JobManager {
    /// The job's status, and again whenever it changed, until it has ended or is gone. The last item of a stream
    /// without error is final. Lost connections are made again; only what no retry mends is an error.
    pub fn watch(&self, name: &str) -> BoxStream<'static, Result<JobStatus>> {
        let (manager, name) = (self.clone(), name.to_owned());
        let feed = async move { Feed::open(&manager, &name, true).await };
        stream::once(feed).flat_map(statuses).boxed()
    }

    /// Waits until the job has ended. Right also when it ended before, or is deleted meanwhile
    /// (`Cause::Deleted`). A job whose payload ended 10 s ago, and whose pod other containers keep running, has ended
    /// as far as this is concerned; its status then says that it runs.
    ///
    /// # Errors
    /// `NotFound` if it is not there at the beginning, `TimedOut` after `timeout`, and what every call may answer.
    pub async fn wait(&self, name: &str, timeout: Option<Duration>) -> Result<Outcome> {
        let ends = std::pin::pin!(self.ends(name));
        let Some(after) = timeout else { return ends.await };
        match future::select(ends, self.world.sleep(after)).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Err(Error::TimedOut { job: name.to_owned(), after }),
        }
    }

    async fn ends(&self, name: &str) -> Result<Outcome> {
        let job = self.job(name).await?;
        let with_pods = must_be_seen(&job);
        let mut feed = Feed::of(self, job, with_pods);
        let mut outlived: Option<(Outcome, BoxFuture<'static, ()>)> = None;
        loop {
            let sight = match &mut outlived {
                None => feed.next().await?,
                Some((outcome, patience)) => {
                    match future::select(std::pin::pin!(feed.next()), patience).await {
                        Either::Left((sight, _)) => sight?,
                        Either::Right(_) => return Ok(outcome.clone()),
                    }
                }
            };
            let Sight::Status(status) = sight else { continue };
            match &status.payload {
                Some(payload) if outlived.is_none() => {
                    let outcome = Outcome::of_payload(payload, &status);
                    outlived = Some((outcome, self.world.sleep(limits::OUTLIVED)));
                }
                Some(_) => {}
                None => outlived = None,
            }
            if let Some(outcome) = Outcome::of(*status) {
                return Ok(outcome);
            }
        }
    }
}

/// Whether a job's pods must be watched while it runs: of several containers one may outlive the payload, and a pod that is
/// started again in its place is deleted when that was too often, its exit code with it.
fn must_be_seen(job: &Job) -> bool {
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.is_some_and(|pod| pod.containers.len() > 1 || pod.restart_policy.as_deref() == Some("OnFailure"))
}

/// Every status of a feed that differs from the one before, to the final one or an error.
fn statuses(feed: Result<Feed>) -> BoxStream<'static, Result<JobStatus>> {
    let feed = match feed {
        Ok(feed) => feed,
        Err(error) => return stream::iter([Err(error)]).boxed(),
    };
    stream::unfold(Some((feed, None)), |state| async move {
        let (mut feed, mut last): (Feed, Option<JobStatus>) = state?;
        loop {
            match feed.next().await {
                Err(error) => return Some((Err(error), None)),
                Ok(Sight::Status(status)) if last.as_ref() != Some(&*status) => {
                    let status = *status;
                    let rest =
                        (!status.phase.is_final()).then(|| (feed, last.insert(status.clone()).clone()));
                    return Some((Ok(status), rest.map(|(feed, last)| (feed, Some(last)))));
                }
                Ok(_) => {}
            }
        }
    })
    .boxed()
}
