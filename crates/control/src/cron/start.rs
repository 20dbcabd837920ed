//! The Job that is due: whether it may start, what has to go before it, and what it is.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::due::{self, Never};
use super::zone;
use super::{Create, Draft, Event, Known, SCHEDULED};
use crate::planted::{Bug, is_planted};
use crate::view::{CronJob, Job, Reference};

/// Starts the Job of the latest time that has come, if none was started for it, and says when to look again.
pub(super) fn start(draft: &mut Draft<'_>, jobs: &[&Job], known: &Known<'_>, now: Timestamp) {
    let spec = &draft.cron.spec;
    if spec.time_zone.is_some()
        && let Err(event) = zone::clocks(spec, known)
    {
        return draft.tell(event);
    }
    if spec.suspend == Some(true) {
        return;
    }
    draft.plan.events.extend(zone::unsupported(&spec.schedule));
    let (schedule, clocks) = match zone::schedule(spec, known) {
        Ok(read) => read,
        Err(event) => return draft.tell(event),
    };
    let last = draft.status.last_schedule_time;
    let recent = match due::recent(draft.cron, last, &schedule, &clocks, now, true) {
        Ok(recent) => recent,
        Err(Never) => {
            let message = format!("invalid schedule: {} : {}", spec.schedule, Never::WORDS);
            return draft.tell(Event::warning("InvalidSchedule", message));
        }
    };
    if let Some(time) = recent.latest.and_then(|time| Timestamp::from_second(time).ok()) {
        if recent.is_late() {
            let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            draft.tell(Event::warning("TooManyMissedTimes", message));
        }
        run(draft, jobs, known, time);
    }
    if draft.plan.wake_at.is_none() {
        let last = match &draft.plan.create {
            Some(create) => Some(create.scheduled),
            None => draft.status.last_schedule_time,
        };
        draft.plan.wake_at = due::wake(draft.cron, last, &schedule, &clocks, now);
    }
}

/// Starts the Job of a time, unless that was done or is not to be.
fn run(draft: &mut Draft<'_>, jobs: &[&Job], known: &Known<'_>, time: Timestamp) {
    let name = job_name(draft.cron, time);
    if draft.status.active.iter().any(|job| job.name == name) || draft.status.last_schedule_time == Some(time)
    {
        return;
    }
    let policy = draft.cron.spec.concurrency_policy.as_str();
    if policy == "Forbid" && !draft.status.active.is_empty() && !is_planted(Bug::OverlapsJobs) {
        let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
        return draft.tell(Event::normal("JobAlreadyActive", message));
    }
    if policy == "Replace" {
        for job in jobs {
            if draft.lists(&job.metadata.uid) {
                draft.delete(job);
            }
        }
    }
    if draft.plan.delete.iter().any(|job| job.name == name) {
        // Its name is free when this is committed: then it is looked at again.
        draft.plan.wake_at = Some(time);
    } else if let Some(job) = jobs.iter().find(|job| job.metadata.name == name) {
        adopt(draft, job, time);
    } else if !(known.taken)(&name) {
        // The zone of the spec was found before.
        let shown =
            zone::clocks(&draft.cron.spec, known).map_or_else(|_| time.to_string(), |c| c.shown(time));
        draft.plan.create = Some(Create { job: manifest(draft.cron, name, shown), scheduled: time });
    }
}

/// A Job of this time is there and not listed: whoever made it could not note it any more.
fn adopt(draft: &mut Draft<'_>, job: &Job, time: Timestamp) {
    let metadata = &job.metadata;
    draft.status.active.push(Reference {
        kind: "Job".to_owned(),
        api_version: "batch/v1".to_owned(),
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        ..Reference::default()
    });
    draft.status.last_schedule_time = Some(time);
}

/// A name for each minute, which is the finest that five fields tell.
fn job_name(cron: &CronJob, time: Timestamp) -> String {
    format!("{}-{}", cron.metadata.name, time.as_second().div_euclid(60))
}

/// The Job of a time: its name is the same whenever it is made.
fn manifest(cron: &CronJob, name: String, shown: String) -> Value {
    let template = &cron.spec.job_template;
    let given = |key: &str| template["metadata"][key].as_object().cloned().unwrap_or_default();
    let mut annotations = given("annotations");
    annotations.insert(SCHEDULED.to_owned(), shown.into());
    let owner = json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": cron.metadata.name,
        "uid": cron.metadata.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    });
    let mut metadata = Map::from_iter([
        ("name".to_owned(), name.into()),
        ("namespace".to_owned(), cron.metadata.namespace.clone().into()),
        ("annotations".to_owned(), annotations.into()),
        ("ownerReferences".to_owned(), Value::Array(vec![owner])),
    ]);
    let labels = given("labels");
    if !labels.is_empty() {
        metadata.insert("labels".to_owned(), labels.into());
    }
    json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"] })
}
