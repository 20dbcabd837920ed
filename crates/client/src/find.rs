//! Finds the job that a person means: a name, a submission id, a unique prefix, or `last`.

use windlass_manifest::marks;

use crate::slim::SlimJob;
use crate::transport::{Answer, Call};
use crate::{Error, JobManager, ListFilter, Result, StatusPage, limits};

impl JobManager {
    /// The name of the job that is meant. An exact name wins over `last`, that over an id, an id over a prefix;
    /// `last` is the newest job that Windlass submitted in this namespace.
    ///
    /// # Errors
    /// `NotFound`, `Ambiguous`, and what every call may answer.
    pub async fn resolve(&self, text: &str) -> Result<String> {
        let text = text.strip_prefix("job/").or_else(|| text.strip_prefix("jobs/")).unwrap_or(text);
        let not_found = || Error::NotFound { job: text.to_owned(), namespace: self.namespace.clone() };
        if windlass_model::JobName::parse(text).is_ok() {
            match self.ask::<SlimJob>(Call::get(self.job_path(text))).await {
                Ok(Answer { .. }) => return Ok(text.to_owned()),
                Err(fault) if fault.is_not_found() => {}
                Err(fault) => return Err(self.error(text, fault)),
            }
        }
        if text == "last" {
            return self.last().await?.ok_or_else(not_found);
        }
        if let Some(name) = self.by_id(text).await? {
            return Ok(name);
        }
        let fits = if text.is_empty() { Vec::new() } else { self.by_prefix(text).await? };
        match fits.as_slice() {
            [] => Err(not_found()),
            [name] => Ok(name.clone()),
            _ => Err(Error::Ambiguous { prefix: text.to_owned(), jobs: fits }),
        }
    }

    async fn last(&self) -> Result<Option<String>> {
        let mut last = None;
        self.each_page(ListFilter { only_ours: true, ..ListFilter::default() }, |page| {
            let newest = page.jobs.iter().map(|job| (job.times.age(), job.name.clone())).max();
            last = last.take().max(newest);
            true
        })
        .await?;
        Ok(last.map(|(_, name)| name))
    }

    async fn by_id(&self, id: &str) -> Result<Option<String>> {
        if windlass_model::SubmissionId::parse(id).is_err() {
            return Ok(None);
        }
        let labels = Some(format!("{}={id}", marks::SUBMISSION));
        let page = self.statuses(&ListFilter { labels, limit: 1, ..ListFilter::default() }).await?;
        Ok(page.jobs.into_iter().next().map(|job| job.name))
    }

    /// The server has no selector for prefixes: the names of the namespace are read page by page, as far as it
    /// takes to know that there are several.
    async fn by_prefix(&self, prefix: &str) -> Result<Vec<String>> {
        let mut fits = Vec::new();
        self.each_page(ListFilter::default(), |page| {
            for job in &page.jobs {
                let has_id = job.submission.as_deref().is_some_and(|id| id.starts_with(prefix));
                // A list that had to be begun again names some of them twice.
                if (has_id || job.name.starts_with(prefix)) && !fits.contains(&job.name) {
                    fits.push(job.name.clone());
                }
            }
            fits.len() < limits::CANDIDATES
        })
        .await?;
        fits.truncate(limits::CANDIDATES);
        Ok(fits)
    }

    /// Reads page after page as long as the reader wants more; from the first again when they have expired, so that
    /// some jobs may come twice.
    ///
    /// # Errors
    /// What every call may answer.
    pub async fn each_page(
        &self,
        mut filter: ListFilter,
        mut read: impl FnMut(&StatusPage) -> bool,
    ) -> Result<()> {
        filter.limit = limits::PAGE;
        let mut restarts = 0;
        for _ in 0..limits::PAGES {
            let page = match self.statuses(&filter).await {
                Err(Error::Expired { .. }) if restarts < limits::RELISTS => {
                    filter.continue_token = None;
                    restarts += 1;
                    continue;
                }
                page => page?,
            };
            if !read(&page) || page.continue_token.is_none() {
                break;
            }
            filter.continue_token = page.continue_token;
        }
        Ok(())
    }
}
