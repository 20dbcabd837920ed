//! Situations of a CronJob: what it starts, what it lists, what it deletes, what it tells, and when it looks again.

use jiff::Timestamp;
use jiff::tz::{self, TimeZone};
use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// 10:00:00 on the first of January 2026, and so many seconds.
fn ten(seconds: i64) -> Timestamp {
    at("2026-01-01T10:00:00Z") + SignedDuration::from_secs(seconds)
}

/// A CronJob of every full hour, made at ten past nine.
pub(super) fn cron(spec: &Value, status: &Value) -> CronJob {
    let mut whole = json!({
        "schedule": "0 * * * *", "concurrencyPolicy": "Allow", "suspend": false,
        "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
        "jobTemplate": {
            "metadata": {"labels": {"team": "ops"}, "annotations": {"note": "kept"}},
            "spec": {"backoffLimit": 2, "template": {"spec": {"unknown": [1]}}},
        },
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        whole[key] = value.clone();
    }
    serde_json::from_value(json!({
        "metadata": {"name": "nightly", "namespace": "lab", "uid": "C", "creationTimestamp": "2026-01-01T09:10:00Z"},
        "spec": whole, "status": status,
    }))
    .unwrap()
}

/// A Job of it; `end` is the final condition.
pub(super) fn job(name: &str, start: Option<&str>, end: Option<&str>) -> Job {
    let ended = end.filter(|end| *end == "Complete").and(Some("2026-01-01T09:59:00Z"));
    let conditions: Vec<Value> = end.map(|end| json!({"type": end, "status": "True"})).into_iter().collect();
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "lab", "uid": format!("uid-{name}"), "resourceVersion": "7"},
        "status": {"startTime": start, "completionTime": ended, "conditions": conditions},
    }))
    .unwrap()
}

fn listed(names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| {
            json!({"apiVersion": "batch/v1", "kind": "Job", "namespace": "lab", "name": name, "uid": format!("uid-{name}")})
        })
        .collect()
}

pub(super) fn zone(name: &str) -> Result<TimeZone, String> {
    match name {
        "" => Ok(TimeZone::UTC),
        "East" => Ok(TimeZone::fixed(tz::offset(2))),
        other => Err(format!("unknown time zone {other}")),
    }
}

fn ask(cron: &CronJob, jobs: &[Job], now: Timestamp) -> Plan {
    plan(cron, jobs, &Known { taken: &|_| false, zone: &zone }, now)
}

/// Reasons and messages.
fn told(plan: &Plan) -> Vec<(&str, &str)> {
    plan.events.iter().map(|event| (event.reason, event.message.as_str())).collect()
}

fn deleted(plan: &Plan) -> Vec<&str> {
    plan.delete.iter().map(|job| job.name.as_str()).collect()
}

fn active(plan: &Plan) -> Vec<&str> {
    plan.status.as_ref().map_or_else(Vec::new, |s| s.active.iter().map(|job| job.name.as_str()).collect())
}

/// The name of the Job of ten o'clock.
const TEN: &str = "nightly-29454360";

#[test]
fn before_its_time_nothing_is_done() {
    let plan = ask(&cron(&json!({}), &json!({})), &[], ten(-1));
    assert_eq!(plan, Plan { wake_at: Some(ten(0) + PADDING), ..Plan::default() });
}

#[test]
fn at_its_time_the_job_of_the_template_is_made() {
    let plan = ask(&cron(&json!({"timeZone": "East"}), &json!({})), &[], ten(0));
    let create = plan.create.as_ref().unwrap();
    assert_eq!(
        create.job,
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": TEN, "namespace": "lab", "labels": {"team": "ops"},
                "annotations": {"note": "kept", SCHEDULED: "2026-01-01T12:00:00+02:00"},
                "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": "C",
                    "controller": true, "blockOwnerDeletion": true}],
            },
            "spec": {"backoffLimit": 2, "template": {"spec": {"unknown": [1]}}},
        })
    );
    assert_eq!(create.event(), Event::normal("SuccessfulCreate", format!("Created job {TEN}")));
    let mut status = CronJobStatus::default();
    create.record(&mut status, "U");
    assert_eq!(
        serde_json::to_value(&status).unwrap(),
        json!({"active": [{"kind": "Job", "apiVersion": "batch/v1", "namespace": "lab", "name": TEN, "uid": "U"}],
            "lastScheduleTime": "2026-01-01T10:00:00Z"})
    );
    assert_eq!(plan.wake_at, Some(ten(3600) + PADDING));
    assert_eq!((plan.status, plan.delete, plan.events), (None, vec![], vec![]));
    let plain = ask(&cron(&json!({}), &json!({})), &[], ten(0)).create.unwrap();
    assert_eq!(plain.job["metadata"]["annotations"][SCHEDULED], "2026-01-01T10:00:00Z");
}

