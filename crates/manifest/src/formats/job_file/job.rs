//! One job of a job file, field by field.

use std::collections::BTreeMap;

use windlass_model::{CompletionMode, JobName, JobRequest, Place, Problems, label};

use super::volume;
use crate::edit::{ContainerEdit, Edit, EnvObject, EnvSource, JobEdit, PodEdit, PullPolicy, Toleration};
use crate::fields::{Faults, Field, Fields};
use crate::forms::TOLERATION_FORMS;
use crate::marks;

/// The words of `--pull`.
pub(super) const PULL: [(&str, PullPolicy); 3] =
    [("always", PullPolicy::Always), ("missing", PullPolicy::IfNotPresent), ("never", PullPolicy::Never)];

/// The resource of `gpu` when it names none.
const GPU: &str = "nvidia.com/gpu";

/// A job as it was read.
pub(super) struct Job {
    /// What our own request has words for.
    pub(super) request: JobRequest,
    /// The rest.
    pub(super) edits: Vec<Edit>,
}

/// Reads it; `command` takes the place of its own. `None`: there is nothing to run, which has been told.
pub(super) fn read(
    mut fields: Fields<'_>,
    command: Option<&[String]>,
    faults: &mut Faults<'_>,
) -> Option<Job> {
    let own = match command {
        Some(_) => fields.take("command"),
        None => fields.need("command", faults),
    };
    let own = own.map(|field| words(&field, faults)).unwrap_or_default();
    let command = command.map_or(own, <[String]>::to_vec);
    let image = fields.take("image").and_then(|field| image(&field, faults));
    let mut request = JobRequest::new(command, image.map_or(Place::Host, Place::Image));
    request.name = fields.take("name").and_then(|field| name(&field, faults));
    request.working_dir = fields.take("workdir").and_then(|field| field.word(faults));
    request.env = fields.take("env").map(|field| variables(&field, faults)).unwrap_or_default();
    request.labels = fields.take("label").map(|field| labels(&field, faults)).unwrap_or_default();
    request.retries = count(&mut fields, "retries", faults).unwrap_or(0);
    request.parallelism = count(&mut fields, "parallelism", faults);
    request.completions = count(&mut fields, "completions", faults);
    let indexed = fields.take("indexed").and_then(|field| field.flag(faults)).unwrap_or(false);
    request.completion_mode = indexed.then_some(CompletionMode::Indexed);
    request.deadline = fields.take("deadline").and_then(|field| field.duration(faults));
    request.ttl = fields.take("ttl").and_then(|field| field.duration(faults));
    request.cpu = fields.take("cpu").and_then(|field| field.quantity(faults));
    request.memory = fields.take("memory").and_then(|field| memory(&field, faults));
    let mut edits = edits(&mut fields, faults);
    if let Some(field) = fields.take("entrypoint").filter(|field| field.flag(faults) == Some(true)) {
        match &request.place {
            Place::Host => {
                field.wrong("gives the words to the image's own program, and there is no image", faults);
            }
            Place::Image(image) => edits.extend(entrypoint(&request.command, image, request.name.is_some())),
        }
    }
    fields.end(faults);
    (!request.command.is_empty()).then_some(Job { request, edits })
}

/// Has the words be those of the image's own program, from which the job then has its name.
pub fn entrypoint(words: &[String], image: &str, is_named: bool) -> Vec<Edit> {
    let program = image.rsplit('/').next().unwrap_or(image);
    let stem = program.split([':', '@']).next().unwrap_or(program).to_owned();
    let stem = (!is_named).then_some(Edit::Job(JobEdit::Stem(stem)));
    let first = Edit::FirstContainer(ContainerEdit::Entrypoint(words.to_vec()));
    stem.into_iter().chain([first]).collect()
}

