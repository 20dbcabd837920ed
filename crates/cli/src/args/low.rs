//! The words of the command line as clap reads them. Their meaning is made in [`super::high`].

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use super::clock::{Clock, ClockVerb};
pub(crate) use super::cron::Cron;
pub(crate) use super::definition::{Clean, Definitions};
pub(crate) use super::low_job::{JobArgs, Pull};
pub(crate) use super::low_tasks::{Logs, Results, ResultsFormat, Retry, TaskOutput};
pub(crate) use super::plan::Plan;
pub(crate) use super::source::SourceArgs;

/// Run batch jobs on Kubernetes, or on this machine where there is none.
#[derive(Parser, Debug)]
#[command(
    name = "windlass",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    infer_subcommands = false,
    after_help = "Exit codes of run, wait and submit --wait: the job's own; 124 its deadline; 125 Windlass failed or the \
                  job never started; 126 and 127 as a shell's; 128+n signal n; 130 interrupted or cancelled."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options that every verb takes.
#[derive(Args, Debug, Default)]
pub(crate) struct Global {
    /// Use this context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME", help_heading = "Which cluster")]
    pub context: Option<String>,
    /// Use this kubeconfig
    #[arg(long, global = true, value_name = "FILE", help_heading = "Which cluster")]
    pub kubeconfig: Option<PathBuf>,
    /// Use this machine: the embedded engine
    #[arg(long, global = true, conflicts_with_all = ["context", "kubeconfig"], help_heading = "Which cluster")]
    pub local: bool,
    /// Use this namespace
    #[arg(short, long, global = true, value_name = "NAME", help_heading = "Which cluster")]
    pub namespace: Option<String>,
    /// Print errors and data only
    #[arg(short, long, global = true, display_order = 900)]
    pub quiet: bool,
}

/// What is to be done.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Run a command as a job: submit it, follow its output, exit with its code
    Run(Run),
    /// Submit jobs and return: a command, or Job manifests from a file
    Submit(Submit),
    /// Print what submit would make, and check whether the cluster has what it needs
    Plan(Box<Plan>),
    /// List jobs
    #[command(visible_alias = "ps")]
    List(List),
    /// Tell the whole story of a job: status, reason, pods, events
    Show(Show),
    /// Tell why a job stands where it stands, and what to do about it
    Why(Why),
    /// Print the output of a job
    Logs(Logs),
    /// Print a table of a job's tasks: values, state, exit code, attempts, duration
    Results(Results),
    /// Wait until jobs have ended
    Wait(Wait),
    /// Cancel jobs that have not ended
    Cancel(Cancel),
    /// Submit jobs that have ended again, as new jobs
    Retry(Retry),
    /// Delete jobs and all that belongs to them
    Delete(Delete),
    /// Delete jobs that ended some time ago
    Clean(Clean),
    /// Have a cluster make jobs by a schedule
    Cron(Cron),
    /// List job definitions, print their templates, variables and Jobs
    Definitions(Definitions),
    /// Look for what on this machine and the cluster may be in the way
    Doctor(Doctor),
    /// Choose the cluster for the commands to come, or print the choice
    Use(Use),
    /// Start the engine of this machine
    Up(Up),
    /// Stop the engine of this machine
    Down(Down),
    /// Tell whether the engine of this machine runs, and where
    Status(Status),
    /// Print the engine's kubeconfig, for any Kubernetes client
    Kubeconfig(Kubeconfig),
    /// Print the time of an engine, or set its clock forward (only of `up --ephemeral`)
    Clock(Clock),
    /// Print the settings that hold here, each with its origin
    Config(Config),
    /// Print what a shell reads at its start to complete commands and names of jobs
    Completions(Completions),
    /// Write man pages into a directory
    Man(Man),
}

/// `windlass run`
#[derive(Args, Debug)]
#[command(
    override_usage = "windlass run [OPTIONS] -- COMMAND...\n       windlass run [OPTIONS] -f FILE [-- COMMAND...]"
)]
pub(crate) struct Run {
    #[command(flatten)]
    pub job: JobArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub output: TaskOutput,
    /// Print the job's name and return; it runs on
    #[arg(short, long, conflicts_with_all = ["on_interrupt", "no_fail_fast", "result_file"])]
    pub detach: bool,
    /// What Ctrl-C does: cancel the job (again: kill it now), or leave it running
    #[arg(long, value_enum, default_value = "cancel", value_name = "ACTION")]
    pub on_interrupt: OnInterrupt,
    /// Keep waiting even for what will never resolve itself
    #[arg(long)]
    pub no_fail_fast: bool,
    /// Cancel the job when it has waited this long for what will never resolve itself, e.g. 5m [default: 30s]
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["no_fail_fast", "detach"])]
    pub give_up_after: Option<String>,
    /// End the containers that keep the pod running after the command has ended: by a signal from inside, or as the
    /// pod's annotation windlass.dev/quit.CONTAINER: PORT/PATH says
    #[arg(long, conflicts_with = "detach")]
    pub stop_sidecars: bool,
    /// Write how the job ended to this file as JSON: its cause and its exit code apart
    #[arg(long, value_name = "FILE")]
    pub result_file: Option<PathBuf>,
    /// Pass on stdin even if it is a terminal [default: what is piped, or a file; it is read as far as the job
    /// takes it, so in a loop that reads stdin itself give --no-stdin]
    #[arg(short = 'i', long, conflicts_with_all = ["no_stdin", "detach"])]
    pub stdin: bool,
    /// Pass on no stdin: the command reads /dev/null
    #[arg(long)]
    pub no_stdin: bool,
    /// Run in a terminal of its own, connected to this one; Ctrl-C goes to the command
    #[arg(short, long, conflicts_with = "detach")]
    pub tty: bool,
}

