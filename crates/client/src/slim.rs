//! Jobs and pods without what no status is made of: pod templates, managed fields, other people's annotations. A
//! listing of thousands reads and keeps a tenth of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::{
    Container, Pod, PodSpec, PodStatus, PodTemplateSpec, Probe, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference, Time};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::watch::Object;

/// A Job, as far as [`windlass_manifest::observe`] looks at it.
#[derive(Clone, Debug)]
pub(crate) struct SlimJob(pub(crate) Job);

/// The same while nobody looks at it: a seventh of the memory of a [`Job`], most of whose fields are for others.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LeanJob {
    metadata: Option<Meta>,
    spec: Option<SpecOfJob>,
    status: Option<JobStatus>,
}

/// A pod, as far as [`windlass_manifest::observe`] looks at it.
#[derive(Clone, Debug)]
pub(crate) struct SlimPod(pub(crate) Pod);

impl Object for SlimJob {
    fn meta(&self) -> &ObjectMeta {
        &self.0.metadata
    }
}

impl Object for SlimPod {
    fn meta(&self) -> &ObjectMeta {
        &self.0.metadata
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    #[serde(deserialize_with = "marks")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(deserialize_with = "marks")]
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
}

impl From<Meta> for ObjectMeta {
    fn from(meta: Meta) -> Self {
        ObjectMeta {
            name: meta.name,
            namespace: meta.namespace,
            uid: meta.uid,
            resource_version: meta.resource_version,
            creation_timestamp: meta.creation_timestamp,
            deletion_timestamp: meta.deletion_timestamp,
            labels: meta.labels,
            annotations: meta.annotations,
            owner_references: meta.owner_references,
            ..ObjectMeta::default()
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SpecOfJob {
    active_deadline_seconds: Option<i64>,
    backoff_limit: Option<i32>,
    completion_mode: Option<String>,
    completions: Option<i32>,
    managed_by: Option<String>,
    parallelism: Option<i32>,
    selector: Option<LabelSelector>,
    suspend: Option<bool>,
    ttl_seconds_after_finished: Option<i32>,
    template: Option<Template>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Template {
    spec: Option<SpecOfTemplate>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SpecOfTemplate {
    node_name: Option<String>,
    restart_policy: Option<String>,
    runtime_class_name: Option<String>,
}

impl From<SpecOfTemplate> for PodSpec {
    fn from(spec: SpecOfTemplate) -> Self {
        let SpecOfTemplate { node_name, restart_policy, runtime_class_name } = spec;
        PodSpec { node_name, restart_policy, runtime_class_name, ..PodSpec::default() }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SpecOfPod {
    node_name: Option<String>,
    restart_policy: Option<String>,
    runtime_class_name: Option<String>,
    containers: Option<Vec<SpecOfContainer>>,
    init_containers: Option<Vec<SpecOfContainer>>,
}

/// A template's containers say nothing of a job's status; its pods' say what they wait for room for, what they were ended
/// for, and which of them run beside the command.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SpecOfContainer {
    name: Option<String>,
    resources: Option<SpecOfResources>,
    restart_policy: Option<String>,
    startup_probe: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SpecOfResources {
    limits: Option<BTreeMap<String, Quantity>>,
    requests: Option<BTreeMap<String, Quantity>>,
}

impl From<SpecOfPod> for PodSpec {
    fn from(spec: SpecOfPod) -> Self {
        let SpecOfPod { node_name, restart_policy, runtime_class_name, containers, init_containers } = spec;
        let all = |list: Vec<SpecOfContainer>| list.into_iter().map(Container::from).collect();
        let containers = containers.map(all).unwrap_or_default();
        let init_containers = init_containers.map(all);
        PodSpec {
            node_name,
            restart_policy,
            runtime_class_name,
            containers,
            init_containers,
            ..PodSpec::default()
        }
    }
}

impl From<SpecOfContainer> for Container {
    fn from(container: SpecOfContainer) -> Self {
        let SpecOfContainer { name, resources, restart_policy, startup_probe } = container;
        let resources = resources.map(|SpecOfResources { limits, requests }| ResourceRequirements {
            limits,
            requests,
            ..ResourceRequirements::default()
        });
        let startup_probe = startup_probe.map(|_| Probe::default());
        let name = name.unwrap_or_default();
        Container { name, resources, restart_policy, startup_probe, ..Container::default() }
    }
}

impl From<SpecOfJob> for JobSpec {
    fn from(spec: SpecOfJob) -> Self {
        JobSpec {
            active_deadline_seconds: spec.active_deadline_seconds,
            backoff_limit: spec.backoff_limit,
            completion_mode: spec.completion_mode,
            completions: spec.completions,
            managed_by: spec.managed_by,
            parallelism: spec.parallelism,
            selector: spec.selector,
            suspend: spec.suspend,
            ttl_seconds_after_finished: spec.ttl_seconds_after_finished,
            template: PodTemplateSpec {
                metadata: None,
                spec: spec.template.and_then(|template| template.spec).map(Into::into),
            },
            ..JobSpec::default()
        }
    }
}

impl From<LeanJob> for Job {
    fn from(LeanJob { metadata, spec, status }: LeanJob) -> Self {
        Job { metadata: metadata.unwrap_or_default().into(), spec: spec.map(Into::into), status }
    }
}

impl<'de> Deserialize<'de> for SlimJob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        LeanJob::deserialize(deserializer).map(|job| SlimJob(job.into()))
    }
}

impl<'de> Deserialize<'de> for SlimPod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Wire {
            metadata: Option<Meta>,
            spec: Option<SpecOfPod>,
            status: Option<PodStatus>,
        }
        let Wire { metadata, spec, status } = Wire::deserialize(deserializer)?;
        Ok(SlimPod(Pod { metadata: metadata.unwrap_or_default().into(), spec: spec.map(Into::into), status }))
    }
}

/// How the keys begin that say something of a job.
const KEPT: [&str; 4] =
    ["windlass.dev/", "batch.kubernetes.io/", "kueue.x-k8s.io/", windlass_manifest::marks::USAGE];

/// The labels or annotations that say something of a job: ours, those of the Job controller and of Kueue.
fn marks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    struct Marks;

    impl<'de> Visitor<'de> for Marks {
        type Value = Option<BTreeMap<String, String>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map of strings")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut kept = BTreeMap::new();
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                if KEPT.iter().any(|prefix| key.starts_with(prefix)) {
                    kept.insert(key.into_owned(), map.next_value()?);
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(Some(kept).filter(|kept| !kept.is_empty()))
        }
    }

    deserializer.deserialize_any(Marks)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windlass_manifest::{Seen, observe};

    use super::*;

    /// Everything that a status is made of, in all its shapes.
    fn jobs() -> Vec<serde_json::Value> {
        let status = [
            json!({}),
            json!({ "startTime": "2026-11-20T10:00:00Z", "active": 1, "ready": 0 }),
            json!({ "startTime": "2026-11-20T10:00:00Z", "failed": 2, "failedIndexes": "1", "conditions": [
                { "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "x",
                  "lastTransitionTime": "2026-11-20T10:01:00Z" }] }),
            json!({ "succeeded": 1, "completionTime": "2026-11-20T10:01:00Z", "conditions": [
                { "type": "Complete", "status": "True" }] }),
            json!({ "failed": 1, "conditions": [{ "type": "Failed", "status": "True", "reason": "DeadlineExceeded" }] }),
        ];
        let specs = [
            json!({ "suspend": true, "parallelism": 0, "activeDeadlineSeconds": 1 }),
            json!({ "managedBy": "kueue.x-k8s.io/multikueue", "completions": 3, "completionMode": "Indexed" }),
            json!({ "backoffLimit": 2, "activeDeadlineSeconds": 5, "maxFailedIndexes": 1, "backoffLimitPerIndex": 1, "ttlSecondsAfterFinished": 60 }),
        ];
        let mut jobs = Vec::new();
        for status in status {
            for spec in &specs {
                let mut job = json!({
                    "metadata": { "name": "train", "namespace": "lab", "uid": "j1", "resourceVersion": "7",
                        "creationTimestamp": "2026-11-20T09:00:00Z", "managedFields": [{ "manager": "x" }],
                        "labels": { "windlass.dev/submission": "s", "app": "x" },
                        "annotations": { "windlass.dev/submitted": "2026-11-20T08:59:59Z", "note": "x",
                            "windlass.dev/cancel": "{\"who\":\"me\",\"when\":\"2026-11-20T09:30:00Z\"}" } },
                    "spec": spec,
                    "status": status,
                });
                job["spec"]["template"] = json!({ "spec": { "runtimeClassName": "windlass-host",
                    "restartPolicy": "Never", "containers": [{ "name": "main", "image": "host" }] } });
                jobs.push(job);
            }
        }
        jobs
    }

    fn pod() -> serde_json::Value {
        json!({ "metadata": { "name": "train-0", "uid": "p", "labels": { "batch.kubernetes.io/job-completion-index": "0" },
                "annotations": { "usage.windlass.dev/main": "cpu=1.234s,memory=12Mi", "note": "x" },
                "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "j1", "controller": true }] },
            "spec": { "nodeName": "n", "containers": [{ "name": "main" }] },
            "status": { "phase": "Failed", "containerStatuses": [{ "name": "main", "image": "", "imageID": "",
                "ready": false, "restartCount": 0, "state": { "terminated": { "exitCode": 127, "reason": "StartError" } } }] } })
    }

    /// One for which there is no room.
    fn waiting_pod() -> serde_json::Value {
        let message = "0/1 nodes are available: 1 Insufficient cpu.";
        json!({ "metadata": { "name": "train-1", "uid": "q",
                "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "j1", "controller": true }] },
            "spec": { "containers": [{ "name": "main", "image": "i", "resources": { "requests": { "cpu": "1" }, "limits": { "cpu": "2" } } }] },
            "status": { "phase": "Pending", "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message }] } })
    }

    /// One that was killed beside a sidecar, for more than its memory.
    fn killed_pod() -> serde_json::Value {
        let container = |name: &str| json!({ "name": name, "image": "i", "resources": { "limits": { "memory": "64Mi" } } });
        let mut sidecar = container("beside");
        sidecar["restartPolicy"] = json!("Always");
        sidecar["startupProbe"] = json!({ "exec": { "command": ["true"] } });
        json!({ "metadata": { "name": "train-2", "uid": "r",
                "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "j1", "controller": true }] },
            "spec": { "containers": [container("main")], "initContainers": [sidecar] },
            "status": { "phase": "Failed", "containerStatuses": [{ "name": "main", "image": "", "imageID": "",
                "ready": false, "restartCount": 0, "state": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } } }] } })
    }

    #[test]
    fn a_status_is_the_same_without_what_is_left_out() {
        let all = [pod(), waiting_pod(), killed_pod()];
        let slim_pod = all.clone().map(|pod| serde_json::from_value::<SlimPod>(pod).unwrap().0);
        let pods = all.map(|pod| serde_json::from_value::<Pod>(pod).unwrap());
        let every = jobs().into_iter().flat_map(|job| (0..3).map(move |at| (job.clone(), at)));
        for (value, at) in every {
            let (slim_pod, pods) = ([slim_pod[at].clone()], [pods[at].clone()]);
            let whole: Job = serde_json::from_value(value.clone()).unwrap();
            let SlimJob(slim) = serde_json::from_value(value.clone()).unwrap();
            let seen = |job, pods| observe(job, pods, Seen::Forbidden);
            assert_eq!(seen(&slim, Seen::NotAsked), seen(&whole, Seen::NotAsked), "{value}");
            assert_eq!(seen(&slim, Seen::All(&slim_pod)), seen(&whole, Seen::All(&pods)), "{value}");
        }
    }

    #[test]
    fn foreign_marks_and_templates_are_left_out() {
        let SlimJob(job) = serde_json::from_value(jobs()[0].clone()).unwrap();
        assert_eq!(job.metadata.labels.unwrap().len(), 1);
        assert_eq!(job.metadata.annotations.unwrap().len(), 2);
        assert!(job.spec.unwrap().template.spec.unwrap().containers.is_empty());
    }

    #[test]
    fn strange_objects_are_read_too() {
        for text in [
            "{}",
            r#"{"metadata":{"labels":null},"spec":{}}"#,
            r#"{"metadata":null,"spec":{"template":null,"containers":[{"name":null}]},"status":null}"#,
        ] {
            assert!(serde_json::from_str::<SlimJob>(text).is_ok(), "{text}");
            assert!(serde_json::from_str::<SlimPod>(text).is_ok(), "{text}");
        }
    }
}
