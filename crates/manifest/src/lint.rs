//! What of a manifest Kubernetes' types do not hold: fields of another type, at another level, or of nobody.
//!
//! A wrong type and a field at the wrong level are certain. A field that is not known may be of a Kubernetes newer than
//! ours: near to a known one it is a slip, else a doubt that the cluster decides.

use k8s_openapi::api::batch::v1::Job;
use serde::Deserialize;
use serde_ignored::Path;
use serde_json::Value;

use crate::fields::nearest;

/// What was found in one Job.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Findings {
    /// Path and what is wrong there.
    pub(crate) wrong: Vec<(String, String)>,
    /// Fields at the wrong level: where each is, and the mapping that it belongs to.
    pub(crate) misplaced: Vec<(String, &'static str)>,
    /// Fields that are not known, by their paths.
    pub(crate) unknown: Vec<String>,
}

const CONTAINER: &str = "spec.template.spec.containers[0]";
/// Of several containers nobody knows which one was meant.
const SOME_CONTAINER: &str = "spec.template.spec.containers[N]";
const POD: &str = "spec.template.spec";
const JOB: &str = "spec";

/// Fields that are a container's alone.
const OF_CONTAINER: [&str; 18] = [
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "startupProbe",
    "stdin",
    "stdinOnce",
    "terminationMessagePath",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
];

/// Fields that are a pod's alone.
const OF_POD: [&str; 17] = [
    "affinity",
    "containers",
    "dnsPolicy",
    "hostNetwork",
    "imagePullSecrets",
    "initContainers",
    "nodeName",
    "nodeSelector",
    "priorityClassName",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
];

/// Fields that are a Job's alone.
const OF_JOB: [&str; 9] = [
    "backoffLimit",
    "backoffLimitPerIndex",
    "completionMode",
    "completions",
    "parallelism",
    "podFailurePolicy",
    "successPolicy",
    "suspend",
    "ttlSecondsAfterFinished",
];

/// So many values of a wrong type are told of one Job.
const MOST: usize = 20;

/// Looks at a Job.
pub(crate) fn lint(job: &Value) -> Findings {
    let (mut ignored, mut findings) = (Vec::new(), Findings::default());
    let mut job = job.clone();
    even_out(&mut job);
    // What is of a wrong type is told, taken out, and the rest looked at again.
    for _ in 0..MOST {
        ignored.clear();
        let Some((path, error)) = read(&job, &mut ignored) else { break };
        let is_out = take_out(&mut job, &path);
        findings.wrong.push((path, mistyped(&error)));
        if !is_out {
            break;
        }
    }
    for path in ignored {
        let (parent, key) = path.rsplit_once('.').unwrap_or(("", &path));
        match home(&job, parent, key) {
            Some(home) => findings.misplaced.push((path, home)),
            None => match nearest(key, known(parent)) {
                Some(near) if key.len() > 3 => {
                    let message = format!("is not known to Kubernetes; did you mean {near}?");
                    findings.wrong.push((path, message));
                }
                _ => findings.unknown.push(path),
            },
        }
    }
    findings
}

/// Reads the Job as its type; the fields that no type has, and the place and words of the first error.
fn read(job: &Value, ignored: &mut Vec<String>) -> Option<(String, String)> {
    let mut track = serde_path_to_error::Track::new();
    let typed = serde_path_to_error::Deserializer::new(job, &mut track);
    let mut note = |path: Path<'_>| ignored.push(render(&path));
    let error = Job::deserialize(serde_ignored::Deserializer::new(typed, &mut note)).err()?;
    Some((track.path().to_string(), error.to_string()))
}

/// Takes the value at a path out of a Job.
fn take_out(job: &mut Value, path: &str) -> bool {
    let mut place = job;
    for part in path.split(['.', '[']).map(|part| part.trim_end_matches(']')) {
        let next = match place {
            Value::Object(map) => map.get_mut(part),
            Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
            _ => None,
        };
        let Some(next) = next else { return false };
        place = next;
    }
    !std::mem::take(place).is_null()
}

/// The mapping that a field belongs to, if it is another one than where it is.
fn home(job: &Value, parent: &str, key: &str) -> Option<&'static str> {
    let levels = ["", "spec", "spec.template", POD];
    if !levels.contains(&parent) && !parent.starts_with("spec.template.spec.containers[") {
        return None;
    }
    if OF_CONTAINER.contains(&key) && parent.ends_with(']') {
        return None;
    }
    let count = job.pointer("/spec/template/spec/containers").and_then(Value::as_array).map(Vec::len);
    if OF_CONTAINER.contains(&key) {
        Some(if count == Some(1) { CONTAINER } else { SOME_CONTAINER })
    } else if OF_POD.contains(&key) {
        Some(POD)
    } else if OF_JOB.contains(&key) {
        Some(JOB)
    } else {
        None
    }
}

