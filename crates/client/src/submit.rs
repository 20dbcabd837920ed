//! Submit: one submission is one job, however often it is sent.

use http::Method;
use k8s_openapi::api::batch::v1::Job;
use serde_json::Value;
use windlass_manifest::{Manifest, Naming, marks, marks::Signature};
use windlass_model::SubmissionId;

use crate::companion::{Ground, Kept};
use crate::pages::Page;
use crate::transport::{Answer, Call, Fault};
use crate::{Error, JobManager, Result, limits};

/// How to submit.
#[derive(Clone, Debug, Default)]
pub struct SubmitOptions {
    /// The submission's id; `None` makes a new one.
    pub id: Option<SubmissionId>,
    /// Who submits, for the record.
    pub submitter: Option<String>,
    /// The server checks and defaults the job, and keeps nothing.
    pub dry_run: bool,
}

/// Whether a submission's id was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// It was made just now.
    Never,
    /// Nobody has looked yet.
    Perhaps,
    /// It was looked for, and not found; somebody else may send it now.
    NotSeen,
}

/// A submission that the cluster has accepted.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// Name of the job.
    pub name: String,
    /// Namespace of the job.
    pub namespace: String,
    /// The submission's id.
    pub id: SubmissionId,
    /// Whether this call made it; false when it was there already, with the same content.
    pub created: bool,
    /// The job as the server has it.
    pub job: Job,
    /// What the server warned of.
    pub warnings: Vec<String>,
    /// Whether `job` is the answer to its creation, so that nothing has happened to it yet.
    pub(crate) is_new: bool,
}

impl JobManager {
    /// Creates the job of a manifest, in the manifest's own namespace if it names one, else in the manager's.
    /// Sent again with the same id and the same content it finds the job that is there.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/engine.inc"));
    /// # fn main() { with_engine(async |jobs, _folder| {
    /// use windlass::SubmitOptions;
    /// use windlass::manifest::{Base, make};
    /// use windlass::model::{JobRequest, Place};
    ///
    /// let command = ["sh", "-c", "exit 3"].map(str::to_owned).to_vec();
    /// let request = JobRequest::new(command, Place::Host);
    /// let manifest = make(&Base::Request(Box::new(request)), &[])?;
    ///
    /// let submitted = jobs.submit(&manifest, &SubmitOptions::default()).await?;
    /// let outcome = jobs.wait(&submitted.name, None).await?;
    /// assert_eq!(outcome.exit.code(), 3);
    /// assert!(outcome.status.verdict.text.contains("ended with code 3"), "{}", outcome.status.verdict.text);
    /// # Ok(()) }); }
    /// ```
    ///
    /// # Errors
    /// `NoHostClass`, `Conflict`, `Invalid`, `OverQuota`, and what every call may answer.
    pub async fn submit(&self, manifest: &Manifest, options: &SubmitOptions) -> Result<Submitted> {
        match &options.id {
            Some(id) => self.submit_as(manifest, id, Earlier::Perhaps, options).await,
            None => self.submit_as(manifest, &self.new_id(), Earlier::Never, options).await,
        }
    }

    /// As [`JobManager::submit`], with an id of which something is known; that of the options does not count.
    pub(crate) async fn submit_as(
        &self,
        manifest: &Manifest,
        id: &SubmissionId,
        earlier: Earlier,
        options: &SubmitOptions,
    ) -> Result<Submitted> {
        let there = match manifest.namespace() {
            Some(namespace) if namespace != self.namespace => self.in_namespace(namespace),
            _ => self.clone(),
        };
        if manifest.is_host() {
            there.check_host_class().await?;
        }
        if manifest.is_array() {
            Box::pin(there.check_arrays()).await?;
        }
        if earlier == Earlier::Perhaps
            && let Some(found) = there.find_submission(manifest, id, options).await?
        {
            return Ok(found);
        }
        there.create(manifest, id, earlier, options).await
    }

    /// An id that nobody else has.
    pub(crate) fn new_id(&self) -> SubmissionId {
        let mut bytes = [0; 16];
        self.world.random(&mut bytes);
        SubmissionId::from_random(bytes)
    }

