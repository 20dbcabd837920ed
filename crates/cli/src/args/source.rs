//! Where jobs come from that are not a command alone: a file, and what its format leaves to the command line.

use std::path::PathBuf;

use clap::Args;
use windlass_manifest::formats::magnus::{Task, TaskKind};
use windlass_manifest::{Base, ContainerEdit, Edit, Payload};
use windlass_model::{Problem, Problems};

use super::definition::{self, DefinitionArgs};
use super::high::{FromObject, Origin, PrefectRun, Source, Work};
use super::job;
use super::low::JobArgs;
use crate::env::Env;

/// A file of jobs.
#[derive(Args, Debug, Default)]
pub(crate) struct SourceArgs {
    /// Take the jobs of this file: Kubernetes manifests (YAML or JSON), a job file (windlass: v1), or a magnus
    /// configuration; - is stdin. A command takes the place of what the first container runs
    #[arg(short, long = "filename", value_name = "FILE", conflicts_with = "job_spec_file")]
    pub file: Option<PathBuf>,
    /// Take the job of an object on the cluster, job/NAME or cronjob/NAME, with what the options change
    #[arg(long, value_name = "KIND/NAME", conflicts_with_all = ["file", "job_spec_file", "definition"])]
    pub from: Option<String>,
    #[command(flatten)]
    pub magnus: MagnusArgs,
    #[command(flatten)]
    pub prefect: PrefectArgs,
    #[command(flatten)]
    pub definition: DefinitionArgs,
}

impl SourceArgs {
    /// Whether they name jobs.
    pub(super) fn is_named(&self) -> bool {
        self.file.is_some()
            || self.from.is_some()
            || self.prefect.job_spec_file.is_some()
            || self.definition.is_named()
    }
}

const MAGNUS: &str = "With a magnus configuration (-f)";

/// What magnus' own command line says of a job.
#[derive(Args, Debug, Default)]
pub(crate) struct MagnusArgs {
    /// Have magnus run this function in the pod
    #[arg(long, value_name = "MODULE.FUNCTION", requires = "file", conflicts_with_all = ["notebook", "command"], help_heading = MAGNUS)]
    pub function: Option<String>,
    /// Have magnus run this notebook in the pod
    #[arg(long, value_name = "FILE.ipynb", requires = "file", conflicts_with = "command", help_heading = MAGNUS)]
    pub notebook: Option<String>,
    /// Id of the run, and name of the job [default: one that is made up]
    #[arg(long, value_name = "ID", requires = "file", help_heading = MAGNUS)]
    pub run_id: Option<String>,
    /// File of parameters in the image
    #[arg(long, value_name = "FILE", requires = "file", help_heading = MAGNUS)]
    pub parameters_file: Option<String>,
    /// How much magnus logs [default: WARNING]
    #[arg(long, value_name = "LEVEL", requires = "file", help_heading = MAGNUS)]
    pub log_level: Option<String>,
    /// Folder of the data in the image [default: data/]
    #[arg(long, value_name = "DIR", requires = "file", help_heading = MAGNUS)]
    pub data_folder: Option<String>,
    /// Tag of the run
    #[arg(long, value_name = "TAG", requires = "file", help_heading = MAGNUS)]
    pub tag: Option<String>,
    /// Put these data into the catalog
    #[arg(long, value_name = "NAME", requires = "file", help_heading = MAGNUS)]
    pub put_in_catalog: Vec<String>,
}

const PREFECT: &str = "With a Prefect job spec (--job-spec-file)";

/// What a Prefect `KubernetesJobEnvironment` knows.
#[derive(Args, Debug, Default)]
pub(crate) struct PrefectArgs {
    /// Take the Job of this file as Prefect's KubernetesJobEnvironment does: its first container runs the command in
    /// --image, the run's identifiers become labels, the rest stays as it is
    #[arg(long, value_name = "FILE", help_heading = PREFECT)]
    pub job_spec_file: Option<PathBuf>,
    /// Id of the flow run, a label of job and pods [default: PREFECT__CONTEXT__FLOW_RUN_ID, or the identifier]
    #[arg(long, value_name = "ID", requires = "job_spec_file", help_heading = PREFECT)]
    pub flow_run_id: Option<String>,
    /// End the job's name with the beginning of the identifier, so that runs can exist side by side
    #[arg(long, requires = "job_spec_file", help_heading = PREFECT)]
    pub unique_name: bool,
    /// Set --env and --env-file in every container, not only in the first
    #[arg(long, requires = "job_spec_file", help_heading = PREFECT)]
    pub env_all: bool,
}

