//! What must hold of the plans of any objects that may be stored: the bodies of the fuzz targets in `fuzz/`.
//!
//! Built for tests and with the feature `fuzzing`; no part of the controllers.

mod nodes;
#[cfg(test)]
#[path = "../../../../fuzz/stored_inputs.rs"]
mod tests;

pub use nodes::{claims, placements};

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::{self, TimeZone};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::job::{Action, MAX_PODS_PER_PLAN};
use crate::schedule::{Amounts, Grant};
use crate::view::{CronJob, Job, Pod};
use crate::{cron, job, retention};

/// What takes an input and panics if it breaks a promise.
pub type Target = fn(&[u8]);

/// All targets by their names.
pub const TARGETS: &[(&str, Target)] = &[
    ("claims", claims),
    ("cron_plans", cron_plans),
    ("grants", grants),
    ("job_plans", job_plans),
    ("placements", placements),
];

/// An object and a list of others, with a line of `---` between them.
fn objects<A: DeserializeOwned, B: DeserializeOwned>(data: &[u8]) -> Option<(A, Vec<B>)> {
    let (one, others) = std::str::from_utf8(data).ok()?.split_once("\n---\n")?;
    let one: Value = serde_json::from_str(one).ok()?;
    let others: Value = serde_json::from_str(others).ok()?;
    Some((serde_json::from_value(one).ok()?, serde_json::from_value(others).ok()?))
}

fn now() -> Timestamp {
    Timestamp::from_second(1_767_225_600).expect("a time")
}

/// A Job and its pods: a plan touches each pod once, no more of them than it may, never creates and deletes at once,
/// creates nothing for a Job that is suspended, goes or has ended, and is the same the next time.
pub fn job_plans(data: &[u8]) {
    let Some((job, pods)) = objects::<Job, Pod>(data) else { return };
    // No two objects have one uid.
    let uids: BTreeSet<_> = pods.iter().map(|pod| &pod.metadata.uid).collect();
    if uids.len() < pods.len() {
        return;
    }
    let past = job::Past::default();
    let plan = job::plan(&job, &pods, &past, now());
    assert_eq!(job::plan(&job, &pods, &past, now()), plan);
    let mut touched = BTreeSet::new();
    let (mut created, mut deleted) = (0, 0);
    for action in &plan.actions {
        match action {
            Action::CreatePod { .. } => created += 1,
            Action::DeletePod { name, uid, .. } => {
                deleted += 1;
                assert!(touched.insert((name, uid)), "{action:?}");
            }
            Action::Release { name, uid } | Action::Adopt { name, uid } | Action::Disown { name, uid } => {
                assert!(touched.insert((name, uid)), "{action:?}");
            }
        }
    }
    assert!(created == 0 || deleted == 0, "{:?}", plan.actions);
    assert!(created <= MAX_PODS_PER_PLAN && deleted <= MAX_PODS_PER_PLAN);
    let told = plan.events.iter().filter(|event| event.reason == "SuccessfulCreate").count();
    assert_eq!(told, created, "an event for each pod");
    let ended = job::is_finished(&job.status);
    if ended || job.spec.suspend == Some(true) || job.metadata.deletion_timestamp.is_some() {
        assert_eq!(created, 0, "{:?}", plan.actions);
    }
    assert!(!ended || plan.is_quiet());
    let few = job::plan_within(&job, &pods, &past, now(), 1);
    let creations = few.actions.iter().filter(|action| matches!(action, Action::CreatePod { .. }));
    assert!(creations.count() <= 1);
    assert!(
        plan.wake_at.is_none_or(|at| !plan.is_quiet() || at > now()),
        "{:?} is not to come",
        plan.wake_at
    );
    let _ = retention::expires(&job, now());
}

/// A CronJob and its Jobs: none is deleted twice, none is started for a time that is yet to come, and none while it is
/// suspended or goes.
pub fn cron_plans(data: &[u8]) {
    let Some((cron, jobs)) = objects::<CronJob, Job>(data) else { return };
    let zone = |name: &str| match name {
        "" | "Etc/UTC" => Ok(TimeZone::UTC),
        "East" => Ok(TimeZone::fixed(tz::offset(13))),
        other => Err(format!("unknown time zone {other}")),
    };
    let known = cron::Known { taken: &|_| false, zone: &zone };
    let plan = cron::plan(&cron, &jobs, &known, now());
    let gone: BTreeSet<_> = plan.delete.iter().map(|doomed| &doomed.uid).collect();
    assert!(gone.len() == plan.delete.len() || jobs.len() > gone.len(), "{:?}", plan.delete);
    if let Some(create) = &plan.create {
        assert!(create.scheduled <= now(), "{} is to come", create.scheduled);
        assert!(cron.spec.suspend != Some(true) && cron.metadata.deletion_timestamp.is_none());
        assert!(!create.name().is_empty());
    }
    let _ = cron::rescheduled(&cron, &known, now());
}

/// The devices that a pod has been given, as its annotation says it, and the amounts that a list asks for.
pub fn grants(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let grant = Grant::read(text);
    assert!(grant.iter().all(|(_, device)| text.contains(device)));
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        let asked = Amounts::requested(&value);
        let mut twice = asked.clone();
        twice.add(&asked);
        twice.subtract(&asked);
        assert!(
            asked.iter().all(|(name, amount)| amount > i64::MAX / 2 || twice.of(name) == amount),
            "{text}"
        );
    }
}
