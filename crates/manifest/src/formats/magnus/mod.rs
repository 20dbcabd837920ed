//! magnus configurations: a file with `executor: {type: k8s-job, config: {...}}`, as magnus-extensions 0.2 documents it.
//!
//! What is run comes from the caller: a command, or a function or notebook, for which magnus' own command is made.
//! Where magnus' code strays from its document (a `config_path` that is never used, a pull policy that is ignored, a
//! GPU limit of zero), the document holds.

mod config;
mod placeholders;
mod task;

use serde_json::Value;
use windlass_model::{JobName, JobRequest, Place, label};

pub use task::{Task, TaskKind};

use super::{Format, Inputs, Payload, Reading, Written};
use crate::edit::{Edit, JobEdit};
use crate::fields::{Faults, Fields};
use crate::read::{self, ReadError};
use crate::{Base, tree};

/// The one executor whose configurations are jobs.
const EXECUTOR: &str = "k8s-job";
/// What magnus puts in front of the name of a parameter.
const PARAMETER: &str = "MAGNUS_PRM_";
/// How often magnus has a failed pod tried again (fixed in its code).
const RETRIES: u32 = 2;
/// The label that holds the run's id.
const RUN_LABEL: &str = "job_name";

/// Whether a document is one: it has an executor, and is no Kubernetes object.
pub(super) fn is(document: &Value) -> bool {
    document.get("executor").is_some() && document.get("kind").is_none()
}

/// The one job of a configuration.
pub(super) fn read(file: &str, text: &str, inputs: Inputs<'_>) -> Result<Reading, Vec<ReadError>> {
    let mut documents = tree::parse(text).map_err(|error| vec![read::syntax(file, text, &error)])?;
    let mut faults = Faults::of(file);
    if documents.len() > 1 {
        faults.add(documents[1].at, "the document", "is a second one; a magnus configuration is one alone");
        return faults.or(()).and_then(|()| Err(Vec::new()));
    }
    let Some(root) = documents.first_mut() else {
        return Err(vec![ReadError::Empty { file: file.to_owned() }]);
    };
    placeholders::fill(root, "executor", inputs.variables, &mut faults);
    let config = Fields::of(root, "", &mut faults).and_then(|fields| executor(fields, &mut faults));
    let mut notes = Vec::new();
    let command = command(file, inputs, &mut notes, &mut faults);
    let name = inputs.run_id.map(|id| named(id, &mut notes, &mut faults));
    let line = root.at.line.max(1);
    // What is missing here has been told.
    let (Some(config), Some(command)) = (config, command) else { return faults.or(()).and(Err(Vec::new())) };
    let mut request = JobRequest::new(command, Place::Image(config.image));
    request.retries = RETRIES;
    request.deadline = Some(config.deadline);
    request.ttl = Some(config.ttl);
    request.labels = config.labels;
    request.env = parameters(inputs, &mut notes);
    if let (Some(id), Some(Some(name))) = (inputs.run_id, name) {
        let value = if label::is_value(id) { id } else { name.as_str() };
        request.labels.insert(RUN_LABEL.to_owned(), value.to_owned());
        request.name = Some(name.as_str().to_owned());
    }
    notes.extend(config.notes);
    let mut edits = vec![Edit::Job(JobEdit::Namespace(config.namespace))];
    edits.extend(config.edits);
    let base = Base::Request(Box::new(request));
    let jobs = vec![Written { file: file.to_owned(), line, base, edits }];
    faults.or(Reading {
        format: Format::Magnus,
        jobs,
        kubeconfig: config.kubeconfig,
        notes,
        doubts: Vec::new(),
    })
}

/// The configuration of the executor. magnus' other services are read in the pod, by magnus itself.
fn executor(mut root: Fields<'_>, faults: &mut Faults<'_>) -> Option<config::Config> {
    for service in ["run_log_store", "catalog", "secrets", "experiment_tracker"] {
        root.take(service);
    }
    let executor = root.need("executor", faults).and_then(|field| field.fields(faults));
    root.end(faults);
    let mut executor = executor?;
    if let Some(kind) = executor.need("type", faults)
        && let Some(word) = kind.text(faults)
        && word != EXECUTOR
    {
        let message = format!("{word:?} is no executor of jobs; accepted is {EXECUTOR}");
        kind.wrong(message, faults);
    }
    let config = executor.need("config", faults).and_then(|field| field.fields(faults));
    executor.end(faults);
    config.and_then(|fields| config::read(fields, faults))
}

/// What the container runs.
fn command(
    file: &str,
    inputs: Inputs<'_>,
    notes: &mut Vec<String>,
    faults: &mut Faults<'_>,
) -> Option<Vec<String>> {
    match inputs.payload {
        Payload::Command(words) => Some(words.clone()),
        Payload::Magnus(task) => task.command(file, inputs.run_id, notes, faults),
        Payload::Own => {
            faults.unfit(
                "a magnus configuration does not say what to run; \
                 add -- COMMAND, --function MODULE.FUNCTION or --notebook FILE.ipynb",
            );
            None
        }
    }
}

/// The job's name for a run's id: Kubernetes takes fewer letters than magnus.
fn named(id: &str, notes: &mut Vec<String>, faults: &mut Faults<'_>) -> Option<JobName> {
    let Some(name) = JobName::near(id) else {
        faults.unfit(format!("the run id {id:?} has no letter or digit; name another"));
        return None;
    };
    if name.as_str() != id {
        notes.push(format!("the job of run {id:?} is called {name}: Kubernetes takes a-z, 0-9 and '-' only"));
    }
    Some(name)
}

/// The parameters of the submitter's environment. Their values stay as they are written: magnus reads them as JSON.
fn parameters(inputs: Inputs<'_>, notes: &mut Vec<String>) -> std::collections::BTreeMap<String, String> {
    let mut parameters = std::collections::BTreeMap::new();
    for (name, value) in inputs.variables {
        let Some(parameter) = name.strip_prefix(PARAMETER).filter(|name| !name.is_empty()) else { continue };
        let variable = format!("{PARAMETER}{}", parameter.to_lowercase());
        // In the order of the variables capital letters come first: the last one is the one in small letters.
        if parameters.insert(variable.clone(), value.clone()).is_some_and(|before| before != *value) {
            notes.push(format!("{variable} is set in capital letters too, and otherwise; {name} is taken"));
        }
    }
    parameters
}
