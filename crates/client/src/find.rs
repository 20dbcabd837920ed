//! Finds the job that a person means: a name, a submission id, a unique prefix, or `last`.

use k8s_openapi::api::batch::v1::Job;
use windlass_manifest::marks;

use crate::transport::{Answer, Call};
use crate::{Error, JobManager, JobPage, ListFilter, Result, limits};

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
            match self.ask::<Job>(Call::get(self.job_path(text))).await {
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
            let newest =
                page.jobs.iter().filter_map(|(job, status)| Some((status.times.age(), name(job)?))).max();
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
        let page = self.list(&ListFilter { labels, limit: 1, ..ListFilter::default() }).await?;
        Ok(page.jobs.first().and_then(|(job, _)| name(job)))
    }

    /// The server has no selector for prefixes: the names of the namespace are read page by page, as far as it
    /// takes to know that there are several.
    async fn by_prefix(&self, prefix: &str) -> Result<Vec<String>> {
        let mut fits = Vec::new();
        self.each_page(ListFilter::default(), |page| {
            let names = page.jobs.iter().filter_map(|(job, status)| {
                let id = status.submission.as_deref().unwrap_or_default();
                name(job).filter(|name| name.starts_with(prefix) || id.starts_with(prefix))
            });
            fits.extend(names);
            fits.len() < limits::CANDIDATES
        })
        .await?;
        fits.truncate(limits::CANDIDATES);
        Ok(fits)
    }

    /// Reads page after page as long as the reader wants more.
    async fn each_page(&self, mut filter: ListFilter, mut read: impl FnMut(&JobPage) -> bool) -> Result<()> {
        for _ in 0..limits::PAGES {
            let page = self.list(&filter).await?;
            if !read(&page) || page.continue_token.is_none() {
                break;
            }
            filter.continue_token = page.continue_token;
        }
        Ok(())
    }
}

fn name(job: &Job) -> Option<String> {
    job.metadata.name.clone()
}
