//! Typed views of what the controllers read. Only for reading: objects are JSON, and what no view names is never lost.

mod cron;
mod shared;
mod template;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

pub use cron::{CronJob, CronJobSpec, CronJobStatus, Reference};
pub use shared::Shared;
pub use template::{SharedSpec, Template};

/// `metadata` of any object.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Name.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Namespace; empty for cluster-wide objects.
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
    /// Uid.
    #[serde(deserialize_with = "nullable")]
    pub uid: String,
    /// Resource version.
    #[serde(deserialize_with = "nullable")]
    pub resource_version: String,
    /// Counts changes of the spec.
    #[serde(deserialize_with = "nullable")]
    pub generation: i64,
    /// When it was created.
    pub creation_timestamp: Option<Timestamp>,
    /// When deletion was asked for (pods: when grace ends).
    pub deletion_timestamp: Option<Timestamp>,
    /// The grace that was given.
    pub deletion_grace_period_seconds: Option<i64>,
    /// Labels.
    #[serde(deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(deserialize_with = "nullable")]
    pub annotations: BTreeMap<String, String>,
    /// Finalizers.
    #[serde(deserialize_with = "nullable")]
    pub finalizers: Vec<String>,
    /// Owners.
    #[serde(deserialize_with = "nullable")]
    pub owner_references: Vec<Owner>,
}

/// An owner reference.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Owner {
    /// e.g. `batch/v1`.
    #[serde(deserialize_with = "nullable")]
    pub api_version: String,
    /// e.g. `Job`.
    #[serde(deserialize_with = "nullable")]
    pub kind: String,
    /// Name.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Uid.
    #[serde(deserialize_with = "nullable")]
    pub uid: String,
    /// Whether it is the managing one.
    #[serde(deserialize_with = "nullable")]
    pub controller: bool,
    /// Whether foreground deletion of the owner waits for this object.
    #[serde(deserialize_with = "nullable")]
    pub block_owner_deletion: bool,
}

/// A Job.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Job {
    /// Metadata.
    #[serde(deserialize_with = "nullable")]
    pub metadata: Shared<Meta>,
    /// What is asked for.
    #[serde(deserialize_with = "nullable")]
    pub spec: Shared<JobSpec>,
    /// What is.
    #[serde(deserialize_with = "nullable")]
    pub status: JobStatus,
}

/// What a Job asks for.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobSpec {
    /// Pods at once; defaulted to 1.
    pub parallelism: Option<i32>,
    /// Successes wanted; none for a work queue.
    pub completions: Option<i32>,
    /// Seconds from start to the deadline.
    pub active_deadline_seconds: Option<i64>,
    /// Failures allowed; defaulted to 6.
    pub backoff_limit: Option<i32>,
    /// `NonIndexed` or `Indexed`.
    pub completion_mode: Option<String>,
    /// Whether it is held.
    pub suspend: Option<bool>,
    /// Seconds to keep it after its end.
    pub ttl_seconds_after_finished: Option<i64>,
    /// Who manages it, if not the built-in controller.
    pub managed_by: Option<String>,
    /// `TerminatingOrFailed` or `Failed`.
    pub pod_replacement_policy: Option<String>,
    /// Failures allowed for each index; then that index has failed.
    pub backoff_limit_per_index: Option<i32>,
    /// Failed indexes allowed.
    pub max_failed_indexes: Option<i32>,
    /// What a failed pod means.
    pub pod_failure_policy: Option<PodFailurePolicy>,
    /// When an Indexed Job has enough.
    pub success_policy: Option<SuccessPolicy>,
    /// Which pods are its own.
    pub selector: Option<Selector>,
    /// The pods' template, as it stands: copied, never interpreted beyond `restartPolicy`.
    pub template: Template,
}

/// What a failed pod means: the first rule that matches it decides.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodFailurePolicy {
    /// In order.
    #[serde(deserialize_with = "nullable")]
    pub rules: Vec<PodFailureRule>,
}

/// One rule of a pod failure policy; it has exit codes or conditions.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodFailureRule {
    /// `FailJob`, `FailIndex`, `Ignore`, `Count`.
    #[serde(deserialize_with = "nullable")]
    pub action: String,
    /// The containers' exit codes that it is for.
    pub on_exit_codes: Option<OnExitCodes>,
    /// The pod's conditions that it is for; one is enough.
    #[serde(deserialize_with = "nullable")]
    pub on_pod_conditions: Vec<OnPodCondition>,
}

/// Exit codes that a rule is for; 0 never is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OnExitCodes {
    /// The only container that is looked at, if set.
    pub container_name: Option<String>,
    /// `In` or `NotIn`.
    #[serde(deserialize_with = "nullable")]
    pub operator: String,
    /// The codes.
    #[serde(deserialize_with = "nullable")]
    pub values: Vec<i32>,
}

/// A pod's condition that a rule is for.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct OnPodCondition {
    /// e.g. `DisruptionTarget`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Defaulted to `True`.
    #[serde(default = "yes")]
    pub status: String,
}

fn yes() -> String {
    "True".to_owned()
}