/// What Ctrl-C does to a followed job.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum OnInterrupt {
    /// Cancel with grace; again: kill now
    #[default]
    Cancel,
    /// Leave the job running
    Detach,
}

/// `windlass submit`
#[derive(Args, Debug)]
#[command(
    override_usage = "windlass submit [OPTIONS] -- COMMAND...\n       windlass submit [OPTIONS] -f FILE [-- COMMAND...]\n       windlass submit --definition NAME [--arg NAME=VALUE...]",
    after_help = super::batch::MANY
)]
pub(crate) struct Submit {
    #[command(flatten)]
    pub job: JobArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub batch: super::batch::BatchArgs,
    /// Wait until the jobs have ended, exit with their code
    #[arg(long)]
    pub wait: bool,
    /// Let the server check the jobs, and create none
    #[arg(long, conflicts_with = "wait", alias = "debug")]
    pub dry_run: bool,
    /// Format of the answer
    #[arg(short, long, value_enum, default_value = "name", value_name = "FORMAT")]
    pub output: ObjectFormat,
}

/// How an object is printed.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum ObjectFormat {
    /// Names, one a line
    #[default]
    Name,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// How a list is printed.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum ListFormat {
    /// A table
    #[default]
    Table,
    /// A table with more columns
    Wide,
    /// Names, one a line
    Name,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// Which jobs: named, or by label.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Which {
    /// Names, submission ids, unique beginnings of either, or `last`
    #[arg(value_name = "JOB", add = crate::complete::jobs())]
    pub jobs: Vec<String>,
    /// All jobs with these labels
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "jobs")]
    pub selector: Option<String>,
}

/// `windlass list`
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only jobs with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,
    /// Jobs of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Only jobs that stand here; several by commas
    #[arg(long, value_enum, ignore_case = true, value_delimiter = ',', value_name = "STATUS")]
    pub phase: Vec<PhaseName>,
    /// Only jobs that failed: short for --phase failed
    #[arg(long)]
    pub failed: bool,
    /// Only jobs that run: short for --phase running
    #[arg(long)]
    pub running: bool,
    /// Only jobs that were created since, e.g. 2h
    #[arg(long, value_name = "DURATION")]
    pub since: Option<String>,
    /// Format of the list
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: ListFormat,
}

/// Where a job stands.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhaseName {
    Pending,
    Suspended,
    Running,
    Ending,
    Succeeded,
    Failed,
    Cancelled,
}

/// `windlass show`
#[derive(Args, Debug)]
pub(crate) struct Show {
    #[command(flatten)]
    pub which: Which,
    /// Print the Job object instead
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<ObjectFormat>,
}

/// `windlass why`
#[derive(Args, Debug)]
#[command(after_help = "cronjob/NAME tells of a CronJob, and so does NAME if no job is called so.")]
pub(crate) struct Why {
    #[command(flatten)]
    pub which: Which,
}

/// `windlass wait`
#[derive(Args, Debug)]
pub(crate) struct Wait {
    #[command(flatten)]
    pub which: Which,
    /// Give up after this long, e.g. 10m, with exit code 124
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Wait until one of the jobs has ended, and exit with its code; otherwise until all have
    #[arg(long)]
    pub any: bool,
    /// End the containers that keep a pod running after its command has ended, as `run --stop-sidecars` does
    #[arg(long)]
    pub stop_sidecars: bool,
    /// Write how the jobs ended to this file as JSON: each one's cause and exit code
    #[arg(long, value_name = "FILE")]
    pub result_file: Option<PathBuf>,
}

/// `windlass cancel`
#[derive(Args, Debug)]
pub(crate) struct Cancel {
    #[command(flatten)]
    pub which: Which,
    /// Why; kept with the job
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// End the processes at once, without grace
    #[arg(long)]
    pub now: bool,
}

/// `windlass delete`
#[derive(Args, Debug)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub which: Which,
}

/// `windlass use`
#[derive(Args, Debug)]
#[command(
    override_usage = "windlass use [CONTEXT] [--kubeconfig FILE]\n       windlass use --local\n       windlass use --reset"
)]
pub(crate) struct Use {
    /// The context to use from now on
    #[arg(value_name = "CONTEXT", conflicts_with_all = ["context", "local"])]
    pub chosen: Option<String>,
    /// Forget the choice
    #[arg(long, conflicts_with_all = ["chosen", "context", "kubeconfig", "local"])]
    pub reset: bool,
}