    /// A chosen id may have been sent before, with content that gives another name: only its label finds it then.
    async fn find_submission(
        &self,
        manifest: &Manifest,
        id: &SubmissionId,
        options: &SubmitOptions,
    ) -> Result<Option<Submitted>> {
        let selector = format!("{}={id}", marks::SUBMISSION);
        let call = Call::get(self.jobs_path()).query("labelSelector", &selector).query("limit", "1");
        let page: Answer<Page<Job>> = self.ask(call).await.map_err(|fault| self.error("", fault))?;
        let (jobs, _) = page.value.into_parts();
        let Some(job) = jobs.into_iter().next() else { return Ok(None) };
        let name = job.metadata.name.clone().unwrap_or_default();
        let found = self.recognise(manifest, id, job, &name)?;
        // Whoever sent it may have come no further than to the job.
        let attempt = (0..limits::NAMES).find(|attempt| manifest.name_for(id, *attempt).as_str() == name);
        let companion =
            attempt.filter(|_| !options.dry_run).and_then(|attempt| manifest.companion(id, attempt));
        Ok(Some(self.mended(companion.as_ref(), found, None).await))
    }

    /// With the ConfigMap of its tasks as it should be.
    async fn mended(
        &self,
        companion: Option<&Value>,
        mut submitted: Submitted,
        kept: Option<Kept>,
    ) -> Submitted {
        if let Some(companion) = companion {
            submitted.warnings.extend(Box::pin(self.own(companion, &submitted.job, kept)).await);
        }
        submitted
    }

    async fn create(
        &self,
        manifest: &Manifest,
        id: &SubmissionId,
        earlier: Earlier,
        options: &SubmitOptions,
    ) -> Result<Submitted> {
        for attempt in 0..limits::NAMES {
            let name = manifest.name_for(id, attempt);
            let companion = manifest.companion(id, attempt);
            let ground = match &companion {
                None => None,
                Some(companion) => {
                    Some(Box::pin(self.prepare(companion, name.as_str(), options.dry_run)).await?)
                }
            };
            let (kept, made) = match ground {
                None => (None, self.create_as(manifest, id, attempt, earlier, options).await),
                Some(Ground::Ready(kept)) => {
                    (Some(kept), self.create_as(manifest, id, attempt, earlier, options).await)
                }
                Some(Ground::Job(job)) => (None, self.known(manifest, id, *job, name.as_str(), earlier)),
                Some(Ground::Strangers) if matches!(manifest.naming(), Naming::Derived(_)) => continue,
                Some(Ground::Strangers) => {
                    let config_map = companion.as_ref().map(crate::companion::name_of).unwrap_or_default();
                    return Err(Error::OtherTasks { config_map, job: name.to_string() });
                }
            };
            match (made, kept) {
                (Ok(Some(submitted)), _) if options.dry_run => return Ok(submitted),
                (Ok(Some(submitted)), kept) => {
                    return Ok(self.mended(companion.as_ref(), submitted, kept).await);
                }
                (Ok(None), Some(kept)) => Box::pin(self.withdraw(kept)).await,
                (Ok(None), None) => {}
                (Err(error), kept) => {
                    match kept {
                        Some(kept) if error.is_refusal() => Box::pin(self.withdraw(kept)).await,
                        Some(kept) => Box::pin(self.withdraw_unless_there(kept, name.as_str())).await,
                        None => {}
                    }
                    return Err(error);
                }
            }
        }
        let name = manifest.name_for(id, 0).to_string();
        Err(Error::Conflict {
            job: name,
            difference: "and so do the other names that this submission could take",
        })
    }

