//! From what is to be submitted to Jobs that could be created: files are read, all of it is checked, nothing is sent.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use windlass::SubmitOptions;
use windlass::manifest::cron::{CronBase, CronManifest, CronOptions, make_cron};
use windlass::manifest::formats::{self, Format, Inputs, Reading, prefect};
use windlass::manifest::read::{MAX_FILE, Places};
use windlass::manifest::{Base, ContainerEdit, Edit, JobEdit, Manifest, Payload, make};
use windlass_model::{Problems, Stem, SubmissionId};

use super::env_file::{self, EnvFiles};
use super::{array, definitions, from};
use crate::args::array::Tasks;
use crate::args::high::{Common, Source, Work};
use crate::args::job;
use crate::cluster::{Call, Session};
use crate::fail::{Failure, Outcome};
use crate::random;

/// So much of a file is read, bytes: one more than is accepted, so that a longer one is refused and not cut.
const LIMIT: u64 = MAX_FILE as u64 + 1;

/// Jobs as they were read.
pub(super) struct Prepared {
    /// At least one.
    pub(super) jobs: Vec<Draft>,
    /// The options that all verbs share, and what the file says of the cluster.
    pub(super) common: Common,
    /// The submission's id, if it is known by now.
    pub(super) id: Option<SubmissionId>,
    /// What a message begins with: the file, or the verb.
    name: String,
    /// The file's text.
    text: Option<String>,
}

/// A base, and all that is changed of it.
pub(super) struct Draft {
    /// The line in which it starts, if it comes from a file.
    line: Option<u64>,
    base: Base,
    edits: Vec<Edit>,
    /// Its fields that only the cluster may know, each with its place.
    doubts: Vec<String>,
}

impl Draft {
    /// The CronJob that makes the Job.
    pub(super) fn cron(&self, options: &CronOptions) -> Result<CronManifest, Problems> {
        make_cron(&CronBase::Job(self.base.clone()), options, &self.edits)
    }

    /// Its fields that only the cluster may know, each with its place.
    pub(super) fn doubts(&self) -> &[String] {
        &self.doubts
    }

    /// The Job, with more edits.
    pub(super) fn make(&self, more: &[Edit]) -> Result<Manifest, Problems> {
        make(&self.base, &[&self.edits, more].concat())
    }
}

impl Prepared {
    /// All Jobs; all that is wrong with any of them at once.
    pub(super) fn manifests(&self) -> Outcome<Vec<Manifest>> {
        let (mut manifests, mut wrong) = (Vec::new(), Vec::new());
        for draft in &self.jobs {
            match draft.make(&[]) {
                Ok(manifest) => manifests.push(manifest),
                Err(problems) => wrong.push((draft, problems)),
            }
        }
        if wrong.is_empty() { Ok(manifests) } else { Err(self.faults(&wrong)) }
    }

    /// Where a job comes from: file and line, or the verb.
    pub(super) fn place(&self, job: usize) -> String {
        match self.jobs.get(job).and_then(|draft| draft.line) {
            Some(line) => format!("{}:{line}", self.name),
            None => self.name.clone(),
        }
    }

    /// What is wrong with jobs, with file and line where they come from a file.
    pub(super) fn faults(&self, wrong: &[(&Draft, Problems)]) -> Failure {
        let Some(text) = &self.text else {
            let problems: Vec<String> = wrong.iter().map(|(_, problems)| problems.to_string()).collect();
            return Failure::new(&self.name, problems.join("\n"));
        };
        let (places, mut lines) = (Places::of(text), Vec::new());
        for (draft, problems) in wrong {
            let line = |path: &str| draft.line.map_or(0, |document| places.line(document, path));
            lines.extend(
                problems.iter().map(|problem| format!("{}:{}: {problem}", self.name, line(&problem.path))),
            );
        }
        all(lines.iter())
    }
}

