//! The options that describe a job, as a request of a command's job or as edits of a manifest.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use windlass_manifest::formats::job_file::entrypoint;
use windlass_manifest::{ContainerEdit, Edit, JobEdit, PodEdit};
use windlass_model::{CompletionMode, JobRequest, Place, Problems, SubmissionId, duration};

use super::low::JobArgs;
use super::{helper, more};
use crate::env::Env;
use crate::verbs::env_file::EnvFiles;

/// The caller's variables that a command's job gets unless `--export` says otherwise.
pub(crate) const EXPORTED: [&str; 11] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
];

/// A command's job, and what is changed of it.
pub(super) fn request(args: JobArgs, env: &Env) -> Result<(JobRequest, Vec<Edit>), Problems> {
    if args.helper.typed().is_some() {
        return helper::request(args, env);
    }
    let mut problems = Problems::new();
    more::check(&args, &mut problems);
    if args.indexed && args.completions.is_none() {
        problems.add("--completions", "is missing; --indexed needs the number of the indexes");
    }
    let mut edits = more::edits(&args, env, &mut problems);
    if args.entrypoint {
        match &args.image {
            Some(image) => edits.extend(entrypoint(&args.command, image, args.name.is_some())),
            None => {
                problems
                    .add("--entrypoint", "is the image's own program, and there is no image; add --image");
            }
        }
    }
    let place = args.image.clone().map_or(Place::Host, Place::Image);
    let mut request = JobRequest::new(args.command.clone(), place);
    request.env = variables(&args, env, true, &mut problems);
    request.working_dir = working_dir(&args, env, &mut problems);
    request.deadline = time("--deadline", args.deadline.as_deref(), &mut problems);
    request.ttl = time("--ttl", args.ttl.as_deref(), &mut problems);
    request.labels = more::pairs("--label", &args.label, &mut problems).into_iter().collect();
    request.name = args.name;
    request.retries = args.retries.unwrap_or(0);
    request.parallelism = args.parallelism;
    request.completions = args.completions;
    request.completion_mode = args.indexed.then_some(CompletionMode::Indexed);
    request.cpu = args.cpu;
    request.memory = args.memory;
    problems.or((request, edits))
}

/// The same options as changes of a manifest: only what was typed.
pub(super) fn edits(args: JobArgs, env: &Env) -> Result<Vec<Edit>, Problems> {
    let mut problems = Problems::new();
    more::check(&args, &mut problems);
    let mut more = more::edits(&args, env, &mut problems);
    if args.entrypoint && !args.command.is_empty() {
        more.push(Edit::FirstContainer(ContainerEdit::Entrypoint(args.command.clone())));
    }
    let mut edits: Vec<Edit> = Vec::new();
    edits.extend(args.name.clone().map(|name| Edit::Job(JobEdit::Name(name))));
    for (name, value) in more::pairs("--label", &args.label, &mut problems) {
        edits.push(Edit::Job(JobEdit::Label(name.clone(), value.clone())));
        edits.push(Edit::Pod(PodEdit::Label(name, value)));
    }
    let deadline = time("--deadline", args.deadline.as_deref(), &mut problems);
    let ttl = time("--ttl", args.ttl.as_deref(), &mut problems);
    let variables = variables(&args, env, false, &mut problems);
    let job = [
        args.retries.map(JobEdit::Retries),
        deadline.map(JobEdit::Deadline),
        ttl.map(JobEdit::Ttl),
        args.parallelism.map(JobEdit::Parallelism),
        args.completions.map(JobEdit::Completions),
        args.indexed.then_some(JobEdit::CompletionMode(CompletionMode::Indexed)),
    ];
    edits.extend(job.into_iter().flatten().map(Edit::Job));
    let first = [args.image.map(ContainerEdit::Image), args.workdir.map(ContainerEdit::WorkingDir)];
    let resources = [("cpu", args.cpu), ("memory", args.memory)];
    edits.extend(first.into_iter().flatten().map(Edit::FirstContainer));
    for (name, quantity) in resources.into_iter().filter_map(|(name, quantity)| Some((name, quantity?))) {
        if name == "memory" {
            edits.push(Edit::FirstContainer(ContainerEdit::Limit(name.to_owned(), quantity.clone())));
        }
        edits.push(Edit::FirstContainer(ContainerEdit::Request(name.to_owned(), quantity)));
    }
    let variables = variables.into_iter().map(|(name, value)| ContainerEdit::Env(name, value));
    edits.extend(variables.map(Edit::AllContainers));
    edits.extend(more);
    problems.or(edits)
}

