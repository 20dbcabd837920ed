//! The options that Windlass has no words of its own for: edits of the Job, whatever it was made from.

use std::path::Path;

use windlass_manifest::edit::{EnvObject, EnvSource, MOUNT_FORMS, Toleration};
use windlass_manifest::forms::TOLERATION_FORMS;
use windlass_manifest::marks;
use windlass_manifest::{ContainerEdit, Edit, JobEdit, Mount, PodEdit, PullPolicy, VolumeSource};
use windlass_model::{JobName, Problems, label, quantity};

use super::low::{JobArgs, Pull};
use crate::env::Env;

/// The resource of `--gpu` when it names none.
const GPU: &str = "nvidia.com/gpu";

/// The edits, in the order of the options' help.
pub(super) fn edits(args: &JobArgs, env: &Env, problems: &mut Problems) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    let first = |edit| Edit::FirstContainer(edit);
    edits.extend(args.pull.map(|pull| first(ContainerEdit::PullPolicy(policy(pull)))));
    if let Some((name, count)) = args.gpu.as_deref().and_then(|text| gpu(text, problems)) {
        // A GPU cannot be shared: what is asked for is the limit (Kubernetes' rule for extended resources).
        edits.push(first(ContainerEdit::Request(name.clone(), count.clone())));
        edits.push(first(ContainerEdit::Limit(name, count)));
    }
    for (name, amount) in amounts("--request", &args.request, problems) {
        edits.push(first(ContainerEdit::Request(name, amount)));
    }
    for (name, amount) in amounts("--limit", &args.limit, problems) {
        edits.push(first(ContainerEdit::Limit(name, amount)));
    }
    for (name, text) in pairs("--annotation", &args.annotation, problems) {
        label::check_key("--annotation", &name, problems);
        edits.push(Edit::Job(JobEdit::Annotation(name.clone(), text.clone())));
        edits.push(Edit::Pod(PodEdit::Annotation(name, text)));
    }
    edits.extend(references(args, problems));
    edits.extend(args.volume.iter().filter_map(|text| Some(Edit::Mount(volume(text, env, problems)?))));
    for (name, value) in pairs("--node-selector", &args.node_selector, problems) {
        label::check("--node-selector", &name, &value, problems);
        edits.push(Edit::Pod(PodEdit::NodeSelector(name, value)));
    }
    for text in &args.toleration {
        match Toleration::parse(text) {
            Ok(toleration) => edits.push(Edit::Pod(PodEdit::Toleration(toleration))),
            Err(why) => problems.add("--toleration", format!("{text:?} {why}; {TOLERATION_FORMS}")),
        }
    }
    let mut named = |option: &str, name: &String| {
        if !label::is_subdomain(name) {
            problems.add(option, format!("{name:?} is no name of an object: a-z, 0-9, '-' and '.'"));
        }
        name.clone()
    };
    edits.extend(
        args.service_account
            .as_ref()
            .map(|name| Edit::Pod(PodEdit::ServiceAccount(named("--service-account", name)))),
    );
    edits.extend(
        args.pull_secret.iter().map(|name| Edit::Pod(PodEdit::PullSecret(named("--pull-secret", name)))),
    );
    edits.extend(
        args.priority_class
            .as_ref()
            .map(|name| Edit::Pod(PodEdit::PriorityClass(named("--priority-class", name)))),
    );
    edits.extend(
        args.queue
            .as_ref()
            .map(|name| Edit::Job(JobEdit::Label(marks::QUEUE.to_owned(), named("--queue", name)))),
    );
    edits
}

/// Variables whose values the cluster holds.
fn references(args: &JobArgs, problems: &mut Problems) -> Vec<Edit> {
    type Parse = fn(&str) -> Result<EnvSource, &'static str>;
    let mut edits = Vec::new();
    let options: [(&str, &Vec<String>, Parse); 2] = [
        ("--env-secret", &args.env_secret, EnvSource::secret),
        ("--env-configmap", &args.env_configmap, EnvSource::config_map),
    ];
    for (option, words, parse) in options {
        for (name, text) in pairs(option, words, problems) {
            match parse(&text) {
                Ok(source) => edits.push(ContainerEdit::EnvFrom(name, source)),
                Err(why) => problems.add(option, format!("{name}: {text:?} {why}")),
            }
        }
    }
    for text in &args.env_from {
        match EnvObject::parse(text) {
            Ok(object) => edits.push(ContainerEdit::EnvOf(object)),
            Err(why) => problems.add("--env-from", format!("{text:?} {why}")),
        }
    }
    edits.into_iter().map(Edit::AllContainers).collect()
}

/// What is wrong with the options that become fields of a request: said with the option's name.
pub(super) fn check(args: &JobArgs, problems: &mut Problems) {
    if let Some(Err(problem)) = args.name.as_deref().map(JobName::parse) {
        problems.add("--name", problem.message);
    }
    if args.image.as_deref().is_some_and(|image| image.is_empty() || image.contains(char::is_whitespace)) {
        problems.add("--image", "is no name of an image");
    }
    for (option, amount) in [("--cpu", &args.cpu), ("--memory", &args.memory)] {
        if let Some(Err(problem)) = amount.as_deref().map(quantity::check) {
            problems.add(option, problem.message);
        }
    }
    if args.memory.as_deref().is_some_and(is_bare) {
        problems.add("--memory", "has no unit and would be bytes; write it like 512Mi or 2Gi");
    }
    for (name, value) in pairs("--label", &args.label, problems) {
        label::check("--label", &name, &value, problems);
    }
}

/// A number alone.
fn is_bare(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn policy(pull: Pull) -> PullPolicy {
    match pull {
        Pull::Always => PullPolicy::Always,
        Pull::Missing => PullPolicy::IfNotPresent,
        Pull::Never => PullPolicy::Never,
    }
}

/// `2`, or `amd.com/gpu=2`.
fn gpu(text: &str, problems: &mut Problems) -> Option<(String, String)> {
    let (name, count) = text.split_once('=').unwrap_or((GPU, text));
    match count.parse::<u32>() {
        Ok(_) if !name.is_empty() => Some((name.to_owned(), count.to_owned())),
        _ => {
            problems.add("--gpu", format!("{text:?} is no number; write it like 1, or amd.com/gpu=1"));
            None
        }
    }
}

/// `NAME=QUANTITY` words.
fn amounts(option: &str, words: &[String], problems: &mut Problems) -> Vec<(String, String)> {
    let all = pairs(option, words, problems);
    for (name, amount) in &all {
        if let Err(problem) = quantity::check(amount) {
            problems.add(option, format!("{name}: {}", problem.message));
        }
    }
    all
}

/// `NAME=VALUE` words.
pub(super) fn pairs(option: &str, words: &[String], problems: &mut Problems) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for word in words {
        match word.split_once('=') {
            Some((name, value)) if !name.is_empty() => pairs.push((name.to_owned(), value.to_owned())),
            _ => problems.add(option, format!("{word:?} is not NAME=VALUE")),
        }
    }
    pairs
}

/// `--volume`; a relative directory is the caller's.
fn volume(text: &str, env: &Env, problems: &mut Problems) -> Option<Mount> {
    let absolute = |mut mount: Mount| {
        if let VolumeSource::Host(path) = &mut mount.source {
            let place = env.absolute(Path::new(path).to_owned());
            *path = place.to_str().ok_or("stands in a directory whose name is not UTF-8")?.to_owned();
        }
        Ok(mount)
    };
    let mount = Mount::parse(text).and_then(absolute);
    mount.map_err(|why| problems.add("--volume", format!("{text:?} {why}; {MOUNT_FORMS}"))).ok()
}
