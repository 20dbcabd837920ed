//! Where a CronJob stands: what keeps it from making jobs, what its jobs do, and when the next one comes.
//!
//! Knows neither clock nor time zones: when the schedule is due is told.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Event;
use serde::Serialize;
use serde_json::Value;

use crate::obstacle::{self, Obstacle, refusal};
use crate::words::listed;
use crate::{JobStatus, Outlook, Phase, Right, Seen, Verdict, facts};

/// When a CronJob's schedule is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// At times.
    At {
        /// The next; `None`: not within five years.
        next: Option<Timestamp>,
        /// The first that has come since the last job was made, or since the CronJob was.
        open: Option<Timestamp>,
    },
    /// The schedule or its time zone cannot be read, and why.
    Unreadable(String),
}

/// What is known of a CronJob besides itself.
#[derive(Clone, Copy, Debug)]
pub struct CronEvidence<'a> {
    /// Events about it.
    pub events: Seen<'a, Event>,
    /// Those of its jobs that have not ended, and the one that it made last; oldest first.
    pub jobs: &'a [JobStatus],
    /// What else was asked for and may not be read.
    pub lacking: &'a [Right],
    /// When it is due.
    pub due: &'a Due,
}

/// A CronJob in our words.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CronStatus {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Where it stands, in plain words.
    pub verdict: Verdict,
}

/// The jobs that are told of by their names.
const SOME: usize = 3;

/// Tells where a CronJob stands. Total, as [`crate::observe_all`] is.
pub fn observe_cron(cron: &Value, evidence: &CronEvidence<'_>, now: Timestamp) -> CronStatus {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let scene = Scene { cron, evidence, now, name: text(&cron["metadata"]["name"]) };
    let (text_of, outlook, next_step) = scene.told();
    let mut missing = evidence.lacking.to_vec();
    if matches!(evidence.events, Seen::Forbidden) {
        missing.push(Right::Events);
    }
    let last_lines = scene.last().map(|job| job.verdict.last_lines.clone()).unwrap_or_default();
    let verdict = Verdict { text: text_of, outlook, next_step, last_lines, failures: Vec::new(), missing };
    CronStatus { namespace: text(&cron["metadata"]["namespace"]), verdict, name: scene.name }
}

/// The name of the job that a CronJob made last, whether it is still there or not: it is that of the minute that it is for
/// (`getJobName` of upstream's controller).
pub fn last_job(cron: &Value) -> Option<String> {
    let last: Timestamp = cron["status"]["lastScheduleTime"].as_str()?.parse().ok()?;
    let name = cron["metadata"]["name"].as_str()?;
    Some(format!("{name}-{}", last.as_second().div_euclid(60)))
}

struct Scene<'a> {
    cron: &'a Value,
    evidence: &'a CronEvidence<'a>,
    now: Timestamp,
    name: String,
}

type Told = (String, Outlook, Option<String>);