/// What is to be submitted; the mistake if that is nothing.
pub(super) fn work(job: JobArgs, source: SourceArgs, env: &Env) -> Result<Work, Mistake> {
    let SourceArgs { file, from, magnus, prefect, definition } = source;
    let is_of_file = file.is_some() || from.is_some() || definition.is_named();
    check(&job, is_of_file, prefect.job_spec_file.is_some())?;
    let run_id = magnus.run_id.clone().or_else(|| job.name.clone());
    let payload = payload(&job, magnus);
    if let Some(from) = from {
        let origin = origin(&from)?;
        let edits = job::edits(job, env)?;
        return Ok(Work::From(Box::new(FromObject { origin, payload, edits })));
    }
    if definition.is_named() {
        return definition::work(job, definition, payload, env).map(Box::new).map(Work::Definition);
    }
    let (file, prefect) = match (file, prefect.job_spec_file.clone()) {
        (Some(file), _) => (file, None),
        (None, Some(file)) => (file, Some(run_of(prefect, &job, env))),
        (None, None) if job.command.is_empty() => return Err(Mistake::Nothing),
        (None, None) => {
            let (request, edits) = job::request(job, env)?;
            return Ok(Work::Command(Base::Request(Box::new(request)), edits));
        }
    };
    let mut edits = job::edits(job, env)?;
    if let Some(run) = &prefect {
        edits.iter_mut().for_each(|edit| run.narrow(edit));
    }
    Ok(Work::File(Box::new(Source { file, payload, edits, run_id, prefect })))
}

/// `job/NAME` or `cronjob/NAME`.
fn origin(text: &str) -> Result<Origin, Problem> {
    match text.split_once('/') {
        Some(("job" | "jobs", name)) if !name.is_empty() => Ok(Origin::Job(name.to_owned())),
        Some(("cronjob" | "cronjobs" | "cj", name)) if !name.is_empty() => {
            Ok(Origin::CronJob(name.to_owned()))
        }
        _ => Err(Problem::new("--from", format!("{text:?} is neither job/NAME nor cronjob/NAME"))),
    }
}

/// submission-helper's options make a job of their own; its identifier is Prefect's, too.
fn check(job: &JobArgs, file: bool, job_spec: bool) -> Result<(), Mistake> {
    let mut problems = Problems::new();
    match job.helper.typed() {
        Some(option) if file || job_spec => problems.add(option, "makes a job of its own, beside the file's"),
        None if job.helper.identifier.is_some() && !job_spec => {
            problems.add("--identifier", "belongs to --k8s-image or --job-spec-file");
        }
        _ => {}
    }
    Ok(problems.or(())?)
}

/// Why nothing can be submitted.
pub(super) enum Mistake {
    /// There is neither a command nor a file.
    Nothing,
    /// What is wrong with the options.
    Problems(Problems),
}

impl From<windlass_model::Problem> for Mistake {
    fn from(problem: windlass_model::Problem) -> Self {
        Mistake::Problems(problem.into())
    }
}

impl From<Problems> for Mistake {
    fn from(problems: Problems) -> Self {
        Mistake::Problems(problems)
    }
}

fn payload(job: &JobArgs, magnus: MagnusArgs) -> Payload {
    let kind = match (magnus.function, magnus.notebook) {
        (Some(name), _) => TaskKind::Function(name),
        (_, Some(name)) => TaskKind::Notebook(name),
        _ if job.command.is_empty() => return Payload::Own,
        _ => return Payload::Command(job.command.clone()),
    };
    let plain = Task::new(kind);
    Payload::Magnus(Task {
        log_level: magnus.log_level.unwrap_or(plain.log_level),
        data_folder: magnus.data_folder.unwrap_or(plain.data_folder),
        parameters_file: magnus.parameters_file,
        tag: magnus.tag,
        catalog: magnus.put_in_catalog,
        kind: plain.kind,
    })
}

fn run_of(prefect: PrefectArgs, job: &JobArgs, env: &Env) -> PrefectRun {
    let flow_run_id = prefect.flow_run_id;
    PrefectRun {
        image: job.image.clone(),
        identifier: job.helper.identifier.clone(),
        flow_run_id: flow_run_id.or_else(|| env.get("PREFECT__CONTEXT__FLOW_RUN_ID").map(str::to_owned)),
        unique_name: prefect.unique_name,
        env_all: prefect.env_all,
    }
}

impl PrefectRun {
    /// A variable is the first container's, unless all were asked for: the others are no part of the flow.
    pub(crate) fn narrow(&self, edit: &mut Edit) {
        if let Edit::AllContainers(
            change @ (ContainerEdit::Env(..) | ContainerEdit::EnvFrom(..) | ContainerEdit::EnvOf(..)),
        ) = edit
            && !self.env_all
        {
            *edit = Edit::FirstContainer(change.clone());
        }
    }
}
