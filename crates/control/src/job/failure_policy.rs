//! `podFailurePolicy`: what a failed pod means. It judges one pod; what follows is decided elsewhere.
//!
//! Source: upstream `pkg/controller/job/pod_failure_policy.go`; KEP-3329.

use crate::view::{Job, OnExitCodes, Pod, PodFailureRule, PodStatus, Terminated};

/// What a failed pod means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Judgement {
    /// It is a failure like any.
    Count,
    /// It is none: the pod is replaced and not counted.
    Ignore,
    /// Its index has failed for good.
    FailIndex,
    /// The Job has failed, with this message.
    FailJob(String),
}

impl Judgement {
    /// Whether the failure enters the counters.
    pub(super) fn counts(&self) -> bool {
        *self != Self::Ignore
    }
}

/// What the Job's policy says about a failed pod.
pub(super) fn judge(job: &Job, pod: &Pod) -> Judgement {
    let rules = job.spec.pod_failure_policy.iter().flat_map(|policy| &policy.rules).enumerate();
    rules.into_iter().find_map(|(place, rule)| apply(rule, place, pod)).unwrap_or(Judgement::Count)
}

/// The rule's judgement, if it is for this pod.
fn apply(rule: &PodFailureRule, place: usize, pod: &Pod) -> Option<Judgement> {
    let because = match &rule.on_exit_codes {
        Some(codes) => by_exit_code(codes, pod)?,
        None => by_condition(rule, pod)?,
    };
    match rule.action.as_str() {
        "Ignore" => Some(Judgement::Ignore),
        "Count" => Some(Judgement::Count),
        "FailIndex" => Some(Judgement::FailIndex),
        "FailJob" => Some(Judgement::FailJob(format!("{because} matching FailJob rule at index {place}"))),
        _ => None,
    }
}

fn by_exit_code(codes: &OnExitCodes, pod: &Pod) -> Option<String> {
    let PodStatus { container_statuses, init_container_statuses, .. } = &pod.status;
    let statuses = container_statuses.iter().chain(init_container_statuses);
    let mut ends = statuses.filter_map(|status| Some((&status.name, status.state.terminated.as_ref()?)));
    let (name, end) = ends.find(|(name, end)| is_meant(codes, name, end))?;
    let (namespace, pod) = (&pod.metadata.namespace, &pod.metadata.name);
    Some(format!("Container {name} for pod {namespace}/{pod} failed with exit code {}", end.exit_code))
}

fn is_meant(codes: &OnExitCodes, name: &str, end: &Terminated) -> bool {
    let listed = codes.values.contains(&end.exit_code);
    end.exit_code != 0
        && codes.container_name.as_deref().is_none_or(|only| only == name)
        && match codes.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        }
}

fn by_condition(rule: &PodFailureRule, pod: &Pod) -> Option<String> {
    let condition = pod.status.conditions.iter().find(|condition| {
        rule.on_pod_conditions
            .iter()
            .any(|meant| (&meant.kind, &meant.status) == (&condition.kind, &condition.status))
    })?;
    let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
    Some(format!("Pod {namespace}/{name} has condition {}", condition.kind))
}
