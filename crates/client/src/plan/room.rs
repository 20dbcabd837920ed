//! Whether there is a node that is large enough, and a quota that leaves room.

use std::collections::BTreeMap;

use serde_json::Value;
use windlass_manifest::plan::{Needs, fits, over_quota};

use super::{Check, Standing, unknown};
use crate::JobManager;
use crate::transport::Fault;

/// So many reasons of nodes are told.
const REASONS: usize = 4;
/// What is looked for.
const NODE: &str = "a node that is large enough";

impl JobManager {
    pub(super) async fn room_checks(&self, needs: &Needs, checks: &mut Vec<Check>) {
        match self.all_of::<Value>(&self.core_path("resourcequotas"), None, |_| true).await {
            Ok(list) if list.items.is_empty() => {
                checks.push(Check::new("quota", Standing::Ok, "there is none"));
            }
            Ok(list) => checks.extend(list.items.iter().map(|quota| of_quota(needs, quota))),
            Err(fault) => checks.push(no_quotas(&fault)),
        }
        checks.push(match self.all_of::<Value>("/api/v1/nodes", None, |_| true).await {
            Ok(list) => of_nodes(needs, &list.items),
            Err(fault) => unknown(NODE, &fault, "list nodes"),
        });
    }
}

/// A server that does not know the kind has none of it.
pub(super) fn no_quotas(fault: &Fault) -> Check {
    match fault.is_not_found() {
        true => Check::new("quota", Standing::Ok, "there is none"),
        false => unknown("quota", fault, "list resourcequotas"),
    }
}

fn of_quota(needs: &Needs, quota: &Value) -> Check {
    let what = format!("quota {}", quota["metadata"]["name"].as_str().unwrap_or_default());
    match over_quota(needs, quota) {
        None => Check::new(what, Standing::Ok, "leaves room for a pod"),
        Some(why) => Check::new(what, Standing::Problem, why),
    }
}

/// One node that could run a pod, were it empty, is enough: whether it is, the scheduler knows.
fn of_nodes(needs: &Needs, nodes: &[Value]) -> Check {
    if nodes.is_empty() {
        return Check::new(NODE, Standing::Unknown, "there are no nodes now; an autoscaler may make one");
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut good = 0;
    for node in nodes {
        match fits(needs, node) {
            None => good += 1,
            Some(why) => *reasons.entry(why).or_default() += 1,
        }
    }
    let count = nodes.len();
    if good > 0 {
        let affinity = if needs.has_affinity { "; the pods' affinity is not weighed" } else { "" };
        return Check::new(NODE, Standing::Ok, format!("{good} of {count}{affinity}"));
    }
    let told: Vec<String> =
        reasons.iter().take(REASONS).map(|(why, count)| format!("{count}: {why}")).collect();
    Check::new(NODE, Standing::Problem, format!("none of {count} ({})", told.join("; ")))
}
