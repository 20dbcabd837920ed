//! Limits that are not enforced: the pod runs, has a condition that says so, and an event when it first has it. A pod
//! whose limits are enforced, or that has none, has neither.

use jiff::Timestamp;
use serde_json::Value;

use super::conditions::{Verdict, condition};
use super::view::PodView;
use super::{Facts, News};

/// The condition's type.
pub const LIMITS_ENFORCED: &str = "windlass.dev/LimitsEnforced";

/// Adds the condition to a new status. Once there it stays: it is kept like those of others.
pub(super) fn note(
    status: &mut Value,
    view: PodView<'_>,
    facts: &Facts,
    now: Timestamp,
    events: &mut Vec<News>,
) {
    let Some(unlimited) = &facts.unlimited else { return };
    let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) else { return };
    if conditions.iter().any(|condition| condition["type"] == LIMITS_ENFORCED) {
        return;
    }
    let message = unlimited.message.clone();
    let verdict = Verdict { holds: false, reason: unlimited.reason.name(), message: message.clone() };
    conditions.push(condition(LIMITS_ENFORCED, &verdict, None, view, now));
    // Normal: the pod does as it should, and of a thousand alike a few are enough.
    events.push(News::normal("LimitsNotEnforced", message));
}
