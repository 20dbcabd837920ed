//! What a role may do, told as rules (`SelfSubjectRulesReview`). Pure: the table, turned round.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::table::{PATHS, ROWS};
use super::user::Role;

/// A role's rules as `SubjectRulesReviewStatus`: one rule for the resources of a group that have the same verbs.
pub(crate) fn rules(role: Role) -> Value {
    if role == Role::Administrator {
        return json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        });
    }
    let mut alike: BTreeMap<(&str, Vec<&str>), Vec<&str>> = BTreeMap::new();
    for row in ROWS {
        let mut verbs = row.all.to_vec();
        if role >= Role::Read {
            verbs.extend(row.read);
        }
        if role >= Role::Submit {
            verbs.extend(row.submit);
        }
        verbs.sort_unstable();
        if !verbs.is_empty() {
            alike.entry((row.group, verbs)).or_default().push(row.resource);
        }
    }
    let rule = |((group, verbs), resources): ((&str, Vec<&str>), Vec<&str>)| json!({"verbs": verbs, "apiGroups": [group], "resources": resources});
    json!({
        "resourceRules": alike.into_iter().map(rule).collect::<Vec<_>>(),
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": PATHS}],
        "incomplete": false,
    })
}
