//! Limits that are not enforced: the pod runs, has a condition that says so, and an event when it first has it. A pod
//! whose limits are enforced, or that has none, has neither.

use jiff::Timestamp;
use serde_json::Value;

use super::conditions::{Verdict, condition};
use super::view::PodView;
use super::{Facts, News, RunState};
use crate::process::unheld;

/// The condition's type.
pub const LIMITS_ENFORCED: &str = "windlass.dev/LimitsEnforced";
/// The reason where each container is held to its limits, and only the pod as a whole is not.
const EACH: &str = "EachContainer";

/// Whether limits of CPU or memory are known not to be enforced, now or by an earlier engine.
pub(super) fn are_open(view: PodView<'_>, facts: &Facts) -> bool {
    let conditions = view.at("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let is_open = |told: &Value| told["type"] == LIMITS_ENFORCED && told["reason"] != EACH;
    facts.unlimited.is_some() || conditions.into_iter().any(is_open)
}

/// Adds the condition to a new status. Once there it stays: it is kept like those of others.
pub(super) fn note(
    status: &mut Value,
    view: PodView<'_>,
    facts: &Facts,
    now: Timestamp,
    events: &mut Vec<News>,
) {
    let Some((reason, message)) = told(view, facts) else { return };
    let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) else { return };
    if conditions.iter().any(|condition| condition["type"] == LIMITS_ENFORCED) {
        return;
    }
    let verdict = Verdict { holds: false, reason, message: message.clone() };
    conditions.push(condition(LIMITS_ENFORCED, &verdict, None, view, now));
    // Normal: the pod does as it should, and of a thousand alike a few are enough.
    events.push(News::normal("LimitsNotEnforced", message));
}

/// What is not enforced, once something of the pod has begun.
fn told(view: PodView<'_>, facts: &Facts) -> Option<(&'static str, String)> {
    if let Some(unlimited) = &facts.unlimited {
        return Some((unlimited.reason.name(), unlimited.message.clone()));
    }
    let has_begun = |run: &super::Run| matches!(run.state, RunState::Running { .. } | RunState::Ended { .. });
    if view.spec["resources"].is_null() || !facts.runs.iter().any(has_begun) {
        return None;
    }
    let resources = unheld(view.spec);
    let message = || {
        format!(
            "the pod's limit of {} holds each of its containers, not all of them together; give each container a limit of \
             its own, so that together they have no more than the pod",
            resources.join(" and ")
        )
    };
    (!resources.is_empty()).then(|| (EACH, message()))
}
