//! The suite finds mistakes: of each that can be planted in the controllers, the case that fails for it in a whole
//! engine, or why none does. That the cases pass without is held by `suite.rs`; the simulation finds every mistake
//! (`crates/engine/src/tick/sim/`).
#![cfg(debug_assertions)]

use std::ffi::OsString;
use std::time::Duration;

use windlass_conformance::suite::subject::{Door, Subject};
use windlass_conformance::suite::{Outcome, chosen, run};
use windlass_control::planted::{Bug, plant_everywhere};

/// For cases that see something wrong: they end by themselves.
const LONG: Duration = Duration::from_secs(480);

/// For cases that see nothing come: a state takes about a second otherwise.
const SHORT: Duration = Duration::from_secs(12);

/// How the suite finds a mistake.
enum Found {
    /// This case says these words.
    Told(&'static str, &'static str),
    /// This case waits in vain.
    Missed(&'static str),
    /// No case of this file does, and why.
    Not(#[expect(dead_code, reason = "for who reads this file")] &'static str),
}

fn found(bug: Bug) -> Found {
    use Found::{Missed, Not, Told};
    match bug {
        Bug::GivesUpEarly => Told("Job 22", "the pods are"),
        Bug::CountsTwice => Told("Job 14", "status.failed is 2"),
        // Each look counts them anew, so that the Job's end is never reached.
        Bug::KeepsFinalizers => Missed("Job 22"),
        Bug::RunsDoneIndexes => Missed("Job 9"),
        Bug::ForgetsDoneIndexes => Told("Job 12", "0 pods succeeded"),
        Bug::LetsSuspendedRun => Missed("Job 6"),
        Bug::EndsTooSoon => Told("Job 19", "terminating is"),
        Bug::RunsTooMany => Told("Job 21", "3 pods"),
        Bug::ReplacesTooSoon => Missed("Job 7"),
        Bug::GoesOnAfterTheEnd => Told("Job 14", "status.failed"),
        Bug::MeddlesWithManaged => Told("Job 27", "its status is"),
        Bug::NeverEndsQueues => Not("every Job of the suite says how many completions it wants"),
        Bug::CountsEvictedTwice => Not("Job 4 alone evicts, and its policy ignores evictions"),
        Bug::CountsListedTwice => {
            Not("the engine counts and lets go at once: only what others wrote is listed")
        }
        Bug::KeepsFormerIndexes => Not("no case shrinks an elastic Job"),
        Bug::OverlapsJobs => Not("CronJob 3 does, once its schedule is due a second time: two minutes"),
        Bug::ExpiresEarly => Not("TTLAfterFinished 1 has Jobs that often end in the second they are made in"),
        Bug::EmptiesTooEarly => Not("no case waits for the end of a namespace"),
        Bug::IgnoresTaints => Not("no case taints a node"),
        Bug::ForgetsFailures => Not("no case measures time: its pods only come too early"),
    }
}

/// Why a case ended otherwise than it passes, on an engine that makes this mistake.
async fn failure(bug: Bug, case: &str, patience: Duration) -> Option<String> {
    let shim: Vec<OsString> = vec![env!("CARGO_BIN_EXE_windlass-conformance").into(), "shim".into()];
    let subject = Subject::engine(Door::InProcess, shim).await.expect("the engine starts");
    let subject = subject.patient_for(patience);
    let cases = chosen(&[case.to_owned()]).expect("the case is there");
    plant_everywhere(Some(bug));
    let outcomes = run(&subject, &cases, 1, &|_, _| {}).await;
    plant_everywhere(None);
    subject.stop().await;
    outcomes.into_values().find_map(|outcome| match outcome {
        Outcome::Failed { reason, .. } => Some(reason),
        Outcome::Passed | Outcome::LeftOut(_) => None,
    })
}

/// What is planted is planted in the whole process, so one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn the_suite_finds_planted_mistakes() {
    let (mut tried, mut undetected) = (0, Vec::new());
    for bug in Bug::ALL {
        let (case, words, patience) = match found(bug) {
            Found::Told(case, words) => (case, words, LONG),
            Found::Missed(case) => (case, "", SHORT),
            Found::Not(_) => continue,
        };
        tried += 1;
        match failure(bug, case, patience).await {
            Some(reason) if reason.contains(words) => {}
            Some(reason) => undetected.push(format!("{bug:?}: {case} does not say {words:?}: {reason}")),
            None => undetected.push(format!("{bug:?}: {case} passes")),
        }
    }
    assert!(undetected.is_empty(), "not found:\n  {}", undetected.join("\n  "));
    assert!(tried >= 10, "the suite is to find ten of the mistakes, not {tried}");
}
