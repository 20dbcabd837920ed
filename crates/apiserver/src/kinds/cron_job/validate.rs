//! What a CronJob's spec may say. Source: upstream pkg/apis/batch/validation/validation.go.

use serde_json::Value;
use windlass_schedule::{Schedule, is_zone_part, split_zone};

use crate::field::{Errors, FieldError};
use crate::kinds::job::validate as job;
use crate::kinds::json::{flag, is_set, text};
use crate::kinds::pod::fate;
use crate::kinds::rules::{at, choice, not_negative, required};
use crate::zones;

/// Its jobs' names are eleven characters longer, and have to be labels.
const NAME_MAX: usize = 52;
/// Where its pods are described.
const TEMPLATE: &str = "spec.jobTemplate.spec.template";

/// Every problem of a new CronJob.
pub(super) fn validate(cron: &Value) -> Errors {
    let mut errors = Errors::new();
    fate::misplaced(&mut errors, cron, "", TEMPLATE);
    spec(&mut errors, &cron["spec"], None);
    let name = text(&cron["metadata"], "name");
    if name.len() > NAME_MAX {
        errors.push(FieldError::invalid("metadata.name", name, "must be no more than 52 characters"));
    }
    errors
}

/// Every problem of a change. Its status is not looked at, and a name that was once taken is not refused.
pub(super) fn validate_update(new: &Value, old: &Value, of_status: bool) -> Errors {
    let mut errors = Errors::new();
    if !of_status {
        fate::misplaced(&mut errors, new, "", TEMPLATE);
        spec(&mut errors, &new["spec"], Some(&old["spec"]));
    }
    errors
}

/// Warnings for the writer.
pub(super) fn warnings(cron: &Value) -> Vec<String> {
    let spec = &cron["spec"];
    let mut warnings = job::name_warnings(cron);
    warnings.extend(job::spec_warnings(&spec["jobTemplate"]["spec"], "spec.jobTemplate.spec"));
    if text(spec, "schedule").contains("TZ") {
        // The path is upstream's.
        warnings.push(
            "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
                .to_owned(),
        );
    }
    warnings
}

fn spec(errors: &mut Errors, spec: &Value, old: Option<&Value>) {
    let path = "spec";
    if text(spec, "schedule").is_empty() {
        required(errors, spec, path, "schedule");
    } else {
        let had_zone = old.is_some_and(|old| text(old, "schedule").contains("TZ"));
        schedule(errors, spec, had_zone);
    }
    not_negative(errors, spec, path, &["startingDeadlineSeconds"]);
    if old.is_none_or(|old| old["timeZone"] != spec["timeZone"]) && is_set(spec, "timeZone") {
        time_zone(errors, text(spec, "timeZone"));
    }
    choice(errors, spec, path, "concurrencyPolicy", &["Allow", "Forbid", "Replace"]);
    fate::misplaced(errors, &spec["jobTemplate"], "spec.jobTemplate", TEMPLATE);
    job_spec(errors, &spec["jobTemplate"]["spec"]);
    not_negative(errors, spec, path, &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"]);
}

/// Zones in schedules are refused but where one was before there was a field for them.
fn schedule(errors: &mut Errors, spec: &Value, had_zone: bool) {
    let text = text(spec, "schedule");
    let mut refuse = |detail: String| errors.push(FieldError::invalid("spec.schedule", text, detail));
    if let Err(detail) = read(text) {
        refuse(detail);
    }
    if text.contains("TZ") {
        match had_zone {
            true if is_set(spec, "timeZone") => {
                refuse("cannot use both timeZone field and TZ or CRON_TZ in schedule".to_owned());
            }
            true => {}
            false => {
                refuse("cannot use TZ or CRON_TZ in schedule, use timeZone field instead".to_owned());
            }
        }
    }
}

/// Reads a schedule with the zone in front that it may have.
fn read(text: &str) -> Result<Schedule, String> {
    let (zone, schedule) = split_zone(text).map_err(|fault| fault.to_string())?;
    if let Some(zone) = zone {
        zones::load(zone).map_err(|why| format!("provided bad location {zone}: {why}"))?;
    }
    Schedule::read(schedule).map_err(|fault| fault.to_string())
}

fn time_zone(errors: &mut Errors, name: &str) {
    let path = "spec.timeZone";
    let mut refuse = |detail: String| errors.push(FieldError::invalid(path, name, detail));
    if name.is_empty() {
        refuse("timeZone must be nil or non-empty string".to_owned());
        return;
    }
    if !name.split('/').all(is_zone_part) {
        refuse(format!("unknown time zone {name}"));
        return;
    }
    if name.eq_ignore_ascii_case("local") {
        refuse(
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones".to_owned(),
        );
        // Go knows the machine's own zone by this name, in this spelling.
        if name == "Local" {
            return;
        }
    }
    if let Err(why) = zones::load(name) {
        refuse(why.to_string());
    }
}

/// The jobs' selectors are always generated.
fn job_spec(errors: &mut Errors, spec: &Value) {
    let path = "spec.jobTemplate.spec";
    job::unselected(errors, spec, path);
    if is_set(spec, "selector") {
        let detail = "`selector` will be auto-generated";
        errors.push(FieldError::invalid(at(path, "selector"), spec["selector"].clone(), detail));
    }
    if flag(spec, "manualSelector") {
        errors.push(FieldError::not_supported(at(path, "manualSelector"), true, &["nil", "false"]));
    }
}
