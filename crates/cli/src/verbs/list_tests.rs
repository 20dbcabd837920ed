//! The table's cells for jobs in every state.

use windlass::manifest::{Counts, Outlook, Times, Verdict};

use super::*;

fn job(name: &str, phase: Phase, verdict: &str) -> JobStatus {
    let at = |text: &str| Some(text.parse().unwrap());
    JobStatus {
        name: name.into(),
        namespace: "default".into(),
        uid: "u".into(),
        submission: Some("s1".into()),
        phase,
        counts: Counts { wanted: Some(1), ..Counts::default() },
        times: Times {
            created: at("2026-01-01T00:00:00Z"),
            started: at("2026-01-01T00:00:10Z"),
            finished: phase.is_final().then(|| "2026-01-01T00:01:00Z".parse().unwrap()),
            ..Times::default()
        },
        verdict: Verdict {
            text: verdict.into(),
            outlook: Outlook::Final,
            next_step: None,
            last_lines: vec![],
            failures: vec![],
            missing: vec![],
        },
        cause: None,
        exit_code: None,
        payload: None,
        usage: None,
        unlimited: None,
        runs: false,
    }
}

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().unwrap()
}

#[test]
fn one_line_a_job_with_its_reason() {
    let mut done = job("good", Phase::Succeeded, "succeeded");
    done.counts.succeeded = 1;
    let jobs = [
        done,
        job("bad", Phase::Failed, "failed because the command exited with 7"),
        job("now", Phase::Running, "runs"),
    ];
    insta::assert_snapshot!(table(&jobs, false, false, now()), @r"
    NAME   STATUS      COMPLETIONS   AGE   DURATION   REASON
    good   Succeeded   1/1           60m   50s
    bad    Failed      0/1           60m   50s        the command exited with 7
    now    Running     0/1           60m   59m        runs
    ");
}

#[test]
fn wide_and_all_namespaces_add_columns() {
    let mut failed = job("bad", Phase::Failed, "exit code 7");
    failed.exit_code = Some(7);
    insta::assert_snapshot!(table([&failed], true, true, now()), @r"
    NAMESPACE   NAME   STATUS   COMPLETIONS   AGE   DURATION   EXIT   SUBMISSION   REASON
    default     bad    Failed   0/1           60m   50s        7      s1           exit code 7
    ");
}

#[test]
fn a_job_that_has_not_started_has_no_duration() {
    let mut pending = job("new", Phase::Pending, "waiting for a place");
    pending.times.started = None;
    pending.counts.wanted = None;
    assert_eq!(duration(&pending, now()), None);
    assert_eq!(completions(&pending), "0/1+");
}

#[test]
fn a_long_reason_is_cut_where_there_is_little_room() {
    let job = job("stuck", Phase::Pending, &"é".repeat(REASON + 1));
    assert_eq!(reason(&job, false), format!("{}...", "é".repeat(REASON)));
    assert_eq!(reason(&job, true), "é".repeat(REASON + 1));
}
