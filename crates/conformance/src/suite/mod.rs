//! The suite: what upstream's end-to-end tests check of batch workloads, written anew and once, for any Kubernetes.
//!
//! A case is an async function in a namespace of its own. It speaks through a plain client and knows nothing of the
//! engine: on a cluster its containers run from one fixed image, on the engine as host processes; which of the two is
//! the [`subject`]'s matter. Numbers and names are those of upstream's tests (`test/e2e`, by file), so that a failing
//! case can be looked up there. Nothing here measures time: cases wait for what must come, and where something must
//! *not* come they wait for a witness that has come by then.

mod case;
mod stage;
mod wait;

mod cron;
mod indexed;
mod jobs;
mod lifecycle;
mod policies;
mod template;
mod ttl;

mod container_life;
mod containers;
mod environment;
mod files;
mod init;
mod net_probes;
mod pod_life;
mod pods;
mod probes;
mod server;
mod sidecars;
mod volumes;

pub mod command;
pub mod ordinary;
pub mod record;
pub mod subject;

pub use case::{Case, Need, Outcome};

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use futures::StreamExt;

use stage::Stage;
use subject::Subject;

/// The longest that one case may take.
const CASE_PATIENCE: Duration = Duration::from_secs(1500);

/// A case of upstream's that is not here, and why.
pub const LEFT_OUT: &[(&str, &str, &str)] = &[
    (
        "Job 28",
        "containers restarted by container restart policy should not trigger PodFailurePolicy",
        "restart rules of containers are not served",
    ),
    (
        "Job",
        "should create Workload and PodGroup for gang-eligible Job",
        "an alpha feature that Kubernetes 1.36 keeps switched off",
    ),
];

/// Cases that the engine cannot pass yet, and why: they count as failed there without being run, because what does not
/// come is waited for long.
const NOT_YET: &[(&str, &str)] = &[];

/// Every case, those that wait longest first.
#[must_use]
pub fn all() -> Vec<&'static Case> {
    let jobs: [&[Case]; 6] =
        [cron::CASES, ttl::CASES, jobs::CASES, policies::CASES, indexed::CASES, lifecycle::CASES];
    let pods: [&[Case]; 10] = [
        init::CASES,
        sidecars::CASES,
        containers::CASES,
        container_life::CASES,
        probes::CASES,
        net_probes::CASES,
        environment::CASES,
        volumes::CASES,
        files::CASES,
        pod_life::CASES,
    ];
    jobs.into_iter().chain(pods).flatten().collect()
}

/// The cases that words name: a whole id (`Job 7`), a group (`CronJob`) or a part of a name; all if there is no word.
pub fn chosen(words: &[String]) -> Result<Vec<&'static Case>> {
    let mut cases = all();
    if words.is_empty() {
        return Ok(cases);
    }
    for word in words {
        ensure!(cases.iter().any(|case| case.is_called(word)), "no case is called {word:?}");
    }
    cases.retain(|case| words.iter().any(|word| case.is_called(word)));
    Ok(cases)
}

/// Runs cases on a subject, `at_once` of them at a time; `tell` hears of each when it has ended.
pub async fn run(
    subject: &Subject,
    cases: &[&'static Case],
    at_once: usize,
    tell: &(dyn Fn(&Case, &Outcome) + Sync),
) -> BTreeMap<String, Outcome> {
    let runs = cases.iter().map(|&case| async move {
        let outcome = run_one(subject, case).await;
        tell(case, &outcome);
        (case.id(), outcome)
    });
    futures::stream::iter(runs).buffer_unordered(at_once).collect().await
}

async fn run_one(subject: &Subject, case: &Case) -> Outcome {
    if let Some(why) = subject.lacks(case) {
        return Outcome::LeftOut(why);
    }
    let not_yet = NOT_YET.iter().find(|(id, _)| subject.is_engine() && *id == case.id());
    if let Some((_, why)) = not_yet {
        return Outcome::Failed { reason: (*why).to_owned(), scene: String::new() };
    }
    let stage = match Stage::open(subject, case).await {
        Ok(stage) => stage,
        Err(cause) => {
            return Outcome::Failed { reason: format!("no namespace: {cause:#}"), scene: String::new() };
        }
    };
    let ended = match tokio::time::timeout(CASE_PATIENCE, (case.run)(&stage)).await {
        Ok(ended) => ended,
        Err(_) => late(),
    };
    let outcome = match ended {
        Ok(()) => Outcome::Passed,
        Err(cause) => Outcome::Failed { reason: format!("{cause:#}"), scene: stage.scene().await },
    };
    stage.close().await;
    outcome
}

fn late() -> Result<()> {
    bail!("the case did not end within {CASE_PATIENCE:?}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_cases_share_a_number_and_every_number_of_jobs_is_there() {
        let ids: BTreeSet<String> = all().iter().map(|case| case.id()).collect();
        assert_eq!(ids.len(), all().len());
        for number in 1..=27 {
            assert!(ids.contains(&format!("Job {number}")), "Job {number}");
        }
        assert!(!ids.contains("Job 28"));
    }

    #[test]
    fn a_word_that_names_no_case_is_an_error() {
        assert!(chosen(&["Job 99".to_owned()]).is_err());
        assert_eq!(chosen(&["Job 1".to_owned()]).expect("a case").len(), 1);
        assert!(chosen(&["CronJob".to_owned()]).expect("cases").len() > 10);
    }
}
