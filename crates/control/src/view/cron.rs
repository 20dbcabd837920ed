//! Typed views of a CronJob.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Meta, Shared, Template, nullable};

/// A CronJob.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CronJob {
    /// Metadata.
    #[serde(deserialize_with = "nullable")]
    pub metadata: Shared<Meta>,
    /// What is asked for.
    #[serde(deserialize_with = "nullable")]
    pub spec: Shared<CronJobSpec>,
    /// What is.
    #[serde(deserialize_with = "nullable")]
    pub status: CronJobStatus,
}

/// What a CronJob asks for.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CronJobSpec {
    /// When it is due; older objects may have their zone in front.
    #[serde(deserialize_with = "nullable")]
    pub schedule: String,
    /// The zone of the schedule.
    pub time_zone: Option<String>,
    /// Seconds after which a time that was missed is given up.
    pub starting_deadline_seconds: Option<i64>,
    /// `Allow`, `Forbid` or `Replace`: what a Job that still runs means to the next.
    #[serde(deserialize_with = "nullable")]
    pub concurrency_policy: String,
    /// Whether it starts nothing for now.
    pub suspend: Option<bool>,
    /// Succeeded Jobs that are kept; defaulted to 3.
    pub successful_jobs_history_limit: Option<i32>,
    /// Failed Jobs that are kept; defaulted to 1.
    pub failed_jobs_history_limit: Option<i32>,
    /// The Jobs' template, as it stands.
    pub job_template: Template,
}

/// The status of a CronJob. Written back whole; what it does not know is kept in `rest`.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CronJobStatus {
    /// The Jobs that it started and that have not ended.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<Reference>,
    /// The time for which it started a Job last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Timestamp>,
    /// When a Job of it last completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<Timestamp>,
    /// What this view does not know.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// A reference to an object.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Reference {
    /// e.g. `Job`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Its namespace.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its uid.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// e.g. `batch/v1`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The version that was referred to; empty where it was not known yet.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// What this view does not know.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}
