//! The words about CronJobs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use windlass_manifest::cron::CronOptions;
use windlass_model::Problems;
use windlass_model::cron::check_name;
use windlass_schedule::Schedule;

use super::high::{Work, nothing, wrong};
use super::low::{DataFormat, JobArgs, ObjectFormat};
use super::source::{self, SourceArgs};
use super::{Usage, job};
use crate::env::Env;
use crate::verbs::env_file::EnvFiles;
use crate::zone;

/// `windlass cron`
#[derive(Args, Debug)]
pub(crate) struct Cron {
    #[command(subcommand)]
    pub verb: CronVerb,
}

impl Cron {
    /// An option that names things of a cluster, if one was typed.
    pub(super) fn things(&self) -> Option<&'static str> {
        match &self.verb {
            CronVerb::Create(args) => args.job.helper.typed(),
            _ => None,
        }
    }
}

/// What is done with CronJobs.
#[derive(Subcommand, Debug)]
pub(crate) enum CronVerb {
    /// Have a command, or the job of a file, run by a schedule; or create the CronJobs of a file
    Create(Box<Create>),
    /// List them, with when they were and will be due
    #[command(visible_alias = "ls")]
    List(List),
    /// Make no more jobs until they are resumed; what runs goes on
    Suspend(Names),
    /// Make jobs again
    Resume(Names),
    /// Run the job of one now, as kubectl's `create job --from` does; print the job's name
    Run(RunNow),
    /// Print when one is due next, in its own time zone and in yours
    Next(Next),
    /// Delete them, their jobs and all that belongs to those
    Delete(Names),
}

/// `windlass cron create`
#[derive(Args, Debug)]
#[command(
    override_usage = "windlass cron create NAME --schedule SCHEDULE [OPTIONS] -- COMMAND...\n       windlass cron create NAME --schedule SCHEDULE -f FILE [OPTIONS] [-- COMMAND...]\n       windlass cron create -f CRONJOBS.yaml [OPTIONS]"
)]
pub(crate) struct Create {
    /// Name of the CronJob, and beginning of its jobs' names [default: the file's]
    #[arg(value_name = "NAME")]
    pub cron: Option<String>,
    /// When: minute, hour, day of month, month, day of week, e.g. "30 2 * * mon-fri"; or @hourly, @daily, @weekly,
    /// @monthly, @yearly, or @every 90m
    #[arg(long, value_name = "SCHEDULE", help_heading = HEADING)]
    pub schedule: Option<String>,
    /// The time zone in which the schedule is read, e.g. Europe/Berlin [default: that of the cluster's controller,
    /// mostly UTC]
    #[arg(long, value_name = "ZONE", alias = "time-zone", help_heading = HEADING)]
    pub timezone: Option<String>,
    /// What becomes of a time at which the job before still runs: it is left out, takes its place, or runs beside it
    /// [default: allow]
    #[arg(long, value_enum, ignore_case = true, value_name = "POLICY", help_heading = HEADING)]
    pub concurrency: Option<Concurrency>,
    /// Leave out a time that is missed by more than this, e.g. 10m [default: none is]
    #[arg(long, value_name = "DURATION", help_heading = HEADING)]
    pub starting_deadline: Option<String>,
    /// Keep so many jobs that succeeded [default: 3]
    #[arg(long, value_name = "N", help_heading = HEADING)]
    pub keep_succeeded: Option<u32>,
    /// Keep so many jobs that failed [default: 1]
    #[arg(long, value_name = "N", help_heading = HEADING)]
    pub keep_failed: Option<u32>,
    /// Make no job until it is resumed
    #[arg(long, help_heading = HEADING)]
    pub suspended: bool,
    /// Take the job of this file, in any format that `submit -f` takes, or CronJobs as they are; - is stdin
    #[arg(short, long = "filename", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Let the server check them, and create none
    #[arg(long)]
    pub dry_run: bool,
    /// Format of the answer
    #[arg(short, long, value_enum, default_value = "name", value_name = "FORMAT")]
    pub output: ObjectFormat,
    #[command(flatten)]
    pub job: JobArgs,
}

const HEADING: &str = "Schedule";

/// What becomes of a time at which the job before still runs.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concurrency {
    /// The new one runs beside it
    Allow,
    /// The new one is left out
    Forbid,
    /// The new one takes its place
    Replace,
}

/// `windlass cron list`
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only those with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,
    /// Those of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Format of the list [default: a table]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<ObjectFormat>,
}

/// Which CronJobs.
#[derive(Args, Debug)]
pub(crate) struct Names {
    /// Their names
    #[arg(value_name = "CRONJOB", required = true, add = crate::complete::crons())]
    pub crons: Vec<String>,
}

/// `windlass cron run`
#[derive(Args, Debug)]
pub(crate) struct RunNow {
    /// Which
    #[arg(value_name = "CRONJOB", add = crate::complete::crons())]
    pub cron: String,
    /// Name of the job [default: the CronJob's and five characters]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Wait until it has ended, exit with its code
    #[arg(long)]
    pub wait: bool,
}

