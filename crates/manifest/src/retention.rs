//! When a finished job may be deleted: decided from the Job itself, a period, and the time.
//!
//! The annotation `job_deletion_time_unix_sec` (seconds since 1970) says it if it is there; people may change it by
//! hand. Otherwise it is the period after the job's end. A job that has not ended is never due.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

use crate::formats::definition::DELETION_TIME;
use crate::{Seen, observe};

/// What is to become of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has not ended.
    Runs,
    /// It is being deleted already.
    Going,
    /// It has ended, and nothing says until when it is kept: by the period until then, in seconds since 1970.
    Unmarked(i64),
    /// It is kept until then, in seconds since 1970: its annotation says so.
    Kept(i64),
    /// The time that its annotation says is over.
    Due,
    /// Its annotation is no number of seconds.
    Unreadable(String),
}

/// The fate of a job. The period counts from its end; from now if the Job does not tell when it ended.
pub fn fate(job: &Job, period: Duration, now: Timestamp) -> Fate {
    if job.metadata.deletion_timestamp.is_some() {
        return Fate::Going;
    }
    let status = observe(job, Seen::NotAsked, Seen::NotAsked);
    if !status.phase.is_final() {
        return Fate::Runs;
    }
    let mark = job.metadata.annotations.as_ref().and_then(|marks| marks.get(DELETION_TIME));
    if let Some(text) = mark {
        return match text.trim().parse::<i64>() {
            Ok(time) if time <= now.as_second() => Fate::Due,
            Ok(time) => Fate::Kept(time),
            Err(_) => Fate::Unreadable(text.clone()),
        };
    }
    let end = status.times.finished.unwrap_or(now).as_second();
    Fate::Unmarked(end.saturating_add(i64::try_from(period.as_secs()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(mark: Option<&str>, status: &Value) -> Job {
        let mut job = json!({ "metadata": { "name": "a" }, "status": status });
        if let Some(mark) = mark {
            job["metadata"]["annotations"] = json!({ DELETION_TIME: mark });
        }
        serde_json::from_value(job).unwrap()
    }

    fn ended() -> Value {
        json!({ "completionTime": "1970-01-01T00:01:40Z",
            "conditions": [{ "type": "Complete", "status": "True", "lastTransitionTime": "1970-01-01T00:01:40Z" }] })
    }

    fn failed() -> Value {
        json!({ "conditions": [{ "type": "Failed", "status": "True", "lastTransitionTime": "1970-01-01T00:01:30Z" }] })
    }

    #[test]
    fn a_job_is_kept_for_the_period_after_its_end_or_as_its_annotation_says() {
        let now = Timestamp::from_second(1000).unwrap();
        for (mark, status, expected) in [
            (None, json!({}), Fate::Runs),
            (Some("1"), json!({ "active": 1 }), Fate::Runs),
            (None, json!({ "conditions": [{ "type": "Complete", "status": "False" }] }), Fate::Runs),
            (None, ended(), Fate::Unmarked(160)),
            (None, failed(), Fate::Unmarked(150)),
            (None, json!({ "conditions": [{ "type": "Failed", "status": "True" }] }), Fate::Unmarked(1060)),
            (Some("1000"), ended(), Fate::Due),
            (Some(" 999 "), ended(), Fate::Due),
            (Some("-5"), ended(), Fate::Due),
            (Some("1001"), ended(), Fate::Kept(1001)),
            (Some("tomorrow"), ended(), Fate::Unreadable("tomorrow".to_owned())),
            (Some("1e3"), failed(), Fate::Unreadable("1e3".to_owned())),
            (Some("99999999999999999999"), failed(), Fate::Unreadable("99999999999999999999".to_owned())),
        ] {
            let job = job(mark, &status);
            assert_eq!(fate(&job, Duration::from_secs(60), now), expected, "{job:?}");
        }
    }

    #[test]
    fn a_job_that_is_being_deleted_is_left_alone() {
        let mut job = job(Some("1"), &ended());
        job.metadata.deletion_timestamp = serde_json::from_value(json!("1970-01-01T00:10:00Z")).unwrap();
        assert_eq!(fate(&job, Duration::ZERO, Timestamp::from_second(1000).unwrap()), Fate::Going);
    }
}
