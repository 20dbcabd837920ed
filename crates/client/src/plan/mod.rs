//! Checks of a job against its cluster before it is submitted: reads, and a creation that the server only tries.
//!
//! What may not be read is told as unknown, and never guessed.

mod checkup;
mod objects;
mod room;

use serde_json::{Value, json};
use windlass_manifest::plan::{Needs, image_fault, needs};
use windlass_manifest::{Manifest, Naming, marks};
use windlass_model::SubmissionId;

use crate::transport::{Answer, Call, Fault, segment};
use crate::{Error, JobManager, Result, SubmitOptions};

pub use checkup::ClusterFacts;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What: `secret db`.
    pub what: String,
    /// How it stands.
    pub standing: Standing,
    /// What was found, and the way out where something is wrong.
    pub text: String,
}

/// How a thing stands that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it should.
    Ok,
    /// The job could not be made, or could not start.
    Problem,
    /// It could not be found out: a right is missing, or the cluster does not say.
    Unknown,
}

impl Check {
    fn new(what: impl Into<String>, standing: Standing, text: impl Into<String>) -> Check {
        Check { what: what.into(), standing, text: text.into() }
    }
}

/// The verbs that Windlass needs: of which a missing one keeps a job from being made, and what is lost without the others.
const RIGHTS: [(&str, &str, &str, &str, Option<&str>); 5] = [
    ("create", "batch", "jobs", "", None),
    ("watch", "batch", "jobs", "", Some("run and wait cannot follow it")),
    ("list", "", "pods", "", Some("what it waits for cannot be told")),
    ("get", "", "pods", "log", Some("its output cannot be read")),
    ("list", "", "events", "", Some("what events tell is not known")),
];
/// Those that a job with a ConfigMap of tasks or files needs beside them.
const COMPANION_RIGHTS: [(&str, &str, &str, &str, Option<&str>); 3] = [
    ("create", "", "configmaps", "", None),
    (
        "get",
        "",
        "configmaps",
        "",
        Some("its tasks' values cannot be read, nor a lost ConfigMap be made again"),
    ),
    ("patch", "", "configmaps", "", Some("the ConfigMap of its tasks or files stays when it is deleted")),
];

impl JobManager {
    /// Looks at all that a job needs, in the namespace in which it would be made. Nothing is changed.
    ///
    /// # Errors
    /// Only what makes all of it pointless: the cluster does not answer, or does not know who asks.
    pub async fn preflight(&self, manifest: &Manifest, id: Option<&SubmissionId>) -> Result<Vec<Check>> {
        let there = match manifest.namespace() {
            Some(namespace) if namespace != self.namespace => self.in_namespace(namespace),
            _ => self.clone(),
        };
        there.version().await?;
        let needs = needs(manifest.job());
        let mut checks = vec![there.namespace_check().await];
        let is_there = checks[0].standing != Standing::Problem;
        let more = if manifest.has_companion() { &COMPANION_RIGHTS[..] } else { &[] };
        for right in RIGHTS.iter().chain(more) {
            checks.extend(there.right_check(*right).await);
        }
        checks.extend(images(&needs, manifest.is_host()));
        if is_there {
            there.object_checks(&needs, &mut checks).await;
            there.room_checks(&needs, &mut checks).await;
            checks.extend(there.trial(manifest, id).await?);
        }
        Ok(checks)
    }

    /// The job of a manifest's own name, if there is one.
    ///
    /// # Errors
    /// What every call may answer.
    pub async fn namesake(&self, manifest: &Manifest) -> Result<Option<Value>> {
        let Naming::Exact(name) = manifest.naming() else { return Ok(None) };
        let there = self.in_namespace(manifest.namespace().unwrap_or(&self.namespace));
        match there.ask(Call::get(there.job_path(name.as_str()))).await {
            Ok(Answer { value, .. }) => Ok(Some(value)),
            Err(fault) if fault.is_not_found() || fault.is_forbidden() => Ok(None),
            Err(fault) => Err(there.error(name.as_str(), fault)),
        }
    }

    async fn namespace_check(&self) -> Check {
        let what = format!("namespace {}", self.namespace);
        let path = format!("/api/v1/namespaces/{}", segment(&self.namespace));
        match self.ask::<Value>(Call::get(path)).await {
            Ok(answer) if answer.value["status"]["phase"] == "Terminating" => {
                Check::new(what, Standing::Problem, "is being deleted; choose another with -n")
            }
            Ok(_) => Check::new(what, Standing::Ok, "is there"),
            Err(fault) if fault.is_not_found() => {
                Check::new(what, Standing::Problem, "is not there; create it, or choose another with -n")
            }
            Err(fault) => unknown(what, &fault, "get namespaces"),
        }
    }

    /// Asks the server whether it would be allowed (SelfSubjectAccessReview); one question a right.
    async fn right_check(
        &self,
        (verb, group, resource, part, loss): (&str, &str, &str, &str, Option<&str>),
    ) -> Option<Check> {
        let slash = if part.is_empty() { "" } else { "/" };
        let what = format!("right to {verb} {resource}{slash}{part}");
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": { "namespace": self.namespace, "verb": verb, "group": group,
                                              "resource": resource, "subresource": part } },
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let call = Call::new(http::Method::POST, path).json(&review).repeatable();
        Some(match (self.ask::<Value>(call).await, loss) {
            (Ok(answer), _) if answer.value["status"]["allowed"] == true => {
                Check::new(what, Standing::Ok, "you have it")
            }
            (Ok(_), None) => Check::new(what, Standing::Problem, "you do not have it; ask for it"),
            (Ok(_), Some(loss)) => Check::new(what, Standing::Unknown, format!("you do not have it: {loss}")),
            (Err(fault), _) => unknown(what, &fault, "create selfsubjectaccessreviews"),
        })
    }

    /// Has the server try it: admission, quotas and webhooks have their say. What is refused is a problem.
    async fn trial(&self, manifest: &Manifest, id: Option<&SubmissionId>) -> Result<Option<Check>> {
        let options = SubmitOptions { id: id.cloned(), submitter: None, dry_run: true };
        let check = |standing, text: String| Some(Check::new("the server's own trial", standing, text));
        Ok(match self.submit(manifest, &options).await {
            Ok(submitted) if submitted.created && submitted.warnings.is_empty() => {
                check(Standing::Ok, "it would take the job".to_owned())
            }
            Ok(submitted) if submitted.created => check(
                Standing::Ok,
                format!("it would take the job, and warns: {}", submitted.warnings.join("; ")),
            ),
            Ok(_) => check(Standing::Ok, "the job is there already, with the same content".to_owned()),
            Err(error @ (Error::Unreachable { .. } | Error::Unauthorized { .. })) => return Err(error),
            Err(error) => check(Standing::Problem, error.to_string()),
        })
    }
}

fn images(needs: &Needs, is_host: bool) -> Vec<Check> {
    let named = needs.images.iter().filter(|image| !is_host || *image != marks::HOST_IMAGE);
    let check = |image: &String| {
        let what = format!("image {image:?}");
        match image_fault(image) {
            Some(fault) => Check::new(what, Standing::Problem, fault),
            None => Check::new(
                what,
                Standing::Ok,
                "is a name of an image; whether it is there, its registry knows",
            ),
        }
    };
    named.map(check).collect()
}

/// That it could not be found out.
fn unknown(what: impl Into<String>, fault: &Fault, right: &str) -> Check {
    let text = match fault.is_forbidden() {
        true => format!("not known: you may not {right}"),
        false => format!("not known: {}", fault.message),
    };
    Check::new(what, Standing::Unknown, text)
}