/// `windlass cron next`
#[derive(Args, Debug)]
#[command(
    override_usage = "windlass cron next CRONJOB [OPTIONS]\n       windlass cron next --schedule SCHEDULE [--timezone ZONE] [OPTIONS]"
)]
pub(crate) struct Next {
    /// Which
    #[arg(value_name = "CRONJOB", add = crate::complete::crons(), required_unless_present = "schedule", conflicts_with_all = ["schedule", "timezone"])]
    pub cron: Option<String>,
    /// Of this schedule; no cluster is asked
    #[arg(long, value_name = "SCHEDULE")]
    pub schedule: Option<String>,
    /// Read it in this time zone [default: UTC]
    #[arg(long, value_name = "ZONE", alias = "time-zone", requires = "schedule")]
    pub timezone: Option<String>,
    /// So many times
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub count: u32,
    /// Format of the answer [default: a table]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<DataFormat>,
}

/// What is to be done with CronJobs.
#[derive(Debug)]
pub(crate) enum CronAct {
    /// `create`
    Create(Box<CreateOptions>),
    /// `list`
    List(List),
    /// `suspend`, or else `resume`
    Suspend(Vec<String>, bool),
    /// `run`
    Run(RunNow),
    /// `next`
    Next(Next),
    /// `delete`
    Delete(Vec<String>),
}

/// What `cron create` makes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CreateOptions {
    /// The job, or the CronJobs of a file.
    pub work: Work,
    /// Variables from files.
    pub env_files: EnvFiles,
    /// What is said of the CronJob.
    pub cron: CronOptions,
    /// The server checks, and keeps nothing.
    pub dry_run: bool,
    /// How the answer is printed.
    pub output: ObjectFormat,
}

/// Makes plain values of clap's.
pub(super) fn raise(args: Cron, env: &Env) -> Result<CronAct, Usage> {
    Ok(match args.verb {
        CronVerb::Create(args) => CronAct::Create(Box::new(create(*args, env)?)),
        CronVerb::List(args) => CronAct::List(args),
        CronVerb::Suspend(args) => CronAct::Suspend(args.crons, true),
        CronVerb::Resume(args) => CronAct::Suspend(args.crons, false),
        CronVerb::Run(args) => CronAct::Run(args),
        CronVerb::Next(args) => {
            let mut problems = Problems::new();
            schedule(args.schedule.as_deref(), args.timezone.as_deref(), &mut problems);
            problems.or(()).map_err(|problems| wrong("cron next", &problems))?;
            CronAct::Next(args)
        }
        CronVerb::Delete(args) => CronAct::Delete(args.crons),
    })
}

fn create(mut args: Create, env: &Env) -> Result<CreateOptions, Usage> {
    const VERB: &str = "cron create";
    let mut problems = Problems::new();
    schedule(args.schedule.as_deref(), args.timezone.as_deref(), &mut problems);
    if let Some(Err(problem)) = args.cron.as_deref().or(args.job.name.as_deref()).map(check_name) {
        problems.add("NAME", problem.message);
    }
    if args.job.id.is_some() {
        problems.add("--id", "is one submission's, and a CronJob makes many; leave it out");
    }
    let tasks = &args.job.tasks;
    let many = [
        tasks.array.is_some(),
        tasks.each_line.is_some(),
        tasks.each_row.is_some(),
        !tasks.matrix.is_empty(),
    ];
    for (option, is_typed) in ["--array", "--each-line", "--each-row", "--matrix"].into_iter().zip(many) {
        if is_typed {
            problems.add(
                option,
                "is one submission's, and a CronJob makes many; --completions N --indexed numbers them",
            );
        }
    }
    if !args.job.small_file.is_empty() {
        problems.add(
            "--file",
            "belongs to one job and goes with it; put it into a ConfigMap: -v configmap/NAME:PATH",
        );
    }
    if let (Some(name), Some(other)) = (&args.cron, &args.job.name) {
        problems.add("--name", format!("{other:?} is a second name beside {name:?}; leave it out"));
    }
    if args.file.is_none() {
        if args.cron.is_none() && args.job.name.is_none() {
            problems.add("NAME", "is missing; a CronJob needs one");
        }
        if args.schedule.is_none() {
            problems.add("--schedule", "is missing; it says when, e.g. --schedule '30 2 * * *'");
        }
    }
    // Whichever way it is said, it is the CronJob's.
    let name = args.cron.take().or_else(|| args.job.name.take());
    let starting_deadline =
        job::time("--starting-deadline", args.starting_deadline.as_deref(), &mut problems);
    problems.or(()).map_err(|problems| wrong(VERB, &problems))?;
    let cron = CronOptions {
        name,
        schedule: args.schedule,
        time_zone: args.timezone,
        concurrency: args.concurrency.map(|policy| match policy {
            Concurrency::Allow => "Allow",
            Concurrency::Forbid => "Forbid",
            Concurrency::Replace => "Replace",
        }),
        starting_deadline,
        keep_succeeded: args.keep_succeeded,
        keep_failed: args.keep_failed,
        suspend: args.suspended,
    };
    let env_files = job::env_files(&args.job, env);
    let source = SourceArgs { file: args.file, ..SourceArgs::default() };
    let usage =
        "windlass cron create NAME --schedule SCHEDULE -- COMMAND..., or: windlass cron create -f FILE";
    let work = source::work(args.job, source, env).map_err(|mistake| nothing(VERB, &mistake, usage))?;
    Ok(CreateOptions { work, env_files, cron, dry_run: args.dry_run, output: args.output })
}

/// Adds what is wrong with a schedule and its zone.
fn schedule(text: Option<&str>, zone: Option<&str>, problems: &mut Problems) {
    if let Some(Err(refusal)) = text.map(Schedule::parse) {
        problems.add("--schedule", refusal.to_string());
    }
    if let Some(Err(why)) = zone.map(zone::named) {
        problems.add("--timezone", why);
    }
}