#[test]
fn time_that_was_processed_starts_nothing_again() {
    for status in [
        json!({"lastScheduleTime": "2026-01-01T10:00:00Z"}),
        json!({"lastScheduleTime": "2026-01-01T09:00:00Z", "active": listed(&[TEN])}),
    ] {
        let jobs = [job(TEN, None, None)];
        let plan =
            ask(&cron(&json!({}), &status), &jobs[..status["active"].as_array().map_or(0, Vec::len)], ten(5));
        assert_eq!(plan, Plan { wake_at: Some(ten(3600) + PADDING), ..Plan::default() }, "{status}");
    }
}

#[test]
fn job_that_is_there_and_was_not_listed_is_taken_up() {
    let jobs = [job(TEN, None, None)];
    let plan = ask(&cron(&json!({}), &json!({})), &jobs, ten(5));
    assert_eq!((plan.create.is_none(), active(&plan)), (true, vec![TEN]));
    let status = plan.status.as_ref().unwrap();
    assert_eq!((status.last_schedule_time, status.active[0].resource_version.as_str()), (Some(ten(0)), "7"));
    let unexpected = "Saw a job that the controller did not create or forgot: nightly-29454360";
    assert_eq!(told(&plan), [("UnexpectedJob", unexpected)]);
}

#[test]
fn name_that_somebody_else_has_starts_nothing_and_later_times_come() {
    let known = Known { taken: &|name| name == TEN, zone: &zone };
    let plan = plan(&cron(&json!({}), &json!({})), &[] as &[Job], &known, ten(5));
    assert_eq!(plan, Plan { wake_at: Some(ten(3600) + PADDING), ..Plan::default() });
}

#[test]
fn of_many_missed_times_the_latest_is_made_up_for_and_the_number_is_told() {
    let few = cron(&json!({}), &json!({"lastScheduleTime": "2025-12-31T10:00:00Z"}));
    let plan = ask(&few, &[], ten(1800));
    assert_eq!((plan.create.unwrap().scheduled, plan.events.len()), (ten(0), 0));
    let many =
        cron(&json!({"schedule": "*/1 * * * *"}), &json!({"lastScheduleTime": "2025-12-01T10:00:00Z"}));
    let plan = ask(&many, &[], ten(30));
    assert_eq!(plan.create.as_ref().unwrap().scheduled, ten(0));
    let message =
        "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
    assert_eq!(told(&plan), [("TooManyMissedTimes", message)]);
    let bounded = cron(
        &json!({"schedule": "*/1 * * * *", "startingDeadlineSeconds": 600}),
        &json!({"lastScheduleTime": "2025-12-01T10:00:00Z"}),
    );
    assert_eq!(ask(&bounded, &[], ten(30)).events, []);
}

#[test]
fn time_beyond_the_starting_deadline_is_given_up() {
    let spec = json!({"startingDeadlineSeconds": 60});
    assert_eq!(ask(&cron(&spec, &json!({})), &[], ten(59)).create.unwrap().scheduled, ten(0));
    let plan = ask(&cron(&spec, &json!({})), &[], ten(61));
    assert_eq!(plan, Plan { wake_at: Some(ten(3600) + PADDING), ..Plan::default() });
}

#[test]
fn uneven_schedules_are_followed_to_their_latest_time() {
    let workdays =
        cron(&json!({"schedule": "30 6-16/4 * * 1-5"}), &json!({"lastScheduleTime": "2025-12-24T14:30:00Z"}));
    // A Thursday.
    assert_eq!(ask(&workdays, &[], ten(3600)).create.unwrap().scheduled, at("2026-01-01T10:30:00Z"));
}

#[test]
fn every_counts_from_the_time_before_or_from_when_it_was_made() {
    let every = json!({"schedule": "@every 45m"});
    let plan = ask(&cron(&every, &json!({})), &[], ten(0));
    assert_eq!(plan.create.unwrap().scheduled, at("2026-01-01T09:55:00Z"));
    assert_eq!(plan.wake_at, Some(at("2026-01-01T10:40:00Z") + PADDING));
    let plan = ask(&cron(&every, &json!({"lastScheduleTime": "2026-01-01T09:20:00Z"})), &[], ten(600));
    assert_eq!(plan.create.unwrap().scheduled, at("2026-01-01T10:05:00Z"));
    let plan = ask(
        &cron(&json!({"schedule": "@every 1s"}), &json!({"lastScheduleTime": "2026-01-01T09:00:00Z"})),
        &[],
        ten(7),
    );
    assert_eq!((plan.create.unwrap().scheduled, plan.wake_at), (ten(7), Some(ten(8) + PADDING)));
}

