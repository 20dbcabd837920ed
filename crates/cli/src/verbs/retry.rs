//! `windlass retry`: submit jobs that have ended again, as new jobs: all of each, or its failed tasks.

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::Job;
use serde_json::Value;
use windlass::manifest::tasks::{CannotRetry, TaskState, again_tasks};
use windlass::manifest::{Edit, JobEdit, Manifest, make, marks};
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
    let mut manifests = Vec::new();
    for view in &views {
        manifests.extend(again(view, options.failed, &session).await?);
    }
    let mut names = Vec::new();
    for manifest in &manifests {
        names.push(submit(manifest, &session, call).await?);
    }
    if names.is_empty() {
        session.notes.say("nothing failed: nothing was submitted");
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

/// The Job of a job to be run again; none if all of its tasks have succeeded.
async fn again(view: &JobView, only_failed: bool, session: &Session) -> Outcome<Option<Manifest>> {
    let name = &view.status.name;
    let fault = |cause: &dyn std::fmt::Display| Failure::new(name, cause);
    let only = if only_failed { Some(unfinished(view, session).await?) } else { None };
    if only.as_ref().is_some_and(BTreeSet::is_empty) {
        session.notes.say(&format!("{name}: none of its tasks failed"));
        return Ok(None);
    }
    let mut job: Value = serde_json::to_value(&view.job).map_err(|error| fault(&error))?;
    job["apiVersion"] = "batch/v1".into();
    job["kind"] = "Job".into();
    let items = session.manager.items_of(&view.job).await?;
    let (base, mut edits) = again_tasks(&job, items.as_deref(), only.as_ref()).map_err(|cannot| {
        let way_out = match &cannot {
            CannotRetry::ValuesGone { .. } => "submit it as it was submitted then".to_owned(),
            CannotRetry::OtherIndexes { .. } => {
                format!("`windlass retry {name}` runs all of them again; those of --array keep their numbers")
            }
            _ => format!("`windlass retry {name}` runs all of it again"),
        };
        fault(&cannot).way_out(way_out)
    })?;
    edits.push(Edit::Job(JobEdit::Annotation(marks::RETRY_OF.to_owned(), name.clone())));
    make(&base, &edits).map(Some).map_err(|problems| fault(&problems))
}

/// The indexes of the tasks that have not succeeded.
async fn unfinished(view: &JobView, session: &Session) -> Outcome<BTreeSet<u32>> {
    let name = &view.status.name;
    let tasks = session.manager.tasks_of(&view.job).await.map_err(|error| match error {
        windlass::Error::Argument(problem) => Failure::new(name, problem.message)
            .way_out(format!("`windlass retry {name}` runs all of it again")),
        error => error.into(),
    })?;
    let left = tasks.tasks.iter().filter(|task| task.state != TaskState::Succeeded);
    Ok(left.map(|task| task.index).collect())
}

async fn submit(manifest: &Manifest, session: &Session, call: Call<'_>) -> Outcome<String> {
    let options = SubmitOptions { submitter: Some(call.who().to_owned()), ..SubmitOptions::default() };
    let submitted = session.manager.submit(manifest, &options).await?;
    for warning in &submitted.warnings {
        session.notes.say(&format!("{}: {}", submitted.name, plain(warning)));
    }
    out::data(&format!("{}\n", submitted.name))?;
    Ok(submitted.name)
}
