//! What a cluster is like for whoever asks, without a job: version, clock, rights, quotas.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::Value;
use windlass_manifest::plan::filled;

use super::room::no_quotas;
use super::{Check, RIGHTS, Standing};
use crate::transport::Call;
use crate::{JobManager, Result};

/// What a cluster says of itself.
#[derive(Clone, Debug)]
pub struct ClusterFacts {
    /// `v1.36.3`.
    pub version: String,
    /// How far its clock is before ours, seconds; negative: behind. `None`: it does not say.
    pub skew_s: Option<i64>,
}

impl JobManager {
    /// Its version and its clock.
    ///
    /// # Errors
    /// What every call may answer.
    pub async fn facts(&self) -> Result<ClusterFacts> {
        let before = self.world.now();
        let (headers, body) =
            self.ask_bytes(&Call::get("/version")).await.map_err(|fault| self.error("", fault))?;
        let after = self.world.now();
        let version: Value = serde_json::from_slice(&body).unwrap_or_default();
        let date = headers.get(http::header::DATE).and_then(|date| date.to_str().ok());
        let there = date.and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
        Ok(ClusterFacts {
            version: version["gitVersion"].as_str().unwrap_or("of an unknown version").to_owned(),
            skew_s: there.map(|there| skew(there, before, after)),
        })
    }

    /// Namespace, rights and quotas of whoever asks.
    pub async fn checkup(&self) -> Vec<Check> {
        let mut checks = vec![self.namespace_check().await];
        for right in RIGHTS {
            checks.extend(self.right_check(right).await);
        }
        match self.all_of::<Value>(&self.core_path("resourcequotas"), None, |_| true).await {
            Ok(list) if list.items.is_empty() => {
                checks.push(Check::new("quota", Standing::Ok, "there is none"));
            }
            Ok(list) => checks.extend(list.items.iter().map(|quota| {
                let what = format!("quota {}", quota["metadata"]["name"].as_str().unwrap_or_default());
                match filled(quota) {
                    Some(why) => {
                        Check::new(what, Standing::Problem, format!("{why}; delete jobs, or ask for more"))
                    }
                    None => Check::new(what, Standing::Ok, "has room"),
                }
            })),
            Err(fault) => checks.push(no_quotas(&fault)),
        }
        checks
    }
}

/// The header has whole seconds, and was written somewhen between question and answer: what lies within is no difference.
fn skew(there: Timestamp, before: Timestamp, after: Timestamp) -> i64 {
    let (there, before, after) = (there.as_second(), before.as_second(), after.as_second());
    match there {
        there if there + 1 < before => there + 1 - before,
        there if there > after => there - after,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::skew;

    #[test]
    fn a_clock_differs_only_by_what_cannot_be_the_way() {
        let at = |text: &str| format!("2026-01-01T{text}Z").parse().unwrap();
        assert_eq!(skew(at("12:00:00"), at("12:00:00.9"), at("12:00:01.2")), 0);
        assert_eq!(skew(at("12:05:00"), at("12:00:00"), at("12:00:02")), 298);
        assert_eq!(skew(at("11:00:00"), at("12:00:00"), at("12:00:02")), -3599);
    }
}
