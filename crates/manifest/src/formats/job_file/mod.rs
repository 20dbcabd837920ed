//! Our own job file: `windlass: v1`, and one job, or a list of them under `jobs`. Its words are those of the command
//! line's options.
//!
//! What a command line takes from where it is typed, the directory and a few variables of a host process, is its
//! reader's caller's to add.

mod job;
mod schema;
mod volume;

use serde_json::Value;

pub use job::entrypoint;
pub use schema::schema;

use super::{Format, Inputs, Payload, Reading, Written};
use crate::fields::{Faults, Fields};
use crate::read::{self, ReadError};
use crate::{Base, tree};

/// The one version that there is.
const VERSION: &str = "v1";

/// Whether a document is one.
pub(super) fn is(document: &Value) -> bool {
    document.get("windlass").is_some() && document.get("kind").is_none()
}

/// Every job of the file.
pub(super) fn read(file: &str, text: &str, inputs: Inputs<'_>) -> Result<Reading, Vec<ReadError>> {
    let documents = tree::parse(text).map_err(|error| vec![read::syntax(file, text, &error)])?;
    let (mut faults, mut jobs) = (Faults::of(file), Vec::new());
    let command = match inputs.payload {
        Payload::Own => None,
        Payload::Command(words) => Some(&words[..]),
        Payload::Magnus(_) => {
            faults.unfit("is a job file; functions and notebooks are run by magnus configurations");
            None
        }
    };
    for document in &documents {
        let Some(mut fields) = Fields::of(document, "", &mut faults) else { continue };
        version(&mut fields, &mut faults);
        let Some(list) = fields.take("jobs") else {
            jobs.extend(job::read(fields, command, &mut faults).map(|job| (document.at.line, job)));
            continue;
        };
        fields.end(&mut faults);
        let items = list.items(&mut faults);
        if items.is_empty() && matches!(list.node.kind, tree::Kind::List(_)) {
            list.wrong("holds no job", &mut faults);
        }
        for item in items {
            let job = item.fields(&mut faults).and_then(|fields| job::read(fields, command, &mut faults));
            jobs.extend(job.map(|job| (item.at.line, job)));
        }
    }
    twice(&jobs, &mut faults);
    let jobs = jobs.into_iter().map(|(line, job)| Written {
        file: file.to_owned(),
        line,
        base: Base::Request(Box::new(job.request)),
        edits: job.edits,
    });
    let jobs = jobs.collect();
    faults.or(Reading {
        format: Format::JobFile,
        jobs,
        kubeconfig: None,
        notes: Vec::new(),
        doubts: Vec::new(),
    })
}

fn version(fields: &mut Fields<'_>, faults: &mut Faults<'_>) {
    if let Some(field) = fields.need("windlass", faults)
        && let Some(version) = field.text(faults)
        && version != VERSION
    {
        field.wrong(format!("{version:?} is no version that is read here; write {VERSION}"), faults);
    }
}

/// Two jobs of one name would be one job, or a conflict after the first was submitted.
fn twice(jobs: &[(u64, job::Job)], faults: &mut Faults<'_>) {
    let mut names = std::collections::BTreeMap::new();
    for (line, job) in jobs {
        let Some(name) = &job.request.name else { continue };
        if let Some(first) = names.insert(name, line) {
            let at = tree::Place { line: *line, column: 1 };
            faults.add(at, "name", format!("{name} is the name of the job in line {first}, too"));
        }
    }
}
