//! The one function that makes a Job: a base, then the edits in their order.

use serde_json::{Map, Value};
use windlass_model::{JobName, Problems, Stem, SubmissionId, digest};

use crate::array::{self, Folded};
use crate::files::{self, Files};
use crate::marks::Signature;
use crate::{Base, Edit, again, apply, generate, marks};

/// A Job before it has the name and the marks of a submission. The same content is the same value.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    job: Value,
    naming: Naming,
    /// It is an array.
    tasks: Option<Folded>,
    /// It takes files along.
    files: Option<Files>,
}

/// Where the job's name comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Naming {
    /// Somebody chose it.
    Exact(JobName),
    /// Derived from a readable stem and the submission's id.
    Derived(Stem),
}

/// Makes the Job of a base and edits. Deterministic; what no edit names stays untouched.
///
/// Marks that an earlier submission left in a manifest are no content and are dropped.
///
/// # Errors
/// Every problem of base and edits, with its path.
pub fn make(base: &Base, edits: &[Edit]) -> Result<Manifest, Problems> {
    let mut problems = Problems::new();
    let mut job = match base {
        Base::Request(request) => {
            problems.extend(request.check().err().into_iter().flatten());
            generate::job(request)
        }
        Base::Manifest(job) => job.clone(),
    };
    if let Some(root) = job.as_object_mut()
        && edits.iter().any(|edit| matches!(edit, Edit::Tasks(_)))
    {
        again::drop_defaults(root);
    }
    check_kind(&job, &mut problems);
    for edit in edits {
        apply::edit(&mut job, edit, &mut problems);
    }
    drop_old_marks(&mut job);
    let naming = naming(&job, &mut problems);
    let tasks = tasks(&mut job, edits, &mut problems);
    let files = files::fold(&mut job, edits, &mut problems);
    check_room(tasks.as_ref(), files.as_ref(), &mut problems);
    match naming {
        Some(naming) if problems.is_empty() => Ok(Manifest { job, naming, tasks, files }),
        _ => Err(problems),
    }
}

/// Makes it an array, if an edit says so: the last thing of all, because it looks at the command as it is in the end.
fn tasks(job: &mut Value, edits: &[Edit], problems: &mut Problems) -> Option<Folded> {
    let mut arrays = edits.iter().filter_map(|edit| match edit {
        Edit::Tasks(array) => Some(array),
        _ => None,
    });
    let array = arrays.next()?;
    if arrays.next().is_some() {
        problems.add("tasks", "are there twice; a job is one array");
    }
    // On a job that is wrong otherwise it would only be wrong as well.
    if problems.is_empty() { array::fold(job, array, problems) } else { None }
}

/// Values and files share one ConfigMap.
fn check_room(tasks: Option<&Folded>, files: Option<&Files>, problems: &mut Problems) {
    let (Some(tasks), Some(files)) = (tasks, files) else { return };
    let (values, files) = (tasks.bytes(), files.bytes());
    if values + files > files::MOST_TOGETHER {
        let message = format!(
            "have {} KiB, and the tasks' values {} KiB: a job takes {} KiB of both along; put files into a volume or the \
             image, or submit the tasks in parts",
            files.div_ceil(1 << 10),
            values.div_ceil(1 << 10),
            files::MOST_TOGETHER >> 10
        );
        problems.add("files", message);
    }
}

impl Manifest {
    /// The Job as JSON, without name (unless it was chosen) and without the marks of a submission.
    pub fn job(&self) -> &Value {
        &self.job
    }

    /// The namespace that the manifest itself names.
    pub fn namespace(&self) -> Option<&str> {
        self.job.pointer("/metadata/namespace").and_then(Value::as_str).filter(|name| !name.is_empty())
    }

    /// Where the name comes from.
    pub fn naming(&self) -> &Naming {
        &self.naming
    }

    /// Whether its pods are processes of the host (runtime class `windlass-host`).
    pub fn is_host(&self) -> bool {
        let class = self.job.pointer("/spec/template/spec/runtimeClassName");
        class.and_then(Value::as_str) == Some(marks::HOST_CLASS)
    }

    /// Digest of the content: the same for the same base and edits, whatever the submission.
    pub fn content_hash(&self) -> String {
        let tasks = self.tasks.as_ref().map_or("", Folded::content);
        let files = self.files.as_ref().map(Files::content).unwrap_or_default();
        digest::short(format!("{}{tasks}{files}", self.job).as_bytes())
    }

    /// Whether it is an array of tasks.
    pub fn is_array(&self) -> bool {
        self.tasks.is_some()
    }

    /// Whether a ConfigMap goes with it, without which the Job alone is not whole.
    pub fn has_companion(&self) -> bool {
        self.files.is_some() || self.companion(&SubmissionId::from_random([0; 16]), 0).is_some()
    }