#[test]
fn clock_that_was_set_back_waits_for_the_time_that_it_had_shown() {
    let plan = ask(&cron(&json!({}), &json!({"lastScheduleTime": "2026-01-01T12:00:00Z"})), &[], ten(0));
    assert_eq!(plan, Plan { wake_at: Some(at("2026-01-01T13:00:00Z") + PADDING), ..Plan::default() });
}

#[test]
fn suspended_one_starts_nothing_and_makes_up_for_it_when_it_goes_on() {
    let plan = ask(&cron(&json!({"suspend": true}), &json!({})), &[], ten(5));
    assert_eq!(plan, Plan::default());
    assert_eq!(ask(&cron(&json!({}), &json!({})), &[], ten(5)).create.unwrap().scheduled, ten(0));
}

#[test]
fn forbid_waits_for_the_job_before_and_says_so() {
    let spec = json!({"concurrencyPolicy": "Forbid"});
    let status = json!({"lastScheduleTime": "2026-01-01T09:00:00Z", "active": listed(&["old"])});
    let plan = ask(&cron(&spec, &status), &[job("old", None, None)], ten(0));
    let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
    assert_eq!(told(&plan), [("JobAlreadyActive", message)]);
    assert_eq!((&plan.create, &plan.status, plan.wake_at), (&None, &None, Some(ten(3600) + PADDING)));
    let ended = ask(&cron(&spec, &status), &[job("old", None, Some("Failed"))], ten(1));
    assert_eq!(ended.create.unwrap().scheduled, ten(0), "as soon as it has ended");
}

#[test]
fn allow_starts_beside_the_job_before_and_replace_in_its_place() {
    let status = json!({"lastScheduleTime": "2026-01-01T09:00:00Z", "active": listed(&["old"])});
    let plan = ask(&cron(&json!({}), &status), &[job("old", None, None)], ten(0));
    assert_eq!((plan.create.is_some(), deleted(&plan), &plan.status), (true, vec![], &None));
    let replace = cron(&json!({"concurrencyPolicy": "Replace"}), &status);
    let plan = ask(&replace, &[job("old", None, None)], ten(0));
    assert_eq!((plan.create.is_some(), deleted(&plan), active(&plan)), (true, vec!["old"], vec![]));
    assert_eq!(told(&plan), [("SuccessfulDelete", "Deleted job old")]);
}

#[test]
fn name_of_a_job_that_goes_is_used_once_it_is_gone() {
    let spec = json!({"concurrencyPolicy": "Replace", "schedule": "@every 10s"});
    let status = json!({"lastScheduleTime": "2026-01-01T10:00:00Z", "active": listed(&["nightly-1"])});
    let mut replaced = cron(&spec, &status);
    replaced.status.active[0].name = "other".to_owned();
    let mut old = job(TEN, None, None);
    old.metadata.uid = "uid-nightly-1".to_owned();
    let plan = ask(&replaced, &[old], ten(10));
    assert_eq!((deleted(&plan), &plan.create, plan.wake_at), (vec![TEN], &None, Some(ten(10))));
}

#[test]
fn ended_jobs_leave_the_list_and_successes_are_remembered() {
    let status =
        json!({"lastScheduleTime": "2026-01-01T10:00:00Z", "active": listed(&["good", "bad", "runs"])});
    let jobs =
        [job("bad", None, Some("Failed")), job("good", None, Some("Complete")), job("runs", None, None)];
    let plan = ask(&cron(&json!({}), &status), &jobs, ten(1));
    assert_eq!(active(&plan), ["runs"]);
    assert_eq!(plan.status.as_ref().unwrap().last_successful_time, Some(at("2026-01-01T09:59:00Z")));
    assert_eq!(
        told(&plan),
        [
            ("SawCompletedJob", "Saw completed job: bad, condition: Failed"),
            ("SawCompletedJob", "Saw completed job: good, condition: Complete"),
        ]
    );
    let again = CronJob { status: plan.status.unwrap(), ..cron(&json!({}), &status) };
    assert_eq!(ask(&again, &jobs, ten(1)), Plan { wake_at: Some(ten(3600) + PADDING), ..Plan::default() });
}

