//! `successPolicy`: when an Indexed Job has enough, though not all its indexes are done.
//!
//! Source: upstream `pkg/controller/job/success_policy.go`; KEP-3998.

use super::indexed::Indexes;
use crate::view::{SuccessPolicy, SuccessRule};

/// The place of the first rule that the completed indexes meet.
pub(super) fn met(policy: &SuccessPolicy, completed: &Indexes, completions: u32) -> Option<usize> {
    if completed.is_empty() {
        return None;
    }
    policy.rules.iter().position(|rule| is_met(rule, completed, completions))
}

fn is_met(rule: &SuccessRule, completed: &Indexes, completions: u32) -> bool {
    let Some(text) = &rule.succeeded_indexes else {
        return rule.succeeded_count.is_some_and(|count| completed.total() >= count);
    };
    let listed = Indexes::parse(text, completions);
    let done = listed.in_common(completed);
    !listed.is_empty() && (done == listed.total() || rule.succeeded_count.is_some_and(|count| done >= count))
}
