//! The words of `windlass plan`: those of `submit`, without sending anything.

use clap::Args;
use windlass_model::SubmissionId;

use super::array::{self, Tasks};
use super::high::{Work, nothing, wrong};
use super::low::{DataFormat, JobArgs};
use super::source::{self, SourceArgs};
use super::{Usage, job};
use crate::env::Env;
use crate::verbs::env_file::EnvFiles;

/// `windlass plan`
#[derive(Args, Debug)]
#[command(
    override_usage = "windlass plan [OPTIONS] -- COMMAND...\n       windlass plan [OPTIONS] -f FILE [-- COMMAND...]",
    after_help = "stdout: the manifests, or what differs from a job of that name that is there. stderr: what was checked. \
                  Exit codes: 0 nothing is wrong, 1 something is, 125 the cluster does not answer."
)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub job: JobArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    /// Print manifests, differences and checks together in this format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<DataFormat>,
}

/// What is planned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlanOptions {
    /// What would be submitted.
    pub work: Work,
    /// What makes each job of it an array.
    pub tasks: Option<Tasks>,
    /// Variables from files.
    pub env_files: EnvFiles,
    /// The submission's id.
    pub id: Option<SubmissionId>,
    /// All together in this format.
    pub output: Option<DataFormat>,
}

/// Makes plain values of clap's.
pub(super) fn raise(mut args: Plan, env: &Env) -> Result<PlanOptions, Usage> {
    let usage = "windlass plan [OPTIONS] -- COMMAND..., or: windlass plan [OPTIONS] -f FILE";
    let id = job::id(&args.job).map_err(|problems| wrong("plan", &problems))?;
    let tasks =
        array::tasks(&mut args.job, &args.source, env).map_err(|problems| wrong("plan", &problems))?;
    let env_files = job::env_files(&args.job, env);
    let work =
        source::work(args.job, args.source, env).map_err(|mistake| nothing("plan", &mistake, usage))?;
    Ok(PlanOptions { work, tasks, env_files, id, output: args.output })
}
