//! The JSON schema of job files, for editors: one table of the fields, in the words of the options' help.

use serde_json::{Map, Value, json};

use super::VERSION;
use super::job::PULL;

/// What a field holds.
enum Shape {
    Text,
    Quantity,
    Duration,
    Count,
    Flag,
    Words,
    Pairs,
    Pull,
}

use Shape::{Count, Duration, Flag, Pairs, Pull, Quantity, Text, Words};

/// Every field of a job.
const FIELDS: [(&str, Shape, &str); 30] = [
    ("command", Words, "The program and its arguments, one word each. Nothing in them is expanded."),
    ("name", Text, "Name of the job. Default: the command's first word and five characters."),
    ("image", Text, "Run in a container of this image. Default: as a process of the host."),
    ("pull", Pull, "When to fetch the image: at every start, when the node lacks it, or not at all."),
    ("env", Pairs, "Variables and their values."),
    ("entrypoint", Flag, "Give the words of command to the image's own program, instead of running them."),
    ("env-secret", Pairs, "Variables with their values in secrets, each SECRET:KEY."),
    ("env-configmap", Pairs, "Variables with their values in ConfigMaps, each CONFIGMAP:KEY."),
    ("env-from", Words, "Every key of these as a variable: secret/NAME, configmap/NAME."),
    ("workdir", Text, "Start in this directory. Default: the caller's, or the image's."),
    ("retries", Count, "Try again this often after a failure. Default: 0."),
    ("deadline", Duration, "End the job if it takes longer than this, e.g. 90s, 5m, 1h30m."),
    ("ttl", Duration, "Delete the job this long after it ended. Default: keep it."),
    ("parallelism", Count, "How many pods may run at a time."),
    ("completions", Count, "How many pods must succeed."),
    ("indexed", Flag, "Number the completions: each pod finds its own in JOB_COMPLETION_INDEX."),
    ("label", Pairs, "Labels of the job and its pods."),
    ("annotation", Pairs, "Annotations of the job and its pods."),
    ("cpu", Quantity, "CPU that a pod asks for, e.g. 500m or 2."),
    ("memory", Quantity, "Memory that a pod asks for and may use, e.g. 512Mi."),
    ("gpu", Quantity, "GPUs that a pod needs: a number of nvidia.com/gpu, or RESOURCE=N."),
    ("request", Pairs, "Any resources that a pod asks for, e.g. ephemeral-storage: 1Gi."),
    ("limit", Pairs, "The most of resources that a pod may use, e.g. cpu: 2."),
    (
        "volume",
        Words,
        "What the command sees, each SOURCE:PATH[:ro]; sources are /DIR, claim/NAME, configmap/NAME, secret/NAME and empty.",
    ),
    ("node-selector", Pairs, "Only on nodes with these labels."),
    ("toleration", Words, "Also on nodes with these taints, each KEY=VALUE:EFFECT, KEY:EFFECT or KEY."),
    ("queue", Text, "Wait in this queue of Kueue."),
    ("service-account", Text, "Run as this service account."),
    ("pull-secret", Words, "Fetch images with the credentials of these secrets."),
    ("priority-class", Text, "With this priority class."),
];

/// The schema (draft 7, which editors know best).
pub fn schema() -> Value {
    let mut job = Map::new();
    for (name, shape, help) in &FIELDS {
        let mut field = shape.schema();
        field["description"] = (*help).into();
        job.insert((*name).to_owned(), field);
    }
    let version = json!({ "const": VERSION, "description": "The version of the format." });
    let mut alone = job.clone();
    alone.insert("windlass".to_owned(), version.clone());
    let object = |properties: Value, required: Value| {
        json!({
            "type": "object", "additionalProperties": false, "properties": properties, "required": required,
        })
    };
    let list = json!({ "type": "array", "minItems": 1, "items": { "$ref": "#/definitions/job" } });
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Windlass job file",
        "oneOf": [
            object(alone.into(), json!(["windlass", "command"])),
            object(json!({ "windlass": version, "jobs": list }), json!(["windlass", "jobs"])),
        ],
        "definitions": { "job": object(job.into(), json!(["command"])) },
    })
}

impl Shape {
    fn schema(&self) -> Value {
        // A plain number or truth value is taken as it is spelled.
        let text = json!({ "type": ["string", "number", "boolean"] });
        match self {
            Text => json!({ "type": "string" }),
            Quantity => json!({ "type": ["string", "number"] }),
            Duration => json!({ "type": ["string", "integer"] }),
            Count => json!({ "type": "integer", "minimum": 0 }),
            Flag => json!({ "type": "boolean" }),
            Words => json!({ "type": "array", "items": text }),
            Pairs => json!({ "type": "object", "additionalProperties": text }),
            Pull => json!({ "enum": PULL.map(|(word, _)| word) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::job;
    use super::*;
    use crate::fields::{Faults, Fields};
    use crate::tree;

    #[test]
    fn the_schema_has_the_fields_that_are_read() {
        let documents = tree::parse("command: [a]\nunknownzzzzzzzzz: 1\n").unwrap();
        let mut faults = Faults::of("f");
        let fields = Fields::of(&documents[0], "", &mut faults).unwrap();
        job::read(fields, None, &mut faults);
        let error = faults.or(()).unwrap_err()[0].to_string();
        let known: Vec<&str> = error.split("known are ").nth(1).unwrap().split(", ").collect();
        let mut fields: Vec<&str> = FIELDS.iter().map(|(name, ..)| *name).collect();
        fields.sort_unstable();
        assert_eq!(known, fields);
    }
}
