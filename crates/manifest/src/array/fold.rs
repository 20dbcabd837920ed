//! How a Job becomes an array.
//!
//! Where the tasks' numbers are their indexes, Kubernetes itself puts them into the command: `$(JOB_COMPLETION_INDEX)`
//! is expanded by every kubelet. Everything else needs somebody before the command. For a process of the host that is the
//! host's shell ([`shell`]), so that nothing need be mounted; in an image, and where there are too many values for the
//! shell, a small program (`windlass_task::HELPER`) that lies with the values in a ConfigMap mounted at [`DIRECTORY`].

use serde_json::{Value, json};
use windlass_model::Problems;
use windlass_task::words::{Part, parts};

use super::{Array, Numbers, TaskMap, shell};
use crate::edit::{Edit, Mount, PodEdit, VolumeSource};
use crate::{ContainerEdit, EnvSource, apply, marks};

/// Where a task sees its values and the helper.
pub const DIRECTORY: &str = "/windlass";
/// The volume's name in the pod.
pub(super) const VOLUME: &str = "windlass-task";
/// A kubelet's words for the index, in a command.
pub(super) const INDEX: &str = "$(JOB_COMPLETION_INDEX)";
/// Where the index is found by a variable, whatever its place among them.
const INDEX_FIELD: &str = "metadata.annotations['batch.kubernetes.io/job-completion-index']";
const ARCH_LABEL: &str = "kubernetes.io/arch";
const CONTAINER: &str = "spec.template.spec.containers[0]";
const WORDS: [&str; 2] = ["command", "args"];

/// So many processes of one host wait for a core at most: more of them would only be looked at again and again.
const MOST_ON_HOST: usize = 1_000;

/// What belongs to a Job that is an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folded {
    /// What its annotation says; the ConfigMap has no name before the Job has one.
    map: TaskMap,
    /// The ConfigMap's text, if there is one.
    items: Option<String>,
    /// The helper lies beside it.
    has_helper: bool,
}

impl Folded {
    /// What of it belongs to the Job's content and is not in the Job.
    pub(crate) fn content(&self) -> &str {
        self.items.as_deref().unwrap_or_default()
    }

    /// How much of a ConfigMap it fills, bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.content().len() + if self.has_helper { windlass_task::HELPER.len() } else { 0 }
    }

    /// Names the ConfigMap in a Job that has its name.
    pub(crate) fn seal(&self, job: &mut Value, name: &str) {
        if self.items.is_none() {
            return;
        }
        let name = config_map(name);
        let map = TaskMap { config_map: Some(name.clone()), ..self.map.clone() };
        job["metadata"]["annotations"][marks::TASKS] = map.write().into();
        let reference = match self.has_helper {
            true => {
                volumes(job).find(|volume| volume["name"] == VOLUME).map(|volume| &mut volume["configMap"])
            }
            false => variables(job)
                .find(|known| known["name"] == shell::ITEMS)
                .map(|known| &mut known["valueFrom"]["configMapKeyRef"]),
        };
        if let Some(reference) = reference {
            reference["name"] = name.into();
        }
    }

    /// The ConfigMap's name and data.
    pub(crate) fn companion(&self, job: &str) -> Option<Value> {
        use base64::Engine;
        let mut object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": config_map(job) },
            "immutable": true,
            "data": { TaskMap::ITEMS: self.items.as_ref()? },
        });
        if self.has_helper {
            let helper = base64::engine::general_purpose::STANDARD.encode(windlass_task::HELPER);
            object["binaryData"] = json!({ windlass_task::HELPER_FILE: helper });
        }
        Some(object)
    }
}

fn config_map(job: &str) -> String {
    format!("{job}-tasks")
}

fn volumes(job: &mut Value) -> impl Iterator<Item = &mut Value> {
    job.pointer_mut("/spec/template/spec/volumes").and_then(Value::as_array_mut).into_iter().flatten()
}

