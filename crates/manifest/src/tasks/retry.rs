//! A job of tasks as something to submit again: all of them, or some, each under its own number.

use std::collections::BTreeSet;

use serde_json::Value;
use windlass_model::Problems;

use super::ranges;
use crate::array::unfold;
use crate::{Array, Base, Edit, JobEdit, TaskMap, again, marks};

/// Numbers that a message names.
const RANGES: usize = 6;

/// Why tasks cannot run again in a job of their own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotRetry {
    /// An array's values are no longer there.
    #[error("the values of its tasks went with ConfigMap {config_map:?}")]
    ValuesGone {
        /// Where they were.
        config_map: String,
    },
    /// It has no numbered tasks.
    #[error("is not Indexed: it has no tasks to choose from")]
    NotIndexed,
    /// Its tasks know themselves by their indexes, which a job of some of them cannot keep.
    #[error(
        "its tasks know themselves by their index, and {tasks} would have other indexes in a job of their own"
    )]
    OtherIndexes {
        /// Those that were to run again.
        tasks: String,
    },
    /// The Job itself is wrong.
    #[error(transparent)]
    Problems(#[from] Problems),
}

/// As [`again`](crate::again()), with the tasks that `only` names by their indexes, or all. `items` is the text of an
/// array's ConfigMap.
///
/// # Errors
/// Why they cannot run again.
pub fn again_tasks(
    job: &Value,
    items: Option<&str>,
    only: Option<&BTreeSet<u32>>,
) -> Result<(Base, Vec<Edit>), CannotRetry> {
    let annotation = job.pointer("/metadata/annotations").and_then(|all| all[marks::TASKS].as_str());
    if let Some(map) = annotation.and_then(TaskMap::read) {
        let config_map = map.config_map.unwrap_or_default();
        let (plain, array) = unfold(job, items).ok_or(CannotRetry::ValuesGone { config_map })?;
        let tasks = array
            .tasks
            .into_iter()
            .zip(0..)
            .filter(|(_, index)| only.is_none_or(|only| only.contains(index)));
        let array = Array { names: array.names, tasks: tasks.map(|(task, _)| task).collect() };
        return Ok((again(&plain)?, vec![Edit::Tasks(array)]));
    }
    let base = again(job)?;
    let Some(only) = only else { return Ok((base, Vec::new())) };
    if job["spec"]["completionMode"].as_str() != Some("Indexed") {
        return Err(CannotRetry::NotIndexed);
    }
    // A new job counts from 0: the first tasks keep their indexes, others cannot.
    let count = u32::try_from(only.len()).unwrap_or(u32::MAX);
    if only.iter().copied().ne(0..count) {
        let tasks: Vec<u32> = only.iter().copied().collect();
        return Err(CannotRetry::OtherIndexes { tasks: ranges(&tasks, RANGES) });
    }
    Ok((base, vec![Edit::Job(JobEdit::Completions(count))]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Task, make};

    fn plain(indexed: bool) -> Value {
        let mode = if indexed { "Indexed" } else { "NonIndexed" };
        json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "fit" },
                "spec": { "completions": 6, "completionMode": mode, "template": { "spec": { "restartPolicy": "Never",
                "containers": [{ "name": "main", "image": "i", "command": ["fit", "{item}"] }] } } } })
    }

    fn array() -> Array {
        let task = |number: u32| Task { number, values: vec![format!("data/{number}")] };
        Array { names: vec!["item".into()], tasks: [3, 5, 9].map(task).into() }
    }

    /// The Job as the cluster has it, and its ConfigMap's text.
    fn folded() -> (Value, String) {
        let mut bare = plain(false);
        let spec = bare["spec"].as_object_mut().unwrap();
        spec.retain(|field, _| field == "template");
        let manifest = make(&Base::Manifest(bare), &[Edit::Tasks(array())]).unwrap();
        let id = windlass_model::SubmissionId::parse("one").unwrap();
        let items = manifest.companion(&id, 0).unwrap()["data"][TaskMap::ITEMS].as_str().unwrap().to_owned();
        (manifest.sealed(&id, marks::Signature::default(), 0), items)
    }

    #[test]
    fn failed_tasks_of_an_array_run_again_under_their_numbers_with_their_values() {
        let (job, items) = folded();
        let (base, edits) = again_tasks(&job, Some(&items), Some(&[0, 2].into())).unwrap();
        let manifest = make(&base, &edits).unwrap();
        let id = windlass_model::SubmissionId::parse("two").unwrap();
        let config = manifest.companion(&id, 0).unwrap();
        let again = Array::of_items(config["data"][TaskMap::ITEMS].as_str().unwrap()).unwrap();
        let told: Vec<_> = again.tasks.iter().map(|task| (task.number, task.values[0].as_str())).collect();
        assert_eq!(told, [(3, "data/3"), (9, "data/9")]);
        let new = manifest.sealed(&id, marks::Signature::default(), 0);
        assert_eq!((&new["spec"]["completions"], &new["spec"]["parallelism"]), (&json!(2), &json!(2)));
        assert_eq!(
            new["spec"]["template"]["spec"]["containers"],
            job["spec"]["template"]["spec"]["containers"]
        );
        // All of them are the same array again, with a ConfigMap of its own.
        let (base, edits) = again_tasks(&job, Some(&items), None).unwrap();
        let all = make(&base, &edits).unwrap().companion(&id, 0).unwrap();
        assert_eq!(all["data"][TaskMap::ITEMS].as_str(), Some(items.as_str()));
    }

    #[test]
    fn an_array_whose_values_are_gone_is_refused() {
        let (job, _) = folded();
        let config_map = format!("{}-tasks", job["metadata"]["name"].as_str().unwrap());
        for only in [None, Some(&[0].into())] {
            assert_eq!(
                again_tasks(&job, None, only).unwrap_err(),
                CannotRetry::ValuesGone { config_map: config_map.clone() }
            );
        }
    }

    #[test]
    fn tasks_that_are_indexes_run_again_only_where_they_stay_what_they_are() {
        let (_, edits) = again_tasks(&plain(true), None, Some(&[0, 1].into())).unwrap();
        assert_eq!(edits, [Edit::Job(JobEdit::Completions(2))]);
        assert_eq!(
            again_tasks(&plain(true), None, Some(&[1, 2, 3].into())).unwrap_err(),
            CannotRetry::OtherIndexes { tasks: "1-3".into() }
        );
        assert_eq!(again_tasks(&plain(false), None, Some(&[0].into())).unwrap_err(), CannotRetry::NotIndexed);
        assert_eq!(again_tasks(&plain(false), None, None).unwrap().1, []);
    }
}
