//! What must hold of every file that somebody may hand in: the bodies of the fuzz targets in `fuzz/`.
//!
//! Built for tests and with the feature `fuzzing`; no part of the readers.

mod handed;
#[cfg(test)]
#[path = "../../../../fuzz/stored_inputs.rs"]
mod tests;
mod told;
mod words;

pub use handed::{arrays, batches, env_files, prefect_specs};
pub use told::observations;
pub use words::words;

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use crate::formats::definition::{self, Arguments, Definition, Source, Template};
use crate::formats::{self, Format, Inputs, Payload};
use crate::{Array, Numbers, ReadError, cron, make};

/// What takes an input and panics if it breaks a promise.
pub type Target = fn(&[u8]);

/// All targets by their names.
pub const TARGETS: &[(&str, Target)] = &[
    ("arrays", arrays),
    ("batches", batches),
    ("definitions", definitions),
    ("env_files", env_files),
    ("job_files", job_files),
    ("observations", observations),
    ("prefect_specs", prefect_specs),
    ("tables", tables),
    ("words", words),
];

const FILE: &str = "jobs.yaml";

/// Files of any format: each mistake is told with the file's name and in bounded words, and a job that is read is made
/// the same each time.
pub fn job_files(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let variables = BTreeMap::from([("NAME".to_owned(), "value".to_owned())]);
    for payload in [Payload::Own, Payload::Command(vec!["true".to_owned()])] {
        let inputs = Inputs { variables: &variables, payload: &payload, run_id: Some("run") };
        let reading = match formats::read(FILE, text, inputs) {
            Ok(reading) => reading,
            Err(errors) => {
                told(&errors, text);
                continue;
            }
        };
        assert!(!reading.jobs.is_empty(), "a file without jobs is refused");
        for written in &reading.jobs {
            let Ok(manifest) = make(&written.base, &written.edits) else { continue };
            let again = make(&written.base, &written.edits).expect("it was made before");
            assert_eq!(manifest.content_hash(), again.content_hash());
            assert_eq!(manifest.job()["kind"], "Job");
            if reading.format == Format::JobFile {
                let read: Result<Job, _> = serde_json::from_value(manifest.job().clone());
                assert!(read.is_ok(), "{:?}: {}", read.err(), manifest.job());
            }
        }
    }
    if cron::is(text)
        && let Err(errors) = cron::read(FILE, text)
    {
        told(&errors, text);
    }
}

fn told(errors: &[ReadError], text: &str) {
    assert!(!errors.is_empty(), "refused without a word");
    let lines = lines(text.as_bytes()) as u64;
    for error in errors {
        let words = error.to_string();
        assert!(words.starts_with(FILE), "{words}");
        assert!(words.len() <= 4096 + 8 * text.len(), "{} bytes of words", words.len());
        let line = words[FILE.len()..].trim_start_matches(':').split(':').next().unwrap_or_default();
        if let Ok(line) = line.parse::<u64>() {
            assert!(line <= lines, "{words}: there are {lines} lines");
        }
    }
}

/// Lines as YAML and tables count them: a carriage return ends one, too.
fn lines(text: &[u8]) -> usize {
    text.split(|&byte| matches!(byte, b'\n' | b'\r')).count()
}

/// Files of definitions, and templates: rendering ends, in a Job or in words; arguments add no keys.
pub fn definitions(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(errors) = definition::read(FILE, text) {
        told(&errors, text);
    }
    let template = Template::new(FILE, text);
    let Ok(names) = template.variables() else { return };
    let definition = Definition {
        name: "fuzz".to_owned(),
        file: FILE.to_owned(),
        line: 1,
        source: Source::Inline(template.clone()),
        extra_arguments: false,
        allow_structure: Default::default(),
    };
    let render = |value: &Value| {
        let arguments: Arguments = names.iter().map(|name| (name.clone(), value.clone())).collect();
        definition.render(&template, &arguments)
    };
    let (plain, hostile) = (render(&json!("x")), render(&json!("x\n  key: {a: b}\n- \"'{{")));
    if let (Ok(plain), Ok(hostile)) = (plain, hostile) {
        let count = |base: &crate::Base| match base {
            crate::Base::Manifest(job) => keys(job),
            crate::Base::Request(_) => 0,
        };
        assert_eq!(count(&plain.base), count(&hostile.base), "a value has added keys");
    }
}

fn keys(value: &Value) -> usize {
    match value {
        Value::Object(map) => map.len() + map.values().map(keys).sum::<usize>(),
        Value::Array(list) => list.iter().map(keys).sum(),
        _ => 0,
    }
}

/// Lists of numbers are written as they are read; tables have a value a column, and no more tasks than lines.
pub fn tables(data: &[u8]) {
    let lines = lines(data);
    for read in [Array::of_lines(data), Array::of_rows(data)] {
        let Ok(read) = read else { continue };
        assert!(!read.array.tasks.is_empty() && read.array.tasks.len() <= lines);
        assert!(read.array.tasks.iter().all(|task| task.values.len() == read.array.names.len()));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(numbers) = Numbers::parse(text) {
        assert_eq!(Numbers::parse(&numbers.to_string()).as_ref(), Ok(&numbers));
    }
}
