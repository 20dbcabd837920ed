//! Performs one edit on a Job. What the edit does not name stays as it is.

use serde_json::{Map, Value, json};
use windlass_model::{Problems, label, quantity};

use crate::edit::{EnvObject, EnvSource, Toleration};
use crate::generate::{variable, whole_seconds, words};
use crate::{ContainerEdit, Edit, JobEdit, PodEdit, mount};

/// Performs an edit; what is wrong with it, or with the place that it names, is added to the problems.
pub(crate) fn edit(job: &mut Value, edit: &Edit, problems: &mut Problems) {
    match edit {
        Edit::Job(change) => job_edit(job, change, problems),
        Edit::Pod(change) => pod_edit(job, change, problems),
        Edit::FirstContainer(change) => containers(job, change, 1, problems),
        Edit::AllContainers(change) => containers(job, change, usize::MAX, problems),
        Edit::Mount(mount) => mount::mount(job, mount, problems),
        // `make` does it, last of all.
        // Both are looked at when all else is done.
        Edit::Tasks(_) | Edit::File(_) => {}
    }
}

fn job_edit(job: &mut Value, change: &JobEdit, problems: &mut Problems) {
    let (field, value): (&str, Value) = match change {
        JobEdit::Name(name) => {
            return with(job, "metadata", problems, |metadata| {
                metadata.remove("generateName");
                metadata.insert("name".into(), name.as_str().into());
                Ok(())
            });
        }
        JobEdit::Stem(stem) => {
            return with(job, "metadata", problems, |metadata| {
                metadata.remove("name");
                metadata.insert("generateName".into(), stem.as_str().into());
                Ok(())
            });
        }
        JobEdit::Namespace(name) => return set(job, "metadata", "namespace", name.as_str().into(), problems),
        JobEdit::Label(key, value) => return mark(job, "metadata.labels", key, value, problems),
        JobEdit::Annotation(key, value) => return mark(job, "metadata.annotations", key, value, problems),
        JobEdit::Retries(count) => match job["spec"].get("backoffLimitPerIndex") {
            None | Some(Value::Null) => ("backoffLimit", (*count).into()),
            Some(_) => ("backoffLimitPerIndex", (*count).into()),
        },
        JobEdit::Deadline(time) => ("activeDeadlineSeconds", whole_seconds(*time).into()),
        JobEdit::Parallelism(count) => ("parallelism", (*count).into()),
        JobEdit::Completions(count) => ("completions", (*count).into()),
        JobEdit::CompletionMode(mode) => ("completionMode", mode.as_str().into()),
        JobEdit::Ttl(time) => ("ttlSecondsAfterFinished", whole_seconds(*time).into()),
        JobEdit::Suspend(suspend) => ("suspend", (*suspend).into()),
    };
    set(job, "spec", field, value, problems);
}

fn pod_edit(job: &mut Value, change: &PodEdit, problems: &mut Problems) {
    const POD: &str = "spec.template.spec";
    match change {
        PodEdit::Label(key, value) => mark(job, "spec.template.metadata.labels", key, value, problems),
        PodEdit::Annotation(key, value) => {
            mark(job, "spec.template.metadata.annotations", key, value, problems);
        }
        PodEdit::RuntimeClass(name) => set(job, POD, "runtimeClassName", name.as_str().into(), problems),
        PodEdit::ServiceAccount(name) => set(job, POD, "serviceAccountName", name.as_str().into(), problems),
        PodEdit::PriorityClass(name) => set(job, POD, "priorityClassName", name.as_str().into(), problems),
        PodEdit::PullSecret(name) => pull_secret(job, name, problems),
        PodEdit::NodeSelector(key, value) => {
            set(job, "spec.template.spec.nodeSelector", key, value.as_str().into(), problems);
        }
        PodEdit::Grace(time) => {
            set(job, POD, "terminationGracePeriodSeconds", whole_seconds(*time).into(), problems);
        }
        PodEdit::RestartPolicy(policy) => set(job, POD, "restartPolicy", policy.as_str().into(), problems),
        PodEdit::Toleration(toleration) => tolerate(job, toleration, problems),
    }
}

/// Adds the name to the list, once.
fn pull_secret(job: &mut Value, name: &str, problems: &mut Problems) {
    with(job, "spec.template.spec", problems, |pod| {
        once(pod, "imagePullSecrets", json!({ "name": name }), "spec.template.spec")
    });
}

fn tolerate(job: &mut Value, toleration: &Toleration, problems: &mut Problems) {
    let Toleration { key, operator, value, effect } = toleration;
    let mut entry = Map::new();
    for (field, text) in [("key", key), ("operator", operator), ("value", value), ("effect", effect)] {
        if let Some(text) = text.as_deref().filter(|text| !text.is_empty()) {
            entry.insert(field.to_owned(), text.into());
        }
    }
    with(job, "spec.template.spec", problems, |pod| {
        once(pod, "tolerations", entry.into(), "spec.template.spec")
    });
}

/// Adds an entry to the list under a key, unless it is in there.
fn once(map: &mut Map<String, Value>, key: &str, entry: Value, path: &str) -> Result<(), (String, String)> {
    let list = map.entry(key).or_insert(Value::Null);
    if list.is_null() {
        *list = json!([]);
    }
    let list = list.as_array_mut().ok_or_else(|| (format!("{path}.{key}"), "must be a list".to_owned()))?;
    if !list.contains(&entry) {
        list.push(entry);
    }
    Ok(())
}

