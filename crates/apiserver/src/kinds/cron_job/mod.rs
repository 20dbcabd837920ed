//! batch/v1 CronJobs.
//!
//! Sources: upstream pkg/apis/batch/v1/defaults.go and pkg/registry/batch/cronjob/strategy.go.

mod table;
#[cfg(test)]
mod tests;
mod validate;

use serde_json::{Value, json};

use crate::kind::{Kind, Propagation, Subresource};
use crate::kinds::common::{self, PLAIN};
use crate::kinds::job::default::fill_parts;
use crate::kinds::json::{fill, fill_text, object};
use crate::kinds::pod::disabled;

/// Where the spec of its Jobs' pods is.
const POD_SPEC: &str = "/spec/jobTemplate/spec/template/spec";

/// The row.
pub(super) const KIND: Kind = Kind {
    group: "batch",
    kind: "CronJob",
    plural: "cronjobs",
    singular: "cronjob",
    short_names: &["cj"],
    categories: &["all"],
    subresources: &[Subresource::Status],
    schema: "io.k8s.api.batch.v1.CronJob",
    names_again: false,
    default_propagation: Propagation::Background,
    default: fill_defaults,
    prepare_create,
    prepare_update,
    prepare_status: common::keep_all_but_status,
    validate: validate::validate,
    validate_update: validate::validate_update,
    warnings: validate::warnings,
    // It is due again and again.
    rest: common::never,
    columns: table::COLUMNS,
    cells: table::cells,
    ..PLAIN
};

/// Fills absent fields of a CronJob. Of its Job nothing is filled but what is in the pod template.
fn fill_defaults(cron: &mut Value) {
    object(cron, "metadata");
    object(cron, "status");
    let Some(spec) = object(cron, "spec") else { return };
    fill_text(spec, "concurrencyPolicy", "Allow");
    fill(spec, "suspend", false);
    fill(spec, "successfulJobsHistoryLimit", 3);
    fill(spec, "failedJobsHistoryLimit", 1);
    if let Some(template) = object(spec, "jobTemplate") {
        object(template, "metadata");
        if let Some(spec) = object(template, "spec") {
            fill_parts(spec);
        }
    }
}

/// A new CronJob has no status.
fn prepare_create(cron: &mut Value) {
    common::start(cron, json!({}));
    disabled::forget_below(cron, &Value::Null, POD_SPEC);
}

/// An update of the CronJob itself: the status stays; a changed spec counts the generation up.
fn prepare_update(new: &mut Value, old: &Value) {
    common::keep_status(new, old);
    disabled::forget_below(new, old, POD_SPEC);
    common::count_generation(new, old);
}
