//! `windlass submit`: create jobs and return.

use std::io::Read;
use std::path::Path;

use windlass::SubmitOptions as Submission;
use windlass::manifest::formats::{self, Inputs};
use windlass::manifest::read::MAX_FILE;
use windlass::manifest::{Edit, Manifest, make};

use super::{env_file, object, wait};
use crate::args::high::{SubmitOptions, Work};
use crate::args::low::ObjectFormat;
use crate::cluster::{Call, Session};
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::out;
use crate::print::plain;

/// So much of a file is read, bytes: one more than is accepted, so that a longer one is refused and not cut.
const LIMIT: u64 = MAX_FILE as u64 + 1;

/// Submits. All is read and checked before the first job is created.
pub(crate) async fn run(options: &SubmitOptions, call: Call<'_>) -> Outcome {
    let mut all = env_file::edits(&options.env_files, call.env)?;
    let manifests = match &options.work {
        Work::Command(base, edits) => {
            all.extend_from_slice(edits);
            vec![make(base, &all).map_err(|problems| Failure::new("submit", problems))?]
        }
        Work::File(file, payload, edits) => {
            all.extend_from_slice(edits);
            file_manifests(file, Inputs { variables: &call.env.vars, payload }, &all)?
        }
    };
    if manifests.len() > 1 && options.id.is_some() {
        return Err(Failure::new("--id", "the file holds several jobs, an id is one job's")
            .way_out("submit them one by one"));
    }
    let session = call.open().await?;
    let jobs = create(&manifests, options, &session, call).await?;
    if !options.wait {
        return Ok(Exit::OK);
    }
    // The jobs of a file may be in several namespaces: each is waited for where it is.
    let mut first_failure = Exit::OK;
    for (namespace, names) in by_namespace(jobs) {
        let manager = session.manager.in_namespace(namespace);
        let ends = wait::all(&names, &manager, None, session.notes).await?;
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
    call: Call<'_>,
) -> Outcome<Vec<(String, String)>> {
    let submission = Submission {
        id: options.id.clone(),
        submitter: Some(call.who().to_owned()),
        dry_run: options.dry_run,
    };
    let (mut names, mut jobs) = (Vec::new(), Vec::new());
    let mut fault = None;
    for manifest in manifests {
        match session.manager.submit(manifest, &submission).await {
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

/// Every job of a file, changed; all that is wrong with any of them at once.
fn file_manifests(file: &Path, inputs: Inputs<'_>, edits: &[Edit]) -> Outcome<Vec<Manifest>> {
    let name = file.display().to_string();
    let text = read(file).map_err(|error| Failure::new(&name, error))?;
    let reading = formats::read(&name, &text, inputs).map_err(|errors| all(errors.iter()))?;
    let (mut manifests, mut faults) = (Vec::new(), Vec::new());
    for written in reading.jobs {
        let edits = [&written.edits, edits].concat();
        match make(&written.base, &edits) {
            Ok(manifest) => manifests.push(manifest),
            Err(problems) => {
                let place = format!("{}:{}", written.file, written.line);
                faults.extend(problems.iter().map(|problem| format!("{place}: {problem}")));
            }
        }
    }
    if faults.is_empty() { Ok(manifests) } else { Err(all(faults.iter())) }
}

/// Several faults as one failure, a line each.
fn all<T: ToString>(faults: impl Iterator<Item = T>) -> Failure {
    let lines: Vec<String> = faults.map(|fault| fault.to_string()).collect();
    Failure::bare(lines.join("\n")).way_out("nothing was submitted")
}

/// A file's text; `-` is stdin.
fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(LIMIT).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(file)?.take(LIMIT).read_to_string(&mut text)?;
    }
    Ok(text)
}