#[test]
fn listed_job_that_is_gone_is_missed_and_an_unlisted_one_is_not_expected() {
    let status = json!({"lastScheduleTime": "2026-01-01T10:00:00Z", "active": listed(&["gone"])});
    let plan = ask(&cron(&json!({}), &status), &[job("mine", None, None)], ten(1));
    assert_eq!(
        told(&plan),
        [
            ("UnexpectedJob", "Saw a job that the controller did not create or forgot: mine"),
            ("MissingJob", "Active job went missing: gone"),
        ]
    );
    assert_eq!((active(&plan), plan.status.is_some()), (vec![], true));
}

#[test]
fn finished_jobs_beyond_the_limits_go_oldest_first() {
    let status = json!({"lastScheduleTime": "2026-01-01T10:00:00Z"});
    let spec = json!({"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0});
    let jobs = [
        job("c", Some("2026-01-01T09:02:00Z"), Some("Complete")),
        job("b", Some("2026-01-01T09:01:00Z"), Some("Complete")),
        job("a", None, Some("Complete")),
        job("f", Some("2026-01-01T09:03:00Z"), Some("Failed")),
        job("r", Some("2026-01-01T09:00:00Z"), None),
    ];
    let listed = json!({"lastScheduleTime": "2026-01-01T10:00:00Z", "lastSuccessfulTime": "2026-01-01T09:59:00Z", "active": listed(&["r"])});
    let plan = ask(&cron(&spec, &listed), &jobs, ten(1));
    assert_eq!(deleted(&plan), ["b", "c", "f"]);
    assert_eq!((plan.events.len(), &plan.status), (3, &None));
    let without = json!({"successfulJobsHistoryLimit": null, "failedJobsHistoryLimit": null});
    assert_eq!(deleted(&ask(&cron(&without, &status), &jobs, ten(1))), [""; 0]);
    let mut going = jobs.clone();
    going[1].metadata.deletion_timestamp = Some(ten(0));
    assert_eq!(deleted(&ask(&cron(&spec, &listed), &going, ten(1))), ["c", "f"], "one goes already");
}

#[test]
fn one_that_is_deleted_starts_nothing_but_lists_on() {
    let mut going = cron(&json!({}), &json!({"active": listed(&["gone"])}));
    going.metadata.deletion_timestamp = Some(ten(0));
    let plan = ask(&going, &[], ten(5));
    assert_eq!((told(&plan)[0].0, &plan.create, plan.wake_at), ("MissingJob", &None, None));
}

#[test]
fn schedule_that_cannot_be_followed_is_told_and_left_alone() {
    for (spec, reason, message) in [
        (
            json!({"schedule": "61 * * * *"}),
            "UnparseableSchedule",
            "unparseable schedule: \"61 * * * *\" : end of range (61) above maximum (59): 61",
        ),
        (
            json!({"schedule": "0 0 31 2 *"}),
            "InvalidSchedule",
            "invalid schedule: 0 0 31 2 * : time difference between two schedules is less than 1 second",
        ),
        (
            json!({"timeZone": "Mars"}),
            "UnknownTimeZone",
            "invalid timeZone: \"Mars\": unknown time zone Mars",
        ),
    ] {
        let plan = ask(&cron(&spec, &json!({})), &[], ten(0));
        assert_eq!(told(&plan), [(reason, message)]);
        assert_eq!((plan.create, plan.wake_at, plan.status), (None, None, None), "{spec}");
    }
}

#[test]
fn zone_in_an_old_schedule_is_gone_by_and_told() {
    let old = cron(&json!({"schedule": "TZ=East 30 11 * * *"}), &json!({}));
    let plan = ask(&old, &[], ten(0));
    assert_eq!(plan.create.as_ref().unwrap().scheduled, at("2026-01-01T09:30:00Z"));
    assert_eq!(told(&plan)[0].0, "UnsupportedSchedule");
}

#[test]
fn changed_schedule_begins_anew_and_makes_up_for_nothing() {
    let known = Known { taken: &|_| false, zone: &zone };
    let old = cron(&json!({}), &json!({"lastScheduleTime": "2026-01-01T10:00:00Z"}));
    let new = cron(&json!({"schedule": "30 * * * *"}), &json!({"lastScheduleTime": "2026-01-01T09:00:00Z"}));
    assert!(is_rescheduled(&old, &new) && !is_rescheduled(&old, &old));
    assert_eq!(rescheduled(&new, &known, ten(0)), Some(ten(1800) + PADDING));
    let wrong = cron(&json!({"schedule": "x"}), &json!({}));
    assert_eq!(rescheduled(&wrong, &known, ten(0)), None);
}
