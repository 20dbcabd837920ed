//! The columns of CronJobs. Source: upstream printCronJob in pkg/printers/internalversion/printers.go.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Column;
use crate::kinds::common::{AGE, NAME, column, wide};
use crate::kinds::json::{is_set, items, text};
use crate::kinds::table;

/// The columns.
pub(super) const COLUMNS: &[Column] = &[
    NAME,
    column("Schedule", "When it makes jobs."),
    column("Timezone", "The time zone of the schedule."),
    Column { kind: "boolean", ..column("Suspend", "Whether it makes no more jobs for now.") },
    Column { kind: "integer", ..column("Active", "Jobs of it that have not ended.") },
    column("Last Schedule", "How long ago it was last due and made a job."),
    AGE,
    wide("Containers", "Names of the template's containers."),
    wide("Images", "Images of the template's containers."),
    wide("Selector", "Which pods its jobs count as their own."),
];

/// One row.
pub(super) fn cells(cron: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&cron["spec"], &cron["status"]);
    let job = &spec["jobTemplate"]["spec"];
    let [names, images] = table::containers(&job["template"]["spec"]);
    let zone = if is_set(spec, "timeZone") { text(spec, "timeZone") } else { "<none>" };
    let last = match table::time(status, "lastScheduleTime") {
        None => "<none>".to_owned(),
        last => table::since(last, now),
    };
    vec![
        table::name(cron),
        text(spec, "schedule").into(),
        zone.into(),
        suspended(spec).into(),
        items(status, "active").len().into(),
        last.into(),
        table::age(cron, now),
        names.into(),
        images.into(),
        table::selector(&job["selector"]).into(),
    ]
}

fn suspended(spec: &Value) -> &'static str {
    match spec["suspend"].as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    }
}