/// Known fields of a mapping, as far as a slip of the finger is likely to have meant one.
fn known(parent: &str) -> &'static [&'static str] {
    match parent {
        "spec" => &[
            "activeDeadlineSeconds",
            "backoffLimit",
            "completionMode",
            "completions",
            "parallelism",
            "suspend",
            "template",
            "ttlSecondsAfterFinished",
        ],
        "spec.template" => &["metadata", "spec"],
        POD => &OF_POD,
        _ if parent.starts_with(POD) && parent.ends_with(']') => &OF_CONTAINER,
        _ => &[],
    }
}

/// Kubernetes takes a number for a quantity, and `null` as if the field were not there; its types here do not.
fn even_out(value: &mut Value) {
    const AMOUNTS: [&str; 5] = ["limits", "requests", "overhead", "sizeLimit", "divisor"];
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            for (key, inner) in map.iter_mut() {
                match inner {
                    _ if !AMOUNTS.contains(&key.as_str()) => even_out(inner),
                    Value::Object(amounts) => amounts.values_mut().for_each(spell),
                    other => spell(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(even_out),
        _ => {}
    }
}

fn spell(value: &mut Value) {
    if value.is_number() {
        *value = value.to_string().into();
    }
}

/// The parser's words, and the way out where a number stands for a text.
fn mistyped(error: &str) -> String {
    let is_number = ["invalid type: integer", "invalid type: boolean", "invalid type: floating"]
        .iter()
        .any(|start| error.starts_with(start));
    let words = [
        (" i32", " a whole number"),
        (" i64", " a whole number"),
        (" a sequence", " a list"),
        (" a map", " a mapping"),
    ];
    let plain = words.iter().fold(error.to_owned(), |text, (from, to)| match text.strip_suffix(from) {
        Some(start) => format!("{start}{to}"),
        None => text,
    });
    match is_number && error.contains("string") {
        true => format!("{plain}; write it in quotes"),
        false => plain,
    }
}

fn render(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", render(parent)),
        Path::Map { parent, key } => match render(parent) {
            root if root.is_empty() => key.clone(),
            parent => format!("{parent}.{key}"),
        },
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            render(parent)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(template: &Value) -> Value {
        json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "a", "creationTimestamp": null },
            "spec": { "template": template } })
    }

    #[test]
    fn a_good_job_has_no_findings_whatever_numbers_its_quantities_are() {
        let good = job(
            &json!({ "metadata": { "labels": { "identifier": null } }, "spec": { "restartPolicy": "Never", "containers": [{
            "name": "a", "image": "i", "resources": { "limits": { "cpu": 2, "memory": 1e9 } },
            "livenessProbe": { "httpGet": { "port": "http" } } }] } }),
        );
        assert_eq!(lint(&good), Findings::default());
    }

    #[test]
    fn fields_at_the_wrong_level_know_where_they_belong() {
        let bad = job(&json!({ "args": ["x"], "restartPolicy": "Never", "spec": { "backoffLimit": 1,
            "containers": [{ "name": "a", "nodeSelector": {} }] } }));
        let mut found = lint(&bad).misplaced;
        found.sort();
        assert_eq!(
            found,
            [
                ("spec.template.args".to_owned(), CONTAINER),
                ("spec.template.restartPolicy".to_owned(), POD),
                ("spec.template.spec.backoffLimit".to_owned(), JOB),
                ("spec.template.spec.containers[0].nodeSelector".to_owned(), POD),
            ]
        );
    }

    #[test]
    fn a_slip_is_certain_and_a_new_field_a_doubt() {
        let bad = job(&json!({ "spec": { "restartPolcy": "Never", "zeppelin": 1,
            "containers": [{ "name": "a", "env": [{ "name": "N", "value": 1 }] }] } }));
        let found = lint(&bad);
        assert_eq!(found.unknown, ["spec.template.spec.zeppelin"]);
        let paths: Vec<&str> = found.wrong.iter().map(|(path, _)| path.as_str()).collect();
        assert!(paths.contains(&"spec.template.spec.containers[0].env[0].value"), "{found:?}");
        assert!(found.wrong.iter().any(|(_, message)| message.ends_with("write it in quotes")), "{found:?}");
    }
}