/// When an Indexed Job has enough: one rule that is met suffices.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SuccessPolicy {
    /// In order.
    #[serde(deserialize_with = "nullable")]
    pub rules: Vec<SuccessRule>,
}

/// One rule of a success policy.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SuccessRule {
    /// The indexes that matter, `0,2-4`; none for all.
    pub succeeded_indexes: Option<String>,
    /// How many of them suffice; none for all.
    pub succeeded_count: Option<i32>,
}

/// A label selector.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// All must be equal.
    #[serde(deserialize_with = "nullable")]
    pub match_labels: BTreeMap<String, String>,
    /// All must hold.
    #[serde(deserialize_with = "nullable")]
    pub match_expressions: Vec<Requirement>,
}

/// One requirement of a selector.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Requirement {
    /// The label.
    #[serde(deserialize_with = "nullable")]
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`.
    #[serde(deserialize_with = "nullable")]
    pub operator: String,
    /// For In and NotIn.
    #[serde(deserialize_with = "nullable")]
    pub values: Vec<String>,
}

/// The status of a Job. Written back whole; fields and conditions that it does not know are kept in `rest`.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobStatus {
    /// Conditions, also those of others.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// First (or resumed) start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// When it completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Timestamp>,
    /// Pods that are neither terminal nor being deleted.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_zero")]
    pub active: i32,
    /// Pods that succeeded.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_zero")]
    pub succeeded: i32,
    /// Pods that failed.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_zero")]
    pub failed: i32,
    /// Pods being deleted and not yet terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminating: Option<i32>,
    /// Active pods that are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<i32>,
    /// Indexes that are done, `1,3-5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_indexes: Option<String>,
    /// Indexes that failed for good, `1,3-5`; only with `backoffLimitPerIndex`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_indexes: Option<String>,
    /// Pods that ended and are not yet in the counters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncounted_terminated_pods: Option<Value>,
    /// What this view does not know.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

fn is_zero(n: &i32) -> bool {
    *n == 0
}

/// Kubernetes reads `null` as absent, and so do the views: one stray null must not hide an object from its controller.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A condition of a Job.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// e.g. `Complete`.
    #[serde(deserialize_with = "nullable", rename = "type")]
    pub kind: String,
    /// `True`, `False`, `Unknown`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    /// When it was last looked at; written as null where nobody said, as upstream does.
    pub last_probe_time: Option<Timestamp>,
    /// When it last changed.
    pub last_transition_time: Option<Timestamp>,
    /// For machines.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For people.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What this view does not know.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// A pod.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Metadata.
    #[serde(deserialize_with = "nullable")]
    pub metadata: Shared<Meta>,
    /// What of its spec matters here.
    #[serde(deserialize_with = "nullable")]
    pub spec: Shared<PodSpec>,
    /// What is.
    #[serde(deserialize_with = "nullable")]
    pub status: PodStatus,
}

/// What of a pod's spec matters to controllers.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Where it runs; empty until scheduled.
    #[serde(deserialize_with = "nullable")]
    pub node_name: String,
    /// `Never` or `OnFailure` for pods of Jobs.
    #[serde(deserialize_with = "nullable")]
    pub restart_policy: String,
    /// What selects the way it is run.
    pub runtime_class_name: Option<String>,
    /// Deletion grace.
    pub termination_grace_period_seconds: Option<i64>,
    /// What must be gone before it is scheduled.
    #[serde(deserialize_with = "nullable")]
    pub scheduling_gates: Vec<Value>,
    /// The names of its init containers that go on beside the others.
    #[serde(rename = "initContainers", deserialize_with = "restartable")]
    pub sidecars: Vec<String>,
}

/// Of init containers the names of those that are started again whenever they end.
fn restartable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct InitContainer {
        #[serde(deserialize_with = "nullable")]
        name: String,
        restart_policy: Option<String>,
    }
    let all: Vec<InitContainer> = nullable(deserializer)?;
    let kept = all.into_iter().filter(|container| container.restart_policy.as_deref() == Some("Always"));
    Ok(kept.map(|container| container.name).collect())
}

/// What of a pod's status matters to controllers.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed`.
    #[serde(deserialize_with = "nullable")]
    pub phase: String,
    /// Conditions.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<PodCondition>,
    /// App containers.
    #[serde(deserialize_with = "nullable")]
    pub container_statuses: Vec<ContainerStatus>,
    /// Init containers.
    #[serde(deserialize_with = "nullable")]
    pub init_container_statuses: Vec<ContainerStatus>,
}

/// A pod's condition.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodCondition {
    /// e.g. `Ready`.
    #[serde(deserialize_with = "nullable", rename = "type")]
    pub kind: String,
    /// `True`, `False`, `Unknown`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    /// When it last changed.
    pub last_transition_time: Option<Timestamp>,
}

/// A container's status.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// The container.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// How often it was restarted in place.
    #[serde(deserialize_with = "nullable")]
    pub restart_count: i32,
    /// Its state.
    #[serde(deserialize_with = "nullable")]
    pub state: ContainerState,
}

/// A container's state.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// It ended.
    pub terminated: Option<Terminated>,
}

/// How a container ended.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// Its exit code.
    #[serde(deserialize_with = "nullable")]
    pub exit_code: i32,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests;
