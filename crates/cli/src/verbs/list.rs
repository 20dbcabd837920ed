//! `windlass list`: one line a job.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use windlass::ListFilter;
use windlass::manifest::{JobStatus, Phase};

use crate::age;
use crate::args::high::ListOptions as List;
use crate::args::low::{ListFormat, PhaseName};
use crate::clock;
use crate::cluster::{Call, Session};
use crate::exit::Exit;
use crate::fail::Outcome;
use crate::out;
use crate::print::Table;

/// What is listed is kept until its order is known: so much of it, bytes. That is some 400,000 jobs.
const MEMORY: usize = 256 << 20;
/// A list that takes so long that the cluster forgets it is begun again so often.
const RESTARTS: usize = 3;
/// A reason is cut after so many characters; `show` tells all.
const REASON: usize = 80;

/// Prints the jobs, the newest last.
pub(crate) async fn run(options: &List, call: Call<'_>) -> Outcome {
    let session = call.open().await?;
    let jobs = jobs(options, &session).await?;
    if jobs.is_empty() && options.output == ListFormat::Table {
        let such = if options.phases.is_empty() && options.since.is_none() { "" } else { "such " };
        let place = match options.all_namespaces {
            true => "on this cluster".to_owned(),
            false => format!("in namespace {:?}", session.manager.namespace()),
        };
        session.notes.say(&format!("no {such}jobs {place}"));
        return Ok(Exit::OK);
    }
    out::data(&text(&jobs, options, clock::now())?)?;
    Ok(Exit::OK)
}

/// All pages, oldest job first; boxed, as a list that grows and is sorted copies its elements, of 700 bytes each.
async fn jobs(options: &List, session: &Session) -> Outcome<Vec<Box<JobStatus>>> {
    let mut filter = ListFilter {
        labels: options.selector.clone(),
        all_namespaces: options.all_namespaces,
        with_pods: !matches!(options.output, ListFormat::Name) || !options.phases.is_empty(),
        ..ListFilter::default()
    };
    let (mut jobs, mut memory, mut restarts) = (Vec::new(), 0, 0);
    let now = clock::now();
    loop {
        let page = match session.manager.statuses(&filter).await {
            Err(windlass::Error::Expired { .. }) if restarts < RESTARTS => {
                (jobs, memory, restarts) = (Vec::new(), 0, restarts + 1);
                filter.continue_token = None;
                continue;
            }
            page => page?,
        };
        for job in page.jobs.into_iter().filter(|job| is_meant(job, options, now)) {
            let job = lighten(job, options.output);
            memory += weight(&job);
            jobs.push(Box::new(job));
        }
        filter.continue_token = page.continue_token;
        if filter.continue_token.is_none() {
            break;
        }
        if memory >= MEMORY {
            session
                .notes
                .say(&format!("only {} jobs are listed, there are more; narrow it with -l", jobs.len()));
            break;
        }
    }
    // No two have the same name, so that the order is the same each time.
    jobs.sort_unstable_by(|a, b| {
        (a.times.age(), &a.namespace, &a.name).cmp(&(b.times.age(), &b.namespace, &b.name))
    });
    Ok(jobs)
}

/// Whether a job is one of those that were asked for.
fn is_meant(job: &JobStatus, options: &List, now: Timestamp) -> bool {
    let stands = |name: &PhaseName| match name {
        PhaseName::Pending => job.phase == Phase::Pending,
        PhaseName::Suspended => job.phase == Phase::Suspended,
        PhaseName::Running => job.phase == Phase::Running,
        PhaseName::Ending => job.phase == Phase::Ending,
        PhaseName::Succeeded => job.phase == Phase::Succeeded,
        PhaseName::Failed => job.phase == Phase::Failed,
        PhaseName::Cancelled => job.phase == Phase::Cancelled,
    };
    let is_young = |since: Duration| {
        let age = job.times.created.map(|created| now.duration_since(created));
        age.is_none_or(|age| {
            age <= jiff::SignedDuration::try_from(since).unwrap_or(jiff::SignedDuration::MAX)
        })
    };
    (options.phases.is_empty() || options.phases.iter().any(stands)) && options.since.is_none_or(is_young)
}

