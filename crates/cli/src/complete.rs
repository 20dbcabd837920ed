//! What a shell is answered when somebody presses Tab: words, options, and the names of jobs and CronJobs of the cluster
//! that the line so far chooses.
//!
//! It is quick or has nothing to say: no engine is started for it, nothing is printed beside the names, and every fault is
//! an empty answer. The shell asks by calling this program with [`VARIABLE`] in its environment.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::CommandFactory;
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use windlass::{JobManager, ListFilter, Source};

use crate::args::high::Common;
use crate::args::low::Cli;
use crate::cluster::choose::{Cluster, Flags};
use crate::cluster::{self, Call};
use crate::env::Env;
use crate::fail::Outcome;
use crate::fatal::Fatal;
use crate::runtime;

/// The variable by which a shell asks; its value is the shell's name.
pub(crate) const VARIABLE: &str = "WINDLASS_COMPLETE";
/// Nobody waits longer for a Tab.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many jobs are looked through, and so many names are offered.
const JOBS: u32 = 500;
const NAMES: usize = 100;

/// Answers a shell, if one asks; whether it did.
pub(crate) fn answered(argv: &[OsString]) -> bool {
    let completion = CompleteEnv::with_factory(Cli::command).var(VARIABLE).bin("windlass");
    // A shell that is not known, or that has gone: there is nobody to tell.
    completion.try_complete(argv.iter().cloned(), None).unwrap_or(true)
}

/// Names of jobs.
pub(crate) fn jobs() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| offer(current, Kind::Jobs))
}

/// Names of CronJobs.
pub(crate) fn crons() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| offer(current, Kind::Crons))
}

#[derive(Clone, Copy)]
enum Kind {
    Jobs,
    Crons,
}

fn offer(current: &OsStr, kind: Kind) -> Vec<CompletionCandidate> {
    let (Some(prefix), Ok(runtime)) = (current.to_str(), runtime::one_thread()) else { return Vec::new() };
    let env = Env::read();
    // The line so far is what follows the first `--`.
    let line: Vec<String> = std::env::args().skip_while(|word| word != "--").skip(1).collect();
    let found = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, names(&common(&line), &env, kind)).await.ok()?.ok()
    });
    runtime.shutdown_background();
    let mut names = found.unwrap_or_default();
    names.retain(|name| name.starts_with(prefix));
    names.sort();
    names.truncate(NAMES);
    names.into_iter().map(CompletionCandidate::new).collect()
}

async fn names(common: &Common, env: &Env, kind: Kind) -> Outcome<Vec<String>> {
    let fatal = Fatal::default();
    let call = Call { common, env, fatal: &fatal };
    let home = call.home()?;
    let source = match call.choice(&home)?.cluster {
        Cluster::Local if home.running().is_none() => return Ok(Vec::new()),
        Cluster::Local => Source::Files { paths: vec![home.kubeconfig()], context: None },
        Cluster::Context { kubeconfig, name } => {
            Source::Files { paths: cluster::present(&kubeconfig)?, context: name }
        }
    };
    // A login may open a browser, ask for a password, and outlive this process: no Tab is worth that.
    if windlass::needs_plugin(&source).unwrap_or(true) {
        return Ok(Vec::new());
    }
    let Ok(connection) = windlass::connect(&source).await else { return Ok(Vec::new()) };
    let mut manager = JobManager::of(&connection);
    if let Some(namespace) = &common.namespace {
        manager = manager.in_namespace(namespace);
    }
    Ok(match kind {
        Kind::Jobs => {
            let page = manager.statuses(&ListFilter { limit: JOBS, ..ListFilter::default() }).await?;
            page.jobs.into_iter().map(|job| job.name).collect()
        }
        Kind::Crons => {
            let crons = manager.crons(None, false).await?;
            crons.iter().filter_map(|cron| cron["metadata"]["name"].as_str().map(str::to_owned)).collect()
        }
    })
}

/// Which cluster and namespace the line says, as far as it can be told of one that is not finished.
fn common(line: &[String]) -> Common {
    let mut common = Common { quiet: true, flags: Flags::default(), namespace: None };
    let mut words = line.iter();
    while let Some(word) = words.next() {
        let (option, inline) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let mut value = || inline.clone().or_else(|| words.next().cloned());
        match option {
            "--context" => common.flags.context = value(),
            "--kubeconfig" => common.flags.kubeconfig = value().map(Into::into),
            "--namespace" | "-n" => common.namespace = value(),
            "--local" => common.flags.local = true,
            _ => {}
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_which_cluster_is_asked() {
        let line = ["windlass", "logs", "--context", "lab", "-n", "team", "--kubeconfig=/k", "tr"]
            .map(str::to_owned);
        let common = common(&line);
        assert_eq!(common.flags.context.as_deref(), Some("lab"));
        assert_eq!(common.flags.kubeconfig, Some("/k".into()));
        assert_eq!(common.namespace.as_deref(), Some("team"));
    }
}
