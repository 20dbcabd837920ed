//! `windlass wait`: until all, or one, of some jobs have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use windlass::{JobManager, Outcome as Ended};

use super::stuck::Stuck;
use super::{failures, result_file, sidecars, which};
use crate::args::high::WaitOptions;
use crate::clock;
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::Outcome;
use crate::out::Notes;
use crate::print::plain;

/// Waits.
pub(crate) async fn run(options: &WaitOptions, call: Call<'_>) -> Outcome {
    let mut ends = Vec::new();
    let result = call.fatal.or(Box::pin(wait(options, call, &mut ends))).await;
    result_file::write(options.result_file.as_deref(), &result, &ends)?;
    result
}

async fn wait(options: &WaitOptions, call: Call<'_>, ends: &mut Vec<Ended>) -> Outcome {
    let session = call.open().await?;
    let (names, missing) = which::names_and_missing(&options.which, &session.manager).await?;
    for failure in &missing {
        session.notes.say(&failure.to_string());
    }
    let until = Until { timeout: options.timeout, any: options.any };
    *ends = all(&names, &session.manager, until, session.notes).await?;
    for end in ends.iter() {
        sidecars::outlived(end, options.stop_sidecars, &session.manager, session.notes).await?;
    }
    match (code(ends), missing.into_iter().next()) {
        // What is not there cannot be said to have succeeded.
        (Exit::OK, Some(failure)) if !options.any => Err(failure),
        (exit, _) => Ok(exit),
    }
}

/// Until when is waited.
#[derive(Clone, Copy, Default)]
pub(super) struct Until {
    /// For so long, for all of them together.
    pub(super) timeout: Option<Duration>,
    /// One end is enough.
    pub(super) any: bool,
}

/// The ends of jobs, in the order in which they were named.
///
/// # Errors
/// The first fault.
pub(super) async fn all(
    names: &[String],
    manager: &JobManager,
    until: Until,
    notes: Notes,
) -> Outcome<Vec<Ended>> {
    let mut ends = BTreeMap::new();
    let (mut unlimited, mut stuck) = (BTreeSet::new(), Stuck::new());
    let mut waits = manager.wait_all(names.iter().cloned());
    let deadline = until.timeout.map(clock::after);
    loop {
        let look = stuck.next();
        let next = waits.next();
        let until_look = deadline.map_or(look, |deadline| deadline.min(look));
        match tokio::time::timeout_at(until_look, next).await {
            Ok(None) => break,
            Ok(Some((name, end))) => {
                let end = end?;
                stuck.stir();
                // What outlives its command is told with what becomes of it.
                if end.status.payload.is_none() {
                    notes.say(&said(&name, &end, manager).await);
                }
                // Of many on one machine it is the same.
                if let Some(limits) =
                    end.status.unlimited.clone().filter(|limits| unlimited.insert(limits.clone()))
                {
                    notes.say(&format!("{name}: {}", plain(&limits)));
                }
                ends.insert(name, end);
                if until.any {
                    break;
                }
            }
            Err(_) => {
                let mut left = names.iter().filter(|name| !ends.contains_key(*name));
                if deadline.is_some_and(|deadline| deadline <= look) {
                    let (job, after) =
                        (left.next().cloned().unwrap_or_default(), until.timeout.unwrap_or_default());
                    return Err(windlass::Error::TimedOut { job, after }.into());
                }
                let tell = stuck.look(left.map(|name| (String::new(), name.as_str())), manager, notes);
                match deadline {
                    Some(deadline) => _ = tokio::time::timeout_at(deadline, tell).await,
                    None => tell.await,
                }
            }
        }
    }
    Ok(names.iter().filter_map(|name| ends.get(name).cloned()).collect())
}

/// How a job ended; of one with failed tasks their causes, with the last lines of each, as `run` and `why` tell them.
async fn said(name: &str, end: &Ended, manager: &JobManager) -> String {
    let mut text = format!("{name}: {}", plain(&end.status.verdict.text));
    if end.exit.code() != 0 && end.status.counts.failed_tasks.is_some_and(|failed| failed > 0) {
        text.push_str(&failures::and_next(&failures::read(end, manager).await));
    }
    text
}

/// 0 if all succeeded, else the code of the first that did not.
pub(super) fn code(ends: &[Ended]) -> Exit {
    ends.iter().map(|end| Exit(end.exit.code())).find(|exit| *exit != Exit::OK).unwrap_or(Exit::OK)
}