/// `windlass doctor`
#[derive(Args, Debug)]
#[command(after_help = "Exit codes: 0 no problem, 1 a problem.")]
pub(crate) struct Doctor {
    /// Format of the answer
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<DataFormat>,
}

/// `windlass up`
#[derive(Args, Debug)]
#[command(
    override_usage = "windlass up [OPTIONS]\n       windlass up --ephemeral [OPTIONS] [-- COMMAND...]\n       windlass up --install|--uninstall"
)]
pub(crate) struct Up {
    /// What to do with pods that name an image: let them wait, or run their commands on the host (for tests:
    /// nothing is isolated)
    #[arg(long, value_enum, value_name = "POLICY")]
    pub images: Option<ImagePolicy>,
    /// Listen here; loopback only [default: 127.0.0.1, a free port]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Stay in the foreground until interrupted
    #[arg(long)]
    pub foreground: bool,
    /// Leave when nothing was asked and nothing ran for this long, e.g. 30m [default: stay; an engine that another
    /// command starts leaves after 30m]
    #[arg(long, value_name = "DURATION")]
    pub idle_exit: Option<String>,
    /// Start a private engine in a temporary home, with KUBECONFIG and WINDLASS_HOME set for COMMAND, and exit with
    /// its code; without COMMAND, print the kubeconfig's path and stay until interrupted. Nothing is left behind
    #[arg(long, conflicts_with_all = ["foreground", "idle_exit"])]
    pub ephemeral: bool,
    /// Give jobs a directory of this machine under a claim's name: a volume of DIR and a claim bound to it, in
    /// namespace default; may be given again, also when the engine runs
    #[arg(long, value_name = "NAME=DIR", conflicts_with_all = ["foreground", "ephemeral", "install", "uninstall"])]
    pub claim: Vec<String>,
    /// Offer N devices of a kind that the engine does not find by itself, like nvidia.com/gpu=2 or example.com/probe=1;
    /// 0 gives pods none, also of GPUs that were found. May be given again, also when the engine runs, which keeps it
    #[arg(long, value_name = "NAME=N", conflicts_with_all = ["foreground", "uninstall"])]
    pub resource: Vec<String>,
    /// Make it a service of your systemd: it starts with your session, and again when it dies
    #[arg(long, conflicts_with_all = ["foreground", "idle_exit", "ephemeral"])]
    pub install: bool,
    /// Stop and remove that service; its pods go on
    #[arg(long, conflicts_with_all = ["foreground", "idle_exit", "ephemeral", "install", "images", "listen"])]
    pub uninstall: bool,
    /// The command that a private engine is for
    #[arg(last = true, value_name = "COMMAND", requires = "ephemeral")]
    pub command: Vec<String>,
}

/// What becomes of pods that name an image.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImagePolicy {
    /// They wait, with the reason
    Refuse,
    /// Their commands run on the host
    Host,
}

/// `windlass down`
#[derive(Args, Debug)]
pub(crate) struct Down {
    /// End the pods that run: their preStop hooks, a signal, their grace (90 s at most)
    #[arg(long, conflicts_with = "leave")]
    pub force: bool,
    /// Leave the pods running: the next engine takes them over
    #[arg(long)]
    pub leave: bool,
}

/// `windlass status`
#[derive(Args, Debug)]
pub(crate) struct Status {
    /// Format of the answer
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<DataFormat>,
}

/// How data is printed.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataFormat {
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// `windlass kubeconfig`
#[derive(Args, Debug)]
pub(crate) struct Kubeconfig {
    /// Whose rights it carries: the owner's, those to submit (no processes of the host), or to read alone
    #[arg(long, value_enum, value_name = "ROLE", default_value_t = CredentialRole::Admin)]
    pub role: CredentialRole,
    /// How long it is good, like 12h or 30d [default: 90d; the owner's does not expire]
    #[arg(long, value_name = "DURATION")]
    pub expires_in: Option<String>,
    /// End every credential of this role that was given before
    #[arg(long)]
    pub renew: bool,
    /// Write it to this file, which only you may read
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print the file's path instead
    #[arg(long, conflicts_with = "output")]
    pub path: bool,
}

/// `windlass config`
#[derive(Args, Debug)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub verb: ConfigVerb,
}

/// What is done with the settings.
#[derive(Subcommand, Debug)]
pub(crate) enum ConfigVerb {
    /// Print them
    Show {
        /// Format of the answer
        #[arg(short, long, value_enum, value_name = "FORMAT")]
        output: Option<DataFormat>,
    },
}

/// Whose rights a kubeconfig carries: `docs/rights.md` says what each may do.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CredentialRole {
    Admin,
    Submit,
    Read,
}

/// `windlass man`
#[derive(Args, Debug)]
pub(crate) struct Man {
    /// The directory; it is made
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// `windlass completions`
#[derive(Args, Debug)]
#[command(
    after_help = "bash: eval \"$(windlass completions bash)\" in ~/.bashrc; zsh: the same in ~/.zshrc, after compinit; \
                        fish: windlass completions fish | source in ~/.config/fish/config.fish."
)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}