/// What a format shows of a job: of many, names alone weigh much less.
fn lighten(mut job: JobStatus, format: ListFormat) -> JobStatus {
    if format == ListFormat::Name {
        job.verdict.text = String::new();
        (job.verdict.next_step, job.cause, job.submission) = (None, None, None);
        job.verdict.failures = Vec::new();
        (job.uid, job.namespace) = (String::new(), String::new());
    }
    job
}

/// About how many bytes of memory a job takes.
fn weight(job: &JobStatus) -> usize {
    let texts = [&job.name, &job.namespace, &job.uid, &job.verdict.text];
    let more = [&job.submission, &job.verdict.next_step];
    size_of::<JobStatus>()
        + texts.iter().map(|text| text.capacity()).sum::<usize>()
        + more.iter().copied().flatten().map(String::capacity).sum::<usize>()
}

/// What a program reads.
#[derive(Serialize)]
struct Data<'a> {
    jobs: &'a [Box<JobStatus>],
}

/// The listing in a format.
fn text(jobs: &[Box<JobStatus>], options: &List, now: Timestamp) -> Outcome<String> {
    let wide = options.output == ListFormat::Wide;
    match options.output {
        ListFormat::Table | ListFormat::Wide => {
            Ok(table(jobs.iter().map(AsRef::as_ref), wide, options.all_namespaces, now).to_string())
        }
        ListFormat::Name => Ok(jobs.iter().map(|job| format!("{}\n", job.name)).collect()),
        ListFormat::Json => out::json(&Data { jobs }),
        ListFormat::Yaml => out::yaml(&Data { jobs }),
    }
}

/// The table.
fn table<'a>(
    jobs: impl IntoIterator<Item = &'a JobStatus>,
    wide: bool,
    all_namespaces: bool,
    now: Timestamp,
) -> Table {
    let mut headings = vec!["NAME", "STATUS", "COMPLETIONS", "AGE", "DURATION"];
    if all_namespaces {
        headings.insert(0, "NAMESPACE");
    }
    if wide {
        headings.extend(["EXIT", "SUBMISSION"]);
    }
    headings.push("REASON");
    let mut table = Table::new(&headings);
    for job in jobs {
        let mut cells = vec![
            job.name.clone(),
            phase(job.phase).to_owned(),
            completions(job),
            job.times.created.map(|then| age::since(then, now)).unwrap_or_default(),
            duration(job, now).unwrap_or_default(),
        ];
        if all_namespaces {
            cells.insert(0, job.namespace.clone());
        }
        if wide {
            cells.push(job.exit_code.map(|code| code.to_string()).unwrap_or_default());
            cells.push(job.submission.clone().unwrap_or_default());
        }
        cells.push(reason(job, wide));
        table.row(&cells);
    }
    table
}

/// The word for where a job stands.
pub(super) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "Pending",
        Phase::Suspended => "Suspended",
        Phase::Running => "Running",
        Phase::Ending => "Ending",
        Phase::Succeeded => "Succeeded",
        Phase::Failed => "Failed",
        Phase::Cancelled => "Cancelled",
    }
}

/// Successes of those that are needed.
pub(super) fn completions(job: &JobStatus) -> String {
    match job.counts.wanted {
        Some(wanted) => format!("{}/{wanted}", job.counts.succeeded),
        None => format!("{}/1+", job.counts.succeeded),
    }
}

/// From the start to the end, or to now.
pub(super) fn duration(job: &JobStatus, now: Timestamp) -> Option<String> {
    let end = job.times.finished.unwrap_or(now);
    job.times.started.map(|start| age::since(start, end))
}

/// Why a job stands where it stands; nothing of what went well. Only the wide table has it whole.
fn reason(job: &JobStatus, whole: bool) -> String {
    let text = match job.phase {
        Phase::Succeeded => return String::new(),
        // The column before says that it failed.
        Phase::Failed => job.verdict.text.trim_start_matches("failed because "),
        _ => &job.verdict.text,
    };
    match text.char_indices().nth(REASON) {
        Some((end, _)) if !whole => format!("{}...", &text[..end]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
