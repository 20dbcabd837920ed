//! The job spec of a Prefect 0.x `KubernetesJobEnvironment`: a Job whose first container runs the flow.
//!
//! It is chosen by an option, because it looks like any other Job. The first container gets image and command, the
//! run's identifiers become labels, and nothing else of the user's Job is touched. Prefect's own bootstrap command and
//! its variables are the caller's to give: what is run is a plain command.

use serde_json::{Map, Value, json};
use windlass_model::{JobName, label, name::MAX_LEN};

use super::{Format, Inputs, Payload, Reading, Written, kubernetes};
use crate::edit::{ContainerEdit, Edit, JobEdit, PodEdit, RestartPolicy};
use crate::fields::Faults;
use crate::read::{ReadError, jobs_of, read_values};
use crate::{Base, tree};

/// The first container, in a path.
const FIRST: &str = "spec.template.spec.containers[0]";
/// So many characters of the identifier make a name unique (Prefect 0.11, `unique_job_name`).
const SUFFIX: usize = 8;

/// What the environment knows beside the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The image of the flow; without one the file's own.
    pub image: Option<String>,
    /// Names this run: the labels `identifier` and `prefect.io/identifier`.
    pub identifier: String,
    /// The flow run: the labels `flow_run_id` and `prefect.io/flow_run_id`.
    pub flow_run_id: String,
    /// The job's name gets the beginning of the identifier as its end, so that runs can exist side by side.
    pub unique_name: bool,
}

/// The one Job of a job spec.
///
/// # Errors
/// All that is wrong: not one Job, no image, nothing to run, identifiers that are no labels.
pub fn read(
    file: &str,
    text: &str,
    options: &Options,
    inputs: Inputs<'_>,
) -> Result<Reading, Vec<ReadError>> {
    let mut jobs = jobs_of(file, text, read_values(file, text)?)?;
    let doubts = kubernetes::check(file, text, &jobs)?;
    let mut faults = Faults::of(file);
    if jobs.len() > 1 {
        faults.unfit(format!("holds {} jobs; a job spec is one", jobs.len()));
    }
    let document = jobs.swap_remove(0);
    let (mut job, mut notes, mut edits) = (document.job, Vec::new(), Vec::new());
    let command = match inputs.payload {
        Payload::Own => None,
        Payload::Command(words) => Some(words),
        Payload::Magnus(_) => {
            faults.unfit("is a Prefect job spec; functions and notebooks are run by magnus configurations");
            None
        }
    };
    if command.is_some() && options.image.is_some() && give_container(&mut job) {
        notes.push("the job spec has no container: one called flow is made".to_owned());
    }
    check_container(&job, text, options, command.is_some(), &mut faults);
    labels(options, &mut edits, &mut faults);
    let first = |edit| Edit::FirstContainer(edit);
    edits.extend(options.image.clone().map(|image| first(ContainerEdit::Image(image))));
    edits.extend(command.map(|words| first(ContainerEdit::Command(words.clone()))));
    let is_empty = |pointer: &str| job.pointer(pointer).is_none_or(|value| value.is_null() || value == "");
    if is_empty("/spec/template/spec/restartPolicy") {
        notes.push(
            "the job spec has no restartPolicy: Never is taken (a Job needs one, and Kubernetes' default for pods \
             is refused)"
                .to_owned(),
        );
        edits.push(Edit::Pod(PodEdit::RestartPolicy(RestartPolicy::Never)));
    }
    if options.unique_name {
        edits.extend(unique(&job, &options.identifier).map(|name| Edit::Job(JobEdit::Name(name))));
    }
    let written = Written { file: document.file, line: document.line, base: Base::Manifest(job), edits };
    faults.or(Reading { format: Format::Prefect, jobs: vec![written], kubeconfig: None, notes, doubts })
}

/// Gives a Job without a container its first one. Whether it did.
fn give_container(job: &mut Value) -> bool {
    let mut place = job;
    for name in ["spec", "template", "spec", "containers"] {
        let Value::Object(map) = place else { return false };
        place = map.entry(name).or_insert(Value::Null);
        if place.is_null() && name != "containers" {
            *place = Map::new().into();
        }
    }
    let is_empty = place.is_null() || place.as_array().is_some_and(Vec::is_empty);
    if is_empty {
        *place = json!([{ "name": "flow" }]);
    }
    is_empty
}

/// The dummy first container of Prefect's examples has neither an image nor a command: then the caller must say them.
fn check_container(job: &Value, text: &str, options: &Options, has_command: bool, faults: &mut Faults<'_>) {
    let container = job.pointer("/spec/template/spec/containers/0").unwrap_or(&Value::Null);
    let mut missing = |field: &str, message: &str| {
        let path = format!("{FIRST}.{field}");
        let documents = tree::parse(text).unwrap_or_default();
        let at = documents.first().map(|root| root.place_of(&path)).unwrap_or_default();
        faults.add(at, path, message);
    };
    if options.image.is_none() && container["image"].as_str().is_none_or(str::is_empty) {
        missing("image", "is empty; add --image");
    }
    let has_words = |field: &str| container[field].as_array().is_some_and(|words| !words.is_empty());
    if !has_command && !has_words("command") && !has_words("args") {
        missing("command", "is empty; add -- COMMAND");
    }
}

/// The run's identifiers on Job and pods, by the names of Prefect 0.6 to 0.10 and of those that followed.
fn labels(options: &Options, edits: &mut Vec<Edit>, faults: &mut Faults<'_>) {
    for (name, option, value) in [
        ("identifier", "--identifier", &options.identifier),
        ("flow_run_id", "--flow-run-id", &options.flow_run_id),
    ] {
        if !label::is_value(value) || value.is_empty() {
            let rule = "1 to 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends";
            faults.unfit(format!("{option}: {value:?} is no label's value: {rule}"));
            continue;
        }
        for key in [name.to_owned(), format!("prefect.io/{name}")] {
            edits.push(Edit::Job(JobEdit::Label(key.clone(), value.clone())));
            edits.push(Edit::Pod(PodEdit::Label(key, value.clone())));
        }
    }
}

/// The file's name with the beginning of the identifier; none if the name is made up anyway.
fn unique(job: &Value, identifier: &str) -> Option<String> {
    let name = job.pointer("/metadata/name").and_then(Value::as_str).filter(|name| !name.is_empty())?;
    let suffix: String = identifier.chars().filter(char::is_ascii_alphanumeric).take(SUFFIX).collect();
    let stem: String = name.chars().take(MAX_LEN - SUFFIX - 1).collect();
    // A name that is none stays as it is: then it is refused as such.
    if JobName::parse(name).is_err() {
        return None;
    }
    Some(format!("{}-{}", stem.trim_end_matches('-'), suffix.to_ascii_lowercase()))
}
