//! What happens in a situation, and what is said at its end: the same lines that `windlass why` prints.

use std::fmt::Write as _;
use std::time::Duration;

use futures::StreamExt;
use http::Method;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Event;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use windlass::manifest::cron::{CronBase, CronOptions, Due, make_cron};
use windlass::manifest::{Base, JobStatus, Outlook, Verdict, make};
use windlass::{ClockMove, SubmitOptions};

use crate::situation::{Act, Situation};
use crate::stage::{PATIENCE, Stage, send};

/// Looked at so often even if nothing seems to change.
const LOOK: Duration = Duration::from_secs(5);
/// Who adds a situation has what is said kept when it has not changed for so long.
const SETTLED: Duration = Duration::from_secs(4);

/// Brings a situation about. What is said as soon as it is what is to be said, else what was said last.
pub(crate) async fn play(stage: &mut Stage<'_>, situation: &Situation, blesses: bool) -> String {
    if let Some(cron) = situation.cron() {
        let made = match make_cron(&CronBase::Manifest(cron.clone()), &CronOptions::default(), &[]) {
            Ok(manifest) => {
                stage.jobs.create_cron(&manifest, None, false).await.map_err(|error| error.to_string())
            }
            Err(problems) => Err(problems.to_string()),
        };
        if let Err(refused) = made {
            return stage.plain(&format!("refused: {refused}\n")).await;
        }
    }
    if let Some(job) = situation.job() {
        let manifest = make(&Base::Manifest(stage.filled(&job)), &[]).unwrap();
        let by = if situation.role.as_deref() == Some("submit") { &stage.asks } else { &stage.jobs };
        if let Err(error) = by.submit(&manifest, &SubmitOptions::default()).await {
            let refused = format!("refused: {error}\n");
            return stage.plain(&refused).await;
        }
    }
    let subject = situation.subject();
    for act in &situation.then {
        perform(stage, act, subject).await;
    }
    if blesses {
        return settled(stage, subject).await;
    }
    until(stage, subject, |said| said == situation.said).await.unwrap_or_else(|last| last)
}

async fn perform(stage: &mut Stage<'_>, act: &Act, subject: &str) {
    let within = |path: &str, namespace: &str| match path.starts_with('/') {
        true => path.to_owned(),
        false if path.starts_with("jobs") || path.starts_with("cronjobs") => {
            format!("/apis/batch/v1/namespaces/{namespace}/{path}")
        }
        false => format!("/api/v1/namespaces/{namespace}/{path}"),
    };
    match act {
        Act::When(words) => {
            let said = until(stage, subject, |said| said.contains(words)).await;
            said.unwrap_or_else(|last| panic!("{words:?} was never said of {subject}, but: {last}"));
        }
        Act::Pod(phase) => {
            first_pod(stage, Some(phase)).await;
        }
        Act::Create(object) => stage.create(object).await,
        Act::Patch { path, with } => {
            let path = within(path, &stage.namespace);
            send(&stage.owner, Method::PATCH, &path, &stage.filled(with)).await.unwrap();
        }
        Act::Delete(path) => {
            let mut path = within(path, &stage.namespace);
            if path.contains("POD") {
                path = path.replace("POD", &first_pod(stage, None).await);
            }
            send(&stage.owner, Method::DELETE, &path, &json!({})).await.unwrap();
        }
        Act::Evict => {
            let name = first_pod(stage, None).await;
            let path = within(&format!("pods/{name}/eviction"), &stage.namespace);
            let eviction =
                json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": name } });
            send(&stage.owner, Method::POST, &path, &eviction).await.unwrap();
        }
        Act::Event(reason) => {
            wait_for(stage, &format!("event {reason}"), async |stage| {
                let events: Vec<Event> = stage.all().await;
                events.iter().any(|event| event.reason.as_deref() == Some(reason.as_str()))
            })
            .await;
        }
        Act::Advance(span) => advance(stage, span).await,
        Act::Replaced(span) => {
            let before: Vec<Job> = stage.all().await;
            advance(stage, span).await;
            wait_for(stage, "another job", async |stage| {
                let jobs: Vec<Job> = stage.all().await;
                let is_old = |job: &Job| before.iter().any(|old| old.metadata.uid == job.metadata.uid);
                !jobs.is_empty() && !jobs.iter().any(is_old)
            })
            .await;
        }
        Act::Cancel(why) => {
            stage.jobs.cancel("job", "ada", Some(why)).await.unwrap();
        }
    }
}

