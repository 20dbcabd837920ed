//! `executor.config`: every key that magnus-extensions 0.2 documents, with its documented default, and two that it does
//! not document: `node_selector` and `tolerations`.

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_model::{Problems, label};

use crate::edit::{ContainerEdit, Edit, EnvSource, Mount, PodEdit, PullPolicy, Toleration, VolumeSource};
use crate::fields::{Faults, Field, Fields};

const PULL: [(&str, PullPolicy); 3] = [
    ("Always", PullPolicy::Always),
    ("IfNotPresent", PullPolicy::IfNotPresent),
    ("Never", PullPolicy::Never),
];

/// What a configuration says.
pub(super) struct Config {
    pub(super) kubeconfig: Option<String>,
    pub(super) image: String,
    pub(super) namespace: String,
    pub(super) deadline: Duration,
    pub(super) ttl: Duration,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) edits: Vec<Edit>,
    pub(super) notes: Vec<String>,
}

/// Reads it. `None`: there is no image, which has been told.
pub(super) fn read(mut fields: Fields<'_>, faults: &mut Faults<'_>) -> Option<Config> {
    let mut word =
        |name, faults: &mut Faults<'_>| fields.take(name).and_then(|field: Field<'_>| field.text(faults));
    let kubeconfig = word("config_path", faults).filter(|path| !path.is_empty());
    let namespace = word("namespace", faults).filter(|name| !name.is_empty());
    let image = fields.need("docker_image", faults).and_then(|field| image(&field, faults));
    let mut seconds = |name, default, faults: &mut Faults<'_>| {
        let count = fields.take(name).and_then(|field: Field<'_>| field.count(faults));
        Duration::from_secs(count.unwrap_or(default).into())
    };
    let deadline = seconds("active_deadline_seconds", 7200, faults);
    let ttl = seconds("ttl_seconds_after_finished", 60, faults);
    let mut notes = Vec::new();
    if !fields.has("ttl_seconds_after_finished") {
        notes.push(
            "the job and its output are deleted 60 s after its end, magnus' default; \
                    ttl_seconds_after_finished says another time"
                .to_owned(),
        );
    }
    let mut edits = vec![Edit::Pod(PodEdit::Annotation("sidecar.istio.io/inject".into(), "false".into()))];
    let pull = fields.take("image_pull_policy").and_then(|field| field.choice(&PULL, faults));
    edits.push(Edit::FirstContainer(ContainerEdit::PullPolicy(pull.unwrap_or(PullPolicy::Always))));
    resources(&mut fields, &mut edits, faults);
    secrets(&mut fields, &mut edits, faults);
    volumes(&mut fields, &mut edits, faults);
    placement(&mut fields, &mut edits, faults);
    let labels = labels(&mut fields, "labels", faults);
    // Of magnus' executors in general, and of no meaning for a job.
    fields.take("enable_parallel");
    fields.take("placeholders");
    fields.end(faults);
    let namespace = namespace.unwrap_or_else(|| "default".to_owned());
    Some(Config { kubeconfig, image: image?, namespace, deadline, ttl, labels, edits, notes })
}

fn image(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let image = field.word(faults)?;
    if image.contains(char::is_whitespace) {
        field.wrong(format!("{image:?} is no image's name"), faults);
        return None;
    }
    Some(image)
}

/// Limits, and requests that are the limits unless they are said. A GPU limit of zero is left out: a cluster without
/// GPUs, or with a quota for them, refuses it.
fn resources(fields: &mut Fields<'_>, edits: &mut Vec<Edit>, faults: &mut Faults<'_>) {
    for (name, limit, request, default) in
        [("cpu", "cpu_limit", "cpu_request", "250m"), ("memory", "memory_limit", "memory_request", "1G")]
    {
        let mut amount = |key| {
            let field =
                fields.take(key).filter(|field| field.node.kind != crate::tree::Kind::Text(String::new()));
            field.and_then(|field| field.quantity(faults))
        };
        let limit = amount(limit).unwrap_or_else(|| default.to_owned());
        let request = amount(request).unwrap_or_else(|| limit.clone());
        edits.push(Edit::FirstContainer(ContainerEdit::Limit(name.into(), limit)));
        edits.push(Edit::FirstContainer(ContainerEdit::Request(name.into(), request)));
    }
    let count = fields.take("gpu_limit").and_then(|field| field.count(faults)).unwrap_or(0);
    let vendor = fields.take("gpu_vendor").and_then(|field| field.word(faults));
    if count > 0 {
        let vendor = vendor.unwrap_or_else(|| "nvidia.com/gpu".to_owned());
        edits.push(Edit::FirstContainer(ContainerEdit::Limit(vendor, count.to_string())));
    }
}

