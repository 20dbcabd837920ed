//! Retention: finished jobs are marked with the time until which they are kept, and deleted after it.
//!
//! Which time is decided by [`windlass_manifest::retention`]. Every change names the revision that it was decided on:
//! who changes a job meanwhile, be it the time on it, wins. Only jobs of one selector are touched, a signature or our
//! own mark, and only those that have ended.

mod background;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http::Method;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};
use windlass_manifest::formats::definition::{DELETION_TIME, SIGNATURE};
use windlass_manifest::marks;
use windlass_manifest::retention::{Fate, fate};

use crate::definitions::check_signature;
use crate::transport::{Call, Fault};
use crate::{Error, JobManager, ListFilter, Result, limits};

pub use background::{Background, PERIOD_OF_PASSES};

/// How long a finished job is kept unless somebody says otherwise.
pub const RETENTION: Duration = Duration::from_secs(3600);

/// Why a callback wants a job to stay.
pub type Refusal = Box<dyn std::error::Error + Send + Sync>;

type Callback = Arc<dyn Fn(Job) -> BoxFuture<'static, Result<(), Refusal>> + Send + Sync>;

/// Deletes finished jobs some time after their end.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/engine.rs"));
/// # fn main() { with_engine(async |jobs, _folder| {
/// use std::time::Duration;
/// use windlass::manifest::{Base, make};
/// use windlass::model::{JobRequest, Place};
/// use windlass::retention::Retention;
///
/// let request = JobRequest::new(vec!["true".to_owned()], Place::Host);
/// let job = jobs.submit(&make(&Base::Request(Box::new(request)), &[])?, &Default::default()).await?;
/// jobs.wait(&job.name, None).await?;
///
/// let retention = Retention::ours(&jobs)
///     .period(Duration::ZERO)
///     .before_deletion(|job| async move {
///         // Save what is worth it. An error keeps the job, and it is tried again the next time.
///         println!("deleting {:?}", job.metadata.name);
///         Ok(())
///     });
/// let pass = retention.mark_and_clean().await?;
/// assert_eq!(pass.deleted, [job.name]);
/// # Ok(()) }); }
/// ```
#[derive(Clone)]
pub struct Retention {
    jobs: JobManager,
    selector: String,
    period: Duration,
    callback: Option<Callback>,
}

/// What one pass over the jobs did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Those that were marked, each with the time until which it is kept, in seconds since 1970.
    pub marked: Vec<(String, i64)>,
    /// Those that were deleted, or would be.
    pub deleted: Vec<String>,
    /// Those that something was wrong with, and what. They stay as they are until the next pass.
    pub skipped: Vec<(String, String)>,
}

/// What is to be done with the jobs of a pass.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Work {
    mark: bool,
    delete: bool,
    /// One that is not marked is deleted when its period is over, and otherwise left as it is.
    at_once: bool,
    dry_run: bool,
}

const MARK: Work = Work { mark: true, delete: false, at_once: false, dry_run: false };
const DELETE: Work = Work { mark: false, delete: true, at_once: false, dry_run: false };

impl Retention {
    /// Of the jobs of this selector, which must be one that others' jobs do not have.
    pub(crate) fn of(jobs: &JobManager, selector: String) -> Self {
        Retention { jobs: jobs.clone(), selector, period: RETENTION, callback: None }
    }

    /// Of the jobs that Windlass submitted.
    pub fn ours(jobs: &JobManager) -> Self {
        Retention::of(jobs, marks::selector())
    }

    /// Of the jobs that carry a signature, see [`crate::definitions`].
    ///
    /// # Errors
    /// `Argument`: a signature that cannot be a label's value.
    pub fn signed(jobs: &JobManager, signature: &str) -> Result<Self> {
        check_signature(signature)?;
        Ok(Retention::of(jobs, format!("{SIGNATURE}={signature}")))
    }

    /// The same, keeping jobs for so long after their end. An hour unless said.
    #[must_use]
    pub fn period(self, period: Duration) -> Self {
        Retention { period, ..self }
    }