async fn advance(stage: &Stage<'_>, span: &str) {
    let to = match span {
        "noon" => {
            let now = stage.now().await.to_zoned(TimeZone::UTC);
            // Not one that may have passed when the clock is set.
            let days = if now.hour() < 11 { 0 } else { 1 };
            let day = now.date().checked_add(days.days()).unwrap();
            ClockMove::To(day.at(12, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp().to_string())
        }
        span => ClockMove::By(span.to_owned()),
    };
    let moved = timeout(PATIENCE, stage.jobs.set_clock(&to)).await;
    moved.expect("the clock is set in time").unwrap();
}

/// Looks at each change until it is so.
async fn wait_for(stage: &mut Stage<'_>, what: &str, is_so: impl AsyncFn(&Stage<'_>) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so(stage).await {
        assert!(Instant::now() < end, "{what} never came");
        let _ = timeout(LOOK, stage.changes.next()).await;
    }
}

/// Waits for a pod, in a phase if one is named.
async fn first_pod(stage: &mut Stage<'_>, phase: Option<&str>) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let pods = stage.pods().await;
        let found = pods.iter().find(|pod| {
            let now = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            phase.is_none() || now == phase
        });
        if let Some(found) = found {
            return found.metadata.name.clone().unwrap();
        }
        assert!(Instant::now() < end, "no pod is {phase:?}: {pods:#?}");
        let _ = timeout(LOOK, stage.changes.next()).await;
    }
}

/// Asks at each change until it is as wanted; what was said last if that never comes.
async fn until(
    stage: &mut Stage<'_>,
    subject: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<String, String> {
    let end = Instant::now() + PATIENCE;
    loop {
        let said = said(stage, subject).await;
        if wanted(&said) {
            return Ok(said);
        }
        if Instant::now() > end {
            return Err(said);
        }
        let _ = timeout(LOOK, stage.changes.next()).await;
    }
}

async fn settled(stage: &mut Stage<'_>, subject: &str) -> String {
    let mut last = said(stage, subject).await;
    let mut since = Instant::now();
    while since.elapsed() < SETTLED {
        let _ = timeout(SETTLED, stage.changes.next()).await;
        let now = said(stage, subject).await;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// What is said now.
async fn said(stage: &mut Stage<'_>, subject: &str) -> String {
    let said = match subject.strip_prefix("cronjob/") {
        Some(cron) => match stage.asks.why_cron(cron, stage.now().await, due).await {
            Ok(status) => verdict(&format!("{} (CronJob)", status.name), &status.verdict),
            Err(error) => format!("refused: {error}\n"),
        },
        None => match stage.asks.get(subject).await {
            Ok(view) => of_job(&view.status),
            Err(error) => format!("refused: {error}\n"),
        },
    };
    stage.plain(&said).await
}

/// When a CronJob without a time zone is due, by UTC.
fn due(cron: &Value, now: Timestamp) -> Due {
    struct Utc;
    impl windlass_schedule::Zone for Utc {
        fn offset(&self, _: i64) -> i32 {
            0
        }
    }
    let times = [&cron["status"]["lastScheduleTime"], &cron["metadata"]["creationTimestamp"]];
    let anchor: Timestamp = times.iter().find_map(|time| time.as_str()).unwrap().parse().unwrap();
    let (anchor, now) = (anchor.as_second(), now.as_second());
    let at = |unix: i64| Timestamp::from_second(unix).unwrap();
    match windlass_schedule::Schedule::parse(cron["spec"]["schedule"].as_str().unwrap()) {
        Err(why) => Due::Unreadable(why.to_string()),
        Ok(schedule) => Due::At {
            next: schedule.next(now, anchor, &Utc).map(at),
            open: schedule.next(anchor, anchor, &Utc).filter(|open| *open <= now).map(at),
        },
    }
}

fn of_job(status: &JobStatus) -> String {
    let phase = format!("{:?}", status.phase).to_lowercase();
    let mut text = verdict(&format!("{} ({phase})", status.name), &status.verdict);
    if let Some(code) = status.exit_code {
        let _ = writeln!(text, "  exit code: {code}");
    }
    text
}

fn verdict(of: &str, verdict: &Verdict) -> String {
    let outlook = match verdict.outlook {
        Outlook::NeedsAction => " [needs somebody]",
        Outlook::ResolvesItself => " [may resolve itself]",
        Outlook::Proceeds | Outlook::Final => "",
    };
    let mut text = format!("{of}: {}{outlook}\n", verdict.text);
    if let Some(next) = &verdict.next_step {
        let _ = writeln!(text, "  next: {next}");
    }
    for group in &verdict.failures {
        let _ = writeln!(text, "  {} {}: {}", group.count, group.what, group.tasks);
        group.last_lines.iter().for_each(|line| {
            let _ = writeln!(text, "    | {line}");
        });
    }
    for line in verdict.last_lines.iter().filter(|_| verdict.failures.is_empty()) {
        let _ = writeln!(text, "  | {line}");
    }
    for right in &verdict.missing {
        let _ = writeln!(text, "  (no right to {})", right.words());
    }
    text
}