/// `VARIABLE: secret:key`, or `VARIABLE=secret:key` in a list, as the document words it.
fn secrets(fields: &mut Fields<'_>, edits: &mut Vec<Edit>, faults: &mut Faults<'_>) {
    let Some(all) = fields.take("secrets_from_k8s") else { return };
    for (variable, source, field) in pairs(&all, '=', faults) {
        match source.split_once(':') {
            Some((name, key)) if label::is_subdomain(name) && is_key(key) => {
                let source = EnvSource::Secret { name: name.to_owned(), key: key.to_owned() };
                edits.push(Edit::FirstContainer(ContainerEdit::EnvFrom(variable, source)));
            }
            _ => field.wrong(
                format!(
                    "{source:?} is not SecretName:Key, the secret and the key in it that becomes {variable}"
                ),
                faults,
            ),
        }
    }
}

/// A key of a Secret (apimachinery `validation.IsConfigMapKey`).
fn is_key(key: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !key.is_empty() && key.len() <= 253 && key.chars().all(inner)
}

/// `claim: path`, or `claim:path` in a list. The volumes are called as magnus calls them.
fn volumes(fields: &mut Fields<'_>, edits: &mut Vec<Edit>, faults: &mut Faults<'_>) {
    let Some(all) = fields.take("persistent_volumes") else { return };
    for (index, (claim, path, field)) in pairs(&all, ':', faults).into_iter().enumerate() {
        if !label::is_subdomain(&claim) {
            field.wrong(format!("{claim:?} is no name of a claim: a-z, 0-9, '-' and '.'"), faults);
        } else if !path.starts_with('/') || path.contains(':') {
            field.wrong(format!("{path:?} is no absolute path without a colon"), faults);
        } else {
            let source = VolumeSource::Claim(claim);
            let volume = Some(format!("executor-{index}"));
            edits.push(Edit::Mount(Mount { source, path, read_only: false, volume }));
        }
    }
}

/// The entries of a mapping of texts, or of a list of texts with a separator.
fn pairs<'a>(all: &Field<'a>, separator: char, faults: &mut Faults<'_>) -> Vec<(String, String, Field<'a>)> {
    let mut pairs = Vec::new();
    if matches!(all.node.kind, crate::tree::Kind::List(_)) {
        for item in all.items(faults) {
            let Some(text) = item.text(faults) else { continue };
            match text.split_once(separator) {
                Some((name, value)) => pairs.push((name.to_owned(), value.to_owned(), item)),
                None => item.wrong(format!("{text:?} has no {separator:?}"), faults),
            }
        }
        return pairs;
    }
    for entry in all.entries(faults) {
        if let Some(text) = entry.text(faults) {
            pairs.push((entry.key.to_owned(), text, entry));
        }
    }
    pairs
}

fn labels(fields: &mut Fields<'_>, name: &'static str, faults: &mut Faults<'_>) -> BTreeMap<String, String> {
    let Some(all) = fields.take(name) else { return BTreeMap::new() };
    let mut labels = BTreeMap::new();
    for entry in all.entries(faults) {
        let Some(value) = entry.text(faults) else { continue };
        let mut problems = Problems::new();
        label::check("", entry.key, &value, &mut problems);
        for problem in problems {
            entry.wrong(problem.message, faults);
        }
        labels.insert(entry.key.to_owned(), value);
    }
    labels
}

fn placement(fields: &mut Fields<'_>, edits: &mut Vec<Edit>, faults: &mut Faults<'_>) {
    for (key, value) in labels(fields, "node_selector", faults) {
        edits.push(Edit::Pod(PodEdit::NodeSelector(key, value)));
    }
    let Some(all) = fields.take("tolerations") else { return };
    for item in all.items(faults) {
        let Some(mut fields) = item.fields(faults) else { continue };
        let mut word = |name| fields.take(name).and_then(|field: Field<'_>| field.text(faults));
        let [key, operator, value, effect] = ["key", "operator", "value", "effect"].map(&mut word);
        fields.end(faults);
        edits.push(Edit::Pod(PodEdit::Toleration(Toleration { key, operator, value, effect })));
    }
}
