//! ConfigMaps of tasks and files whose Job never came to be: whoever submitted it was killed in between.
//!
//! Nobody owns them, so no cluster takes them away. One counts as left over if it carries our marks and a companion's
//! name, nobody owns it, it is not new, and neither its Job nor a pod of its submission is there. Who submits the same
//! at this very moment is safe: the deletion names the revision, and a submission makes what is missing.

use std::time::Duration;

use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::{Value, json};
use windlass_manifest::marks;

use crate::pages::Step;
use crate::transport::{Call, Fault, segment};
use crate::{JobManager, Result};

/// One that is younger is kept whatever is asked for: a submission may be under way.
pub const YOUNGEST_LEFTOVER: Duration = Duration::from_secs(3600);

/// What became of the ConfigMaps that nobody owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// The names of those that were deleted, or would be.
    pub deleted: Vec<String>,
    /// Those that should have been and stay, and why.
    pub skipped: Vec<(String, String)>,
    /// They may not be listed: nothing is known of them, and nothing was done.
    pub is_forbidden: bool,
}

/// An object's metadata: the data of such a ConfigMap may be a megabyte.
#[derive(Deserialize)]
struct Slim {
    #[serde(default)]
    metadata: ObjectMeta,
}

/// A ConfigMap that may be left over, and the Job that it was made for.
struct Candidate {
    name: String,
    job: String,
    submission: String,
    meta: ObjectMeta,
}

impl JobManager {
    /// Deletes the ConfigMaps of tasks and files whose Job never came to be, if they are older than this and than
    /// [`YOUNGEST_LEFTOVER`]. With `dry_run` it only tells which.
    ///
    /// # Errors
    /// What every call may answer; faults of single ones are in the answer, and so is that they may not be listed.
    pub async fn clean_leftovers(&self, older_than: Duration, dry_run: bool) -> Result<Leftovers> {
        let mut left = Leftovers::default();
        let candidates = match self.candidates(older_than.max(YOUNGEST_LEFTOVER)).await {
            Ok(candidates) => candidates,
            Err(fault) if fault.is_forbidden() => return Ok(Leftovers { is_forbidden: true, ..left }),
            Err(fault) => return Err(self.error("", fault)),
        };
        for candidate in candidates {
            let outcome = match self.is_needed(&candidate).await {
                Ok(true) => continue,
                Ok(false) if dry_run => Ok(()),
                Ok(false) => self.take_away(&candidate).await,
                Err(fault) => Err(fault),
            };
            let name = candidate.name;
            match outcome {
                Ok(()) => left.deleted.push(name),
                // Somebody needs it, or was faster: no matter.
                Err(fault) if fault.is_not_found() || fault.is_conflict() => {}
                Err(fault) if fault.is_forbidden() => left.skipped.push((name, fault.message)),
                Err(fault) => return Err(self.error(&candidate.job, fault)),
            }
        }
        Ok(left)
    }

    /// Those that look as if, by their metadata alone.
    async fn candidates(&self, age: Duration) -> Result<Vec<Candidate>, Fault> {
        let selector = format!("{},{}", marks::selector(), marks::SUBMISSION);
        let call = Call::get(self.core_path("configmaps")).query("labelSelector", &selector).metadata_only();
        let now = self.world.now();
        let mut found = Vec::new();
        let take = |step| match step {
            Step::Begin => found = Vec::new(),
            Step::Page(page) => {
                let old = Vec::into_iter(page).filter(|Slim { metadata }| {
                    let made = metadata.creation_timestamp.as_ref();
                    made.is_some_and(|made| {
                        now.duration_since(made.0).try_into().is_ok_and(|is: Duration| is > age)
                    })
                });
                found.extend(old.filter_map(|Slim { metadata }| candidate(metadata)));
            }
        };
        self.each_of_call(call, take).await?;
        Ok(found)
    }

    /// Whether its Job is there, or a pod of its submission: a Job may have been deleted without its pods.
    async fn is_needed(&self, candidate: &Candidate) -> Result<bool, Fault> {
        match self.ask::<Value>(Call::get(self.job_path(&candidate.job))).await {
            Ok(_) => return Ok(true),
            Err(fault) if fault.is_not_found() => {}
            Err(fault) => return Err(fault),
        }
        let selector = format!("{}={}", marks::SUBMISSION, candidate.submission);
        let call = Call::get(self.core_path("pods")).query("labelSelector", &selector).query("limit", "1");
        let pods = self.ask::<Value>(call.metadata_only()).await?.value;
        Ok(pods["items"].as_array().is_some_and(|pods| !pods.is_empty()))
    }

    async fn take_away(&self, candidate: &Candidate) -> Result<(), Fault> {
        let Candidate { name, meta, .. } = candidate;
        let preconditions = json!({ "uid": meta.uid, "resourceVersion": meta.resource_version });
        let path = format!("{}/{}", self.core_path("configmaps"), segment(name));
        let call = Call::new(Method::DELETE, path).json(&json!({ "preconditions": preconditions }));
        match self.ask::<Value>(call.repeatable()).await {
            // It went: the sending before this one, whose answer was lost, did it.
            Err(fault) if fault.perhaps_done && fault.is_not_found() => Ok(()),
            answer => answer.map(|_| ()),
        }
    }
}

/// The names are those that `windlass_manifest` gives: `JOB-tasks`, or `JOB-files` of a job that is no array.
fn candidate(meta: ObjectMeta) -> Option<Candidate> {
    let is_ours = meta.labels.as_ref()?.get(marks::MANAGED_BY).is_some_and(|who| who == marks::WINDLASS);
    let is_free = meta.owner_references.as_ref().is_none_or(Vec::is_empty);
    if !is_ours || !is_free || meta.deletion_timestamp.is_some() {
        return None;
    }
    let submission = meta.labels.as_ref()?.get(marks::SUBMISSION)?.clone();
    let name = meta.name.clone()?;
    let job = ["-tasks", "-files"].iter().find_map(|end| name.strip_suffix(end))?.to_owned();
    (!job.is_empty()).then_some(Candidate { name, job, submission, meta })
}
