//! Prints Job objects as kubectl does: one by itself, several as a List.

use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use crate::args::low::ObjectFormat;
use crate::fail::{Failure, Outcome};
use crate::out;

/// Jobs in a format.
pub(super) fn print(jobs: &[Job], format: ObjectFormat) -> Outcome<String> {
    match format {
        ObjectFormat::Name => Ok(jobs
            .iter()
            .filter_map(|job| job.metadata.name.as_deref())
            .map(|name| format!("{name}\n"))
            .collect()),
        ObjectFormat::Json => out::json(&objects(jobs)?),
        ObjectFormat::Yaml => out::yaml(&objects(jobs)?),
    }
}

/// One object, or a List of them.
fn objects(jobs: &[Job]) -> Outcome<Value> {
    let mut items = jobs
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<Vec<Value>, _>>()
        .map_err(|error| Failure::new("job", error))?;
    match items.len() {
        1 => Ok(items.remove(0)),
        _ => Ok(json!({"apiVersion": "v1", "kind": "List", "items": items})),
    }
}
