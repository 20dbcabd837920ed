//! A job of tasks as something to submit again: all of them, or some, each under its own number.

use std::collections::BTreeSet;

use serde_json::Value;
use windlass_model::Problems;

use super::ranges;
use crate::again::{again, again_array};
use crate::array::unfold;
use crate::{Array, Base, Edit, JobEdit, TaskMap, marks};

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
    /// Whose success ends it says so by tasks that are not all there.
    #[error("its successPolicy speaks of all of its tasks, and {tasks} alone would be other ones to it")]
    SuccessPolicy {
        /// Those that were to run again.
        tasks: String,
    },
    /// Its image's own program gets the index, which cannot be another number.
    #[error(
        "it names no command, so that its image's own program is given its tasks' indexes, and {tasks} would have other \
         indexes in a job of their own"
    )]
    NoCommand {
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
        let (mut plain, array) = unfold(job, items).ok_or(CannotRetry::ValuesGone { config_map })?;
        let all = array.tasks.len();
        let tasks = array
            .tasks
            .into_iter()
            .zip(0..)
            .filter(|(_, index)| only.is_none_or(|only| only.contains(index)));
        let array = Array { names: array.names, tasks: tasks.map(|(task, _)| task).collect() };
        let told = || ranges(&array.numbers().iter().collect::<Vec<_>>(), RANGES);
        fit(&mut plain, array.tasks.len(), all, told)?;
        let command = plain.pointer("/spec/template/spec/containers/0/command").and_then(Value::as_array);
        if !array.numbers().are_indexes() && command.is_none_or(Vec::is_empty) {
            return Err(CannotRetry::NoCommand { tasks: told() });
        }
        return Ok((again_array(&plain)?, vec![Edit::Tasks(array)]));
    }
    let Some(only) = only else { return Ok((again(job)?, Vec::new())) };
    if job["spec"]["completionMode"].as_str() != Some("Indexed") {
        return Err(CannotRetry::NotIndexed);
    }
    // A new job counts from 0: the first tasks keep their indexes, others cannot.
    let count = u32::try_from(only.len()).unwrap_or(u32::MAX);
    let told = || ranges(&only.iter().copied().collect::<Vec<_>>(), RANGES);
    if only.iter().copied().ne(0..count) {
        return Err(CannotRetry::OtherIndexes { tasks: told() });
    }
    let all = job["spec"]["completions"].as_u64().and_then(|all| usize::try_from(all).ok());
    let mut job = job.clone();
    fit(&mut job, only.len(), all.unwrap_or(0), told)?;
    Ok((again(&job)?, vec![Edit::Job(JobEdit::Completions(count))]))
}

/// Makes what a Job says of its tasks true of `count` of `all` of them (upstream `validateJobSpec`: no more failed
/// indexes than completions).
fn fit(job: &mut Value, count: usize, all: usize, tasks: impl Fn() -> String) -> Result<(), CannotRetry> {
    let Some(Value::Object(spec)) = job.get_mut("spec") else { return Ok(()) };
    if count != all && spec.get("successPolicy").is_some_and(|policy| !policy.is_null()) {
        return Err(CannotRetry::SuccessPolicy { tasks: tasks() });
    }
    let most = u64::try_from(count).unwrap_or(u64::MAX);
    if spec.get("maxFailedIndexes").and_then(Value::as_u64).is_some_and(|failed| failed > most) {
        spec.insert("maxFailedIndexes".to_owned(), most.into());
    }
    Ok(())
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

    fn with(mut job: Value, field: &str, value: Value) -> Value {
        job["spec"][field] = value;
        job
    }

    #[test]
    fn no_more_tasks_may_fail_than_there_are() {
        let (job, items) = folded();
        let most = |most: u32, only: Option<&BTreeSet<u32>>| {
            let job = with(job.clone(), "maxFailedIndexes", most.into());
            let (base, edits) = again_tasks(&job, Some(&items), only).unwrap();
            make(&base, &edits).unwrap().job()["spec"]["maxFailedIndexes"].clone()
        };
        assert_eq!(most(3, Some(&[0, 2].into())), 2);
        assert_eq!((most(1, Some(&[0, 2].into())), most(3, None)), (json!(1), json!(3)));
        let indexed = with(plain(true), "maxFailedIndexes", 5.into());
        let (base, edits) = again_tasks(&indexed, None, Some(&[0, 1].into())).unwrap();
        assert_eq!(make(&base, &edits).unwrap().job()["spec"]["maxFailedIndexes"], 2);
    }

    #[test]
    fn some_tasks_of_a_job_with_a_success_policy_are_refused() {
        let policy = json!({ "rules": [{ "succeededIndexes": "1-2" }] });
        let (job, items) = folded();
        let job = with(job, "successPolicy", policy.clone());
        let refused = again_tasks(&job, Some(&items), Some(&[1].into())).unwrap_err();
        assert_eq!(refused, CannotRetry::SuccessPolicy { tasks: "5".into() });
        let (base, _) = again_tasks(&job, Some(&items), Some(&[0, 1, 2].into())).unwrap();
        assert_eq!(make(&base, &[]).unwrap().job()["spec"]["successPolicy"], policy);
        let indexed = with(plain(true), "successPolicy", policy);
        let refused = again_tasks(&indexed, None, Some(&[0, 1].into())).unwrap_err();
        assert_eq!(refused, CannotRetry::SuccessPolicy { tasks: "0, 1".into() });
        assert!(again_tasks(&indexed, None, None).is_ok());
    }

    #[test]
    fn some_tasks_of_an_images_own_program_are_refused() {
        let mut bare = plain(false);
        bare["spec"].as_object_mut().unwrap().retain(|field, _| field == "template");
        let container = bare.pointer_mut("/spec/template/spec/containers/0").unwrap();
        *container = json!({ "name": "main", "image": "i", "args": ["{}"] });
        let numbers = crate::Numbers::parse("0-4").unwrap();
        let manifest = make(&Base::Manifest(bare), &[Edit::Tasks(Array::numbered(&numbers))]).unwrap();
        let job = manifest.job();
        let refused = again_tasks(job, None, Some(&[1, 3].into())).unwrap_err();
        assert_eq!(refused, CannotRetry::NoCommand { tasks: "1, 3".into() });
        for only in [None, Some(&[0, 1].into())] {
            let (base, edits) = again_tasks(job, None, only).unwrap();
            assert!(make(&base, &edits).is_ok());
        }
    }

    #[test]
    fn an_array_of_one_at_a_time_stays_so() {
        let (job, items) = folded();
        let mut job = with(job, "parallelism", 1.into());
        job["metadata"]["uid"] = "u".into();
        let (base, edits) = again_tasks(&job, Some(&items), Some(&[0, 2].into())).unwrap();
        assert_eq!(make(&base, &edits).unwrap().job()["spec"]["parallelism"], 1);
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