/// Variables whose values are elsewhere.
fn references(fields: &mut Fields<'_>, faults: &mut Faults<'_>) -> Vec<Edit> {
    type Parse = fn(&str) -> Result<EnvSource, &'static str>;
    const OBJECTS: [(&str, Parse); 2] =
        [("env-secret", EnvSource::secret), ("env-configmap", EnvSource::config_map)];
    let mut edits = Vec::new();
    for (name, parse) in OBJECTS {
        for entry in entries(fields, name, faults) {
            let Some(text) = entry.text(faults) else { continue };
            match parse(&text) {
                Ok(source) => {
                    let variable = ContainerEdit::EnvFrom(entry.key.to_owned(), source);
                    edits.push(Edit::AllContainers(variable));
                }
                Err(why) => entry.wrong(format!("{text:?} {why}"), faults),
            }
        }
    }
    for item in list(fields, "env-from", faults) {
        let Some(text) = item.text(faults) else { continue };
        match EnvObject::parse(&text) {
            Ok(object) => edits.push(Edit::AllContainers(ContainerEdit::EnvOf(object))),
            Err(why) => item.wrong(format!("{text:?} {why}"), faults),
        }
    }
    edits
}

/// Which nodes and which queue.
fn placement(fields: &mut Fields<'_>, faults: &mut Faults<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    for item in list(fields, "toleration", faults) {
        let Some(text) = item.text(faults) else { continue };
        match Toleration::parse(&text) {
            Ok(toleration) => edits.push(Edit::Pod(PodEdit::Toleration(toleration))),
            Err(why) => item.wrong(format!("{text:?} {why}; {TOLERATION_FORMS}"), faults),
        }
    }
    let queue = fields.take("queue").and_then(|field| object(&field, faults));
    edits.extend(queue.map(|name| Edit::Job(JobEdit::Label(marks::QUEUE.to_owned(), name))));
    edits
}

fn list<'a>(fields: &mut Fields<'a>, name: &'static str, faults: &mut Faults<'_>) -> Vec<Field<'a>> {
    fields.take(name).map(|field| field.items(faults)).unwrap_or_default()
}

/// What Windlass has no words of its own for.
fn edits(fields: &mut Fields<'_>, faults: &mut Faults<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    let first = Edit::FirstContainer;
    let pull = fields.take("pull").and_then(|field| field.choice(&PULL, faults));
    edits.extend(pull.map(|pull| first(ContainerEdit::PullPolicy(pull))));
    if let Some((resource, count)) = fields.take("gpu").and_then(|field| gpu(&field, faults)) {
        // A GPU cannot be shared: what is asked for is the limit (Kubernetes' rule for extended resources).
        edits.push(first(ContainerEdit::Request(resource.clone(), count.clone())));
        edits.push(first(ContainerEdit::Limit(resource, count)));
    }
    for (resource, amount) in amounts(fields, "request", faults) {
        edits.push(first(ContainerEdit::Request(resource, amount)));
    }
    for (resource, amount) in amounts(fields, "limit", faults) {
        edits.push(first(ContainerEdit::Limit(resource, amount)));
    }
    for entry in entries(fields, "annotation", faults) {
        let Some(text) = entry.text(faults) else { continue };
        checked(&entry, faults, |found| label::check_key("", entry.key, found));
        edits.push(Edit::Job(JobEdit::Annotation(entry.key.to_owned(), text.clone())));
        edits.push(Edit::Pod(PodEdit::Annotation(entry.key.to_owned(), text)));
    }
    let volumes = fields.take("volume").map(|field| field.items(faults)).unwrap_or_default();
    edits.extend(volumes.iter().filter_map(|item| volume::read(item, faults)).map(Edit::Mount));
    if let Some(field) = fields.take("node-selector") {
        let labels = labels(&field, faults).into_iter();
        edits.extend(labels.map(|(key, value)| Edit::Pod(PodEdit::NodeSelector(key, value))));
    }
    let account = fields.take("service-account").and_then(|field| object(&field, faults));
    edits.extend(account.map(|name| Edit::Pod(PodEdit::ServiceAccount(name))));
    let secrets = fields.take("pull-secret").map(|field| field.items(faults)).unwrap_or_default();
    let secrets = secrets.iter().filter_map(|item| object(item, faults));
    edits.extend(secrets.map(|name| Edit::Pod(PodEdit::PullSecret(name))));
    let class = fields.take("priority-class").and_then(|field| object(&field, faults));
    edits.extend(class.map(|name| Edit::Pod(PodEdit::PriorityClass(name))));
    edits.extend(references(fields, faults));
    edits.extend(placement(fields, faults));
    edits
}