/// Reads it. What the user should know of a file is said.
pub(super) async fn prepare(
    work: &Work,
    env_files: &EnvFiles,
    tasks: Option<&Tasks>,
    id: Option<&SubmissionId>,
    verb: &str,
    call: Call<'_>,
) -> Outcome<Prepared> {
    let mut prepared = of_work(work, env_files, id, verb, call).await?;
    if let Some(tasks) = tasks {
        let edit = array::edit(tasks, call)?;
        for draft in &mut prepared.jobs {
            if let Ok(manifest) = draft.make(&[]) {
                array::say_near_misses(manifest.job(), &edit, call);
            }
            draft.edits.push(edit.clone());
        }
    }
    Ok(prepared)
}

async fn of_work(
    work: &Work,
    env_files: &EnvFiles,
    id: Option<&SubmissionId>,
    verb: &str,
    call: Call<'_>,
) -> Outcome<Prepared> {
    let mut variables = env_file::edits(env_files, call.env)?;
    match work {
        Work::Command(base, edits) => {
            variables.extend_from_slice(edits);
            let jobs = vec![Draft { line: None, base: base.clone(), edits: variables, doubts: Vec::new() }];
            let (common, name) = (call.common.clone(), verb.to_owned());
            Ok(Prepared { jobs, common, id: id.cloned(), name, text: None })
        }
        Work::File(source) => {
            if let Some(run) = &source.prefect {
                variables.iter_mut().for_each(|edit| run.narrow(edit));
            }
            variables.extend_from_slice(&source.edits);
            of_text(source, text(source)?, variables, id, call)
        }
        Work::Definition(work) => {
            let (base, mut edits, common) = definitions::draft(work, call).await?;
            edits.extend(variables);
            edits.extend_from_slice(&work.edits);
            let jobs = vec![Draft { line: None, base, edits, doubts: Vec::new() }];
            let name = format!("definition {:?}", work.name);
            Ok(Prepared { jobs, common, id: id.cloned(), name, text: None })
        }
        Work::From(work) => {
            let (base, mut edits) = from::read(work, call).await?;
            edits.extend(variables);
            edits.extend_from_slice(&work.edits);
            let jobs = vec![Draft { line: None, base, edits, doubts: Vec::new() }];
            let (common, name) = (call.common.clone(), work.origin.to_string());
            Ok(Prepared { jobs, common, id: id.cloned(), name, text: None })
        }
    }
}

/// The text of a file.
pub(super) fn text(source: &Source) -> Outcome<String> {
    read(&source.file).map_err(|error| Failure::new(source.file.display().to_string(), error))
}

/// The jobs of a file's text.
pub(super) fn of_text(
    source: &Source,
    text: String,
    mut edits: Vec<Edit>,
    id: Option<&SubmissionId>,
    call: Call<'_>,
) -> Outcome<Prepared> {
    let name = source.file.display().to_string();
    let own = id.cloned().unwrap_or_else(random::id);
    let mut reading = reading(&name, &text, source, &own, call)?;
    if reading.format == Format::JobFile {
        settled(&mut reading, &edits, call).map_err(|problems| Failure::new(&name, problems))?;
    }
    call.notes().say(&format!("{name}: read as {}", reading.format));
    for note in &reading.notes {
        call.notes().say(&format!("{name}: {note}"));
    }
    let mut common = call.common.clone();
    if reading.format == Format::Magnus {
        common.flags.things = Some("executor k8s-job");
        // It names a namespace in any case; the one that was typed goes over it.
        edits.extend(common.namespace.clone().map(|name| Edit::Job(JobEdit::Namespace(name))));
    }
    let in_it = matches!(reading.format, Format::Magnus | Format::Prefect);
    common.flags.of_file = reading.kubeconfig.map(|path| home_path(&path, call));
    let doubts = |index| {
        let of_job = reading.doubts.iter().filter(move |doubt| doubt.job == index);
        of_job
            .map(|doubt| format!("{name}:{}: {}: is not known to Windlass", doubt.line, doubt.path))
            .collect()
    };
    let jobs = reading.jobs.into_iter().enumerate().map(|(index, written)| Draft {
        line: Some(written.line),
        base: written.base,
        edits: [&written.edits[..], &edits].concat(),
        doubts: doubts(index),
    });
    // What a format wrote of the id into the job must be the id under which it is submitted.
    let (jobs, id) = (jobs.collect(), id.cloned().or(in_it.then_some(own)));
    Ok(Prepared { jobs, common, id, name, text: Some(text) })
}

