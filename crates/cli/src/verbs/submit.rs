//! `windlass submit`: create jobs and return.

use windlass::manifest::Manifest;
use windlass::model::SubmissionId;
use windlass::{JobManager, SubmitOptions as Submission};

use super::bulk::{Came, Item};
use super::{bulk, object, wait, work};
use crate::args::high::SubmitOptions;
use crate::cluster::{Call, Session};
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::out::Notes;
use crate::print::plain;
use crate::{out, random};

/// Submits. All is read and checked before the first job is created.
pub(crate) async fn run(options: &SubmitOptions, call: Call<'_>) -> Outcome {
    let prepared = work::prepare(
        &options.work,
        &options.env_files,
        options.tasks.as_ref(),
        options.id.as_ref(),
        "submit",
        call,
    )
    .await?;
    let manifests = prepared.manifests()?;
    let call = Call { common: &prepared.common, ..call };
    let submission = Submission {
        id: prepared.id.clone(),
        submitter: Some(call.who().to_owned()),
        dry_run: options.dry_run,
    };
    let came = match &manifests[..] {
        [_] => {
            let session = call.open().await?;
            work::settle(&prepared.jobs, &manifests, &session, &submission).await?;
            let job = one(&manifests[0], options, &session, &submission).await?;
            (session, Came { jobs: vec![job], exit: Exit::OK })
        }
        _ => {
            let id = submission.id.clone().unwrap_or_else(random::id);
            let items = items(&prepared, &manifests, &id)?;
            let again = match &options.id {
                Some(_) => "the same command again submits only what is missing".to_owned(),
                None => format!("the same command with --id {id} submits only what is missing"),
            };
            let session = call.open().await?;
            work::settle(&prepared.jobs, &manifests, &session, &submission).await?;
            let came = bulk::submit(items, &submission, options.output, &again, &session, call).await?;
            (session, came)
        }
    };
    let (session, Came { jobs, exit }) = came;
    if !options.wait || exit == Exit::INTERRUPTED {
        return Ok(exit);
    }
    // The jobs of a file may be in several namespaces: each is waited for where it is.
    let mut first_failure = exit;
    let mut is_told = false;
    let limited = first_limited(&manifests, &jobs);
    for (namespace, names) in by_namespace(jobs) {
        let manager = session.manager.in_namespace(namespace);
        let ends = wait::all(&names, &manager, wait::Until::default(), session.notes).await?;
        is_told |= ends.iter().any(|end| end.status.unlimited.is_some());
        if first_failure == Exit::OK {
            first_failure = wait::code(&ends);
        }
    }
    if let Some((namespace, name)) = limited.filter(|_| !is_told && !call.notes().quiet) {
        say_unlimited(&session.manager.in_namespace(namespace), &name, session.notes).await;
    }
    Ok(first_failure)
}

/// The first job that has limits, if all were made.
fn first_limited(manifests: &[Manifest], jobs: &[(String, String)]) -> Option<(String, String)> {
    let is_limited = |manifest: &Manifest| {
        let containers = manifest.job()["spec"]["template"]["spec"]["containers"].as_array();
        containers.into_iter().flatten().any(|container| !container["resources"]["limits"].is_null())
    };
    let mut both = manifests.iter().zip(jobs).filter(|_| manifests.len() == jobs.len());
    both.find(|(manifest, _)| is_limited(manifest)).map(|(_, job)| job.clone())
}

/// Says of a job that has ended that it was not held to its limits: a job that ends well is waited for without its pods.
async fn say_unlimited(manager: &JobManager, name: &str, notes: Notes) {
    // Nothing depends on it.
    if let Ok(view) = manager.get(name).await
        && let Some(limits) = &view.status.unlimited
    {
        notes.say(&format!("{name}: {}", plain(limits)));
    }
}

/// Each job with an id of its own, that comes of the one of all.
fn items(prepared: &work::Prepared, manifests: &[Manifest], id: &SubmissionId) -> Outcome<Vec<Item>> {
    let is_new = prepared.id.is_none();
    let item = |(number, manifest): (usize, &Manifest)| {
        let id = id.numbered(number + 1).map_err(|problem| {
            Failure::new("--id", problem.message).way_out("a shorter one leaves room for the jobs' numbers")
        })?;
        Ok(Item { place: prepared.place(number), title: None, manifest: manifest.clone(), id, is_new })
    };
    manifests.iter().enumerate().map(item).collect()
}

/// Creates the only job.
async fn one(
    manifest: &Manifest,
    options: &SubmitOptions,
    session: &Session,
    submission: &Submission,
) -> Outcome<(String, String)> {
    let submitted = session.manager.submit(manifest, submission).await?;
    for warning in &submitted.warnings {
        session.notes.say(&format!("{}: {}", submitted.name, plain(warning)));
    }
    if !submitted.created && !options.dry_run {
        session.notes.say(&format!("{} was submitted before: it is the same job", submitted.name));
    }
    out::data(&object::print(std::slice::from_ref(&submitted.job), options.output)?)?;
    Ok((submitted.namespace, submitted.name))
}

/// Names by namespace, in order of first appearance.
fn by_namespace(jobs: Vec<(String, String)>) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (namespace, name) in jobs {
        match groups.iter_mut().find(|(known, _)| *known == namespace) {
            Some((_, names)) => names.push(name),
            None => groups.push((namespace, vec![name])),
        }
    }
    groups
}