fn count(fields: &mut Fields<'_>, name: &'static str, faults: &mut Faults<'_>) -> Option<u32> {
    fields.take(name).and_then(|field| field.count(faults))
}

/// A quantity with a unit.
fn memory(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let text = field.quantity(faults)?;
    if text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        field.wrong(format!("{text} has no unit and would be bytes; write it like 512Mi or 2Gi"), faults);
    }
    Some(text)
}

/// The words of a command; at least one.
fn words(field: &Field<'_>, faults: &mut Faults<'_>) -> Vec<String> {
    if let crate::tree::Kind::Text(text) = &field.node.kind {
        let parts: Vec<String> = text.split_whitespace().map(|word| format!("{word:?}")).collect();
        let list = parts.join(", ");
        field.wrong(format!("is a text, which nobody cuts into words; write [{list}]"), faults);
        return Vec::new();
    }
    let items = field.items(faults);
    if items.is_empty() && matches!(field.node.kind, crate::tree::Kind::List(_)) {
        field.wrong("is empty; write the program and its arguments", faults);
    }
    items.iter().filter_map(|item| item.text(faults)).collect()
}

fn name(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let text = field.text(faults)?;
    if let Err(problem) = JobName::parse(&text) {
        field.wrong(problem.message, faults);
    }
    Some(text)
}

fn image(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let image = field.word(faults)?;
    if image.contains(char::is_whitespace) {
        field.wrong(format!("{image:?} is no image's name"), faults);
    }
    Some(image)
}

/// The name of another object.
fn object(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let name = field.word(faults)?;
    if !label::is_subdomain(&name) {
        field.wrong(format!("{name:?} is no name of an object: a-z, 0-9, '-' and '.'"), faults);
    }
    Some(name)
}

fn entries<'a>(fields: &mut Fields<'a>, name: &'static str, faults: &mut Faults<'_>) -> Vec<Field<'a>> {
    fields.take(name).map(|field| field.entries(faults)).unwrap_or_default()
}

fn variables(field: &Field<'_>, faults: &mut Faults<'_>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for entry in field.entries(faults) {
        if entry.key.is_empty() || entry.key.contains(['=', '\0']) {
            entry.wrong("is no name of an environment variable", faults);
        }
        if let Some(value) = entry.text(faults) {
            variables.insert(entry.key.to_owned(), value);
        }
    }
    variables
}

fn labels(field: &Field<'_>, faults: &mut Faults<'_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for entry in field.entries(faults) {
        let Some(value) = entry.text(faults) else { continue };
        checked(&entry, faults, |found| label::check("", entry.key, &value, found));
        labels.insert(entry.key.to_owned(), value);
    }
    labels
}

fn checked(field: &Field<'_>, faults: &mut Faults<'_>, check: impl FnOnce(&mut Problems)) {
    let mut found = Problems::new();
    check(&mut found);
    for problem in found {
        field.wrong(problem.message, faults);
    }
}

fn amounts(fields: &mut Fields<'_>, name: &'static str, faults: &mut Faults<'_>) -> Vec<(String, String)> {
    let entries = entries(fields, name, faults);
    entries.iter().filter_map(|entry| Some((entry.key.to_owned(), entry.quantity(faults)?))).collect()
}

/// `2`, or `amd.com/gpu=2`.
fn gpu(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<(String, String)> {
    let text = field.text(faults)?;
    let (resource, count) = text.split_once('=').unwrap_or((GPU, &text));
    if resource.is_empty() || count.parse::<u32>().is_err() {
        field.wrong(format!("{text:?} is no number; write it like 1, or amd.com/gpu=1"), faults);
        return None;
    }
    Some((resource.to_owned(), count.to_owned()))
}