fn variables(job: &mut Value) -> impl Iterator<Item = &mut Value> {
    let place = "/spec/template/spec/containers/0/env";
    job.pointer_mut(place).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Makes a Job an array. `None` if something is wrong, which is added to the problems.
pub(crate) fn fold(job: &mut Value, array: &Array, problems: &mut Problems) -> Option<Folded> {
    let before = problems.iter().count();
    problems.extend(array.check().err().into_iter().flatten());
    if job["metadata"]["annotations"].get(marks::TASKS).is_some() {
        problems
            .add("metadata.annotations", "says that the Job is an array already; one is made of a plain Job");
    }
    if job["spec"]["template"]["spec"]["restartPolicy"] == "OnFailure" {
        let message = "must be Never for an array: a task that fails would be started again for ever";
        problems.add("spec.template.spec.restartPolicy", message);
    }
    if !job.pointer("/spec/template/spec/containers/0").is_some_and(Value::is_object) {
        problems.add(CONTAINER, "is missing; there is no command to give the tasks to");
    }
    if problems.iter().count() > before {
        return None;
    }
    count(job, array);
    let numbers = array.numbers();
    check_words(job, array, problems);
    let has_numbers_only = array.names.is_empty();
    let means = match has_numbers_only {
        true if numbers.are_indexes() => {
            expand(job, problems);
            Means::Kubernetes
        }
        _ if before_command(job, array, &numbers, problems) => Means::Shell,
        _ => {
            help(job, problems);
            Means::Helper
        }
    };
    let items = match means {
        Means::Helper => Some(array.items()),
        Means::Shell if !has_numbers_only => Some(array.items()),
        Means::Shell | Means::Kubernetes => None,
    };
    let map = TaskMap { names: array.names.clone(), numbers, config_map: None };
    job["metadata"]["annotations"][marks::TASKS] = map.write().into();
    let has_helper = means == Means::Helper;
    (problems.iter().count() == before).then_some(Folded { map, items, has_helper })
}

/// Who gives a task its number and its values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Means {
    Kubernetes,
    Shell,
    Helper,
}

/// As many completions as tasks, each with its index and its own tries.
fn count(job: &mut Value, array: &Array) {
    let count = array.tasks.len();
    let is_host = job["spec"]["template"]["spec"]["runtimeClassName"] == marks::HOST_CLASS;
    let Some(spec) = job["spec"].as_object_mut() else { return };
    spec.insert("completions".to_owned(), count.into());
    spec.insert("completionMode".to_owned(), "Indexed".into());
    if spec.get("parallelism").is_none_or(Value::is_null) {
        spec.insert("parallelism".to_owned(), if is_host { count.min(MOST_ON_HOST) } else { count }.into());
    }
    if spec.get("backoffLimitPerIndex").is_none_or(Value::is_null) {
        let retries = spec.remove("backoffLimit").filter(|limit| !limit.is_null());
        spec.insert("backoffLimitPerIndex".to_owned(), retries.unwrap_or_else(|| 0.into()));
    }
}

/// The words of the first container's command and arguments, each with its path.
pub(super) fn each_word(job: &mut Value, mut change: impl FnMut(String, &mut Value)) {
    for field in WORDS {
        let place = format!("/spec/template/spec/containers/0/{field}");
        let list = job.pointer_mut(&place).and_then(Value::as_array_mut).into_iter().flatten();
        for (index, word) in list.enumerate() {
            change(format!("{CONTAINER}.{field}[{index}]"), word);
        }
    }
}

/// Has Kubernetes put the index where the number is wanted.
fn expand(job: &mut Value, problems: &mut Problems) {
    each_word(job, |_, word| {
        if let Some(text) = word.as_str() {
            *word = expanded(text).into();
        }
    });
    let variable =
        ContainerEdit::EnvFrom("WINDLASS_TASK".to_owned(), EnvSource::Field(INDEX_FIELD.to_owned()));
    apply::edit(job, &Edit::FirstContainer(variable), problems);
}

/// A word with the index where the number is wanted.
pub(super) fn expanded(word: &str) -> String {
    let write = |part| match part {
        Part::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Part::Item | Part::Number | Part::Named(_) => INDEX.to_owned(),
    };
    parts(word.as_bytes(), |_| None).map(write).collect()
}

