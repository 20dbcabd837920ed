//! A request of ours as a Kubernetes Job, field by field.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use windlass_model::{JobRequest, Place};

use crate::marks;

/// The name of the container that runs a request's command.
pub const CONTAINER: &str = "main";

/// The Job of a request. A request that [`JobRequest::check`] refuses gives a Job that a server refuses.
pub(crate) fn job(request: &JobRequest) -> Value {
    let mut spec = Map::new();
    spec.insert("backoffLimit".into(), request.retries.into());
    put(&mut spec, "activeDeadlineSeconds", request.deadline.map(whole_seconds));
    put(&mut spec, "parallelism", request.parallelism);
    put(&mut spec, "completions", request.completions);
    put(&mut spec, "completionMode", request.completion_mode.map(windlass_model::CompletionMode::as_str));
    put(&mut spec, "ttlSecondsAfterFinished", request.ttl.map(whole_seconds));
    put(&mut spec, "suspend", request.suspend.then_some(true));
    let labels = (!request.labels.is_empty()).then(|| json!(request.labels));
    let mut template = Map::new();
    put(&mut template, "metadata", labels.clone().map(|labels| json!({ "labels": labels })));
    template.insert("spec".into(), pod(request));
    spec.insert("template".into(), template.into());
    let mut metadata = Map::new();
    put(&mut metadata, "name", request.name.clone());
    put(&mut metadata, "labels", labels);
    json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec })
}

fn pod(request: &JobRequest) -> Value {
    let mut pod = Map::new();
    pod.insert("restartPolicy".into(), "Never".into());
    if request.place == Place::Host {
        pod.insert("runtimeClassName".into(), marks::HOST_CLASS.into());
    }
    pod.insert("containers".into(), json!([container(request)]));
    pod.into()
}

fn container(request: &JobRequest) -> Value {
    let image = match &request.place {
        Place::Host => marks::HOST_IMAGE,
        Place::Image(image) => image,
    };
    let mut container = Map::new();
    container.insert("name".into(), CONTAINER.into());
    container.insert("image".into(), image.into());
    container.insert("command".into(), words(&request.command));
    put(&mut container, "workingDir", request.working_dir.clone());
    if !request.env.is_empty() {
        let env: Vec<Value> = request.env.iter().map(|(name, value)| variable(name, value)).collect();
        container.insert("env".into(), env.into());
    }
    put(&mut container, "resources", resources(request));
    container.into()
}

/// What a host job asks for whose user named no CPU: a machine then runs as many at once as it has cores.
const HOST_CPU: &str = "1";

/// CPU is asked for and not limited, because a limit throttles; memory is both, because what is over it must end.
fn resources(request: &JobRequest) -> Option<Value> {
    let mut requests: BTreeMap<&str, &str> = BTreeMap::new();
    let unnamed = (request.place == Place::Host).then_some(HOST_CPU);
    requests.extend(request.cpu.as_deref().or(unnamed).map(|cpu| ("cpu", cpu)));
    requests.extend(request.memory.as_deref().map(|memory| ("memory", memory)));
    let limits = request.memory.as_ref().map(|memory| json!({ "memory": memory }));
    let mut resources = Map::new();
    if !requests.is_empty() {
        resources.insert("requests".into(), json!(requests));
    }
    put(&mut resources, "limits", limits);
    (!resources.is_empty()).then(|| resources.into())
}

/// One environment variable with a literal value.
pub(crate) fn variable(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": literal(value) })
}

/// Literal words of a command.
pub(crate) fn words(words: &[String]) -> Value {
    words.iter().map(|word| Value::from(literal(word))).collect()
}

/// Writes a text so that Kubernetes' expansion of `$(NAME)` gives it back: a `$` before `$` or `(` is doubled
/// (the syntax is that of upstream `third_party/forked/golang/expansion`: `$$` is one `$`).
pub(crate) fn literal(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        written.push(c);
        if c == '$' && matches!(rest.peek(), Some('$' | '(')) {
            written.push('$');
        }
    }
    written
}

/// Seconds, rounded up: nobody gets less time than asked for.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.into());
    }
}
