//! The CronJob controller: what a CronJob and its Jobs ask for now. Source: upstream `pkg/controller/cronjob`
//! (`syncCronJob` and `cleanupFinishedJobs` in `cronjob_controllerv2.go`, `utils.go`).
//!
//! It knows neither store nor clock nor the database of time zones. The executor commits what a plan wants in one
//! transaction, the new Job together with the status that lists it: an engine that is killed has written both or
//! neither. Jobs that another controller left unlisted are taken up by their names, as upstream does.
//!
//! Two things of upstream are not here. `MissSchedule` cannot come: the starting deadline already bounds how far back
//! a time is looked for. And a Job of the same name that is somebody else's does not end the looking for later times.

use std::borrow::Borrow;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::event::Event;
use crate::view::{CronJob, CronJobStatus, Job, Reference};

mod children;
mod due;
mod history;
mod start;
mod zone;

/// The annotation of a Job that says for which time it was made.
pub const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// Jobs that one plan deletes at most; the rest is left to the next.
pub const MAX_JOBS_PER_PLAN: usize = 200;

/// How long after its time a CronJob is looked at, so that a clock that is a little off has come so far.
const PADDING: SignedDuration = SignedDuration::from_millis(100);

/// What the plan asks of those who know: which Jobs there are, and which time zones.
pub struct Known<'a> {
    /// Whether there is a Job of this name in the CronJob's namespace, whosever it is.
    pub taken: &'a dyn Fn(&str) -> bool,
    /// The zone of a name (the empty name is UTC), or why there is none.
    pub zone: &'a dyn Fn(&str) -> Result<TimeZone, String>,
}

/// What to do for a CronJob now. The executor commits all of it in one transaction, then asks again.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// Jobs to delete, in the background.
    pub delete: Vec<Doomed>,
    /// The Job to create; never one whose name a Job has that this plan deletes.
    pub create: Option<Create>,
    /// The CronJob's new status, if it differs from the one it has; without what [`Create::record`] adds to it.
    pub status: Option<CronJobStatus>,
    /// Events to record about the CronJob, but for that of the Job's creation.
    pub events: Vec<Event>,
    /// Look again at this time even if nothing happens.
    pub wake_at: Option<Timestamp>,
}

/// A Job that is to be deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Doomed {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// A Job that is to be created.
#[derive(Clone, PartialEq, Debug)]
pub struct Create {
    /// The manifest, whole.
    pub job: Value,
    /// The time for which it is.
    pub scheduled: Timestamp,
}

impl Create {
    /// Notes in a status that the Job was created with this uid.
    pub fn record(&self, status: &mut CronJobStatus, uid: &str) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        status.active.push(Reference {
            kind: "Job".to_owned(),
            api_version: "batch/v1".to_owned(),
            namespace: text(&self.job["metadata"]["namespace"]),
            name: self.name().to_owned(),
            uid: uid.to_owned(),
            ..Reference::default()
        });
        status.last_schedule_time = Some(self.scheduled);
    }

    /// What is told of it once it is created.
    #[must_use]
    pub fn event(&self) -> Event {
        Event::normal("SuccessfulCreate", format!("Created job {}", self.name()))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.job["metadata"]["name"].as_str().unwrap_or_default()
    }
}

/// Decides. `jobs` are all Jobs that the CronJob controls, finished ones too.
#[must_use]
pub fn plan(cron: &CronJob, jobs: &[impl Borrow<Job>], known: &Known<'_>, now: Timestamp) -> Plan {
    let jobs: Vec<&Job> = jobs.iter().map(Borrow::borrow).collect();
    let mut draft = Draft { cron, status: cron.status.clone(), plan: Plan::default() };
    history::clean(&mut draft, &jobs);
    children::look(&mut draft, &jobs);
    if cron.metadata.deletion_timestamp.is_none() {
        start::start(&mut draft, &jobs, known, now);
    }
    draft.into_plan()
}

/// When to look at a CronJob whose schedule or zone was just changed: its times begin anew, and one that would have
/// been due before the change is not made up for by it. `None`: at once, there is something to be told.
///
/// Source: upstream `updateCronJob`.
#[must_use]
pub fn rescheduled(cron: &CronJob, known: &Known<'_>, now: Timestamp) -> Option<Timestamp> {
    let (schedule, zone) = zone::schedule(&cron.spec, known).ok()?;
    due::wake(cron, cron.status.last_schedule_time, &schedule, &zone, now)
}

/// Whether an update of a CronJob changed when it is due.
#[must_use]
pub fn is_rescheduled(old: &CronJob, new: &CronJob) -> bool {
    (&old.spec.schedule, &old.spec.time_zone) != (&new.spec.schedule, &new.spec.time_zone)
}

/// A plan in the making.
struct Draft<'a> {
    cron: &'a CronJob,
    status: CronJobStatus,
    plan: Plan,
}

impl Draft<'_> {
    fn tell(&mut self, event: Event) {
        self.plan.events.push(event);
    }

    /// Deletes a Job, unless that is already so; it is not listed any longer.
    fn delete(&mut self, job: &Job) {
        let metadata = &job.metadata;
        self.unlist(&metadata.uid);
        if metadata.deletion_timestamp.is_none() {
            self.plan.delete.push(Doomed { name: metadata.name.clone(), uid: metadata.uid.clone() });
            self.tell(Event::normal("SuccessfulDelete", format!("Deleted job {}", metadata.name)));
        }
    }

    fn lists(&self, uid: &str) -> bool {
        self.status.active.iter().any(|job| job.uid == uid)
    }

    fn unlist(&mut self, uid: &str) {
        self.status.active.retain(|job| job.uid != uid);
    }

    fn into_plan(self) -> Plan {
        let mut plan = self.plan;
        plan.status = (self.status != self.cron.status).then_some(self.status);
        plan
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
