//! What may be written to a Job's status.

use serde_json::{Value, json};

use super::{KIND, job, shown};

const START: &str = "2026-01-01T00:00:00Z";
const END: &str = "2026-01-01T00:01:00Z";

fn conditions(kinds: &[&str]) -> Value {
    kinds.iter().map(|k| json!({"type": k, "status": "True"})).collect()
}

fn check_in(spec: Value, before: Value, after: Value, expect: &[&str]) {
    let mut old = job(spec);
    old["status"] = before;
    let mut new = old.clone();
    new["status"] = after.clone();
    assert_eq!(shown(&(KIND.validate_update)(&new, &old, true)), expect, "{after}");
}

fn check(after: Value, expect: &[&str]) {
    check_in(json!({}), json!({}), after, expect);
}

#[test]
fn a_finished_job_written_in_two_steps_is_accepted() {
    let met = json!({"startTime": START, "conditions": conditions(&["SuccessCriteriaMet"]), "succeeded": 1, "ready": 0});
    let complete = json!({"startTime": START, "completionTime": END, "succeeded": 1, "ready": 0,
        "conditions": conditions(&["SuccessCriteriaMet", "Complete"]), "uncountedTerminatedPods": {}});
    check(met.clone(), &[]);
    check_in(json!({}), met, complete, &[]);
}

#[test]
fn a_custom_condition_is_accepted() {
    check(json!({"conditions": conditions(&["MyOwn"])}), &[]);
}

#[test]
fn contradictions_are_refused() {
    let at = "status.conditions: Invalid value: ";
    check(
        json!({"startTime": START, "completionTime": END, "conditions": conditions(&["Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"])}),
        &[
            &format!("{at}cannot set Complete=True and Failed=true conditions"),
            &format!("{at}cannot set Complete=True and FailureTarget=true conditions"),
            &format!("{at}cannot set SuccessCriteriaMet=True and Failed=true conditions"),
            &format!("{at}cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
        ],
    );
    check(
        json!({"conditions": conditions(&["Failed"]), "active": 1, "terminating": 2, "ready": 3, "uncountedTerminatedPods": {"failed": ["u"]}}),
        &[
            &format!("{at}cannot set Failed=True condition without the FailureTarget=true condition"),
            "status.active: Invalid value: 1: active>0 is invalid for finished job",
            "status.startTime: Required value: startTime is required for finished job",
            "status.uncountedTerminatedPods: Invalid value: {\"failed\":[\"u\"]}: must be empty for finished job",
            "status.terminating: Invalid value: 2: terminating>0 is invalid for finished job",
            "status.ready: Invalid value: 3: cannot set more ready pods than active",
        ],
    );
    check(
        json!({"startTime": START, "conditions": conditions(&["Complete"])}),
        &[
            "status.completionTime: Required value: completionTime is required for Complete jobs",
            &format!("{at}cannot set Complete=True condition without the SuccessCriteriaMet=true condition"),
        ],
    );
    check(
        json!({"startTime": END, "completionTime": START}),
        &[
            &format!(
                "status.completionTime: Invalid value: {START:?}: cannot set completionTime when there is no Complete=True condition"
            ),
            &format!(
                "status.completionTime: Invalid value: {START:?}: must be equal to or after `startTime`"
            ),
        ],
    );
    check(
        json!({"active": -1, "uncountedTerminatedPods": {"succeeded": ["a", ""], "failed": ["a"]}}),
        &[
            "status.active: Invalid value: -1: must be greater than or equal to 0",
            "status.uncountedTerminatedPods.succeeded[1]: Invalid value: \"\": must not be empty",
            "status.uncountedTerminatedPods.failed[0]: Duplicate value: \"a\"",
        ],
    );
}

#[test]
fn lists_of_indexes_must_be_sound() {
    check(
        json!({"completedIndexes": "0"}),
        &[
            "status.completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes when non-indexed completion mode",
        ],
    );
    check(
        json!({"failedIndexes": ""}),
        &[
            "status.failedIndexes: Invalid value: \"\": cannot set non-null failedIndexes when backoffLimitPerIndex is null",
        ],
    );
    let indexed = json!({"completionMode": "Indexed", "completions": 5, "backoffLimitPerIndex": 1});
    check_in(
        indexed.clone(),
        json!({}),
        json!({"completedIndexes": "0-2", "failedIndexes": "2,9"}),
        &[
            "status.failedIndexes: Invalid value: \"2,9\": error parsing failedIndexes: too large index: \"9\"",
            "status.failedIndexes: Invalid value: \"2,9\": failedIndexes and completedIndexes overlap at index: 2",
        ],
    );
    check_in(indexed, json!({}), json!({"completedIndexes": "0-1,4", "failedIndexes": "2,3"}), &[]);
}

#[test]
fn what_once_was_stays() {
    let failed =
        json!({"startTime": START, "failed": 2, "conditions": conditions(&["FailureTarget", "Failed"])});
    check_in(
        json!({}),
        failed,
        json!({"failed": 1}),
        &[
            "status.conditions: Invalid value: cannot disable the terminal Failed=True condition",
            "status.conditions: Invalid value: cannot disable the terminal FailureTarget=True condition",
            "status.failed: Invalid value: 1: cannot decrease the failed counter",
            "status.startTime: Invalid value: null: field is immutable for unsuspended job once set",
        ],
    );
    let resumed = json!({"startTime": END, "conditions": [{"type": "Suspended", "status": "False"}]});
    let suspended = json!({"startTime": START, "conditions": conditions(&["Suspended"])});
    check_in(json!({}), suspended, resumed, &[]);
}

#[test]
fn an_elastic_job_may_lose_successes() {
    let elastic = json!({"completionMode": "Indexed", "completions": 2, "parallelism": 2});
    check_in(elastic, json!({"succeeded": 2}), json!({"succeeded": 1}), &[]);
    check_in(
        json!({}),
        json!({"succeeded": 2}),
        json!({"succeeded": 1}),
        &["status.succeeded: Invalid value: 1: cannot decrease the succeeded counter"],
    );
}

#[test]
fn old_faults_do_not_block_other_changes() {
    let broken = json!({"ready": 5, "active": 1});
    check_in(json!({}), broken, json!({"ready": 5, "active": 1, "succeeded": 1}), &[]);
}