impl Scene<'_> {
    fn told(&self) -> Told {
        if self.cron["metadata"]["deletionTimestamp"].is_string() {
            return ("being deleted".to_owned(), Outlook::ResolvesItself, None);
        }
        if self.cron["spec"]["suspend"] == true {
            let next = format!("windlass cron resume {}", self.name);
            let text = format!("suspended: it makes no jobs until it is resumed{}", self.beside());
            return (text, Outlook::NeedsAction, Some(next));
        }
        let schedule = self.cron["spec"]["schedule"].as_str().unwrap_or_default();
        match self.evidence.due {
            Due::Unreadable(why) => self.blocked(&format!("its schedule {schedule:?}: {why}")),
            Due::At { next: None, .. } => {
                self.blocked(&format!("its schedule {schedule:?}, which never comes"))
            }
            Due::At { next: Some(next), open } => self.goes_on(*next, *open),
        }
    }

    fn blocked(&self, by: &str) -> Told {
        let kubectl = facts::kubectl(self.cron["metadata"]["namespace"].as_str());
        let next = format!("correct it: {kubectl} edit cronjob {}", self.name);
        (format!("blocked by {by}"), Outlook::NeedsAction, Some(next))
    }

    fn goes_on(&self, next: Timestamp, open: Option<Timestamp>) -> Told {
        let due = format!("its next job is due at {next:.0}");
        if let Some(refused) = self.refused() {
            return (format!("{}; {due}", refused.text), refused.outlook, refused.next_step);
        }
        if let Some(job) = self.in_its_way().filter(|_| open.is_some()) {
            let why = &job.verdict;
            let text = format!(
                "waiting for its job {} to end, beside which it makes none (concurrency policy Forbid); that job: {}",
                job.name, why.text
            );
            let next_step = why.next_step.clone().or_else(|| Some(format!("windlass cancel {}", job.name)));
            let outlook = match why.outlook {
                Outlook::NeedsAction => Outlook::NeedsAction,
                _ => Outlook::ResolvesItself,
            };
            return (text, outlook, next_step);
        }
        let (missed, is_over) = self.missed(open);
        let text = match self.last() {
            None if self.evidence.lacking.contains(&Right::Jobs) => format!("{due}{missed}"),
            None => format!("{due}; it has made no job that is still there{missed}"),
            Some(job) => {
                let which = if self.is_last(job) { "its last job" } else { "its job" };
                format!("{due}; {which} {}: {}{missed}", job.name, job.verdict.text)
            }
        };
        let needs = self.last().filter(|job| job.verdict.outlook == Outlook::NeedsAction);
        let outlook = if needs.is_some() { Outlook::NeedsAction } else { Outlook::Proceeds };
        let bad = self.last().filter(|job| job.phase == Phase::Failed || needs.is_some());
        let next_step = match (bad, is_over) {
            (Some(job), _) => job.verdict.next_step.clone(),
            (None, true) => Some(format!("windlass cron run {} makes one now", self.name)),
            (None, false) => None,
        };
        (text, outlook, next_step)
    }

    /// Its last job, else the newest of those that are still there: a CronJob that makes many at once may have had others since.
    fn last(&self) -> Option<&JobStatus> {
        let jobs = self.evidence.jobs;
        jobs.iter().find(|job| self.is_last(job)).or_else(|| jobs.last())
    }

    fn is_last(&self, job: &JobStatus) -> bool {
        last_job(self.cron).is_some_and(|last| last == job.name)
    }

    /// Jobs that run although it is suspended.
    fn beside(&self) -> String {
        let run = self.evidence.jobs.iter().filter(|job| !job.phase.is_final());
        let names: Vec<String> = run.take(SOME).map(|job| job.name.clone()).collect();
        match names.as_slice() {
            [] => String::new(),
            [_] => format!("; its job {} goes on", listed(&names)),
            _ => format!("; its jobs {} go on", listed(&names)),
        }
    }

    /// The job that it waits for, if its policy has it wait.
    fn in_its_way(&self) -> Option<&JobStatus> {
        let forbids = self.cron["spec"]["concurrencyPolicy"] == "Forbid";
        self.evidence.jobs.iter().find(|job| forbids && !job.phase.is_final())
    }

    /// Why the last job could not be made, unless one was made since.
    fn refused(&self) -> Option<Obstacle> {
        let about = |event: &&Event| {
            matches!(event.reason.as_deref(), Some("FailedCreate" | "SuccessfulCreate"))
                && event.involved_object.uid.as_deref() == self.cron["metadata"]["uid"].as_str()
        };
        let last = self.evidence.events.items().iter().filter(about).max_by_key(|one| obstacle::time(one))?;
        let message = facts::said(last).filter(|_| last.reason.as_deref() == Some("FailedCreate"))?;
        let kubectl = facts::kubectl(self.cron["metadata"]["namespace"].as_str());
        Some(refusal::of_message(message, &kubectl))
    }

    /// Times that passed without a job, and whether none will come for them any more.
    fn missed(&self, open: Option<Timestamp>) -> (String, bool) {
        let last = self.cron["status"]["lastScheduleTime"].as_str().and_then(|time| time.parse().ok());
        let too_many = self.evidence.events.items().iter().any(|event| {
            event.reason.as_deref() == Some("TooManyMissedTimes")
                && obstacle::time(event).is_some_and(|told| last.is_none_or(|last: Timestamp| told >= last))
        });
        if too_many {
            let text =
                "; more than 100 of its times had passed without a job, and only the last was made up for";
            return (text.to_owned(), false);
        }
        let deadline = self.cron["spec"]["startingDeadlineSeconds"].as_i64();
        let Some((open, seconds)) = open.zip(deadline) else { return (String::new(), false) };
        match open.checked_add(SignedDuration::from_secs(seconds)) {
            Ok(end) if end < self.now => {
                let text = format!(
                    "; for {open:.0} none was made: its starting deadline of {seconds} s was over before one could start"
                );
                (text, true)
            }
            _ => (String::new(), false),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn told(spec: &Value, due: &Due, jobs: &[JobStatus]) -> Verdict {
        let cron = json!({ "metadata": { "name": "nightly", "namespace": "lab", "uid": "c" }, "spec": spec });
        let evidence = CronEvidence { events: Seen::All(&[]), jobs, lacking: &[], due };
        observe_cron(&cron, &evidence, time("2026-01-01T12:00:00Z")).verdict
    }

    #[test]
    fn a_schedule_that_cannot_be_read_or_never_comes_needs_somebody() {
        let unreadable = Due::Unreadable("\"Mars/Base\" is no time zone".to_owned());
        for due in [unreadable, Due::At { next: None, open: None }] {
            let verdict = told(&json!({ "schedule": "0 0 30 2 *" }), &due, &[]);
            assert_eq!(verdict.outlook, Outlook::NeedsAction, "{verdict:?}");
            assert_eq!(verdict.next_step.as_deref(), Some("correct it: kubectl -n lab edit cronjob nightly"));
        }
    }

    #[test]
    fn a_time_is_missed_when_its_deadline_is_over_and_not_before() {
        let next = Some(time("2026-01-01T13:00:00Z"));
        let open = Some(time("2026-01-01T11:59:00Z"));
        for (seconds, is_missed) in [(59, true), (60, false)] {
            let spec = json!({ "schedule": "@hourly", "startingDeadlineSeconds": seconds });
            let verdict = told(&spec, &Due::At { next, open }, &[]);
            assert_eq!(verdict.text.contains("none was made"), is_missed, "{verdict:?}");
        }
    }

    #[test]
    fn strange_objects_give_a_sentence_and_no_panic() {
        for cron in [json!(null), json!({ "metadata": 3, "spec": [] }), json!({ "spec": { "suspend": "x" } })]
        {
            let due = Due::At { next: Some(Timestamp::MAX), open: Some(Timestamp::MAX) };
            let evidence = CronEvidence { events: Seen::NotAsked, jobs: &[], lacking: &[], due: &due };
            assert!(!observe_cron(&cron, &evidence, Timestamp::MIN).verdict.text.is_empty());
        }
    }
}
