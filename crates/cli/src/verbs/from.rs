//! `--from job/NAME` and `--from cronjob/NAME`: the job of an object on the cluster, as something to submit again with
//! changes. What a server, a controller or an earlier submission wrote of it is taken off.

use serde_json::Value;
use windlass::manifest::cron::at_hand;
use windlass::manifest::{Base, ContainerEdit, Edit, Payload, again, marks};

use crate::args::high::{Common, FromObject, Origin};
use crate::cluster::Call;
use crate::fail::{Failure, Outcome};

/// The base, and what is changed of it.
pub(super) async fn read(work: &FromObject, call: Call<'_>) -> Outcome<(Base, Vec<Edit>)> {
    // Which cluster is used is said when the job is submitted.
    let quiet = Common { quiet: true, ..call.common.clone() };
    let session = Call { common: &quiet, ..call }.open().await?;
    let base = match &work.origin {
        Origin::CronJob(name) => {
            let cron = session.manager.cron(name).await?;
            at_hand(&cron).map_err(|problems| Failure::new(work.origin.to_string(), problems))?
        }
        Origin::Job(name) => {
            let name = session.manager.resolve(name).await?;
            let view = session.manager.get(&name).await?;
            let mut job = serde_json::to_value(&view.job).map_err(|error| Failure::new(&name, error))?;
            job["apiVersion"] = "batch/v1".into();
            job["kind"] = "Job".into();
            of_job(job, &name)?
        }
    };
    check(&base, work)?;
    let mut edits = Vec::new();
    if let Payload::Command(words) = &work.payload {
        edits.push(Edit::FirstContainer(ContainerEdit::Command(words.clone())));
    }
    Ok((base, edits))
}

/// A Job as it was written; what `run` adds for this one's stdin and terminal is the next one's own affair.
fn of_job(mut job: Value, name: &str) -> Outcome<Base> {
    let annotation = |key: &str| job["metadata"]["annotations"].get(key).is_some();
    if annotation(marks::TASKS) {
        return Err(Failure::new(name, "has numbered tasks, whose values are its own")
            .way_out("submit it as it was submitted then, or `windlass retry` it"));
    }
    let is_ours = job["metadata"]["labels"][marks::MANAGED_BY] == marks::WINDLASS;
    if let Some(Value::Object(container)) =
        job.pointer_mut("/spec/template/spec/containers/0").filter(|_| is_ours)
    {
        container.retain(|field, _| !matches!(field.as_str(), "stdin" | "stdinOnce" | "tty"));
    }
    if let Some(Value::Object(annotations)) = job.pointer_mut("/metadata/annotations") {
        annotations.remove(marks::RETRY_OF);
    }
    again(&job).map_err(|problems| Failure::new(name, problems))
}

/// An image makes no container of a process of the host: directory and variables are the host's.
fn check(base: &Base, work: &FromObject) -> Outcome<()> {
    let Base::Manifest(job) = base else { return Ok(()) };
    let is_host = job.pointer("/spec/template/spec/runtimeClassName").and_then(Value::as_str)
        == Some(marks::HOST_CLASS);
    let has_image =
        work.edits.iter().any(|edit| matches!(edit, Edit::FirstContainer(ContainerEdit::Image(_))));
    match is_host && has_image {
        true => Err(Failure::new(work.origin.to_string(), "is a process of the host, which has no image")
            .way_out("leave --image out, or write the command anew: windlass run --image IMAGE -- COMMAND")),
        false => Ok(()),
    }
}
