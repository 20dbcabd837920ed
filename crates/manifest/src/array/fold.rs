//! How a Job becomes an array, and an array the Job again.
//!
//! Where the tasks' numbers are their indexes, Kubernetes itself puts them into the command: `$(JOB_COMPLETION_INDEX)`
//! is expanded by every kubelet. Everything else is the work of a small program before the command
//! (`windlass_task::HELPER`): it lies with the values in a ConfigMap that is mounted at [`DIRECTORY`].

use serde_json::{Map, Value, json};
use windlass_model::Problems;
use windlass_task::words::{Part, parts};

use super::{Array, TaskMap};
use crate::edit::{Edit, Mount, PodEdit, VolumeSource};
use crate::{ContainerEdit, EnvSource, apply, marks};

/// Where a task sees its values and the helper.
pub const DIRECTORY: &str = "/windlass";
/// The volume's name in the pod.
const VOLUME: &str = "windlass-task";
/// A kubelet's words for the index, in a command.
const INDEX: &str = "$(JOB_COMPLETION_INDEX)";
/// Where the index is found by a variable, whatever its place among them.
const INDEX_FIELD: &str = "metadata.annotations['batch.kubernetes.io/job-completion-index']";
const ARCH_LABEL: &str = "kubernetes.io/arch";
const CONTAINER: &str = "spec.template.spec.containers[0]";
const WORDS: [&str; 2] = ["command", "args"];
/// What the server writes for `backoffLimit` beside a limit per index (upstream `pkg/apis/batch/v1/defaults.go`).
const NO_LIMIT: u64 = i32::MAX as u64;

/// What belongs to a Job that is an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folded {
    /// What its annotation says; the ConfigMap has no name before the Job has one.
    map: TaskMap,
    /// The ConfigMap's text, if there is one.
    items: Option<String>,
}

impl Folded {
    /// What of it belongs to the Job's content and is not in the Job.
    pub(crate) fn content(&self) -> &str {
        self.items.as_deref().unwrap_or_default()
    }

    /// Names the ConfigMap in a Job that has its name.
    pub(crate) fn seal(&self, job: &mut Value, name: &str) {
        if self.items.is_none() {
            return;
        }
        let name = config_map(name);
        let map = TaskMap { config_map: Some(name.clone()), ..self.map.clone() };
        job["metadata"]["annotations"][marks::TASKS] = map.write().into();
        if let Some(volume) = volumes(job).find(|volume| volume["name"] == VOLUME) {
            volume["configMap"]["name"] = name.into();
        }
    }

    /// The ConfigMap's name and data.
    pub(crate) fn companion(&self, job: &str) -> Option<Value> {
        use base64::Engine;
        let helper = base64::engine::general_purpose::STANDARD.encode(windlass_task::HELPER);
        Some(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": config_map(job) },
            "immutable": true,
            "data": { TaskMap::ITEMS: self.items.as_ref()? },
            "binaryData": { windlass_task::HELPER_FILE: helper },
        }))
    }
}

fn config_map(job: &str) -> String {
    format!("{job}-tasks")
}

fn volumes(job: &mut Value) -> impl Iterator<Item = &mut Value> {
    job.pointer_mut("/spec/template/spec/volumes").and_then(Value::as_array_mut).into_iter().flatten()
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
    let is_plain = array.names.is_empty() && numbers.are_indexes();
    if is_plain {
        expand(job, problems);
    } else {
        check_words(job, array, problems);
        help(job, problems);
    }
    let map = TaskMap { names: array.names.clone(), numbers, config_map: None };
    job["metadata"]["annotations"][marks::TASKS] = map.write().into();
    (problems.iter().count() == before).then(|| Folded { map, items: (!is_plain).then(|| array.items()) })
}

/// As many completions as tasks, each with its index and its own tries.
fn count(job: &mut Value, array: &Array) {
    let count = array.tasks.len();
    let Some(spec) = job["spec"].as_object_mut() else { return };
    spec.insert("completions".to_owned(), count.into());
    spec.insert("completionMode".to_owned(), "Indexed".into());
    if spec.get("parallelism").is_none_or(Value::is_null) {
        spec.insert("parallelism".to_owned(), count.into());
    }
    if spec.get("backoffLimitPerIndex").is_none_or(Value::is_null) {
        let retries = spec.remove("backoffLimit").filter(|limit| !limit.is_null());
        spec.insert("backoffLimitPerIndex".to_owned(), retries.unwrap_or_else(|| 0.into()));
    }
}

