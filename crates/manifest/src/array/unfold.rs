//! How an array becomes the Job again that it was made of.

use serde_json::{Map, Value};
use windlass_task::words::{Part, parts};

use super::fold::{INDEX, VOLUME, each_word, helper};
use super::{Array, TaskMap, shell};
use crate::marks;

/// What the server writes for `backoffLimit` beside a limit per index (upstream `pkg/apis/batch/v1/defaults.go`).
const NO_LIMIT: u64 = i32::MAX as u64;

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
    plain(&mut job, &map.names);
    Some((job, array))
}

/// Gives the first container of an array with these names the command that its author wrote, with its holes.
pub fn plain(job: &mut Value, names: &[String]) {
    let command = &job["spec"]["template"]["spec"]["containers"][0]["command"];
    let words: Vec<&str> = command.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if words.first() == Some(&helper().as_str()) {
        unhelp(job);
    } else if let Some(words) = shell::words(&words, names) {
        let container = &mut job["spec"]["template"]["spec"]["containers"][0];
        container["command"] = words.into();
        if let Some(container) = container.as_object_mut() {
            without(container, "env", |variable| variable["name"] == shell::ITEMS);
        }
    } else {
        contract(job);
    }
}

/// Removes the helper.
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

/// Takes back what Kubernetes expands.
fn contract(job: &mut Value) {
    each_word(job, |_, word| {
        let Some(text) = word.as_str() else { return };
        *word = escaped(text, &[]).replace(INDEX, "{#}").into();
    });
    if let Some(Value::Object(container)) = job.pointer_mut("/spec/template/spec/containers/0") {
        without(container, "env", |variable| variable["name"] == "WINDLASS_TASK");
    }
}

/// A text that has no holes, as it must be written to have none.
pub(super) fn escaped(text: &str, names: &[String]) -> String {
    let known = |text: &[u8]| names.iter().position(|name| name.as_bytes() == text);
    let write = |part| match part {
        Part::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Part::Item => "{{}}".to_owned(),
        Part::Number => "{{#}}".to_owned(),
        Part::Named(index) => format!("{{{{{}}}}}", names[index]),
    };
    parts(text.as_bytes(), known).map(write).collect()
}

/// Removes what is meant from the list under a key, and a list that had nothing else.
fn without(map: &mut Map<String, Value>, key: &str, is_meant: impl Fn(&Value) -> bool) {
    let Some(Value::Array(list)) = map.get_mut(key) else { return };
    list.retain(|entry| !is_meant(entry));
    if list.is_empty() {
        map.remove(key);
    }
}
