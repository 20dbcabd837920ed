//! `windlass why`: in a sentence, why a job or a CronJob stands where it stands, and what to do.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;
use windlass::manifest::{JobStatus, Verdict};
use windlass::{Error, JobManager, JobView};

use super::list::phase;
use super::{cron, failures, which};
use crate::args::low::{Which, Why};
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::Outcome;
use crate::print::plain;
use crate::{age, clock, out};

/// Prints the verdicts, in the order in which they are asked for.
pub(crate) async fn run(options: &Why, call: Call<'_>) -> Outcome {
    let session = call.open().await?;
    let mut told = BTreeSet::new();
    for text in &options.which.jobs {
        match asked(text, &session.manager).await? {
            Asked::Job(name) => of_jobs(&[name], &mut told, &session.manager).await?,
            Asked::Cron(name) => out::data(&of_cron(name, &session.manager, session.is_engine).await?)?,
        }
    }
    let labelled = Which { jobs: Vec::new(), selector: options.which.selector.clone() };
    of_jobs(&which::names(&labelled, &session.manager, false).await?, &mut told, &session.manager).await?;
    Ok(Exit::OK)
}

/// Prints each job's, once.
async fn of_jobs(names: &[String], told: &mut BTreeSet<String>, manager: &JobManager) -> Outcome<()> {
    for name in names {
        if told.insert(name.clone()) {
            out::data(&verdict(&manager.get(name).await?, clock::now()))?;
        }
    }
    Ok(())
}

/// What somebody means by a word.
enum Asked<'a> {
    /// The job of this name.
    Job(String),
    /// The CronJob of this name.
    Cron(&'a str),
}

/// The job of exactly this name, else the CronJob, else what a job is called by for short. So the answer is the same however
/// many of its jobs a CronJob keeps, whose names begin with its own.
async fn asked<'a>(text: &'a str, manager: &JobManager) -> Outcome<Asked<'a>> {
    if let Some(cron) = named(text, &["cronjob/", "cronjobs/", "cj/"]) {
        return Ok(Asked::Cron(cron));
    }
    let is_job = named(text, &["job/", "jobs/"]).is_some() || text == "last";
    match manager.resolve(text).await {
        Ok(name) if is_job || name == text => Ok(Asked::Job(name)),
        Err(error) if is_job || !is_unclear(&error) => Err(error.into()),
        // That there is no such CronJob either is not worth another word.
        found => match manager.cron(text).await {
            Ok(_) => Ok(Asked::Cron(text)),
            Err(_) => Ok(Asked::Job(found?)),
        },
    }
}

fn is_unclear(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. } | Error::Ambiguous { .. })
}

/// What is named as one of a kind: `cronjob/nightly`.
fn named<'a>(text: &'a str, kinds: &[&str]) -> Option<&'a str> {
    kinds.iter().find_map(|kind| text.strip_prefix(kind))
}

/// A CronJob's: where it stands by the cluster's own time, which a test may have set forward.
async fn of_cron(name: &str, manager: &JobManager, is_engine: bool) -> Outcome<String> {
    let now = manager.clock().await.ok().and_then(|told| told.now.parse().ok()).unwrap_or_else(clock::now);
    let mut guessed = None;
    let due = |cron: &Value, now: Timestamp| {
        guessed = cron::guessed_zone(cron, is_engine);
        cron::due(cron, now)
    };
    let status = manager.why_cron(name, now, due).await?;
    let verdict = &status.verdict;
    let mut text = format!("{} (CronJob): {}\n", plain(&status.name), plain(&verdict.text));
    text.extend(verdict.next_step.iter().map(|next| format!("  next: {}\n", plain(next))));
    text.extend(verdict.last_lines.iter().map(|line| format!("  | {}\n", plain(line))));
    text.extend(guessed.map(|guessed| format!("  ({guessed})\n")));
    text.push_str(&missing(verdict));
    Ok(text)
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
    text.extend(status.unlimited.iter().map(|limits| format!("  {}\n", plain(limits))));
    if let Some(times) = times(status, now) {
        text.push_str(&format!("  {times}\n"));
    }
    text.push_str(&missing(&status.verdict));
    text
}

/// What could not be looked at.
fn missing(verdict: &Verdict) -> String {
    let lines = verdict.missing.iter().map(|right| right.words());
    lines.map(|right| format!("  (you have no right to {right}: there may be more to it)\n")).collect()
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