    /// The same, calling this before each deletion. When it fails the job stays, and it is called again in the next
    /// pass: at least once for each job that is deleted.
    #[must_use]
    pub fn before_deletion<F, R>(self, callback: F) -> Self
    where
        F: Fn(Job) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        let callback: Callback = Arc::new(move |job| Box::pin(callback(job)));
        Retention { callback: Some(callback), ..self }
    }

    /// Marks the finished jobs that are not marked with the time until which they are kept.
    ///
    /// # Errors
    /// What every call may answer; faults of single jobs are in the pass.
    pub async fn mark(&self) -> Result<Pass> {
        self.pass(MARK).await
    }

    /// Deletes the finished jobs whose time is over.
    ///
    /// # Errors
    /// What every call may answer; faults of single jobs are in the pass.
    pub async fn clean(&self) -> Result<Pass> {
        self.pass(DELETE).await
    }

    /// Both in one pass; with no period a job goes as soon as it is seen to have ended.
    ///
    /// # Errors
    /// What every call may answer; faults of single jobs are in the pass.
    pub async fn mark_and_clean(&self) -> Result<Pass> {
        self.pass(Work { mark: true, ..DELETE }).await
    }

    /// Deletes the finished jobs whose period is over, marked or not; one that is marked is kept as long as its mark
    /// says. With `dry_run` it only tells which.
    ///
    /// # Errors
    /// What every call may answer; faults of single jobs are in the pass.
    pub async fn clean_now(&self, dry_run: bool) -> Result<Pass> {
        self.pass(Work { at_once: true, dry_run, ..DELETE }).await
    }

    async fn pass(&self, work: Work) -> Result<Pass> {
        let mut pass = Pass::default();
        let mut filter = ListFilter { labels: Some(self.selector.clone()), ..ListFilter::default() };
        let mut restarts = 0;
        for _ in 0..limits::PAGES {
            let page = match self.jobs.list(&filter).await {
                Err(Error::Expired { .. }) if restarts < limits::RELISTS => {
                    filter.continue_token = None;
                    restarts += 1;
                    continue;
                }
                page => page?,
            };
            for (job, _) in page.jobs {
                self.look(job, work, &mut pass).await?;
            }
            filter.continue_token = page.continue_token;
            if filter.continue_token.is_none() {
                break;
            }
        }
        Ok(pass)
    }

    /// Does what is due with one job.
    async fn look(&self, job: Job, work: Work, pass: &mut Pass) -> Result<()> {
        let now = self.jobs.world.now();
        let is_over = |until: i64| until <= now.as_second();
        let name = job.metadata.name.clone().unwrap_or_default();
        match fate(&job, self.period, now) {
            Fate::Due if work.delete => self.delete(job, name, work, pass).await,
            Fate::Unmarked(until) if work.at_once => match is_over(until) {
                true => self.delete(job, name, work, pass).await,
                false => Ok(()),
            },
            Fate::Unmarked(until) if work.mark => {
                let marked = self.put_mark(&job, &name, until).await?;
                let Some(marked) = skip(marked, &name, pass) else { return Ok(()) };
                pass.marked.push((name.clone(), until));
                match work.delete && is_over(until) {
                    true => self.delete(marked, name, work, pass).await,
                    false => Ok(()),
                }
            }
            Fate::Unreadable(text) => {
                let reason =
                    format!("its annotation {DELETION_TIME} is {text:?}, not a number of seconds since 1970");
                tracing::warn!(job = name, reason, "kept");
                pass.skipped.push((name, reason));
                Ok(())
            }
            Fate::Runs | Fate::Going | Fate::Kept(_) | Fate::Due | Fate::Unmarked(_) => Ok(()),
        }
    }

    async fn put_mark(&self, job: &Job, name: &str, until: i64) -> Result<Result<Job, String>> {
        let patch = json!({ "metadata": {
            "resourceVersion": job.metadata.resource_version,
            "annotations": { DELETION_TIME: until.to_string() },
        } });
        let call = Call::new(Method::PATCH, self.there(job).job_path(name))
            .query("fieldManager", marks::WINDLASS)
            .merge_patch(&patch);
        let answer = self.jobs.ask::<Job>(call).await.map(|answer| answer.value);
        self.settled(answer, name)
    }

    async fn delete(&self, job: Job, name: String, work: Work, pass: &mut Pass) -> Result<()> {
        if work.dry_run {
            pass.deleted.push(name);
            return Ok(());
        }
        let (uid, version) = (job.metadata.uid.clone(), job.metadata.resource_version.clone());
        let there = self.there(&job);
        if let Some(callback) = &self.callback
            && let Err(refusal) = callback(job).await
        {
            tracing::warn!(job = name, %refusal, "the callback keeps the job");
            pass.skipped.push((name, refusal.to_string()));
            return Ok(());
        }
        let answer = there.try_delete(&name, uid.as_deref(), version.as_deref()).await;
        let deleted = self.settled(answer, &name)?;
        if skip(deleted, &name, pass).is_some() {
            pass.deleted.push(name);
        }
        Ok(())
    }

    /// The manager of a job's own namespace.
    fn there(&self, job: &Job) -> JobManager {
        match &job.metadata.namespace {
            Some(namespace) => self.jobs.in_namespace(namespace),
            None => self.jobs.clone(),
        }
    }

    /// A job that is gone, or was changed by somebody else, is that job's affair; anything else is the cluster's.
    fn settled<T>(&self, answer: Result<T, Fault>, name: &str) -> Result<Result<T, String>> {
        match answer {
            Ok(value) => Ok(Ok(value)),
            Err(fault) if fault.is_not_found() => Ok(Err("was deleted meanwhile".to_owned())),
            Err(fault) if fault.is_conflict() => Ok(Err("was changed meanwhile".to_owned())),
            Err(fault) => Err(self.jobs.error(name, fault)),
        }
    }
}

fn skip<T>(result: Result<T, String>, name: &str, pass: &mut Pass) -> Option<T> {
    result.map_err(|reason| pass.skipped.push((name.to_owned(), reason))).ok()
}

impl JobManager {
    /// Deletes a job, if it is still this one, after its pods.
    pub(crate) async fn delete_exactly(
        &self,
        name: &str,
        uid: Option<&str>,
        version: Option<&str>,
    ) -> Result<()> {
        self.try_delete(name, uid, version).await.map_err(|fault| self.error(name, fault))
    }

    async fn try_delete(&self, name: &str, uid: Option<&str>, version: Option<&str>) -> Result<(), Fault> {
        let mut preconditions = json!({ "uid": uid });
        if let Some(version) = version {
            preconditions["resourceVersion"] = version.into();
        }
        let body = json!({ "propagationPolicy": "Foreground", "preconditions": preconditions });
        let call = Call::new(Method::DELETE, self.job_path(name)).json(&body).repeatable();
        match self.ask::<Value>(call).await {
            Ok(_) => Ok(()),
            // It went: the sending before this one, whose answer was lost, did it.
            Err(fault) if fault.perhaps_done && (fault.is_not_found() || fault.is_conflict()) => Ok(()),
            Err(fault) => Err(fault),
        }
    }
}

/// Seconds since 1970 as a person reads them.
pub fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}
