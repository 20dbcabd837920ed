//! What controllers read of an object. What a version shares with the one before is not read again.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::value::MapDeserializer;
use serde_json::Value;
use windlass_apiserver::kind::Kind;
use windlass_apiserver::registry::Object;
use windlass_control::view::{
    CronJob, CronJobSpec, CronJobStatus, Job, JobSpec, JobStatus, Meta, Pod, PodSpec, PodStatus, Template,
};

use crate::cache::Held;

/// What controllers read of an object. Cheap to clone.
#[derive(Clone)]
pub(crate) enum View {
    Job(Arc<Job>),
    Pod(Arc<Pod>),
    Cron(Arc<CronJob>),
    Other(Arc<Meta>),
}

impl View {
    pub(crate) fn meta(&self) -> &Meta {
        match self {
            View::Job(job) => &job.metadata,
            View::Pod(pod) => &pod.metadata,
            View::Cron(cron) => &cron.metadata,
            View::Other(meta) => meta,
        }
    }
}

/// Reads an object as controllers see it; `before` is an earlier version of it. A stored object always reads:
/// validation saw to it.
pub(crate) fn view(kind: &Kind, object: &Object, before: Option<&Held>) -> View {
    let [metadata, spec, status] = before.map_or([false; 3], |held| object.shares(&held.object));
    match (kind.kind, before.map(|held| &held.view)) {
        ("Pod", Some(View::Pod(pod))) if metadata || spec || status => View::Pod(Arc::new(Pod {
            metadata: if metadata { pod.metadata.clone() } else { meta(object).into() },
            spec: if spec { pod.spec.clone() } else { pod_spec(object).into() },
            status: if status { pod.status.clone() } else { pod_status(object) },
        })),
        ("Pod", _) => View::Pod(Arc::new(Pod {
            metadata: meta(object).into(),
            spec: pod_spec(object).into(),
            status: pod_status(object),
        })),
        ("Job", Some(View::Job(job))) if metadata || spec || status => View::Job(Arc::new(Job {
            metadata: if metadata { job.metadata.clone() } else { meta(object).into() },
            spec: if spec { job.spec.clone() } else { job_spec(object).into() },
            status: if status { job.status.clone() } else { job_status(object) },
        })),
        ("Job", _) => View::Job(Arc::new(Job {
            metadata: meta(object).into(),
            spec: job_spec(object).into(),
            status: job_status(object),
        })),
        ("CronJob", Some(View::Cron(cron))) if metadata || spec || status => View::Cron(Arc::new(CronJob {
            metadata: if metadata { cron.metadata.clone() } else { meta(object).into() },
            spec: if spec { cron.spec.clone() } else { cron_spec(object).into() },
            status: if status { cron.status.clone() } else { cron_status(object) },
        })),
        ("CronJob", _) => View::Cron(Arc::new(CronJob {
            metadata: meta(object).into(),
            spec: cron_spec(object).into(),
            status: cron_status(object),
        })),
        (_, Some(View::Other(known))) if metadata => View::Other(known.clone()),
        _ => View::Other(Arc::new(meta(object))),
    }
}

fn meta(object: &Object) -> Meta {
    Meta::deserialize(object.metadata()).unwrap_or_default()
}

fn pod_spec(object: &Object) -> PodSpec {
    PodSpec::deserialize(object.spec()).unwrap_or_default()
}

fn pod_status(object: &Object) -> PodStatus {
    PodStatus::deserialize(object.status()).unwrap_or_default()
}

fn job_spec(object: &Object) -> JobSpec {
    let spec: JobSpec = without(object, "template");
    JobSpec { template: Template::of(object.shared_spec(), "template"), ..spec }
}

fn job_status(object: &Object) -> JobStatus {
    JobStatus::deserialize(object.status()).unwrap_or_default()
}

fn cron_spec(object: &Object) -> CronJobSpec {
    let spec: CronJobSpec = without(object, "jobTemplate");
    CronJobSpec { job_template: Template::of(object.shared_spec(), "jobTemplate"), ..spec }
}

fn cron_status(object: &Object) -> CronJobStatus {
    CronJobStatus::deserialize(object.status()).unwrap_or_default()
}

/// Reads a spec but for its template, which the view shares with the object.
fn without<T: Default + for<'a> Deserialize<'a>>(object: &Object, template: &str) -> T {
    if let Some(spec) = object.shared_spec().read_but(template) {
        return T::deserialize(spec).unwrap_or_default();
    }
    let Value::Object(fields) = object.spec() else { return T::default() };
    let fields = fields.iter().filter(|(name, _)| *name != template);
    let fields = MapDeserializer::<_, serde_json::Error>::new(fields.map(|(name, value)| (&**name, value)));
    T::deserialize(fields).unwrap_or_default()
}