/// The words of the first container's command and arguments, each with its path.
fn each_word(job: &mut Value, mut change: impl FnMut(String, &mut Value)) {
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
            *word = rewritten(text, |part| match part {
                Part::Text(text) => String::from_utf8_lossy(text).into_owned(),
                Part::Item | Part::Number | Part::Named(_) => INDEX.to_owned(),
            })
            .into();
        }
    });
    let variable =
        ContainerEdit::EnvFrom("WINDLASS_TASK".to_owned(), EnvSource::Field(INDEX_FIELD.to_owned()));
    apply::edit(job, &Edit::FirstContainer(variable), problems);
}

fn rewritten(text: &str, write: impl FnMut(Part<'_>) -> String) -> String {
    parts(text.as_bytes(), |_| None).map(write).collect()
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

fn helper() -> String {
    format!("{DIRECTORY}/{}", windlass_task::HELPER_FILE)
}

/// The plain Job that an array was made of, and its tasks: folded again, with all of them or some, it is the array.
/// `items` is the text of the ConfigMap that its [`TaskMap`] names; `None` if the Job is no array of ours, or its items
/// are needed and are none.
pub fn unfold(job: &Value, items: Option<&str>) -> Option<(Value, Array)> {
    let mut job = job.clone();
    let annotations = job.pointer_mut("/metadata/annotations")?.as_object_mut()?;
    let map = TaskMap::read(annotations.remove(marks::TASKS)?.as_str()?)?;
    if annotations.is_empty() {
        job["metadata"].as_object_mut()?.remove("annotations");
    }
    let array = match &map.config_map {
        Some(_) => Array::of_items(items?)?,
        None => Array::numbered(&map.numbers),
    };
    let spec = job.pointer_mut("/spec")?.as_object_mut()?;
    spec.retain(|field, value| match field.as_str() {
        "completions" | "completionMode" => false,
        "parallelism" => value.as_u64() != Some(u64::from(map.numbers.len())),
        "backoffLimit" => value.as_u64() != Some(NO_LIMIT),
        _ => true,
    });
    match map.config_map {
        Some(_) => unhelp(&mut job),
        None => contract(&mut job),
    }
    Some((job, array))
}

/// Undoes [`help`].
fn unhelp(job: &mut Value) {
    let Some(Value::Object(pod)) = job.pointer_mut("/spec/template/spec") else { return };
    without(pod, "volumes", |volume| volume["name"] == VOLUME);
    let Some(Value::Object(container)) = pod.get_mut("containers").and_then(|all| all.get_mut(0)) else {
        return;
    };
    without(container, "volumeMounts", |mount| mount["name"] == VOLUME);
    if let Some(Value::Array(command)) = container.get_mut("command")
        && command.first().is_some_and(|first| *first == helper())
    {
        command.remove(0);
    }
}

/// Undoes [`expand`].
fn contract(job: &mut Value) {
    each_word(job, |_, word| {
        let Some(text) = word.as_str() else { return };
        let escaped = rewritten(text, |part| match part {
            Part::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Part::Item => "{{}}".to_owned(),
            Part::Number | Part::Named(_) => "{{#}}".to_owned(),
        });
        *word = escaped.replace(INDEX, "{#}").into();
    });
    if let Some(Value::Object(container)) = job.pointer_mut("/spec/template/spec/containers/0") {
        without(container, "env", |variable| variable["name"] == "WINDLASS_TASK");
    }
}

/// Removes what is meant from the list under a key, and a list that had nothing else.
fn without(map: &mut Map<String, Value>, key: &str, is_meant: impl Fn(&Value) -> bool) {
    let Some(Value::Array(list)) = map.get_mut(key) else { return };
    list.retain(|entry| !is_meant(entry));
    if list.is_empty() {
        map.remove(key);
    }
}
