//! What is handed in beside job files: files of variables, tables of tasks, batches and job specs of other systems.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use windlass_model::Problems;

use super::{FILE, told};
use crate::array::{fold, unfold};
use crate::formats::submission_helper::{self, SubmissionHelper};
use crate::formats::{Inputs, Payload, prefect};
use crate::{Array, Base, Numbers, env_file, make, marks};

/// A file of variables: what is read is read the same when it is written plainly, no line is left out, and a line that
/// sets no variable is the first of its kind.
pub fn env_files(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines: Vec<&str> = text.lines().collect();
    let own = |name: &str| (name.len() % 2 == 1).then(|| "own".to_owned());
    match env_file::read(text, own) {
        Ok(variables) => {
            assert!(variables.len() <= lines.len());
            let plain: String = variables.iter().map(|(name, value)| format!("{name}={value}\r\n")).collect();
            // A mark in front of a file is no part of a name; one in the middle is.
            assert_eq!(env_file::read(&format!("\n{plain}"), |_| None), Ok(variables));
        }
        Err(wrong) => {
            let before: String = lines[..wrong.line - 1].iter().map(|line| format!("{line}\n")).collect();
            assert!(env_file::read(&before, own).is_ok(), "{wrong:?}");
            let bad = lines[wrong.line - 1];
            assert!(!bad.trim().is_empty(), "{wrong:?}");
        }
    }
}

/// A byte that says how the tasks are written and where they run, the words of a command, a line each, a line of `---`,
/// and the tasks: the helper finds in their text what they are; a Job that is made an array comes apart again, and
/// together again to the same Job.
pub fn arrays(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let Some((words, table)) = std::str::from_utf8(rest).ok().and_then(|text| text.split_once("\n---\n"))
    else {
        return;
    };
    let array = match first % 3 {
        0 => Array::of_lines(table.as_bytes()).ok().map(|read| read.array),
        1 => Array::of_rows(table.as_bytes()).ok().map(|read| read.array),
        _ => Numbers::parse(table).ok().map(|numbers| Array::numbered(&numbers)),
    };
    let Some(array) = array.filter(|array| array.tasks.len() <= 1000) else { return };
    let items = array.items();
    assert_eq!(Array::of_items(&items).as_ref(), Some(&array));
    is_found(&array, items.as_bytes());
    let mut pod = json!({"containers": [{"name": "c", "image": "i", "command": words.split('\n').collect::<Vec<_>>()}]});
    if first & 4 != 0 {
        pod["runtimeClassName"] = marks::HOST_CLASS.into();
    }
    let job = json!({"metadata": {"name": "j"}, "spec": {"template": {"spec": pod}}});
    let Some((folded, items)) = array_of(&job, &array) else { return };
    let (plain, again) = unfold(&folded, items.as_deref()).expect("it is one of ours");
    assert_eq!(again, array);
    assert_eq!(array_of(&plain, &again), Some((folded, items)), "{plain}");
}

/// A Job as an array, and the text of its tasks if it needs that.
fn array_of(job: &Value, array: &Array) -> Option<(Value, Option<String>)> {
    let (mut job, mut problems) = (job.clone(), Problems::new());
    let Some(folded) = fold(&mut job, array, &mut problems) else {
        assert!(problems.or(()).is_err(), "refused without a word");
        return None;
    };
    folded.seal(&mut job, "j");
    let items =
        folded.companion("j").map(|object| object["data"]["items"].as_str().expect("a text").to_owned());
    Some((job, items))
}

/// What the helper reads, which has neither memory nor a library.
fn is_found(array: &Array, items: &[u8]) {
    use windlass_task::items::{head, line, plain, values};
    for (place, task) in array.tasks.iter().enumerate() {
        let line = line(items, place + 1).expect("each task has a line");
        assert_eq!(head(line), task.number.to_string().as_bytes());
        let found: Vec<Vec<u8>> = values(line).map(|value| plain(value).collect()).collect();
        assert!(found.iter().eq(task.values.iter().map(String::as_bytes)), "{task:?}");
    }
    assert_eq!(line(items, array.tasks.len() + 1), None);
}

/// Tasks of a batch, a payload a line or a task file: what is refused is told by its place; no two tasks are called the
/// same or are one submission, each needs others than itself, and has a job.
pub fn batches(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let helper = SubmissionHelper {
        payload: String::new(),
        image: "image".to_owned(),
        registry_secret: "secret".to_owned(),
        volume_claim: "claim".to_owned(),
        mount_path: "/mnt".to_owned(),
        identifier: None,
    };
    let lists = [
        submission_helper::of_lines("batch", &[(FILE.to_owned(), text.to_owned())]),
        submission_helper::of_file(FILE, text, "/mnt"),
    ];
    for list in lists {
        let list = match list {
            Ok(list) => list,
            Err(errors) => {
                told(&errors, text);
                continue;
            }
        };
        let names: BTreeSet<&str> = list.tasks.iter().map(|task| &*task.identifier).collect();
        assert_eq!(names.len(), list.tasks.len());
        let ids: BTreeSet<String> =
            list.tasks.iter().map(|task| submission_helper::task_id("batch", task).to_string()).collect();
        assert_eq!(ids.len(), list.tasks.len());
        for number in 0..list.tasks.len().min(100) {
            assert!(!list.batch.needs(number).contains(&number));
            assert!(list.inputs(number).len() <= text.len());
            let written = helper.written("batch", &list, number, &[]);
            if let Ok(manifest) = make(&written.base, &written.edits) {
                assert_eq!(manifest.job()["kind"], "Job");
            }
        }
    }
}

/// Job specs of Prefect: what is refused is told by its place; one that is read is one job, with the run's labels on it
/// and on its pods, and all else that the spec says of the Job's pods but the first container is still there.
pub fn prefect_specs(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let variables = BTreeMap::new();
    for (payload, image) in
        [(Payload::Own, None), (Payload::Command(vec!["true".to_owned()]), Some("flow:1"))]
    {
        let options = prefect::Options {
            image: image.map(str::to_owned),
            identifier: "6f1c0b9a2d3e4f50".to_owned(),
            flow_run_id: "run-7".to_owned(),
            unique_name: image.is_some(),
        };
        let inputs = Inputs { variables: &variables, payload: &payload, run_id: None };
        let reading = match prefect::read(FILE, text, &options, inputs) {
            Ok(reading) => reading,
            Err(errors) => {
                told(&errors, text);
                continue;
            }
        };
        let [written] = &reading.jobs[..] else { panic!("{} jobs of one spec", reading.jobs.len()) };
        let (Base::Manifest(spec), Ok(manifest)) = (&written.base, make(&written.base, &written.edits))
        else {
            continue;
        };
        let (pod, job) = ("/spec/template", manifest.job());
        for labels in [job.pointer("/metadata/labels"), job.pointer("/spec/template/metadata/labels")] {
            assert_eq!(labels.expect("labels")["prefect.io/flow_run_id"], "run-7");
        }
        let fields = spec.pointer(&format!("{pod}/spec")).and_then(Value::as_object);
        for (name, value) in fields.into_iter().flatten() {
            let kept = job.pointer(&format!("{pod}/spec/{}", name.replace('~', "~0").replace('/', "~1")));
            assert!(
                name == "containers" || name == "restartPolicy" || kept == Some(value),
                "{name}: {kept:?}"
            );
        }
    }
}
