//! `windlass why`: in a sentence, why a job stands where it stands, and what to do.

use jiff::Timestamp;
use windlass::JobView;
use windlass::manifest::JobStatus;

use super::list::phase;
use super::{failures, which};
use crate::args::low::Why;
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::Outcome;
use crate::print::plain;
use crate::{age, clock, out};

/// Prints the verdict.
pub(crate) async fn run(options: &Why, call: Call<'_>) -> Outcome {
    let session = call.open().await?;
    for name in which::names(&options.which, &session.manager, false).await? {
        out::data(&verdict(&session.manager.get(&name).await?, clock::now()))?;
    }
    Ok(Exit::OK)
}

/// One job's: where it stands, why, the next step, the last lines of what failed, where its time went, what could not
/// be seen.
fn verdict(view: &JobView, now: Timestamp) -> String {
    let status = &view.status;
    let mut text = format!("{} ({}): {}\n", status.name, phase(status.phase), plain(&status.verdict.text));
    if let Some(next) = &status.verdict.next_step {
        text.push_str(&format!("  next: {}\n", plain(next)));
    }
    match &status.verdict.failures[..] {
        [] => text.extend(status.verdict.last_lines.iter().map(|line| format!("  | {}\n", plain(line)))),
        groups => text.push_str(&failures::told(groups)),
    }
    if let Some(times) = times(status, now) {
        text.push_str(&format!("  {times}\n"));
    }
    for right in &status.verdict.missing {
        text.push_str(&format!("  (you have no right to {}: there may be more to it)\n", right.words()));
    }
    text
}

/// Where a job's time went: `3m in the queue, 10s starting, 2h running`.
pub(super) fn times(status: &JobStatus, now: Timestamp) -> Option<String> {
    let parts = [
        (status.queued(now), "in the queue"),
        (status.starting(now), "starting"),
        (status.ran(now), "running"),
    ];
    let told = parts
        .iter()
        .filter_map(|(time, what)| Some(format!("{} {what}", age::human(time.as_ref()?.as_secs()))));
    Some(told.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
}
