//! What holds of every CronJob, whatever happens to it and to its Jobs: a plan is carried out whole, or not at all, or
//! (by another controller that died half-way) without its status.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{cron, zone};
use super::*;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many seconds pass.
    Pass(u32),
    /// The clock is set back by so many seconds.
    Back(u32),
    /// The Job that is so many-th ends.
    End(u8, bool),
    /// It is deleted by somebody.
    Lose(u8),
    /// The next plan is thrown away: the engine is killed before it is committed.
    Kill,
    /// The next plan's Job is made and its status is lost.
    Halve,
    /// It is suspended, or goes on.
    Suspend(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_u32..200).prop_map(Step::Pass),
        1 => (1_000_u32..500_000).prop_map(Step::Pass),
        1 => (1_u32..5_000).prop_map(Step::Back),
        4 => (0_u8..4, any::<bool>()).prop_map(|(job, well)| Step::End(job, well)),
        1 => (0_u8..4).prop_map(Step::Lose),
        1 => Just(Step::Kill),
        1 => Just(Step::Halve),
        1 => any::<bool>().prop_map(Step::Suspend),
    ]
}

struct World {
    cron: CronJob,
    jobs: Vec<Job>,
    now: Timestamp,
    uids: u32,
    /// The times for which a Job was ever made.
    made: BTreeSet<Timestamp>,
    /// A clock that was set back shows times again.
    latest: Option<Timestamp>,
}

impl World {
    fn new(schedule: &str, policy: &str, limits: (i32, i32)) -> World {
        let spec = json!({
            "schedule": schedule, "concurrencyPolicy": policy,
            "successfulJobsHistoryLimit": limits.0, "failedJobsHistoryLimit": limits.1,
        });
        let now = "2026-01-01T09:10:00Z".parse().unwrap();
        World {
            cron: cron(&spec, &json!({})),
            jobs: Vec::new(),
            now,
            uids: 0,
            made: BTreeSet::new(),
            latest: None,
        }
    }

    fn plan(&self) -> Plan {
        let taken = |name: &str| self.jobs.iter().any(|job| job.metadata.name == name);
        plan(&self.cron, &self.jobs, &Known { taken: &taken, zone: &zone }, self.now)
    }

    /// Carries out a plan; without its status if it is halved.
    fn apply(&mut self, plan: Plan, halved: bool) {
        let policy = self.cron.spec.concurrency_policy.clone();
        let running =
            |world: &World| world.jobs.iter().filter(|job| !crate::job::is_finished(&job.status)).count();
        self.jobs.retain(|job| !plan.delete.iter().any(|doomed| doomed.uid == job.metadata.uid));
        let mut status = plan.status.unwrap_or_else(|| self.cron.status.clone());
        if let Some(create) = plan.create {
            if policy != "Allow" {
                assert_eq!(running(self), 0, "one at a time");
            }
            assert!(self.made.insert(create.scheduled), "two Jobs for {}", create.scheduled);
            assert!(create.scheduled <= self.now && self.latest < Some(create.scheduled), "in their order");
            self.latest = Some(create.scheduled);
            self.uids += 1;
            let uid = format!("uid-{}", self.uids);
            create.record(&mut status, &uid);
            let mut job: Job = serde_json::from_value(create.job).unwrap();
            job.metadata.uid = uid;
            job.status.start_time = Some(self.now);
            assert!(
                self.jobs.iter().all(|other| other.metadata.name != job.metadata.name),
                "the name is free"
            );
            self.jobs.push(job);
        }
        if !halved {
            self.cron.status = status;
        }
    }