/// Puts the host's shell before the command; false if there is none, or too much to tell it.
fn before_command(job: &mut Value, array: &Array, numbers: &Numbers, problems: &mut Problems) -> bool {
    let pod = &mut job["spec"]["template"]["spec"];
    if pod["runtimeClassName"] != marks::HOST_CLASS || !pod["containers"][0]["command"].is_array() {
        return false;
    }
    let container = &mut pod["containers"][0];
    let words = WORDS.into_iter().flat_map(|field| container[field].as_array()).flatten();
    let words: Vec<&str> = words.filter_map(Value::as_str).collect();
    let Some(command) = shell::command(&words, array, numbers) else { return false };
    container["command"] = command.into();
    if let Some(container) = container.as_object_mut() {
        container.remove("args");
    }
    if !array.names.is_empty() {
        let source = EnvSource::ConfigMap { name: VOLUME.to_owned(), key: TaskMap::ITEMS.to_owned() };
        let variable = ContainerEdit::EnvFrom(shell::ITEMS.to_owned(), source);
        apply::edit(job, &Edit::FirstContainer(variable), problems);
        if let Some(variable) = variables(job).find(|known| known["name"] == shell::ITEMS) {
            variable["valueFrom"]["configMapKeyRef"] = json!({ "key": TaskMap::ITEMS });
        }
    }
    true
}

/// `{}` stands for one value.
fn check_words(job: &mut Value, array: &Array, problems: &mut Problems) {
    if array.names.len() < 2 {
        return;
    }
    let braced: Vec<String> = array.names.iter().map(|name| format!("{{{name}}}")).collect();
    each_word(job, |path, word| {
        let text = word.as_str().unwrap_or_default();
        if parts(text.as_bytes(), |_| None).any(|part| part == Part::Item) {
            let message = format!(
                "has {{}}, which could be {}; write one of them, or {{{{}}}} for the braces",
                braced.join(" or ")
            );
            problems.add(path, message);
        }
    });
}

/// Puts the helper before the command, and its ConfigMap into the pod.
fn help(job: &mut Value, problems: &mut Problems) {
    if windlass_task::HELPER.is_empty() {
        let message = "need a helper in the pod, which this build of Windlass does not have; only --array 0-N does without";
        return problems.add("tasks", message);
    }
    let Some(Value::Object(container)) = job.pointer_mut("/spec/template/spec/containers/0") else { return };
    let is_there = |list: &Value| {
        list.as_array().is_some_and(|list| list.iter().any(|mount| mount["mountPath"] == DIRECTORY))
    };
    if container.get("volumeMounts").is_some_and(is_there) {
        problems.add(
            format!("{CONTAINER}.volumeMounts"),
            format!("has something at {DIRECTORY}, where the tasks' values belong"),
        );
    }
    match container.get_mut("command").and_then(Value::as_array_mut).filter(|command| !command.is_empty()) {
        Some(command) => command.insert(0, helper().into()),
        None => {
            let message = "is missing; what the image runs by itself is not known here, so write the command";
            problems.add(format!("{CONTAINER}.command"), message);
        }
    }
    let mount = Mount {
        source: VolumeSource::ConfigMap(VOLUME.to_owned()),
        path: DIRECTORY.to_owned(),
        read_only: true,
        volume: Some(VOLUME.to_owned()),
    };
    apply::edit(job, &Edit::Mount(mount), problems);
    if let Some(volume) = volumes(job).find(|volume| volume["name"] == VOLUME) {
        volume["configMap"] = json!({ "defaultMode": 0o555 });
    }
    let arch = &job["spec"]["template"]["spec"]["nodeSelector"][ARCH_LABEL];
    if arch.as_str().is_some_and(|arch| arch != windlass_task::ARCH) {
        let message =
            format!("is {arch}, and this build of Windlass brings a helper for {}", windlass_task::ARCH);
        return problems.add(format!("spec.template.spec.nodeSelector[{ARCH_LABEL}]"), message);
    }
    let node = PodEdit::NodeSelector(ARCH_LABEL.to_owned(), windlass_task::ARCH.to_owned());
    apply::edit(job, &Edit::Pod(node), problems);
}

pub(super) fn helper() -> String {
    format!("{DIRECTORY}/{}", windlass_task::HELPER_FILE)
}
