//! Many submissions at once: a bounded number on their way, each told as it is answered, none in the way of another.

use std::collections::VecDeque;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use windlass_manifest::Manifest;
use windlass_model::SubmissionId;

use crate::submit::Earlier;
use crate::window::Window;
use crate::{JobManager, Result, SubmitOptions, Submitted, limits};

/// One of many jobs.
#[derive(Clone, Debug)]
pub struct BulkJob {
    /// What is submitted.
    pub manifest: Manifest,
    /// Its submission's id.
    pub id: SubmissionId,
    /// The id was made just now: nobody has sent it before, and it need not be looked for.
    pub is_new: bool,
}

/// Submissions that go on as long as they are asked for answers.
pub struct BulkRun {
    manager: JobManager,
    options: SubmitOptions,
    unsent: VecDeque<(usize, BulkJob)>,
    sending: FuturesUnordered<BoxFuture<'static, (usize, String, Result<Submitted>)>>,
    window: Window,
}

impl JobManager {
    /// Submits these jobs, in their order as far as several at once have one. At most 16 are on their way, fewer while
    /// the server says that it has too much to do. The id of the options does not count.
    pub fn submit_all(&self, jobs: Vec<BulkJob>, options: SubmitOptions) -> BulkRun {
        BulkRun {
            manager: self.clone(),
            options,
            unsent: jobs.into_iter().enumerate().collect(),
            sending: FuturesUnordered::new(),
            window: Window::new(limits::SENDING, self.memo.busy()),
        }
    }
}

impl BulkRun {
    /// The next answer, with the number of its job, from 0. A fault that every other job would meet
    /// ([`crate::Error::is_of_the_cluster`]) stops the run; one that every other
    /// job of its namespace would meet ([`crate::Error::is_of_the_namespace`]) has those not sent. `None` once all that were sent are answered.
    pub async fn next(&mut self) -> Option<(usize, Result<Submitted>)> {
        while self.sending.len() < self.window.size()
            && let Some((number, job)) = self.unsent.pop_front()
        {
            let (manager, options) = (self.manager.clone(), self.options.clone());
            let namespace = self.namespace_of(&job).to_owned();
            let earlier = if job.is_new { Earlier::Never } else { Earlier::Perhaps };
            self.sending.push(Box::pin(async move {
                let answer = manager.submit_as(&job.manifest, &job.id, earlier, &options).await;
                (number, namespace, answer)
            }));
        }
        let (number, namespace, answer) = self.sending.next().await?;
        self.window.answered(self.manager.memo.busy());
        if answer.as_ref().is_err_and(crate::Error::is_of_the_cluster) {
            self.stop();
        } else if answer.as_ref().is_err_and(crate::Error::is_of_the_namespace) {
            let unsent = std::mem::take(&mut self.unsent);
            self.unsent = unsent.into_iter().filter(|(_, job)| self.namespace_of(job) != namespace).collect();
        }
        if matches!(answer, Err(crate::Error::NoArrays { .. })) {
            self.unsent.retain(|(_, job)| !job.manifest.is_array());
        }
        Some((number, answer))
    }

    fn namespace_of<'a>(&'a self, job: &'a BulkJob) -> &'a str {
        job.manifest.namespace().unwrap_or_else(|| self.manager.namespace())
    }

    /// Sends no more. What is on its way is still answered.
    pub fn stop(&mut self) {
        self.unsent.clear();
    }
}