    /// Asks until nothing more is wanted.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..8 {
            let plan = self.plan();
            let quiet = plan.delete.is_empty() && plan.create.is_none() && plan.status.is_none();
            if quiet {
                prop_assert!(plan.wake_at.is_none_or(|at| at > self.now), "it waits: {:?}", plan.wake_at);
                let waits = self.cron.spec.suspend == Some(true);
                prop_assert_eq!(plan.wake_at.is_none(), waits);
                return self.check();
            }
            self.apply(plan, false);
        }
        Err(TestCaseError::fail("it never comes to rest"))
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let ended = |kind: &str| {
            let ends =
                |job: &&Job| crate::job::finished_condition(&job.status).is_some_and(|c| c.kind == kind);
            i32::try_from(self.jobs.iter().filter(ends).count()).unwrap()
        };
        let spec = &self.cron.spec;
        prop_assert!(Some(ended("Complete")) <= spec.successful_jobs_history_limit);
        prop_assert!(Some(ended("Failed")) <= spec.failed_jobs_history_limit);
        for listed in &self.cron.status.active {
            prop_assert!(
                self.jobs.iter().any(|job| job.metadata.uid == listed.uid),
                "what is listed is there"
            );
        }
        let uids: BTreeSet<&str> = self.cron.status.active.iter().map(|job| job.uid.as_str()).collect();
        prop_assert_eq!(uids.len(), self.cron.status.active.len(), "once");
        Ok(())
    }

    fn take(&mut self, step: Step) {
        let pass = |now: Timestamp, seconds: i64| now + SignedDuration::from_secs(seconds);
        match step {
            Step::Pass(seconds) => self.now = pass(self.now, seconds.into()),
            Step::Back(seconds) => self.now = pass(self.now, -i64::from(seconds)),
            Step::End(index, well) => {
                let kind = if well { "Complete" } else { "Failed" };
                let now = self.now;
                let running = |job: &&mut Job| !crate::job::is_finished(&job.status);
                if let Some(job) = self.jobs.iter_mut().filter(running).nth(index.into()) {
                    job.status = serde_json::from_value(json!({
                        "startTime": job.status.start_time, "completionTime": well.then_some(now),
                        "conditions": [{"type": kind, "status": "True"}],
                    }))
                    .unwrap();
                }
            }
            Step::Lose(index) if usize::from(index) < self.jobs.len() => drop(self.jobs.remove(index.into())),
            Step::Suspend(suspend) => self.cron.spec.suspend = Some(suspend),
            Step::Lose(_) | Step::Kill | Step::Halve => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn each_time_has_one_job_at_most_and_the_plan_comes_to_rest(
        schedule in prop::sample::select(vec!["* * * * *", "*/7 * * * *", "0 * * * *", "@every 90s", "30 6-16/4 * * 1-5", "0 0 1 * *"]),
        policy in prop::sample::select(vec!["Allow", "Forbid", "Replace"]),
        limits in (1_i32..4, 1_i32..3),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(schedule, policy, limits);
        for step in steps {
            world.take(step);
            match step {
                Step::Kill => drop(world.plan()),
                Step::Halve if policy == "Allow" => {
                    let plan = world.plan();
                    world.apply(plan, true);
                    world.settle()?;
                }
                _ => world.settle()?,
            }
        }
    }

    #[test]
    fn any_status_and_any_jobs_are_looked_at_without_a_panic(
        schedule in "[ -~]{0,12}",
        zone_name in prop::option::of("[A-Z]{0,4}"),
        last in prop::option::of(-10_000_000_000_i64..10_000_000_000),
        deadline in prop::option::of(any::<i64>()),
        now in -10_000_000_000_i64..10_000_000_000,
    ) {
        let last: Option<Timestamp> = last.map(|last| Timestamp::from_second(last).unwrap());
        let spec: Value = json!({"schedule": schedule, "timeZone": zone_name, "startingDeadlineSeconds": deadline});
        let cron = cron(&spec, &json!({"lastScheduleTime": last}));
        let known = Known { taken: &|_| true, zone: &zone };
        let plan = plan(&cron, &[] as &[Job], &known, Timestamp::from_second(now).unwrap());
        prop_assert!(plan.create.is_none());
    }
}