fn containers(job: &mut Value, change: &ContainerEdit, most: usize, problems: &mut Problems) {
    const PATH: &str = "spec.template.spec.containers";
    let Some(Value::Array(containers)) = job.pointer_mut("/spec/template/spec/containers") else {
        return problems.add(PATH, "is missing; there is no container to change");
    };
    if containers.is_empty() {
        return problems.add(PATH, "is empty; there is no container to change");
    }
    for (index, container) in containers.iter_mut().take(most).enumerate() {
        let path = format!("{PATH}[{index}]");
        match container {
            Value::Object(container) => container_edit(container, change, &path, problems),
            _ => problems.add(path, "must be a mapping"),
        }
    }
}

fn container_edit(
    container: &mut Map<String, Value>,
    change: &ContainerEdit,
    path: &str,
    problems: &mut Problems,
) {
    let mut put = |field: &str, value: Value| {
        container.insert(field.to_owned(), value);
    };
    match change {
        ContainerEdit::Name(name) => put("name", name.as_str().into()),
        ContainerEdit::Image(image) => put("image", image.as_str().into()),
        ContainerEdit::PullPolicy(policy) => put("imagePullPolicy", policy.as_str().into()),
        ContainerEdit::Command(command) => {
            put("command", words(command));
            container.remove("args");
        }
        ContainerEdit::Args(args) => put("args", words(args)),
        ContainerEdit::Entrypoint(args) => {
            put("args", words(args));
            container.remove("command");
        }
        ContainerEdit::WorkingDir(dir) => put("workingDir", dir.as_str().into()),
        ContainerEdit::Stdin { once } => {
            put("stdin", true.into());
            put("stdinOnce", (*once).into());
        }
        ContainerEdit::Terminal => put("tty", true.into()),
        ContainerEdit::Env(name, value) => env(container, name, variable(name, value), path, problems),
        ContainerEdit::EnvFrom(name, source) => {
            env(container, name, json!({ "name": name, "valueFrom": env_source(source) }), path, problems);
        }
        ContainerEdit::EnvOf(object) => {
            let (kind, name) = match object {
                EnvObject::Secret(name) => ("secretRef", name),
                EnvObject::ConfigMap(name) => ("configMapRef", name),
            };
            if let Err((path, message)) = once(container, "envFrom", json!({ kind: { "name": name } }), path)
            {
                problems.add(path, message);
            }
        }
        ContainerEdit::Request(name, value) => resource(container, "requests", (name, value), path, problems),
        ContainerEdit::Limit(name, value) => resource(container, "limits", (name, value), path, problems),
    }
}

fn env_source(source: &EnvSource) -> Value {
    match source {
        EnvSource::Secret { name, key } => json!({ "secretKeyRef": { "name": name, "key": key } }),
        EnvSource::ConfigMap { name, key } => json!({ "configMapKeyRef": { "name": name, "key": key } }),
        EnvSource::Field(path) => json!({ "fieldRef": { "fieldPath": path } }),
    }
}

/// Replaces the variable where it stands, or adds it at the end: the order decides what `$(NAME)` can refer to.
fn env(container: &mut Map<String, Value>, name: &str, entry: Value, path: &str, problems: &mut Problems) {
    if name.is_empty() || name.contains(['=', '\0']) {
        return problems
            .add(format!("{path}.env"), format!("{name:?} is no name of an environment variable"));
    }
    let list = container.entry("env").or_insert(Value::Null);
    if list.is_null() {
        *list = json!([]);
    }
    let Value::Array(list) = list else {
        return problems.add(format!("{path}.env"), "must be a list");
    };
    match list.iter_mut().find(|known| known["name"] == name) {
        Some(known) => *known = entry,
        None => list.push(entry),
    }
}

fn resource(
    container: &mut Map<String, Value>,
    kind: &str,
    (name, value): (&String, &String),
    path: &str,
    problems: &mut Problems,
) {
    let path = format!("{path}.resources.{kind}.{name}");
    if let Err(problem) = quantity::check(value) {
        return problems.add(path, problem.message);
    }
    let inner = mapping(container.entry("resources").or_insert(Value::Null))
        .and_then(|resources| mapping(resources.entry(kind).or_insert(Value::Null)));
    match inner {
        Some(amounts) => {
            amounts.insert(name.clone(), value.as_str().into());
        }
        None => problems.add(path, "stands under something that is no mapping"),
    }
}

fn mark(job: &mut Value, path: &str, key: &str, value: &str, problems: &mut Problems) {
    let place = format!("{path}[{key}]");
    if path.ends_with("labels") {
        label::check(&place, key, value, problems);
    } else {
        label::check_key(&place, key, problems);
    }
    set(job, path, key, value.into(), problems);
}

fn set(job: &mut Value, path: &str, field: &str, value: Value, problems: &mut Problems) {
    with(job, path, problems, |map| {
        map.insert(field.to_owned(), value);
        Ok(())
    });
}

/// Changes the mapping at a path of plain names; missing ones on the way are made.
/// The change may find a place in there that it cannot change: its path and why.
fn with(
    job: &mut Value,
    path: &str,
    problems: &mut Problems,
    change: impl FnOnce(&mut Map<String, Value>) -> Result<(), (String, String)>,
) {
    let mut place = job;
    for name in path.split('.') {
        let Some(map) = mapping(place) else {
            return problems.add(path, "stands under something that is no mapping");
        };
        place = map.entry(name).or_insert(Value::Null);
    }
    match mapping(place) {
        Some(map) => {
            if let Err((path, message)) = change(map) {
                problems.add(path, message);
            }
        }
        None => problems.add(path, "must be a mapping"),
    }
}

fn mapping(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut()
}