    /// Creates it under one of its names; `None` if that is a stranger's, or was until now.
    async fn create_as(
        &self,
        manifest: &Manifest,
        id: &SubmissionId,
        attempt: u32,
        earlier: Earlier,
        options: &SubmitOptions,
    ) -> Result<Option<Submitted>> {
        let by = Signature { who: options.submitter.as_deref(), when: Some(self.world.now()) };
        let object = manifest.sealed(id, by, attempt);
        let name = manifest.name_for(id, attempt);
        let name = name.as_str();
        let fault = match self.post(&object, options.dry_run).await {
            Ok(Answer { value: job, warnings }) => return Ok(Some(self.submitted(id, job, true, warnings))),
            Err(fault) => fault,
        };
        if !fault.is_already_exists() {
            // A job that nobody knows of would run unseen, and be doubled by the next try.
            let is_silent = matches!(fault.code, 0 | 408 | 502 | 504);
            if is_silent && fault.may_be_done() && !options.dry_run {
                let (context, job) = (self.context.clone(), name.to_owned());
                return Err(Error::Uncertain { context, job, id: id.clone(), message: fault.message });
            }
            return Err(self.error(name, fault));
        }
        let job = self.ask(Call::get(self.job_path(name))).await;
        let job: Job = match job {
            Ok(answer) => answer.value,
            // It was made by a sending whose answer was lost, and deleted since: it is not made again.
            Err(gone) if gone.is_not_found() && fault.perhaps_done => {
                return Err(Error::Gone { job: name.to_owned() });
            }
            Err(fault) if fault.is_not_found() => return Ok(None),
            Err(fault) => return Err(self.error(name, fault)),
        };
        self.known(manifest, id, job, name, earlier)
    }

    /// The job that is there under a name that this submission could take; `None` if it is a stranger's, and another
    /// name can be taken.
    fn known(
        &self,
        manifest: &Manifest,
        id: &SubmissionId,
        job: Job,
        name: &str,
        earlier: Earlier,
    ) -> Result<Option<Submitted>> {
        let is_ours = label(&job, marks::SUBMISSION) == Some(id.as_str());
        if !is_ours && matches!(manifest.naming(), Naming::Derived(_)) {
            return Ok(None);
        }
        let found = self.recognise(manifest, id, job, name)?;
        // Nobody else has an id that was made here: it was this call's own request, whose answer was lost.
        Ok(Some(Submitted { created: earlier == Earlier::Never, ..found }))
    }

    /// Sends the job; again as often as it takes to know what became of it: the name makes the repetition harmless.
    async fn post(&self, object: &Value, dry_run: bool) -> Result<Answer<Job>, Fault> {
        let call = Call::new(Method::POST, self.jobs_path())
            .query("fieldManager", marks::WINDLASS)
            .query("fieldValidation", "Strict")
            .query_if("dryRun", dry_run.then_some("All"))
            .json(object);
        self.ask(call.repeatable()).await
    }

    /// A job that is there already: the same submission with the same content is no error.
    fn recognise(&self, manifest: &Manifest, id: &SubmissionId, job: Job, name: &str) -> Result<Submitted> {
        let conflict = |difference| Err(Error::Conflict { job: name.to_owned(), difference });
        if label(&job, marks::SUBMISSION) != Some(id.as_str()) {
            return conflict("and is another submission's");
        }
        let content =
            job.metadata.annotations.as_ref().and_then(|annotations| annotations.get(marks::CONTENT));
        if content != Some(&manifest.content_hash()) {
            return conflict("with other content");
        }
        Ok(self.submitted(id, job, false, Vec::new()))
    }

    fn submitted(&self, id: &SubmissionId, job: Job, created: bool, warnings: Vec<String>) -> Submitted {
        let name = job.metadata.name.clone().unwrap_or_default();
        let namespace = self.namespace.clone();
        Submitted { name, namespace, id: id.clone(), created, job, warnings, is_new: created }
    }

    /// Host processes exist where the cluster says so; anywhere else the pod would wait for ever.
    pub(crate) async fn check_host_class(&self) -> Result<()> {
        if self.memo.has_host_class() {
            return Ok(());
        }
        let path = format!("/apis/node.k8s.io/v1/runtimeclasses/{}", marks::HOST_CLASS);
        match self.ask::<Value>(Call::get(path)).await {
            Ok(_) => {
                self.memo.set_has_host_class();
                Ok(())
            }
            Err(fault) if fault.is_not_found() => Err(Error::NoHostClass { context: self.context.clone() }),
            Err(fault) => Err(self.error("", fault)),
        }
    }
}

fn label<'a>(job: &'a Job, key: &str) -> Option<&'a str> {
    job.metadata.labels.as_ref()?.get(key).map(String::as_str)
}