    /// The ConfigMap that must be there before the job [`sealed`](Manifest::sealed) with the same id and attempt,
    /// if it needs one. It is immutable, is marked as the job is, and has no owner yet.
    pub fn companion(&self, id: &SubmissionId, attempt: u32) -> Option<Value> {
        let name = self.name_for(id, attempt);
        let tasks = self.tasks.as_ref().and_then(|tasks| tasks.companion(name.as_str()));
        let mut object = match &self.files {
            Some(files) => files.companion(tasks, &format!("{name}-files")),
            None => tasks?,
        };
        sign(entry(&mut object, "metadata"), id);
        Some(object)
    }

    /// The name under which this submission's job is created. `attempt` counts from 0; a chosen name is the same
    /// for every attempt.
    pub fn name_for(&self, id: &SubmissionId, attempt: u32) -> JobName {
        match &self.naming {
            Naming::Exact(name) => name.clone(),
            Naming::Derived(stem) => stem.name(id, attempt),
        }
    }

    /// The Job to create: name and the marks of this submission added.
    pub fn sealed(&self, id: &SubmissionId, by: Signature<'_>, attempt: u32) -> Value {
        let mut job = self.job.clone();
        let metadata = entry(&mut job, "metadata");
        metadata.remove("generateName");
        metadata.insert("name".to_owned(), self.name_for(id, attempt).as_str().into());
        let annotations = child(metadata, "annotations");
        annotations.insert(marks::CONTENT.to_owned(), self.content_hash().into());
        if let Some(who) = by.who {
            annotations.insert(marks::SUBMITTER.to_owned(), who.into());
        }
        if let Some(when) = by.when {
            annotations.insert(marks::SUBMITTED.to_owned(), when.to_string().into());
        }
        sign(metadata, id);
        let template = child(entry(&mut job, "spec"), "template");
        sign(child(template, "metadata"), id);
        if let Some(tasks) = &self.tasks {
            tasks.seal(&mut job, self.name_for(id, attempt).as_str());
        }
        if self.files.is_some()
            && let Some(companion) = self.companion(id, attempt)
        {
            Files::seal(&mut job, companion["metadata"]["name"].as_str().unwrap_or_default());
        }
        job
    }
}

fn sign(metadata: &mut Map<String, Value>, id: &SubmissionId) {
    let labels = child(metadata, "labels");
    labels.insert(marks::MANAGED_BY.to_owned(), marks::WINDLASS.into());
    labels.insert(marks::SUBMISSION.to_owned(), id.as_str().into());
}

/// The mapping under a key; a missing one, or one that is `null`, is made. [`check_kind`] has refused any other.
fn child<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = parent.entry(key).or_insert(Value::Null);
    as_map(value)
}

fn entry<'a>(job: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    child(as_map(job), key)
}

fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was made a mapping above"),
    }
}

fn check_kind(job: &Value, problems: &mut Problems) {
    if !job.is_object() {
        problems.add("", "is not a mapping; a Job begins with apiVersion: batch/v1, kind: Job");
        return;
    }
    for (field, wanted) in [("apiVersion", "batch/v1"), ("kind", "Job")] {
        if job[field].as_str() != Some(wanted) {
            problems.add(field, format!("must be {wanted}"));
        }
    }
    let mappings = [
        "metadata",
        "metadata.labels",
        "metadata.annotations",
        "spec",
        "spec.template",
        "spec.template.metadata",
        "spec.template.metadata.labels",
        "spec.template.metadata.annotations",
        "spec.template.spec",
    ];
    for path in mappings {
        let value = job.pointer(&format!("/{}", path.replace('.', "/")));
        if value.is_some_and(|value| !value.is_object() && !value.is_null()) {
            problems.add(path, "must be a mapping");
        }
    }
    if job["spec"]["template"]["spec"].is_null() {
        problems.add("spec.template.spec", "is missing; it says what the job's pods run");
    }
}

fn drop_old_marks(job: &mut Value) {
    for metadata in ["/metadata", "/spec/template/metadata"] {
        for kind in ["labels", "annotations"] {
            let Some(Value::Object(marked)) = job.pointer_mut(&format!("{metadata}/{kind}")) else {
                continue;
            };
            let before = marked.len();
            marked.retain(|key, _| !marks::OURS.contains(&key.as_str()));
            if marked.is_empty()
                && before > 0
                && let Some(Value::Object(parent)) = job.pointer_mut(metadata)
            {
                parent.remove(kind);
            }
        }
    }
}

fn naming(job: &Value, problems: &mut Problems) -> Option<Naming> {
    let text = |pointer: &str| job.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(name) = text("/metadata/name") {
        return problems.keep(JobName::parse(name)).map(Naming::Exact);
    }
    let container = "/spec/template/spec/containers/0";
    let stem = text("/metadata/generateName")
        .or_else(|| text(&format!("{container}/command/0")))
        .or_else(|| text(&format!("{container}/name")))
        .unwrap_or("job");
    Some(Naming::Derived(Stem::of(stem)))
}
