//! `windlass retry`: submit jobs that have ended again, as new jobs.

use k8s_openapi::api::batch::v1::Job;
use serde_json::Value;
use windlass::manifest::{Edit, JobEdit, again, make, marks};
use windlass::{JobView, SubmitOptions};

use super::{wait, which};
use crate::args::low::Retry;
use crate::cluster::{Call, Session};
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::out;
use crate::print::plain;

/// Submits them again; prints the names of the new jobs.
pub(crate) async fn run(options: &Retry, call: Call<'_>) -> Outcome {
    let session = call.open().await?;
    let mut views = Vec::new();
    // All are looked at before the first is submitted.
    for name in which::names(&options.which, &session.manager, true).await? {
        let view = session.manager.get(&name).await?;
        if !view.status.phase.is_final() {
            return Err(
                Failure::new(&name, "has not ended").way_out(format!("`windlass cancel {name}` ends it"))
            );
        }
        if reads_stdin(&view.job) {
            let failure = Failure::new(&name, "was given stdin when it was submitted, which is kept nowhere");
            return Err(failure.way_out("submit it as it was submitted then: `... | windlass run -- ...`"));
        }
        // Of many, those that succeeded need no second time.
        let all = options.which.selector.is_none();
        if all || view.status.exit_code != Some(0) {
            views.push(view);
        }
    }
    let mut names = Vec::new();
    for view in &views {
        names.push(submit(view, &session, call).await?);
    }
    if names.is_empty() {
        session.notes.say("all of them succeeded: nothing was submitted");
    }
    if !options.wait {
        return Ok(Exit::OK);
    }
    let ends = wait::all(&names, &session.manager, wait::Until::default(), session.notes).await?;
    Ok(wait::code(&ends))
}

/// Whether a process of the job would wait for somebody to write to it.
fn reads_stdin(job: &Job) -> bool {
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.is_some_and(|pod| pod.containers.iter().any(|container| container.stdin == Some(true)))
}

async fn submit(view: &JobView, session: &Session, call: Call<'_>) -> Outcome<String> {
    let name = &view.status.name;
    let fault = |cause: &dyn std::fmt::Display| Failure::new(name, cause);
    let job: Value = serde_json::to_value(&view.job).map_err(|error| fault(&error))?;
    let mut job = job;
    job["apiVersion"] = "batch/v1".into();
    job["kind"] = "Job".into();
    let base = again(&job).map_err(|problems| fault(&problems))?;
    let edit = Edit::Job(JobEdit::Annotation(marks::RETRY_OF.to_owned(), name.clone()));
    let manifest = make(&base, &[edit]).map_err(|problems| fault(&problems))?;
    let options = SubmitOptions { submitter: Some(call.who().to_owned()), ..SubmitOptions::default() };
    let submitted = session.manager.submit(&manifest, &options).await?;
    for warning in &submitted.warnings {
        session.notes.say(&format!("{}: {}", submitted.name, plain(warning)));
    }
    out::data(&format!("{}\n", submitted.name))?;
    Ok(submitted.name)
}
