//! `windlass wait`: until all of some jobs have ended.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use windlass::{JobManager, Outcome as Ended};

use super::{result_file, which};
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
    let names = which::names(&options.which, &session.manager, false).await?;
    *ends = all(&names, &session.manager, options.timeout, session.notes).await?;
    Ok(code(ends))
}

/// The ends of jobs, in the order in which they were named.
///
/// # Errors
/// The first fault; `timeout` is for all of them together.
pub(super) async fn all(
    names: &[String],
    manager: &JobManager,
    timeout: Option<Duration>,
    notes: Notes,
) -> Outcome<Vec<Ended>> {
    let mut ends = BTreeMap::new();
    let mut waits = manager.wait_all(names.iter().cloned());
    let deadline = timeout.map(clock::after);
    loop {
        let next = waits.next();
        let next = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, next).await,
            None => Ok(next.await),
        };
        match (next, timeout) {
            (Ok(None), _) => break,
            (Ok(Some((name, end))), _) => {
                let end = end?;
                notes.say(&format!("{name}: {}", plain(&end.status.verdict.text)));
                ends.insert(name, end);
            }
            (Err(_), after) => {
                let left = names.iter().find(|name| !ends.contains_key(*name));
                let (job, after) = (left.cloned().unwrap_or_default(), after.unwrap_or_default());
                return Err(windlass::Error::TimedOut { job, after }.into());
            }
        }
    }
    Ok(names.iter().filter_map(|name| ends.get(name).cloned()).collect())
}

/// 0 if all succeeded, else the code of the first that did not.
pub(super) fn code(ends: &[Ended]) -> Exit {
    ends.iter().map(|end| Exit(end.exit.code())).find(|exit| *exit != Exit::OK).unwrap_or(Exit::OK)
}
