//! What is meant: plain values, with every default filled in and every word read.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use windlass_engine::Images;
use windlass_manifest::{Base, Edit, Payload};
use windlass_model::{Problems, SubmissionId};

use super::array::{self, Tasks};
use super::batch::{self, BatchOptions};
use super::cron::{self, CronAct};
use super::definition::FromDefinition;
use super::low::{self, ObjectFormat, OnInterrupt, Verb, Which};
use super::plan::{self, PlanOptions};
use super::source::{self, Mistake};
use super::{Usage, job, up};
use crate::cluster::choose::Flags;
use crate::env::Env;
use crate::verbs::env_file::EnvFiles;

/// A command line that was understood.
#[derive(Debug)]
pub(crate) struct Request {
    /// What holds for every verb.
    pub common: Common,
    /// What is to be done.
    pub act: Act,
}

/// What holds for every verb.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Common {
    /// Which cluster was typed.
    pub flags: Flags,
    /// Which namespace was typed.
    pub namespace: Option<String>,
    /// Errors and data only.
    pub quiet: bool,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Act {
    /// `run`
    Run(RunOptions),
    /// `submit`
    Submit(SubmitOptions),
    /// `plan`
    Plan(Box<PlanOptions>),
    /// `submit` of submission-helper's tasks
    Batch(Box<BatchOptions>),
    /// `list`
    List(ListOptions),
    /// `show`
    Show(low::Show),
    /// `why`
    Why(low::Why),
    /// `logs`
    Logs(LogsOptions),
    /// `results`
    Results(low::Results),
    /// `wait`
    Wait(WaitOptions),
    /// `cancel`
    Cancel(low::Cancel),
    /// `retry`
    Retry(low::Retry),
    /// `delete`
    Delete(low::Delete),
    /// `clean`
    Clean(low::Clean),
    /// `cron`
    Cron(CronAct),
    /// `definitions`
    Definitions(low::Definitions),
    /// `doctor`
    Doctor(low::Doctor),
    /// `use`
    Use(low::Use),
    /// `up`
    Up(UpOptions),
    /// `down`
    Down(low::Down),
    /// `status`
    Status(low::Status),
    /// `kubeconfig`
    Kubeconfig(low::Kubeconfig),
    /// `clock`
    Clock(low::Clock),
    /// `config`
    Config(low::Config),
    /// `completions`
    Completions(low::Completions),
    /// `man`
    Man(low::Man),
}

/// What `run` does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RunOptions {
    /// The job.
    pub work: Work,
    /// What makes it an array.
    pub tasks: Option<Tasks>,
    /// Variables from files.
    pub env_files: EnvFiles,
    /// It is not followed.
    pub detach: bool,
    /// The submission's id.
    pub id: Option<SubmissionId>,
    /// What Ctrl-C does.
    pub on_interrupt: OnInterrupt,
    /// End when the job waits for what will never come.
    pub fail_fast: bool,
    /// How long that is waited for, if not as long as usual.
    pub give_up_after: Option<Duration>,
    /// What outlives the command is ended.
    pub stop_sidecars: bool,
    /// Where cause and code are written.
    pub result_file: Option<PathBuf>,
    /// The output of several tasks is printed.
    pub logs: bool,
    /// Where each task's output gets a file of its own.
    pub log_dir: Option<PathBuf>,
    /// Whether stdin is passed on.
    pub stdin: PassStdin,
    /// Whether the command has a terminal.
    pub tty: bool,
}

/// Whether stdin is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PassStdin {
    /// If it is no terminal.
    Piped,
    /// In any case.
    Always,
    /// In none.
    Never,
}

/// What is submitted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Work {
    /// A command's job, changed.
    Command(Base, Vec<Edit>),
    /// Every job of a file, changed.
    File(Box<Source>),
    /// The job of a definition, changed.
    Definition(Box<FromDefinition>),
    /// The job of an object on the cluster, changed.
    From(Box<FromObject>),
}

