//! What may be written to a Job's status: any client may write it, so a finished Job must stay finished and its counters
//! must make sense. A rule is asked only where what it speaks of changed.
//!
//! Sources: upstream pkg/registry/batch/job/strategy.go and pkg/apis/batch/validation/validation.go.

use std::collections::BTreeSet;

use serde_json::Value;

use super::indexes;
use crate::field::{Errors, FieldError};
use crate::kinds::common::has_condition;
use crate::kinds::json::{flag, int, is_set, items, text};
use crate::kinds::rules::not_negative;
use crate::kinds::table;

/// A change of a status, with what the rules ask of both sides.
struct Change<'a> {
    spec: &'a Value,
    new: &'a Value,
    old: &'a Value,
}

impl Change<'_> {
    /// Whether a condition holds after the change.
    fn is(&self, condition: &str) -> bool {
        has_condition(self.new, condition, "True")
    }
    /// Whether a condition held before the change.
    fn was(&self, condition: &str) -> bool {
        has_condition(self.old, condition, "True")
    }
    /// Whether a condition came or went.
    fn turned(&self, condition: &str) -> bool {
        self.is(condition) != self.was(condition)
    }
    /// Whether a field changed; an empty `failedIndexes` is not the same as none.
    fn changed(&self, key: &str) -> bool {
        self.new[key] != self.old[key]
    }
    fn is_finished(&self) -> bool {
        self.is("Complete") || self.is("Failed")
    }
    fn turned_finished(&self) -> bool {
        self.is_finished() != (self.was("Complete") || self.was("Failed"))
    }
    fn indexed(&self) -> bool {
        text(self.spec, "completionMode") == "Indexed"
    }
}

/// Every problem of a change of the status.
pub(super) fn validate(new: &Value, old: &Value) -> Errors {
    let change = Change { spec: &new["spec"], new: &new["status"], old: &old["status"] };
    let mut errors = Errors::new();
    let counters = ["active", "succeeded", "failed", "ready", "terminating"];
    not_negative(&mut errors, change.new, "status", &counters);
    uncounted_uids(&mut errors, change.new);
    exclusions(&mut errors, &change);
    completion_time(&mut errors, &change);
    announced(&mut errors, &change);
    finished(&mut errors, &change);
    index_lists(&mut errors, &change);
    no_pods(&mut errors, &change, "terminating");
    ready(&mut errors, &change);
    success_criteria(&mut errors, &change);
    kept(&mut errors, &change);
    errors
}

fn uncounted_uids(errors: &mut Errors, status: &Value) {
    let mut seen = BTreeSet::new();
    for list in ["succeeded", "failed"] {
        for (i, uid) in items(&status["uncountedTerminatedPods"], list).iter().enumerate() {
            let path = format!("status.uncountedTerminatedPods.{list}[{i}]");
            let uid = uid.as_str().unwrap_or("");
            if uid.is_empty() {
                errors.push(FieldError::invalid(path, "", "must not be empty"));
            } else if !seen.insert(uid) {
                errors.push(FieldError::duplicate(path, uid));
            }
        }
    }
}

fn refuse_conditions(errors: &mut Errors, detail: &str) {
    errors.push(FieldError::invalid_unsaid("status.conditions", detail));
}

/// Conditions that exclude each other.
fn exclusions(errors: &mut Errors, c: &Change) {
    let rules = [
        (
            c.turned("Complete") || c.turned("Failed"),
            c.is("Complete") && c.is("Failed"),
            "cannot set Complete=True and Failed=true conditions",
        ),
        (
            c.turned("Complete") || c.turned("FailureTarget"),
            c.is("Complete") && c.is("FailureTarget"),
            "cannot set Complete=True and FailureTarget=true conditions",
        ),
    ];
    refuse_broken(errors, &rules);
}

