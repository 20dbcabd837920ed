//! An array: one Job with numbered tasks. A task has a *number*, which is its user's, an *index*, which is
//! Kubernetes' completion index from 0, and *values* under the array's *names*.
//!
//! A line of a file has one value, called `item`; a row of a table has its columns; a place in a matrix its keys.
//! [`TaskMap`] tells of a Job on the cluster which numbers its indexes have, [`Array::of_items`] reads the values back
//! from the ConfigMap that it names. Pure: who reads files and objects is its caller.

mod fold;
mod guess;
mod numbers;
mod read;
mod shell;
mod table;
mod text;
mod unfold;

use k8s_openapi::api::batch::v1::Job;
use serde::{Deserialize, Serialize};

use crate::marks;

pub use fold::DIRECTORY;
pub(crate) use fold::{Folded, fold};
pub use guess::near_misses;
pub use numbers::Numbers;
pub use read::{LINE_NAME, Lines};
pub use text::MOST_BYTES;
pub use unfold::{plain, unfold};

/// The most tasks of one array: of more Kubernetes wants a bound on those that fail (upstream
/// `pkg/apis/batch/validation`, `completionsSoftLimit`).
pub const MOST_TASKS: usize = 100_000;

/// The tasks of one Job, in the order of their indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Array {
    /// What each task's values are called; none if the tasks have numbers only.
    pub names: Vec<String>,
    /// At least one, at most [`MOST_TASKS`].
    pub tasks: Vec<Task>,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its user's number for it.
    pub number: u32,
    /// A value for each of the array's names.
    pub values: Vec<String>,
}

impl Array {
    /// Tasks that have numbers only.
    pub fn numbered(numbers: &Numbers) -> Array {
        let task = |number| Task { number, values: Vec::new() };
        Array { names: Vec::new(), tasks: numbers.iter().map(task).collect() }
    }

    /// The numbers of all tasks.
    pub fn numbers(&self) -> Numbers {
        self.tasks.iter().map(|task| task.number).collect()
    }
}

/// What a Job on the cluster says of its tasks: its annotation `windlass.dev/tasks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskMap {
    /// What each task's values are called.
    pub names: Vec<String>,
    /// The numbers by index.
    pub numbers: Numbers,
    /// The ConfigMap with the values under the key [`ITEMS`](TaskMap::ITEMS), in the Job's namespace.
    pub config_map: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<String>,
    numbers: String,
    count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config_map: Option<String>,
}

impl TaskMap {
    /// The key of the ConfigMap whose text [`Array::of_items`] reads.
    pub const ITEMS: &str = windlass_task::items::FILE;

    /// What the Job says; `None` if it is no array of ours.
    pub fn of(job: &Job) -> Option<TaskMap> {
        TaskMap::read(job.metadata.annotations.as_ref()?.get(marks::TASKS)?)
    }

    /// Reads the annotation.
    pub fn read(annotation: &str) -> Option<TaskMap> {
        let Written { names, numbers, count, config_map } = serde_json::from_str(annotation).ok()?;
        let numbers = Numbers::parse(&numbers).ok().filter(|numbers| numbers.len() == count)?;
        Some(TaskMap { names, numbers, config_map })
    }

    /// Writes the annotation.
    pub fn write(&self) -> String {
        let written = Written {
            names: self.names.clone(),
            numbers: self.numbers.to_string(),
            count: self.numbers.len(),
            config_map: self.config_map.clone(),
        };
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// The number of the task with this index.
    pub fn number(&self, index: u32) -> Option<u32> {
        self.numbers.get(index)
    }

    /// The index of the task with this number.
    pub fn index(&self, number: u32) -> Option<u32> {
        self.numbers.index_of(number)
    }
}

#[cfg(test)]
mod fold_tests;
#[cfg(test)]
mod tests;
