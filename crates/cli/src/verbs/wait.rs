//! `windlass wait`: until all of some jobs have ended.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use windlass::{JobManager, Outcome as Ended};

use super::{result_file, which};
use crate::args::high::WaitOptions;
use crate::clock;
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::Outcome;
use crate::out::Notes;
use crate::print::plain;

/// So many jobs are watched at a time.
const WATCHES: usize = 64;

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
    let deadline = timeout.map(clock::after);
    let one = async |index: usize, name: String| {
        let end = manager.wait(&name, deadline.map(clock::until)).await;
        let end = end.map_err(|error| match (error, timeout) {
            // What was left of the time is nobody's concern.
            (windlass::Error::TimedOut { job, .. }, Some(after)) => windlass::Error::TimedOut { job, after },
            (error, _) => error,
        })?;
        notes.say(&format!("{name}: {}", plain(&end.status.verdict.text)));
        Ok::<_, windlass::Error>((index, end))
    };
    let waits = stream::iter(names.iter().cloned().enumerate()).map(|(index, name)| one(index, name));
    let mut waits = std::pin::pin!(waits.buffer_unordered(WATCHES));
    let mut ends = Vec::with_capacity(names.len());
    while let Some(end) = waits.next().await {
        ends.push(end?);
    }
    ends.sort_by_key(|(index, _)| *index);
    Ok(ends.into_iter().map(|(_, end)| end).collect())
}

/// 0 if all succeeded, else the code of the first that did not.
pub(super) fn code(ends: &[Ended]) -> Exit {
    ends.iter().map(|end| Exit(end.exit.code())).find(|exit| *exit != Exit::OK).unwrap_or(Exit::OK)
}