/// The job of an object on the cluster, and what is changed of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FromObject {
    /// Which.
    pub origin: Origin,
    /// What is to be run, if the caller says it.
    pub payload: Payload,
    /// What is changed.
    pub edits: Vec<Edit>,
}

/// An object that has a job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// A Job: a name, a unique beginning of one, an id, or `last`.
    Job(String),
    /// A CronJob, by its name.
    CronJob(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Job(name) => write!(f, "job/{name}"),
            Origin::CronJob(name) => write!(f, "cronjob/{name}"),
        }
    }
}

/// Jobs of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Source {
    /// The file; `-` is stdin.
    pub file: PathBuf,
    /// What is to be run, if the caller says it.
    pub payload: Payload,
    /// What is changed of the jobs.
    pub edits: Vec<Edit>,
    /// What the run is called, for formats that write it into the job.
    pub run_id: Option<String>,
    /// It is a job spec of Prefect's.
    pub prefect: Option<PrefectRun>,
}

/// A run of a Prefect job spec.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PrefectRun {
    /// The flow's image.
    pub image: Option<String>,
    /// Names the run; `None`: the submission's id.
    pub identifier: Option<String>,
    /// The flow run; `None`: the identifier.
    pub flow_run_id: Option<String>,
    /// The job's name gets an end of its own.
    pub unique_name: bool,
    /// Variables are every container's.
    pub env_all: bool,
}

/// What `submit` does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SubmitOptions {
    /// What is submitted.
    pub work: Work,
    /// What makes each job of it an array.
    pub tasks: Option<Tasks>,
    /// Variables from files.
    pub env_files: EnvFiles,
    /// The submission's id.
    pub id: Option<SubmissionId>,
    /// Wait for the end.
    pub wait: bool,
    /// The server checks, and keeps nothing.
    pub dry_run: bool,
    /// How the answer is printed.
    pub output: ObjectFormat,
}

/// What `logs` does.
#[derive(Clone, Debug)]
pub(crate) struct LogsOptions {
    /// The jobs.
    pub jobs: Which,
    /// Which part of its logs.
    pub which: windlass::LogOptions,
    /// Each line begins with pod and container.
    pub prefix: bool,
}

/// What `list` shows.
#[derive(Debug)]
pub(crate) struct ListOptions {
    /// With which labels.
    pub selector: Option<String>,
    /// Of every namespace.
    pub all_namespaces: bool,
    /// Where they stand; none: anywhere.
    pub phases: Vec<low::PhaseName>,
    /// Created so long ago at most.
    pub since: Option<Duration>,
    /// In which format.
    pub output: low::ListFormat,
}

/// What `wait` does.
#[derive(Debug)]
pub(crate) struct WaitOptions {
    /// For which jobs.
    pub which: Which,
    /// How long.
    pub timeout: Option<Duration>,
    /// One of them is enough.
    pub any: bool,
    /// What outlives the command is ended.
    pub stop_sidecars: bool,
    /// Where cause and code are written.
    pub result_file: Option<PathBuf>,
}

/// What `up` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UpOptions {
    /// What becomes of pods that name an image; `None`: they wait.
    pub images: Option<Images>,
    /// Where it listens.
    pub listen: Option<SocketAddr>,
    /// In this process.
    pub foreground: bool,
    /// It leaves when it was idle for so long.
    pub idle_exit: Option<Duration>,
    /// A private engine for the life of this command, which may be empty.
    pub ephemeral: Option<Vec<String>>,
    /// As a service.
    pub service: Option<Service>,
    /// Directories of this machine, by the claims that they are bound to. They may be relative.
    pub claims: Vec<(String, PathBuf)>,
    /// How many devices the node is to offer, by resource.
    pub resources: BTreeMap<String, u32>,
}

/// What becomes of the engine's service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// It is written and started.
    Install,
    /// It is stopped and removed.
    Uninstall,
}

