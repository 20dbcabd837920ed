//! `windlass submit`: create jobs and return.

use windlass::SubmitOptions as Submission;
use windlass::manifest::Manifest;

use super::{object, wait, work};
use crate::args::high::SubmitOptions;
use crate::args::low::ObjectFormat;
use crate::cluster::{Call, Session};
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::out;
use crate::print::plain;

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
    if manifests.len() > 1 && options.id.is_some() {
        return Err(Failure::new("--id", "the file holds several jobs, an id is one job's")
            .way_out("submit them one by one"));
    }
    let call = Call { common: &prepared.common, ..call };
    let session = call.open().await?;
    let submission = Submission {
        id: prepared.id.clone(),
        submitter: Some(call.who().to_owned()),
        dry_run: options.dry_run,
    };
    work::settle(&prepared.jobs, &manifests, &session, &submission).await?;
    let jobs = create(&manifests, options, &session, &submission).await?;
    if !options.wait {
        return Ok(Exit::OK);
    }
    // The jobs of a file may be in several namespaces: each is waited for where it is.
    let mut first_failure = Exit::OK;
    for (namespace, names) in by_namespace(jobs) {
        let manager = session.manager.in_namespace(namespace);
        let ends = wait::all(&names, &manager, wait::Until::default(), session.notes).await?;
        if first_failure == Exit::OK {
            first_failure = wait::code(&ends);
        }
    }
    Ok(first_failure)
}

/// Creates them in their order. Each name is printed as soon as its job is there; objects are printed together.
async fn create(
    manifests: &[Manifest],
    options: &SubmitOptions,
    session: &Session,
    submission: &Submission,
) -> Outcome<Vec<(String, String)>> {
    let (mut names, mut jobs) = (Vec::new(), Vec::new());
    let mut fault = None;
    for manifest in manifests {
        match session.manager.submit(manifest, submission).await {
            Ok(submitted) => {
                for warning in &submitted.warnings {
                    session.notes.say(&format!("{}: {}", submitted.name, plain(warning)));
                }
                if !submitted.created && !options.dry_run {
                    session
                        .notes
                        .say(&format!("{} was submitted before: it is the same job", submitted.name));
                }
                names.push((submitted.namespace, submitted.name));
                if options.output == ObjectFormat::Name {
                    out::data(&object::print(std::slice::from_ref(&submitted.job), options.output)?)?;
                }
                jobs.push(submitted.job);
            }
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
    }
    if !jobs.is_empty() && options.output != ObjectFormat::Name {
        out::data(&object::print(&jobs, options.output)?)?;
    }
    match fault {
        None => Ok(names),
        Some(error) if manifests.len() == 1 => Err(error.into()),
        Some(error) => {
            let done = format!("{} of {} jobs were submitted before this fault", jobs.len(), manifests.len());
            Err(Failure::bare(error).way_out(done))
        }
    }
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
