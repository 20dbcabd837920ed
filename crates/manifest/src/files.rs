//! Small files of the submitter's that the first container sees: they travel in a ConfigMap that is made before the job
//! and belongs to it. What they hold is the caller's to read.

use serde_json::{Map, Value, json};
use windlass_model::{Problems, digest};

use crate::edit::{Mount, VolumeSource};
use crate::{Edit, apply};

/// The volume in the pod.
pub const VOLUME: &str = "windlass-files";
/// Where a file is seen whose place nobody named, below its own name.
pub const DIRECTORY: &str = "/windlass-files";
/// So many bytes all files of a job have at most: a ConfigMap holds 1 MiB (upstream `pkg/apis/core/validation`), a third
/// more in transit.
pub const MOST_BYTES: usize = 700 << 10;

/// So many bytes its files and its array's values have together: they lie in one ConfigMap, whose limit that is
/// (upstream `MaxSecretSize`).
pub(crate) const MOST_TOGETHER: usize = 1 << 20;

/// A file for the first container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// What is in it.
    pub content: Vec<u8>,
    /// Where the container sees it, absolute.
    pub path: String,
    /// Whether it may be executed.
    pub executable: bool,
}

/// The files that belong to a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    contents: Vec<Vec<u8>>,
}

/// Gives the first container its files; none if no edit names one.
pub(crate) fn fold(job: &mut Value, edits: &[Edit], problems: &mut Problems) -> Option<Files> {
    let mut files: Vec<&File> = Vec::new();
    for edit in edits {
        let Edit::File(file) = edit else { continue };
        // The last one that is put at a place is seen there.
        files.retain(|known| known.path != file.path);
        files.push(file);
    }
    if files.is_empty() || !problems.is_empty() {
        return None;
    }
    let total: usize = files.iter().map(|file| file.content.len()).sum();
    if total > MOST_BYTES {
        let (total, most) = (total >> 10, MOST_BYTES >> 10);
        problems.add(
            "files",
            format!("have {total} KiB, and a job takes {most} along; put them into a volume or the image"),
        );
        return None;
    }
    for file in &files {
        let source = VolumeSource::ConfigMap(VOLUME.to_owned());
        let mount =
            Mount { source, path: file.path.clone(), read_only: true, volume: Some(VOLUME.to_owned()) };
        apply::edit(job, &Edit::Mount(mount), problems);
    }
    let items: Vec<Value> = files
        .iter()
        .enumerate()
        .map(|(index, file)| {
            let mode = if file.executable { 0o555 } else { 0o444 };
            json!({ "key": key(index), "path": key(index), "mode": mode })
        })
        .collect();
    let volumes = job.pointer_mut("/spec/template/spec/volumes").and_then(Value::as_array_mut);
    if let Some(volume) = volumes.into_iter().flatten().find(|volume| volume["name"] == VOLUME) {
        volume["configMap"] = json!({ "items": items });
    }
    let mounts =
        job.pointer_mut("/spec/template/spec/containers/0/volumeMounts").and_then(Value::as_array_mut);
    for mount in mounts.into_iter().flatten().filter(|mount| mount["name"] == VOLUME) {
        if let Some(index) = files.iter().position(|file| mount["mountPath"] == file.path.as_str()) {
            mount["subPath"] = key(index).into();
        }
    }
    Some(Files { contents: files.into_iter().map(|file| file.content.clone()).collect() })
}

impl Files {
    /// What of them belongs to the Job's content and is not in the Job.
    pub(crate) fn content(&self) -> String {
        self.contents.iter().map(|content| digest::short(content)).collect()
    }

    /// How much of a ConfigMap they fill, bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.contents.iter().map(Vec::len).sum()
    }

    /// Names the ConfigMap in a Job.
    pub(crate) fn seal(job: &mut Value, config_map: &str) {
        let volumes = job.pointer_mut("/spec/template/spec/volumes").and_then(Value::as_array_mut);
        if let Some(volume) = volumes.into_iter().flatten().find(|volume| volume["name"] == VOLUME) {
            volume["configMap"]["name"] = config_map.into();
        }
    }

    /// The ConfigMap of this name, or the one that is there already, with the files.
    pub(crate) fn companion(&self, there: Option<Value>, config_map: &str) -> Value {
        use base64::Engine;
        let mut object = there.unwrap_or_else(|| {
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": config_map }, "immutable": true })
        });
        let encode =
            |content: &Vec<u8>| Value::from(base64::engine::general_purpose::STANDARD.encode(content));
        let files = self.contents.iter().enumerate().map(|(index, content)| (key(index), encode(content)));
        match &mut object["binaryData"] {
            Value::Object(data) => data.extend(files),
            data => *data = Value::Object(Map::from_iter(files)),
        }
        object
    }
}

/// The key of a file in the ConfigMap: names of files may hold what keys do not.
fn key(index: usize) -> String {
    format!("file-{index}")
}