/// Makes plain values of clap's.
pub(super) fn raise(cli: low::Cli, env: &Env) -> Result<Request, Usage> {
    let low::Global { context, kubeconfig, local, namespace, quiet } = cli.global;
    let things = match &cli.verb {
        Verb::Run(args) => args.job.helper.typed(),
        Verb::Submit(args) => args.job.helper.typed(),
        Verb::Plan(args) => args.job.helper.typed(),
        Verb::Cron(args) => args.things(),
        _ => None,
    };
    let flags = Flags { context, kubeconfig, local, things, of_file: None };
    let common = Common { flags, namespace, quiet };
    let act = match cli.verb {
        Verb::Run(args) => Act::Run(run(args, env)?),
        Verb::Submit(args) if args.batch.is_asked() => Act::Batch(Box::new(batch::raise(args, env)?)),
        Verb::Submit(args) => Act::Submit(submit(args, env)?),
        Verb::Plan(args) => Act::Plan(Box::new(plan::raise(*args, env)?)),
        Verb::List(args) => Act::List(list(args)?),
        Verb::Show(args) => Act::Show(some("show", &args.which).map(|()| args)?),
        Verb::Why(args) => Act::Why(some("why", &args.which).map(|()| args)?),
        Verb::Logs(args) => Act::Logs(logs(args)?),
        Verb::Results(args) => Act::Results(args),
        Verb::Wait(args) => Act::Wait(wait(args)?),
        Verb::Cancel(args) => Act::Cancel(some("cancel", &args.which).map(|()| args)?),
        Verb::Retry(args) => Act::Retry(some("retry", &args.which).map(|()| args)?),
        Verb::Delete(args) => Act::Delete(some("delete", &args.which).map(|()| args)?),
        Verb::Clean(args) => Act::Clean(args),
        Verb::Cron(args) => Act::Cron(cron::raise(args, env)?),
        Verb::Definitions(args) => Act::Definitions(args),
        Verb::Doctor(args) => Act::Doctor(args),
        Verb::Use(args) => Act::Use(args),
        Verb::Up(args) => Act::Up(up::up(args)?),
        Verb::Down(args) => Act::Down(args),
        Verb::Status(args) => Act::Status(args),
        Verb::Kubeconfig(args) => Act::Kubeconfig(up::kubeconfig(args)?),
        Verb::Clock(args) => Act::Clock(args),
        Verb::Config(args) => Act::Config(args),
        Verb::Completions(args) => Act::Completions(args),
        Verb::Man(args) => Act::Man(args),
    };
    Ok(Request { common, act })
}

fn run(mut args: low::Run, env: &Env) -> Result<RunOptions, Usage> {
    let id = job::id(&args.job).map_err(|problems| wrong("run", &problems))?;
    let env_files = job::env_files(&args.job, env);
    let (mut problems, mut tasks) = (Problems::new(), None);
    let give_up_after = job::time("--give-up-after", args.give_up_after.as_deref(), &mut problems);
    problems.extend(
        array::tasks(&mut args.job, &args.source, env).map(|made| tasks = made).err().into_iter().flatten(),
    );
    for (option, is_typed) in [("--stdin", args.stdin), ("--tty", args.tty)] {
        if is_typed && tasks.is_some() {
            problems.add(option, "is for one process, and these are many tasks; give each its input by name");
        }
    }
    problems.or(()).map_err(|problems| wrong("run", &problems))?;
    let work = source::work(args.job, args.source, env).map_err(|mistake| {
        let usage = "windlass run [OPTIONS] -- COMMAND..., or: windlass run [OPTIONS] -f FILE";
        nothing("run", &mistake, usage)
    })?;
    // What is piped is the tasks', or nobody's.
    let has_stdin = !(args.no_stdin || args.detach || tasks.is_some());
    Ok(RunOptions {
        work,
        tasks,
        env_files,
        detach: args.detach,
        id,
        on_interrupt: args.on_interrupt,
        fail_fast: !args.no_fail_fast,
        give_up_after,
        stop_sidecars: args.stop_sidecars,
        result_file: args.result_file.map(|path| env.absolute(path)),
        logs: args.output.logs,
        log_dir: args.output.log_dir.map(|path| env.absolute(path)),
        stdin: match (args.stdin, has_stdin) {
            (true, _) => PassStdin::Always,
            // Nobody stays who could pass it on, or nobody should.
            (_, false) => PassStdin::Never,
            _ => PassStdin::Piped,
        },
        tty: args.tty,
    })
}

