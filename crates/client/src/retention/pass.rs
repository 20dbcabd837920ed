//! One pass over the jobs of a selector: page by page, each job by its fate.

use http::Method;
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};
use windlass_manifest::formats::definition::DELETION_TIME;
use windlass_manifest::marks;
use windlass_manifest::retention::{Fate, fate};

use super::{Pass, Retention};
use crate::transport::{Call, Fault};
use crate::{Error, JobManager, ListFilter, Result, limits};

/// What is to be done with the jobs of a pass.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) mark: bool,
    pub(super) delete: bool,
    /// One that is not marked is deleted when its period is over, and otherwise left as it is.
    pub(super) at_once: bool,
    pub(super) dry_run: bool,
}

impl Retention {
    /// Looks at every job.
    pub(super) async fn pass(&self, work: Work) -> Result<Pass> {
        let mut pass = Pass::default();
        let mut filter = ListFilter { labels: Some(self.selector.clone()), ..ListFilter::default() };
        let mut restarts = 0;
        for _ in 0..limits::PAGES {
            let page = match Box::pin(self.jobs.list(&filter)).await {
                Err(Error::Expired { .. }) if restarts < limits::RELISTS => {
                    filter.continue_token = None;
                    restarts += 1;
                    continue;
                }
                page => page?,
            };
            for (job, _) in page.jobs {
                Box::pin(self.look(job, work, &mut pass)).await?;
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