/// The jobs of a job file, as if their words had been typed here.
fn settled(reading: &mut Reading, edits: &[Edit], call: Call<'_>) -> Result<(), Problems> {
    let image = edits.iter().find_map(|edit| match edit {
        Edit::FirstContainer(ContainerEdit::Image(image)) => Some(image.as_str()),
        _ => None,
    });
    for written in &mut reading.jobs {
        if let Base::Request(request) = &mut written.base {
            job::settle(request, image, call.env)?;
        }
    }
    Ok(())
}

fn reading(name: &str, text: &str, source: &Source, id: &SubmissionId, call: Call<'_>) -> Outcome<Reading> {
    let run_id = source.run_id.clone().unwrap_or_else(|| run_id(&source.payload, id));
    let inputs = Inputs { variables: &call.env.vars, payload: &source.payload, run_id: Some(&run_id) };
    let reading = match &source.prefect {
        None => formats::read(name, text, inputs),
        Some(run) => {
            let identifier = run.identifier.clone().unwrap_or_else(|| id.to_string());
            let options = prefect::Options {
                image: run.image.clone(),
                flow_run_id: run.flow_run_id.clone().unwrap_or_else(|| identifier.clone()),
                identifier,
                unique_name: run.unique_name,
            };
            prefect::read(name, text, &options, inputs)
        }
    };
    reading.map_err(|errors| all(errors.iter()))
}

/// A name for a run that nobody named: of what it runs, and of the submission.
fn run_id(payload: &Payload, id: &SubmissionId) -> String {
    let word = match payload {
        Payload::Own => "job",
        Payload::Command(words) => words.first().map_or("job", String::as_str),
        Payload::Magnus(task) => task.name(),
    };
    Stem::of(word).name(id, 0).to_string()
}

/// A path that may begin with `~`, as Python's Kubernetes client takes it.
fn home_path(path: &str, call: Call<'_>) -> PathBuf {
    match (path.strip_prefix("~/"), call.env.get("HOME")) {
        (Some(rest), Some(home)) => Path::new(home).join(rest),
        _ => call.env.absolute(path.into()),
    }
}

/// Has the cluster judge what only it may know, before anything is created.
pub(super) async fn settle(
    jobs: &[Draft],
    manifests: &[Manifest],
    session: &Session,
    submission: &SubmitOptions,
) -> Outcome<()> {
    let trial = SubmitOptions { dry_run: true, ..submission.clone() };
    for (draft, manifest) in jobs.iter().zip(manifests).filter(|(draft, _)| !draft.doubts.is_empty()) {
        if let Err(error) = session.manager.submit(manifest, &trial).await {
            return Err(Failure::new(draft.doubts.join("\n"), error).way_out("nothing was submitted"));
        }
        for doubt in &draft.doubts {
            session.notes.say(&format!("{doubt}; the cluster takes it"));
        }
    }
    Ok(())
}

/// Several faults as one failure, a line each.
pub(super) fn all<T: ToString>(faults: impl Iterator<Item = T>) -> Failure {
    let lines: Vec<String> = faults.map(|fault| fault.to_string()).collect();
    Failure::bare(lines.join("\n")).way_out("nothing was submitted")
}

/// A file's text; `-` is stdin.
pub(super) fn read(file: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(LIMIT).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(file)?.take(LIMIT).read_to_end(&mut bytes)?;
    }
    String::from_utf8(bytes).map_err(|error| {
        let read = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = read.iter().filter(|byte| **byte == b'\n').count() + 1;
        std::io::Error::new(ErrorKind::InvalidData, format!("line {line} is no text: it is not in UTF-8"))
    })
}