fn submit(mut args: low::Submit, env: &Env) -> Result<SubmitOptions, Usage> {
    let usage = "windlass submit [OPTIONS] -- COMMAND..., or: windlass submit [OPTIONS] -f FILE";
    let id = job::id(&args.job).map_err(|problems| wrong("submit", &problems))?;
    let tasks =
        array::tasks(&mut args.job, &args.source, env).map_err(|problems| wrong("submit", &problems))?;
    let env_files = job::env_files(&args.job, env);
    let work =
        source::work(args.job, args.source, env).map_err(|mistake| nothing("submit", &mistake, usage))?;
    Ok(SubmitOptions {
        work,
        tasks,
        env_files,
        id,
        wait: args.wait,
        dry_run: args.dry_run,
        output: args.output,
    })
}

fn list(args: low::List) -> Result<ListOptions, Usage> {
    let mut problems = Problems::new();
    let since = job::time("--since", args.since.as_deref(), &mut problems);
    problems.or(()).map_err(|problems| wrong("list", &problems))?;
    let mut phases = args.phase;
    phases.extend(args.failed.then_some(low::PhaseName::Failed));
    phases.extend(args.running.then_some(low::PhaseName::Running));
    let (selector, all_namespaces, output) = (args.selector, args.all_namespaces, args.output);
    Ok(ListOptions { selector, all_namespaces, phases, since, output })
}

fn logs(args: low::Logs) -> Result<LogsOptions, Usage> {
    some("logs", &args.which)?;
    let mut problems = Problems::new();
    let since = job::time("--since", args.since.as_deref(), &mut problems);
    problems.or(()).map_err(|problems| wrong("logs", &problems))?;
    let which = windlass::LogOptions {
        follow: args.follow,
        container: args.container,
        index: args.index,
        task: args.task,
        tail: args.tail,
        since,
        timestamps: args.timestamps,
        previous: args.previous,
    };
    Ok(LogsOptions { jobs: args.which, which, prefix: args.prefix })
}

fn wait(args: low::Wait) -> Result<WaitOptions, Usage> {
    some("wait", &args.which)?;
    let mut problems = Problems::new();
    let timeout = job::time("--timeout", args.timeout.as_deref(), &mut problems);
    problems.or(()).map_err(|problems| wrong("wait", &problems))?;
    Ok(WaitOptions {
        which: args.which,
        timeout,
        any: args.any,
        stop_sidecars: args.stop_sidecars,
        result_file: args.result_file,
    })
}

/// Why there is nothing to submit.
pub(super) fn nothing(verb: &str, mistake: &Mistake, usage: &str) -> Usage {
    match mistake {
        Mistake::Nothing => Usage::mistake(verb, "there is neither a command nor a file", usage),
        Mistake::Problems(problems) => wrong(verb, problems),
    }
}

/// At least one job must be named.
fn some(verb: &str, which: &Which) -> Result<(), Usage> {
    if which.jobs.is_empty() && which.selector.is_none() {
        let way_out = format!("windlass {verb} JOB..., or: windlass {verb} -l NAME=VALUE");
        return Err(Usage::mistake(verb, "no job is named", &way_out));
    }
    Ok(())
}

/// All that is wrong with the options of `verb`.
pub(super) fn wrong(verb: &str, problems: &Problems) -> Usage {
    let text = problems.to_string().replace('\n', "\n  ");
    Usage::mistake(verb, &text, &format!("`windlass {verb} --help` shows the options"))
}