/// Whether a rule is asked, whether it is broken, and what is then said.
type Rule = (bool, bool, &'static str);

fn refuse_broken(errors: &mut Errors, rules: &[Rule]) {
    for (_, _, detail) in rules.iter().filter(|(asked, broken, _)| *asked && *broken) {
        refuse_conditions(errors, detail);
    }
}

/// Final conditions come after those that announce them.
fn announced(errors: &mut Errors, c: &Change) {
    let rules = [
        (
            c.turned("Failed") || c.changed("failedIndexes"),
            c.is("Failed") && !c.is("FailureTarget"),
            "cannot set Failed=True condition without the FailureTarget=true condition",
        ),
        (
            c.turned("Complete") || c.turned("SuccessCriteriaMet"),
            c.is("Complete") && !c.is("SuccessCriteriaMet"),
            "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        ),
    ];
    refuse_broken(errors, &rules);
}

fn completion_time(errors: &mut Errors, c: &Change) {
    let given = || c.new["completionTime"].clone();
    let path = "status.completionTime";
    if c.turned("Complete") || c.changed("completionTime") {
        if is_set(c.new, "completionTime") && !c.is("Complete") {
            let detail = "cannot set completionTime when there is no Complete=True condition";
            errors.push(FieldError::invalid(path, given(), detail));
        }
        if !is_set(c.new, "completionTime") && c.is("Complete") {
            errors.push(FieldError::required(path, "completionTime is required for Complete jobs"));
        }
    }
    let (start, end) = (table::time(c.new, "startTime"), table::time(c.new, "completionTime"));
    if let (Some(start), Some(end)) = (start, end)
        && end < start
        && (c.changed("startTime") || c.changed("completionTime"))
    {
        let given = c.new["completionTime"].clone();
        let detail = "must be equal to or after `startTime`";
        errors.push(FieldError::invalid("status.completionTime", given, detail));
    }
}

/// A finished Job has no pods of this sort.
fn no_pods(errors: &mut Errors, c: &Change, key: &str) {
    let count = int(c.new, key).unwrap_or(0);
    if c.is_finished() && count > 0 && (c.turned_finished() || c.changed(key)) {
        let detail = format!("{key}>0 is invalid for finished job");
        errors.push(FieldError::invalid(format!("status.{key}"), count, detail));
    }
}

/// A finished Job has begun, and has no pods that live or wait to be counted.
fn finished(errors: &mut Errors, c: &Change) {
    no_pods(errors, c, "active");
    let suspended_for_nothing = flag(c.spec, "suspend") && int(c.spec, "completions") == Some(0);
    let asked = (c.turned_finished() || c.changed("startTime")) && !suspended_for_nothing;
    if asked && c.is_finished() && !is_set(c.new, "startTime") {
        errors.push(FieldError::required("status.startTime", "startTime is required for finished job"));
    }
    if !c.is_finished() {
        return;
    }
    let key = "uncountedTerminatedPods";
    let uncounted = ["succeeded", "failed"].iter().any(|list| !items(&c.new[key], list).is_empty());
    if uncounted && (c.turned_finished() || c.changed(key)) {
        let given = c.new[key].clone();
        let path = "status.uncountedTerminatedPods";
        errors.push(FieldError::invalid(path, given, "must be empty for finished job"));
    }
}

fn index_lists(errors: &mut Errors, c: &Change) {
    let (completed, failed) = (text(c.new, "completedIndexes"), c.new["failedIndexes"].as_str());
    let per_index = is_set(c.spec, "backoffLimitPerIndex");
    let completions = int(c.spec, "completions");
    let mut refuse = |key: &str, value: &str, detail: String| {
        errors.push(FieldError::invalid(format!("status.{key}"), value, detail));
    };
    if c.changed("completedIndexes") {
        if let Some(Err(error)) = completions.map(|limit| indexes::count(completed, limit)) {
            refuse("completedIndexes", completed, format!("error parsing completedIndexes: {error}"));
        }
        if !completed.is_empty() && !c.indexed() {
            let detail = "cannot set non-empty completedIndexes when non-indexed completion mode";
            refuse("completedIndexes", completed, detail.to_owned());
        }
    }
    let (Some(failed), true) = (failed, c.changed("failedIndexes") || c.changed("completedIndexes")) else {
        return;
    };
    if c.changed("failedIndexes") {
        let counted = completions.filter(|_| per_index).map(|limit| indexes::count(failed, limit));
        if let Some(Err(error)) = counted {
            refuse("failedIndexes", failed, format!("error parsing failedIndexes: {error}"));
        }
        if !per_index {
            let detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
            refuse("failedIndexes", failed, detail.to_owned());
        }
    }
    if let Some(index) = completions.and_then(|limit| indexes::overlap(completed, failed, limit)) {
        let detail = format!("failedIndexes and completedIndexes overlap at index: {index}");
        refuse("failedIndexes", failed, detail);
    }
}

fn ready(errors: &mut Errors, c: &Change) {
    let active = int(c.new, "active").unwrap_or(0);
    let ready = int(c.new, "ready").filter(|r| *r > active);
    if let Some(ready) = ready.filter(|_| c.changed("ready") || c.changed("active")) {
        errors.push(FieldError::invalid("status.ready", ready, "cannot set more ready pods than active"));
    }
}

/// These rules are asked always.
fn success_criteria(errors: &mut Errors, c: &Change) {
    let met = c.is("SuccessCriteriaMet");
    if met && c.is("Failed") {
        refuse_conditions(errors, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
    }
    if met && c.is("FailureTarget") {
        refuse_conditions(errors, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
    }
    if is_set(c.spec, "successPolicy") && !met && c.is("Complete") {
        let detail = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
        refuse_conditions(errors, detail);
    }
}

/// What once was stays: terminal conditions, counters, times.
fn kept(errors: &mut Errors, c: &Change) {
    for condition in ["Failed", "Complete", "FailureTarget"] {
        if c.was(condition) && !c.is(condition) {
            let detail = format!("cannot disable the terminal {condition}=True condition");
            refuse_conditions(errors, &detail);
        }
    }
    // An elastic Job that shrinks loses successes.
    let elastic = c.indexed() && int(c.spec, "completions") == int(c.spec, "parallelism");
    for key in ["failed", "succeeded"] {
        let (now, before) = (int(c.new, key).unwrap_or(0), int(c.old, key).unwrap_or(0));
        if now < before && !(key == "succeeded" && elastic) {
            let detail = format!("cannot decrease the {key} counter");
            errors.push(FieldError::invalid(format!("status.{key}"), now, detail));
        }
    }
    let both = |key| is_set(c.new, key) && is_set(c.old, key);
    if both("completionTime") && c.changed("completionTime") {
        let given = c.new["completionTime"].clone();
        errors.push(FieldError::invalid("status.completionTime", given, "field is immutable"));
    }
    let resuming = c.was("Suspended") && has_condition(c.new, "Suspended", "False");
    let restarted = is_set(c.old, "startTime") && c.changed("startTime");
    if restarted && !resuming && !flag(c.spec, "suspend") {
        let detail = "field is immutable for unsuspended job once set";
        errors.push(FieldError::invalid("status.startTime", c.new["startTime"].clone(), detail));
    }
    if c.was("SuccessCriteriaMet") && !c.is("SuccessCriteriaMet") {
        refuse_conditions(errors, "cannot disable the SuccessCriteriaMet=True condition");
    }
    if c.was("Complete") && !c.was("SuccessCriteriaMet") && c.is("SuccessCriteriaMet") {
        let detail = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
        refuse_conditions(errors, detail);
    }
}