/// What a job of a file lacks that a command typed here would have: as a process of the host it starts in the caller's
/// directory, with the listed variables below its own. An image makes it a container's.
pub(crate) fn settle(request: &mut JobRequest, image: Option<&str>, env: &Env) -> Result<(), Problems> {
    if let Some(image) = image {
        request.place = Place::Image(image.to_owned());
    }
    if request.place != Place::Host {
        return Ok(());
    }
    let mut problems = Problems::new();
    let args = JobArgs { workdir: request.working_dir.take(), ..JobArgs::default() };
    request.working_dir = working_dir(&args, env, &mut problems);
    let own = std::mem::replace(&mut request.env, exported(None, env, &mut problems));
    request.env.extend(own);
    problems.or(())
}

/// The submission's id, if one was given, by `--id` or by submission-helper's identifier.
pub(super) fn id(args: &JobArgs) -> Result<Option<SubmissionId>, Problems> {
    let id = args.id.clone().or_else(|| args.helper.id());
    id.as_deref().map(SubmissionId::parse).transpose().map_err(Problems::from)
}

/// A duration of the option `name`.
pub(super) fn time(name: &str, text: Option<&str>, problems: &mut Problems) -> Option<Duration> {
    let parsed = duration::parse(text?);
    parsed.map_err(|problem| problems.add(name, problem.to_string())).ok()
}

/// Where the command starts: of a host process the caller's directory, unless another was named.
fn working_dir(args: &JobArgs, env: &Env, problems: &mut Problems) -> Option<String> {
    let path = match (&args.workdir, &args.image) {
        (Some(dir), Some(_)) => return Some(dir.clone()),
        (None, Some(_)) => return None,
        (Some(dir), None) => env.absolute(dir.into()),
        (None, None) => match &env.cwd {
            Some(cwd) => cwd.clone(),
            None => {
                problems.add("--workdir", "the current directory is gone; name one");
                return None;
            }
        },
    };
    match path.into_os_string().into_string() {
        Ok(path) => Some(path),
        Err(path) => {
            problems.add("--workdir", format!("{} is not UTF-8", path.display()));
            None
        }
    }
}

/// `--export`, then `--env` over it. `command`: whether there is a default for host processes.
fn variables(args: &JobArgs, env: &Env, command: bool, problems: &mut Problems) -> BTreeMap<String, String> {
    let default = if command && args.image.is_none() { None } else { Some("NONE") };
    let mut variables = exported(args.export.as_deref().or(default), env, problems);
    variables.extend(typed(args, env, problems));
    variables
}

/// `--env-file`, and `--env`, which goes over it. They are read when the job is made.
pub(super) fn env_files(args: &JobArgs, env: &Env) -> EnvFiles {
    // What is wrong with it is said of `--env` itself.
    let over = typed(args, env, &mut Problems::new()).into_iter().collect();
    let small = args.small_file.iter().map(|text| small_file(text, env)).collect();
    EnvFiles { files: args.env_file.iter().map(|file| env.absolute(file.clone())).collect(), over, small }
}

/// `FILE[:/PATH]`: the file here, and where the command sees it.
fn small_file(text: &str, env: &Env) -> (PathBuf, Option<String>) {
    match text.rsplit_once(':') {
        Some((file, path)) if path.starts_with('/') && !file.is_empty() => {
            (env.absolute(file.into()), Some(path.to_owned()))
        }
        _ => (env.absolute(text.into()), None),
    }
}

/// `--env`.
fn typed(args: &JobArgs, env: &Env, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for word in &args.env {
        match (word.split_once('='), env.vars.get(word)) {
            (Some(("", _)), _) => problems.add("--env", format!("{word:?} has no name; write NAME=VALUE")),
            (Some((name, value)), _) => {
                variables.insert(name.to_owned(), value.to_owned());
            }
            (None, Some(value)) => {
                variables.insert(word.clone(), value.clone());
            }
            (None, None) => problems.add("--env", format!("{word} is not set here; write {word}=VALUE")),
        }
    }
    variables
}

/// What `--export` takes of the caller's variables; `None` is the documented list, as far as it is set.
fn exported(what: Option<&str>, env: &Env, problems: &mut Problems) -> BTreeMap<String, String> {
    let named = |name: &str| Some((name.to_owned(), env.vars.get(name)?.clone()));
    match what {
        None => EXPORTED.into_iter().filter_map(named).collect(),
        Some("NONE") => BTreeMap::new(),
        Some("ALL") => {
            env.vars.iter().filter(|(name, _)| *name != "_").map(|(k, v)| (k.clone(), v.clone())).collect()
        }
        Some(list) => {
            let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
            let mut variables = BTreeMap::new();
            for name in names {
                match named(name) {
                    Some((name, value)) => _ = variables.insert(name, value),
                    None => problems.add("--export", format!("{name} is not set here")),
                }
            }
            variables
        }
    }
}
