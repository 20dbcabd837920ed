//! Retention: finished jobs are marked with the time until which they are kept, and deleted after it.
//!
//! Which time is decided by [`windlass_manifest::retention`]. Every change names the revision that it was decided on:
//! who changes a job meanwhile, be it the time on it, wins. Only jobs of one selector are touched, a signature or our
//! own mark, and only those that have ended. [`JobManager::clean_leftovers`] deletes what submissions that were killed left.

mod background;
mod leftovers;
mod pass;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::batch::v1::Job;
use windlass_manifest::formats::definition::SIGNATURE;
use windlass_manifest::marks;

use crate::definitions::check_signature;
use crate::{JobManager, Result};

pub use background::{Background, PERIOD_OF_PASSES};
pub use leftovers::{Leftovers, YOUNGEST_LEFTOVER};
use pass::Work;

/// How long a finished job is kept unless somebody says otherwise.
pub const RETENTION: Duration = Duration::from_secs(3600);

/// Why a callback wants a job to stay.
pub type Refusal = Box<dyn std::error::Error + Send + Sync>;

type Callback = Arc<dyn Fn(Job) -> BoxFuture<'static, Result<(), Refusal>> + Send + Sync>;

/// Deletes finished jobs some time after their end.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/engine.inc"));
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
}
