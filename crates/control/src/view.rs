//! Typed views of what the controllers read. Only for reading: objects are JSON, and what no view names is never lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `metadata` of any object.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Name.
    pub name: String,
    /// Namespace; empty for cluster-wide objects.
    pub namespace: String,
    /// Uid.
    pub uid: String,
    /// Resource version.
    pub resource_version: String,
    /// Counts changes of the spec.
    pub generation: i64,
    /// When it was created.
    pub creation_timestamp: Option<Timestamp>,
    /// When deletion was asked for (pods: when grace ends).
    pub deletion_timestamp: Option<Timestamp>,
    /// The grace that was given.
    pub deletion_grace_period_seconds: Option<i64>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Finalizers.
    pub finalizers: Vec<String>,
    /// Owners.
    pub owner_references: Vec<Owner>,
}

/// An owner reference.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Owner {
    /// e.g. `batch/v1`.
    pub api_version: String,
    /// e.g. `Job`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Whether it is the managing one.
    pub controller: bool,
    /// Whether foreground deletion of the owner waits for this object.
    pub block_owner_deletion: bool,
}

/// A Job.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Job {
    /// Metadata.
    pub metadata: Meta,
    /// What is asked for.
    pub spec: JobSpec,
    /// What is.
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
    pub template: Arc<Value>,
}

/// What a failed pod means: the first rule that matches it decides.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodFailurePolicy {
    /// In order.
    pub rules: Vec<PodFailureRule>,
}

/// One rule of a pod failure policy; it has exit codes or conditions.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodFailureRule {
    /// `FailJob`, `FailIndex`, `Ignore`, `Count`.
    pub action: String,
    /// The containers' exit codes that it is for.
    pub on_exit_codes: Option<OnExitCodes>,
    /// The pod's conditions that it is for; one is enough.
    pub on_pod_conditions: Vec<OnPodCondition>,
}

/// Exit codes that a rule is for; 0 never is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OnExitCodes {
    /// The only container that is looked at, if set.
    pub container_name: Option<String>,
    /// `In` or `NotIn`.
    pub operator: String,
    /// The codes.
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
    pub match_labels: BTreeMap<String, String>,
    /// All must hold.
    pub match_expressions: Vec<Requirement>,
}

/// One requirement of a selector.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`.
    pub operator: String,
    /// For In and NotIn.
    pub values: Vec<String>,
}

/// The status of a Job. Written back whole; fields and conditions that it does not know are kept in `rest`.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobStatus {
    /// Conditions, also those of others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// First (or resumed) start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// When it completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Timestamp>,
    /// Pods that are neither terminal nor being deleted.
    #[serde(skip_serializing_if = "is_zero")]
    pub active: i32,
    /// Pods that succeeded.
    #[serde(skip_serializing_if = "is_zero")]
    pub succeeded: i32,
    /// Pods that failed.
    #[serde(skip_serializing_if = "is_zero")]
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

/// A condition of a Job.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// e.g. `Complete`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False`, `Unknown`.
    pub status: String,
    /// When it was last looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_probe_time: Option<Timestamp>,
    /// When it last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Timestamp>,
    /// For machines.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
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
    pub metadata: Meta,
    /// What of its spec matters here.
    pub spec: PodSpec,
    /// What is.
    pub status: PodStatus,
}

/// What of a pod's spec matters to controllers.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Where it runs; empty until scheduled.
    pub node_name: String,
    /// `Never` or `OnFailure` for pods of Jobs.
    pub restart_policy: String,
    /// What selects the way it is run.
    pub runtime_class_name: Option<String>,
    /// Deletion grace.
    pub termination_grace_period_seconds: Option<i64>,
    /// What must be gone before it is scheduled.
    pub scheduling_gates: Vec<Value>,
}

/// What of a pod's status matters to controllers.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed`.
    pub phase: String,
    /// Conditions.
    pub conditions: Vec<PodCondition>,
    /// App containers.
    pub container_statuses: Vec<ContainerStatus>,
    /// Init containers.
    pub init_container_statuses: Vec<ContainerStatus>,
}

/// A pod's condition.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodCondition {
    /// e.g. `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False`, `Unknown`.
    pub status: String,
    /// When it last changed.
    pub last_transition_time: Option<Timestamp>,
}

/// A container's status.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// The container.
    pub name: String,
    /// How often it was restarted in place.
    pub restart_count: i32,
    /// Its state.
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
    pub exit_code: i32,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}
